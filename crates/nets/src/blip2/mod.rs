//! BLIP-2: a frozen vision transformer, and a Q-Former that reads it together with a text.
//!
//! Paper: Li et al. 2023, "BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image
//! Encoders and Large Language Models". Reference code: LAVIS (BSD-3-Clause).
//!
//! ```text
//! frames ─▶ Vit ─▶ ln_vision ─▶ (+ frame positions) ─▶ Sight
//! Sight ───────────▶ QFormer.look ─────▶ vision_proj ─▶ one space ◀─ text_proj ◀─ QFormer.read ◀─ words
//! Sight and words ─▶ QFormer.compose ──▶ text_proj ───▶ one space
//!                                   └──▶ itm_head ────▶ does the text fit the picture?
//! ```
//!
//! Where LAVIS and transformers differ, the difference is in the configuration (`ln_vision_eps`) or
//! has no effect on what comes out: LAVIS hides padding by -10,000, transformers by the lowest number
//! there is, and here it is left out; LAVIS stores no bias for EVA's keys, transformers stores zeros.
//! Word 30522, `[DEC]`, begins a text in LAVIS' captioning only; a text to be compared begins with
//! `[CLS]` in both.

mod config;
mod finer;
pub mod import;
mod positions;
mod qformer;
mod vit;

pub use config::{Config, Family, PRESETS};
pub use finer::{FinerError, finer};
pub use positions::{Corners, resize_positions};
pub use qformer::{QFormer, Sight};
pub use vit::Vit;

pub use crate::backbone::Frames;
pub use crate::words::Words;

use crate::layers::{self, LayerNorm, Linear, normalise};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

/// The whole backbone.
#[derive(Module, Debug)]
pub struct Blip2 {
    /// Frames to tokens.
    pub vit: Vit,
    /// Between the vision transformer and the Q-Former; its eps is the configuration's.
    pub ln_vision: LayerNorm,
    /// (F, D): which frame a token is of; absent in the published models.
    pub frame_positions: Option<Param<Tensor<2>>>,
    /// Queries and words.
    pub qformer: QFormer,
    /// Queries that saw a picture, into the space.
    pub vision_proj: Linear,
    /// Words, and queries that heard words, into the space.
    pub text_proj: Linear,
    /// Queries that saw a picture and heard words, to two logits: does not fit, fits.
    pub itm_head: Option<Linear>,
    /// BERT's head that predicts words.
    pub text_head: Option<TextHead>,
}

/// BERT's head that predicts words: its last product is the word embeddings themselves.
#[derive(Module, Debug)]
pub struct TextHead {
    /// Before the norm.
    pub dense: Linear,
    /// After GELU.
    pub norm: LayerNorm,
    /// (V)
    pub bias: Param<Tensor<1>>,
}

impl Blip2 {
    /// Weights drawn at random.
    pub fn new(c: &Config, device: &Device) -> Self {
        let std = |n: usize| (1.0 / n as f64).sqrt();
        Self {
            vit: Vit::new(c, device),
            ln_vision: LayerNorm::new(c.vit_width, c.ln_vision_eps, device),
            frame_positions: (c.frame_positions > 0)
                .then(|| layers::drawn([c.frame_positions, c.vit_width], 0.2, device)),
            qformer: QFormer::new(c, device),
            vision_proj: Linear::new(c.width, c.embed, std(c.width), device),
            text_proj: Linear::new(c.width, c.embed, std(c.width), device),
            itm_head: c.itm.then(|| Linear::new(c.width, 2, std(c.width), device)),
            text_head: c.text_head.then(|| TextHead {
                dense: Linear::new(c.width, c.width, std(c.width), device),
                norm: LayerNorm::new(c.width, qformer::BERT_EPS, device),
                bias: Param::from_tensor(Tensor::zeros([c.vocab], device)),
            }),
        }
    }

    /// pixels (N, 3, S, S) → what one frame shows (N, P + 1, Dv), before frame positions
    pub fn see(&self, pixels: Tensor<4>) -> Tensor<3> {
        self.ln_vision.forward(self.vit.forward(pixels))
    }

    /// Puts the frames of each item one after the other: tokens (N, P + 1, Dv) → (B, F·(P+1), Dv).
    pub fn sight(&self, tokens: Tensor<3>, frames: &Frames) -> Sight {
        let [n, t, d] = tokens.dims();
        let device = tokens.device();
        let b = frames.of.len();
        let most = frames.of.iter().map(Vec::len).max().unwrap_or(1).max(1);
        let lens = frames.of.iter().map(|f| f.len().max(1) * t).collect();
        let plain = most == 1 && n == b && frames.of.iter().enumerate().all(|(i, f)| f == &[i]);
        let mut x = if plain {
            tokens
        } else {
            // Short items repeat their last frame; what is repeated is not seen (`lens`).
            let pick: Vec<i32> = frames
                .of
                .iter()
                .flat_map(|f| (0..most).map(|i| f.get(i).or(f.last()).copied().unwrap_or(0) as i32))
                .collect();
            let pick = Tensor::<1, Int>::from_data(pick.as_slice(), &device);
            tokens.select(0, pick) // (B·F, P + 1, Dv)
        };
        if let Some(positions) = &self.frame_positions {
            let known = positions.dims()[0];
            let which: Vec<i32> = (0..b).flat_map(|_| (0..most).map(|i| i.min(known - 1) as i32)).collect();
            let which = Tensor::<1, Int>::from_data(which.as_slice(), &device);
            x = x + positions.val().select(0, which).reshape([b * most, 1, d]);
        }
        Sight { tokens: x.reshape([b, most * t, d]), lens }
    }

    /// What each item shows: unit vectors of its queries (B, Q, E).
    pub fn image_tokens(&self, sight: &Sight) -> Tensor<3> {
        self.shown(self.qformer.look(sight))
    }

    /// What each text says: one unit vector (B, E), from its first token.
    pub fn text(&self, words: &Words) -> Tensor<2> {
        self.said(self.qformer.read(words))
    }

    /// Queries that saw a picture and heard words: unit vectors (B, Q, E).
    pub fn composed_tokens(&self, sight: &Sight, words: &Words) -> Tensor<3> {
        self.composed(self.qformer.compose(sight, words))
    }

    /// What the Q-Former's queries saw (B, Q, D) → unit vectors (B, Q, E).
    pub fn shown(&self, looked: Tensor<3>) -> Tensor<3> {
        normalise(self.vision_proj.forward(looked))
    }

    /// What the Q-Former read (B, T, D) → unit vectors of the first tokens (B, E).
    pub fn said(&self, read: Tensor<3>) -> Tensor<2> {
        let [b, _, d] = read.dims();
        normalise(self.text_proj.forward(read.slice([0..b, 0..1, 0..d]).reshape([b, d])))
    }

    /// What the Q-Former composed (B, Q + T, D) → unit vectors of its queries (B, Q, E).
    pub fn composed(&self, composed: Tensor<3>) -> Tensor<3> {
        let [b, _, d] = composed.dims();
        let q = self.qformer.query_tokens.dims()[1];
        normalise(self.text_proj.forward(composed.slice([0..b, 0..q, 0..d])))
    }

    /// Does each text fit its picture? Logits (B, 2), no and yes: the mean over the queries.
    /// `None` for a model without the head.
    pub fn matching(&self, sight: &Sight, words: &Words) -> Option<Tensor<2>> {
        let head = self.itm_head.as_ref()?;
        let x = self.qformer.compose(sight, words);
        let [b, _, d] = x.dims();
        let q = self.qformer.query_tokens.dims()[1];
        let each = head.forward(x.slice([0..b, 0..q, 0..d])); // (B, Q, 2)
        Some(each.mean_dim(1).reshape([b, 2]))
    }

    /// Which word belongs at each place: what the Q-Former made of words (B, T, D) → logits (B, T, V).
    /// `None` for a model without the head.
    pub fn word_logits(&self, read: Tensor<3>) -> Option<Tensor<3>> {
        let head = self.text_head.as_ref()?;
        let x = head.norm.forward(layers::gelu(head.dense.forward(read)));
        let words = self.qformer.word_embeddings.val().swap_dims(0, 1); // (D, V)
        Some(layers::linear(x, words, head.bias.val()))
    }
}

/// How alike pictures and texts are, as BLIP-2 was trained to see it: the cosine of the text and that
/// query of the picture which is nearest to it.
/// Unit vectors of pictures (B, Q, E) and of texts (T, E) → (B, T).
pub fn likeness(images: Tensor<3>, texts: Tensor<2>) -> Tensor<2> {
    let [b, q, e] = images.dims();
    let t = texts.dims()[0];
    let each = images.reshape([b * q, e]).matmul(texts.swap_dims(0, 1)).reshape([b, q, t]);
    each.max_dim(1).reshape([b, t])
}

/// The mean over an item's token vectors (B, Q, E) → (B, E); not normalised again.
pub fn pool(tokens: Tensor<3>) -> Tensor<2> {
    let [b, _, e] = tokens.dims();
    tokens.mean_dim(1).reshape([b, e])
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
