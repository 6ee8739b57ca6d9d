//! Attention, layer norm and activations of any shape and numbers, on the path that is chosen: with any numbers they
//! end, and with usual ones what comes out is what a slow twin says.

#![no_main]

use kernels::{Activation, AttentionShape, Precision, Sees, activate, attention, layer_norm, self_attention};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return };
    let [batch, queries, keys, dim, heads, seen, kind, flags] = head.map(usize::from);
    let (batch, queries, keys) = (1 + batch % 3, 1 + queries % 90, 1 + keys % 90);
    let (dim, heads) = (1 + dim % 80, 1 + heads % 4);
    let usual = flags & 1 == 0;
    let numbers: Vec<f32> = match usual {
        true => rest.iter().map(|b| f32::from(*b as i8) / 32.0).collect(),
        false => rest.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    };
    if numbers.is_empty() {
        return;
    }
    let take =
        |len: usize, from: usize| -> Vec<f32> { (0..len).map(|i| numbers[(i + from) % numbers.len()]).collect() };
    let width = dim * heads;
    let precision = if flags & 2 == 0 { Precision::F32 } else { Precision::Bf16 };

    // Two sides, or one that looks at itself: what an item's place, part and column is.
    let own = flags & 4 != 0;
    let queries = if own { keys } else { queries };
    let shape = AttentionShape { batch, queries, keys, width, heads };
    let valid: Vec<usize> = (0..batch).map(|i| 1 + (seen + 7 * i) % keys).collect();
    let causal = own && kind & 1 == 1;
    let sees = match kind % 3 {
        _ if causal => Sees::Causal,
        0 => Sees::All,
        _ => Sees::First(&valid),
    };
    let (q, kv) = (take(batch * queries * width, 0), take(batch * keys * 2 * width, 5));
    let qkv = take(batch * keys * 3 * width, 11);
    let mut out = vec![7.5; batch * queries * width];
    match own {
        true => self_attention(shape, sees, precision, &qkv, &mut out),
        false => attention(shape, sees, precision, &q, &kv, &mut out),
    }
    let query = |b: usize, t: usize, c: usize| {
        f64::from(if own { qkv[(b * keys + t) * 3 * width + c] } else { q[(b * queries + t) * width + c] })
    };
    let other = |part: usize, b: usize, t: usize, c: usize| {
        let row = b * keys + t;
        f64::from(if own { qkv[(row * 3 + 1 + part) * width + c] } else { kv[(row * 2 + part) * width + c] })
    };
    for (b, t) in (0..batch).flat_map(|b| (0..queries).map(move |t| (b, t))).filter(|_| usual) {
        let seen = match sees {
            Sees::All => keys,
            Sees::First(valid) => valid[b],
            Sees::Causal => t + 1,
        };
        for c in 0..width {
            let of = c / dim * dim;
            let score = |k: usize| {
                (of..of + dim).map(|i| query(b, t, i) * other(0, b, k, i)).sum::<f64>() / (dim as f64).sqrt()
            };
            let got = f64::from(out[(b * queries + t) * width + c]);
            let values = || (0..seen).map(|k| other(1, b, k, c));
            // A mean lies among what it is of, however it was rounded.
            let (low, high) = values().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
            let slack = 4.0 * 2f64.powi(-7);
            assert!((low - slack..=high + slack).contains(&got), "{precision:?} {shape:?}: {got} of {low} to {high}");
            // One column of each head, since the scores are those of all of its columns.
            if precision == Precision::F32 && c == of {
                let scores: Vec<f64> = (0..seen).map(score).collect();
                let top = scores.iter().copied().fold(f64::MIN, f64::max);
                let weights = || scores.iter().map(|s| (s - top).exp());
                let mean = weights().zip(values()).map(|(w, v)| w * v).sum::<f64>() / weights().sum::<f64>();
                assert!((got - mean).abs() < 1e-3, "{shape:?}: {got} at ({b}, {t}, {c}), not {mean}");
            }
        }
    }

    let rows = 1 + seen % 9;
    let (x, gamma, beta) = (take(rows * width, 2), take(width, 3), take(width, 4));
    let (mut y, eps) = (vec![7.5; rows * width], 1e-5);
    layer_norm(&x, &gamma, &beta, eps, &mut y);
    for (x, y) in x.chunks(width).zip(y.chunks(width)).filter(|_| usual) {
        let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / width as f64;
        let variance = x.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / width as f64;
        for (c, (x, y)) in x.iter().zip(y).enumerate() {
            let want = (f64::from(*x) - mean) / (variance + f64::from(eps)).sqrt() * f64::from(gamma[c]) + f64::from(beta[c]);
            assert!((f64::from(*y) - want).abs() < 1e-3 * (1.0 + want.abs()), "norm of {width}: {y}, not {want}");
        }
    }

    for kind in [Activation::Gelu, Activation::QuickGelu, Activation::GeluTanh] {
        activate(kind, &x, &mut y);
        for (x, y) in x.iter().zip(&y).filter(|_| usual) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            let share = match kind {
                Activation::QuickGelu => 1.0 / (1.0 + (-1.702 * x).exp()),
                // Both of the others lie this near to the curve of the tanh.
                _ => 0.5 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()),
            };
            assert!((y - x * share).abs() < 1e-3, "{kind:?} of {x}: {y}, not {}", x * share);
        }
    }
});
