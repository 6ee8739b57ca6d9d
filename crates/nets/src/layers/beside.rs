//! Layers that read the same thing, as one product.
//!
//! Query, key and value of an attention read the same tokens, and so do key and value of one that looks
//! elsewhere. One product of all their weights reads those tokens once, and leaves its parts side by side, where
//! [`attention`](super::attention) wants them. Checkpoints know the layers one by one; so does this network.

use super::{Frozen, Linear, Numbers, Precision, linear};
use burn::tensor::Tensor;

/// The packed weights of layers that read the same thing; empty until they are frozen.
#[derive(Clone, Debug, Default)]
pub struct Beside(Frozen);

impl Beside {
    /// Packs the weights of these layers together, which never change again.
    pub fn pack<const N: usize>(&mut self, layers: [&mut Linear; N], numbers: Numbers) {
        self.0.pack(layers.map(|l| &mut l.weight), numbers);
    }

    /// What the attention behind these layers multiplies.
    pub fn rounds(&self) -> Precision {
        self.0.rounds()
    }

    /// What each layer makes, side by side in their order: x (B, T, in) → (B, T, Σ out).
    pub fn forward<const N: usize>(&self, layers: [&Linear; N], x: Tensor<3>) -> Tensor<3> {
        let bias = || Tensor::cat(layers.map(|l| l.bias.val()).to_vec(), 0);
        let [b, t, k] = x.dims();
        if let Some(weights) = self.0.weights() {
            return weights.product(x, bias(), None, None);
        }
        // One of the two must be put side by side: the weights, or what they make.
        if b * t < k {
            return Tensor::cat(layers.map(|l| l.forward(x.clone())).to_vec(), 2);
        }
        linear(x, Tensor::cat(layers.map(|l| l.weight.val()).to_vec(), 1), bias())
    }
}
