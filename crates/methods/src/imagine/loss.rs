//! IMAGINE's losses: the right target among the batch's (Eq. 12), and imagery that agrees with the
//! target's (Eq. 13), together (Eq. 14).

use super::{Config, Imagine};
use burn::tensor::{Bool, Int, Tensor, activation::log_softmax};
use nets::layers::normalise;

/// What a batch of triplets looks like to the losses; all (B, D).
pub struct Features {
    /// The reference.
    pub reference: Tensor<2>,
    /// The modification text.
    pub words: Tensor<2>,
    /// Both, composed by the Q-Former: the concrete feature.
    pub composed: Tensor<2>,
    /// The target.
    pub target: Tensor<2>,
}

/// The losses of a batch and what is worth watching.
pub struct Losses {
    /// What is minimised (Eq. 14).
    pub total: Tensor<1>,
    /// Batch classification (Eq. 12).
    pub classification: Tensor<1>,
    /// Schema (Eq. 13).
    pub schema: Tensor<1>,
    /// Mean confidence.
    pub confidence: Tensor<1>,
    /// Share of queries whose own target ranks first in the batch.
    pub first: Tensor<1>,
}

/// The losses of one batch. `same[i][j]` says that target j is also right for query i (or is the
/// query's own reference seen again); such columns are left out of the classification.
pub fn loss(head: &Imagine, f: Features, same: Option<Tensor<2, Bool>>, c: &Config) -> Losses {
    let [b, _] = f.target.dims();
    let device = f.target.device();
    let m = head.imagery(f.reference, f.words, c);
    let m_target = head.picture_library.imagery(f.target.clone(), c);
    let (query, confidence) = head.modulate(f.composed, m.clone());
    let mut logits = normalise(query).matmul(normalise(f.target).transpose()) / c.temperature; // (B, B)
    if let Some(same) = same {
        logits = logits.mask_fill(same, -1e4);
    }
    let own: Vec<i32> = (0..b as i32).collect();
    let own = Tensor::<1, Int>::from_data(own.as_slice(), &device).reshape([b, 1]);
    let right = logits.clone().detach().argmax(1).equal(own.clone()).float().mean();
    let classification = -log_softmax(logits, 1).gather(1, own).mean();
    let cos = (normalise(m) * normalise(m_target)).sum_dim(1).mean();
    let schema = -cos + 1.0;
    Losses {
        total: classification.clone() + schema.clone() * c.schema_weight,
        classification,
        schema,
        confidence: confidence.mean(),
        first: right,
    }
}
