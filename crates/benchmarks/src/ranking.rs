//! The gallery in a method's order, and how scores become ranks.

use std::cmp::Ordering;

use crate::{Error, Result, TieRule};

/// One answer sheet: a question's id and the gallery's names, best first.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ranking {
    /// The question's id.
    pub query: String,
    /// Names of the gallery, best first: all of it, or at least as deep as the protocol looks.
    pub gallery: Vec<String>,
}

impl Ranking {
    /// An answer sheet from names, best first.
    pub fn new<S: Into<String>>(query: impl Into<String>, gallery: impl IntoIterator<Item = S>) -> Self {
        Self { query: query.into(), gallery: gallery.into_iter().map(Into::into).collect() }
    }
}

/// The rank, counted from 1, of the best of `targets` when `scores` are ordered from high to low.
///
/// `None` if no target is among the scored names.
/// Ties are settled by `ties`; a score that is not a number is an error, never last place.
///
/// ```
/// use benchmarks::{rank_of, TieRule};
/// let scores = [("a", 0.5), ("b", 0.5), ("c", -0.1)];
/// assert_eq!(rank_of(&scores, &["a"], TieRule::Pessimistic)?, Some(2));
/// assert_eq!(rank_of(&scores, &["a"], TieRule::Optimistic)?, Some(1));
/// assert_eq!(rank_of(&scores, &["b"], TieRule::Name)?, Some(2));
/// assert_eq!(rank_of(&scores, &["z"], TieRule::Name)?, None);
/// # Ok::<(), benchmarks::Error>(())
/// ```
pub fn rank_of(scores: &[(&str, f32)], targets: &[&str], ties: TieRule) -> Result<Option<usize>> {
    refuse_nan(scores)?;
    let is_target = |name: &str| targets.contains(&name);
    // The best target is the highest, and among equals the one whose name comes first.
    let Some(&(name, score)) = scores
        .iter()
        .filter(|(name, _)| is_target(name))
        .min_by(|a, b| high_first(a.1, b.1).then_with(|| a.0.cmp(b.0)))
    else {
        return Ok(None);
    };
    let before = scores.iter().filter(|(other, s)| match high_first(*s, score) {
        Ordering::Less => true,
        Ordering::Greater => false,
        Ordering::Equal => match ties {
            TieRule::Pessimistic => !is_target(other),
            TieRule::Optimistic => false,
            TieRule::Name => *other < name,
        },
    });
    Ok(Some(1 + before.count()))
}

/// Orders `scores` from high to low, ties by the rule; equals under the rule go by name.
///
/// Where only the first right answer counts, the rule is about that one too: against the method it
/// stands behind the other right answers, for the method before them.
pub(crate) fn order<S: Copy + PartialOrd>(scores: &mut [(&str, S)], targets: &[String], ties: TieRule) -> Result<()> {
    refuse_nan(scores)?;
    // 0 the first right answer, 1 another, 2 a wrong one.
    let class = |name: &str| targets.iter().position(|t| t == name).map_or(2, |i| i.min(1));
    scores.sort_by(|a, b| {
        high_first(a.1, b.1)
            .then_with(|| match ties {
                TieRule::Pessimistic => class(b.0).cmp(&class(a.0)),
                TieRule::Optimistic => class(a.0).cmp(&class(b.0)),
                TieRule::Name => Ordering::Equal,
            })
            .then_with(|| a.0.cmp(b.0))
    });
    Ok(())
}

fn refuse_nan<S: PartialOrd>(scores: &[(&str, S)]) -> Result<()> {
    match scores.iter().find(|(_, s)| s.partial_cmp(s).is_none()) {
        Some((name, _)) => Err(Error::NotANumber { name: (*name).to_owned() }),
        None => Ok(()),
    }
}

/// High before low; +0 and -0 are equal. NaN was refused before.
pub(crate) fn high_first<S: PartialOrd>(a: S, b: S) -> Ordering {
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}
