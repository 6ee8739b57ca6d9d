//! Products whose right factor never changes again: packed once, as numbers that somebody chose.
//!
//! A network that only runs need not keep its weights as they are trained. Frozen, a layer holds them
//! in the order, and as the numbers, in which the CPU multiplies them, and not a second time: so a
//! frozen network is neither trained nor saved. Sums, and all that lies between the products, stay f32.

use super::fused::{self, Op};
use super::{Activation, activate, linear, nothing};
use burn::module::Param;
use burn::tensor::Tensor;
use kernels::{Mat, Packed, Precision};
use std::sync::Arc;

/// What a frozen network multiplies.
///
/// Its vectors are near enough to live in one space with those of single precision: a library holds
/// its embedding of a known picture against the one it was filled with, and refuses what is further off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbers {
    /// Single precision, in the order in which it is multiplied: sums may end in another bit. Large weights that
    /// are halves, as many published ones are, take half the memory; the result is the same.
    #[default]
    F32,
    /// Eight significant bits; half the memory.
    Bf16,
    /// Signed bytes with a scale for each column of the weights and each row of what comes; a quarter
    /// of the memory.
    Int8,
}

impl Numbers {
    /// All, with the names that people write.
    pub const NAMES: [(&'static str, Numbers); 3] = [("f32", Self::F32), ("bf16", Self::Bf16), ("int8", Self::Int8)];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(n, _)| *n == name).map(|(_, numbers)| *numbers)
    }

    /// What the product of the pixels takes: it is a small part of the work, and all else rests on it.
    pub fn of_pixels(self) -> Self {
        match self {
            Self::Int8 => Self::Bf16,
            numbers => numbers,
        }
    }

    /// A right factor as these numbers.
    pub fn packed(self, weights: Mat<'_>) -> Packed {
        match self {
            Self::F32 => Packed::new(weights, Precision::F32),
            Self::Bf16 => Packed::new(weights, Precision::Bf16),
            Self::Int8 => Packed::int8(weights),
        }
    }
}

/// The packed weights of a layer; empty until the layer is frozen.
#[derive(Clone, Debug, Default)]
pub struct Frozen(Option<Weights>);

/// Weights that are packed.
#[derive(Clone, Debug)]
pub struct Weights {
    packed: Arc<Packed>,
    numbers: Numbers,
}

impl Frozen {
    /// Packs weights, each (in, out), side by side, and lets go of them as they were. Only on the CPU, without
    /// gradients; elsewhere nothing happens.
    pub fn pack<const N: usize>(&mut self, weights: [&mut Param<Tensor<2>>; N], numbers: Numbers) {
        let Some(device) = weights.first().map(|w| w.lazy_device()) else {
            return;
        };
        if self.0.is_some() || !fused::runs_plainly_on(&device) {
            return;
        }
        let taken = |w: &mut Param<_>| std::mem::replace(w, Param::from_tensor(Tensor::zeros([1, 1], &device)));
        let mut parts: Vec<_> = weights.into_iter().map(|w| taken(w).into_value()).collect();
        // One alone is not copied.
        let whole = if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 1) }; // (in, Σ out)
        let [k, n] = whole.dims();
        let values = crate::weights::floats(whole);
        self.0 = Some(Weights { packed: Arc::new(numbers.packed(Mat::dense(&values, k, n))), numbers });
    }

    /// The weights, where they are packed.
    pub fn weights(&self) -> Option<&Weights> {
        self.0.as_ref()
    }

    /// What the attention behind this layer multiplies: whoever rounded the weights does not mind.
    pub fn rounds(&self) -> Precision {
        match self.0 {
            Some(Weights { numbers: Numbers::Bf16 | Numbers::Int8, .. }) => Precision::Bf16,
            _ => Precision::F32,
        }
    }

    /// `then(x · w + b) + onto`, one pass where the layer is frozen: x (…, in), b (out), onto (…, out).
    pub fn apply<const D: usize>(
        &self,
        x: Tensor<D>,
        (w, b): (&Param<Tensor<2>>, Tensor<1>),
        then: Option<Activation>,
        onto: Option<Tensor<D>>,
    ) -> Tensor<D> {
        if let Some(weights) = &self.0 {
            return weights.product(x, b, then, onto);
        }
        let y = linear(x, w.val(), b);
        let y = if let Some(kind) = then { activate(y, kind) } else { y };
        if let Some(rest) = onto { rest + y } else { y }
    }
}

impl Weights {
    /// `then(x · w + b) + onto`: x (…, in), b (out), onto (…, out).
    pub fn product<const D: usize>(
        &self,
        x: Tensor<D>,
        b: Tensor<1>,
        then: Option<Activation>,
        onto: Option<Tensor<D>>,
    ) -> Tensor<D> {
        let op = Op::Frozen { weights: self.packed.clone(), then, onto: onto.is_some() };
        match onto {
            Some(rest) => fused::apply(x, rest, b, op),
            None => {
                let device = x.device();
                fused::apply(x, nothing(&device), b, op)
            }
        }
    }
}
