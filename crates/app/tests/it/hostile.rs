//! Bad input: one clear line, the documented code, never a panic.

use std::io::Write as _;
use std::process::Stdio;

use super::{Home, Run};

/// A home with a library of three pictures.
fn furnished() -> Home {
    let home = Home::new();
    for (name, rgb) in [("red.png", [200, 20, 20]), ("green.png", [20, 200, 20]), ("blue.png", [20, 20, 200])] {
        home.write(&format!("pictures/{name}"), media::png_bytes(&media::Frame::filled(64, 48, rgb)).expect("a PNG"));
    }
    home.run(&["add", "pictures"]).works();
    home
}

/// A PNG that declares this size and holds nothing.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut png = media::png_bytes(&media::Frame::filled(1, 1, [0; 3])).expect("a PNG");
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    // The header's checksum stands behind it; without the right one the size would not be believed.
    let crc = png[12..29].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    png[29..33].copy_from_slice(&(!crc).to_be_bytes());
    png
}

#[test]
fn references_that_cannot_be_meant() {
    let home = furnished();
    home.run(&["find", "nowhere.jpg", "in red"]).fails(2, "there is no file nowhere.jpg");
    home.run(&["find", "pictures", "in red"]).fails(2, "is a folder");
    home.run(&["find", "#99", "in red"]).fails(2, "no item #99");
    home.run(&["find", "#x", "in red"]).fails(2, "#NUMBER");
    home.run(&["find", "a.mp4@00:45-00:41", "in red"]).fails(2, "ends before it starts");
    home.write("holiday.mp4", "this is a text, whatever its name says");
    home.run(&["find", "holiday.mp4", "in red"]).fails(2, "not a picture or a clip");
    home.write("empty.jpg", "");
    home.run(&["find", "empty.jpg", "in red"]).fails(2, "empty.jpg");
    home.write("bomb.png", png_header(60_000, 60_000));
    let bomb = home.run(&["find", "bomb.png", "in red"]);
    bomb.fails(2, "too large: 60000×60000");
    assert!(bomb.err.contains("--max-pixels"), "{bomb:?}");
}

#[test]
fn words_that_cannot_be_meant() {
    let home = furnished();
    home.run(&["find", "pictures/red.png"]).fails(2, "the words are empty");
    home.run(&["find", "pictures/red.png", "  \n "]).fails(2, "the words are empty");
    home.run(&["find", "pictures/red.png", &"red ".repeat(20_000)]).fails(2, "80000 bytes long");
    home.run(&["find", "pictures/red.png", "red", "--not", &"red ".repeat(20_000)]).fails(2, "80000 bytes long");

    let piped = |words: &[u8]| {
        let mut command = home.command(&["find", "pictures/red.png", "-"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        // The binary stops reading early, on purpose: then writing fails.
        let _ = child.stdin.take().expect("a pipe").write_all(words);
        Run::of(child.wait_with_output().expect("it ends"))
    };
    piped(&b"red ".repeat(2_500_000)).fails(2, "more than 16384 bytes");
    piped(b"").fails(2, "the words are empty");
    piped(b"\xff\xfe").fails(2, "not text in UTF-8");
    assert_eq!(piped(b"in green\n").works().out.lines().count(), 2);
}

#[test]
fn names_that_are_not_known() {
    let home = furnished();
    let run = home.run(&["find", "pictures/red.png", "in blue", "--method", "imagin"]);
    run.fails(2, "there is no method \"imagin\"");
    assert!(run.err.contains("did you mean \"imagine\"?"), "{run:?}");
    home.run(&["find", "pictures/red.png", "in blue", "--model", "nowhere"]).fails(5, "nowhere");
    home.run(&["eval", "nowhere"]).fails(5, "nowhere");
    home.run(&["eval", "pictures", "--methods", "sums"]).fails(2, "did you mean \"sum\"?");
    home.run(&["train", "nowhere.toml", "--out", "run"]).fails(2, "nowhere.toml");
    home.run(&["scenes", "world", "--test", "0"]).fails(2, "at least one family");
    home.run(&["add", "nowhere"]).fails(2, "no such file");
}

#[test]
fn weights_that_are_not_what_they_say_are_refused() {
    let home = furnished();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/scenes-toy");
    let mut weights = std::fs::read(format!("{shipped}/model.safetensors")).expect("the shipped model");
    let half = weights.len() / 2;
    weights[half] ^= 1;
    home.write("model/model.safetensors", weights);
    for name in ["manifest.json", "vocab.txt"] {
        home.write(&format!("model/{name}"), std::fs::read(format!("{shipped}/{name}")).expect("the shipped model"));
    }
    home.run(&["find", "pictures/red.png", "in blue", "--model", "model"]).fails(5, "digest");
    home.write("model/manifest.json", "{\"format\": 99}");
    home.run(&["find", "pictures/red.png", "in blue", "--model", "model"]).fails(5, "layout 99");
    home.write("model/manifest.json", "no JSON");
    home.run(&["find", "pictures/red.png", "in blue", "--model", "model"]).fails(5, "manifest");
}

#[test]
fn files_that_cannot_be_read_are_left_out_with_their_reasons() {
    let home = furnished();
    home.write("mixed/good.png", media::png_bytes(&media::Frame::filled(8, 8, [1, 2, 3])).expect("a PNG"));
    home.write("mixed/text.mp4", "a text");
    home.write("mixed/bomb.png", png_header(60_000, 60_000));
    home.write("mixed/empty.jpg", "");
    home.write("mixed/notes.md", "not media, and not said to be");
    let run = home.run(&["add", "mixed", "--json"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    let json = run.json();
    assert_eq!(
        (json["found"].clone(), json["indexed"].clone(), json["other_files"].clone()),
        (4.into(), 1.into(), 1.into())
    );
    assert_eq!(json["failed"].as_array().map(Vec::len), Some(3));
    for reason in ["text.mp4: not a picture or a clip", "bomb.png: too large", "empty.jpg: "] {
        assert_eq!(run.err.matches(reason).count(), 1, "{reason}: {run:?}");
    }
    let again = home.run(&["add", "mixed"]);
    assert_eq!(again.code, Some(3), "{again:?}");
    assert!(again.out.starts_with("found 4 = 0 indexed + 1 unchanged + 3 left out"), "{again:?}");
    assert!(home.run(&["status", "--failed"]).works().out.contains("bomb.png: too large"));
    // Nobody who hears of them is no reason to stop.
    let mut child =
        home.command(&["add", "mixed"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    drop(child.stderr.take());
    let unheard = Run::of(child.wait_with_output().expect("it ends"));
    assert_eq!((unheard.code, unheard.out), (Some(3), again.out));
}

#[test]
fn what_the_machine_is_to_blame_for_leaves_the_library_as_it_was() {
    let home = furnished();
    // The same model under another name, so that everything is looked at again.
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/scenes-toy");
    for name in ["manifest.json", "vocab.txt", "model.safetensors"] {
        home.write(&format!("model/{name}"), std::fs::read(format!("{shipped}/{name}")).expect("the shipped model"));
    }
    let manifest = std::fs::read_to_string(home.path("model/manifest.json")).expect("its manifest");
    home.write("model/manifest.json", manifest.replacen("\"scenes-toy\"", "\"other\"", 1));
    let run = home.run(&["add", "pictures", "--model", "model", "--max-pixels", "1000"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.out.starts_with("found 3 = 0 indexed + 0 unchanged + 3 left out"), "{run:?}");
    assert_eq!(run.err.matches("; what the library holds of it stays").count(), 3, "{run:?}");
    let status = home.run(&["status", "--json"]).works().json();
    assert_eq!((status["indexed"].clone(), status["failed"].clone()), (3.into(), serde_json::json!([])));
    home.run(&["find", "pictures/red.png", "in blue"]).works();
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_unicode_is_no_bug() {
    use std::os::unix::ffi::OsStrExt as _;
    let home = furnished();
    let odd = |name: &[u8]| home.path("odd").join(std::ffi::OsStr::from_bytes(name));
    home.write("odd/some.png", media::png_bytes(&media::Frame::filled(8, 8, [1, 2, 3])).expect("a PNG"));
    std::fs::rename(home.path("odd/some.png"), odd(b"good\xff.png")).expect("it is renamed");
    std::fs::write(odd(b"\xff.jpg"), "broken").expect("a file");
    let planned = home.run(&["add", "--dry-run", "odd", "--json"]).works().json();
    assert_eq!(planned["files"].as_array().map(Vec::len), Some(2), "{planned}");
    let run = home.run(&["add", "odd", "--json"]);
    assert_eq!((run.code, run.json()["indexed"].clone()), (Some(3), 1.into()), "{run:?}");
    let named = |path: &serde_json::Value| path.as_str().is_some_and(|p| p.ends_with("\u{fffd}.jpg"));
    assert!(named(&run.json()["failed"][0]["path"]), "{run:?}");
    assert!(named(&home.run(&["status", "--json"]).works().json()["failed"][0]["path"]));
    let found = home.run(&["find", "pictures/red.png", "in blue", "--json"]).works().json();
    assert_eq!(found["hits"].as_array().map(Vec::len), Some(3), "{found}");
    std::fs::remove_file(odd(b"good\xff.png")).expect("it goes");
    let verified = home.run(&["verify", "--json"]).works().json();
    assert_eq!(verified["missing_files"].as_array().map(Vec::len), Some(1), "{verified}");
    let removed = home.run(&["remove", "odd", "--json"]).works().json();
    assert_eq!(removed["removed"].as_array().map(Vec::len), Some(1), "{removed}");
    assert!(named(&removed["forgotten_failures"][0]), "{removed}");
    // What is written is named as well as what is read.
    let mut scenes = home.command(&["scenes", "--test", "1", "--json"]);
    let run = Run::of(scenes.arg(odd(b"\xff world")).output().expect("the binary starts"));
    let folder = run.works().json()["folder"].clone();
    assert!(folder.as_str().is_some_and(|p| p.ends_with("\u{fffd} world")), "{folder}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_has_its_code() {
    let home = furnished();
    let run = home.run(&["find", "pictures/red.png", "in blue", "--page", "/dev/full"]);
    run.fails(7, "cannot write the page /dev/full");
}
