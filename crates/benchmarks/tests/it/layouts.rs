//! Tiny sets in the authors' layouts: the same marks as from a script in another language, and what is
//! wrong is refused with its place.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use benchmarks::bootstrap::Bootstrap;
use benchmarks::sets::{self, Opened, SETS, mine, presence};
use benchmarks::{Error, Protocol, preset};
use domain::Split;

use crate::Dice;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// `name,1,2,3`, the name in quotes where it has commas.
fn vectors(path: &Path) -> HashMap<String, Vec<f32>> {
    let text = fs::read_to_string(path).unwrap();
    let line = |l: &str| {
        let (name, rest) = l.strip_prefix('"').and_then(|l| l.split_once("\",")).or_else(|| l.split_once(',')).unwrap();
        (name.to_owned(), rest.split(',').map(|v| v.parse().unwrap()).collect())
    };
    text.lines().map(line).collect()
}

#[test]
fn every_number_is_that_of_the_numpy_script() {
    let golden = fs::read_to_string(fixtures().join("golden/exam.json")).unwrap();
    let golden: Vec<serde_json::Value> = serde_json::from_str(&golden).unwrap();
    let (mut sets_seen, mut numbers) = (std::collections::BTreeSet::new(), 0);
    for case in &golden {
        let text = |key: &str| case[key].as_str().unwrap();
        let set = sets::set(text("set")).unwrap();
        let root = fixtures().join("sets").join(set.name);
        let split: Split = serde_json::from_value(case["split"].clone()).unwrap();
        let protocol = preset(text("protocol")).unwrap().protocol();
        let (items, questions) = (vectors(&root.join("gallery.csv")), vectors(&root.join("questions.csv")));
        sets_seen.insert(set.name);
        let opened = set.open(&root, split, &protocol).unwrap();
        assert_eq!(opened.exams.len(), case["marks"].as_object().unwrap().len());
        for mut exam in opened.exams {
            let want = &case["marks"][&exam.name];
            exam.protocol = exam.protocol.clone().within(exam.gallery.len());
            let mut marker = exam.marker().unwrap();
            for q in &exam.queries {
                let asked = &questions[&q.id];
                let dot = |v: &Vec<f32>| v.iter().zip(asked).map(|(a, b)| a * b).sum::<f32>();
                let scores: Vec<f32> = exam.gallery.iter().map(|g| dot(&items[&g.name])).collect();
                marker.add_scores(&q.id, &scores).unwrap();
            }
            let report = marker.finish(Bootstrap { resamples: 3, seed: 1 }).unwrap();
            assert_eq!(want["questions"], report.all.queries, "{}", exam.name);
            assert_eq!(want["gallery"], report.gallery, "{}", exam.name);
            for (name, value) in want.as_object().unwrap() {
                let at = |prefix: &str| name.strip_prefix(prefix).and_then(|k| k.parse().ok());
                let got = match name.as_str() {
                    "questions" | "gallery" => continue,
                    "mean rank" => report.all.mean_rank,
                    "median rank" => report.all.median_rank,
                    _ => (at("R@").and_then(|k| report.all.recall_at(k)))
                        .or_else(|| at("mAP@").and_then(|k| report.all.average_precision_at(k)))
                        .or_else(|| at("R_subset@").and_then(|k| report.all.subset_recall_at(k))),
                };
                let got = got.unwrap_or_else(|| panic!("{}: no {name}", exam.name)).value;
                let value = value.as_f64().unwrap();
                assert!((got - value).abs() < 1e-9, "{} {}: {name} is {got}, not {value}", exam.name, text("protocol"));
                numbers += 1;
            }
        }
    }
    assert_eq!(sets_seen.len(), 7, "every published set");
    assert!(numbers > 100, "{numbers}");
}

/// A copy of a tiny set to be spoilt.
fn copy(name: &str) -> tempfile::TempDir {
    fn all(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => all(&entry.path(), &to),
                false => drop(fs::copy(entry.path(), to).unwrap()),
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    all(&fixtures().join("sets").join(name), dir.path());
    dir
}

fn open(name: &str, root: &Path, split: Split) -> Result<Opened, Error> {
    let set = sets::set(name).unwrap();
    set.open(root, split, &set.usual())
}

/// Changes one text in one file; the set must be refused, and every part of the message be there.
#[track_caller]
fn refused(name: &str, split: Split, file: &str, change: &dyn Fn(String) -> String, parts: &[&str]) {
    let dir = copy(name);
    let path = dir.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed, "nothing was changed in {file}");
    fs::write(&path, changed).unwrap();
    let text = open(name, dir.path(), split).expect_err("this should be refused").to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_file_and_place() {
    let cap = "captions/cap.dress.val.json";
    let split = "image_splits/split.dress.val.json";
    let twice = |t: String| t.replacen("\"BD001\"", "\"BD000\"", 1);
    refused("fashioniq", Split::Val, split, &twice, &[split, "entry 2", "listed twice"]);
    let gone =
        |t: String| t.replacen("\n]", ",{\"target\":\"X1\",\"candidate\":\"BD001\",\"captions\":[\"a\",\"b\"]}]", 1);
    refused("fashioniq", Split::Val, cap, &gone, &[cap, "entry 15", "X1", "does not list"]);
    refused(
        "fashioniq",
        Split::Val,
        cap,
        &|t| t.replacen("\"target\"", "\"targets\"", 1),
        &[cap, "entry 1", "no `target`"],
    );
    refused(
        "fashioniq",
        Split::Val,
        cap,
        &|t| t.replacen("\"candidate\"", "\"candidat\"", 1),
        &[cap, "line 9", "missing field `candidate`"],
    );
    refused("fashioniq", Split::Val, cap, &|t| t[..t.len() / 2].to_owned(), &[cap, "line ", "EOF"]);
    refused("fashioniq", Split::Val, cap, &|_| "[".repeat(100_000), &[cap, "line 1"]);
    refused("fashioniq", Split::Val, split, &|t| t.replacen("BD000", "../BD000", 1), &[split, "stays inside"]);
    let cap = "captions/cap.rc2.val.json";
    refused(
        "cirr",
        Split::Val,
        cap,
        &|t| t.replacen("\"pairid\": 101", "\"pairid\": 100", 1),
        &[cap, "entry 2", "pairid 100 comes twice"],
    );
    refused(
        "cirr",
        Split::Val,
        cap,
        &|t| t.replacen("\"members\"", "\"member\"", 1),
        &[cap, "missing field `members`"],
    );
    let list = "image_splits/split.rc2.val.json";
    refused(
        "cirr",
        Split::Val,
        list,
        &|t| t.replacen("\"dev-0-1-img1\":", "\"dev-0-0-img0\":", 1),
        &[list, "line ", "\"dev-0-0-img0\" comes twice"],
    );
    let cap = "annotations/val.json";
    refused(
        "circo",
        Split::Val,
        cap,
        &|t| t.replacen("\"id\": 1,", "\"id\": 0,", 1),
        &[cap, "entry 2", "id 0 comes twice"],
    );
    refused(
        "circo",
        Split::Val,
        cap,
        &|t| t.replacen("\"reference_img_id\": ", "\"reference_img_id\": 9", 1),
        &[cap, "entry 1", "does not list"],
    );
    let csv = "annotation/webvid-covr/webvid8m-covr_test.csv";
    refused(
        "webvid-covr",
        Split::Test,
        csv,
        &|t| t.replacen(",pth2", ",path2", 1),
        &[csv, "line 1", "no column `pth2`", "txt1"],
    );
    refused("webvid-covr", Split::Test, csv, &|t| t + "a,b,c\n", &[csv, "line 12", "3 fields"]);
    refused("webvid-covr", Split::Test, csv, &|t| t + "\"a", &[csv, "line 12", "never ends"]);
    let cap = "dataset/relative_captions_shoes.json";
    refused(
        "shoes",
        Split::Test,
        cap,
        &|t| t.replacen("\"ReferenceImageName\": \"img_womens", "\"ReferenceImageName\": \"img_mens", 2),
        &[cap, "different parts"],
    );
    refused(
        "genecis",
        Split::Test,
        "genecis/focus_attribute.json",
        &|t| t.replace("instance_bbox", "bbox"),
        &["focus_attribute.json", "entry 2", "no `instance_bbox`"],
    );
    let csv = "annotation/egocvr/egocvr_annotations_gallery.csv";
    refused("egocvr", Split::Test, csv, &|t| t.replacen("[0, 1,", "[0, 999,", 1), &[csv, "line 2", "999 is no row"]);
    refused("egocvr", Split::Test, csv, &|t| t.replacen("\"['", "\"['x", 1), &[csv, "line 2", "does not list"]);

    // What is not text, and what is not there.
    let dir = copy("cirr");
    fs::write(dir.path().join("captions/cap.rc2.val.json"), b"[\n\xff\xfe").unwrap();
    let text = open("cirr", dir.path(), Split::Val).unwrap_err().to_string();
    assert!(text.contains("cap.rc2.val.json, line 2: byte "), "{text}");
    for set in SETS {
        let dir = tempfile::tempdir().unwrap();
        let text = set.open(dir.path(), set.splits[0], &set.usual()).map(drop).unwrap_err().to_string();
        assert!(text.contains("missing") || text.contains("cannot read"), "{text}");
    }
    let text = open("circo", &fixtures().join("sets/circo"), Split::Train).unwrap_err().to_string();
    assert!(text.contains("no train part; it has val, test"), "{text}");
}

#[test]
fn hidden_answers_are_read_as_hidden() {
    let root = fixtures().join("sets");
    for (name, questions) in [("cirr", 3), ("circo", 4)] {
        let exam = open(name, &root.join(name), Split::Test).unwrap().exams.remove(0);
        assert!(exam.hidden && exam.queries.len() == questions);
        assert!(exam.marker().map(drop).unwrap_err().to_string().contains("keeps its right answers"));
    }
}

#[test]
fn media_are_found_where_people_keep_them_and_error_pages_are_no_pictures() {
    let dir = copy("fashioniq");
    let put = |path: &str, bytes: &[u8]| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    put("images/BD000.png", b"\x89PNG picture");
    put("images/BD001.jpg", b"\xff\xd8\xff picture");
    put("images/dress/BD002.jpg", b"\xff\xd8\xff picture");
    put("images/BD003.png", b"<!DOCTYPE html><html>gone</html>");
    put("images/BD004.png", b"");
    put("images/BD005.png", b"version https://git-lfs.github.com/spec/v1");
    let mut exam = open("fashioniq", dir.path(), Split::Val).unwrap().exams.remove(0);
    let found = presence::look(&exam);
    assert_eq!((found.of, found.missing.len(), found.broken.len()), (20, 14, 3));
    assert!(found.broken[0].1.contains("web page") && found.broken[1].1.contains("empty"), "{:?}", found.broken);
    let asked = exam.queries.len();
    presence::leave_out(&mut exam, found.unusable());
    assert_eq!(exam.gallery.len(), 3);
    assert_eq!(exam.queries.len() + exam.left_out.queries.len(), asked);
    let (low, high) = exam.left_out.bounds(1.0, exam.queries.len());
    assert!((low - exam.queries.len() as f64 / asked as f64).abs() < 1e-12 && high == 1.0);

    // Where questions carry their own vectors, a reference may be gone and still be asked about.
    let mut exam = open("fashioniq", dir.path(), Split::Val).unwrap().exams.remove(0);
    let reference = exam.queries[0].reference.clone();
    let lost = exam.queries.iter().filter(|q| q.targets == [reference.clone()]).count();
    presence::leave_out_of_gallery(&mut exam, vec![reference.clone()]);
    exam.check().unwrap();
    assert_eq!((exam.references[0].name.as_str(), exam.left_out.queries.len()), (reference.as_str(), lost));
}

#[test]
fn own_questions_read_the_same_from_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(
        at("q.jsonl"),
        r#"{"id":"1","reference":"a.jpg","text":"in red","target":"b.jpg","negatives":["c.jpg"],"slice":"colour"}
{"id":"2","reference":"b.jpg","text":"two, of \"them\"","targets":["a.jpg","c.jpg"]}"#,
    )
    .unwrap();
    let csv = "id,reference,text,targets,negatives,slice\n1,a.jpg,in red,b.jpg,c.jpg,colour\n2,b.jpg,\"two, of \"\"them\"\"\",a.jpg|c.jpg,,\n";
    fs::write(at("q.csv"), csv).unwrap();
    fs::write(
        at("q.json"),
        r#"{"images":[{"id":1,"file_name":"a.jpg"},{"id":2,"file_name":"b.jpg"},{"id":"3","file_name":"c.jpg"}],
            "annotations":[{"id":1,"reference_id":1,"target_id":2,"text":"in red"},
                           {"id":2,"reference_image_id":2,"target_ids":[1,"3"],"caption":"two, of \"them\""}]}"#,
    )
    .unwrap();
    let read = |name: &str| mine::open(&at(name), &at("unpacked"), &Protocol::default());
    let jsonl = read("q.jsonl").unwrap().exams.remove(0);
    let csv = read("q.csv").unwrap().exams.remove(0);
    assert_eq!((&jsonl.gallery, &jsonl.queries), (&csv.gallery, &csv.queries));
    assert_eq!(jsonl.queries[1].targets, ["a.jpg", "c.jpg"]);
    let coco = read("q.json").unwrap().exams.remove(0);
    assert_eq!(coco.queries[1].targets, ["1", "3"]);
    assert_eq!(coco.gallery[2].path, "c.jpg");

    fs::write(
        at("q.tar"),
        tar(&[("x.ref.jpg", b"ref"), ("x.tgt.jpg", b"target"), ("x.json", br#"{"text":"in red"}"#)]),
    )
    .unwrap();
    let archive = read("q.tar").unwrap().exams.remove(0);
    assert_eq!((archive.queries[0].id.as_str(), archive.queries[0].text.as_str()), ("x", "in red"));
    assert_eq!(fs::read(archive.path_of(&archive.gallery[1])).unwrap(), b"target");
    // Another archive whose files have the same names and sizes.
    let other = tar(&[("x.ref.jpg", b"fer"), ("x.tgt.jpg", b"tegrat"), ("x.json", br#"{"text":"in red"}"#)]);
    fs::write(at("p.tar"), other).unwrap();
    let other = read("p.tar").unwrap().exams.remove(0);
    assert_eq!(fs::read(other.path_of(&other.gallery[1])).unwrap(), b"tegrat");

    let bad = |name: &str, bytes: &[u8], part: &str| {
        fs::write(at(name), bytes).unwrap();
        let text = read(name).map(drop).expect_err(part).to_string();
        assert!(text.contains(part) && text.contains(name), "{text:?} does not say {part:?}");
    };
    bad("z.jsonl", b"{\"reference\":\"a\",\"text\":\"t\"}", "line 1");
    bad("z.jsonl", b"{\"reference\":\"a\",\"text\":\"t\",\"goal\":\"b\"}", "unknown field `goal`");
    bad("z.csv", b"reference,target\na,b\n", "no column `text`");
    bad("z.csv", b"reference,text,target,change\na,b,c,maybe\n", "line 2");
    bad("z.json", br#"{"images":[],"annotations":[{"reference_id":1,"target_id":2,"text":"t"}]}"#, "entry 1");
    bad("z.tar", b"no archive at all", "within a header");
    bad("z.tar", &tar(&[("x.ref.jpg", b"r"), ("x.json", br#"{"text":"t"}"#)]), "neither `target`");
    bad("z.tar", &tar(&[("x.tgt.jpg", b"r"), ("x.json", br#"{"text":"t"}"#)]), "no key.ref");
    bad("z.tar", &tar(&[("../x.ref.jpg", b"r")]), "inside the manifest's folder");
    let mut torn = tar(&[("x.ref.jpg", &[7; 2000])]);
    torn.truncate(1200);
    bad("z.tar", &torn, "cut off");
    bad("z.txt", b"", "no ending");
}

/// A POSIX archive.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[156] = b'0';
        header[257..262].copy_from_slice(b"ustar");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend(header);
        out.extend(*bytes);
        out.resize(out.len().div_ceil(512) * 512, 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

#[test]
fn spoilt_sets_are_read_or_refused_and_never_panic() {
    let mut dice = Dice(21);
    let (mut read, mut refused) = (0, 0);
    for (name, split, files) in [
        ("fashioniq", Split::Val, vec!["captions/cap.shirt.val.json", "image_splits/split.shirt.val.json"]),
        ("cirr", Split::Val, vec!["captions/cap.rc2.val.json", "image_splits/split.rc2.val.json"]),
        (
            "circo",
            Split::Val,
            vec!["annotations/val.json", "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json"],
        ),
        ("webvid-covr", Split::Test, vec!["annotation/webvid-covr/webvid8m-covr_test.csv"]),
        ("shoes", Split::Test, vec!["dataset/relative_captions_shoes.json", "dataset/eval_im_names.txt"]),
        ("genecis", Split::Test, vec!["genecis/focus_object.json", "genecis/change_attribute.json"]),
        (
            "egocvr",
            Split::Test,
            vec!["annotation/egocvr/egocvr_annotations_gallery.csv", "annotation/egocvr/egocvr_data.csv"],
        ),
    ] {
        let dir = copy(name);
        for round in 0..120 {
            let path = dir.path().join(files[round % files.len()]);
            let whole = fs::read(&path).unwrap();
            let mut bytes = whole.clone();
            for _ in 0..1 + dice.below(4) {
                let at = dice.below(bytes.len());
                match dice.below(4) {
                    0 => bytes[at] = dice.below(256) as u8,
                    1 if round % 3 == 0 => bytes.truncate(at + 1),
                    2 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b"{}[]\",:\\\n\0'9"[dice.below(12)]),
                }
                if bytes.is_empty() {
                    bytes.push(b'[');
                }
            }
            fs::write(&path, bytes).unwrap();
            match open(name, dir.path(), split) {
                Ok(opened) => {
                    opened.exams.iter().for_each(|e| e.check().unwrap());
                    read += 1;
                }
                Err(_) => refused += 1,
            }
            fs::write(&path, whole).unwrap();
        }
    }
    assert!(read > 50 && refused > 200, "{read} read, {refused} refused: the spoiling is too mild or too rough");

    let dir = tempfile::tempdir().unwrap();
    let good = tar(&[("x.ref.jpg", b"ref"), ("x.tgt.jpg", b"target"), ("x.json", br#"{"text":"in red"}"#)]);
    for _ in 0..200 {
        let mut bytes = good.clone();
        for _ in 0..1 + dice.below(3) {
            let at = dice.below(bytes.len());
            bytes[at] = dice.below(256) as u8;
        }
        let file = dir.path().join("q.tar");
        fs::write(&file, bytes).unwrap();
        let _ = mine::open(&file, &dir.path().join("unpacked"), &Protocol::default());
    }
}
