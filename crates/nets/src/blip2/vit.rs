//! The vision transformer: EVA's shape, pictures in, all tokens of the last block out.
//!
//! Pre-norm blocks; one fused qkv product whose key bias is zero; learned absolute positions; no
//! final norm, because BLIP-2 puts its own `ln_vision` behind it.
//! Reference: LAVIS `eva_vit.py`; the CLS token comes first.

use super::Config;
use crate::layers::{self, LayerNorm, Linear};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Frames to tokens.
#[derive(Module, Debug)]
pub struct Vit {
    /// A patch's pixels to a token; (3 · patch · patch, D), channels first.
    pub patch_embed: Linear,
    /// (1, 1, D)
    pub cls_token: Param<Tensor<3>>,
    /// (1, P + 1, D)
    pub pos_embed: Param<Tensor<3>>,
    /// In order.
    pub blocks: Vec<Block>,
    #[module(skip)]
    patch: usize,
}

/// One transformer block.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub norm1: LayerNorm,
    /// (D, 3D): query, key, value side by side.
    pub qkv: Param<Tensor<2>>,
    /// (D)
    pub q_bias: Param<Tensor<1>>,
    /// (D)
    pub v_bias: Param<Tensor<1>>,
    /// After attention.
    pub proj: Linear,
    /// Before the MLP.
    pub norm2: LayerNorm,
    /// Widens.
    pub fc1: Linear,
    /// Narrows.
    pub fc2: Linear,
    #[module(skip)]
    heads: usize,
}

impl Vit {
    /// Weights drawn at random.
    pub fn new(c: &Config, device: &Device) -> Self {
        let d = c.vit_width;
        let pixels = 3 * c.patch * c.patch;
        Self {
            patch_embed: Linear::new(pixels, d, (1.0 / pixels as f64).sqrt(), device),
            cls_token: layers::drawn([1, 1, d], 0.02, device),
            pos_embed: layers::drawn([1, c.tokens(), d], 0.02, device),
            blocks: (0..c.vit_depth).map(|_| Block::new(c, device)).collect(),
            patch: c.patch,
        }
    }

    /// pixels (N, 3, S, S) → tokens (N, P + 1, D)
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let [n, _, side, _] = pixels.dims();
        let (p, g) = (self.patch, side / self.patch);
        // Cutting patches by reshape and one product is the convolution with stride = kernel.
        let patches = pixels.reshape([n, 3, g, p, g, p]).permute([0, 2, 4, 1, 3, 5]); // (N, g, g, 3, p, p)
        let x = self.patch_embed.forward(patches.reshape([n, g * g, 3 * p * p])); // (N, P, D)
        let d = x.dims()[2];
        let x = Tensor::cat(vec![self.cls_token.val().expand([n, 1, d]), x], 1); // (N, P + 1, D)
        let x = x + self.pos_embed.val();
        self.blocks.iter().fold(x, |x, block| block.forward(x))
    }
}

impl Block {
    fn new(c: &Config, device: &Device) -> Self {
        let d = c.vit_width;
        let std = 0.02f64.max((2.0 / (5.0 * d as f64)).sqrt() * 0.5);
        // Deep residual sums stay calm when the last product of a branch starts smaller.
        let last = std / (2.0 * c.vit_depth as f64).sqrt();
        let zeros = || Param::from_tensor(Tensor::zeros([d], device));
        Self {
            norm1: LayerNorm::new(d, 1e-6, device),
            qkv: layers::drawn([d, 3 * d], std, device),
            q_bias: zeros(),
            v_bias: zeros(),
            proj: Linear::new(d, d, last, device),
            norm2: LayerNorm::new(d, 1e-6, device),
            fc1: Linear::new(d, c.vit_mlp, std, device),
            fc2: Linear::new(c.vit_mlp, d, last, device),
            heads: c.vit_heads,
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let q_bias = self.q_bias.val();
        let bias = Tensor::cat(vec![q_bias.clone(), q_bias.zeros_like(), self.v_bias.val()], 0);
        let qkv = layers::linear(self.norm1.forward(x.clone()), self.qkv.val(), bias); // (N, T, 3D)
        let x = x + self.proj.forward(layers::self_attention(qkv, self.heads));
        let hidden = layers::gelu(self.fc1.forward(self.norm2.forward(x.clone())));
        x + self.fc2.forward(hidden)
    }
}
