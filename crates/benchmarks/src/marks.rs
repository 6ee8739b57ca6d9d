//! The marks themselves: small pure functions of ranks.
//!
//! Ranks count from 1.
//! Each function here has a slow, obvious twin in the tests, and the two must agree on thousands
//! of random rankings.

/// 1 if the best right answer is among the first `k`, else 0: recall at k as retrieval papers use it.
///
/// ```
/// assert_eq!(benchmarks::marks::recall(Some(5), 5), 1.0);
/// assert_eq!(benchmarks::marks::recall(Some(6), 5), 0.0);
/// assert_eq!(benchmarks::marks::recall(None, 5), 0.0);
/// ```
pub fn recall(rank: Option<usize>, k: usize) -> f64 {
    f64::from(rank.is_some_and(|rank| rank <= k))
}

/// Average precision at `k` of one question, divided by `min(targets, k)`, as CIRCO defines it.
///
/// `ranks` are the right answers' ranks, rising, without repeats; those never found are simply
/// not in it, while `targets` counts all of them.
///
/// ```
/// // Right answers at 1, 3 and 7; a fourth was never found.
/// let ap = benchmarks::marks::average_precision(&[1, 3], 4, 5);
/// assert!((ap - (1.0 + 2.0 / 3.0) / 4.0).abs() < 1e-12);
/// ```
pub fn average_precision(ranks: &[usize], targets: usize, k: usize) -> f64 {
    let within = ranks.iter().take_while(|&&rank| rank <= k);
    let sum: f64 = within.enumerate().map(|(i, &rank)| (i + 1) as f64 / rank as f64).sum();
    match targets.min(k) {
        0 => 0.0,
        n => sum / n as f64,
    }
}

/// The share of `targets` right answers that are among the first `k`: recall in the strict sense.
///
/// `ranks` as in [`average_precision`].
///
/// ```
/// assert_eq!(benchmarks::marks::share(&[1, 3, 7], 4, 5), 0.5);
/// ```
pub fn share(ranks: &[usize], targets: usize, k: usize) -> f64 {
    let found = ranks.iter().take_while(|&&rank| rank <= k).count();
    match targets {
        0 => 0.0,
        n => found as f64 / n as f64,
    }
}

/// Normalised discounted cumulative gain at `k`, every right answer worth the same: each one found
/// earns `1 / log2(rank + 1)`, and the sum is divided by that of a perfect ranking.
///
/// `ranks` as in [`average_precision`].
///
/// ```
/// assert_eq!(benchmarks::marks::ndcg(&[1, 2], 2, 10), 1.0);
/// assert!(benchmarks::marks::ndcg(&[2, 3], 2, 10) < 1.0);
/// ```
pub fn ndcg(ranks: &[usize], targets: usize, k: usize) -> f64 {
    let gain = |rank: usize| 1.0 / ((rank + 1) as f64).log2();
    let found: f64 = ranks.iter().take_while(|&&rank| rank <= k).map(|&rank| gain(rank)).sum();
    match targets.min(k) {
        0 => 0.0,
        n => found / (1..=n).map(gain).sum::<f64>(),
    }
}

/// The middle of `sorted` values; the mean of the two middle ones if their number is even.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let n = sorted.len();
    match n {
        0 => None,
        _ if n % 2 == 1 => Some(sorted[n / 2]),
        _ => Some((sorted[n / 2 - 1] + sorted[n / 2]) / 2.0),
    }
}

/// The arithmetic mean.
pub fn mean(values: &[f64]) -> Option<f64> {
    match values.len() {
        0 => None,
        n => Some(values.iter().sum::<f64>() / n as f64),
    }
}
