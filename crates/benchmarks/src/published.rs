//! What others published: numbers to stand beside ours, each with its rules and its source.
//!
//! The numbers are facts and lie in one file, `published.tsv`.
//! Only where a row's rules are one of [`crate::PROTOCOLS`] can it stand in a table with ours, and
//! [`crate::Board`] checks that; rows whose papers do not state their rules stand by themselves.

use std::sync::OnceLock;

use crate::{Preset, Protocol, preset};

/// One row of somebody's table.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The exam, as ours are named: `cirr/test`, `fashioniq/dress/val`; the part `mean` is the mean
    /// over a set's parts.
    pub exam: String,
    /// The rules, where they are known wholly.
    pub protocol: Option<Protocol>,
    /// What is known of the rules where they are not.
    pub known: String,
    /// The method, as its paper calls it.
    pub method: String,
    /// Names of marks and averages, with shares from 0 to 1.
    pub marks: Vec<(String, f64)>,
    /// Where it is written.
    pub source: String,
}

/// All rows that we know.
pub fn published() -> &'static [Published] {
    static ROWS: OnceLock<Vec<Published>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let lines = include_str!("published.tsv").lines().enumerate();
        // The tests read every line; one that cannot be read is left out rather than fatal.
        lines.filter_map(|(i, line)| row(line).transpose()?.map_err(|e| (i, e)).ok()).collect()
    })
}

/// A row; `None` for a comment.
fn row(line: &str) -> Result<Option<Published>, String> {
    if line.starts_with('#') || line.trim().is_empty() {
        return Ok(None);
    }
    let fields: Vec<&str> = line.split('\t').collect();
    let [exam, rules, method, marks, source] = fields[..] else {
        return Err(format!("{} columns where there are five", fields.len()));
    };
    let (protocol, known) = match rules.strip_prefix('?') {
        Some(known) => (None, known.to_owned()),
        None => {
            (Some(preset(rules).map(Preset::protocol).ok_or_else(|| format!("no protocol {rules}"))?), String::new())
        }
    };
    let mark = |cell: &str| {
        let (name, value) = cell.rsplit_once('=').ok_or_else(|| format!("{cell} is no mark=value"))?;
        let value: f64 = value.parse().map_err(|_| format!("{cell} has no number"))?;
        if !(0.0..=100.0).contains(&value) {
            return Err(format!("{cell} is not per cent"));
        }
        Ok((name.replace('_', " ").replace("R subset", "R_subset"), value / 100.0))
    };
    let marks = marks.split(' ').map(mark).collect::<Result<Vec<_>, String>>()?;
    let (exam, method, source) = (exam.to_owned(), method.to_owned(), source.to_owned());
    Ok(Some(Published { exam, protocol, known, method, marks, source }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mark;

    #[test]
    fn every_row_can_be_read_and_names_marks_that_its_rules_give() {
        let mut rows = 0;
        for (i, line) in include_str!("published.tsv").lines().enumerate() {
            let Some(p) = row(line).unwrap_or_else(|e| panic!("published.tsv, line {}: {e}", i + 1)) else { continue };
            rows += 1;
            for (name, _) in &p.marks {
                let average = |rules: &Protocol| rules.averages.iter().any(|a| a.name == *name);
                let given = |rules: &Protocol| name.parse::<Mark>().is_ok_and(|m| rules.marks().contains(&m));
                let known = p.protocol.as_ref().is_none_or(|rules| average(rules) || given(rules));
                assert!(known, "line {}: {name} is not a mark of its rules", i + 1);
            }
        }
        assert_eq!(published().len(), rows);
        assert!(rows > 150, "{rows} rows only");
    }

    #[test]
    fn published_averages_are_the_means_of_their_marks() {
        // A slip of the pen in the file, or a table that contradicts itself, shows here.
        let mut checked = 0;
        for p in published() {
            let Some(rules) = &p.protocol else { continue };
            for average in &rules.averages {
                let of = |name: &str| p.marks.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
                let parts: Option<Vec<f64>> = average.of.iter().map(|m| of(&m.to_string())).collect();
                let (Some(parts), Some(said)) = (parts, of(&average.name)) else { continue };
                let mean = parts.iter().sum::<f64>() / parts.len() as f64;
                assert!((mean - said).abs() < 2e-4, "{} on {}: {mean} is not {said}", p.method, p.exam);
                checked += 1;
            }
        }
        assert!(checked >= 10, "{checked}");
    }
}
