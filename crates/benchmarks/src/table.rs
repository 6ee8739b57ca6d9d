//! Reports as tables: one layout, written as plain text or as Markdown.

use crate::{AtK, Comparison, Estimate, Marks, Report, error};

/// Sentences, then grids, each with a head row.
pub(crate) struct Page {
    sentences: Vec<String>,
    grids: Vec<Grid>,
}

/// Cells; the first row is the head, the first column holds names.
type Grid = Vec<Vec<String>>;

pub(crate) fn of_report(report: &Report) -> Page {
    let mut sentences = vec![
        format!(
            "{}: {} questions over {} items",
            report.benchmark,
            grouped(report.ranks.len()),
            grouped(report.gallery)
        ),
        report.protocol.to_string(),
        format!("[95 % intervals from {} resamples of the questions]", grouped(report.bootstrap.resamples)),
    ];
    let left_out = &report.left_out;
    for (what, names) in
        [("items whose file is missing", &left_out.gallery), ("questions that need them", &left_out.queries)]
    {
        if !names.is_empty() {
            sentences.push(format!("left out: {} {what}: {}", grouped(names.len()), error::some_of(names)));
        }
    }

    // Marks down, groups across.
    let groups: Vec<(&str, &Marks)> = [("all", &report.all)]
        .into_iter()
        .chain(report.by_change.iter().map(|(name, marks)| (name.as_str(), marks)))
        .collect();
    let mut marks = vec![row("", groups.iter().map(|(name, _)| (*name).to_owned()))];
    let mut add = |name: String, of: &dyn Fn(&Marks) -> Option<String>| {
        if groups.iter().any(|(_, m)| of(m).is_some()) {
            marks.push(row(&name, groups.iter().map(|(_, m)| of(m).unwrap_or_else(|| "–".to_owned()))));
        }
    };
    let at = |list: &[AtK], k: usize| list.iter().find(|m| m.k == k).map(|m| percent_span(m.mark));
    add("questions".to_owned(), &|m| Some(grouped(m.queries)));
    for &k in &report.protocol.ks {
        add(format!("R@{k}"), &|m| at(&m.recall, k));
    }
    for &k in &report.protocol.subset_ks {
        add(format!("R_subset@{k}"), &|m| at(&m.subset_recall, k));
    }
    // With one right answer each, average precision says nothing that recall does not.
    if report.ranks.iter().any(|r| r.targets > 1) {
        for &k in &report.protocol.map_ks {
            add(format!("mAP@{k}"), &|m| at(&m.average_precision, k));
        }
    }
    add("median rank".to_owned(), &|m| m.median_rank.map(plain_span));
    add("mean rank".to_owned(), &|m| m.mean_rank.map(plain_span));

    let mut grids = vec![marks];
    if !report.by_slice.is_empty() {
        let ks = &report.protocol.ks;
        let mut head = vec!["slice".to_owned(), "questions".to_owned()];
        head.extend(ks.iter().map(|k| format!("R@{k}")));
        let slice = |(name, marks): (&String, &Marks)| {
            // The interval of the first k only: the table stays narrow, JSON has them all.
            let recalls = marks.recall.iter().enumerate().map(|(i, m)| match i {
                0 => percent_span(m.mark),
                _ => percent(m.mark.value),
            });
            [name.clone(), grouped(marks.queries)].into_iter().chain(recalls).collect()
        };
        grids.push([head].into_iter().chain(report.by_slice.iter().map(slice)).collect());
    }
    Page { sentences, grids }
}

pub(crate) fn of_comparison(comparison: &Comparison) -> Page {
    let Comparison { benchmark, left, right, groups } = comparison;
    let grid = |group: &crate::GroupComparison| -> Grid {
        let head = [format!("{} ({})", group.group, grouped(group.queries)), left.clone(), right.clone()];
        let mut rows = vec![head.into_iter().chain(["difference".to_owned(), "p".to_owned()]).collect()];
        for d in &group.differences {
            let rank = d.mark == "mean rank";
            let show = |v: f64| if rank { format!("{v:.1}") } else { percent(v) };
            let span = if rank { plain_span(d.difference) } else { percent_span(d.difference) };
            let p = if d.p < 0.001 { "<0.001".to_owned() } else { format!("{:.3}", d.p) };
            rows.push(vec![d.mark.clone(), show(d.left), show(d.right), span, p]);
        }
        rows
    };
    Page {
        sentences: vec![format!("{benchmark}: {left} against {right}, paired bootstrap over questions")],
        grids: groups.iter().map(grid).collect(),
    }
}

impl Page {
    /// Columns padded with spaces; fits a terminal.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for sentence in &self.sentences {
            text.push_str(&format!("{sentence}\n"));
        }
        for grid in &self.grids {
            text.push('\n');
            let columns = grid.iter().map(Vec::len).max().unwrap_or(0);
            let width = |c: usize| grid.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
            let widths: Vec<usize> = (0..columns).map(width).collect();
            for cells in grid {
                let padded = cells.iter().zip(&widths).enumerate().map(|(c, (cell, w))| match c {
                    0 => format!("{cell:<w$}"),
                    _ => format!("{cell:>w$}"),
                });
                let line = padded.collect::<Vec<_>>().join("  ");
                text.push_str(&format!("{}\n", line.trim_end()));
            }
        }
        text
    }

    /// Pipes; a name that holds one is escaped.
    pub(crate) fn to_markdown(&self) -> String {
        let safe = |cell: &String| cell.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
        let line = |cells: &Vec<String>| format!("| {} |\n", cells.iter().map(safe).collect::<Vec<_>>().join(" | "));
        let mut text = String::new();
        for sentence in &self.sentences {
            text.push_str(&format!("{}.\n", sentence.replace(['\n', '\r'], " ")));
        }
        for grid in &self.grids {
            text.push('\n');
            for (i, cells) in grid.iter().enumerate() {
                text.push_str(&line(cells));
                if i == 0 {
                    let rule: Vec<&str> = (0..cells.len()).map(|c| if c == 0 { "---" } else { "--:" }).collect();
                    text.push_str(&format!("|{}|\n", rule.join("|")));
                }
            }
        }
        text
    }
}

fn row(name: &str, cells: impl Iterator<Item = String>) -> Vec<String> {
    [name.to_owned()].into_iter().chain(cells).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

fn percent_span(e: Estimate) -> String {
    format!("{} [{}, {}]", percent(e.value), percent(e.low), percent(e.high))
}

fn plain_span(e: Estimate) -> String {
    format!("{:.1} [{:.1}, {:.1}]", e.value, e.low, e.high)
}

/// 12345 as 12,345.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
