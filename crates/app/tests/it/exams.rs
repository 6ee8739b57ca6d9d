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

#[test]
fn two_methods_are_compared_reported_and_run_again() {
    let home = Home::new();
    home.run(&["scenes", "world", "--test", "2"]).works();
    let all =
        ["eval", "world", "--compare", "imagine,sum", "--report", "marks/m.html", "--card", "c.json", "--runs", "runs"];
    let run = home.run(&all);
    let table = ["difference      p", "R@1 ", "mean rank "];
    assert!(table.iter().all(|part| run.works().out.contains(part)), "{run:?}");
    let read = |name: &str| std::fs::read_to_string(home.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let html = read("marks/m.html");
    let shown = [
        "<h1>Marks of scenes-toy on world/test",
        "imagine finds it sooner</h3>",
        "right one at",
        "data:image/jpeg;base64,",
        "more than luck",
    ];
    for part in shown.into_iter().chain(["likebut eval world --compare imagine,sum"]) {
        assert!(html.contains(part), "the page does not say {part:?}");
    }
    for foreign in ["<script", "http://", "https://", "src=\"/", "<link"] {
        assert!(!html.contains(foreign), "the page needs {foreign:?}");
    }
    // The marks as they are printed for programs, and in every other form.
    let json = home.run(&["eval", "world", "--compare", "imagine,sum", "--json"]).works().json();
    let marked = json["reports"]["imagine"]["all"]["recall"][0]["value"].as_f64().unwrap();
    assert_eq!(json["comparisons"][0]["left"], "imagine");
    for (form, says) in [
        ("md", format!("**{:.1}**", 100.0 * marked)),
        ("csv", format!("imagine,all,,R@1,{}", (marked * 1e9).round() / 1e9)),
        ("json", "\"comparisons\"".to_owned()),
        ("tex", "\\toprule".to_owned()),
    ] {
        let file = format!("m.{form}");
        home.run(&["eval", "world", "--method", "imagine,sum", "--report", &file]).works();
        assert!(read(&file).contains(&says), "{file} does not say {says:?}:\n{}", read(&file));
    }
    home.run(&["eval", "world", "--report", "m.docx"]).fails(2, ".html, .md, .csv, .json or .tex");
    home.run(&["eval", "world", "--compare", "imagine"]).fails(2, "two names");
    // Its own runs, marked as somebody else's, earn the same.
    let run = ["eval", "world", "--run", "runs/world-test/imagine.trec", "--json"];
    let again = home.run(&run).works().json();
    assert_eq!(again["reports"]["imagine"]["ranks"], json["reports"]["imagine"]["ranks"]);
    // The card: the same here; after a change, everything that hangs on it is named.
    assert!(home.run(&["reproduce", "c.json"]).works().out.contains("every digest"));
    let triplets = read("world/triplets.test.jsonl");
    let text = triplets.split("\"text\":\"").nth(1).unwrap().split('"').next().unwrap();
    home.write("world/triplets.test.jsonl", triplets.replacen(text, "something else", 1));
    let differs = home.run(&["reproduce", "c.json"]);
    assert_eq!(differs.code, Some(1), "{differs:?}");
    assert!(differs.out.contains("the questions' digest differs"), "{differs:?}");
    let json = home.run(&["reproduce", "c.json", "--json"]);
    assert_eq!((json.code, json.json()["same"].as_bool()), (Some(1), Some(false)));
    home.write("broken.json", "{\"card\": 99}");
    home.run(&["reproduce", "broken.json"]).fails(5, "a card of version 99");
}

#[test]
fn answers_made_elsewhere_are_marked_by_judgements() {
    let home = Home::new();
    let run =
        [("q1", "b", 0.9), ("q1", "a", 0.8), ("q1", "d", 0.1), ("q2", "c", 0.5), ("q2", "b", 0.4), ("q2", "a", 0.1)];
    home.write("me.trec", run.map(|(q, item, score)| format!("{q} Q0 {item} 1 {score} me\n")).concat());
    home.write("me.json", r#"{"q1": {"a": 0.8, "b": 0.9, "d": 0.1}, "q2": {"a": 0.1, "b": 0.4, "c": 0.5}}"#);
    home.write("right.txt", "q1 0 a 1\nq2 0 c 1\nq2 0 d 1\n");
    for run in ["me.trec", "me.json"] {
        let json = home.run(&["eval", "--run", run, "--qrels", "right.txt", "--json"]).works().json();
        // The best right answers stand second and first.
        assert_eq!(json["reports"]["me"]["all"]["recall"][0]["value"], 0.5, "{run}: {json}");
        assert_eq!(json["reports"]["me"]["ranks"][0]["rank"], 2, "{run}");
        // 1/log2(3) for the first; for the second 1 of the 1 + 1/log2(3) that two right ones can earn.
        let (third, ndcg) = (1.0 / 3f64.log2(), &json["reports"]["me"]["all"]["ndcg"][0]);
        let want = (third + 1.0 / (1.0 + third)) / 2.0;
        assert!((ndcg["value"].as_f64().unwrap() - want).abs() < 1e-9, "{run}: {ndcg}");
    }
    home.write("short.trec", "q1 Q0 b 1 0.9 me\nq2 Q0 c 1 0.5 me\n");
    home.run(&["eval", "--run", "short.trec", "--qrels", "right.txt"]).fails(5, "looks 3 deep");
    home.write("bad.trec", "q1 Q0 b 1 high me\n");
    home.run(&["eval", "--run", "bad.trec", "--qrels", "right.txt"]).fails(5, "line 1: the score \"high\"");
    home.write("bad.txt", "q1 0\n");
    home.run(&["eval", "--run", "me.trec", "--qrels", "bad.txt"]).fails(5, "bad.txt, line 1");
}

#[test]
fn answer_sheets_keep_the_servers_rules_or_are_refused() {
    let home = Home::new();
    // CIRCO's server wants fifty pictures of each of its questions.
    let numbers: Vec<u64> = (1..=60).map(|i| i * 7).collect();
    let images: Vec<String> = numbers.iter().map(|n| format!("{{\"id\":{n},\"file_name\":\"{n:012}.jpg\"}}")).collect();
    let list = "circo/COCO2017_unlabeled/annotations/image_info_unlabeled2017.json";
    home.write(list, format!("{{\"images\":[{}]}}", images.join(",")));
    let question = |id: u64| {
        let text = "\"relative_caption\":\"in red\",\"shared_concept\":\"a ball\"";
        format!("{{\"id\":{id},\"reference_img_id\":{},{text}}}", 7 * (id + 1))
    };
    home.write("circo/annotations/test.json", format!("[{}]", (0..3).map(question).collect::<Vec<_>>().join(",")));
    let vectors: Vec<String> = numbers.iter().map(|n| format!("{n},{},1", *n as f64 / 100.0)).collect();
    home.write("items.csv", vectors.join("\n"));
    home.write("asked.csv", "0,1,0\n1,-1,0\n2,0.5,0.5\n");
    let eval = |more: &[&str]| {
        let set = ["eval", "--bench", "circo:test", "--root", "circo"];
        home.run(&set.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let vectors = ["--embeddings", "items.csv", "--queries", "asked.csv"];
    let run = eval(&[&vectors[..], &["--submit", "out"]].concat());
    assert!(run.works().err.contains("keeps the server's rules"), "{run:?}");
    let sheet = "out/imported/circo_test.json";
    assert!(eval(&["--check-submission", sheet]).works().out.contains("3 answers, CIRCO"));
    let text = std::fs::read_to_string(home.path(sheet)).unwrap();
    let answers: std::collections::BTreeMap<String, Vec<u64>> = serde_json::from_str(&text).unwrap();
    // The largest number is nearest to the first question, the smallest to the second; its own
    // reference, 14, is an answer there: CIRCO's server filters none.
    assert_eq!(answers["0"], (11..=60).rev().map(|i| i * 7).collect::<Vec<u64>>());
    assert_eq!(answers["1"], (1..=50).map(|i| i * 7).collect::<Vec<u64>>());
    for (from, to, says) in [
        ("420,", "", "49 answers, not 50"),
        ("420,413", "420,420", "names 420 twice"),
        ("420,", "421,", "no picture of the gallery"),
        ("420,", "\"420\",", "not a list of whole numbers"),
        ("\"2\":", "\"3\":", "1 of 3 questions have no answer, first 2"),
        ("}", ",}", "line 1"),
    ] {
        assert!(text.contains(from), "{text}");
        home.write("bad.json", text.replacen(from, to, 1));
        let run = eval(&["--check-submission", "bad.json"]);
        assert!(run.code == Some(5) && run.err.contains(says) && run.out.is_empty(), "{says}: {run:?}");
    }
    // Without the set, what needs it is said to be unseen, and eight hundred questions are expected.
    home.run(&["eval", "--check-submission", sheet]).fails(5, "797 of 800 questions have no answer");
    // Fewer answers than the server wants are noticed before anything is written.
    home.write("few.csv", "7,1,1\n14,1,1\n");
    let few = eval(&["--embeddings", "few.csv", "--queries", "asked.csv", "--submit", "few"]);
    assert!(few.code == Some(5) && !home.path("few/imported").exists(), "{few:?}");
}
