//! Two methods, one exam: is the difference more than luck?

use std::collections::BTreeMap;

use crate::bootstrap::Statistic;
use crate::{Error, Estimate, QueryRank, Report, Result, marks};

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
    /// `R@1`, `R_subset@1`, `mAP@5`, `mean rank`.
    pub mark: String,
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
        type Value<'a> = Box<dyn Fn(&QueryRank) -> Option<f64> + 'a>;
        let p = &self.protocol;
        let mut kinds: Vec<(String, Value)> = Vec::new();
        for &k in &p.ks {
            kinds.push((format!("R@{k}"), Box::new(move |r| Some(marks::recall(r.rank, k)))));
        }
        for &k in p.subset_ks.iter().filter(|_| p.subset) {
            let value = move |r: &QueryRank| r.subset_rank.map(|rank| marks::recall(Some(rank), k));
            kinds.push((format!("R_subset@{k}"), Box::new(value)));
        }
        for &k in &p.map_ks {
            let value = move |r: &QueryRank| Some(marks::average_precision(&r.target_ranks, r.targets, k));
            kinds.push((format!("mAP@{k}"), Box::new(value)));
        }
        kinds.push(("mean rank".to_owned(), Box::new(|r| r.rank.map(|rank| rank as f64))));

        let mut found = Vec::new();
        for (mark, value) in kinds {
            let both: Vec<(f64, f64)> = pairs.iter().filter_map(|(l, r)| Some((value(l)?, value(r)?))).collect();
            // A rank that was cut off on either side has no mean.
            if both.is_empty() || (mark == "mean rank" && both.len() < pairs.len()) {
                continue;
            }
            let (left, right): (Vec<f64>, Vec<f64>) = both.iter().copied().unzip();
            let differences: Vec<f64> = both.iter().map(|(l, r)| l - r).collect();
            let p = self.bootstrap.p_value(&differences, salt);
            let [difference] = self.bootstrap.intervals(&[(Statistic::Mean, differences)], salt)[..] else {
                continue;
            };
            let mean = |values: &[f64]| marks::mean(values).unwrap_or(0.0);
            found.push(Difference { mark, left: mean(&left), right: mean(&right), difference, p });
        }
        found
    }
}

impl Comparison {
    /// One mark of one group, by their names.
    pub fn find(&self, group: &str, mark: &str) -> Option<&Difference> {
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
