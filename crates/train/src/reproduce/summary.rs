//! Runs put side by side: a mean over seeds with its interval, and how far each variant is from the
//! full method, question by question.

use super::{Outcome, Runs};
use benchmarks::bootstrap::Bootstrap;
use benchmarks::{Estimate, marks};
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
}

/// One variant.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Line {
    /// Its name.
    pub variant: String,
    /// Its table or figure.
    pub exhibit: String,
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

/// The k whose R@k a set's average is over: FashionIQ's are 10 and 50, all others' 1, 5, 10 and 50.
pub fn averaged(data: &str) -> &'static [usize] {
    if data == "fashioniq" { &[10, 50] } else { &[1, 5, 10, 50] }
}

/// The paper's average of a variant on a set; on scenes, that on WebVid-CoVR.
pub fn printed(data: &str, paper: &[Option<f32>; 4]) -> Option<f32> {
    match data {
        "fashioniq" => Some((paper[0]? + paper[1]?) / 2.0),
        "cirr" => paper[3],
        _ => paper[2],
    }
}

/// The mark of one question: hit at 1, and the mean of hits at what is averaged.
fn hits(rank: usize, ks: &[usize]) -> [f64; 2] {
    let at = |k| marks::recall(Some(rank), k);
    [at(1), ks.iter().map(|k| at(*k)).sum::<f64>() / ks.len() as f64]
}

fn members(questions: &[Triplet], change: Option<Change>) -> Vec<usize> {
    (0..questions.len()).filter(|i| change.is_none() || questions[*i].change == change).collect()
}

/// Puts the runs side by side.
pub fn summary(runs: &Runs) -> Summary {
    let of = |name: &str| -> Vec<&Outcome> { runs.outcomes.iter().filter(|o| o.variant == name).collect() };
    let full = of("full");
    let ks = averaged(runs.data);
    let mark = |o: &Outcome, i: usize, which: usize| runs.weights[i] * hits(o.ranks[i], ks)[which];
    let bootstrap = Bootstrap { resamples: 2000, ..Bootstrap::default() };
    // Means over seeds, question by question.
    let column = |outcomes: &[&Outcome], rows: &[usize], which: usize| -> Vec<f64> {
        let n = outcomes.len().max(1) as f64;
        rows.iter().map(|i| outcomes.iter().map(|o| mark(o, *i, which)).sum::<f64>() / n).collect()
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
                    .map(|o| 100.0 * rows.iter().map(|i| mark(o, *i, which)).sum::<f64>() / rows.len().max(1) as f64)
                    .collect();
                Spread::of(&seeds)
            };
            let mut less = if variant.name == "full" || full.is_empty() || rows.is_empty() {
                Vec::new()
            } else {
                let gap = |which: usize| {
                    let (a, b) = (column(&outcomes, &rows, which), column(&full, &rows, which));
                    a.iter().zip(&b).map(|(a, b)| 100.0 * (a - b)).collect()
                };
                bootstrap.paired(vec![gap(0), gap(1)], name)
            }
            .into_iter()
            .map(|(estimate, _)| estimate);
            Group {
                name: name.to_owned(),
                questions: rows.len(),
                r1: spread(0),
                average: spread(1),
                r1_less_full: less.next(),
                average_less_full: less.next(),
            }
        };
        let mean = |values: Vec<f64>| match values.len() {
            0 => None,
            n => Some(values.iter().sum::<f64>() / n as f64),
        };
        let last = |name: &str| {
            let all = outcomes.iter().flat_map(|o| o.last.iter().filter(|(n, _)| n == name));
            mean(all.map(|(_, v)| f64::from(*v)).collect())
        };
        lines.push(Line {
            variant: variant.name.into(),
            exhibit: variant.exhibit.into(),
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
            secs: mean(outcomes.iter().map(|o| o.secs).collect()).unwrap_or_default(),
        });
    }
    Summary { data: runs.data.into(), lines }
}

impl Summary {
    /// One variant's line.
    pub fn find(&self, variant: &str) -> Option<&Line> {
        self.lines.iter().find(|l| l.variant == variant)
    }

    /// How often our order of two variants of one exhibit, by the average, is the order of the paper's
    /// ([`printed`]): pairs in the same order, and pairs that have both numbers.
    pub fn agreement(&self, exhibit: &str) -> (usize, usize) {
        let lines: Vec<(f64, f32)> = self
            .lines
            .iter()
            .filter(|l| l.exhibit == exhibit || l.exhibit == "full")
            .filter_map(|l| Some((l.groups.first()?.average.mean, printed(&self.data, &l.paper)?)))
            .collect();
        let pairs = || (0..lines.len()).flat_map(|i| (i + 1..lines.len()).map(move |j| (i, j)));
        // Equal here is not in the paper's order.
        let alike = |(i, j): &(usize, usize)| (lines[*i].0 - lines[*j].0) * f64::from(lines[*i].1 - lines[*j].1) > 0.0;
        (pairs().filter(alike).count(), pairs().count())
    }
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
        // The paper has full above without-sic, and so has this.
        assert_eq!(s.agreement("table 4"), (1, 1));
        assert_eq!(s.find("full").unwrap().likeness, Some(0.5));
    }
}
