//! Several exams read as one number: FashionIQ's three categories, GeneCIS's four tasks, several seeds.

use crate::bootstrap::{Random, estimate};
use crate::{Average, Error, Estimate, Mark, Report, Result};

/// A mark over several exams or runs.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Joint {
    /// The mark's or average's name.
    pub mark: String,
    /// Its mean with a 95 % interval.
    pub mean: Estimate,
    /// Each part's own value, in order.
    pub parts: Vec<f64>,
    /// Standard deviation of the parts (over n - 1); `None` for a single part.
    pub deviation: Option<f64>,
}

/// The mean over exams of the same protocol, each counting alike however many questions it has:
/// FashionIQ's "average" and GeneCIS's headline.
///
/// Each draw resamples every exam's questions by themselves.
///
/// # Errors
///
/// [`Error::NotTheSame`] if the exams were marked by differing rules.
pub fn over_exams(reports: &[Report]) -> Result<Vec<Joint>> {
    let Some(first) = reports.first() else { return Ok(Vec::new()) };
    for other in reports {
        if other.rules != first.rules {
            let (left, right) = (first.rules.short(), other.rules.short());
            return Err(Error::NotTheSame { what: "the protocol's digest", left, right });
        }
    }
    let mut out = Vec::new();
    for (mark, of) in columns(first) {
        let Some(values) = reports.iter().map(|r| values(r, &of)).collect::<Option<Vec<_>>>() else { continue };
        let parts: Vec<f64> = values.iter().map(|v| mean(v)).collect();
        let mut draws = vec![0.0; first.bootstrap.resamples];
        for (i, values) in values.iter().enumerate() {
            let (mut draw, share) = (0, 1.0 / (values.len() * reports.len()) as f64);
            first.bootstrap.each_draw(values.len(), &format!("part {i}"), |drawn, _| {
                draws[draw] += drawn.iter().map(|&q| values[q as usize]).sum::<f64>() * share;
                draw += 1;
            });
        }
        draws.sort_by(f64::total_cmp);
        out.push(Joint { mark, mean: estimate(mean(&parts), &draws), deviation: deviation(&parts), parts });
    }
    Ok(out)
}

/// The mean over runs of one method with other seeds, on one exam: the same questions are drawn for
/// all runs, and the runs themselves are drawn too, so that the interval covers both.
///
/// # Errors
///
/// [`Error::NotTheSame`] if the runs did not sit the same exam by the same rules.
pub fn over_seeds(reports: &[Report]) -> Result<Vec<Joint>> {
    let Some(first) = reports.first() else { return Ok(Vec::new()) };
    reports.iter().try_for_each(|other| first.same_exam(other))?;
    let marks = columns(first);
    let mut out = Vec::new();
    for (mark, of) in marks {
        let Some(values) = reports.iter().map(|r| values(r, &of)).collect::<Option<Vec<_>>>() else { continue };
        let parts: Vec<f64> = values.iter().map(|v| mean(v)).collect();
        let draws = seeds_drawn(first, &values, "seeds");
        out.push(Joint { mark, mean: estimate(mean(&parts), &draws), deviation: deviation(&parts), parts });
    }
    Ok(out)
}

/// Two methods, each run with several seeds, on one exam: the difference of their means, left minus
/// right, and how likely it were by luck. Questions are drawn in pairs, each side's seeds by themselves.
///
/// # Errors
///
/// [`Error::NotTheSame`] if any of the runs sat another exam or by other rules.
pub fn compare_seeds(left: &[Report], right: &[Report]) -> Result<Vec<(String, Estimate, f64)>> {
    let (Some(first), false) = (left.first(), right.is_empty()) else { return Ok(Vec::new()) };
    left.iter().chain(right).try_for_each(|other| first.same_exam(other))?;
    let mut out = Vec::new();
    for (mark, of) in columns(first) {
        let side = |reports: &[Report]| reports.iter().map(|r| values(r, &of)).collect::<Option<Vec<_>>>();
        let (Some(l), Some(r)) = (side(left), side(right)) else { continue };
        let mut draws: Vec<f64> = Vec::new();
        let mut seeds = [Random::new(1, "runs"), Random::new(2, "runs")];
        let n = first.ranks.len();
        first.bootstrap.each_draw(n, "seeds", |drawn, _| {
            let [a, b] = &mut seeds;
            draws.push(of_draw(&l, drawn, a) - of_draw(&r, drawn, b));
        });
        draws.sort_by(f64::total_cmp);
        let all = |side: &[Vec<f64>]| side.iter().map(|v| mean(v)).sum::<f64>() / side.len() as f64;
        let value = all(&l) - all(&r);
        let p = if l == r { 1.0 } else { crate::bootstrap::p_value(&draws) };
        out.push((mark, estimate(value, &draws), p));
    }
    Ok(out)
}

/// The marks that a mean can be taken of, and what they are the mean of.
fn columns(report: &Report) -> Vec<(String, Vec<Mark>)> {
    let marks = report.protocol.marks().into_iter().filter(|m| *m != Mark::MedianRank);
    let marks = marks.map(|m| (m.to_string(), vec![m]));
    let average = |a: &Average| (a.name.clone(), a.of.clone());
    marks.chain(report.protocol.averages.iter().map(average)).collect()
}

/// One value per question; `None` if a question has none.
fn values(report: &Report, of: &[Mark]) -> Option<Vec<f64>> {
    let right = report.protocol.right;
    let earns = |q: &crate::QueryRank| {
        let parts: Option<Vec<f64>> = of.iter().map(|m| q.earns(*m, right)).collect();
        parts.map(|p| mean(&p))
    };
    report.ranks.iter().map(earns).collect()
}

fn seeds_drawn(first: &Report, values: &[Vec<f64>], salt: &str) -> Vec<f64> {
    let mut draws = Vec::new();
    let mut random = Random::new(1, "runs");
    first.bootstrap.each_draw(first.ranks.len(), salt, |drawn, _| draws.push(of_draw(values, drawn, &mut random)));
    draws.sort_by(f64::total_cmp);
    draws
}

/// The mean of as many runs as there are, drawn with repeats, over the drawn questions.
fn of_draw(values: &[Vec<f64>], drawn: &[u32], random: &mut Random) -> f64 {
    let runs = values.len();
    let run = |_| {
        let run = &values[random.below(runs)];
        drawn.iter().map(|&q| run[q as usize]).sum::<f64>() / drawn.len() as f64
    };
    (0..runs).map(run).sum::<f64>() / runs as f64
}

fn mean(values: &[f64]) -> f64 {
    crate::marks::mean(values).unwrap_or(0.0)
}

fn deviation(parts: &[f64]) -> Option<f64> {
    let (n, m) = (parts.len(), mean(parts));
    (n > 1).then(|| (parts.iter().map(|p| (p - m).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt())
}
