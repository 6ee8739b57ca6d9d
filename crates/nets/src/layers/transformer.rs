//! The transformer that CLIP's and SigLIP's towers share: pre-norm blocks, attention of tokens among
//! themselves, one activation.
//!
//! EVA's block in [`blip2`](crate::blip2) only looks alike: its keys have no bias, and its
//! published weights keep the other two apart.

use super::{Activation, LayerNorm, Linear, Numbers, Sees, self_attention};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// Blocks, one after the other.
#[derive(Module, Debug)]
pub struct Transformer {
    /// In order.
    pub blocks: Vec<Block>,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    causal: bool,
    #[module(skip)]
    activation: Activation,
}

/// One block.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub norm1: LayerNorm,
    /// D → 3D: query, key, value side by side.
    pub qkv: Linear,
    /// After attention.
    pub proj: Linear,
    /// Before the feed-forward network.
    pub norm2: LayerNorm,
    /// Widens.
    pub fc1: Linear,
    /// Narrows.
    pub fc2: Linear,
}

impl Transformer {
    /// Weights drawn at random; where `causal`, no token sees a later one.
    pub fn new(
        (width, layers, heads, mlp): (usize, usize, usize, usize),
        causal: bool,
        activation: Activation,
        eps: f64,
        device: &Device,
    ) -> Self {
        // CLIP's own deviations: residual sums stay calm the deeper they go.
        let std = (width as f64).powf(-0.5);
        let last = std * (2.0 * layers as f64).powf(-0.5);
        let block = || Block {
            norm1: LayerNorm::new(width, eps, device),
            qkv: Linear::new(width, 3 * width, std, device),
            proj: Linear::new(width, width, last, device),
            norm2: LayerNorm::new(width, eps, device),
            fc1: Linear::new(width, mlp, (2.0 * width as f64).powf(-0.5), device),
            fc2: Linear::new(mlp, width, last, device),
        };
        Self { blocks: (0..layers).map(|_| block()).collect(), heads, causal, activation }
    }

    /// x (B, T, D) → what the last block and the last but one make of it, both (B, T, D).
    pub fn forward(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let mut before = x.clone();
        let last = self.blocks.iter().fold(x, |x, block| {
            before = x.clone();
            self.step(block, x)
        });
        (last, before)
    }

    /// One block: x (B, T, D) → (B, T, D).
    pub fn step(&self, block: &Block, x: Tensor<3>) -> Tensor<3> {
        let qkv = block.qkv.forward(block.norm1.forward(x.clone())); // (B, T, 3D)
        let sees = if self.causal { Sees::Causal } else { Sees::All };
        let mixed = self_attention(qkv, self.heads, sees, block.qkv.frozen.rounds());
        let x = block.proj.onto(mixed, x);
        let hidden = block.fc1.then(block.norm2.forward(x.clone()), self.activation);
        block.fc2.onto(hidden, x)
    }

    /// Packs the weights of all blocks, which never change again.
    pub fn pack(&mut self, numbers: Numbers) {
        for block in &mut self.blocks {
            for layer in [&mut block.qkv, &mut block.proj, &mut block.fc1, &mut block.fc2] {
                layer.pack(numbers);
            }
        }
    }
}
