//! A paper as Markdown.

use super::{Entry, Paper, Table};

pub(super) fn page(paper: &Paper) -> String {
    let mut out = format!("# {}\n", safe(&paper.title));
    if !paper.facts.is_empty() {
        out.push('\n');
        for (name, value) in &paper.facts {
            out.push_str(&format!("- {}: {}\n", safe(name), safe(value)));
        }
    }
    for section in paper.sections() {
        out.push_str(&format!("\n## {}\n", safe(&section.title)));
        if !section.notes.is_empty() {
            let notes: Vec<String> = section.notes.iter().map(|n| safe(n)).collect();
            out.push_str(&format!("\n{}\n", notes.join("\n")));
        }
        section.tables.iter().for_each(|t| table(&mut out, t));
    }
    out
}

fn table(out: &mut String, table: &Table) {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    out.push_str(&format!("\n**{}**\n\n", safe(&table.caption)));
    out.push_str(&row(table.head.iter().map(|h| safe(h)).collect()));
    let rule: Vec<&str> = (0..table.head.len()).map(|c| if c == 0 { "---" } else { "--:" }).collect();
    out.push_str(&format!("|{}|\n", rule.join("|")));
    for cells in &table.rows {
        let cell = |e: &Entry| match e {
            Entry::Number { value, span, best: true } => {
                let span = span.as_ref().map(|(l, h)| format!(" [{l}, {h}]")).unwrap_or_default();
                format!("**{value}**{span}")
            }
            other => safe(&other.plain()),
        };
        out.push_str(&row(cells.iter().map(cell).collect()));
    }
}

/// A pipe would end the cell.
fn safe(text: &str) -> String {
    line(text).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
