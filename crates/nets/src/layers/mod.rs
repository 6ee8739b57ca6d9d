//! Linear, layer norm, GELU, attention: written once, used by every backbone.
//!
//! A model file says what a network *is*; how fast its parts run is decided here.
//! On the CPU each layer is one fused operation with a hand-written gradient
//! ([`fused`]); elsewhere it is burn's own.

mod beside;
mod frozen;
pub mod fused;
mod plain;
mod precision;
mod transformer;

pub use beside::Beside;
pub use frozen::{Frozen, Numbers};
pub use kernels::Precision;
pub use precision::{multiplying, with_precision};
pub use transformer::{Block, Transformer};

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Distribution, Shape, Tensor};
use fused::Op;
use std::sync::Arc;

/// `y = x · w + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// (in, out): burn's layout; PyTorch's is the transpose.
    pub weight: Param<Tensor<2>>,
    /// (out)
    pub bias: Param<Tensor<1>>,
    /// The weights again, where they never change; then `weight` is empty.
    #[module(skip)]
    pub frozen: Frozen,
}

impl Linear {
    /// Weights drawn from N(0, std), bias zero.
    pub fn new(inputs: usize, outputs: usize, std: f64, device: &Device) -> Self {
        Self {
            weight: drawn([inputs, outputs], std, device),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
            frozen: Frozen::default(),
        }
    }

    /// Packs the weights, which never change again.
    pub fn pack(&mut self, numbers: Numbers) {
        self.frozen.pack([&mut self.weight], numbers);
    }

    /// x (B, T, in) → (B, T, out)
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.apply(x, None, None)
    }

    /// The activation of what the layer makes: x (B, T, in) → (B, T, out)
    pub fn then<const D: usize>(&self, x: Tensor<D>, activation: Activation) -> Tensor<D> {
        self.apply(x, Some(activation), None)
    }

    /// What the layer makes, added to `rest`: x (B, T, in), rest (B, T, out) → (B, T, out)
    pub fn onto<const D: usize>(&self, x: Tensor<D>, rest: Tensor<D>) -> Tensor<D> {
        self.apply(x, None, Some(rest))
    }

    fn apply<const D: usize>(&self, x: Tensor<D>, then: Option<Activation>, onto: Option<Tensor<D>>) -> Tensor<D> {
        self.frozen.apply(x, (&self.weight, self.bias.val()), then, onto)
    }
}

/// x (…, in), w (in, out), b (out) → (…, out)
pub fn linear<const D: usize>(x: Tensor<D>, w: Tensor<2>, b: Tensor<1>) -> Tensor<D> {
    if fused::runs_on(&x.device()) {
        fused::apply(x, w, b, Op::Linear { precision: multiplying() })
    } else {
        plain::linear(x, w, b)
    }
}

/// Layer norm over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale (D)
    pub gamma: Param<Tensor<1>>,
    /// Shift (D)
    pub beta: Param<Tensor<1>>,
    /// Added to the variance: 1e-6 in EVA's ViT, 1e-5 in `ln_vision`, 1e-12 in BERT.
    #[module(skip)]
    pub eps: f64,
}

impl LayerNorm {
    /// The identity scale and shift.
    pub fn new(width: usize, eps: f64, device: &Device) -> Self {
        Self {
            gamma: Param::from_tensor(Tensor::ones([width], device)),
            beta: Param::from_tensor(Tensor::zeros([width], device)),
            eps,
        }
    }

    /// x (…, D) → (…, D)
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if fused::runs_on(&x.device()) {
            return fused::apply(x, self.gamma.val(), self.beta.val(), Op::LayerNorm { eps: self.eps as f32 });
        }
        plain::layer_norm(x, self.gamma.val(), self.beta.val(), self.eps)
    }
}

/// What stands between the two products of a feed-forward network. A model trained with one of them
/// and run with another is quietly a few points worse, so it is written with the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x · Φ(x)`, exact.
    Gelu,
    /// `x · σ(1.702 x)`: OpenAI's CLIP, and what was trained from it.
    QuickGelu,
    /// GELU by its tanh approximation: SigLIP.
    GeluTanh,
}

impl From<Activation> for kernels::Activation {
    fn from(kind: Activation) -> Self {
        match kind {
            Activation::Gelu => Self::Gelu,
            Activation::QuickGelu => Self::QuickGelu,
            Activation::GeluTanh => Self::GeluTanh,
        }
    }
}

/// The activation of each value.
pub fn activate<const D: usize>(x: Tensor<D>, kind: Activation) -> Tensor<D> {
    let device = x.device();
    if fused::runs_on(&device) {
        return fused::apply(x, nothing(&device), nothing(&device), Op::Activation(kind));
    }
    plain::activate(x, kind)
}

/// Exact GELU.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activate(x, Activation::Gelu)
}

/// Which keys a query sees.
#[derive(Clone, Debug)]
pub enum Sees {
    /// All.
    All,
    /// Of each item of the batch the first so many; the rest is padding.
    First(Arc<Vec<usize>>),
    /// None after its own place: what comes after a token does not change it.
    Causal,
}

impl Sees {
    fn of(&self) -> kernels::Sees<'_> {
        match self {
            Self::All => kernels::Sees::All,
            Self::First(valid) => kernels::Sees::First(valid),
            Self::Causal => kernels::Sees::Causal,
        }
    }
}

/// Multi-head attention without its projections: q (B, Q, D), key and value side by side in kv (B, K, 2D)
/// → (B, Q, D). What `precision` says counts on the CPU, and not for gradients.
pub fn attention(q: Tensor<3>, kv: Tensor<3>, heads: usize, sees: Sees, precision: Precision) -> Tensor<3> {
    let device = q.device();
    if fused::runs_on(&device) {
        return fused::apply(q, kv, nothing(&device), Op::Attention { heads, sees, precision });
    }
    let [k, v] = cut(kv);
    plain::attention(q, k, v, heads, sees.of())
}

/// [`attention`] of tokens among themselves: qkv (B, T, 3D), query, key and value side by side → (B, T, D).
pub fn self_attention(qkv: Tensor<3>, heads: usize, sees: Sees, precision: Precision) -> Tensor<3> {
    let device = qkv.device();
    if fused::runs_on(&device) {
        let op = Op::SelfAttention { heads, sees, precision };
        return fused::apply(qkv, nothing(&device), nothing(&device), op);
    }
    let [q, k, v] = cut(qkv);
    plain::attention(q, k, v, heads, sees.of())
}

/// What lies side by side, apart: (B, T, N·D) → N times (B, T, D).
fn cut<const N: usize>(x: Tensor<3>) -> [Tensor<3>; N] {
    let [b, t, d] = x.dims();
    std::array::from_fn(|i| x.clone().slice([0..b, 0..t, i * d / N..(i + 1) * d / N]))
}

/// What attention is made of: how much each query looks at each key, the mean over heads.
/// q (B, Q, D), k (B, K, D) → (B, Q, K), rows sum to 1; of item `b` only the first `valid[b]` keys are seen.
/// For looking at a network, not for running one: nothing here is fused.
pub fn attention_shares(q: Tensor<3>, k: Tensor<3>, heads: usize, valid: &[usize]) -> Tensor<3> {
    let ([b, n, _], t) = (q.dims(), k.dims()[1]);
    plain::shares(q, k, heads, kernels::Sees::First(valid)).mean_dim(1).reshape([b, n, t])
}

/// Pictures cut into patches, which is all that a convolution with stride = kernel does before its
/// product: pixels (N, 3, S, S) → (N, P, 3·p·p), channels first.
pub fn patches(pixels: Tensor<4>, patch: usize) -> Tensor<3> {
    let [n, c, side, _] = pixels.dims();
    let (p, g) = (patch, side / patch);
    let cut = pixels.reshape([n, c, g, p, g, p]).permute([0, 2, 4, 1, 3, 5]); // (N, g, g, 3, p, p)
    cut.reshape([n, g * g, c * p * p])
}

/// A parameter drawn from N(0, std) when it is first read: one that is filled from a file is never
/// drawn, so that opening a model costs no more than reading it.
pub fn drawn<const D: usize>(shape: [usize; D], std: f64, device: &Device) -> Param<Tensor<D>> {
    let draw = move |device: &Device, trains: bool| {
        let value = Tensor::random(shape, Distribution::Normal(0.0, std), device);
        if trains { value.require_grad() } else { value }
    };
    Param::uninitialized(ParamId::new(), draw, device.clone(), true, Shape::from(shape))
}

/// Stands where a fused operation has fewer than three inputs.
fn nothing(device: &Device) -> Tensor<1> {
    Tensor::zeros([1], device)
}

/// Scales each last-axis vector to length one.
pub fn normalise<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let length = (x.clone() * x.clone()).sum_dim(D - 1).sqrt().clamp_min(1e-12);
    x / length
}

#[cfg(test)]
mod tests;
