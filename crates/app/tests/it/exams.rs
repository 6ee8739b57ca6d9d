//! The exam room from the command line: tiny sets in the authors' layouts, vectors made elsewhere, and
//! the marks of a script in another language.

use std::path::{Path, PathBuf};

use crate::Home;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

#[test]
fn every_set_is_marked_as_the_script_marks_it() {
    let home = Home::new();
    let golden = std::fs::read_to_string(fixtures().join("golden/exam.json")).unwrap();
    let golden: Vec<serde_json::Value> = serde_json::from_str(&golden).unwrap();
    let mut numbers = 0;
    for case in &golden {
        let text = |key: &str| case[key].as_str().unwrap();
        let root = fixtures().join("sets").join(text("set"));
        let at = |file: &str| root.join(file).display().to_string();
        let run = home.run(&[
            "eval",
            "--bench",
            text("set"),
            "--root",
            &at(""),
            "--split",
            text("split"),
            "--protocol",
            text("protocol"),
            "--embeddings",
            &at("gallery.csv"),
            "--queries",
            &at("questions.csv"),
            "--json",
        ]);
        // One question of each of GeneCIS's tasks has a gallery of another length: that is said.
        let code = if text("set") == "genecis" { 3 } else { 0 };
        assert_eq!(run.code, Some(code), "{run:?}");
        let got: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        let exams = got["exams"].as_array().unwrap();
        assert_eq!(exams.len(), case["marks"].as_object().unwrap().len());
        for exam in exams {
            let all = &exam["reports"]["imported"]["all"];
            for (name, value) in case["marks"][exam["exam"].as_str().unwrap()].as_object().unwrap() {
                let (list, k) = match name.split_once('@') {
                    Some(("R", k)) => ("recall", k),
                    Some(("mAP", k)) => ("average_precision", k),
                    Some((_, k)) => ("subset_recall", k),
                    None => continue,
                };
                let marks = all[list].as_array().unwrap();
                let mark = marks.iter().find(|m| m["k"].as_u64() == k.parse().ok()).unwrap()["value"].as_f64().unwrap();
                assert!((mark - value.as_f64().unwrap()).abs() < 1e-9, "{exam} {name}");
                numbers += 1;
            }
        }
    }
    assert_eq!(numbers, 61, "a number of the script went unread");
}

#[test]
fn what_is_missing_is_named_and_bounded() {
    let home = Home::new();
    let root = fixtures().join("sets/cirr").display().to_string();
    let text = home.run(&["data", "check", "cirr", "--root", &root]);
    assert_eq!(text.code, Some(3), "{text:?}");
    for part in ["14 questions over 24 items", "0 of 24 are here, 24 missing", "all missed", "missing: dev-0-0-img0"] {
        assert!(text.out.contains(part), "{text:?} does not say {part:?}");
    }
    home.run(&["data", "check", "circo", "--root", &root]).fails(5, "annotations/val.json");
    home.run(&["data", "check", "cir", "--root", &root]).fails(2, "did you mean \"cirr\"?");
    home.run(&["eval", "--bench", "cirr", "--root", &root, "--strict"]).fails(5, "24 of 24 items cannot be used");
    let hidden = home.run(&["eval", "--bench", "cirr:test", "--root", &root]);
    assert!(hidden.code == Some(5) && hidden.err.contains("keeps its right answers"), "{hidden:?}");
    home.run(&["eval", "--bench", "cirr", "--root", &root, "--protocol", "cir"]).fails(2, "no protocol");
    let list = home.run(&["data", "list"]);
    assert!(list.works().out.contains("hud-fashioniq") && list.out.contains("egocvr"), "{list:?}");
}
