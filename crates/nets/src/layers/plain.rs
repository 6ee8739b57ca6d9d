//! The same layers in burn's own operations: what runs where the fused kernels do not, and what
//! the fused kernels are tested against.

use super::Activation;
use burn::tensor::{Tensor, activation, module as ops};
use kernels::Sees;

pub fn linear<const D: usize>(x: Tensor<D>, w: Tensor<2>, b: Tensor<1>) -> Tensor<D> {
    ops::linear(x, w, Some(b))
}

pub fn layer_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>, eps: f64) -> Tensor<D> {
    let mean = x.clone().mean_dim(D - 1);
    let centred = x - mean;
    let var = (centred.clone() * centred.clone()).mean_dim(D - 1);
    let hat = centred / (var + eps).sqrt();
    hat * gamma.unsqueeze::<D>() + beta.unsqueeze::<D>()
}

pub fn activate<const D: usize>(x: Tensor<D>, kind: Activation) -> Tensor<D> {
    match kind {
        Activation::Gelu => activation::gelu(x),
        Activation::QuickGelu => x.clone() * activation::sigmoid(x * 1.702),
        Activation::GeluTanh => activation::gelu_approximate(x),
    }
}

pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize, sees: Sees<'_>) -> Tensor<3> {
    let [b, nq, d] = q.dims();
    let nk = k.dims()[1];
    let values = v.reshape([b, nk, heads, d / heads]).swap_dims(1, 2);
    shares(q, k, heads, sees).matmul(values).swap_dims(1, 2).reshape([b, nq, d])
}

/// How much each query looks at each key, head by head: (B, H, Q, K).
pub fn shares(q: Tensor<3>, k: Tensor<3>, heads: usize, sees: Sees<'_>) -> Tensor<4> {
    let device = q.device();
    let [b, nq, d] = q.dims();
    let nk = k.dims()[1];
    let dim = d / heads;
    let split = |t: Tensor<3>, n: usize| t.reshape([b, n, heads, dim]).swap_dims(1, 2); // (B, H, T, dim)
    let mut scores = split(q, nq).matmul(split(k, nk).swap_dims(2, 3)) * (dim as f64).powf(-0.5); // (B, H, Q, K)
    let hide = |seen: Vec<bool>| seen.into_iter().map(|s| if s { 0.0f32 } else { -1e9 }).collect::<Vec<_>>();
    let tensor = |hidden: Vec<f32>| Tensor::<1>::from_data(hidden.as_slice(), &device);
    match sees {
        Sees::All => {}
        Sees::First(valid) => {
            let hidden = hide(valid.iter().flat_map(|n| (0..nk).map(move |i| i < *n)).collect());
            scores = scores + tensor(hidden).reshape([b, 1, 1, nk]);
        }
        Sees::Causal => {
            let hidden = hide((0..nq).flat_map(|i| (0..nk).map(move |j| j <= i)).collect());
            scores = scores + tensor(hidden).reshape([1, 1, nq, nk]);
        }
    }
    activation::softmax(scores, 3)
}
