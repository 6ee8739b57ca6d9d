//! Reports as tables: one layout, written as plain text or as Markdown.

use crate::{Comparison, Estimate, Mark, Marks, Protocol, Report, error};

/// Sentences, then grids, each with a head row.
pub(crate) struct Page {
    sentences: Vec<String>,
    grids: Vec<Grid>,
}

/// Cells; the first row is the head, the first column holds names.
pub(crate) type Grid = Vec<Vec<String>>;

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
    add("questions".to_owned(), &|m| Some(grouped(m.queries)));
    // With one right answer each, average precision says nothing that recall does not.
    let several = report.ranks.iter().any(|r| r.targets > 1);
    for mark in report.protocol.marks().into_iter().filter(|m| several || !matches!(m, Mark::MeanAp(_))) {
        let span = if mark.is_share() { percent_span } else { plain_span };
        add(mark.to_string(), &|m| m.get(mark).map(span));
    }
    for average in &report.protocol.averages {
        add(average.name.clone(), &|m| m.averages.get(&average.name).copied().map(percent_span));
    }

    let mut grids = vec![marks];
    if !report.by_slice.is_empty() {
        grids.push(of_groups("slice", report.by_slice.iter(), &report.protocol));
    }
    if !report.by_aspect.is_empty() {
        grids.push(of_groups("aspect", report.by_aspect.iter(), &report.protocol));
    }
    Page { sentences, grids }
}

/// Groups down, marks across: what the protocol is read by, recall or, where there is more than one
/// right answer to find, average precision too.
pub(crate) fn of_groups<'a>(
    kind: &str,
    groups: impl Iterator<Item = (&'a String, &'a Marks)>,
    protocol: &Protocol,
) -> Grid {
    let precision = protocol.map_ks.iter().copied().find(|k| *k >= 10).filter(|_| kind == "aspect");
    let marks: Vec<Mark> = protocol.ks.iter().map(|&k| Mark::Recall(k)).chain(precision.map(Mark::MeanAp)).collect();
    let mut head = vec![kind.to_owned(), "questions".to_owned()];
    head.extend(marks.iter().map(Mark::to_string));
    let line = |(name, of): (&String, &Marks)| {
        // The interval of the first k only: the table stays narrow, JSON has them all.
        let cells = marks.iter().enumerate().map(|(i, &m)| match of.get(m) {
            Some(mark) if i == 0 => percent_span(mark),
            Some(mark) => percent(mark.value),
            None => "–".to_owned(),
        });
        [name.clone(), grouped(of.queries)].into_iter().chain(cells).collect()
    };
    [head].into_iter().chain(groups.map(line)).collect()
}

pub(crate) fn of_comparison(comparison: &Comparison) -> Page {
    let Comparison { benchmark, left, right, groups } = comparison;
    let grid = |group: &crate::GroupComparison| -> Grid {
        let head = [format!("{} ({})", group.group, grouped(group.queries)), left.clone(), right.clone()];
        let mut rows = vec![head.into_iter().chain(["difference".to_owned(), "p".to_owned()]).collect()];
        for d in &group.differences {
            let rank = !d.mark.is_share();
            let show = |v: f64| if rank { format!("{v:.1}") } else { percent(v) };
            let span = if rank { plain_span(d.difference) } else { percent_span(d.difference) };
            let p = p_value(d.p);
            rows.push(vec![d.mark.to_string(), show(d.left), show(d.right), span, p]);
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

/// A p-value as people write it.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

pub(crate) fn percent_span(e: Estimate) -> String {
    format!("{} [{}, {}]", percent(e.value), percent(e.low), percent(e.high))
}

pub(crate) fn plain_span(e: Estimate) -> String {
    format!("{:.1} [{:.1}, {:.1}]", e.value, e.low, e.high)
}

/// 12345 as 12,345.
pub(crate) fn grouped(n: usize) -> String {
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
