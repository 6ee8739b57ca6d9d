//! The reproduction as Markdown: our column beside the paper's.

use std::fmt::Write as _;

use train::reproduce::{Cost, Spread};

use super::{EXHIBITS, Findings, columns, decided, how, left_out, lines, said, title};

/// The whole report.
pub fn report(f: &Findings) -> String {
    let mut out = format!("# {}\n\n", title(f));
    let _ = writeln!(out, "Written by the command below; nothing in it is typed by hand.\n");
    let _ = writeln!(out, "```console\n$ {}\n```\n", f.command);
    list(&mut out, &how(f));
    let _ = writeln!(out, "\n## What came out\n");
    list(&mut out, &said(f));
    let _ = writeln!(out, "\n## Table 3: what the head costs\n");
    table_3(&f.cost, &mut out);
    for (key, title) in EXHIBITS {
        let lines = lines(f, key);
        if lines.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n## {title}\n");
        let columns = columns(f, key);
        let heads: String = columns.iter().map(|(head, _)| format!(" {head} |")).collect();
        let _ = writeln!(out, "| variant | changes |{heads}\n|---|---|{}", "---|".repeat(columns.len()));
        for l in lines {
            let cells: String = columns.iter().map(|(_, cell)| format!(" {} |", cell(f, l))).collect();
            let _ = writeln!(out, "| {} | {} |{cells}", l.variant, l.about);
        }
    }
    if !f.cases.shown.is_empty() {
        let _ = writeln!(out, "\n## Figure 7: cases that SIC decides\n\n{}\n", decided(f));
        out.push_str(
            "| who answers | reference | words | right answer | its rank | without SIC |\n|---|---|---|---|--:|--:|\n",
        );
        for c in &f.cases.shown {
            let [with, without] = c.ranks;
            let (who, reference) = (c.decided.told(), &c.reference.name);
            let _ = writeln!(out, "| {who} | {reference} | {} | {} | {with} | {without} |", c.words, c.target);
        }
    }
    let all = left_out(f);
    if !all.is_empty() {
        let _ = writeln!(out, "\n## Left out\n");
        list(&mut out, &all);
    }
    out
}

fn list(out: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(out, "- {line}");
    }
}

/// A mean with half its interval.
pub fn spread(s: Spread) -> String {
    match s.half {
        Some(half) => format!("{:.2} ± {half:.2}", s.mean),
        None => format!("{:.2}", s.mean),
    }
}

/// Rows of Table 3: what, ours, the paper's.
pub fn costs(c: &Cost) -> Vec<[String; 3]> {
    let gigabytes = |n: usize| format!("{:.3} GB", n as f64 / 1e9);
    let million = |n: usize| format!("{:.2} M", n as f64 / 1e6);
    let mut rows = vec![
        ["parameters, CoVR-2's backbone".into(), million(c.backbone), "1173.19 M".into()],
        ["parameters, with the head (preset paper_sized)".into(), million(c.backbone + c.added), "1174.14 M".into()],
        ["parameters added".into(), c.added.to_string(), "0.95 M".into()],
        ["numbers of the two libraries, not trained".into(), c.libraries.to_string(), "–".into()],
        ["weights in memory, CoVR-2, f32".into(), gigabytes(c.bytes()[0]), "–".into()],
        ["weights in memory, with the head and its libraries, f32".into(), gigabytes(c.bytes()[1]), "–".into()],
    ];
    if let Some(t) = &c.times {
        let covr2 = t.vit + t.composed;
        let share = |more: f64, of: f64| format!("{:.2} %", 100.0 * more / of);
        rows.extend([
            ["seconds per query, CoVR-2 (one frame)".into(), format!("{covr2:.3}"), "0.0653".into()],
            ["seconds per query, IMAGINE".into(), format!("{:.3}", covr2 + t.imagery), "0.0660".into()],
            ["query overhead".into(), share(t.imagery, covr2), "1.07 %".into()],
            ["of which the head alone".into(), share(t.head, covr2), "–".into()],
            [
                format!("seconds per training step of {} on cached tokens, CoVR-2", t.batch),
                format!("{:.3}", t.step),
                "9.612 (its own batch, with the vision transformer)".into(),
            ],
            ["the same, IMAGINE".into(), format!("{:.3}", t.step_imagine), "9.901".into()],
            ["training overhead on cached tokens".into(), share(t.step_imagine - t.step, t.step), "–".into()],
            [
                "training overhead with the vision transformer run every time".into(),
                share(t.step_imagine - t.step, t.step + 2.0 * t.batch as f64 * t.vit),
                "3.0 %".into(),
            ],
        ]);
        if let Some([plain, imagine]) = t.step_bytes {
            rows.extend([
                [
                    format!("memory of a training step of {} on cached tokens beside the weights, CoVR-2", t.batch),
                    gigabytes(plain),
                    "18.541 GB (its own batch, all in all)".into(),
                ],
                ["the same, IMAGINE".into(), gigabytes(imagine), "20.173 GB".into()],
                [
                    "memory overhead of the step".into(),
                    share(imagine as f64 - plain as f64, plain as f64),
                    "8.8 %".into(),
                ],
            ]);
        }
    }
    rows
}

fn table_3(c: &Cost, out: &mut String) {
    out.push_str("| | here | paper (V100) |\n|---|--:|--:|\n");
    for [what, ours, theirs] in costs(c) {
        let _ = writeln!(out, "| {what} | {ours} | {theirs} |");
    }
    if c.times.is_some() {
        out.push_str(
            "\nTimes are of this machine with random weights at the real size; the vision transformer's is that of one of its \
             alike blocks times their number. A step is loss and gradients; the optimiser's update, which goes through all that \
             learns and so takes the head half a per cent longer, is not in it.\n",
        );
    }
}

/// Table 3 as a document of its own.
pub fn cost_report(c: &Cost, command: &str, machine: &str) -> String {
    let mut out = String::from("# What IMAGINE's head costs at the real model's size\n\n");
    let _ = writeln!(out, "Written by the command below; nothing in it is typed by hand.\n");
    let _ = writeln!(out, "```console\n$ {command}\n```\n\nMachine: {machine}.\n");
    table_3(c, &mut out);
    out
}
