//! Two methods, one exam: is the difference more than luck?

use std::collections::BTreeMap;

use crate::{Error, Estimate, Mark, QueryRank, Report, Result};

/// How much better the left report is than the right one, by the paired bootstrap.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Comparison {
    /// The exam's name.
    pub benchmark: String,
    /// What the left side is called.
    pub left: String,
    /// What the right side is called.
    pub right: String,
    /// Over all questions, then by kind of change, then by slice.
    pub groups: Vec<GroupComparison>,
}

/// One group of questions.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GroupComparison {
    /// `all`, `explicit`, `implied`, or a slice's name.
    pub group: String,
    /// How many questions.
    pub queries: usize,
    /// One per mark.
    pub differences: Vec<Difference>,
}

/// One mark on both sides.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// Which mark.
    pub mark: Mark,
    /// Left side's mark.
    pub left: f64,
    /// Right side's mark.
    pub right: f64,
    /// Left minus right, with its 95 % interval over paired draws.
    pub difference: Estimate,
    /// Two-sided p-value of there being no difference.
    pub p: f64,
}

impl Report {
    /// Compares this report with another of the same exam under the same rules, question by question.
    ///
    /// `names` are what the two are called in the table, this one's first.
    pub fn compare(&self, other: &Report, names: (&str, &str)) -> Result<Comparison> {
        self.same_exam(other)?;
        let mut members: BTreeMap<(u8, String), Vec<usize>> = BTreeMap::new();
        for (i, r) in self.ranks.iter().enumerate() {
            let change = r.change.map(|c| (1, c.to_string()));
            let slice = r.slice.as_ref().map(|s| (2, s.clone()));
            for group in [Some((0, "all".to_owned())), change, slice].into_iter().flatten() {
                members.entry(group).or_default().push(i);
            }
        }
        let groups = members.into_iter().map(|((_, group), members)| {
            let pairs: Vec<_> = members.iter().map(|&i| (&self.ranks[i], &other.ranks[i])).collect();
            GroupComparison { differences: self.differences(&pairs, &group), queries: pairs.len(), group }
        });
        Ok(Comparison {
            benchmark: self.benchmark.clone(),
            left: names.0.to_owned(),
            right: names.1.to_owned(),
            groups: groups.collect(),
        })
    }

    fn differences(&self, pairs: &[(&QueryRank, &QueryRank)], salt: &str) -> Vec<Difference> {
        // Marks that all questions have are drawn together; those of look-alikes among themselves.
        let mut by_count: BTreeMap<usize, Vec<(Mark, Vec<(f64, f64)>)>> = BTreeMap::new();
        // The median of differences is no difference of medians: it has no paired test here.
        for mark in self.protocol.marks().into_iter().filter(|m| *m != Mark::MedianRank) {
            let earns = |r: &QueryRank| r.earns(mark, self.protocol.right);
            let both: Vec<(f64, f64)> = pairs.iter().filter_map(|(l, r)| Some((earns(l)?, earns(r)?))).collect();
            // A rank that was cut off on either side has no mean.
            if !both.is_empty() && (mark != Mark::MeanRank || both.len() == pairs.len()) {
                by_count.entry(both.len()).or_default().push((mark, both));
            }
        }
        let mut found = Vec::new();
        for columns in by_count.into_values() {
            let differences = columns.iter().map(|(_, both)| both.iter().map(|(l, r)| l - r).collect()).collect();
            for ((mark, both), (difference, p)) in columns.iter().zip(self.bootstrap.paired(differences, salt)) {
                let mean = |of: fn(&(f64, f64)) -> f64| both.iter().map(of).sum::<f64>() / both.len() as f64;
                found.push(Difference { mark: *mark, left: mean(|b| b.0), right: mean(|b| b.1), difference, p });
            }
        }
        let order = self.protocol.marks();
        found.sort_by_key(|d| order.iter().position(|m| *m == d.mark));
        found
    }

    /// Refuses a report of another exam, or of the same one under other rules.
    pub(crate) fn same_exam(&self, other: &Report) -> Result<()> {
        let same = |what, left: String, right: String| match left == right {
            true => Ok(()),
            false => Err(Error::NotTheSame { what, left, right }),
        };
        same("the protocol's digest", self.rules.short(), other.rules.short())?;
        same("the questions' digest", self.asked.short(), other.asked.short())?;
        same("the number of questions", self.ranks.len().to_string(), other.ranks.len().to_string())?;
        for (l, r) in self.ranks.iter().zip(&other.ranks) {
            same("a question's id", l.query.clone(), r.query.clone())?;
        }
        Ok(())
    }
}

impl Comparison {
    /// One mark of one group, by their names.
    pub fn find(&self, group: &str, mark: &str) -> Option<&Difference> {
        let mark: Mark = mark.parse().ok()?;
        self.groups.iter().find(|g| g.group == group)?.differences.iter().find(|d| d.mark == mark)
    }

    /// As a Markdown table.
    pub fn to_markdown(&self) -> String {
        crate::table::of_comparison(self).to_markdown()
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::table::of_comparison(self).to_text())
    }
}
