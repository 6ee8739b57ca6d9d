//! The same layers in burn's own operations: what runs where the fused kernels do not, and what
//! the fused kernels are tested against.

use burn::tensor::{Tensor, activation, module as ops};

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

pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::gelu(x)
}

pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize, valid: Option<&[usize]>) -> Tensor<3> {
    let device = q.device();
    let [b, nq, d] = q.dims();
    let nk = k.dims()[1];
    let dim = d / heads;
    let split = |t: Tensor<3>, n: usize| t.reshape([b, n, heads, dim]).swap_dims(1, 2); // (B, H, T, dim)
    let mut scores = split(q, nq).matmul(split(k, nk).swap_dims(2, 3)) * (dim as f64).powf(-0.5); // (B, H, Q, K)
    if let Some(valid) = valid {
        let hidden: Vec<f32> =
            valid.iter().flat_map(|n| (0..nk).map(move |i| if i < *n { 0.0 } else { -1e9 })).collect();
        let hidden = Tensor::<1>::from_data(hidden.as_slice(), &device).reshape([b, 1, 1, nk]);
        scores = scores + hidden;
    }
    activation::softmax(scores, 3).matmul(split(v, nk)).swap_dims(1, 2).reshape([b, nq, d])
}
