//! Schema-imagery construction: a library of prototypes, and what a query takes from it.
//!
//! A prototype is a running mean of what tends to occur together in the data.
//! It is not trained by gradient but follows the features with momentum (Eq. 1–2); a query takes
//! the few prototypes nearest to it and mixes them into one *imagery* vector (Eq. 3–5).

use super::{Axis, Config};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation::softmax};
use nets::layers::{drawn, normalise};

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

    /// The initial library P⁰: features of K training samples. Open in the paper; real features
    /// are diverse from the start, where random directions are far from all data.
    pub fn begin(self, features: Tensor<2>) -> Self {
        let k = self.vectors.dims()[0];
        let [n, _] = features.dims();
        let take: Vec<i32> = (0..k).map(|i| (i * n / k) as i32).collect();
        let take = Tensor::from_data(take.as_slice(), &features.device());
        let fresh = normalise(features.select(0, take));
        Self { vectors: self.vectors.map(|_| fresh) }
    }

    /// Scores (Eq. 3), the k best (Eq. 4), their score-weighted mean (Eq. 5): v (B, D) → m (B, D).
    ///
    /// The weights carry the gradient: with a plain mean the schema loss would move nothing.
    pub fn imagery(&self, v: Tensor<2>, c: &Config) -> Tensor<2> {
        let p = self.vectors.val().detach(); // (K, D)
        let scores = normalise(v).matmul(normalise(p.clone()).transpose()); // (B, K)
        let least = scores.clone().detach().topk(c.top_k, 1).min_dim(1); // (B, 1)
        let out = scores.clone().detach().lower(least.expand(scores.dims()));
        softmax(scores.mask_fill(out, -1e4) / c.pool_temperature, 1).matmul(p)
    }

    /// The momentum update (Eq. 1–2): each prototype moves towards its softmax-weighted mean of
    /// the batch. A batch of one would draw all prototypes to one point, so it changes nothing.
    pub fn follow(self, v: Tensor<2>, c: &Config) -> Self {
        if v.dims()[0] < 2 {
            return self;
        }
        let v = normalise(v.detach());
        Self {
            vectors: self.vectors.map(|p| {
                let p = p.detach();
                let near = normalise(p.clone()).matmul(v.clone().transpose()) / c.follow_temperature; // (K, B)
                match c.follow_axis {
                    Axis::Batch => normalise(p * c.momentum + softmax(near, 1).matmul(v) * (1.0 - c.momentum)),
                    Axis::Prototypes => {
                        let shares = softmax(near, 0); // (K, B), each column sums to 1
                        let mass = shares.clone().sum_dim(1); // (K, 1)
                        // A prototype that nobody is near hardly moves, instead of dividing by nothing.
                        let step = mass.clone().clamp_max(1.0) * (1.0 - c.momentum);
                        let mean = shares.matmul(v) / mass.clamp_min(1e-6);
                        normalise(p.clone() + (mean - p) * step)
                    }
                }
            }),
        }
    }

    /// Mean pairwise cosine: near 1 the library has collapsed.
    pub fn likeness(&self) -> f32 {
        let p = normalise(self.vectors.val().detach());
        let k = p.dims()[0] as f32;
        let sum: f32 = p.clone().matmul(p.transpose()).sum().into_scalar();
        if k < 2.0 { 1.0 } else { (sum - k) / (k * (k - 1.0)) }
    }
}
