//! IMAGINE's losses: the right target among the batch's (Eq. 12), and imagery that agrees with the
//! target's (Eq. 13), together (Eq. 14).

use super::config::{Config, Schema, SchemaTarget, Space};
use super::{Imagine, prototypes};
use crate::contrast::{BETA, classify, first, leave_out};
use burn::tensor::{Bool, Tensor};
use nets::layers::normalise;

/// What a batch of triplets looks like to the losses; all (B, D).
#[derive(Clone)]
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
    /// How far imagery differs within the batch: 0 where every query imagines the same, the trivial
    /// minimum of the schema loss.
    pub spread: Tensor<1>,
}

/// The losses of one batch. `same[i][j]` says that target j is also right for query i; such columns are
/// left out of the classification, where [`Config::mask_duplicates`] is set.
pub fn loss(head: &Imagine, f: Features, same: Option<Tensor<2, Bool>>, c: &Config) -> Losses {
    let (pictures, words) = head.libraries(&f.reference, &f.words, c);
    let imagery = head.imagine_from(&pictures, &words, f.reference, f.words, c);
    let m = imagery.fused.clone();
    let (query, confidence) = head.modulate(f.composed, &imagery, c);
    let s = normalise(query).matmul(normalise(f.target.clone()).transpose()) / c.temperature; // (B, B)
    let s = leave_out(s, same.filter(|_| c.mask_duplicates));
    let right = first(&s);
    let classification = classify(s, c.classification, BETA);

    let wanted = match (c.schema_target, c.space) {
        (SchemaTarget::Concrete, _) | (_, Space::Features) => f.target,
        _ => prototypes::weights(&pictures, f.target, c).matmul(pictures),
    };
    let wanted = if c.schema_target_gradient { wanted } else { wanted.detach() };
    let schema = match c.schema {
        Schema::Cosine => -(normalise(m.clone()) * normalise(wanted)).sum_dim(1).mean() + 1.0,
        Schema::Euclidean => {
            let gap = m.clone() - wanted;
            // A gap of nothing has no direction; the small term gives it gradient zero.
            ((gap.clone() * gap).sum_dim(1) + 1e-12).sqrt().mean()
        }
    };
    let mut total = classification.clone() * c.classification_weight;
    if c.schema_weight > 0.0 {
        total = total + schema.clone() * c.schema_weight;
    }
    let m = normalise(m.detach());
    let spread = m.clone() - m.mean_dim(0);
    Losses {
        total,
        classification,
        schema,
        confidence: confidence.mean(),
        first: right,
        spread: (spread.clone() * spread).sum_dim(1).mean(),
    }
}
