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
    /// Single precision: nothing is packed, nothing changes.
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

    fn packed(self, weights: Mat<'_>) -> Option<Packed> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(Packed::new(weights, Precision::Bf16)),
            Self::Int8 => Some(Packed::int8(weights)),
        }
    }
}

/// The packed weights of a layer; empty until the layer is frozen.
#[derive(Clone, Debug, Default)]
pub struct Frozen(Option<Arc<Packed>>);

impl Frozen {
    /// Packs weights (in, out) and lets go of them as they were. Only on the CPU, without gradients;
    /// elsewhere, and in f32, nothing happens.
    pub fn pack(&mut self, weights: &mut Param<Tensor<2>>, numbers: Numbers) {
        let device = weights.val().device();
        if self.0.is_some() || !fused::runs_plainly_on(&device) {
            return;
        }
        let [k, n] = weights.dims();
        let values = crate::weights::floats(weights.val());
        if let Some(packed) = numbers.packed(Mat::dense(&values, k, n)) {
            self.0 = Some(Arc::new(packed));
            *weights = Param::from_tensor(Tensor::zeros([1, 1], &device));
        }
    }

    /// What the attention behind this layer multiplies: whoever rounded the weights does not mind.
    pub fn rounds(&self) -> Precision {
        if self.0.is_some() { Precision::Bf16 } else { Precision::F32 }
    }

    /// `then(x · w + b) + onto`, one pass where the layer is frozen: x (…, in), b (out), onto (…, out).
    pub fn apply<const D: usize>(
        &self,
        x: Tensor<D>,
        (w, b): (&Param<Tensor<2>>, Tensor<1>),
        then: Option<Activation>,
        onto: Option<Tensor<D>>,
    ) -> Tensor<D> {
        let Some(weights) = &self.0 else {
            let y = linear(x, w.val(), b);
            let y = if let Some(kind) = then { activate(y, kind) } else { y };
            return if let Some(rest) = onto { rest + y } else { y };
        };
        let op = Op::Frozen { weights: weights.clone(), then, onto: onto.is_some() };
        match onto {
            Some(rest) => fused::apply(x, rest, b, op),
            None => {
                let device = x.device();
                fused::apply(x, nothing(&device), b, op)
            }
        }
    }
}
