//! Tables that may be read, documents in every format, and means over exams and seeds.

use benchmarks::{
    Benchmark, Board, Case, Error, Mark, Paper, Picture, Protocol, Report, Side, compare_seeds, over_exams, over_seeds,
    preset, published,
};
use domain::{Change, GalleryEntry, Triplet};

use crate::Dice;

/// A sitting of an exam with `n` questions by someone who is right `odds` times of ten.
pub fn sat(name: &str, rules: Protocol, n: usize, odds: usize, seed: u64) -> Report {
    let names: Vec<String> = (0..120).map(|i| format!("picture-{i}")).collect();
    let question = |i: usize| Triplet {
        id: format!("q{i}"),
        reference: names[i % 120].clone(),
        text: ["make it <red>", "as a party, with many more people & dogs than before, in the evening"][i % 2].into(),
        targets: vec![names[(i + 7) % 120].clone(), names[(i + 50) % 120].clone()],
        subset: Some((7..13).map(|d| names[(i + d) % 120].clone()).collect()),
        change: Some([Change::Explicit, Change::Implied][i % 2]),
        slice: Some(["colour", "a|b, \"c\"", "count"][i % 3].into()),
        aspects: [vec!["negation".to_owned()], vec!["negation".to_owned(), "count_of".to_owned()]][i % 2].clone(),
        ..Default::default()
    };
    let gallery = names.iter().map(|n| GalleryEntry { name: n.clone(), ..Default::default() }).collect();
    let exam = Benchmark::new(name, gallery, (0..n).map(question).collect(), rules).unwrap();
    let mut dice = Dice(seed);
    let mut marker = exam.marker().unwrap();
    for q in &exam.queries {
        let mut order = names.clone();
        dice.shuffle(&mut order);
        if dice.below(10) < odds {
            order.retain(|n| *n != q.targets[0]);
            order.insert(0, q.targets[0].clone());
        }
        marker.add(&q.id, order.iter().map(String::as_str)).unwrap();
    }
    marker.finish(benchmarks::bootstrap::Bootstrap { resamples: 500, seed: 1 }).unwrap()
}

fn rules(name: &str) -> Protocol {
    preset(name).unwrap().protocol()
}

fn paper() -> Paper {
    let sit = |odds, seed| sat("cirr/test", rules("cirr"), 240, odds, seed);
    let reports = vec![("imagine".into(), sit(7, 1)), ("sum".into(), sit(4, 2)), ("<b>words</b>".into(), sit(2, 3))];
    let mut paper = Paper::new("Marks of a_model & more on CIRR", reports).unwrap();
    paper.facts = vec![("weights".into(), "0123456789ab".into()), ("command".into(), "likebut eval <world>".into())];
    let picture = |src: &str| Picture { src: src.into(), alt: "a \"ball\"".into() };
    let side = |method: &str, rank| Side {
        method: method.into(),
        rank: Some(rank),
        found: vec![(picture("data:image/png;base64,AAAA"), rank == 1), (picture("javascript:alert(1)"), false)],
    };
    paper.cases = vec![Case {
        query: "q1".into(),
        text: "make it <red>".into(),
        reference: picture("data:image/png;base64,AAAA"),
        sides: vec![side("imagine", 1), side("sum", 37)],
    }];
    paper
}

#[test]
fn two_scores_of_different_rules_or_exams_never_stand_in_one_column() {
    let ours = sat("cirr/test", rules("cirr"), 60, 5, 1);
    let mut board = Board::new(&ours, "all");
    board.add("ours", &ours).unwrap();
    for (other, part) in [
        (sat("cirr/val", rules("cirr"), 60, 5, 1), "the exam is cirr/val on one side and cirr/test on the other"),
        (sat("cirr/test", rules("covr-cirr"), 60, 5, 1), "the protocol's digest is"),
        (sat("cirr/test", Protocol { drop_reference: false, ..rules("cirr") }, 60, 5, 1), "the protocol's digest is"),
    ] {
        let error = board.add("other", &other).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        // The same questions under another name are the same exam; other rules are not.
        let refused = other.rules != ours.rules;
        assert_eq!(Paper::new("x", vec![("a".into(), ours.clone()), ("b".into(), other)]).is_err(), refused);
    }
    // A name is no rule.
    board.add("same", &sat("cirr/test", Protocol { name: "x".into(), ..rules("cirr") }, 60, 8, 2)).unwrap();

    let find = |exam: &str, method: &str| {
        published().iter().find(|p| p.exam == exam && p.method == method).unwrap_or_else(|| panic!("{method}"))
    };
    board.add_published(find("cirr/test", "IMAGINE")).unwrap();
    let imagine = board.rows.last().unwrap();
    assert_eq!(imagine.cells[0].map(|c| (c.value, c.span)), Some((0.5225, None)));
    assert!(imagine.source.as_ref().is_some_and(|s| s.contains("2606.08144")));
    for (exam, method) in [("circo/test", "LDRE, L/14"), ("fashioniq/dress/val", "QuRe")] {
        assert!(matches!(board.add_published(find(exam, method)), Err(Error::NotTheSame { .. })));
    }
    // FashionIQ's two galleries.
    let dress = sat("fashioniq/dress/val", rules("hud-fashioniq"), 60, 5, 1);
    let mut board = Board::new(&dress, "all");
    board.add_published(find("fashioniq/dress/val", "HUD")).unwrap();
    assert!(board.add_published(find("fashioniq/dress/val", "CoVR-2")).is_err());
    assert!(board.add_published(find("fashioniq/dress/val", "QuRe")).is_err(), "rules that are not stated");
    // The best of a column is marked, whichever side it is from.
    assert!(board.rows[0].cells[0].unwrap().best);
}

#[test]
fn each_format_holds_the_marks_the_rules_the_published_and_the_ranks() {
    let paper = paper();
    let report = &paper.reports[0].1;
    let r1 = format!("{:.1}", 100.0 * report.all.get(Mark::Recall(1)).unwrap().value);
    let (html, markdown) = (paper.to_html(":root{}"), paper.to_markdown());
    for text in [&html, &markdown, &paper.to_latex()] {
        for part in [r1.as_str(), &report.rules.short(), "52.25", "IMAGINE", "Avg (7)", "84.66"] {
            assert!(text.contains(part), "{part} is not in\n{}", &text[..3_000]);
        }
    }
    // Under other rules, in a table of its own.
    let dress = sat("fashioniq/dress/val", rules("hud-fashioniq"), 40, 5, 1);
    let text = Paper::new("dress", vec![("ours".into(), dress)]).unwrap().to_markdown();
    let (ours, others) = text.split_once("must not be read beside").unwrap();
    assert!(ours.contains("| HUD |") && !ours.contains("| QuRe |") && !ours.contains("CoVR-2"), "{ours}");
    assert!(others.contains("| QuRe |") && others.contains("rules not wholly known: original gallery"), "{others}");
    assert!(
        others.contains("fashioniq/dress/val, protocol covr-fashioniq")
            && !others.contains("fashioniq/dress/val, protocol hud")
    );
    assert!(html.contains("&lt;b&gt;words&lt;/b&gt;") && !html.contains("<b>words"), "names are escaped");
    assert!(!html.contains("javascript:") && !html.contains("<script") && !html.contains("http://"));
    assert!(markdown.contains("a\\|b, \"c\"") && !markdown.contains("<b>"));
    assert!(markdown.contains("up to 5 words") && markdown.contains("11 to 20 words") && markdown.contains("count_of"));
    let latex = paper.to_latex();
    assert!(latex.contains("count\\_of") && latex.contains("\\toprule") && latex.contains("\\textless{}b"));
    let unescaped = latex.lines().filter(|l| !l.starts_with('%'));
    for line in unescaped {
        let bare = line.replace("\\_", "").replace("\\%", "").replace("\\#", "").replace("\\$", "");
        assert!(!bare.contains(['_', '%', '#', '$']), "{line}");
    }

    let json: serde_json::Value = serde_json::from_str(&paper.to_json()).unwrap();
    assert_eq!(json["reports"]["imagine"]["ranks"].as_array().unwrap().len(), 240);
    assert_eq!(json["comparisons"].as_array().unwrap().len(), 2);
    assert!(json["published"].as_array().unwrap().iter().any(|p| p["protocol"].is_null()) || !published().is_empty());
}

#[test]
fn csv_has_the_same_columns_in_every_line_and_no_formulas() {
    let mut paper = paper();
    paper.reports[2].0 = "=1+1".into();
    let text = paper.to_csv();
    // A plain reader of quoted cells.
    let cells = |line: &str| {
        let (mut out, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => out.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        out.push(cell);
        out
    };
    let mut ranks = 0;
    for line in text.lines() {
        let cells = cells(line);
        assert_eq!(cells.len(), 11, "{line}");
        assert!(!cells[3].starts_with('='), "{line}");
        ranks += usize::from(cells[6] == "rank");
    }
    assert_eq!(ranks, 3 * 240);
    assert!(text.contains("a|b"), "slices are in it");
}

#[test]
fn means_over_exams_and_seeds_agree_with_their_slow_twins() {
    let parts: Vec<Report> = [("dress", 90), ("shirt", 40), ("toptee", 60)]
        .iter()
        .enumerate()
        .map(|(i, (part, n))| sat(&format!("fashioniq/{part}/val"), rules("hud-fashioniq"), *n, 3 + i, i as u64 + 1))
        .collect();
    let joint = over_exams(&parts).unwrap();
    let r10 = joint.iter().find(|j| j.mark == "R@10").unwrap();
    let values: Vec<f64> = parts.iter().map(|r| r.all.recall_at(10).unwrap().value).collect();
    assert!((r10.mean.value - values.iter().sum::<f64>() / 3.0).abs() < 2e-9, "each category counts alike");
    assert!(r10.mean.low < r10.mean.value && r10.mean.value < r10.mean.high);
    let both = joint.iter().find(|j| j.mark == "Mean").unwrap().mean.value;
    let r50 = joint.iter().find(|j| j.mark == "R@50").unwrap().mean.value;
    assert!((both - (r10.mean.value + r50) / 2.0).abs() < 2e-9, "FashionIQ's Mean is that of both averages");
    let other = sat("fashioniq/dress/val", rules("covr-fashioniq"), 30, 5, 1);
    assert!(over_exams(&[parts[0].clone(), other]).is_err());

    let seeds = |odds, from: u64| -> Vec<Report> {
        (0..3).map(|s| sat("cirr/val", rules("cirr"), 120, odds, from + s)).collect()
    };
    let (good, twin, poor) = (seeds(7, 1), seeds(7, 11), seeds(4, 21));
    let joint = over_seeds(&good).unwrap();
    let r1 = joint.iter().find(|j| j.mark == "R@1").unwrap();
    let values: Vec<f64> = good.iter().map(|r| r.all.recall_at(1).unwrap().value).collect();
    let mean = values.iter().sum::<f64>() / 3.0;
    let deviation = (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 2.0).sqrt();
    assert!((r1.mean.value - mean).abs() < 2e-9 && (r1.deviation.unwrap() - deviation).abs() < 1e-9);
    // One question more or less moves a part less than the questions' own spread.
    assert!(r1.mean.low <= mean && mean <= r1.mean.high);
    let find = |of: Vec<(String, benchmarks::Estimate, f64)>| of.into_iter().find(|(m, ..)| m == "R@1").unwrap();
    let (_, better, p) = find(compare_seeds(&good, &poor).unwrap());
    assert!(better.low > 0.0 && p < 0.05, "{better:?} {p}");
    let (_, equal, p) = find(compare_seeds(&good, &twin).unwrap());
    assert!(equal.low < 0.0 && equal.high > 0.0 && p > 0.05, "{equal:?} {p}");
    assert_eq!(find(compare_seeds(&good, &good).unwrap()).2, 1.0);
    assert!(over_seeds(&[good[0].clone(), sat("cirr/val", rules("cirr"), 60, 7, 1)]).is_err());
}
