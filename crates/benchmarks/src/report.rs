//! What an exam gives back: marks with intervals, and every question's rank.

use std::collections::BTreeMap;

use domain::{Change, Digest};

use crate::bootstrap::{Bootstrap, Statistic};
use crate::{Benchmark, LeftOut, Protocol, Result, marks};

/// Marks with their intervals, the rules they were given by, and every question's rank.
///
/// Printed with `{}` it is a table for people; [`Report::to_markdown`] and [`Report::to_json`] give
/// the same for documents and programs.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    /// The exam's name.
    pub benchmark: String,
    /// What was asked and what was right, as a digest.
    pub asked: Digest,
    /// The rules.
    pub protocol: Protocol,
    /// The rules' digest.
    pub rules: Digest,
    /// How many items the gallery holds.
    pub gallery: usize,
    /// What the set names but the exam had to do without.
    pub left_out: LeftOut,
    /// How the intervals were drawn.
    pub bootstrap: Bootstrap,
    /// Over all questions.
    pub all: Marks,
    /// By kind of change: `explicit`, `implied`.
    pub by_change: BTreeMap<String, Marks>,
    /// By what exactly is changed: `colour`, `count`…
    pub by_slice: BTreeMap<String, Marks>,
    /// Every question, in the exam's order.
    pub ranks: Vec<QueryRank>,
}

/// One question's outcome. Ranks count from 1, after the protocol took out what it takes out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QueryRank {
    /// The question's id.
    pub query: String,
    /// What kind of thing the words ask for.
    pub change: Option<Change>,
    /// What exactly is changed.
    pub slice: Option<String>,
    /// The best right answer's rank; `None` if the ranking was cut off before any.
    pub rank: Option<usize>,
    /// Ranks of all right answers that were listed, rising.
    pub target_ranks: Vec<usize>,
    /// How many right answers there are.
    pub targets: usize,
    /// The best right answer's rank among the look-alikes alone.
    pub subset_rank: Option<usize>,
}

/// A mark and its 95 % bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    /// The mark.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// A mark at a depth; marks run from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AtK {
    /// The depth.
    pub k: usize,
    /// The mark.
    #[serde(flatten)]
    pub mark: Estimate,
}

/// All marks over one group of questions.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Marks {
    /// How many questions.
    pub queries: usize,
    /// R@k: the share of questions with a right answer among the first k.
    pub recall: Vec<AtK>,
    /// How many of the questions have look-alikes to be told apart.
    pub subset_queries: usize,
    /// R_subset@k: the same among the look-alikes alone.
    pub subset_recall: Vec<AtK>,
    /// mAP@k, over `min(right answers, k)`.
    pub average_precision: Vec<AtK>,
    /// Median of the best right answers' ranks; `None` if a ranking was cut off before any.
    pub median_rank: Option<Estimate>,
    /// Mean of the best right answers' ranks; `None` if a ranking was cut off before any.
    pub mean_rank: Option<Estimate>,
}

impl Report {
    pub(crate) fn new(benchmark: &Benchmark, ranks: Vec<QueryRank>, bootstrap: Bootstrap) -> Self {
        let protocol = benchmark.protocol.clone();
        let group = |salt: &str, of: &dyn Fn(&QueryRank) -> bool| {
            let members: Vec<&QueryRank> = ranks.iter().filter(|r| of(r)).collect();
            Marks::new(&protocol, &members, &bootstrap, salt)
        };
        let mut by_change = BTreeMap::new();
        let mut by_slice = BTreeMap::new();
        for r in &ranks {
            if let Some(change) = r.change {
                by_change
                    .entry(change.to_string())
                    .or_insert_with(|| group(&change.to_string(), &|o| o.change == Some(change)));
            }
            if let Some(slice) = &r.slice {
                by_slice
                    .entry(slice.clone())
                    .or_insert_with(|| group(&format!("slice {slice}"), &|o| o.slice.as_ref() == Some(slice)));
            }
        }
        Self {
            benchmark: benchmark.name.clone(),
            asked: benchmark.digest(),
            rules: protocol.digest(),
            gallery: benchmark.gallery.len(),
            left_out: benchmark.left_out.clone(),
            bootstrap,
            all: group("all", &|_| true),
            by_change,
            by_slice,
            protocol,
            ranks,
        }
    }

    /// As JSON, with every question's rank.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report holds only numbers, texts and text-keyed maps")
    }

    /// Reads what [`Report::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| crate::Error::Line {
            path: "report".into(),
            line: e.line(),
            fault: format!("this is not a report as `to_json` writes it: {e}"),
        })
    }

    /// As a Markdown table.
    pub fn to_markdown(&self) -> String {
        crate::table::of_report(self).to_markdown()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::table::of_report(self).to_text())
    }
}

impl Marks {
    /// R@k, if the protocol asks for that k.
    pub fn recall_at(&self, k: usize) -> Option<Estimate> {
        self.recall.iter().find(|m| m.k == k).map(|m| m.mark)
    }

    /// R_subset@k, if the protocol asks for that k and there are look-alikes.
    pub fn subset_recall_at(&self, k: usize) -> Option<Estimate> {
        self.subset_recall.iter().find(|m| m.k == k).map(|m| m.mark)
    }

    /// mAP@k, if the protocol asks for that k.
    pub fn average_precision_at(&self, k: usize) -> Option<Estimate> {
        self.average_precision.iter().find(|m| m.k == k).map(|m| m.mark)
    }

    fn new(protocol: &Protocol, ranks: &[&QueryRank], bootstrap: &Bootstrap, salt: &str) -> Self {
        let column = |of: &dyn Fn(&QueryRank) -> f64| ranks.iter().map(|r| of(r)).collect::<Vec<f64>>();
        let mut columns = Vec::new();
        for &k in &protocol.ks {
            columns.push((Statistic::Mean, column(&|r| marks::recall(r.rank, k))));
        }
        for &k in &protocol.map_ks {
            columns.push((Statistic::Mean, column(&|r| marks::average_precision(&r.target_ranks, r.targets, k))));
        }
        let all_found = ranks.iter().all(|r| r.rank.is_some());
        if all_found {
            let rank = column(&|r| r.rank.unwrap_or(0) as f64);
            columns.push((Statistic::Median, rank.clone()));
            columns.push((Statistic::Mean, rank));
        }
        let mut found = bootstrap.intervals(&columns, salt).into_iter();
        let at = |ks: &[usize], found: &mut dyn Iterator<Item = Estimate>| -> Vec<AtK> {
            ks.iter().zip(found).map(|(&k, mark)| AtK { k, mark }).collect()
        };
        let recall = at(&protocol.ks, &mut found);
        let average_precision = at(&protocol.map_ks, &mut found);
        let (median_rank, mean_rank) = (found.next(), found.next());

        // Only questions with look-alikes count here, so they are drawn among themselves.
        let with: Vec<usize> = ranks.iter().filter_map(|r| r.subset_rank).collect();
        let columns: Vec<_> = match with.is_empty() {
            true => Vec::new(),
            false => protocol
                .subset_ks
                .iter()
                .map(|&k| (Statistic::Mean, with.iter().map(|&r| marks::recall(Some(r), k)).collect()))
                .collect(),
        };
        let mut found = bootstrap.intervals(&columns, &format!("subset {salt}")).into_iter();
        let subset_recall = match with.is_empty() {
            true => Vec::new(),
            false => at(&protocol.subset_ks, &mut found),
        };
        Self {
            queries: ranks.len(),
            recall,
            subset_queries: with.len(),
            subset_recall,
            average_precision,
            median_rank,
            mean_rank,
        }
    }
}
