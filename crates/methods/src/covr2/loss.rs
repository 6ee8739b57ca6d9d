//! CoVR-2's loss: HN-NCE between query and target, and where captions are given, target caption.

use super::Config;
use crate::contrast::{classify, first, leave_out};
use burn::tensor::{Bool, Tensor};
use nets::layers::normalise;

/// What a batch of triplets looks like to the loss; all (B, D).
#[derive(Clone)]
pub struct Features {
    /// Reference and words, composed.
    pub composed: Tensor<2>,
    /// The target.
    pub target: Tensor<2>,
    /// The target's caption, by the untrained Q-Former.
    pub caption: Option<Tensor<2>>,
}

/// The loss of a batch and what is worth watching.
pub struct Losses {
    /// What is minimised.
    pub total: Tensor<1>,
    /// Share of queries whose own target ranks first in the batch.
    pub first: Tensor<1>,
}

/// The loss of one batch; `same[i][j]` as for IMAGINE.
///
/// Means over tokens are compared as they are in the reference, not scaled to length one again; here
/// they are, because that is how the library compares.
pub fn loss(f: Features, same: Option<Tensor<2, Bool>>, c: &Config) -> Losses {
    let same = same.filter(|_| c.mask_duplicates);
    let query = normalise(f.composed);
    let scores = |t: Tensor<2>| {
        let s = query.clone().matmul(normalise(t).transpose()) / c.temperature;
        leave_out(s, same.clone())
    };
    let s = scores(f.target);
    let first = first(&s);
    let mut total = classify(s, c.classification, c.beta);
    if let Some(caption) = f.caption.filter(|_| c.caption_weight > 0.0) {
        let theirs = classify(scores(caption), c.classification, c.beta);
        total = total * (1.0 - c.caption_weight) + theirs * c.caption_weight;
    }
    Losses { total, first }
}
