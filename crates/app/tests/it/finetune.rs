//! `likebut train` on pictures that lie here: a shop's file of questions, and a published set.

use crate::Home;
use crate::published::{write_blip2, write_clip};
use crate::reproduce::{picture, write_fashioniq};
use serde_json::Value;

/// A recipe of a few steps; `set` is what stands under [set].
fn recipe(set: &str, more: &str) -> String {
    format!(
        "name = \"shop\"\nabout = \"for tests\"\nseed = 7\n{more}\n[set]\n{set}\n[compose]\nsteps = 4\nfamilies = 4\ntriplets = 2\nrate = 1e-3\nwarmup = 1\ndecay = 0.05\n"
    )
}

/// Twelve products in two pictures each, asked about both ways; one file is no picture.
fn write_shop(home: &Home) {
    let mut lines = String::from("id,reference,text,target\n");
    for i in 0..12 {
        let [a, b] = ["a", "b"].map(|side| format!("photos/{i}{side}.png"));
        picture(&home.path(&format!("shop/{a}")), i * 2);
        picture(&home.path(&format!("shop/{b}")), i * 2 + 1);
        lines += &format!("{i}x,{a},the same in red,{b}\n{i}y,{b},the red one,{a}\n");
    }
    home.write("shop/photos/3b.png", "<!doctype html>");
    home.write("shop/questions.csv", lines);
}

fn read(home: &Home, path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(home.path(path)).expect(path)).expect("JSON")
}

#[test]
fn a_shop_teaches_a_model_by_its_own_questions() {
    let home = Home::new();
    write_blip2(&home, "blip2");
    write_shop(&home);
    home.write("shop/recipe.toml", recipe("train = \"questions.csv\"\nheld_out = 0.2", ""));
    let train = |recipe: &str, from: &str, out: &str| home.run(&["train", recipe, "--from", from, "--out", out]);
    let run = train("shop/recipe.toml", "blip2", "run");
    // What cannot be read is left out and named, with both questions about it.
    assert_eq!(run.code, Some(3), "{run:?}");
    for name in ["photos/3b.png", "3x", "3y"] {
        assert!(run.err.contains(&format!("left out: {name}: ")), "{name}: {run:?}");
    }
    // A fifth of the 22 questions that are left, in pairs that share their pictures.
    assert!(
        run.err.contains("left out of what there is to learn from: 3 files and questions (photos/3b.png: "),
        "{run:?}"
    );
    assert!(run.err.contains("18 questions to learn from, 4 to watch on; 4 steps of 8 are 1.8 passes"), "{run:?}");
    assert_eq!((run.json()["left_out"].as_u64(), run.json()["from"].as_str()), (Some(3), Some("blip2")));
    let record = read(&home, "run/run.json");
    assert_eq!(record["data"]["train"]["questions"], 18);
    assert_eq!(record["from"]["model"], "blip2");
    let manifest = read(&home, "run/model/manifest.json");
    assert_eq!((manifest["name"].as_str(), manifest["drawn_only"].as_bool()), (Some("shop"), Some(false)));
    let journal = std::fs::read_to_string(home.path("run/imagine.metrics.jsonl")).unwrap();
    assert!(journal.lines().count() == 4 && journal.contains("val_r1"), "{journal}");

    // What came out is a model like any other.
    let marks = ["eval", "--mine", "shop/questions.csv", "--model", "run/model", "--json"];
    let marks = home.run(&marks);
    assert!(matches!(marks.code, Some(0 | 3)) && marks.out.contains("imagine"), "{marks:?}");

    // The same command finds everything done; its head alone goes on with the words of the first recipe.
    let weights = |out: &str| std::fs::read(home.path(&format!("{out}/model/model.safetensors"))).unwrap();
    let first = weights("run");
    assert_eq!(train("shop/recipe.toml", "blip2", "run").code, Some(3));
    assert!(weights("run") == first);
    let head = recipe("train = \"questions.csv\"", "").replace("[compose]\n", "[compose]\nlearns = \"head\"\n");
    home.write("shop/head.toml", head);
    assert_eq!(train("shop/head.toml", "run/model", "on").code, Some(3));
    let journal = std::fs::read_to_string(home.path("on/adapt.metrics.jsonl")).unwrap();
    assert_eq!(journal.lines().count(), 4);

    // Another file of questions is another run.
    let asked = std::fs::read_to_string(home.path("shop/questions.csv")).unwrap();
    home.write("shop/questions.csv", asked.replace("0x,photos/0a.png,the same in red", "0x,photos/0a.png,in blue"));
    let (before, tokens) = (read(&home, "run/run.json"), std::fs::metadata(home.path("run/tokens/train.f16")).unwrap());
    train("shop/recipe.toml", "blip2", "run").fails_after_notice(2, "of another run");
    // Nothing of the run that lies there is touched.
    assert_eq!(read(&home, "run/run.json"), before);
    let after = std::fs::metadata(home.path("run/tokens/train.f16")).unwrap();
    assert_eq!((after.len(), after.modified().unwrap()), (tokens.len(), tokens.modified().unwrap()));
}

#[test]
fn a_model_learns_from_a_published_set() {
    let home = Home::new();
    write_blip2(&home, "blip2");
    write_fashioniq(&home);
    home.write("recipe.toml", recipe("name = \"fashioniq\"\nroot = \"set\"", "[head]\nprototypes = 8\ntop_k = 3\n"));
    let run = home.run(&["train", "recipe.toml", "--from", "blip2", "--out", "run"]);
    run.works();
    assert!(run.err.contains("168 questions to learn from, 18 to watch on"), "{run:?}");
    assert!(run.err.contains("which `likebut eval --bench fashioniq` marks"), "{run:?}");
    let manifest = read(&home, "run/model/manifest.json");
    assert_eq!(manifest["imagine"]["prototypes"], 8);

    // CoVR-2 as it is published compares with captions, which this set has of no picture.
    home.write("covr2.toml", recipe("name = \"fashioniq\"\nroot = \"set\"", "[covr2]\ncaption_weight = 0.5\n"));
    let covr2 = |out: &str| home.run(&["train", "covr2.toml", "--from", "blip2", "--out", out]);
    covr2("none").fails_after_notice(2, "captions");
    home.write("covr2.toml", recipe("name = \"fashioniq\"\nroot = \"set\"", "[covr2]\ncaption_weight = 0.0\n"));
    covr2("covr2").works();
    let marks =
        home.run(&["eval", "--bench", "fashioniq", "--root", "set", "--model", "covr2/model", "--methods", "covr2"]);
    marks.works();
}

#[test]
fn a_head_learns_on_a_clip_and_is_asked_like_any_method() {
    let home = Home::new();
    write_clip(&home);
    write_shop(&home);
    let head = recipe("train = \"shop/questions.csv\"\nheld_out = 0.2", "[head]\nprototypes = 8\ntop_k = 3\n");
    home.write("head.toml", head.replace("[compose]\n", "[compose]\nlearns = \"head\"\n"));
    let run = home.run(&["train", "head.toml", "--from", "clip", "--out", "run"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    let manifest = read(&home, "run/model/manifest.json");
    assert_eq!(
        (manifest["backbone"]["family"].as_str(), manifest["imagine"]["concrete"].as_str()),
        (Some("clip"), Some("sum"))
    );
    // One feature a frame and no more is kept.
    let tokens = std::fs::metadata(home.path("run/tokens/train.f16")).unwrap().len();
    let embed = manifest["backbone"]["embed"].as_u64().unwrap();
    assert_eq!(tokens, 23 * embed * 2);
    home.run(&["add", "shop/photos", "--model", "run/model", "--library", "lib"]);
    let found =
        home.run(&["find", "shop/photos/0a.png", "the red one", "--model", "run/model", "--library", "lib", "--json"]);
    assert_eq!(found.works().json()["query"]["method"], "imagine", "{found:?}");
}

#[test]
fn a_recipe_with_a_set_says_what_it_lacks() {
    let home = Home::new();
    write_shop(&home);
    home.write("a.toml", recipe("name = \"cirr\"", ""));
    let train = |more: &[&str]| home.run(&[&["train", "a.toml", "--out", "run"], more].concat());
    train(&[]).fails(2, "its folder");
    home.write("a.toml", recipe("train = \"shop/questions.csv\"", ""));
    train(&["--until", "pretrain"]).fails(2, "one stage");
    home.write("a.toml", recipe("train = \"shop/nothing.csv\"", ""));
    train(&[]).fails_after_notice(5, "nothing.csv");
    // Paths that start from elsewhere: there is nothing left, and it says why.
    home.write("elsewhere/questions.csv", std::fs::read(home.path("shop/questions.csv")).unwrap());
    home.write("b.toml", recipe("train = \"elsewhere/questions.csv\"", ""));
    home.run(&["train", "b.toml", "--out", "other"])
        .fails_after_notice(2, "no question is left to learn from: 48 files");
    write_clip(&home);
    train(&["--from", "clip"]).fails(2, "learns = \"head\"");
}
