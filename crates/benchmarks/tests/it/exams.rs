//! Answer sheets that cannot be marked, reports, and comparisons.

use benchmarks::{Benchmark, Error, Protocol, Ranking, Report, TieRule, rank_of};
use domain::{Change, GalleryEntry, Triplet};

use crate::Dice;

fn item(name: &str) -> GalleryEntry {
    GalleryEntry { name: name.into(), path: format!("{name}.png"), ..Default::default() }
}

fn ask(id: &str, reference: &str, targets: &[&str]) -> Triplet {
    Triplet {
        id: id.into(),
        reference: reference.into(),
        text: "but".into(),
        targets: targets.iter().map(|t| (*t).to_owned()).collect(),
        ..Default::default()
    }
}

fn small() -> Benchmark {
    let protocol = Protocol { ks: vec![1, 2], map_ks: vec![2], ..Protocol::default() };
    Benchmark::new(
        "small",
        ["a", "b", "c", "d"].map(item).to_vec(),
        vec![ask("q", "a", &["b"]), ask("r", "b", &["c", "d"])],
        protocol,
    )
    .unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(got: Result<T, Error>, part: &str) {
    let text = got.expect_err("this should be refused").to_string();
    assert!(text.contains(part), "{text:?} does not say {part:?}");
}

#[test]
fn answer_sheets_that_cannot_be_marked_are_refused_with_the_reason() {
    let exam = small();
    let whole = ["a", "b", "c", "d"];
    refused(exam.mark(&[Ranking::new("q", whole)]), "1 of 2 questions have no ranking, first r");
    refused(exam.mark(&[Ranking::new("z", whole)]), "asks no such question");
    refused(exam.mark(&[Ranking::new("q", whole), Ranking::new("q", whole)]), "already answered");
    refused(exam.mark(&[Ranking::new("q", ["a", "x"])]), "x, which is not in the gallery");
    refused(exam.mark(&[Ranking::new("q", ["a", "b", "a"])]), "names a twice");
    refused(exam.mark(&[Ranking::new("q", ["a", "b"])]), "looks 2 deep");
    refused(rank_of(&[("a", f32::NAN)], &["a"], TieRule::Name), "score of a is not a number");
    refused(exam.rank("q", &[("a", f32::NAN)]), "score of a is not a number");
    refused(exam.rank("z", &[]), "asks no such question");
}

#[test]
fn exams_that_contradict_themselves_are_refused_with_the_reason() {
    let with = |change: &dyn Fn(&mut Benchmark)| {
        let mut exam = small();
        change(&mut exam);
        exam.check()
    };
    refused(with(&|e| e.gallery.push(item("a"))), "names a twice");
    refused(with(&|e| e.queries.clear()), "asks nothing");
    refused(with(&|e| e.queries[1].id = "q".into()), "same id");
    refused(with(&|e| e.queries[0].reference = "x".into()), "reference x is not in the gallery");
    refused(with(&|e| e.queries[0].targets = vec![]), "no right answer");
    refused(with(&|e| e.queries[0].targets = vec!["x".into()]), "names x, which is not");
    refused(with(&|e| e.queries[0].targets = vec!["b".into(), "b".into()]), "names b twice");
    refused(with(&|e| e.queries[0].candidates = Some(vec!["c".into()])), "not among its candidates");
    refused(with(&|e| e.hidden = true), "answers are hidden");
    refused(with(&|e| e.queries[0].subset = Some(vec!["c".into()])), "not among its look-alikes");
    refused(with(&|e| e.protocol.ks = vec![0, 1]), "ranks count from 1");
    refused(with(&|e| e.protocol.ks = vec![5, 1]), "must rise");
    refused(with(&|e| e.protocol.ks = vec![]), "ks is empty");
}

#[test]
fn a_ranking_may_be_cut_off_below_what_the_protocol_looks_at_but_then_has_no_mean_rank() {
    let report = small().mark(&[Ranking::new("q", ["c", "d"]), Ranking::new("r", ["b", "d", "c"])]).unwrap();
    assert_eq!(report.ranks[0].rank, None);
    assert_eq!(report.ranks[1].target_ranks, [1, 2]);
    assert_eq!(report.all.recall_at(1).unwrap().value, 0.5);
    assert_eq!((report.all.mean_rank, report.all.median_rank), (None, None));
}

#[test]
fn scores_and_rankings_of_them_get_the_same_marks() {
    let mut dice = Dice(11);
    for round in 0..200 {
        let names: Vec<String> = (0..12).map(|i| format!("i{i:02}")).collect();
        let mut order = names.clone();
        dice.shuffle(&mut order);
        let reference = order[0].clone();
        let mut q = ask("q", &reference, &order[1..2 + dice.below(3)].iter().map(String::as_str).collect::<Vec<_>>());
        // Sometimes the reference is a right answer too; where it is left out, it is never found.
        if round % 7 == 0 {
            q.targets.push(reference);
        }
        q.subset = (round % 2 == 0).then(|| order[..6].to_vec());
        q.candidates = (round % 3 == 0).then(|| order[..8].to_vec());
        let protocol = Protocol {
            drop_reference: round % 5 != 0,
            ties: [TieRule::Pessimistic, TieRule::Optimistic, TieRule::Name][round % 3],
            ks: vec![1, 2, 5],
            map_ks: vec![2, 5],
            ..Protocol::default()
        };
        let gallery = names.iter().map(|n| item(n)).collect();
        let exam = Benchmark::new("by scores", gallery, vec![q], protocol).unwrap();
        let scores: Vec<f32> = names.iter().map(|_| dice.below(5) as f32 - 2.0).collect();
        let pairs: Vec<(&str, f32)> = names.iter().map(String::as_str).zip(scores.iter().copied()).collect();
        let few = benchmarks::bootstrap::Bootstrap { resamples: 4, seed: 1 };
        let ranking = exam.rank("q", &pairs).unwrap();
        let mut marker = exam.marker().unwrap();
        marker.add("q", ranking.gallery.iter().map(String::as_str)).unwrap();
        let by_ranking = marker.finish(few).unwrap();
        let mut marker = exam.marker().unwrap();
        marker.add_scores("q", &scores).unwrap();
        let by_scores = marker.finish(few).unwrap();
        assert!(by_scores == by_ranking, "{:?} {:?}", by_scores.ranks, by_ranking.ranks);
    }
    let exam = small();
    let mut marker = exam.marker().unwrap();
    refused(marker.add_scores("q", &[1.0]), "1 scores for 4 items");
    refused(marker.add_scores("q", &[1.0, f32::NAN, 0.0, 0.0]), "score of b is not a number");
    refused(marker.add_scores("z", &[1.0; 4]), "asks no such question");
    marker.add_scores("q", &[1.0; 4]).unwrap();
    refused(marker.add_scores("q", &[1.0; 4]), "already answered");
}

#[test]
fn candidates_and_references_from_outside_the_gallery_are_no_answers() {
    let mut exam = small();
    exam.references = vec![item("z")];
    exam.queries[0].reference = "z".into();
    exam.queries[0].candidates = Some(vec!["d".into(), "b".into()]);
    let report =
        exam.mark(&[Ranking::new("q", ["a", "c", "b", "d"]), Ranking::new("r", ["c", "d", "a", "b"])]).unwrap();
    assert_eq!(report.ranks[0].rank, Some(1), "a and c are no candidates");
    refused(exam.mark(&[Ranking::new("q", ["z"])]), "z, which is not in the gallery");
    exam.references.push(item("a"));
    refused(exam.check(), "a twice");
    exam.references.pop();
    exam.hidden = true;
    exam.queries.iter_mut().for_each(|q| q.targets.clear());
    refused(exam.mark(&[Ranking::new("q", ["a", "b", "c", "d"])]), "keeps its right answers");
}

#[test]
fn leaving_the_reference_out_is_the_difference_between_two_protocols() {
    let exam = small();
    let mut keeps = exam.clone();
    keeps.protocol.drop_reference = false;
    let sheets = [Ranking::new("q", ["a", "b", "c", "d"]), Ranking::new("r", ["b", "c", "d", "a"])];
    assert_eq!(exam.mark(&sheets).unwrap().all.recall_at(1).unwrap().value, 1.0);
    assert_eq!(keeps.mark(&sheets).unwrap().all.recall_at(1).unwrap().value, 0.0);
    refused(exam.mark(&sheets).unwrap().compare(&keeps.mark(&sheets).unwrap(), ("x", "y")), "the protocol's digest");
}

/// 300 questions over 40 items; a method that is right with the given odds of ten.
fn sat(odds: [usize; 2], seed: u64) -> (Benchmark, Report) {
    let names: Vec<String> = (0..40).map(|i| format!("i{i}")).collect();
    let mut queries = Vec::new();
    for i in 0..300 {
        let mut q = ask(&format!("q{i}"), &names[i % 40], &[&names[(i + 7) % 40]]);
        q.change = Some(if i % 2 == 0 { Change::Explicit } else { Change::Implied });
        q.slice = Some(["colour", "count", "a|b"][i % 3].to_owned());
        q.subset = Some((7..13).map(|d| names[(i + d) % 40].clone()).collect());
        queries.push(q);
    }
    let exam =
        Benchmark::new("forty/test", names.iter().map(|n| item(n)).collect(), queries, Protocol::default()).unwrap();
    let mut dice = Dice(seed);
    let sheets: Vec<Ranking> = exam
        .queries
        .iter()
        .enumerate()
        .map(|(i, q)| {
            let mut order = names.clone();
            dice.shuffle(&mut order);
            if dice.below(10) < odds[i % 2] {
                order.retain(|n| n != &q.targets[0]);
                order.insert(0, q.targets[0].clone());
            }
            Ranking::new(q.id.clone(), order)
        })
        .collect();
    let report = exam.mark(&sheets).unwrap();
    (exam, report)
}

#[test]
fn groups_add_up_and_intervals_hold_their_value() {
    let (_, report) = sat([8, 3], 5);
    assert_eq!(report.by_change.keys().collect::<Vec<_>>(), ["explicit", "implied"]);
    assert_eq!(report.by_slice.len(), 3);
    let r1 = |m: &benchmarks::Marks| m.recall_at(1).unwrap();
    let total = |groups: &std::collections::BTreeMap<String, benchmarks::Marks>| {
        groups.values().map(|m| r1(m).value * m.queries as f64).sum::<f64>() / 300.0
    };
    assert!((total(&report.by_change) - r1(&report.all).value).abs() < 1e-9);
    assert!((total(&report.by_slice) - r1(&report.all).value).abs() < 1e-9);
    assert!(r1(&report.by_change["explicit"]).low > r1(&report.by_change["implied"]).high);
    for marks in [&report.all].into_iter().chain(report.by_change.values()).chain(report.by_slice.values()) {
        assert_eq!(marks.subset_queries, marks.queries);
        for e in marks
            .recall
            .iter()
            .chain(&marks.subset_recall)
            .chain(&marks.average_precision)
            .map(|m| m.mark)
            .chain(marks.mean_rank)
        {
            assert!(e.low <= e.value && e.value <= e.high, "{e:?}");
        }
    }
}

#[test]
fn a_better_method_is_told_from_its_equal() {
    let ((_, good), (_, poor), (_, twin)) = (sat([8, 5], 5), sat([5, 5], 6), sat([8, 5], 7));
    let better = good.compare(&poor, ("good", "poor")).unwrap();
    let explicit = better.find("explicit", "R@1").unwrap();
    assert!(explicit.difference.low > 0.0 && explicit.p < 0.01, "{explicit:?}");
    assert!(better.find("all", "mean rank").unwrap().difference.high < 0.0);
    let equal = good.compare(&twin, ("good", "twin")).unwrap();
    let all = equal.find("all", "R@1").unwrap();
    assert!(all.difference.low < 0.0 && 0.0 < all.difference.high && all.p > 0.05, "{all:?}");
    assert_eq!(good.compare(&good, ("a", "b")).unwrap().find("all", "R@1").unwrap().p, 1.0);
    assert!(better.to_string().contains("good against poor"));
}

#[test]
fn a_report_survives_json_and_says_its_rules_everywhere() {
    let (exam, mut report) = sat([8, 3], 5);
    assert!(Report::from_json(&report.to_json()).unwrap() == report, "read back, the report is another");
    refused(Report::from_json("{"), "not a report");
    report.left_out.gallery = vec!["gone".into()];
    for text in [report.to_string(), report.to_markdown()] {
        assert!(text.contains(&exam.protocol.digest().short()), "{text}");
        assert!(text.contains("reference left out"), "{text}");
        assert!(text.contains("left out: 1 items whose file is missing: gone"), "{text}");
    }
    assert!(report.to_markdown().contains("| a\\|b |"), "a slice's name must not break the table");
    let text = report.to_string();
    let (_, tables) = text
        .split_once(
            "

",
        )
        .unwrap();
    assert!(
        tables.lines().all(|l| l.chars().count() <= 80),
        "wider than a terminal:
{text}"
    );
}

#[test]
fn the_table_reads_like_this() {
    let report =
        small().mark(&[Ranking::new("q", ["b", "a", "c", "d"]), Ranking::new("r", ["b", "a", "d", "c"])]).unwrap();
    let text = report.to_string();
    let want = "\
small: 2 questions over 4 items
protocol likebut (DIGEST): gallery: all that the set lists; reference left out; ties go against the method; any right answer in the first k is a hit; AP over min(answers, k)
[95 % intervals from 10,000 resamples of the questions]

                             all
questions                      2
R@1          50.0 [0.0, 100.0]
R@2        100.0 [100.0, 100.0]
mAP@2         62.5 [25.0, 100.0]
median rank       1.5 [1.0, 2.0]
mean rank         1.5 [1.0, 2.0]
";
    let squeeze =
        |text: &str| text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    let want = want.replace("DIGEST", &report.rules.short());
    assert_eq!(squeeze(&text), squeeze(&want), "\n{text}");
}
