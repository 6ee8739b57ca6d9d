//! A report of marks as Markdown: everything that a reader needs to trust it or to run it again.

use std::fmt::Write as _;

use benchmarks::Report;
use methods::Manifest;

/// The kinds of question, in the order of the table.
const KINDS: [&str; 2] = ["explicit", "implied"];

/// The whole report; `commands` are the lines that make it again.
pub fn markdown(reports: &[(&str, Report)], manifest: &Manifest, commands: &[String]) -> String {
    let mut out = String::new();
    let Some((_, first)) = reports.first() else {
        return out;
    };
    let line = |out: &mut String, text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(&mut out, format!("# Marks of {} on {}\n", manifest.name, first.benchmark));
    line(&mut out, "Written by the commands below; nothing in it is typed by hand.\n".into());
    line(
        &mut out,
        format!("```console\n{}\n```\n", commands.iter().map(|c| format!("$ {c}")).collect::<Vec<_>>().join("\n")),
    );
    line(&mut out, format!("- Model: {}, weights `{}`, {}.", manifest.name, manifest.weights.short(), manifest.about));
    if let Some(recipe) = manifest.made["recipe_digest"].as_str() {
        line(
            &mut out,
            format!("- Recipe: `{}`, seed {}.", &recipe[..recipe.len().min(12)], manifest.made["recipe"]["seed"]),
        );
    }
    line(&mut out, format!("- View: {}; sampling: {}.", manifest.view, manifest.sampling));
    line(
        &mut out,
        format!(
            "- Questions: {} on a gallery of {}, digest `{}`.",
            first.all.queries,
            first.gallery,
            first.asked.short()
        ),
    );
    line(&mut out, format!("- Protocol: {} (`{}`).", first.protocol, first.rules.short()));
    line(&mut out, format!("- Machine: {}.", machine()));
    line(
        &mut out,
        "- Intervals: 95 %, bootstrap over questions. The test part was used for nothing but this.\n".into(),
    );

    for kind in KINDS {
        let Some(marks) = first.by_change.get(kind) else { continue };
        line(&mut out, format!("## {kind}, {} questions\n", marks.queries));
        line(&mut out, "| method | R@1 | R@5 | R@10 | R_subset@1 |\n|---|---|---|---|---|".into());
        for (name, report) in reports {
            let Some(marks) = report.by_change.get(kind) else { continue };
            let mut row = format!("| {name} |");
            let cells = [marks.recall_at(1), marks.recall_at(5), marks.recall_at(10), marks.subset_recall_at(1)];
            for cell in cells {
                match cell {
                    Some(e) => {
                        let [v, l, h] = [e.value, e.low, e.high].map(|x| 100.0 * x);
                        let _ = write!(row, " {v:.1} ({l:.1}–{h:.1}) |");
                    }
                    None => row.push_str(" – |"),
                }
            }
            line(&mut out, row);
        }
        out.push('\n');
        if let Some(text) = margin(reports, kind) {
            line(&mut out, text);
        }
    }
    if let Some((name, report)) = reports.iter().find(|(n, _)| *n == "imagine") {
        line(&mut out, format!("## What {name} finds easy and hard\n"));
        line(&mut out, "| what is changed | questions | R@1 | R_subset@1 |\n|---|--:|---|---|".into());
        for (slice, marks) in &report.by_slice {
            let cell = |e: Option<benchmarks::Estimate>| {
                e.map_or("–".to_owned(), |e| {
                    format!("{:.1} ({:.1}–{:.1})", 100.0 * e.value, 100.0 * e.low, 100.0 * e.high)
                })
            };
            line(
                &mut out,
                format!(
                    "| {slice} | {} | {} | {} |",
                    marks.queries,
                    cell(marks.recall_at(1)),
                    cell(marks.subset_recall_at(1))
                ),
            );
        }
    }
    out
}

/// How far `imagine` is ahead of the best of the others, question by question.
fn margin(reports: &[(&str, Report)], kind: &str) -> Option<String> {
    let at_1 = |r: &Report| r.by_change.get(kind).and_then(|m| m.recall_at(1)).map_or(0.0, |e| e.value);
    let (_, ours) = reports.iter().find(|(n, _)| *n == "imagine")?;
    let (name, best) =
        reports.iter().filter(|(n, _)| *n != "imagine").max_by(|a, b| at_1(&a.1).total_cmp(&at_1(&b.1)))?;
    let comparison = ours.compare(best, ("imagine", name)).ok()?;
    let d = comparison.find(kind, "R@1")?;
    let [v, l, h] = [d.difference.value, d.difference.low, d.difference.high].map(|x| 100.0 * x);
    Some(format!("R@1 of `imagine` above the best of the others, `{name}`: {v:.1} points ({l:.1}–{h:.1}, paired).\n"))
}

/// The machine in a line.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")).map(|l| l.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores, {}", model.unwrap_or(std::env::consts::ARCH), std::env::consts::OS)
}
