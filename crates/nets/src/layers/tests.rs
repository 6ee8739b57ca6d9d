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
    }
    if let Some(want) = c.grad(&gy) {
        close(what, c.grad(&gx).expect("gradient of c"), want);
    }
}

#[test]
fn linear_is_burns() {
    for (b, t, k, n) in [(1, 1, 1, 1), (2, 3, 5, 7), (3, 17, 192, 65), (2, 65, 64, 256)] {
        twins("linear", (random([b, t, k]), random([k, n]), random([n])), linear, plain::linear);
    }
}

#[test]
fn rows_of_nothing_become_the_bias() {
    let device = Device::flex();
    let none = |shape| Tensor::<2>::zeros(shape, &device);
    let bias = Tensor::<1>::from_data([1.0f32, 2.0, 3.0], &device);
    let want = vec![1.0, 2.0, 3.0, 1.0, 2.0, 3.0];
    assert_eq!(crate::weights::floats(linear(none([2, 0]), none([0, 3]), bias.clone())), want);
    for numbers in [Numbers::F32, Numbers::Bf16, Numbers::Int8] {
        let (mut frozen, mut w) = (Frozen::default(), Param::from_tensor(none([0, 3])));
        frozen.pack([&mut w], numbers);
        let y = frozen.apply(none([2, 0]), (&w, bias.clone()), None, None);
        assert_eq!(crate::weights::floats(y), want, "{numbers:?}");
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
        // Where bf16 are multiplied no faster than f32, they are multiplied as f32, and nothing is rounded.
        let least = if crate::CpuPath::chosen().multiplies_bf16() { 1e-5 } else { 0.0 };
        assert!(far >= least && far < 4e-3, "{what} in bf16: off by {far}");
    }
    assert_eq!(floats(near.3.unsqueeze()), floats(exact.3.unsqueeze()), "the bias's gradient is a sum, no product");
}

#[test]
fn a_frozen_layer_does_in_one_pass_what_three_did() {
    let device = Device::flex();
    let random = |shape| Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    // Of bf16: two factors, each off by at most 2⁻⁸ of itself, through a GELU that is nowhere steeper than 1.13. Of
    // many products the average is less, of one alone it may be all of that.
    for (numbers, most) in [(Numbers::F32, 1e-6), (Numbers::Bf16, 9e-3), (Numbers::Int8, 2e-2)] {
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
        // Neighbours are at least 1 apart: in a row of nearly equal numbers both versions divide rounding by next to
        // nothing, and what is compared is that.
        let near = Tensor::<3>::random([b, t, d], Distribution::Uniform(-0.5, 0.5), &device());
        let apart = Tensor::<1>::from_data(&*(0..d).map(|i| [1.0f32, -1.0][i % 2]).collect::<Vec<_>>(), &device());
        let x = (near + apart.unsqueeze()).detach().require_grad();
        twins(
            "layer norm",
            (x, random([d]), random([d])),
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
            let lens = Arc::new((0..b).map(|i| 1 + (i * 7) % k).collect());
            let sees = if masked { Sees::First(lens) } else { Sees::All };
            twins(
                "attention",
                (random([b, q, d]), random([b, k, 2 * d]), random([1])),
                |q, kv, _| attention(q, kv, heads, sees.clone(), Precision::F32),
                |q, kv, _| {
                    let [k, v] = cut(kv);
                    plain::attention(q, k, v, heads, sees.of())
                },
            );
        }
    }
}

#[test]
fn self_attention_is_burns() {
    let first = Sees::First(Arc::new(vec![1, 4]));
    for (b, t, d, heads, sees) in [
        (1, 1, 4, 1, Sees::All),
        (2, 5, 8, 2, Sees::All),
        (2, 5, 8, 2, first),
        (3, 50, 192, 3, Sees::All),
        (2, 7, 8, 2, Sees::Causal),
        (3, 77, 128, 4, Sees::Causal),
    ] {
        // Widened again so that input and output have one shape for the comparison.
        let widened = |y: Tensor<3>| Tensor::cat(vec![y.clone(), y.clone(), y], 2);
        twins(
            "self-attention",
            (random([b, t, 3 * d]), random([1]), random([1])),
            |x, _, _| widened(self_attention(x, heads, sees.clone(), Precision::F32)),
            |x, _, _| {
                let [q, k, v] = cut(x);
                widened(plain::attention(q, k, v, heads, sees.of()))
            },
        );
    }
}

#[test]
fn layers_beside_each_other_are_those_layers() {
    for (b, t, k, n) in [(1, 2, 5, 3), (3, 17, 40, 65), (2, 65, 64, 64)] {
        let layers: [Linear; 3] = std::array::from_fn(|_| Linear::new(k, n, 0.3, &device()));
        let each: [&Linear; 3] = std::array::from_fn(|i| &layers[i]);
        let outer = Tensor::<3>::random([b, t, 3 * n], Distribution::Normal(0.0, 1.0), &device());
        let x = random([b, t, k]);
        let run = |y: Tensor<3>| {
            let grads = (y.clone() * outer.clone()).sum().backward();
            let of = |l: &Linear| l.weight.val().grad(&grads).expect("of the weights");
            (y.inner(), x.grad(&grads).expect("of x"), each.map(of))
        };
        let ours = run(Beside::default().forward(each, x.clone()));
        let theirs = run(Tensor::cat(each.map(|l| l.forward(x.clone())).to_vec(), 2));
        close("values", ours.0, theirs.0);
        close("gradient of x", ours.1, theirs.1);
        ours.2.into_iter().zip(theirs.2).for_each(|(a, b)| close("gradient of a weight", a, b));
    }
}

#[test]
fn layers_frozen_beside_each_other_are_the_same_numbers() {
    let device = Device::flex();
    let x = Tensor::<3>::random([2, 9, 40], Distribution::Normal(0.0, 1.0), &device);
    for (_, numbers) in Numbers::NAMES {
        let mut layers: [Linear; 2] = std::array::from_fn(|i| Linear::new(40, 30 + i, 0.3, &device));
        let mut apart = layers.clone();
        apart.iter_mut().for_each(|l| l.pack(numbers));
        let mut beside = Beside::default();
        let [a, b] = &mut layers;
        beside.pack([a, b], numbers);
        assert_eq!(layers[1].weight.dims(), [1, 1]);
        let ours = beside.forward([&layers[0], &layers[1]], x.clone());
        let theirs = Tensor::cat(apart.iter().map(|l| l.forward(x.clone())).collect(), 2);
        assert_eq!(crate::weights::floats(ours), crate::weights::floats(theirs), "{numbers:?}");
    }
}

#[test]
fn shares_of_attention_make_attention() {
    let (asking, keys, values) = (random([2, 3, 8]), random([2, 5, 8]), random([2, 5, 8]));
    let shares = |heads| attention_shares(asking.clone(), keys.clone(), heads, &[5, 2]);
    let kv = Tensor::cat(vec![keys.clone(), values.clone()], 2);
    close(
        "one head",
        shares(1).matmul(values),
        attention(asking.clone(), kv, 1, Sees::First(Arc::new(vec![5, 2])), Precision::F32),
    );
    let of = crate::weights::floats(shares(2));
    for (i, row) in of.chunks_exact(5).enumerate() {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(i < 3 || row[2..].iter().all(|s| *s == 0.0), "padding is not seen: {row:?}");
    }
}

/// The path is chosen once for a process, so each has one of its own: this program again, with nothing but the
/// networks' golden values.
#[test]
fn networks_hold_on_every_path_of_this_processor() {
    for path in crate::CpuPath::all() {
        // Its own name stands for what extends it, too.
        let wish = if path.name() == "avx512" { "avx512-plain" } else { path.name() };
        let mut run = std::process::Command::new(std::env::current_exe().unwrap());
        let done = run.args(["2::golden::", "clip::golden::"]).env("LIKEBUT_CPU", wish).output().unwrap();
        let told = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{wish}:\n{told}");
        assert!(told.contains("blip2::golden::transformers_with_frozen_weights ... ok"), "{wish}:\n{told}");
        assert!(told.contains("clip::golden::") && !told.contains(" 0 passed"), "{wish}:\n{told}");
    }
}
