//! Losses over a batch of queries and targets, which every trained method chooses from: query i's own
//! target is target i, all others are wrong.
//!
//! All take S = cos(query, target) / τ, (B, B), queries in rows.
//! A pair that is left out (a target that is right for another query too) holds [`LEFT_OUT`].

use burn::tensor::{Bool, Device, Int, Tensor, activation::log_softmax};

/// A score so low that its exponential is zero, and no infinity.
pub const LEFT_OUT: f32 = -1e4;

/// How the right target is told from the batch's others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Classification {
    /// Each query finds its target among the batch's: "batch-based classification" (IMAGINE Eq. 12, HUD, ReTrack).
    OneWay,
    /// Queries find targets and targets find queries, halved: symmetric InfoNCE.
    Symmetric,
    /// Both directions, negatives weighted by how hard they are: HN-NCE as its authors mean it
    /// (Radenovic et al. 2023).
    HnNce,
    /// The same as CoVR's code has it: there the weights of query i's negatives are divided, column
    /// by column, by the sums of other queries. For parity with checkpoints made by it.
    HnNceReference,
}

/// HN-NCE's α: the weight of the right pair in its own normaliser.
pub const ALPHA: f32 = 1.0;
/// HN-NCE's β: how much hardness counts.
pub const BETA: f32 = 0.5;

/// The loss (1) of scores S (B, B); `beta` is read by HN-NCE only.
pub fn classify(s: Tensor<2>, kind: Classification, beta: f32) -> Tensor<1> {
    let forth = |s: Tensor<2>| -> Tensor<1> {
        let own = own(s.dims()[0], &s.device());
        -log_softmax(s, 1).gather(1, own).mean()
    };
    match kind {
        Classification::OneWay => forth(s),
        Classification::Symmetric => (forth(s.clone()) + forth(s.transpose())) / 2.0,
        Classification::HnNce => hn_nce(s, beta, false),
        Classification::HnNceReference => hn_nce(s, beta, true),
    }
}

/// Leaves pairs out of S: `same[i][j]` says that target j is right for query i too.
pub fn leave_out(s: Tensor<2>, same: Option<Tensor<2, Bool>>) -> Tensor<2> {
    match same {
        Some(same) => s.mask_fill(same, LEFT_OUT),
        None => s,
    }
}

/// Share of queries whose own target scores highest in the batch (1).
pub fn first(s: &Tensor<2>) -> Tensor<1> {
    let own = own(s.dims()[0], &s.device());
    s.clone().detach().argmax(1).equal(own).float().mean()
}

fn own(b: usize, device: &Device) -> Tensor<2, Int> {
    let own: Vec<i32> = (0..b as i32).collect();
    Tensor::<1, Int>::from_data(own.as_slice(), device).reshape([b, 1])
}

/// log Σ exp along an axis, without overflow.
fn log_sum_exp(x: Tensor<2>, axis: usize) -> Tensor<2> {
    let top = x.clone().detach().max_dim(axis);
    (x - top.clone()).exp().sum_dim(axis).log() + top
}

/// Weights w_ij = (B − 1) · exp(β S_ij) / Σ_{k≠i} exp(β S_ik) for i ≠ j, α on the diagonal, the same
/// for columns; the loss is Σ over both directions of mean_i [log Σ_j w_ij exp S_ij − S_ii].
fn hn_nce(s: Tensor<2>, beta: f32, as_coded: bool) -> Tensor<1> {
    let b = s.dims()[0];
    let device = s.device();
    let diagonal = Tensor::<2>::eye(b, &device).greater_elem(0.5);
    let right = s.clone().gather(1, own(b, &device)); // (B, 1)
    let hard = s.clone() * beta;
    let others = hard.clone().mask_fill(diagonal.clone(), LEFT_OUT);
    let rows = log_sum_exp(others.clone(), 1); // (B, 1)
    let columns = log_sum_exp(others, 0); // (1, B)
    let count = ((b.max(2) - 1) as f32).ln();
    let weigh = |norm: Tensor<2>| (hard.clone() - norm + count).mask_fill(diagonal.clone(), ALPHA.ln());
    let forth = weigh(if as_coded { rows.transpose() } else { rows });
    let back = weigh(columns);
    let find_target = (log_sum_exp(s.clone() + forth, 1) - right.clone()).mean();
    let find_query = (log_sum_exp(s + back, 0) - right.transpose()).mean();
    find_target + find_query
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s() -> Tensor<2> {
        Tensor::<2>::from_data([[0.9f32, 0.2, 0.1], [0.3, 0.8, 0.4], [0.0, 0.5, 0.7]], &nets::cpu()) / 0.07
    }

    #[test]
    fn golden_values() {
        use Classification::*;
        // Computed from CoVR's own code and from the definition, by a script, in float64.
        for (kind, beta, golden) in [
            (OneWay, 0.5, 0.020_007_928),
            (Symmetric, 0.5, 0.029_309_79 / 2.0),
            (HnNce, 0.5, 0.053_337_662),
            (HnNceReference, 0.5, 0.066_900_398),
            (HnNce, 0.0, 0.029_309_79),
        ] {
            let loss: f32 = classify(s(), kind, beta).into_scalar();
            assert!((loss - golden).abs() < 2e-6, "{kind:?} β {beta}: {loss}, golden {golden}");
        }
    }

    #[test]
    fn what_is_left_out_counts_nothing() {
        let device = nets::cpu();
        // A third target that is right for query 0 too: with it left out, two are told apart.
        let same =
            Tensor::<2, Bool>::from_data([[false, false, true], [false, false, true], [false, false, false]], &device);
        for kind in [Classification::OneWay, Classification::HnNce, Classification::HnNceReference] {
            let all: f32 = classify(leave_out(s(), Some(same.clone())), kind, 0.5).into_scalar();
            assert!(all.is_finite());
        }
        let of = |s: Tensor<2>| -> f32 { classify(s, Classification::OneWay, 0.5).into_scalar() };
        let two = of(s().slice([0..2, 0..2]));
        let third = -log_softmax(s(), 1).slice([2..3, 2..3]).into_scalar::<f32>();
        let left: f32 = of(leave_out(s(), Some(same)));
        assert!((left - (2.0 * two + third) / 3.0).abs() < 1e-6);
    }
}
