//! A paper's tables again, from the command line: few steps on few families, but every part of it.

use std::path::Path;

use media::Frame;
use serde_json::{Value, json};

use crate::Home;
use crate::published::write_blip2;

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("the report's numbers")).expect("JSON")
}

#[test]
fn variants_on_scenes_go_on_where_they_were_stopped() {
    let home = Home::new();
    let few =
        ["--quick", "--variants", "full,without-sic", "--steps", "4", "--train", "32", "--test", "3", "--no-times"];
    let run =
        |seeds: &str| home.run(&[&["reproduce", "imagine", "--out", "again", "--seeds", seeds], &few[..]].concat());
    run("1").works();
    let runs = || {
        let stamp = |name: &str| std::fs::metadata(home.path("again/runs").join(name)).and_then(|m| m.modified()).ok();
        ["full-1.json", "without-sic-1.json", "full-3.json"].map(stamp)
    };
    let first = runs();
    assert!(first[0].is_some() && first[1].is_some() && first[2].is_none());
    // Three seeds: the two runs that are there are not made again.
    run("3").works();
    let all = runs();
    assert!(all[..2] == first[..2] && all[2].is_some());

    let numbers = read(&home.path("again/imagine.json"));
    let variants = numbers["variants"].as_array().unwrap();
    assert_eq!(variants.len(), 2);
    let of = |v: &Value, group: usize| v["groups"][group]["questions"].as_u64().unwrap();
    assert!(of(&variants[0], 1) > 0 && of(&variants[0], 2) > 0);
    assert_eq!(of(&variants[0], 0), of(&variants[0], 1) + of(&variants[0], 2));
    assert_eq!(numbers["cost"]["added"], 952_579);
    let text = std::fs::read_to_string(home.path("again/imagine.md")).unwrap();
    assert!(text.contains("R@1 implied less full") && text.contains("seeds 1, 2, 3"), "{text}");
    let page = std::fs::read_to_string(home.path("again/imagine.html")).unwrap();
    let fetches = ["src=\"http", "href=\"http", "url(http", "@import"].iter().any(|f| page.contains(f));
    assert!(page.contains("<svg") && !fetches, "the page is not self-contained");
    // Cases and maps are there whoever is ahead.
    assert!(text.contains("## Figure 7") && text.contains("implied questions the full method answers"), "{text}");
    assert!(page.contains("as the network saw it"), "no maps");
    assert!(page.contains("Figures 7 and 8") && page.matches("class=\"answers\"").count() >= 3, "no cases");

    // The same seed is the same run, whoever else runs beside it.
    let alone = [&["reproduce", "imagine", "--out", "alone", "--seeds", "1", "-j", "1"], &few[..]].concat();
    home.run(&alone).works();
    let ranks = |folder: &str| read(&home.path(folder).join("runs/without-sic-1.json"))["ranks"].clone();
    assert_eq!(ranks("alone"), ranks("again"));
}

/// A picture like no other: a square of its own place and colour.
pub fn picture(path: &Path, i: u32) {
    let mut frame = Frame::filled(48, 48, [240, 240, 240]);
    for y in 0..12 {
        for x in 0..12 {
            let at = (((y + i * 7 % 36) * 48 + x + i * 11 % 36) * 3) as usize;
            frame.rgb[at..at + 3].copy_from_slice(&[(i * 29 % 256) as u8, (i * 67 % 256) as u8, (i * 101 % 256) as u8]);
        }
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    media::write_png(path, &frame).unwrap();
}

/// FashionIQ of a few pictures: 168 questions to learn from, 18 to be marked on, and one picture of each
/// category that nobody asks about.
pub fn write_fashioniq(home: &Home) {
    for (c, category) in ["dress", "shirt", "toptee"].into_iter().enumerate() {
        for (split, many, asked) in [("train", 8, 56), ("val", 6, 5 + c)] {
            let name = |i: usize| format!("{split}{c}{i}");
            for i in 0..=many {
                picture(&home.path(&format!("set/images/{}.png", name(i))), (c * 20 + i + many) as u32);
            }
            let names: Vec<String> = (0..=many).map(name).collect();
            let pairs = (0..many).flat_map(|a| (0..many).filter(move |b| a != *b).map(move |b| (a, b)));
            let pairs: Vec<Value> = pairs
                .take(asked)
                .map(|(a, b)| json!({"candidate": name(a), "target": name(b), "captions": ["is red", "has a stripe"]}))
                .collect();
            home.write(&format!("set/captions/cap.{category}.{split}.json"), json!(pairs).to_string());
            home.write(&format!("set/image_splits/split.{category}.{split}.json"), json!(names).to_string());
        }
    }
}

#[test]
fn variants_on_a_set_that_lies_here() {
    let home = Home::new();
    write_fashioniq(&home);
    // One file is no picture, one is cut off, one is not there.
    home.write("set/images/train07.png", "<!doctype html>");
    let whole = std::fs::read(home.path("set/images/train17.png")).unwrap();
    home.write("set/images/train17.png", &whole[..whole.len() / 2]);
    std::fs::remove_file(home.path("set/images/val05.png")).unwrap();

    let on = |more: &[&str]| {
        home.run(&[&["reproduce", "imagine", "--set", "fashioniq", "--root", "set", "--out", "again"], more].concat())
    };
    on(&[]).fails(2, "--from NAME_OR_FOLDER");
    on(&["--quick", "--test", "3"]).fails(2, "--test");
    let few = ["--quick", "--variants", "full,without-sic", "--seeds", "3", "--steps", "3", "--no-times"];
    let run = on(&few);
    assert_eq!(run.code, Some(3), "{run:?}");
    for name in ["train07", "train17", "val05"] {
        assert!(run.err.contains(&format!("left out: {name}: ")), "{name} has disappeared: {run:?}");
    }
    let numbers = read(&home.path("again/imagine.json"));
    assert_eq!(numbers["data"], "fashioniq");
    let all = &numbers["variants"][0]["groups"];
    // 5 + 6 + 7 questions, of which one asks for what is not there.
    assert_eq!((all[0]["questions"].as_u64(), all[2]["questions"].as_u64()), (Some(17), Some(0)));
    // Galleries of six: whoever answers is among the first ten.
    assert_eq!(all[0]["average"]["mean"].as_f64().map(f64::round), Some(100.0));
    let text = std::fs::read_to_string(home.path("again/imagine.md")).unwrap();
    assert!(text.contains("The average is of R@10, 50.") && !text.contains("implied less"), "{text}");
}

#[test]
fn a_published_blip2_is_trained_on_a_set_as_the_paper_says() {
    let home = Home::new();
    write_fashioniq(&home);
    write_blip2(&home, "blip2");
    let on = |more: &[&str]| {
        let set = ["reproduce", "imagine", "--set", "fashioniq", "--root", "set", "--from", "blip2", "--out", "again"];
        let few = ["--variants", "full", "--seeds", "1", "--steps", "2", "--no-times"];
        home.run(&[&set[..], &few[..], more].concat())
    };
    on(&["--device", "gpu"]).fails(2, "--device cpu");
    on(&["--model", "blip2"]).fails(2, "--from NAME_OR_FOLDER");
    on(&[]).works();
    let numbers = read(&home.path("again/imagine.json"));
    assert_eq!(numbers["model"], "blip2");
    let training = &numbers["course"]["training"];
    assert_eq!(
        ["rate", "families", "triplets", "chunk", "steps"].map(|k| training[k].as_f64()),
        [1e-5, 64.0, 1.0, 8.0, 2.0].map(Some)
    );
    // What nobody asks about is no answer by these rules.
    assert_eq!((&numbers["protocol"]["name"], &numbers["gallery"]), (&json!("hud-fashioniq"), &json!(18)));
    let text = std::fs::read_to_string(home.path("again/imagine.md")).unwrap();
    for part in ["Marked by protocol hud-fashioniq", "on FashionIQ are by the same rules (inferred: ", "was put right"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }

    // The run is found again, but not where other words are learnt from.
    let made = || std::fs::metadata(home.path("again/runs/full-1.json")).and_then(|m| m.modified()).unwrap();
    let first = made();
    on(&[]).works();
    assert_eq!(made(), first);
    let captions = home.path("set/captions/cap.dress.train.json");
    let asked = std::fs::read_to_string(&captions).unwrap();
    std::fs::write(&captions, asked.replacen("has a stripe", "has two", 1)).unwrap();
    on(&[]).fails_after_notice(2, "runs/full-1.json is of another course");
    std::fs::write(&captions, asked).unwrap();
    on(&[]).works();
    // Nor where another picture lies under a name.
    std::fs::copy(home.path("set/images/train08.png"), home.path("set/images/train07.png")).unwrap();
    on(&[]).fails_after_notice(2, "of another course");
    assert_eq!(made(), first, "hours of work were replaced");
}

/// CIRR of a few pictures: groups of six look-alikes, `groups` to learn from and two to be marked on.
fn write_cirr(home: &Home, groups: usize) {
    for (split, folder, groups, asked) in [("train", "train", groups, 30), ("val", "dev", 2, 7)] {
        let (mut pairs, mut places) = (Vec::new(), serde_json::Map::new());
        for g in 0..groups {
            let name = |i: usize| format!("{folder}-{g}-0-img{i}");
            for i in 0..6 {
                let place = format!("{folder}/{}.png", name(i));
                picture(&home.path(&format!("set/img_raw/{place}")), (g * 6 + i) as u32);
                places.insert(name(i), format!("./{place}").into());
            }
            let members: Vec<String> = (0..6).map(name).collect();
            let ordered = (0..6).flat_map(|a| (0..6).filter(move |b| a != *b).map(move |b| (a, b)));
            for (a, b) in ordered.take(asked) {
                pairs.push(json!({
                    "pairid": pairs.len(), "reference": name(a), "target_hard": name(b), "target_soft": {name(b): 1.0},
                    "caption": "the square elsewhere", "img_set": {"members": members},
                }));
            }
        }
        home.write(&format!("set/captions/cap.rc2.{split}.json"), json!(pairs).to_string());
        home.write(&format!("set/image_splits/split.rc2.{split}.json"), json!(places).to_string());
    }
}

/// WebVid-CoVR of a few clips of three frames.
fn write_webvid(home: &Home) {
    let mut seen = 0;
    for (file, size, clips, asked) in [("webvid2m-covr_train", "2M", 13, 156), ("webvid8m-covr_test", "8M", 6, 6)] {
        let name = |i: usize| format!("00001_00050/{size}{i}");
        for i in 0..clips {
            let path = home.path(&format!("set/WebVid/{size}/train/{}.mp4", name(i)));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut clip = media::Mp4Writer::create(&path, 48, 48, 4.0).unwrap();
            for _ in 0..3 {
                seen += 1;
                clip.push(&Frame::filled(48, 48, [(seen * 29 % 256) as u8, (seen * 67 % 256) as u8, 90])).unwrap();
            }
            clip.finish().unwrap();
        }
        let ordered = (0..clips).flat_map(|a| (1..clips).map(move |step| (a, (a + step) % clips)));
        // Of the test, each clip is asked for once, as the authors have it.
        let ordered: Vec<(usize, usize)> = match asked < clips * (clips - 1) {
            true => (0..asked).map(|a| (a, (a + 1) % clips)).collect(),
            false => ordered.take(asked).collect(),
        };
        let rows: String =
            ordered.iter().map(|(a, b)| format!("one,another,darker,{},{}\n", name(*a), name(*b))).collect();
        home.write(&format!("set/annotation/webvid-covr/{file}.csv"), format!("txt1,txt2,edit,pth1,pth2\n{rows}"));
    }
}

#[test]
fn the_same_command_runs_on_cirr_and_on_clips() {
    for (set, questions, average) in [
        ("cirr", 14, "The average is of R@1, 5, 10, 50 and R_subset@1, 2, 3."),
        ("webvid-covr", 6, "The average is of R@1, 5, 10, 50."),
    ] {
        let home = Home::new();
        match set {
            "cirr" => write_cirr(&home, 5),
            _ => write_webvid(&home),
        }
        let few = ["--quick", "--variants", "full,without-sic", "--seeds", "3", "--steps", "3", "--no-times"];
        let on = ["reproduce", "imagine", "--set", set, "--root", "set", "--out", "again"];
        home.run(&[&on[..], &few[..]].concat()).works();
        let numbers = read(&home.path("again/imagine.json"));
        let asked = &numbers["variants"][0]["groups"][0]["questions"];
        assert_eq!((&numbers["data"], asked), (&json!(set), &json!(questions)));
        let text = std::fs::read_to_string(home.path("again/imagine.md")).unwrap();
        assert!(text.contains(average), "{text}");
    }
}
