//! The vision transformer: EVA's shape or CLIP's, pictures in, all tokens of the last block out.
//!
//! Pre-norm blocks; one fused qkv product; learned absolute positions, the class token's first; no
//! final norm, because BLIP-2 puts its own `ln_vision` behind it.
//! There is no bias on the keys. EVA has none; CLIP's is dropped when it is read, because it adds the
//! same to a query's scores of all keys, which the softmax over the keys takes away again.
//! Reference: LAVIS `eva_vit.py` and `clip_vit.py`.

use super::{Config, Family};
use crate::layers::{self, Activation, Frozen, LayerNorm, Linear, Numbers, Sees};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Frames to tokens.
#[derive(Module, Debug)]
pub struct Vit {
    /// A patch's pixels to a token.
    pub patch_embed: Patches,
    /// (1, 1, D)
    pub cls_token: Param<Tensor<3>>,
    /// (1, P + 1, D)
    pub pos_embed: Param<Tensor<3>>,
    /// Before the first block; CLIP's only.
    pub norm_pre: Option<LayerNorm>,
    /// In order.
    pub blocks: Vec<Block>,
}

/// A patch's pixels to a token.
#[derive(Module, Debug)]
pub struct Patches {
    /// (3 · patch · patch, D), channels first.
    pub weight: Param<Tensor<2>>,
    /// (D); EVA's only.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    patch: usize,
    #[module(skip)]
    width: usize,
    #[module(skip)]
    frozen: Frozen,
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
    #[module(skip)]
    family: Family,
    #[module(skip)]
    frozen: Frozen,
}

impl Vit {
    /// Weights drawn at random.
    pub fn new(c: &Config, device: &Device) -> Self {
        let d = c.vit_width;
        let pixels = 3 * c.patch * c.patch;
        let eva = c.vit_family == Family::Eva;
        Self {
            patch_embed: Patches {
                weight: layers::drawn([pixels, d], (1.0 / pixels as f64).sqrt(), device),
                bias: eva.then(|| Param::from_tensor(Tensor::zeros([d], device))),
                patch: c.patch,
                width: d,
                frozen: Frozen::default(),
            },
            cls_token: layers::drawn([1, 1, d], 0.02, device),
            pos_embed: layers::drawn([1, c.tokens(), d], 0.02, device),
            norm_pre: (!eva).then(|| LayerNorm::new(d, eps(c.vit_family), device)),
            blocks: (0..c.vit_depth).map(|_| Block::new(c, device)).collect(),
        }
    }

    /// pixels (N, 3, S, S) → tokens (N, P + 1, D)
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        self.blocks.iter().fold(self.embed(pixels), |x, block| block.forward(x))
    }

    /// Packs the weights of all blocks and of the patches, which never change again.
    pub fn pack(&mut self, numbers: Numbers) {
        self.patch_embed.frozen.pack([&mut self.patch_embed.weight], numbers.of_pixels());
        for block in &mut self.blocks {
            block.frozen.pack([&mut block.qkv], numbers);
            for layer in [&mut block.proj, &mut block.fc1, &mut block.fc2] {
                layer.pack(numbers);
            }
        }
    }

    /// What the first block reads: pixels (N, 3, S, S) → tokens with their positions (N, P + 1, D)
    pub fn embed(&self, pixels: Tensor<4>) -> Tensor<3> {
        let x = self.patch_embed.forward(pixels); // (N, P, D)
        let [n, _, d] = x.dims();
        let x = Tensor::cat(vec![self.cls_token.val().expand([n, 1, d]), x], 1); // (N, P + 1, D)
        let x = x + self.pos_embed.val();
        match &self.norm_pre {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }
}

impl Patches {
    /// pixels (N, 3, S, S) → tokens (N, P, D)
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let bias = match &self.bias {
            Some(bias) => bias.val(),
            None => Tensor::zeros([self.width], &pixels.device()),
        };
        self.frozen.apply(layers::patches(pixels, self.patch), (&self.weight, bias), None, None)
    }
}

/// Added to the variance in the transformer's norms.
fn eps(family: Family) -> f64 {
    match family {
        Family::Eva => 1e-6,
        Family::Clip => 1e-5,
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
            norm1: LayerNorm::new(d, eps(c.vit_family), device),
            qkv: layers::drawn([d, 3 * d], std, device),
            q_bias: zeros(),
            v_bias: zeros(),
            proj: Linear::new(d, d, last, device),
            norm2: LayerNorm::new(d, eps(c.vit_family), device),
            fc1: Linear::new(d, c.vit_mlp, std, device),
            fc2: Linear::new(c.vit_mlp, d, last, device),
            heads: c.vit_heads,
            family: c.vit_family,
            frozen: Frozen::default(),
        }
    }

    /// x (N, P + 1, D) → the same shape
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let q_bias = self.q_bias.val();
        let bias = Tensor::cat(vec![q_bias.clone(), q_bias.zeros_like(), self.v_bias.val()], 0);
        let qkv = self.frozen.apply(self.norm1.forward(x.clone()), (&self.qkv, bias), None, None); // (N, T, 3D)
        let mixed = layers::self_attention(qkv, self.heads, Sees::All, self.frozen.rounds());
        let x = self.proj.onto(mixed, x);
        let activation = match self.family {
            Family::Eva => Activation::Gelu,
            Family::Clip => Activation::QuickGelu,
        };
        let hidden = self.fc1.then(self.norm2.forward(x.clone()), activation);
        self.fc2.onto(hidden, x)
    }
}
