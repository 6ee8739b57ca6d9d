//! A paper as LaTeX tables.

use super::{Entry, Paper, Table};

pub(super) fn page(paper: &Paper) -> String {
    let mut out = format!("% {}\n", comment(&paper.title));
    for (name, value) in &paper.facts {
        out.push_str(&format!("% {}: {}\n", comment(name), comment(value)));
    }
    out.push_str("% Needs \\usepackage{booktabs}.\n");
    for section in paper.sections() {
        out.push_str(&format!("\n% {}\n", comment(&section.title)));
        section.notes.iter().for_each(|n| out.push_str(&format!("% {}\n", comment(n))));
        section.tables.iter().for_each(|t| table(&mut out, t));
    }
    out
}

fn table(out: &mut String, table: &Table) {
    let row = |cells: Vec<String>| format!("  {} \\\\\n", cells.join(" & "));
    let columns = "r".repeat(table.head.len().saturating_sub(1));
    out.push_str(&format!("\\begin{{table}}\n  \\centering\n  \\caption{{{}}}\n", escape(&table.caption)));
    out.push_str(&format!("  \\begin{{tabular}}{{l{columns}}}\n  \\toprule\n"));
    out.push_str(&row(table.head.iter().map(|h| escape(h)).collect()));
    out.push_str("  \\midrule\n");
    for cells in &table.rows {
        let cell = |e: &Entry| match e {
            Entry::Text(text) => escape(text),
            Entry::Number { value, span, best } => {
                let value = if *best { format!("\\textbf{{{}}}", escape(value)) } else { escape(value) };
                let small = |(l, h): &(String, String)| format!("\\,{{\\scriptsize[{}, {}]}}", escape(l), escape(h));
                format!("{value}{}", span.as_ref().map(small).unwrap_or_default())
            }
        };
        out.push_str(&row(cells.iter().map(cell).collect()));
    }
    out.push_str("  \\bottomrule\n  \\end{tabular}\n\\end{table}\n");
}

/// Text that LaTeX sets as it is.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '–' => out.push_str("--"),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn comment(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
