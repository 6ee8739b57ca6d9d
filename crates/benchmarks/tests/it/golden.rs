//! Marks beside those of independent libraries: `fixtures/golden/marks.jsonl`, made by `marks.py`.

use std::collections::BTreeMap;

use benchmarks::{Benchmark, Mark, Protocol, RightRule, TieRule};
use domain::{GalleryEntry, Triplet};

const KS: [usize; 5] = [1, 2, 3, 5, 10];

#[derive(serde::Deserialize)]
struct Line {
    scores: BTreeMap<String, i32>,
    reference: String,
    targets: Vec<String>,
    subset: Vec<String>,
    pessimistic: Wanted,
    optimistic: Wanted,
    name: Wanted,
}

#[allow(non_snake_case)]
#[derive(serde::Deserialize)]
struct Wanted {
    rank: usize,
    first: usize,
    among: usize,
    hit: [f64; 5],
    share: [f64; 5],
    nDCG: [f64; 5],
    mAP: [f64; 5],
}

#[test]
fn every_mark_equals_that_of_pytrec_eval_and_ranx() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/golden/marks.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let mut compared = 0;
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        let gallery = line.scores.keys().map(|name| GalleryEntry { name: name.clone(), ..Default::default() });
        let query = Triplet {
            id: "q".into(),
            reference: line.reference,
            text: "but".into(),
            targets: line.targets,
            subset: Some(line.subset),
            ..Default::default()
        };
        let protocol = Protocol {
            ks: KS.to_vec(),
            map_ks: KS.to_vec(),
            ndcg_ks: KS.to_vec(),
            subset_right: RightRule::First,
            ..Protocol::default()
        };
        let mut exam = Benchmark::new("golden", gallery.collect(), vec![query], protocol).unwrap();
        let scores: Vec<f32> = line.scores.values().map(|s| *s as f32).collect();
        let pairs: Vec<(&str, f32)> = line.scores.keys().map(String::as_str).zip(scores.iter().copied()).collect();
        for (ties, wanted) in [
            (TieRule::Pessimistic, &line.pessimistic),
            (TieRule::Optimistic, &line.optimistic),
            (TieRule::Name, &line.name),
        ] {
            for right in [RightRule::Any, RightRule::First, RightRule::Share] {
                (exam.protocol.ties, exam.protocol.right) = (ties, right);
                let few = benchmarks::bootstrap::Bootstrap { resamples: 10, seed: 1 };
                // By the scores, and by the ranking that they make.
                let mut marker = exam.marker().unwrap();
                marker.add_scores("q", &scores).unwrap();
                let report = marker.finish(few).unwrap();
                let mut marker = exam.marker().unwrap();
                marker.add("q", exam.rank("q", &pairs).unwrap().gallery.iter().map(String::as_str)).unwrap();
                assert!(marker.finish(few).unwrap() == report, "{ties:?} {right:?}");

                let got = &report.ranks[0];
                let rank = if right == RightRule::First { wanted.first } else { wanted.rank };
                assert_eq!((got.rank, got.subset_rank), (Some(rank), Some(wanted.among)), "{ties:?} {right:?}");
                for (i, k) in KS.into_iter().enumerate() {
                    let hit = match right {
                        RightRule::Any => wanted.hit[i],
                        RightRule::First => f64::from(wanted.first <= k),
                        RightRule::Share => wanted.share[i],
                    };
                    let marks =
                        [(Mark::Recall(k), hit), (Mark::MeanAp(k), wanted.mAP[i]), (Mark::Ndcg(k), wanted.nDCG[i])];
                    for (mark, want) in marks {
                        let got = report.all.get(mark).unwrap().value;
                        assert!((got - want).abs() < 1e-9, "{mark} is {got}, not {want}, {ties:?} {right:?}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared > 40_000, "{compared} marks only");
}
