//! Every fused layer against burn's own operations, values and gradients, over odd shapes.

use super::*;

fn device() -> Device {
    Device::flex().autodiff()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device()).require_grad()
}

fn close<const D: usize>(what: &str, a: Tensor<D>, b: Tensor<D>) {
    let scale = b.clone().abs().max().into_scalar::<f32>().max(1.0);
    let worst = (a - b).abs().max().into_scalar::<f32>();
    assert!(worst <= 2e-5 * scale, "{what}: off by {worst} of {scale}");
}

/// Runs both versions on the same inputs and compares outputs and all gradients.
fn twins<const A: usize, const B: usize, const C: usize>(
    what: &str,
    inputs: (Tensor<A>, Tensor<B>, Tensor<C>),
    fused: impl Fn(Tensor<A>, Tensor<B>, Tensor<C>) -> Tensor<A>,
    plain: impl Fn(Tensor<A>, Tensor<B>, Tensor<C>) -> Tensor<A>,
) {
    let (a, b, c) = inputs;
    let (x, y) = (fused(a.clone(), b.clone(), c.clone()), plain(a.clone(), b.clone(), c.clone()));
    // A weighting that makes every output count differently.
    let w = Tensor::<A>::random(x.dims(), Distribution::Normal(0.0, 1.0), &device());
    let (gx, gy) = ((x.clone() * w.clone()).sum().backward(), (y.clone() * w).sum().backward());
    close(what, x.inner(), y.inner());
    close(what, a.grad(&gx).expect("gradient of a"), a.grad(&gy).expect("gradient of a"));
    if let Some(want) = b.grad(&gy) {
        close(what, b.grad(&gx).expect("gradient of b"), want);
        close(what, c.grad(&gx).expect("gradient of c"), c.grad(&gy).expect("gradient of c"));
    }
}

#[test]
fn linear_is_burns() {
    for (b, t, k, n) in [(1, 1, 1, 1), (2, 3, 5, 7), (3, 17, 192, 65), (2, 65, 64, 256)] {
        twins("linear", (random([b, t, k]), random([k, n]), random([n])), linear, plain::linear);
    }
}

#[test]
fn linear_in_bf16_is_near_burns_and_ends_with_the_wish() {
    let (x, w, b) = (random([2, 65, 64]), random([64, 256]), random([256]));
    let outer = Tensor::<3>::random([2, 65, 256], Distribution::Normal(0.0, 1.0), &device());
    let run = |precision| {
        let y = with_precision(precision, || linear(x.clone(), w.clone(), b.clone()));
        // The gradient is taken after the wish has ended, and is still computed as it was.
        let grads = (y.clone() * outer.clone()).sum().backward();
        (y.inner(), x.grad(&grads).expect("of x"), w.grad(&grads).expect("of w"), b.grad(&grads).expect("of b"))
    };
    let (near, exact) = (run(Precision::Bf16), run(Precision::F32));
    assert_eq!(multiplying(), Precision::F32);
    let far = |a: Vec<f32>, b: Vec<f32>| {
        let off: f32 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
        (off / b.iter().map(|b| b * b).sum::<f32>()).sqrt()
    };
    let floats = crate::weights::floats::<3>;
    for (what, a, b) in [
        ("values", floats(near.0), floats(exact.0)),
        ("gradient of x", floats(near.1), floats(exact.1)),
        ("gradient of w", floats(near.2.unsqueeze()), floats(exact.2.unsqueeze())),
    ] {
        let far = far(a, b);
        assert!(far > 1e-5 && far < 4e-3, "{what} in bf16: off by {far}");
    }
    assert_eq!(floats(near.3.unsqueeze()), floats(exact.3.unsqueeze()), "the bias's gradient is a sum, no product");
}

#[test]
fn a_frozen_layer_does_in_one_pass_what_three_did() {
    let device = Device::flex();
    let random = |shape| Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    for (numbers, most) in [(Numbers::F32, 0.0), (Numbers::Bf16, 6e-3), (Numbers::Int8, 2e-2)] {
        for (b, t, k, n) in [(1, 1, 1, 1), (2, 3, 5, 7), (3, 17, 192, 65), (2, 65, 1100, 256)] {
            let layer = Linear::new(k, n, 1.0 / (k as f64).sqrt(), &device);
            let mut frozen = layer.clone();
            frozen.pack(numbers);
            let (x, rest) = (random([b, t, k]), random([b, t, n]));
            for (what, ours, theirs) in [
                ("alone", frozen.forward(x.clone()), layer.forward(x.clone())),
                ("then", frozen.then(x.clone(), Activation::Gelu), gelu(layer.forward(x.clone()))),
                ("onto", frozen.onto(x.clone(), rest.clone()), rest.clone() + layer.forward(x.clone())),
            ] {
                let norm = |t: Tensor<3>| t.powi_scalar(2).sum().sqrt().into_scalar::<f32>();
                // Against the product alone: an activation may make next to nothing of it.
                let far = norm(ours - theirs) / norm(layer.forward(x.clone()));
                assert!(far <= most, "{what} in {numbers:?}, {b}×{t}×{k}×{n}: off by {far}");
            }
        }
    }
}

#[test]
fn a_layer_that_trains_is_not_frozen() {
    let mut layer = Linear::new(3, 4, 1.0, &device());
    layer.pack(Numbers::Bf16);
    assert_eq!(layer.weight.dims(), [3, 4]);
    let x = random([1, 2, 3]);
    let grads = layer.forward(x.clone()).sum().backward();
    assert!(x.grad(&grads).is_some());
}

#[test]
fn layer_norm_is_burns() {
    for (b, t, d) in [(1, 1, 2), (2, 3, 5), (3, 17, 192), (4, 65, 64), (2, 300, 48)] {
        twins(
            "layer norm",
            (random([b, t, d]), random([d]), random([d])),
            |x, g, b| fused::apply(x, g, b, Op::LayerNorm { eps: 1e-6 }),
            |x, g, b| plain::layer_norm(x, g, b, 1e-6),
        );
    }
}

#[test]
fn activations_are_burns() {
    for kind in [Activation::Gelu, Activation::QuickGelu, Activation::GeluTanh] {
        for n in [1, 7, 100_003] {
            let inputs = (random([1, 1, n]) * 3.0, random([1]), random([1]));
            let inputs = (inputs.0.detach().require_grad(), inputs.1, inputs.2);
            twins("activation", inputs, |x, _, _| activate(x, kind), |x, _, _| plain::activate(x, kind));
        }
    }
}

#[test]
fn attention_is_burns() {
    for (b, q, k, d, heads) in [(1, 1, 1, 4, 1), (2, 3, 5, 8, 2), (3, 17, 33, 192, 3), (2, 65, 65, 64, 4)] {
        for masked in [false, true] {
            let valid: Option<Vec<usize>> = masked.then(|| (0..b).map(|i| 1 + (i * 7) % k).collect());
            twins(
                "attention",
                (random([b, q, d]), random([b, k, d]), random([b, k, d])),
                |q, k, v| attention(q, k, v, heads, valid.clone().map(Arc::new)),
                |q, k, v| plain::attention(q, k, v, heads, valid.as_deref().map_or(Mask::None, Mask::First)),
            );
        }
    }
}

#[test]
fn self_attention_is_burns() {
    for (b, t, d, heads, causal) in
        [(1, 1, 4, 1, false), (2, 5, 8, 2, false), (3, 50, 192, 3, false), (2, 7, 8, 2, true), (3, 77, 128, 4, true)]
    {
        let mask = if causal { Mask::Causal } else { Mask::None };
        let cut = |x: Tensor<3>| {
            let part = |i: usize| x.clone().slice([0..b, 0..t, i * d..(i + 1) * d]);
            // Widened again so that input and output have one shape for the comparison.
            let y = plain::attention(part(0), part(1), part(2), heads, mask);
            Tensor::cat(vec![y.clone(), y.clone(), y], 2)
        };
        let fused = |x: Tensor<3>| {
            let y = if causal {
                causal_attention(x, heads, Precision::F32)
            } else {
                self_attention(x, heads, Precision::F32)
            };
            Tensor::cat(vec![y.clone(), y.clone(), y], 2)
        };
        let inputs = (random([b, t, 3 * d]), random([1]), random([1]));
        twins("self-attention", inputs, |x, _, _| fused(x), |x, _, _| cut(x));
    }
}

#[test]
fn shares_of_attention_make_attention() {
    let (asking, keys, values) = (random([2, 3, 8]), random([2, 5, 8]), random([2, 5, 8]));
    let shares = |heads| attention_shares(asking.clone(), keys.clone(), heads, &[5, 2]);
    close(
        "one head",
        shares(1).matmul(values.clone()),
        attention(asking.clone(), keys.clone(), values, 1, Some(Arc::new(vec![5, 2]))),
    );
    let of = crate::weights::floats(shares(2));
    for (i, row) in of.chunks_exact(5).enumerate() {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(i < 3 || row[2..].iter().all(|s| *s == 0.0), "padding is not seen: {row:?}");
    }
}
