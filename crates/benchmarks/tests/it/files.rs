//! Runs, judgements and submissions: round trips, refusals, and files that were tampered with.

use std::path::Path;

use benchmarks::submit::{Server, check};
use benchmarks::{Answers, Benchmark, Error, Protocol, Qrels, Run, preset};
use domain::{GalleryEntry, Triplet};

use crate::Dice;

fn file(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[track_caller]
fn refused<T: std::fmt::Debug>(got: Result<T, Error>, part: &str) {
    let text = got.expect_err("this should be refused").to_string();
    assert!(text.contains(part), "{text:?} does not say {part:?}");
}

/// An exam of a shape like CIRR's: pictures, pairs with six look-alikes, one right answer.
fn cirr(pairs: usize) -> Benchmark {
    let names: Vec<String> = (0..80).map(|i| format!("test1-{i}-0-img1")).collect();
    let question = |i: usize| Triplet {
        id: (10_000 + i).to_string(),
        reference: names[i % 80].clone(),
        text: "remove all but one dog".into(),
        targets: vec![names[(i + 3) % 80].clone()],
        subset: Some((0..6).map(|d| names[(i + d) % 80].clone()).collect()),
        ..Default::default()
    };
    let gallery = names.iter().map(|n| GalleryEntry { name: n.clone(), ..Default::default() }).collect();
    let rules = preset("cirr").unwrap().protocol();
    Benchmark::new("cirr/test1", gallery, (0..pairs).map(question).collect(), rules).unwrap()
}

fn circo(queries: usize) -> Benchmark {
    let gallery = (1..90).map(|i| GalleryEntry { name: format!("{i:012}"), ..Default::default() }).collect();
    let question = |i: usize| Triplet {
        id: i.to_string(),
        reference: format!("{:012}", 1 + i % 89),
        text: "has two".into(),
        targets: vec![format!("{:012}", 1 + (i + 5) % 89), format!("{:012}", 1 + (i + 9) % 89)],
        ..Default::default()
    };
    let rules = preset("circo").unwrap().protocol();
    Benchmark::new("circo/test", gallery, (0..queries).map(question).collect(), rules).unwrap()
}

/// Every question answered in random order, with whole scores so that ties abound.
fn answered(exam: &Benchmark, seed: u64, depth: usize) -> Run {
    let mut dice = Dice(seed);
    let mut run = Run { name: "dice".into(), ..Run::default() };
    for q in &exam.queries {
        let scores: Vec<(&str, f32)> =
            exam.gallery.iter().map(|g| (g.name.as_str(), dice.below(9) as f32 / 3.0)).collect();
        let order = exam.rank(&q.id, &scores).unwrap().gallery;
        let score = |name: &str| f64::from(scores.iter().find(|(n, _)| *n == name).unwrap().1);
        run.keep(exam, q, order.iter().map(|n| (n.as_str(), score(n))), depth);
    }
    run
}

#[test]
fn a_run_survives_both_formats_and_keeps_its_marks() {
    let dir = tempfile::tempdir().unwrap();
    let exam = cirr(40);
    let run = answered(&exam, 3, usize::MAX);
    let want = run.mark(&exam).unwrap();
    assert!(exam.mark(&run.rankings()).unwrap() == want, "kept in the rule's order already");
    for (name, text) in [("run.trec", run.to_trec().unwrap()), ("run.json", run.to_json())] {
        let back = Run::read(&file(dir.path(), name, &text)).unwrap();
        assert_eq!(back.answers.len(), 40);
        assert_eq!(back.name, if name == "run.trec" { "dice" } else { "run" });
        assert!(back.mark(&exam).unwrap() == want, "{name} has other marks");
    }
    let qrels = Qrels::of(&exam);
    for (name, text) in [("qrels.txt", qrels.to_trec().unwrap()), ("qrels.json", qrels.to_json())] {
        assert_eq!(Qrels::read(&file(dir.path(), name, text)).unwrap(), qrels, "{name}");
    }
    let spaced = Run {
        name: String::new(),
        answers: vec![Answers { query: "q".into(), items: vec![("a b".into(), 1.0)], among: vec![] }],
    };
    refused(spaced.to_trec(), "has a space in it");
    assert_eq!(Run::read(&file(dir.path(), "s.json", spaced.to_json())).unwrap().answers, spaced.answers);
}

#[test]
fn the_formats_are_those_that_the_tools_read() {
    let run = Run {
        name: "my run".into(),
        answers: vec![Answers {
            query: "q1".into(),
            items: vec![("b".into(), 0.5), ("a".into(), -1.0)],
            among: vec![],
        }],
    };
    assert_eq!(run.to_trec().unwrap(), "q1 Q0 b 1 0.5 my-run\nq1 Q0 a 2 -1 my-run\n");
    assert_eq!(run.to_json(), "{\"q1\":{\"b\":0.5,\"a\":-1}}\n");
    let qrels = Qrels { queries: vec![("q1".into(), vec![("b".into(), 1)])] };
    assert_eq!(qrels.to_trec().unwrap(), "q1 0 b 1\n");
    assert_eq!(qrels.to_json(), "{\"q1\":{\"b\":1}}\n");
    // As trec_eval: by score, whatever the ranks say.
    let dir = tempfile::tempdir().unwrap();
    let back = Run::read(&file(dir.path(), "r", "q Q0 a 1 0.1 x\nq Q0 b 2 0.9 x\n\n")).unwrap();
    assert_eq!(back.answers[0].items[0].0, "b");
}

#[test]
fn runs_and_judgements_that_are_none_are_refused_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    for (text, part) in [
        ("q Q0 a 1 0.5", "run, line 1: 5 columns where a run has six"),
        ("q Q0 a 1 0.5 x\nq Q0 a 2 0.4 x", "line 2: question q names a twice"),
        ("q Q0 a 1 high x", "the score \"high\" is not a number"),
        ("q Q0 a 1 NaN x", "not finite"),
        ("{\"q\":{\"a\":1,\"a\":2}}", "line 1: column 15: the key \"a\" comes twice"),
        ("{\"q\":{\"a\":\"high\"}}", "line 1: column"),
        ("{\"q\":[1]}", "expected an object"),
        ("{\"q\":{\"a\":1}} x", "trailing characters"),
        ("{", "line 1"),
    ] {
        refused(Run::read(&file(dir.path(), "run", text)), part);
    }
    refused(Run::read(&file(dir.path(), "run", b"q Q0 \xff 1 0.5 x")), "line 1: not UTF-8");
    refused(Run::read(&file(dir.path(), "run", b"{\n\xff}")), "line 2: byte 3 is not UTF-8");
    refused(Run::read(&file(dir.path(), "run", "a".repeat(1 << 17))), "line 1: the line is longer than 65536 bytes");
    refused(Run::read(&dir.path().join("none")), "cannot read");
    refused(Qrels::read(&file(dir.path(), "qrels", "q 0 a yes")), "the relevance \"yes\" is not a whole number");
    refused(Qrels::read(&file(dir.path(), "qrels", "q 0 a 1 1")), "5 columns where judgements have four");
}

#[test]
fn submissions_keep_the_servers_rules() {
    let dir = tempfile::tempdir().unwrap();
    let exam = cirr(60);
    let files = Server::of(&exam).unwrap().files(&exam, &answered(&exam, 7, 50)).unwrap();
    assert_eq!(files.iter().map(|f| f.name).collect::<Vec<_>>(), ["cirr_recall.json", "cirr_recall_subset.json"]);
    for f in &files {
        let path = file(dir.path(), f.name, &f.text);
        let checked = check(&path, Some(&exam)).unwrap();
        assert_eq!((checked.queries, checked.unchecked.len()), (60, 0));
        refused(check(&path, None), "it answers 60 questions, the test part has 4148");
    }
    let parsed: serde_json::Value = serde_json::from_str(&files[1].text).unwrap();
    assert_eq!((parsed["version"].as_str(), parsed["metric"].as_str()), (Some("rc2"), Some("recall_subset")));
    assert_eq!(parsed["10000"].as_array().unwrap().len(), 3);

    let exam = circo(800);
    let [one] = &Server::of(&exam).unwrap().files(&exam, &answered(&exam, 9, 50)).unwrap()[..] else { panic!() };
    let path = file(dir.path(), one.name, &one.text);
    assert_eq!(check(&path, Some(&exam)).unwrap().queries, 800);
    assert_eq!(check(&path, None).unwrap().kind, "CIRCO");
    assert!(one.text.starts_with("{\"0\":["), "whole numbers under the questions' numbers");

    // A run that is cut too short is refused before anything is written.
    refused(Server::Circo.files(&exam, &answered(&exam, 9, 49)), "question 0 has 49 answers, not 50");
    let mut short = answered(&exam, 9, 50);
    short.answers.pop();
    refused(Server::Circo.files(&exam, &short), "no answer to question 799");
    assert_eq!(Server::of(&Benchmark { name: "scenes/test".into(), ..exam }), None);
}

#[test]
fn each_rule_of_the_servers_is_enforced_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let exam = cirr(60);
    let good = Server::Cirr.files(&exam, &answered(&exam, 7, 50)).unwrap();
    let broken = |which: usize, change: &dyn Fn(&mut serde_json::Value)| {
        let mut json: serde_json::Value = serde_json::from_str(&good[which].text).unwrap();
        change(&mut json);
        check(&file(dir.path(), "s.json", json.to_string()), Some(&exam))
    };
    let list = |json: &mut serde_json::Value| json["10000"].as_array_mut().unwrap().clone();
    refused(broken(0, &|j| j["version"] = "rc1".into()), "`version` must be \"rc2\"");
    refused(broken(0, &|j| j["metric"] = "map".into()), "`metric` must be");
    refused(
        broken(0, &|j| drop(j.as_object_mut().unwrap().remove("10000"))),
        "1 of 60 questions have no answer, first 10000",
    );
    refused(broken(0, &|j| j["7"] = j["10000"].clone()), "1 keys are no questions of the set, first \"7\"");
    refused(broken(0, &|j| j["10000"] = list(j)[..49].into()), "has 49 answers, not 50");
    refused(broken(0, &|j| j["10000"][1] = j["10000"][0].clone()), "twice");
    refused(broken(0, &|j| j["10000"][0] = exam.queries[0].reference.clone().into()), "its own reference");
    refused(broken(0, &|j| j["10000"][0] = "test1-1-0-img1.png".into()), "no extension");
    refused(broken(0, &|j| j["10000"][0] = "somebody".into()), "no picture of the split");
    refused(broken(0, &|j| j["10000"][0] = 7.into()), "not a list of names");
    refused(broken(1, &|j| j["10000"][0] = "test1-70-0-img1".into()), "not one of its look-alikes");
    let long = format!("{{\"version\":\"rc2\",\"metric\":\"recall\",\"x\":\"{}\"}}", "x".repeat(5_000_000));
    refused(check(&file(dir.path(), "s.json", long), None), "the server takes 5000000");
    let twice = good[0].text.replacen("\"10001\"", "\"10000\"", 1);
    refused(check(&file(dir.path(), "s.json", twice), Some(&exam)), "the key \"10000\" comes twice");

    let exam = circo(800);
    let good = Server::Circo.files(&exam, &answered(&exam, 9, 50)).unwrap();
    let broken =
        |from: &str, to: &str| check(&file(dir.path(), "s.json", good[0].text.replacen(from, to, 1)), Some(&exam));
    refused(broken("{\"0\":", "{\"800\":"), "1 of 800 questions have no answer, first 0");
    refused(broken("\"0\":[", "\"0\":[\"1\","), "not a list of whole numbers");
    refused(broken("\"0\":[", "\"0\":[1.5,"), "not a list of whole numbers");
    refused(broken("\"0\":[", "\"0\":[777,"), "777, which is no picture of the gallery");
    refused(broken("\"1\":[", "\"0\":["), "the key \"0\" comes twice");
}

#[test]
fn tampered_files_are_read_or_refused_and_never_more() {
    let dir = tempfile::tempdir().unwrap();
    let exam = cirr(6);
    let run = answered(&exam, 3, 20);
    let files = Server::Cirr.files(&cirr(6), &answered(&exam, 3, 50)).unwrap();
    let seeds: [Vec<u8>; 4] = [
        run.to_trec().unwrap().into_bytes(),
        run.to_json().into_bytes(),
        Qrels::of(&exam).to_trec().unwrap().into_bytes(),
        files[1].text.clone().into_bytes(),
    ];
    let mut dice = Dice(77);
    let (mut read, mut refused) = (0, 0);
    for round in 0..1_500 {
        let mut bytes = seeds[round % 4].clone();
        for _ in 0..1 + dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(5) {
                0 => bytes[at] = dice.below(256) as u8,
                1 => bytes.truncate(at.max(1)),
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, b"{}[]\":, \n-9e"[dice.below(12)]),
                _ => {
                    let piece = bytes[at..(at + 40).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
            if bytes.is_empty() {
                bytes.push(b'{');
            }
        }
        let path = file(dir.path(), "t", &bytes);
        let outcomes = [
            Run::read(&path).and_then(|r| r.mark(&exam)).map(drop),
            Qrels::read(&path).map(drop),
            check(&path, Some(&exam)).map(drop),
        ];
        for outcome in outcomes {
            match outcome {
                Ok(()) => read += 1,
                Err(e) => {
                    refused += 1;
                    assert!(!e.to_string().is_empty());
                }
            }
        }
    }
    assert!(read > 50 && refused > 2_000, "{read} read, {refused} refused");
}

#[test]
fn a_run_kept_from_scores_is_what_was_marked() {
    let mut dice = Dice(21);
    for round in 0..40 {
        let mut exam = cirr(12);
        exam.protocol.ties = [benchmarks::TieRule::Pessimistic, benchmarks::TieRule::Name][round % 2];
        let depth = [1, 3, 7, 50, 80, 200][round % 6];
        let (mut cut, mut whole) = (Run::default(), Run::default());
        for q in &exam.queries {
            let scores: Vec<f32> = exam.gallery.iter().map(|_| dice.below(7) as f32).collect();
            let pairs: Vec<(&str, f32)> =
                exam.gallery.iter().map(|g| g.name.as_str()).zip(scores.iter().copied()).collect();
            cut.keep_scores(&exam, q, &scores, depth).unwrap();
            let order = exam.rank(&q.id, &pairs).unwrap().gallery;
            let score = |name: &str| f64::from(pairs.iter().find(|(n, _)| *n == name).unwrap().1);
            whole.keep(&exam, q, order.iter().map(|n| (n.as_str(), score(n))), depth);
        }
        assert_eq!(cut, whole, "round {round}, depth {depth}");
    }
    let exam = cirr(2);
    let broken = vec![f32::NAN; 80];
    refused(Run::default().keep_scores(&exam, &exam.queries[0], &broken, 5), "is not a number");
}

#[test]
fn judgements_alone_mark_a_run() {
    let exam = cirr(20);
    let run = answered(&exam, 5, 80);
    let rules =
        Protocol { drop_reference: false, subset: false, subset_ks: vec![], averages: vec![], ..exam.protocol.clone() };
    let bare = Qrels::of(&exam).exam("bare", &run, rules).unwrap();
    let (want, got) = (run.mark(&exam).unwrap(), run.mark(&bare).unwrap());
    for (a, b) in want.ranks.iter().zip(&got.ranks) {
        assert_eq!((&a.query, a.rank), (&b.query, b.rank), "the reference was out of the run already");
    }
    let none = Qrels { queries: vec![("q".into(), vec![("a".into(), 0)])] };
    refused(none.exam("bare", &run, Protocol::default()), "no right answer");
}

#[test]
fn a_card_survives_and_names_every_digest_that_differs() {
    use benchmarks::{Ask, Card, CardModel};
    let dir = tempfile::tempdir().unwrap();
    let exam = cirr(20);
    let make = |seed: u64, weights: &[u8], exam: &Benchmark| {
        let report = answered(exam, seed, 80).mark(exam).unwrap();
        let model = CardModel { name: "toy".into(), weights: domain::Digest::of(weights) };
        let ask = Ask { set: Some("world".into()), methods: vec!["sum".into()], ..Ask::default() };
        let mut card = Card::new("likebut 0".into(), "here".into(), ask, Some(model));
        card.add(exam, Some(domain::Digest::of(b"media")), &[("sum".to_owned(), report)]);
        card
    };
    let card = make(3, b"w", &exam);
    let path = file(dir.path(), "card.json", card.to_json());
    assert_eq!(Card::read(&path).unwrap(), card);
    assert!(card.differences(&Card { machine: "there".into(), ..make(3, b"w", &exam) }).is_empty());

    let whats = |other: &Card| card.differences(other).into_iter().map(|d| d.what).collect::<Vec<_>>();
    assert_eq!(whats(&make(3, b"v", &exam)), ["the weights' digest"]);
    let other = whats(&make(4, b"w", &exam));
    assert!(other.contains(&"cirr/test1: sum: the ranks' digest".to_owned()), "{other:?}");
    assert!(other.contains(&"cirr/test1: sum: R@1".to_owned()) || other.len() > 1, "{other:?}");
    let mut another = exam.clone();
    another.protocol.ks = vec![1, 5, 10];
    another.protocol.averages.clear();
    let rules = whats(&make(3, b"w", &another));
    assert!(rules.contains(&"cirr/test1: the rules' digest".to_owned()), "{rules:?}");
    let mut media = make(3, b"w", &exam);
    media.exams[0].media = None;
    assert_eq!(whats(&media), ["cirr/test1: the media's digest"]);

    for (text, part) in [
        ("{\"card\": 9}".to_owned(), "version 9; this program reads version 1"),
        ("{\"card\": 1}".to_owned(), "missing field"),
        ("[]".to_owned(), "line 1"),
        (card.to_json().replacen("\"ks\": [", "\"ks\": [\n 2,", 1), "its rules' digest is"),
        (card.to_json().replacen("\"program\"", "\"programme\"", 1), "unknown field `programme`"),
    ] {
        refused(Card::read(&file(dir.path(), "card.json", text)), part);
    }
    // Tampered cards are read or refused.
    let mut dice = Dice(5);
    for _ in 0..400 {
        let mut bytes = card.to_json().into_bytes();
        for _ in 0..1 + dice.below(3) {
            let at = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes[at] = dice.below(256) as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Ok(read) = Card::read(&file(dir.path(), "card.json", &bytes)) {
            let _ = card.differences(&read);
        }
    }
}

#[test]
fn the_default_protocol_marks_a_run_like_answer_sheets() {
    let exam = Benchmark { protocol: Protocol { ks: vec![1, 5], map_ks: vec![5], ..Protocol::default() }, ..cirr(9) };
    let run = answered(&exam, 1, 5);
    assert!(matches!(run.mark(&exam), Err(Error::Ranking { .. })), "the look-alikes stand deeper than the run goes");
}
