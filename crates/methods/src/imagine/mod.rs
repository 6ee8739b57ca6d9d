//! IMAGINE: what the words imply is imagined, and modulates what they say.
//!
//! # The idea
//! "As a birthday party" says nothing about balloons, yet the wanted clip shows some.
//! Libraries of *prototypes* follow what occurs together in the training data; a query takes the
//! prototypes nearest to its reference and its words as *imagery*, and the imagery scales and
//! shifts the composed feature, as far as the model has confidence in it.
//!
//! # What it sees
//! The reference's sampled frames and the modification text, through BLIP-2.
//!
//! # How it composes
//! | equation | here |
//! |---|---|
//! | 1–2: attention over the batch, momentum update | [`Prototypes::follow`] |
//! | 3–5: scores, top k, weighted pooling | [`Prototypes::imagery`] |
//! | 6: fusion of the two imageries | [`Imagine::imagery`] |
//! | 7: the concrete composed feature | `Blip2::composed_tokens`, pooled |
//! | 8–11: modulation, confidence, `(1 + c·γ) ⊙ f + c·β` | [`Imagine::modulate`] |
//! | 12–14: losses | [`loss`] |
//!
//! # What it was trained on, and numbers to expect
//! See the model's manifest and `results/`.
//!
//! # Paper, reference code, licence
//! IMAGINE has no public code; the equations are rebuilt from the text, and each place where it is
//! silent is a setting in [`Config`] with the reason for its default.

mod compose;
mod config;
mod loss;
mod prototypes;

pub use compose::{Composer, hear, query};
pub use config::{Axis, Config};
pub use loss::{Features, Losses, loss};
pub use prototypes::Prototypes;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation};
use nets::layers::{Linear, gelu};

/// IMAGINE's head: everything that it adds to the backbone.
#[derive(Module, Debug)]
pub struct Imagine {
    /// What pictures tend to show together; shared by reference and target.
    pub picture_library: Prototypes,
    /// What words tend to mean together.
    pub words_library: Prototypes,
    /// (2): before the softmax, the weights of picture and words imagery.
    pub fusion: Param<Tensor<1>>,
    /// D → hidden → 2D.
    pub modulation: [Linear; 2],
    /// 3D → hidden → 1.
    pub confidence: [Linear; 2],
}

impl Imagine {
    /// A new head; it leaves the composed feature as it is until trained, because the modulation's
    /// last layer starts at zero.
    pub fn new(c: &Config, dim: usize, device: &Device) -> Self {
        let std = |n: usize| (1.0 / n as f64).sqrt();
        Self {
            picture_library: Prototypes::new(c.prototypes, dim, device),
            words_library: Prototypes::new(c.prototypes, dim, device),
            fusion: Param::from_tensor(Tensor::zeros([2], device)),
            modulation: [
                Linear::new(dim, c.modulation_hidden, std(dim), device),
                Linear::new(c.modulation_hidden, 2 * dim, 0.0, device),
            ],
            confidence: [
                Linear::new(3 * dim, c.confidence_hidden, std(3 * dim), device),
                Linear::new(c.confidence_hidden, 1, std(c.confidence_hidden), device),
            ],
        }
    }

    /// The query's imagery (Eq. 6): v, x (B, D) → m (B, D).
    pub fn imagery(&self, v: Tensor<2>, x: Tensor<2>, c: &Config) -> Tensor<2> {
        let w = activation::softmax(self.fusion.val(), 0);
        let part = |i: usize, m: Tensor<2>| m * w.clone().slice([i..i + 1]).reshape([1, 1]);
        part(0, self.picture_library.imagery(v, c)) + part(1, self.words_library.imagery(x, c))
    }

    /// Scale and shift by the imagery, as far as it is credible (Eq. 8–11):
    /// f, m (B, D) → f̂ (B, D) and the confidence (B, 1).
    pub fn modulate(&self, f: Tensor<2>, m: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let [b, d] = f.dims();
        let scale_shift = self.modulation[1].forward(gelu(self.modulation[0].forward(m.clone()))); // (B, 2D)
        let input = Tensor::cat(vec![m, scale_shift.clone()], 1); // (B, 3D)
        let c = activation::sigmoid(self.confidence[1].forward(gelu(self.confidence[0].forward(input)))); // (B, 1)
        let scale = scale_shift.clone().slice([0..b, 0..d]);
        let shift = scale_shift.slice([0..b, d..2 * d]);
        let out = f.clone() + c.clone() * (scale * f + shift);
        (out, c)
    }
}
