//! Schema-imagery construction: a library of prototypes, and what a query takes from it.
//!
//! A prototype is a running mean of what tends to occur together in the data.
//! It is not trained by gradient but follows the features with momentum (Eq. 1–2); a query takes
//! the few prototypes nearest to it and mixes them into one *imagery* vector (Eq. 3–5).

use super::config::{Axis, Config, Nearness, Pool, Selection};
use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor, TensorData, activation::softmax};
use nets::layers::{drawn, normalise};
use nets::weights::floats;

/// K vectors of about unit length, shared over the whole data set. They travel in the checkpoint.
#[derive(Module, Debug)]
pub struct Prototypes {
    /// (K, D)
    pub vectors: Param<Tensor<2>>,
}

impl Prototypes {
    /// Random directions; [`Prototypes::begin`] replaces them by features before training.
    pub fn new(k: usize, dim: usize, device: &Device) -> Self {
        Self { vectors: drawn([k, dim], (1.0 / dim as f64).sqrt(), device) }
    }

    /// The initial library P⁰ from features (N, D): those of K of them, evenly taken; from exactly K
    /// features, such as one for each slot, all.
    pub fn begin(self, features: Tensor<2>) -> Self {
        let k = self.vectors.dims()[0];
        let [n, _] = features.dims();
        let take: Vec<i32> = (0..k).map(|i| (i * n / k) as i32).collect();
        let take = Tensor::from_data(take.as_slice(), &features.device());
        let fresh = normalise(features.select(0, take));
        Self { vectors: self.vectors.map(|_| fresh) }
    }

    /// Scores (Eq. 3), those chosen (Eq. 4), their mean (Eq. 5): v (B, D) → m (B, D).
    pub fn imagery(&self, v: Tensor<2>, c: &Config) -> Tensor<2> {
        let p = self.vectors.val().detach();
        weights(&p, v, c).matmul(p)
    }

    /// The momentum update (Eq. 1–2). A batch of one would draw all prototypes to one point, so it
    /// changes nothing; training refuses such a batch.
    pub fn follow(self, v: Tensor<2>, c: &Config) -> Self {
        if v.dims()[0] < 2 || c.momentum >= 1.0 {
            return self;
        }
        Self { vectors: self.vectors.map(|p| moved(p.detach(), v.detach(), c)) }
    }

    /// Mean pairwise cosine: near 1 the library has collapsed.
    pub fn likeness(&self) -> f32 {
        let p = normalise(self.vectors.val().detach());
        let k = p.dims()[0] as f32;
        let sum: f32 = p.clone().matmul(p.transpose()).sum().into_scalar();
        if k < 2.0 { 1.0 } else { (sum - k) / (k * (k - 1.0)) }
    }

    /// How evenly some features use the library: the entropy of the mean weights, as a share of the
    /// greatest possible; 1 where all prototypes are used alike, 0 where one serves everyone.
    pub fn usage(&self, v: Tensor<2>, c: &Config) -> f32 {
        let p = self.vectors.val().detach();
        let k = p.dims()[0] as f32;
        let use_of = floats(weights(&p, v.detach(), c).mean_dim(0));
        let entropy: f32 = use_of.iter().filter(|u| **u > 0.0).map(|u| -u * u.ln()).sum();
        if k < 2.0 { 0.0 } else { entropy / k.ln() }
    }
}

/// What each query takes of each prototype: p (K, D), v (B, D) → (B, K); rows sum to 1, and those not
/// chosen are 0.
///
/// The weights carry the gradient: with a plain mean the schema loss would move nothing.
pub fn weights(p: &Tensor<2>, v: Tensor<2>, c: &Config) -> Tensor<2> {
    let k = p.dims()[0];
    let taken = if c.selection == Selection::All { k } else { c.top_k.min(k) };
    let scores = normalise(v.clone()).matmul(normalise(p.clone()).transpose()); // (B, K)
    let logits = match c.pool {
        Pool::Attention => scores.clone() / c.pool_temperature,
        Pool::Mean => scores.zeros_like(),
    };
    if taken == k {
        return softmax(logits, 1);
    }
    let out = match c.selection {
        Selection::Random => at_random(v, k, taken),
        _ => {
            let scores = scores.detach();
            let least = scores.clone().topk(taken, 1).min_dim(1); // (B, 1)
            scores.clone().lower(least.expand(scores.dims()))
        }
    };
    softmax(logits.mask_fill(out, -1e4), 1)
}

/// Which prototypes are *not* taken when any k of K are: decided by the feature's bits.
fn at_random(v: Tensor<2>, k: usize, taken: usize) -> Tensor<2, Bool> {
    let [b, d] = v.dims();
    let device = v.device();
    // SplitMix64's mixer.
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut out = vec![true; b * k];
    for (row, feature) in out.chunks_exact_mut(k).zip(floats(v.detach()).chunks_exact(d)) {
        let seed = feature.iter().fold(0u64, |h, x| mix(h ^ u64::from(x.to_bits())));
        let mut order: Vec<(u64, usize)> = (0..k).map(|j| (mix(seed.wrapping_add(j as u64)), j)).collect();
        order.sort_unstable();
        order.iter().take(taken).for_each(|(_, j)| row[*j] = false);
    }
    Tensor::<1, Bool>::from_data(TensorData::new(out, [b * k]), &device).reshape([b, k])
}

/// Eq. 1–2 as an expression: p (K, D) after following v (B, D). With gradients on v where it has them.
pub fn moved(p: Tensor<2>, v: Tensor<2>, c: &Config) -> Tensor<2> {
    let near = match c.follow_nearness {
        Nearness::Cosine => normalise(p.clone()).matmul(normalise(v.clone()).transpose()),
        Nearness::InnerProduct => p.clone().matmul(v.clone().transpose()),
    };
    let near = near / c.follow_temperature; // (K, B)
    // Either way a prototype is a mean of directions.
    let v = normalise(v);
    let after = match c.follow_axis {
        Axis::Batch => p * c.momentum + softmax(near, 1).matmul(v) * (1.0 - c.momentum),
        Axis::Prototypes => {
            let shares = softmax(near, 0); // (K, B), each column sums to 1
            let mass = shares.clone().sum_dim(1); // (K, 1)
            // A prototype that nobody is near hardly moves, instead of dividing by nothing.
            let step = mass.clone().clamp_max(1.0) * (1.0 - c.momentum);
            let mean = shares.matmul(v) / mass.clamp_min(1e-6);
            p.clone() + (mean - p) * step
        }
    };
    if c.renormalise { normalise(after) } else { after }
}
