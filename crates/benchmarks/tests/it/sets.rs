//! Sets on disk: the format, its refusals, and missing media.

use std::fs;
use std::path::Path;

use benchmarks::sets::triplets::{IfMissing, MAX_LINE_BYTES, load, read_gallery, read_triplets};
use benchmarks::{Error, Protocol};
use domain::{Change, GalleryEntry, Split, Triplet};

const GALLERY: &str = r#"{"name": "a", "path": "media/a.png", "caption": "a red ball", "split": "test"}

{"name": "b", "path": "media/b.mp4"}
{"name": "c", "path": "media/b.mp4@00:01-00:02"}
"#;
const TRIPLETS: &str = r#"{"id": "1", "reference": "a", "text": "make it blue", "targets": ["b"], "subset": ["a", "b", "c"], "split": "test", "change": "explicit", "slice": "colour"}
{"id": "2", "reference": "b", "text": "as a party", "targets": ["c"], "change": "implied"}
"#;

fn set(gallery: &str, triplets: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("media")).unwrap();
    for file in ["media/a.png", "media/b.mp4"] {
        fs::write(dir.path().join(file), b"x").unwrap();
    }
    fs::write(dir.path().join("gallery.test.jsonl"), gallery).unwrap();
    fs::write(dir.path().join("triplets.test.jsonl"), triplets).unwrap();
    dir
}

fn open(dir: &Path, if_missing: IfMissing) -> Result<benchmarks::Benchmark, Error> {
    load(dir, Split::Test, Protocol::default(), if_missing)
}

#[test]
fn a_set_is_read_as_it_was_written() {
    let dir = set(GALLERY, TRIPLETS);
    let exam = open(dir.path(), IfMissing::Refuse).unwrap();
    assert!(exam.name.ends_with("/test"), "{}", exam.name);
    assert_eq!((exam.gallery.len(), exam.queries.len()), (3, 2));
    assert_eq!(exam.queries[0].change, Some(Change::Explicit));
    assert_eq!(exam.queries[0].subset.as_ref().unwrap().len(), 3);
    assert!(exam.path_of(&exam.gallery[0]).is_file());
}

#[test]
fn what_the_nouns_serialise_to_is_what_the_reader_takes() {
    let dir = tempfile::tempdir().unwrap();
    let triplet = Triplet {
        id: "1".into(),
        reference: "a".into(),
        text: "ü – \"quoted\"\nsecond line".into(),
        targets: vec!["b".into(), "c".into()],
        subset: Some(vec!["b".into()]),
        split: Some(Split::Train),
        change: Some(Change::Implied),
        slice: Some("concept".into()),
        wordings: vec!["another way".into()],
        grades: [("b".into(), 1.0), ("z".into(), -1.0)].into(),
        candidates: Some(vec!["b".into(), "c".into(), "d".into()]),
        aspects: vec!["negation".into()],
        frame_scores: vec![0.5, -0.25],
    };
    let entry = GalleryEntry {
        name: "a".into(),
        path: "x/a.png".into(),
        caption: Some("…".into()),
        region: Some([1.0, 2.0, 3.5, 4.0]),
        split: Some(Split::Val),
    };
    let (t, g) = (dir.path().join("t"), dir.path().join("g"));
    fs::write(&t, format!("\u{feff}{}\r\n", serde_json::to_string(&triplet).unwrap())).unwrap();
    fs::write(&g, serde_json::to_string(&entry).unwrap()).unwrap();
    assert_eq!(read_triplets(&t, None).unwrap(), [triplet]);
    assert_eq!(read_gallery(&g, Some(Split::Val)).unwrap(), [entry]);
}

#[track_caller]
fn refused(gallery: &str, triplets: &str, parts: &[&str]) {
    let dir = set(gallery, triplets);
    let text = open(dir.path(), IfMissing::Refuse).expect_err("this should be refused").to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

#[test]
fn bad_lines_are_refused_with_their_number() {
    let add = |line: &str| format!("{TRIPLETS}{line}\n");
    let bad =
        |line: &str, parts: &[&str]| refused(GALLERY, &add(line), &[&["triplets.test.jsonl, line 3"], parts].concat());
    bad(r#"{"id":"3","reference":"a","text":"t","target":"b"}"#, &["unknown field `target`", "targets"]);
    bad(r#"{"id":"3","reference":"a","text":"t"}"#, &["missing field `targets`"]);
    bad(r#"{"id":"3","reference":"a","text":"t","targets":[]}"#, &["`targets` of 3 is empty"]);
    bad(r#"{"id":"3","reference":"a","text":" ","targets":["b"]}"#, &["`text` of 3 is empty"]);
    bad(r#"{"id":"","reference":"a","text":"t","targets":["b"]}"#, &["`id` is empty"]);
    bad(
        r#"{"id":"3","reference":"a","text":"t","targets":["b"],"split":"train"}"#,
        &["`split` is train", "the test file"],
    );
    bad(r#"{"id":"3","reference":"a","text":"t","targets":["b"],"split":"exam"}"#, &["unknown variant `exam`"]);
    bad(r#"{"id":"3","reference":"a","text":"t","targets":["b"]} {}"#, &["trailing characters at column"]);
    bad(r#"{"id":"3""#, &["EOF while parsing"]);
    bad("[1]", &["line 3"]);
    bad(&"x".repeat(MAX_LINE_BYTES + 10), &["longer than"]);
    bad(
        &format!(r#"{{"id":"3","reference":"a","text":"{}","targets":["b"]}}"#, "w".repeat(20_000)),
        &["20000 bytes long"],
    );
    bad(&"[".repeat(100_000), &["line 3"]);
    for path in ["/etc/passwd", "../a.png", "media/../../a.png", ""] {
        let line = format!("{{\"name\":\"z\",\"path\":\"{path}\"}}");
        refused(&format!("{GALLERY}{line}"), TRIPLETS, &["gallery.test.jsonl, line 5", "must lie inside"]);
    }
    refused("\u{0}\u{1}\u{2}", TRIPLETS, &["gallery.test.jsonl, line 1"]);
    refused(&format!("{GALLERY}{{\"name\":\"a\",\"path\":\"media/a.png\"}}"), TRIPLETS, &["names a twice"]);
    refused(GALLERY, &add(r#"{"id":"3","reference":"a","text":"t","targets":["zz"]}"#), &["question 3", "zz"]);
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    let dir = set(GALLERY, TRIPLETS);
    fs::write(dir.path().join("triplets.test.jsonl"), [0xff, 0xfe, b'\n']).unwrap();
    let text = open(dir.path(), IfMissing::Refuse).unwrap_err().to_string();
    assert!(text.contains("line 1: not UTF-8"), "{text}");
}

#[test]
fn a_set_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let text = open(dir.path(), IfMissing::Refuse).unwrap_err().to_string();
    assert!(text.contains("gallery.test.jsonl"), "{text}");
}

#[test]
fn missing_media_are_refused_by_name_or_left_out_by_name() {
    let dir = set(GALLERY, TRIPLETS);
    fs::remove_file(dir.path().join("media/a.png")).unwrap();
    let error = open(dir.path(), IfMissing::Refuse).unwrap_err();
    assert!(matches!(&error, Error::Missing { names, of: 3, .. } if names == &["a"]), "{error}");

    let exam = open(dir.path(), IfMissing::LeaveOut).unwrap();
    assert_eq!(exam.left_out.gallery, ["a"]);
    assert_eq!(exam.left_out.queries, ["1"]);
    assert_eq!((exam.gallery.len(), exam.queries.len()), (2, 1));

    // With everything gone there is no exam left, and that is an error, not a mark of zero.
    fs::remove_file(dir.path().join("media/b.mp4")).unwrap();
    let text = open(dir.path(), IfMissing::LeaveOut).unwrap_err().to_string();
    assert!(text.contains("asks nothing"), "{text}");
}

#[test]
fn spoilt_files_are_read_or_refused_and_never_panic() {
    let dir = set(GALLERY, TRIPLETS);
    let mut dice = crate::Dice(9);
    let (mut read, mut refused) = (0, 0);
    for round in 0..2_000 {
        let (name, whole) = [("gallery.test.jsonl", GALLERY), ("triplets.test.jsonl", TRIPLETS)][round % 2];
        let mut bytes = whole.as_bytes().to_vec();
        for _ in 0..1 + dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes[at] = dice.below(256) as u8,
                1 => bytes.truncate(at + 1),
                _ => bytes.insert(at, b"{}[]\",:\\\n\0"[dice.below(10)]),
            }
        }
        fs::write(dir.path().join(name), bytes).unwrap();
        match open(dir.path(), IfMissing::LeaveOut) {
            Ok(exam) => {
                exam.check().unwrap();
                read += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("test"), "{error} does not name the file");
                refused += 1;
            }
        }
        fs::write(dir.path().join(name), whole).unwrap();
    }
    assert!(read > 10 && refused > 500, "{read} read, {refused} refused: the spoiling is too mild or too rough");
}
