//! CLIP: one tower reads pictures, one reads words, and both end in one space.
//!
//! Paper: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
//! Supervision". Reference code: `openai/CLIP` (MIT), OpenCLIP (MIT), transformers' `CLIPModel`
//! (Apache-2.0).
//!
//! ```text
//! pictures ─▶ patches + class token ─▶ norm ─▶ blocks ─▶ class token ─▶ norm ─▶ proj ─▶ one space
//! words ────▶ embeddings (+ pseudo-words) ───▶ causal blocks ─▶ norm ─▶ end token ─▶ proj ─▶ one space
//! ```
//!
//! One code for all sizes and all sources: OpenAI's, OpenCLIP's, and what was fine-tuned from them,
//! like BAAI's BGE-VL (MMRet), which was trained so that the sum of a picture's and a text's
//! features lies near the picture that both together describe.

mod config;
pub mod import;
pub mod names;
mod text;
mod vision;

pub use config::{Config, End, PRESETS, Tower};
pub use text::{Slots, Text};
pub use vision::Vision;

use crate::layers;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// The whole backbone.
#[derive(Module, Debug)]
pub struct Clip {
    /// Pictures.
    pub vision: Vision,
    /// Words.
    pub text: Text,
    /// (1): the logarithm of what a cosine is multiplied by before it is compared with others.
    pub logit_scale: Param<Tensor<1>>,
}

impl Clip {
    /// Weights drawn at random.
    pub fn new(c: &Config, device: &Device) -> Self {
        Self {
            vision: Vision::new(c, device),
            text: Text::new(c, device),
            logit_scale: Param::from_tensor(Tensor::full([1], (1.0f32 / 0.07).ln(), device)),
        }
    }
}

/// x (B, in), w (in, out) → (B, out): a projection without a bias, as CLIP's last ones are.
fn project(x: Tensor<2>, w: Tensor<2>) -> Tensor<2> {
    let zeros = Tensor::zeros([w.dims()[1]], &x.device());
    layers::linear(x, w, zeros)
}

#[cfg(test)]
pub(crate) mod golden;
#[cfg(test)]
mod tests;
