//! SigLIP and SigLIP 2: two towers like CLIP's, taught pair by pair.
//!
//! Papers: Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training"; Tschannen et al. 2025,
//! "SigLIP 2". Reference code: `google-research/big_vision` (Apache-2.0), transformers'
//! `SiglipModel` (Apache-2.0).
//!
//! ```text
//! pictures ─▶ patches ─▶ blocks ─▶ norm ─▶ one query attends to all patches ─▶ one space
//! words ────▶ exactly 64 tokens ─▶ blocks ─▶ norm ─▶ last token ─▶ head ─▶ one space
//! ```
//!
//! What differs from CLIP: no class token (a pooling head asks for what matters), no causal mask, a
//! text's padding is read like its words, and a pair's likeness has a bias beside its scale.
//! The fixed resolutions only; SigLIP 2's `naflex` variants take pictures of any shape and are
//! another network.

mod config;
pub mod import;

pub use config::{Config, PRESETS};

use crate::layers::{self, Activation, Beside, LayerNorm, Linear, Numbers, Sees, Transformer};
use crate::words::Words;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// The whole backbone.
#[derive(Module, Debug)]
pub struct Siglip {
    /// Pictures.
    pub vision: Vision,
    /// Words.
    pub text: Text,
    /// (1): the logarithm of what a cosine is multiplied by.
    pub logit_scale: Param<Tensor<1>>,
    /// (1): what is then added; below zero the pair is more likely none.
    pub logit_bias: Param<Tensor<1>>,
}

/// The tower that reads pictures.
#[derive(Module, Debug)]
pub struct Vision {
    /// A patch's pixels to a token; (3 · patch · patch, D), channels first.
    pub patch_embed: Linear,
    /// (P, D)
    pub pos_embed: Param<Tensor<2>>,
    /// The blocks.
    pub transformer: Transformer,
    /// After the blocks.
    pub norm: LayerNorm,
    /// From patches to one vector.
    pub head: Head,
    #[module(skip)]
    patch: usize,
}

/// Attention pooling: one learned query looks at all patches.
#[derive(Module, Debug)]
pub struct Head {
    /// (D)
    pub probe: Param<Tensor<1>>,
    /// From the probe.
    pub query: Linear,
    /// From the patches.
    pub key: Linear,
    /// From the patches.
    pub value: Linear,
    /// After attention.
    pub proj: Linear,
    /// Before the feed-forward network.
    pub norm: LayerNorm,
    /// Widens.
    pub fc1: Linear,
    /// Narrows.
    pub fc2: Linear,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    beside: Beside,
}

/// The tower that reads words.
#[derive(Module, Debug)]
pub struct Text {
    /// (V, D)
    pub token_embed: Param<Tensor<2>>,
    /// (T, D)
    pub pos_embed: Param<Tensor<2>>,
    /// The blocks.
    pub transformer: Transformer,
    /// After the blocks.
    pub norm: LayerNorm,
    /// Into the space.
    pub head: Linear,
}

impl Siglip {
    /// Weights drawn at random.
    pub fn new(c: &Config, device: &Device) -> Self {
        let (v, t) = (c.vision, c.text);
        let pixels = 3 * c.patch * c.patch;
        let std = |n: usize| (n as f64).powf(-0.5);
        let linear = |i: usize, o: usize| Linear::new(i, o, std(i), device);
        let tower = |t: crate::clip::Tower| {
            Transformer::new((t.width, t.layers, t.heads, t.mlp), false, c.activation, c.eps, device)
        };
        let norm = |d: usize| LayerNorm::new(d, c.eps, device);
        Self {
            vision: Vision {
                patch_embed: linear(pixels, v.width),
                pos_embed: layers::drawn([(c.image / c.patch).pow(2), v.width], std(v.width), device),
                transformer: tower(v),
                norm: norm(v.width),
                head: Head {
                    probe: layers::drawn([v.width], 1.0, device),
                    query: linear(v.width, v.width),
                    key: linear(v.width, v.width),
                    value: linear(v.width, v.width),
                    proj: linear(v.width, v.width),
                    norm: norm(v.width),
                    fc1: linear(v.width, v.mlp),
                    fc2: linear(v.mlp, v.width),
                    heads: v.heads,
                    activation: c.activation,
                    beside: Beside::default(),
                },
                patch: c.patch,
            },
            text: Text {
                token_embed: layers::drawn([c.vocab, t.width], std(t.width), device),
                pos_embed: layers::drawn([c.context, t.width], std(t.width), device),
                transformer: tower(t),
                norm: norm(t.width),
                head: linear(t.width, v.width),
            },
            logit_scale: Param::from_tensor(Tensor::full([1], 10f32.ln(), device)),
            logit_bias: Param::from_tensor(Tensor::full([1], -10.0, device)),
        }
    }
}

impl Vision {
    /// Packs the weights of all blocks, of the patches and of the head, which never change again.
    pub fn pack(&mut self, numbers: Numbers) {
        self.patch_embed.pack(numbers.of_pixels());
        self.transformer.pack(numbers);
        self.head.pack(numbers);
    }

    /// pixels (N, 3, S, S) → all tokens after the last norm (N, P, D)
    pub fn tokens(&self, pixels: Tensor<4>) -> Tensor<3> {
        let x = self.patch_embed.forward(layers::patches(pixels, self.patch)); // (N, P, D)
        self.norm.forward(self.transformer.forward(x + self.pos_embed.val().unsqueeze::<3>()))
    }

    /// pixels (N, 3, S, S) → features (N, E), of the length that the network gave them
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<2> {
        self.head.forward(self.tokens(pixels))
    }
}

impl Head {
    /// Packs the weights that every patch goes through, which never change again; the rest sees one token.
    pub fn pack(&mut self, numbers: Numbers) {
        self.beside.pack([&mut self.key, &mut self.value], numbers);
    }

    /// tokens (N, P, D) → (N, D)
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<2> {
        let [n, _, d] = tokens.dims();
        let probe = self.query.forward(self.probe.val().reshape([1, 1, d])).expand([n, 1, d]);
        let kv = self.beside.forward([&self.key, &self.value], tokens); // (N, P, 2D)
        let x = self.proj.forward(layers::attention(probe, kv, self.heads, Sees::All, self.beside.rounds())); // (N, 1, D)
        let hidden = layers::activate(self.fc1.forward(self.norm.forward(x.clone())), self.activation);
        (x + self.fc2.forward(hidden)).reshape([n, d])
    }
}

impl Text {
    /// What the first block reads (B, T, D): embeddings, and where each stands.
    pub fn start(&self, words: &Words) -> Tensor<3> {
        let [b, t] = words.ids.dims();
        let d = self.token_embed.dims()[1];
        let x = self.token_embed.val().select(0, words.ids.clone().reshape([b * t])).reshape([b, t, d]);
        x + self.pos_embed.val().slice([0..t, 0..d]).unsqueeze::<3>()
    }

    /// Features (B, E), of the length that the network gave them.
    pub fn forward(&self, words: &Words) -> Tensor<2> {
        let x = self.start(words);
        let [b, t, _] = x.dims();
        self.head.forward(self.norm.forward(self.transformer.forward_at(x, &vec![t - 1; b]))) // the last place speaks
    }
}

#[cfg(test)]
mod tests;
