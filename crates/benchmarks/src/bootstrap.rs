//! How sure a mark is: the bootstrap over questions.
//!
//! A benchmark's questions are a sample of all that could be asked.
//! Drawing as many questions again from them, with repeats, ten thousand times, and marking each
//! draw, shows how far the mark would move had other questions been drawn: the middle 95 % of
//! those marks is the interval that is printed.
//! Two methods that sat the same exam are compared on the *same* draws, question by question
//! (the paired bootstrap), which takes the questions' own hardness out of the comparison.

use crate::{Estimate, marks};

/// How the resamples are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// How many draws.
    pub resamples: usize,
    /// The same seed gives the same intervals.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 10_000, seed: 0x6c69_6b65 }
    }
}

/// What is computed from the drawn values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The mean.
    Mean,
    /// The middle value.
    Median,
}

impl Bootstrap {
    /// The value and its 95 % interval, for several columns over the same questions.
    ///
    /// All columns have one value per question, and all are marked on the same draws.
    /// `salt` keeps the draws of different groups of questions apart.
    pub fn intervals(&self, columns: &[(Statistic, Vec<f64>)], salt: &str) -> Vec<Estimate> {
        self.draws(columns, salt).into_iter().map(|(value, draws)| estimate(value, &draws)).collect()
    }

    /// For several columns of differences, one per question: the mean with its interval, and how
    /// likely a mean as far from nothing as this one is, were there no difference: twice the smaller
    /// share of draws on either side of zero, at most 1.
    ///
    /// Draws of three questions hold nothing but those three, and would call any three lucky answers
    /// certain. So it is never less than what tossing a coin for the sign of each difference allows:
    /// where m of them are not zero, all m fall on one side twice in 2ᵐ.
    pub fn paired(&self, differences: Vec<Vec<f64>>, salt: &str) -> Vec<(Estimate, f64)> {
        let columns: Vec<_> = differences.into_iter().map(|d| (Statistic::Mean, d)).collect();
        let drawn = self.draws(&columns, salt);
        let nothing = |column: &(Statistic, Vec<f64>)| column.1.iter().all(|d| *d == 0.0);
        columns
            .iter()
            .zip(drawn)
            .map(|(column, (value, draws))| {
                let p = if nothing(column) { 1.0 } else { p_value(&draws).max(coin(&column.1)) };
                (estimate(value, &draws), p)
            })
            .collect()
    }

    /// Each column's value, and its values over the draws, sorted.
    fn draws(&self, columns: &[(Statistic, Vec<f64>)], salt: &str) -> Vec<(f64, Vec<f64>)> {
        let Some(n) = columns.first().map(|(_, c)| c.len()).filter(|&n| n > 0) else {
            return vec![(0.0, Vec::new()); columns.len()];
        };
        let columns = Columns::new(columns);
        let mut draws: Vec<Vec<f64>> = vec![Vec::with_capacity(self.resamples); columns.all.len()];
        self.each_draw(n, salt, |drawn, counts| columns.each(drawn, counts, |column, value| draws[column].push(value)));
        let everyone = vec![1.0f32; n];
        let sorted = |(column, mut draws): (&Column, Vec<f64>)| {
            draws.sort_by(f64::total_cmp);
            (column.of(&everyone), draws)
        };
        columns.all.iter().zip(draws).map(sorted).collect()
    }

    /// Calls `with` for each draw with the numbers of the drawn questions, and with how often each
    /// question was drawn.
    pub(crate) fn each_draw(&self, n: usize, salt: &str, mut with: impl FnMut(&[u32], &[f32])) {
        let mut random = Random::new(self.seed, salt);
        let (mut drawn, mut counts) = (vec![0u32; n], vec![0.0f32; n]);
        for _ in 0..self.resamples {
            counts.fill(0.0);
            for place in &mut drawn {
                let i = random.below(n);
                *place = i as u32;
                counts[i] += 1.0;
            }
            with(&drawn, &counts);
        }
    }
}

/// Several columns over the same questions, arranged so that a draw costs little.
///
/// Most columns are yes or no, and many questions are alike in all of them: those are counted once
/// per kind of question, and each column is then a sum over a handful of kinds.
struct Columns {
    all: Vec<Column>,
    /// Which columns are computed by kind.
    by_kind: Vec<usize>,
    /// Each question's kind.
    kind_of: Vec<u32>,
    /// Per column of `by_kind`, each kind's value.
    values: Vec<Vec<f64>>,
}

impl Columns {
    /// A column with more distinct values is summed over the questions.
    const MOST_VALUES: usize = 64;

    fn new(columns: &[(Statistic, Vec<f64>)]) -> Self {
        let n = columns.first().map_or(0, |(_, c)| c.len());
        let few = |c: &[f64]| {
            let mut seen = std::collections::HashSet::new();
            c.iter().all(|v| {
                seen.insert(v.to_bits());
                seen.len() <= Self::MOST_VALUES
            })
        };
        let is_few = |&i: &usize| columns[i].0 == Statistic::Mean && few(&columns[i].1);
        let mut by_kind: Vec<usize> = (0..columns.len()).filter(is_few).collect();
        let mut kinds: std::collections::HashMap<Vec<u64>, u32> = std::collections::HashMap::new();
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); by_kind.len()];
        let mut kind_of = Vec::with_capacity(n);
        for q in 0..n {
            let key: Vec<u64> = by_kind.iter().map(|&c| columns[c].1[q].to_bits()).collect();
            let next = kinds.len() as u32;
            let kind = *kinds.entry(key).or_insert_with(|| {
                by_kind.iter().zip(&mut values).for_each(|(&c, values)| values.push(columns[c].1[q]));
                next
            });
            kind_of.push(kind);
        }
        if kinds.len() * 4 > n {
            by_kind.clear();
            values.clear();
        }
        Self { all: columns.iter().map(|(s, c)| Column::new(*s, c)).collect(), by_kind, kind_of, values }
    }

    /// Each column's statistic of one draw.
    fn each(&self, drawn: &[u32], counts: &[f32], mut out: impl FnMut(usize, f64)) {
        if let Some(kinds) = self.values.first().map(Vec::len) {
            let mut often = vec![0u32; kinds];
            drawn.iter().for_each(|&q| often[self.kind_of[q as usize] as usize] += 1);
            for (&column, values) in self.by_kind.iter().zip(&self.values) {
                let sum: f64 = values.iter().zip(&often).map(|(v, &n)| v * f64::from(n)).sum();
                out(column, sum / drawn.len() as f64);
            }
        }
        for (i, column) in self.all.iter().enumerate().filter(|(i, _)| !self.by_kind.contains(i)) {
            out(i, column.of(counts));
        }
    }
}

/// The value and the middle 95 % of its draws.
pub(crate) fn estimate(value: f64, draws: &[f64]) -> Estimate {
    let (low, high) = middle(draws).unwrap_or((value, value));
    Estimate { value: nine_decimals(value), low: nine_decimals(low), high: nine_decimals(high) }
}

/// Twice the smaller share of draws on either side of zero, at most 1.
pub(crate) fn p_value(draws: &[f64]) -> f64 {
    // Summed in another order, nothing may come out as a little more than nothing.
    let not_above = draws.iter().filter(|d| **d <= 1e-12).count();
    let not_below = draws.iter().filter(|d| **d >= -1e-12).count();
    // One is added to both, so that no finite number of draws claims certainty.
    let share = (not_above.min(not_below) + 1) as f64 / (draws.len() + 1) as f64;
    (2.0 * share).min(1.0)
}

/// The least two-sided p-value that differences of these signs could have under a fair coin.
fn coin(differences: &[f64]) -> f64 {
    let told = differences.iter().filter(|d| **d != 0.0).count().min(1000) as i32;
    2f64.powi(1 - told).min(1.0)
}

/// Nine decimals are plenty, and few enough that a report read back from JSON is the same report.
fn nine_decimals(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// The middle 95 % of sorted values.
fn middle(sorted: &[f64]) -> Option<(f64, f64)> {
    let last = sorted.len().checked_sub(1)? as f64;
    let low = sorted[(last * 0.025).floor() as usize];
    let high = sorted[(last * 0.975).ceil() as usize];
    Some((low, high))
}

/// One value per question, laid out so that a draw's statistic is one pass.
struct Column {
    statistic: Statistic,
    values: Vec<f64>,
    /// For the median: questions by rising value.
    rising: Vec<usize>,
}

impl Column {
    fn new(statistic: Statistic, values: &[f64]) -> Self {
        let mut rising: Vec<usize> = Vec::new();
        if statistic == Statistic::Median {
            rising = (0..values.len()).collect();
            rising.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        }
        Self { statistic, values: values.to_vec(), rising }
    }

    fn of(&self, counts: &[f32]) -> f64 {
        let n = counts.len();
        match self.statistic {
            Statistic::Mean => {
                // Four sums at a time: additions then need not wait for each other.
                let mut sums = [0.0f64; 4];
                let (values, counts) = (self.values.chunks(4), counts.chunks(4));
                for (v, c) in values.zip(counts) {
                    v.iter().zip(c).zip(&mut sums).for_each(|((v, c), sum)| *sum += v * f64::from(*c));
                }
                sums.iter().sum::<f64>() / n as f64
            }
            Statistic::Median => {
                // Drawn values in rising order, as far as the upper middle one.
                let (lower, upper) = ((n - 1) / 2, n / 2);
                let (mut passed, mut pair) = (0usize, Vec::with_capacity(2));
                for &i in &self.rising {
                    passed += counts[i] as usize;
                    if pair.is_empty() && passed > lower {
                        pair.push(self.values[i]);
                    }
                    if passed > upper {
                        pair.push(self.values[i]);
                        break;
                    }
                }
                marks::median(&pair).unwrap_or(0.0)
            }
        }
    }
}

/// SplitMix64: small, seeded, the same on every machine. Not for secrets.
///
/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, salt: &str) -> Self {
        // FNV-1a over the salt.
        let hash =
            salt.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Self(seed ^ hash)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`: the high half of a product, whose bias is below n / 2^64.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // First outputs of SplitMix64 from state 1234567, as its authors list them.
        let mut random = Random(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn an_interval_of_a_proportion_is_as_wide_as_the_binomial_says() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 4 == 0)).collect();
        let got = Bootstrap::default().intervals(&[(Statistic::Mean, values)], "")[0];
        let half = 1.96 * (0.25f64 * 0.75 / 400.0).sqrt();
        assert_eq!(got.value, 0.25);
        assert!((got.low - (0.25 - half)).abs() < 0.006, "{got:?}");
        assert!((got.high - (0.25 + half)).abs() < 0.006, "{got:?}");
    }

    #[test]
    fn the_median_of_a_draw_is_the_median_of_the_drawn_values() {
        let mut random = Random::new(3, "median");
        for n in 1..60 {
            let values: Vec<f64> = (0..n).map(|_| random.below(9) as f64).collect();
            let mut counts = vec![0.0f32; n];
            let mut drawn = Vec::new();
            for _ in 0..n {
                let i = random.below(n);
                counts[i] += 1.0;
                drawn.push(values[i]);
            }
            drawn.sort_by(f64::total_cmp);
            let fast = Column::new(Statistic::Median, &values).of(&counts);
            assert_eq!(Some(fast), marks::median(&drawn), "{values:?} {counts:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_another_does_not() {
        let column = || vec![(Statistic::Mean, (0..97).map(|i| f64::from(i * i % 13)).collect::<Vec<_>>())];
        let few = Bootstrap { resamples: 300, seed: 1 };
        assert_eq!(few.intervals(&column(), "a"), few.intervals(&column(), "a"));
        assert_ne!(few.intervals(&column(), "a"), few.intervals(&column(), "b"));
        assert_ne!(few.intervals(&column(), "a"), Bootstrap { seed: 2, ..few }.intervals(&column(), "a"));
    }

    #[test]
    fn a_real_difference_is_told_from_none() {
        let p = |d: Vec<f64>| Bootstrap::default().paired(vec![d], "")[0].1;
        assert_eq!(p(vec![0.0; 50]), 1.0);
        let clear: Vec<f64> = (0..200).map(|i| f64::from(i % 3 == 0)).collect();
        assert!(p(clear) < 0.001);
        let even: Vec<f64> = (0..200).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        assert!(p(even) > 0.5);
        // One question, or three, tell nothing however they fall.
        assert_eq!(p(vec![1.0]), 1.0);
        assert_eq!(p(vec![1.0, 0.0, 0.5, 1.0]), 0.25);
    }
}
