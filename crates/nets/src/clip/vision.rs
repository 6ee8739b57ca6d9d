//! The tower that reads pictures: a vision transformer with a class token and a norm before its
//! blocks.

use super::{Config, project};
use crate::layers::{self, Frozen, LayerNorm, Numbers, Transformer};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Pictures to features.
#[derive(Module, Debug)]
pub struct Vision {
    /// (3 · patch · patch, D), channels first; it has no bias.
    pub patch_embed: Param<Tensor<2>>,
    /// (D)
    pub cls_token: Param<Tensor<1>>,
    /// (P + 1, D)
    pub pos_embed: Param<Tensor<2>>,
    /// Before the blocks.
    pub norm_pre: LayerNorm,
    /// The blocks.
    pub transformer: Transformer,
    /// After the blocks.
    pub norm_post: LayerNorm,
    /// (D, E)
    pub proj: Param<Tensor<2>>,
    #[module(skip)]
    patch: usize,
    #[module(skip)]
    frozen: Frozen,
}

impl Vision {
    /// Weights drawn at random.
    pub fn new(c: &Config, device: &Device) -> Self {
        let t = c.vision;
        let pixels = 3 * c.patch * c.patch;
        let std = (t.width as f64).powf(-0.5);
        Self {
            patch_embed: layers::drawn([pixels, t.width], (1.0 / pixels as f64).sqrt(), device),
            cls_token: layers::drawn([t.width], std, device),
            pos_embed: layers::drawn([c.tokens(), t.width], std, device),
            norm_pre: LayerNorm::new(t.width, c.eps, device),
            transformer: Transformer::new((t.width, t.layers, t.heads, t.mlp), false, c.activation, c.eps, device),
            norm_post: LayerNorm::new(t.width, c.eps, device),
            proj: layers::drawn([t.width, c.embed], std, device),
            patch: c.patch,
            frozen: Frozen::default(),
        }
    }

    /// Packs the weights of all blocks and of the patches, which never change again.
    pub fn pack(&mut self, numbers: Numbers) {
        self.frozen.pack([&mut self.patch_embed], numbers.of_pixels());
        self.transformer.pack(numbers);
    }

    /// pixels (N, 3, S, S) → features (N, E), of the length that the network gave them
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<2> {
        let x = self.norm_pre.forward(self.embed(pixels));
        let class = self.transformer.forward_at(x.clone(), &vec![0; x.dims()[0]]); // (N, D)
        project(self.norm_post.forward(class), self.proj.val())
    }

    /// pixels (N, 3, S, S) → class token and patches with their places (N, P + 1, D), before the norm
    pub fn embed(&self, pixels: Tensor<4>) -> Tensor<3> {
        let n = pixels.dims()[0];
        let patches = layers::patches(pixels, self.patch); // (N, P, 3·p·p)
        let d = self.cls_token.dims()[0];
        let zeros = Tensor::zeros([d], &patches.device());
        let x = self.frozen.apply(patches, (&self.patch_embed, zeros), None, None); // (N, P, D)
        let class = self.cls_token.val().reshape([1, 1, d]).expand([n, 1, d]);
        Tensor::cat(vec![class, x], 1) + self.pos_embed.val().unsqueeze::<3>()
    }
}
