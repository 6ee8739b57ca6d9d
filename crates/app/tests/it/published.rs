//! Models as others publish them, tiny and random: from their folders and files to vectors and hits.

use std::path::{Path, PathBuf};

use media::{Frame, Limits};
use methods::{Model, Seen};
use nets::clip::import::{Layout, convert};
use nets::clip::names::OURS_OPENCLIP;
use nets::clip::{Clip, Config};
use nets::published::Published;
use nets::weights::{Checkpoint, Tensors};
use serde_json::{Value, json};

use super::Home;

/// Words for a tokenizer of 512 letters, two merges and two ends.
const MERGES: &str = "#version: 0.2\nt h\nth e</w>\n";
const PIECES: usize = 516;

/// A CLIP in two folders: `clip`, as OpenCLIP publishes, and `hf`, as transformers does.
pub fn write_clip(home: &Home) {
    let config = Config { vocab: PIECES, ..Config::tiny() };
    let device = nets::cpu();
    device.seed(5);
    let ours = Tensors::of(&Clip::new(&config, &device));
    let one = |name: &String| {
        let theirs = OURS_OPENCLIP.right_name(name).expect("every parameter has a name there");
        let raw = OURS_OPENCLIP.right_from_left(&theirs).expect("a line").read(&ours, None).expect("numbers");
        (theirs, (raw.shape().to_vec(), raw.floats().expect("numbers")))
    };
    let theirs = Tensors { map: ours.map.keys().map(one).collect() };
    let file = home.write("clip/open_clip_model.safetensors", theirs.to_bytes(false).expect("a file"));
    let (v, t) = (config.vision, config.text);
    let settings = json!({"model_cfg": {
        "embed_dim": config.embed, "quick_gelu": true,
        "vision_cfg": {"image_size": config.image, "patch_size": config.patch, "width": v.width, "layers": v.layers,
                       "head_width": v.width / v.heads, "mlp_ratio": v.mlp as f64 / v.width as f64},
        "text_cfg": {"context_length": config.context, "vocab_size": config.vocab, "width": t.width, "heads": t.heads,
                     "layers": t.layers, "mlp_ratio": t.mlp as f64 / t.width as f64}}});
    home.write("clip/open_clip_config.json", settings.to_string());
    home.write("clip/merges.txt", MERGES);

    let tower = |t: nets::clip::Tower| {
        json!({"hidden_size": t.width, "num_hidden_layers": t.layers, "num_attention_heads": t.heads,
               "intermediate_size": t.mlp, "hidden_act": "quick_gelu"})
    };
    let (mut vision, mut text) = (tower(v), tower(t));
    (vision["image_size"], vision["patch_size"]) = (config.image.into(), config.patch.into());
    (text["vocab_size"], text["max_position_embeddings"]) = (config.vocab.into(), config.context.into());
    text["eos_token_id"] = (PIECES - 1).into();
    let settings =
        json!({"model_type": "clip", "projection_dim": config.embed, "vision_config": vision, "text_config": text});
    home.write("hf/config.json", settings.to_string());
    let size = config.image;
    let view = json!({"crop_size": size, "size": size, "resample": 3, "do_center_crop": true});
    home.write("hf/preprocessor_config.json", view.to_string());
    let merges = home.write("hf/merges.txt", MERGES);
    let to = merges.with_file_name("model.safetensors");
    convert(Checkpoint::open(&file).expect("weights"), Layout::HuggingFace, &to).expect("another's names");
}

fn checkpoints() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/checkpoints")
}

/// BERT's pieces, as many as the tiny BLIP-2 has, less its own [DEC].
fn vocab() -> String {
    let pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "red", "one", "blue"];
    (0..23).map(|i| pieces.get(i).map_or(format!("piece{i}\n"), |p| format!("{p}\n"))).collect()
}

/// A BLIP-2 in a folder, as transformers publishes.
pub fn write_blip2(home: &Home, folder: &str) {
    for file in std::fs::read_dir(checkpoints().join("hf")).expect("a folder").flatten() {
        let name = format!("{folder}/{}", file.file_name().to_string_lossy());
        home.write(&name, std::fs::read(file.path()).expect("a file"));
    }
    home.write(&format!("{folder}/config.json"), r#"{"model_type": "blip-2"}"#);
    home.write(&format!("{folder}/vocab.txt"), vocab());
    let view = r#"{"size": {"height": 28, "width": 28}, "resample": 3}"#;
    home.write(&format!("{folder}/preprocessor_config.json"), view);
}

fn write_pictures(home: &Home) {
    for (name, rgb) in [("red.png", [200, 20, 20]), ("blue.png", [20, 20, 200]), ("grey.png", [90, 90, 90])] {
        home.write(name, media::png_bytes(&Frame::filled(40, 30, rgb)).expect("a picture"));
    }
}

fn vectors(run: &Value) -> Vec<Vec<f32>> {
    let numbers = |row: &Value| {
        row["vector"].as_array().expect("a vector").iter().map(|n| n.as_f64().expect("a number") as f32).collect()
    };
    run["rows"].as_array().expect("rows").iter().map(numbers).collect()
}

fn off(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

const INPUTS: [&str; 7] = ["red.png", "--text", "the red one", "blue.png", "--text", "the the", "grey.png"];

fn embedded(home: &Home, model: &str) -> Value {
    home.run(&[&["embed"], &INPUTS[..], &["--model", model, "--json"]].concat()).works().json()
}

#[test]
fn a_clip_is_shown_embeds_is_added_and_asked() {
    let home = Home::new();
    write_clip(&home);
    write_pictures(&home);
    let show = home.run(&["model", "show", "./clip", "--json"]).works().json();
    let report = &show["opened"]["report"];
    assert_eq!(
        (report["missing"].as_array().map(Vec::len), report["unexpected"].as_array().map(Vec::len)),
        (Some(0), Some(0))
    );
    let text = home.run(&["model", "show", "./clip"]).works().out.clone();
    assert!(text.contains("centre-crop 28") && text.contains("tensors loaded") && text.contains("space"), "{text}");

    // The command gives what the library gives.
    let there = embedded(&home, "./clip");
    let place = home.path("clip");
    let weights = Checkpoint::open(&place).expect("weights");
    let found = Published::read(&place, &weights, &[]).expect("a published model");
    let digest = serde_json::from_value(show["opened"]["space"]["weights"].clone()).expect("a digest");
    let (model, _) = Model::published("clip", "", found, &weights, digest, &nets::cpu()).expect("a model");
    let seen = |name: &str| {
        let picture = media::picture_from_bytes(&std::fs::read(home.path(name)).expect("a file"), &Limits::default());
        Seen { frames: vec![model.manifest.view.look(&picture.expect("a picture"))] }
    };
    let pictures = ["red.png", "blue.png", "grey.png"].map(seen);
    let mut own: Vec<Vec<f32>> = model.embed(&pictures.each_ref()).into_iter().map(|e| e.values).collect();
    let said: Vec<Vec<f32>> = model.say(&["the red one", "the the"]).into_iter().map(|e| e.values).collect();
    own.insert(1, said[0].clone());
    own.insert(3, said[1].clone());
    let rows = vectors(&there);
    assert!(off(&rows, &own) < 1e-5);
    assert!(off(&rows[..1], &rows[2..3]) > 1e-3, "two pictures are two vectors");

    // Under transformers' names it is the same network, and back again the same file.
    assert!(off(&vectors(&embedded(&home, "./hf")), &rows) < 1e-5);
    for (from, names, to, same) in [
        ("./hf", "openclip", "o.safetensors", "clip/open_clip_model.safetensors"),
        ("./clip", "transformers", "t.safetensors", "hf/model.safetensors"),
    ] {
        home.run(&["model", "convert", from, "--names", names, "--out", to]).works();
        let open = |name: &str| Checkpoint::open(&home.path(name)).expect("weights");
        let (made, wanted) = (open(to), open(same));
        assert_eq!(made.tensors().len(), wanted.tensors().len());
        for (name, entry) in wanted.tensors() {
            assert_eq!(made.entry(name).map(|e| &e.shape), Some(&entry.shape), "{name}");
            assert_eq!(made.floats(name).expect("numbers"), wanted.floats(name).expect("numbers"), "{name}");
        }
    }
    home.run(&["model", "convert", "./clip", "--names", "lavis", "--out", "l.safetensors"])
        .fails(5, "this is no BLIP-2");

    // As files, row by row.
    let args = [&["embed"], &INPUTS[..], &["--model", "./clip"]].concat();
    home.run(&[&args[..], &["--out", "v.npy"]].concat()).works();
    home.run(&[&args[..], &["--out", "v.safetensors"]].concat()).works();
    let flat: Vec<f32> = rows.concat();
    let npy = std::fs::read(home.path("v.npy")).expect("a file");
    let tail: Vec<f32> = npy[npy.len() - 4 * flat.len()..]
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let kept = Checkpoint::open(&home.path("v.safetensors")).expect("a file").floats("vectors").expect("vectors");
    assert!(off(&[tail], std::slice::from_ref(&flat)) < 1e-6 && off(&[kept], std::slice::from_ref(&flat)) < 1e-6);

    // What is found is what the vectors say.
    home.run(&["add", "red.png", "blue.png", "grey.png", "--model", "./clip"]).works();
    let question = ["--reference", "red.png", "--words", "the blue one", "--model", "./clip", "--json"];
    let asked = vectors(&home.run(&[&["embed"], &question[..]].concat()).works().json());
    let found = home.run(&["find", "red.png", "the blue one", "--model", "./clip", "--json"]).works().json();
    let hits = found["hits"].as_array().expect("hits");
    assert_eq!((hits.len(), found["query"]["method"].as_str()), (2, Some("sum")), "the reference is no answer");
    for hit in hits {
        let of = if hit["path"].as_str().is_some_and(|p| p.ends_with("blue.png")) { &rows[2] } else { &rows[4] };
        let dot: f32 = asked[0].iter().zip(of).map(|(a, b)| a * b).sum();
        assert!((f64::from(dot) - hit["score"].as_f64().expect("a score")).abs() < 2e-3, "{hit}: {dot}");
    }
}

#[test]
fn a_model_is_measured_and_the_list_shows_it() {
    let home = Home::new();
    write_clip(&home);
    home.run(&["model", "import", "./clip", "--name", "mine"]).works();
    let line = |home: &Home| {
        let list = home.run(&["model", "list", "--json"]).works().json();
        list["models"].as_array().expect("models").iter().find(|m| m["name"] == "mine").expect("it is listed").clone()
    };
    assert!(line(&home)["speed"].is_null());
    let list = home.run(&["model", "list"]);
    assert!(list.works().out.contains("not measured yet") && list.err.contains("likebut model measure"), "{list:?}");
    let measured = home.run(&["model", "measure", "mine", "--json"]).works().json();
    let speed = line(&home)["speed"].clone();
    assert_eq!(measured["models"][0]["speed"], speed);
    assert!(speed["pictures_per_sec"].as_f64() > Some(0.0) && speed["texts_per_sec"].as_f64() > Some(0.0), "{speed}");
    let mine =
        home.run(&["model", "list"]).works().out.lines().find(|l| l.starts_with("mine")).expect("a line").to_owned();
    assert!(mine.contains("pictures/s"), "{mine}");
    // Another way to compute has another speed.
    let portable = home.command(&["model", "list"]).env("LIKEBUT_CPU", "portable").output().expect("the binary starts");
    let portable = String::from_utf8(portable.stdout).expect("UTF-8");
    assert!(portable.lines().any(|l| l.starts_with("mine") && l.contains("not measured yet")), "{portable}");
    // What cannot be read counts for nothing.
    home.write(".local/share/likebut/speeds.json", "[1, {");
    assert!(line(&home)["speed"].is_null());
    home.run(&["model", "measure", "nowhere"]).fails(5, "there is no model");
}

#[test]
fn a_checkpoint_of_lavis_or_covr2_runs_as_it_lies() {
    let home = Home::new();
    write_pictures(&home);
    let golden = checkpoints();
    for name in ["lavis.pth", "covr2.ckpt"] {
        home.write(name, std::fs::read(golden.join(name)).expect("a checkpoint"));
    }
    let run = home.run(&["embed", "red.png", "--model", "./lavis.pth", "--json"]);
    run.fails(5, "google-bert/bert-base-uncased");
    assert!(run.err.contains("put that file beside the weights"), "{run:?}");

    // BERT's pieces, as Python's LAVIS leaves them in the shared cache; [DEC] is its own.
    let vocab = vocab();
    let cache = format!(".cache/huggingface/hub/models--bert-base-uncased/snapshots/{}/vocab.txt", "a".repeat(40));
    let cached = home.write(&cache, &vocab);
    let rows = vectors(&embedded(&home, "./lavis.pth"));
    assert_eq!(vectors(&embedded(&home, "./covr2.ckpt")), rows, "the same weights among CoVR-2's own objects");
    let show = home.run(&["model", "show", "./covr2.ckpt"]);
    assert!(show.works().out.contains("squash 28") && show.out.contains("tensors loaded"), "{show:?}");

    // By a name, with its words; the cache may go then.
    home.run(&["model", "import", "covr2.ckpt", "--name", "covr", "--copy"]).works();
    std::fs::remove_file(cached).expect("it goes");
    assert_eq!(vectors(&embedded(&home, "covr")), rows);
    home.run(&["embed", "red.png", "--model", "./covr2.ckpt", "--json"]).fails(5, "bert-base-uncased");
    let alone = home.run(&["model", "import", "lavis.pth"]);
    assert!(
        alone.works().err.contains("cannot be used as it is") && alone.err.contains("bert-base-uncased"),
        "{alone:?}"
    );

    // Transformers keeps the same numbers, and another eps in one norm.
    write_blip2(&home, "hf");
    assert!(off(&vectors(&embedded(&home, "./hf")), &rows) < 1e-3);

    let doctor = home.run(&["doctor", "--model", "covr"]);
    assert!(doctor.works().out.contains("BLIP-2"), "{doctor:?}");
    home.run(&["add", "red.png", "blue.png", "--model", "covr"]).works();
    let found = home.run(&["find", "red.png", "the blue one", "--model", "covr", "--json"]).works().json();
    assert_eq!(found["hits"].as_array().map(Vec::len), Some(1), "{found}");
}
