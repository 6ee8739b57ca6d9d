//! Any bytes as answers that were made elsewhere: TREC runs and judgements, their JSON, answer sheets
//! for the servers, result cards.
//!
//! The first line is the file's name.
#![no_main]

mod place;

use benchmarks::{Card, Protocol, Qrels, Run};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    const KNOWN: &[&str] = &["run.trec", "qrels.txt", "sheet.json", "card.json"];
    let Some(path) = place::file(bytes, KNOWN) else { return };
    if path.ends_with("sheet.json") {
        let _ = benchmarks::submit::check(&path, None);
    } else if path.ends_with("card.json") {
        if let Ok(card) = Card::read(&path) {
            assert!(card.differences(&card).is_empty(), "a card differs from itself");
        }
    } else if path.ends_with("run.trec") {
        let Ok(run) = Run::read(&path) else { return };
        let right =
            run.answers.iter().map(|a| (a.query.clone(), a.items.iter().map(|(n, _)| (n.clone(), 1)).collect()));
        let qrels = Qrels { queries: right.collect() };
        let rules = Protocol { drop_reference: false, subset: false, ..Protocol::default() };
        if let Ok(exam) = qrels.exam("fuzz", &run, rules)
            && exam.queries.len() * exam.gallery.len() < 100
        {
            let _ = run.mark(&exam);
        }
        if let Ok(text) = run.to_trec() {
            std::fs::write(&path, text).expect("room for a file");
            assert_eq!(Run::read(&path).map(|r| r.rankings()).ok(), Some(run.rankings()), "written and read again");
        }
    } else if let Ok(qrels) = Qrels::read(&path) {
        drop(qrels.to_json());
    }
});
