//! What a user may wish beyond the words, alike for every method: how strong the change is, and
//! what should not be there.

use crate::{Asked, Method, MethodError};
use domain::{Embedding, Expr, Probe, Sim, Term};

/// How much an unwanted thing counts against a candidate.
pub const NOT_WEIGHT: f32 = 0.5;

/// `(1 - w) · a + w · b`, scaled to length one.
pub fn mix(a: &Embedding, b: &Embedding, w: f32) -> Embedding {
    let mut values: Vec<f32> = a.values.iter().zip(&b.values).map(|(a, b)| (1.0 - w) * a + w * b).collect();
    let length = values.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    values.iter_mut().for_each(|v| *v /= length);
    Embedding { dim: a.dim, values }
}

/// Composes, then applies the wishes: the one way in which probes are made.
///
/// Strength 0.5 is the method's own answer; towards 0 it is blended with the reference alone,
/// towards 1 with the words alone. An unwanted text is a second term with a negative weight.
pub fn compose(method: &dyn Method, asked: &[Asked<'_>]) -> Result<Vec<Probe>, MethodError> {
    let mut probes = nets::together(|| method.compose(asked))?;
    for (probe, asked) in probes.iter_mut().zip(asked) {
        if let Some(strength) = asked.strength
            && let [term] = probe.terms.as_mut_slice()
        {
            let (towards, share) = if strength < 0.5 {
                let item = match asked.item {
                    Some(item) => Some(item.clone()),
                    None => method.embed(&[asked.reference])?.pop(),
                };
                (item, 1.0 - 2.0 * strength)
            } else {
                (say(method, asked.words), 2.0 * strength - 1.0)
            };
            if let Some(towards) = towards {
                term.query = mix(&term.query, &towards, share);
            }
        }
        if let Some(not) = asked.not.filter(|n| !n.trim().is_empty())
            && let Some(query) = say(method, not)
        {
            let own = std::mem::replace(&mut probe.expr, Expr::Sum(Vec::new()));
            let index = probe.terms.len();
            probe.terms.push(Term { name: "not", space: method.space().clone(), query, sim: Sim::Dot });
            probe.expr = Expr::Sum(vec![(1.0, own), (-NOT_WEIGHT, Expr::Term(index))]);
        }
    }
    Ok(probes)
}

fn say(method: &dyn Method, words: &str) -> Option<Embedding> {
    method.model().say(&[words]).pop()
}
