//! One door between burn's tensors and [`kernels`]: an operation of three inputs
//! with a gradient of our own.
//!
//! Every fused layer is a function of at most three tensors (input, weight, bias; or query, and key
//! and value side by side), so one extension operation serves them all.
//! On the CPU device it runs the kernels; on any other device the layers use burn's own operations.

use super::{Activation, Sees};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, DispatchDevice, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;
use kernels::{AttentionShape, Epilogue, Mat, Packed, Precision};
use std::sync::Arc;

/// What the three inputs mean.
#[derive(Clone, Debug)]
pub enum Op {
    /// x (…, K), w (K, N), b (N) → (…, N).
    Linear {
        /// What is multiplied, forward and backward.
        precision: Precision,
    },
    /// x (…, K), what is added to the output (…, N), b (N) → (…, N). It has no gradient.
    Frozen {
        /// (K, N)
        weights: Arc<Packed>,
        /// After the bias.
        then: Option<Activation>,
        /// Whether the second input is there.
        onto: bool,
    },
    /// x (…, D), gamma (D), beta (D) → (…, D).
    LayerNorm {
        /// Added to the variance.
        eps: f32,
    },
    /// x → its activation; the other two inputs are not read.
    Activation(Activation),
    /// qkv (B, T, 3D) → (B, T, D); the other two inputs are not read.
    SelfAttention {
        /// Heads.
        heads: usize,
        /// Which keys a query sees.
        sees: Sees,
        /// What is multiplied, forward; gradients are f32.
        precision: Precision,
    },
    /// q (B, Q, D), kv (B, K, 2D) → (B, Q, D); the third input is not read.
    Attention {
        /// Heads.
        heads: usize,
        /// Which keys a query sees.
        sees: Sees,
        /// What is multiplied, forward; gradients are f32.
        precision: Precision,
    },
}

/// Backends that know the fused operation.
#[backend_extension(Flex, Autodiff)]
pub trait Fused: Backend {
    /// The operation itself.
    fn fused(a: FloatTensor<Self>, b: FloatTensor<Self>, c: FloatTensor<Self>, op: Op) -> FloatTensor<Self>;

    /// The gradients of its three inputs.
    fn fused_grad(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        op: Op,
        wanted: [bool; 3],
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Whether tensors on this device take the fused path.
pub fn runs_on(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Whether tensors on this device take the fused path, and nobody will ask for gradients.
pub fn runs_plainly_on(device: &Device) -> bool {
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// The fused operation on burn's tensors; the output has the rank of the first input.
pub fn apply<const A: usize, const B: usize, const C: usize>(
    a: Tensor<A>,
    b: Tensor<B>,
    c: Tensor<C>,
    op: Op,
) -> Tensor<A> {
    Tensor::from_dispatch(<Dispatch as Fused>::fused(a.into_dispatch(), b.into_dispatch(), c.into_dispatch(), op))
}

fn read(t: &FlexTensor) -> &[f32] {
    t.storage::<f32>()
}

fn dims(t: &FlexTensor) -> Vec<usize> {
    t.shape().iter().copied().collect()
}

/// Makes the last axis `n` long, and says how many rows there are: of rows of nothing as many as of others.
fn rows_of(shape: &mut [usize], n: usize) -> usize {
    let (last, rows) = shape.split_last_mut().expect("a linear layer's input has an axis");
    *last = n;
    rows.iter().product()
}

/// A tensor of this shape, filled by `fill`, which sees zeros.
fn filled(shape: &[usize], fill: impl FnOnce(&mut [f32])) -> FlexTensor {
    // Not `FlexTensor::zeros`: it allocates bytes, and copies them to where floats may lie.
    let mut t = FlexTensor::filled_typed::<f32>(Shape::from(shape.to_vec()), DType::F32, 0.0);
    fill(t.storage_mut::<f32>());
    t
}

/// A tensor of this shape, whose numbers `write` writes: zeros would be written over at once, and one thread
/// would write them while the others wait.
///
/// # Safety
/// `write` leaves no number unwritten, and reads none that it has not written.
unsafe fn written(shape: &[usize], write: impl FnOnce(&mut [f32])) -> FlexTensor {
    let n = shape.iter().product();
    let mut values = Vec::<f32>::with_capacity(n);
    let room = values.spare_capacity_mut();
    // SAFETY: room for `n` numbers was made, and the caller says that all are written before they are read.
    unsafe {
        write(std::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<f32>(), n));
        values.set_len(n);
    }
    FlexTensor::from_data(TensorData::new(values, Shape::from(shape.to_vec())))
}

fn attention_shape(q: &FlexTensor, kv: &FlexTensor, heads: usize) -> AttentionShape {
    let (q, k) = (dims(q), dims(kv));
    AttentionShape { batch: q[0], queries: q[1], keys: k[1], width: q[2], heads }
}

fn self_shape(qkv: &FlexTensor, heads: usize) -> AttentionShape {
    let d = dims(qkv);
    AttentionShape { batch: d[0], queries: d[1], keys: d[1], width: d[2] / 3, heads }
}

impl Fused for Flex {
    fn fused(a: FlexTensor, b: FlexTensor, c: FlexTensor, op: Op) -> FlexTensor {
        let (a, b, c) = (a.to_contiguous(), b.to_contiguous(), c.to_contiguous());
        let mut shape = dims(&a);
        match op {
            Op::Linear { precision } => {
                let (k, n) = (dims(&b)[0], dims(&b)[1]);
                let m = rows_of(&mut shape, n);
                // SAFETY: a product writes all of its output, which is all of `y`.
                unsafe { written(&shape, |y| kernels::linear(read(&a), read(&b), read(&c), y, (m, k, n), precision)) }
            }
            Op::Frozen { weights, then, onto } => {
                let (k, n) = weights.size();
                let m = rows_of(&mut shape, n);
                let epilogue = Epilogue {
                    activation: then.map(Into::into),
                    residual: onto.then(|| read(&b)),
                    ..Epilogue::bias(read(&c))
                };
                // SAFETY: as above.
                unsafe {
                    written(&shape, |y| {
                        kernels::product_packed(y, (0, n), Mat::dense(read(&a), m, k), &weights, &epilogue);
                    })
                }
            }
            Op::LayerNorm { eps } => filled(&shape, |y| kernels::layer_norm(read(&a), read(&b), read(&c), eps, y)),
            Op::Activation(kind) => filled(&shape, |y| kernels::activate(kind.into(), read(&a), y)),
            Op::SelfAttention { heads, sees, precision } => {
                let s = self_shape(&a, heads);
                let shape = [s.batch, s.queries, s.width];
                filled(&shape, |y| kernels::self_attention(s, sees.of(), precision, read(&a), y))
            }
            Op::Attention { heads, sees, precision } => {
                let s = attention_shape(&a, &b, heads);
                filled(&shape, |y| kernels::attention(s, sees.of(), precision, read(&a), read(&b), y))
            }
        }
    }

    fn fused_grad(
        a: FlexTensor,
        b: FlexTensor,
        c: FlexTensor,
        grad: FlexTensor,
        op: Op,
        wanted: [bool; 3],
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (a, b, c, grad) = (a.to_contiguous(), b.to_contiguous(), c.to_contiguous(), grad.to_contiguous());
        let zeros = |t: &FlexTensor, wanted: bool| {
            if wanted { filled(&dims(t), |_| ()) } else { FlexTensor::zeros(Shape::from(vec![0]), DType::F32) }
        };
        match op {
            Op::Linear { precision } => {
                let (k, n) = (dims(&b)[0], dims(&b)[1]);
                let m = rows_of(&mut dims(&a), n);
                let weights = wanted[1] || wanted[2];
                let (mut da, mut db, mut dc) = (zeros(&a, wanted[0]), zeros(&b, weights), zeros(&c, weights));
                let out = (da.storage_mut::<f32>(), db.storage_mut::<f32>(), dc.storage_mut::<f32>());
                kernels::linear_grad(read(&a), read(&b), read(&grad), out, (m, k, n), precision);
                (da, db, dc)
            }
            Op::Frozen { .. } => unreachable!("a frozen layer is on no device that asks for gradients"),
            Op::LayerNorm { eps } => {
                let (mut da, mut db, mut dc) = (zeros(&a, true), zeros(&b, true), zeros(&c, true));
                kernels::layer_norm_grad(
                    read(&a),
                    read(&b),
                    eps,
                    read(&grad),
                    da.storage_mut::<f32>(),
                    db.storage_mut::<f32>(),
                    dc.storage_mut::<f32>(),
                );
                (da, db, dc)
            }
            Op::Activation(kind) => {
                let mut da = zeros(&a, true);
                kernels::activate_grad(kind.into(), read(&a), read(&grad), da.storage_mut::<f32>());
                (da, zeros(&b, true), zeros(&c, true))
            }
            Op::SelfAttention { heads, sees, .. } => {
                let (s, mut da) = (self_shape(&a, heads), zeros(&a, true));
                kernels::self_attention_grad(s, sees.of(), read(&a), read(&grad), da.storage_mut::<f32>());
                (da, zeros(&b, true), zeros(&c, true))
            }
            Op::Attention { heads, sees, .. } => {
                let s = attention_shape(&a, &b, heads);
                let (mut da, mut db) = (zeros(&a, true), zeros(&b, true));
                let out = (da.storage_mut::<f32>(), db.storage_mut::<f32>());
                kernels::attention_grad(s, sees.of(), (read(&a), read(&b)), read(&grad), out);
                (da, db, zeros(&c, true))
            }
        }
    }
}

#[derive(Debug)]
struct FusedBackward;

impl<B: Fused> Backward<B, 3> for FusedBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, Op);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let (a, b, c, op) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let (da, db, dc) = B::fused_grad(a, b, c, grad, op, wanted);
        for (node, d) in ops.parents.into_iter().zip([da, db, dc]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, d);
            }
        }
    }
}

impl<B: Fused, S: CheckpointStrategy> Fused for Autodiff<B, S> {
    fn fused(a: FloatTensor<Self>, b: FloatTensor<Self>, c: FloatTensor<Self>, op: Op) -> FloatTensor<Self> {
        let prep = FusedBackward.prepare::<S>([a.node(), b.node(), c.node()]).compute_bound();
        let (pa, pb, pc) = (a.into_primitive(), b.into_primitive(), c.into_primitive());
        match prep.stateful() {
            OpsKind::Tracked(prep) => {
                let out = B::fused(pa.clone(), pb.clone(), pc.clone(), op.clone());
                prep.finish((pa, pb, pc, op), out)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::fused(pa, pb, pc, op)),
        }
    }

    fn fused_grad(
        _a: FloatTensor<Self>,
        _b: FloatTensor<Self>,
        _c: FloatTensor<Self>,
        _grad: FloatTensor<Self>,
        _op: Op,
        _wanted: [bool; 3],
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("fused operations have first-order gradients only; the backward pass runs on the inner backend")
    }
}
