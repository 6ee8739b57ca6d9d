//! What an exam gives back: marks with intervals, and every question's rank.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::{Change, Digest};

use crate::bootstrap::{Bootstrap, Statistic};
use crate::{Benchmark, LeftOut, Mark, Protocol, Result, RightRule, marks};

/// Marks with their intervals, the rules they were given by, and every question's rank.
///
/// Printed with `{}` it is a table for people; [`Report::to_markdown`] and [`Report::to_json`] give
/// the same for documents and programs, and [`crate::Paper`] puts several beside each other.
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
    /// By what the question needs (CIRCO's semantic aspects); a question may count under several.
    pub by_aspect: BTreeMap<String, Marks>,
    /// By how long the modification text is, shortest first.
    pub by_length: Vec<(String, Marks)>,
    /// Every question, in the exam's order.
    pub ranks: Vec<QueryRank>,
}

/// One question's outcome. Ranks count from 1, after the protocol took out what it takes out.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QueryRank {
    /// The question's id.
    pub query: String,
    /// What kind of thing the words ask for.
    pub change: Option<Change>,
    /// What exactly is changed.
    pub slice: Option<String>,
    /// What the question needs of whoever answers.
    pub aspects: Vec<String>,
    /// How many words the modification text has.
    pub words: usize,
    /// The best rank of a right answer that the protocol counts; `None` if the ranking was cut off
    /// before any.
    pub rank: Option<usize>,
    /// Ranks of all right answers that were listed, rising.
    pub target_ranks: Vec<usize>,
    /// How many right answers there are.
    pub targets: usize,
    /// The best counted right answer's rank among the look-alikes alone.
    pub subset_rank: Option<usize>,
}

impl QueryRank {
    /// What the question earns in one mark; `None` where it has none (no look-alikes, or a ranking
    /// that was cut off before any right answer).
    pub fn earns(&self, mark: Mark, right: RightRule) -> Option<f64> {
        Some(match mark {
            Mark::Recall(k) if right == RightRule::Share => marks::share(&self.target_ranks, self.targets, k),
            Mark::Recall(k) => marks::recall(self.rank, k),
            Mark::SubsetRecall(k) => marks::recall(Some(self.subset_rank?), k),
            Mark::MeanAp(k) => marks::average_precision(&self.target_ranks, self.targets, k),
            Mark::Ndcg(k) => marks::ndcg(&self.target_ranks, self.targets, k),
            Mark::MedianRank | Mark::MeanRank => self.rank? as f64,
        })
    }
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
    /// nDCG@k.
    pub ndcg: Vec<AtK>,
    /// The protocol's averages, by name; one that needs look-alikes is given only if all questions have some.
    pub averages: BTreeMap<String, Estimate>,
    /// Median of the best right answers' ranks; `None` if a ranking was cut off before any.
    pub median_rank: Option<Estimate>,
    /// Mean of the best right answers' ranks; `None` if a ranking was cut off before any.
    pub mean_rank: Option<Estimate>,
}

/// Texts up to so many words are one group; the last group holds all that are longer.
const LENGTHS: [usize; 3] = [5, 10, 20];

impl Report {
    pub(crate) fn new(benchmark: &Benchmark, ranks: Vec<QueryRank>, bootstrap: Bootstrap) -> Self {
        let protocol = benchmark.protocol.clone();
        // Groups in the order of their first question; the salt keeps their draws apart.
        let mut groups: Vec<(Group, Vec<&QueryRank>)> = vec![(Group::All, ranks.iter().collect())];
        for r in &ranks {
            let change = r.change.map(|c| Group::Change(c.to_string()));
            let slice = r.slice.clone().map(Group::Slice);
            let aspects = r.aspects.iter().cloned().map(Group::Aspect);
            let length = Some(Group::Length(LENGTHS.iter().filter(|most| r.words > **most).count()));
            for group in [change, slice, length].into_iter().flatten().chain(aspects) {
                match groups.iter_mut().find(|(g, _)| *g == group) {
                    Some((_, members)) => members.push(r),
                    None => groups.push((group, vec![r])),
                }
            }
        }
        let marked = in_parallel(&groups, |(group, members)| Marks::new(&protocol, members, &bootstrap, &group.salt()));
        let mut this = Self {
            benchmark: benchmark.name.clone(),
            asked: benchmark.digest(),
            rules: protocol.digest(),
            gallery: benchmark.gallery.len(),
            left_out: benchmark.left_out.clone(),
            bootstrap,
            all: marked[0].clone(),
            by_change: BTreeMap::new(),
            by_slice: BTreeMap::new(),
            by_aspect: BTreeMap::new(),
            by_length: Vec::new(),
            protocol,
            ranks: Vec::new(),
        };
        let mut lengths = BTreeMap::new();
        for ((group, _), marks) in groups.into_iter().zip(marked) {
            match group {
                Group::All => {}
                Group::Change(name) => drop(this.by_change.insert(name, marks)),
                Group::Slice(name) => drop(this.by_slice.insert(name, marks)),
                Group::Aspect(name) => drop(this.by_aspect.insert(name, marks)),
                Group::Length(step) => drop(lengths.insert(step, marks)),
            }
        }
        this.by_length = lengths.into_iter().map(|(step, marks)| (length_name(step), marks)).collect();
        this.ranks = ranks;
        this
    }

    /// All groups that marks are given for: `all` first, then by change, slice, aspect and length.
    pub fn groups(&self) -> Vec<(&str, &Marks)> {
        let maps = [&self.by_change, &self.by_slice, &self.by_aspect];
        let named = maps.into_iter().flatten().map(|(name, marks)| (name.as_str(), marks));
        let lengths = self.by_length.iter().map(|(name, marks)| (name.as_str(), marks));
        [("all", &self.all)].into_iter().chain(named).chain(lengths).collect()
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

/// A group of questions that is marked by itself.
#[derive(PartialEq)]
enum Group {
    All,
    Change(String),
    Slice(String),
    Aspect(String),
    Length(usize),
}

impl Group {
    /// Keeps the draws of different groups apart.
    fn salt(&self) -> String {
        match self {
            Group::All => "all".to_owned(),
            Group::Change(name) => name.clone(),
            Group::Slice(name) => format!("slice {name}"),
            Group::Aspect(name) => format!("aspect {name}"),
            Group::Length(step) => format!("length {step}"),
        }
    }
}

fn length_name(step: usize) -> String {
    match (step.checked_sub(1).map(|s| LENGTHS[s] + 1), LENGTHS.get(step)) {
        (None, Some(most)) => format!("up to {most} words"),
        (Some(least), Some(most)) => format!("{least} to {most} words"),
        (Some(least), None) => format!("{least} words or more"),
        (None, None) => "any length".to_owned(),
    }
}

/// Each job's result, in order, computed on all cores.
fn in_parallel<T: Sync, R: Send + Sync>(jobs: &[T], run: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<R>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        while let Some(i) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|i| *i < jobs.len()) {
            let result = run(&jobs[i]);
            *done[i].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
        (1..cores).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    let taken = done.into_iter().map(|d| d.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
    taken.map(|r| r.expect("each number below the count is taken once, and its thread was waited for")).collect()
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::table::of_report(self).to_text())
    }
}

impl Marks {
    /// R@k, if the protocol asks for that k.
    pub fn recall_at(&self, k: usize) -> Option<Estimate> {
        self.get(Mark::Recall(k))
    }

    /// R_subset@k, if the protocol asks for that k and there are look-alikes.
    pub fn subset_recall_at(&self, k: usize) -> Option<Estimate> {
        self.get(Mark::SubsetRecall(k))
    }

    /// mAP@k, if the protocol asks for that k.
    pub fn average_precision_at(&self, k: usize) -> Option<Estimate> {
        self.get(Mark::MeanAp(k))
    }

    /// A mark by its name, if it was given.
    pub fn get(&self, mark: Mark) -> Option<Estimate> {
        let at = |list: &[AtK], k: usize| list.iter().find(|m| m.k == k).map(|m| m.mark);
        match mark {
            Mark::Recall(k) => at(&self.recall, k),
            Mark::SubsetRecall(k) => at(&self.subset_recall, k),
            Mark::MeanAp(k) => at(&self.average_precision, k),
            Mark::Ndcg(k) => at(&self.ndcg, k),
            Mark::MedianRank => self.median_rank,
            Mark::MeanRank => self.mean_rank,
        }
    }

    fn new(protocol: &Protocol, ranks: &[&QueryRank], bootstrap: &Bootstrap, salt: &str) -> Self {
        // A column exists if every question has a value in it.
        let column = |mark: Mark| ranks.iter().map(|r| r.earns(mark, protocol.right)).collect::<Option<Vec<f64>>>();
        let mut wanted: Vec<(Wanted, Statistic, Vec<f64>)> = Vec::new();
        for mark in protocol.marks().into_iter().filter(|m| !matches!(m, Mark::SubsetRecall(_))) {
            let statistic = if mark == Mark::MedianRank { Statistic::Median } else { Statistic::Mean };
            wanted.extend(column(mark).map(|c| (Wanted::Mark(mark), statistic, c)));
        }
        for average in &protocol.averages {
            let parts: Option<Vec<Vec<f64>>> = average.of.iter().map(|m| column(*m)).collect();
            let mean = |parts: Vec<Vec<f64>>| {
                (0..ranks.len()).map(|q| parts.iter().map(|p| p[q]).sum::<f64>() / parts.len() as f64).collect()
            };
            wanted.extend(parts.map(|p| (Wanted::Average(average.name.clone()), Statistic::Mean, mean(p))));
        }
        let mut out = Self {
            queries: ranks.len(),
            recall: Vec::new(),
            subset_queries: 0,
            subset_recall: Vec::new(),
            average_precision: Vec::new(),
            ndcg: Vec::new(),
            averages: BTreeMap::new(),
            median_rank: None,
            mean_rank: None,
        };
        out.fill(wanted, bootstrap, salt);

        // Only questions with look-alikes count here, so they are drawn among themselves.
        let with: Vec<&&QueryRank> = ranks.iter().filter(|r| r.subset_rank.is_some()).collect();
        out.subset_queries = with.len();
        if protocol.subset && !with.is_empty() {
            let of = |k: usize| {
                let mark = Mark::SubsetRecall(k);
                let values = with.iter().filter_map(|r| r.earns(mark, protocol.right)).collect();
                (Wanted::Mark(mark), Statistic::Mean, values)
            };
            out.fill(protocol.subset_ks.iter().map(|&k| of(k)).collect(), bootstrap, &format!("subset {salt}"));
        }
        out
    }

    fn fill(&mut self, wanted: Vec<(Wanted, Statistic, Vec<f64>)>, bootstrap: &Bootstrap, salt: &str) {
        let (names, columns): (Vec<Wanted>, Vec<(Statistic, Vec<f64>)>) =
            wanted.into_iter().map(|(name, statistic, values)| (name, (statistic, values))).unzip();
        for (name, mark) in names.into_iter().zip(bootstrap.intervals(&columns, salt)) {
            match name {
                Wanted::Mark(Mark::Recall(k)) => self.recall.push(AtK { k, mark }),
                Wanted::Mark(Mark::SubsetRecall(k)) => self.subset_recall.push(AtK { k, mark }),
                Wanted::Mark(Mark::MeanAp(k)) => self.average_precision.push(AtK { k, mark }),
                Wanted::Mark(Mark::Ndcg(k)) => self.ndcg.push(AtK { k, mark }),
                Wanted::Mark(Mark::MedianRank) => self.median_rank = Some(mark),
                Wanted::Mark(Mark::MeanRank) => self.mean_rank = Some(mark),
                Wanted::Average(name) => drop(self.averages.insert(name, mark)),
            }
        }
    }
}

/// What a column is for.
enum Wanted {
    Mark(Mark),
    Average(String),
}
