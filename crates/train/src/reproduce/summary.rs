//! Runs put side by side: a mean over seeds with its interval, and how far each variant is from the
//! full method, question by question.

use super::{Outcome, Runs, averaged, printed};
use benchmarks::bootstrap::Bootstrap;
use benchmarks::{Estimate, Mark, QueryRank, RightRule};
use domain::{Change, Triplet};
use methods::imagine::VARIANTS;

/// A mean over seeds, in per cent, and half of its 95 % interval (Student's t over the seeds).
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Half the interval's width; absent for one seed.
    pub half: Option<f64>,
}

/// The marks of one group of questions.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Group {
    /// `all`, `explicit` or `implied`; a set that does not tell them apart has none of the latter.
    pub name: String,
    /// How many questions.
    pub questions: usize,
    /// R@1.
    pub r1: Spread,
    /// The mean that the paper calls "Avg." of this set: [`averaged`].
    pub average: Spread,
    /// R@1 less the full method's, in points: mean over seeds and questions, with the 95 % interval of
    /// the paired bootstrap over questions. Absent for the full method itself.
    pub r1_less_full: Option<Estimate>,
    /// The same of the average.
    pub average_less_full: Option<Estimate>,
    /// R@1 less that of the method without SIC, likewise: whether a choice makes SIC help at all.
    pub r1_less_without_sic: Option<Estimate>,
}

/// One variant.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Line {
    /// Its name.
    pub variant: String,
    /// Its table or figure.
    pub exhibit: String,
    /// Others that it stands in too.
    pub also: Vec<String>,
    /// What it changes.
    pub about: String,
    /// The paper's numbers: FashionIQ mean R@10 and R@50, WebVid-CoVR mean, CIRR mean.
    pub paper: [Option<f32>; 4],
    /// Runs.
    pub seeds: usize,
    /// Marks of all, explicit and implied questions.
    pub groups: Vec<Group>,
    /// Mean pairwise cosine of the picture prototypes at the end.
    pub likeness: Option<f64>,
    /// How evenly they are used, 0 to 1.
    pub usage: Option<f64>,
    /// Mean seconds of training.
    pub secs: f64,
}

/// All variants, in the order of the paper's exhibits.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// What was marked on.
    pub data: String,
    /// One a variant.
    pub lines: Vec<Line>,
}

/// Student's t at 97.5 % for 1 to 30 degrees of freedom, from tables; the normal's beyond.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

impl Spread {
    /// Of one value a seed.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n.max(1) as f64;
        if n < 2 {
            return Self { mean, half: None };
        }
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        let t = T.get(n - 2).copied().unwrap_or(1.96);
        Self { mean, half: Some(t * (variance / n as f64).sqrt()) }
    }
}

/// The mark of every question of a run: a hit at 1, and the mean of what is averaged.
///
/// Where not every question has look-alikes, a recall among them is over those that have: each weighs so much
/// more that the mean over all questions is that.
fn earned(o: &Outcome, averaged: &[Mark]) -> Vec<[f64; 2]> {
    let more = o.ranks.len() as f64 / o.subset.iter().flatten().count().max(1) as f64;
    let question = |(i, rank): (usize, &usize)| {
        let subset_rank = o.subset.get(i).copied().flatten();
        let of = QueryRank { rank: Some(*rank), subset_rank, ..QueryRank::default() };
        let earns = |mark: Mark| {
            let weight = if matches!(mark, Mark::SubsetRecall(_)) { more } else { 1.0 };
            weight * of.earns(mark, RightRule::default()).unwrap_or_default()
        };
        [earns(Mark::Recall(1)), averaged.iter().map(|m| earns(*m)).sum::<f64>() / averaged.len().max(1) as f64]
    };
    o.ranks.iter().enumerate().map(question).collect()
}

fn members(questions: &[Triplet], change: Option<Change>) -> Vec<usize> {
    (0..questions.len()).filter(|i| change.is_none() || questions[*i].change == change).collect()
}

/// Puts the runs side by side.
pub fn summary(runs: &Runs) -> Summary {
    let averaged = averaged(runs.data);
    let of = |name: &str| -> Vec<(&Outcome, Vec<[f64; 2]>)> {
        runs.outcomes.iter().filter(|o| o.variant == name).map(|o| (o, earned(o, &averaged))).collect()
    };
    let (full, bare) = (of("full"), of("without-sic"));
    let mark = |marks: &[[f64; 2]], i: usize, which: usize| runs.weights[i] * marks[i][which];
    let bootstrap = Bootstrap { resamples: 2000, ..Bootstrap::default() };
    // Means over seeds, question by question.
    let column = |outcomes: &[(&Outcome, Vec<[f64; 2]>)], rows: &[usize], which: usize| -> Vec<f64> {
        let n = outcomes.len().max(1) as f64;
        rows.iter().map(|i| outcomes.iter().map(|(_, m)| mark(m, *i, which)).sum::<f64>() / n).collect()
    };
    let mut lines = Vec::new();
    for variant in VARIANTS {
        let outcomes = of(variant.name);
        if outcomes.is_empty() {
            continue;
        }
        let group = |name: &str, change: Option<Change>| {
            let rows = members(&runs.questions, change);
            let spread = |which: usize| {
                let seeds: Vec<f64> = outcomes
                    .iter()
                    .map(|(_, m)| {
                        100.0 * rows.iter().map(|i| mark(m, *i, which)).sum::<f64>() / rows.len().max(1) as f64
                    })
                    .collect();
                Spread::of(&seeds)
            };
            let less = |other: &str, others: &[(&Outcome, Vec<[f64; 2]>)]| -> [Option<Estimate>; 2] {
                if variant.name == other || others.is_empty() || rows.is_empty() {
                    return [None; 2];
                }
                let gap = |which: usize| {
                    let (a, b) = (column(&outcomes, &rows, which), column(others, &rows, which));
                    a.iter().zip(&b).map(|(a, b)| 100.0 * (a - b)).collect()
                };
                let mut both = bootstrap.paired(vec![gap(0), gap(1)], name).into_iter().map(|(estimate, _)| estimate);
                [both.next(), both.next()]
            };
            let [r1_less_full, average_less_full] = less("full", &full);
            Group {
                name: name.to_owned(),
                questions: rows.len(),
                r1: spread(0),
                average: spread(1),
                r1_less_full,
                average_less_full,
                r1_less_without_sic: less("without-sic", &bare)[0],
            }
        };
        let mean = |values: Vec<f64>| match values.len() {
            0 => None,
            n => Some(values.iter().sum::<f64>() / n as f64),
        };
        let last = |name: &str| {
            let all = outcomes.iter().flat_map(|(o, _)| o.last.iter().filter(|(n, _)| n == name));
            mean(all.map(|(_, v)| f64::from(*v)).collect())
        };
        lines.push(Line {
            variant: variant.name.into(),
            exhibit: variant.exhibit.into(),
            also: variant.also.iter().map(|e| (*e).into()).collect(),
            about: variant.about.into(),
            paper: variant.paper,
            seeds: outcomes.len(),
            groups: vec![
                group("all", None),
                group("explicit", Some(Change::Explicit)),
                group("implied", Some(Change::Implied)),
            ],
            likeness: last("likeness"),
            usage: last("usage"),
            secs: mean(outcomes.iter().map(|(o, _)| o.secs).collect()).unwrap_or_default(),
        });
    }
    Summary { data: runs.data.into(), lines }
}

impl Summary {
    /// One variant's line.
    pub fn find(&self, variant: &str) -> Option<&Line> {
        self.lines.iter().find(|l| l.variant == variant)
    }

    /// Our order of every two variants of one exhibit, by the average, beside the paper's ([`printed`]).
    pub fn agreement(&self, exhibit: &str) -> Order {
        let lines: Vec<(&str, f64, f32)> = self
            .lines
            .iter()
            .filter(|l| l.stands_in(exhibit))
            .filter_map(|l| Some((&*l.variant, l.groups.first()?.average.mean, printed(&self.data, &l.paper)?)))
            .collect();
        let mut order = Order::default();
        for (i, (a, ours, theirs)) in lines.iter().enumerate() {
            for (b, our_other, their_other) in &lines[i + 1..] {
                order.pairs += 1;
                let theirs = theirs - their_other;
                // Equal here is not in the paper's order.
                if (ours - our_other) * f64::from(theirs) <= 0.0 {
                    let (high, low) = if theirs < 0.0 { (b, a) } else { (a, b) };
                    order.differ.push([(*high).to_owned(), (*low).to_owned()]);
                }
            }
        }
        order
    }
}

impl Line {
    /// Whether it stands in this table or figure; the full method stands in each.
    pub fn stands_in(&self, exhibit: &str) -> bool {
        self.exhibit == "full" || self.exhibit == exhibit || self.also.iter().any(|e| e == exhibit)
    }
}

/// The order of an exhibit's variants, two by two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Pairs of which the paper prints both averages.
    pub pairs: usize,
    /// Those that do not stand here in the paper's order, the one that it has above first.
    pub differ: Vec<[String; 2]>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Digest;

    #[test]
    fn intervals_over_seeds_are_students() {
        let s = Spread::of(&[1.0, 2.0, 3.0]);
        assert!((s.mean - 2.0).abs() < 1e-12 && (s.half.unwrap() - 4.303 / 3f64.sqrt()).abs() < 1e-9);
        assert_eq!(Spread::of(&[5.0]).half, None);
    }

    #[test]
    fn a_summary_is_of_ranks_alone() {
        let question = |i: usize| Triplet {
            id: format!("q{i}"),
            change: Some(if i.is_multiple_of(2) { Change::Explicit } else { Change::Implied }),
            ..Triplet::default()
        };
        let outcome = |variant: &str, seed, ranks: Vec<usize>| Outcome {
            key: Digest::of(b""),
            variant: variant.into(),
            seed,
            secs: 1.0,
            last: vec![("likeness".into(), 0.5)],
            ranks,
            subset: Vec::new(),
            best: Vec::new(),
        };
        let runs = Runs {
            data: "scenes",
            course: super::super::Course::quick(),
            model: "m".into(),
            model_weights: Digest::of(b""),
            questions: (0..4).map(question).collect(),
            weights: vec![1.0; 4],
            gallery: Vec::new(),
            files: Default::default(),
            broken: Vec::new(),
            asked: Digest::of(b""),
            protocol: benchmarks::Protocol::default(),
            notes: Vec::new(),
            outcomes: vec![
                outcome("full", 1, vec![1, 1, 1, 60]),
                outcome("full", 2, vec![1, 1, 7, 60]),
                outcome("without-sic", 1, vec![1, 60, 7, 60]),
                outcome("without-sic", 2, vec![1, 60, 7, 60]),
            ],
            left_out: Vec::new(),
            full: None,
        };
        // Of two exams of one and three questions, the mean of both counts the first as much as the second.
        let fashion = Runs { data: "fashioniq", weights: vec![2.0, 2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0], ..runs };
        let of_both = summary(&fashion).find("without-sic").unwrap().groups[0].clone();
        assert!((of_both.r1.mean - 50.0).abs() < 1e-9);
        // R@10 and R@50 alone: hits of ranks 1, 60, 7, 60.
        assert!((of_both.average.mean - 100.0 * (1.0 + 1.0 / 3.0) / 2.0).abs() < 1e-9);
        let runs = Runs { data: "scenes", weights: vec![1.0; 4], ..fashion };

        let s = summary(&runs);
        let full = &s.find("full").unwrap().groups;
        assert_eq!((full[0].r1.mean, full[1].r1.mean, full[2].r1.mean), (62.5, 75.0, 50.0));
        assert_eq!((full[0].questions, full[2].questions), (4, 2));
        // Explicit: ranks 1 and 1, then 1 and 7, of which half of the four recalls.
        assert!((full[1].average.mean - 100.0 * (1.0 + 1.0 + 1.0 + 0.5) / 4.0).abs() < 1e-9);
        let gap = s.find("without-sic").unwrap().groups[2].r1_less_full.unwrap();
        assert_eq!(gap.value, -50.0);
        assert!(gap.low < -50.0 && gap.high <= 0.0);
        let back = full[2].r1_less_without_sic.unwrap();
        assert_eq!((back.value, full[2].r1_less_full), (50.0, None), "the same gap from its other end");
        assert_eq!(s.find("without-sic").unwrap().groups[2].r1_less_without_sic, None);
        // The paper has full above without-sic, and so has this.
        assert_eq!(s.agreement("table 4"), Order { pairs: 1, differ: Vec::new() });
        // Equal, or the other way round, is not in it, and is named.
        let mut other = s.clone();
        for above in [0.0, 1.0] {
            other.lines[1].groups[0].average.mean = other.lines[0].groups[0].average.mean + above;
            let differ = vec![["full".to_owned(), "without-sic".to_owned()]];
            assert_eq!(other.agreement("table 4"), Order { pairs: 1, differ });
        }
        assert_eq!(s.agreement("table 5").pairs, 0, "without-sic does not stand there");
        assert_eq!(s.find("full").unwrap().likeness, Some(0.5));
    }

    #[test]
    fn cirrs_average_is_of_seven() {
        let outcome = Outcome {
            key: Digest::of(b""),
            variant: "full".into(),
            seed: 1,
            secs: 1.0,
            last: Vec::new(),
            ranks: vec![1, 7, 60],
            // The last question's look-alikes are not all here.
            subset: vec![Some(1), Some(3), None],
            best: Vec::new(),
        };
        let marks = earned(&outcome, &averaged("cirr"));
        // R@1 and R@5 of one in three, R@10 and R@50 of two; of two that have look-alikes, one, one and both.
        let mean = (2.0 / 3.0 + 2.0 * 2.0 / 3.0 + 0.5 + 0.5 + 1.0) / 7.0;
        assert!((marks.iter().map(|m| m[1]).sum::<f64>() / 3.0 - mean).abs() < 1e-12, "{marks:?}");
        assert_eq!(marks.iter().map(|m| m[0]).sum::<f64>(), 1.0);
    }
}
