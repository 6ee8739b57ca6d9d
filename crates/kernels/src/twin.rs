//! Slow, obvious twins in f64, for tests.

use crate::cpu::forced;
use crate::{Activation, AttentionShape, Path, Precision, Sees};

/// How many of so many shapes are tried: all, or what `LIKEBUT_SHAPES` says, for emulated processors.
pub fn shapes(all: usize) -> usize {
    std::env::var("LIKEBUT_SHAPES").ok().and_then(|n| n.parse().ok()).map_or(all, |few: usize| few.min(all))
}

/// A small generator of numbers.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// About normal: the sum of four.
    pub fn normal(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|i| (bits >> (16 * i)) & 0xffff).sum();
        (sum as f32 / 65_536.0 - 2.0) * 1.7
    }

    pub fn normals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.normal()).collect()
    }
}

/// The error function by its series, or by its continued fraction where that is long.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    let value = if a < 2.5 {
        let (mut term, mut sum) = (a, a);
        for n in 1..60 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let tail = (1..60).rev().fold(a, |t, n| a + f64::from(n) / 2.0 / t);
        1.0 - (-a * a).exp() / tail / std::f64::consts::PI.sqrt()
    };
    value.copysign(x)
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2))
}

pub fn activation(kind: Activation, x: f64) -> f64 {
    let gated = |z: f64| x / (1.0 + (-z).exp());
    match kind {
        Activation::Gelu => gelu(x),
        Activation::QuickGelu => gated(1.702 * x),
        Activation::GeluTanh => gated(2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))),
    }
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

fn close(what: &str, path: Path, got: &[f32], want: &[f64], bound: f64) {
    let scale = want.iter().fold(1.0f64, |m, x| m.max(x.abs()));
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let off = (f64::from(*got) - want).abs();
        assert!(off <= bound * scale, "{what} on {}: {got} at {i}, not {want}", path.name());
    }
}

fn norm(x: &[f64], gamma: &[f64], beta: &[f64], eps: f64) -> Vec<f64> {
    let d = gamma.len();
    let mut out = Vec::new();
    for row in x.chunks_exact(d.max(1)) {
        let mean = row.iter().sum::<f64>() / d as f64;
        let var = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d as f64;
        out.extend((0..d).map(|i| (row[i] - mean) / (var + eps).sqrt() * gamma[i] + beta[i]));
    }
    out
}

/// Attention, one number after the other; returns the output.
fn attention(s: AttentionShape, valid: &dyn Fn(usize, usize) -> usize, q: &[f64], k: &[f64], v: &[f64]) -> Vec<f64> {
    let dim = s.width / s.heads;
    let mut out = vec![0.0; s.batch * s.queries * s.width];
    for b in 0..s.batch {
        for h in 0..s.heads {
            for i in 0..s.queries {
                let seen = valid(b, i).clamp(1, s.keys.max(1)).min(s.keys);
                let at = (b * s.queries + i) * s.width + h * dim;
                let key = |j: usize| (b * s.keys + j) * s.width + h * dim;
                let scores: Vec<f64> = (0..seen)
                    .map(|j| (0..dim).map(|d| q[at + d] * k[key(j) + d]).sum::<f64>() / (dim as f64).sqrt())
                    .collect();
                let most = scores.iter().fold(f64::MIN, |m, x| m.max(*x));
                let sum: f64 = scores.iter().map(|x| (x - most).exp()).sum();
                for (j, score) in scores.iter().enumerate() {
                    let p = (score - most).exp() / sum;
                    (0..dim).for_each(|d| out[at + d] += p * v[key(j) + d]);
                }
            }
        }
    }
    out
}

/// The gradient of `Σ weight · f(x)` along one direction, by a central difference.
fn slope(f: impl Fn(&[f64]) -> Vec<f64>, x: &[f64], weight: &[f64], direction: &[f64]) -> f64 {
    const STEP: f64 = 1e-4;
    let at = |sign: f64| -> f64 {
        let moved: Vec<f64> = x.iter().zip(direction).map(|(x, d)| x + sign * STEP * d).collect();
        f(&moved).iter().zip(weight).map(|(y, w)| y * w).sum()
    };
    (at(1.0) - at(-1.0)) / (2.0 * STEP)
}

fn check_slope(what: &str, path: Path, grad: &[f32], direction: &[f64], want: f64) {
    let got: f64 = grad.iter().zip(direction).map(|(g, d)| f64::from(*g) * d).sum();
    let scale = grad.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    let length = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
    assert!((got - want).abs() <= 2e-5 * (scale * length + 1.0), "{what} on {}: slope {got}, not {want}", path.name());
}

#[test]
fn activations_are_close_and_their_gradients_too() {
    let x: Vec<f32> = (-9000..9000).map(|i| i as f32 * 1e-3).collect();
    for kind in [Activation::Gelu, Activation::QuickGelu, Activation::GeluTanh] {
        let twin = |x| activation(kind, x);
        let want: Vec<f64> = x.iter().map(|x| twin(f64::from(*x))).collect();
        let steep: Vec<f64> =
            x.iter().map(|x| (twin(f64::from(*x) + 1e-5) - twin(f64::from(*x) - 1e-5)) / 2e-5).collect();
        for path in Path::all() {
            let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            forced(*path, || crate::activate(kind, &x, &mut y));
            forced(*path, || crate::activate_grad(kind, &x, &vec![1.0; x.len()], &mut dx));
            close("an activation", *path, &y, &want, 2e-6);
            close("its gradient", *path, &dx, &steep, 2e-6);
        }
    }
}

#[test]
fn layer_norm_and_its_gradient_agree_with_f64() {
    let mut random = Random(5);
    for i in 0..shapes(10_000) {
        let (rows, d) = match i {
            0 => (3, 6000), // wider than any layer that is known
            _ => (random.below(5), random.below(if i % 50 == 0 { 400 } else { 40 })),
        };
        let (x, gamma, beta) = (random.normals(rows * d), random.normals(d), random.normals(d));
        let dy = random.normals(rows * d);
        let want = norm(&wide(&x), &wide(&gamma), &wide(&beta), 1e-3);
        let (weight, direction) = (wide(&dy), wide(&random.normals(rows * d)));
        let bend = slope(|x| norm(x, &wide(&gamma), &wide(&beta), 1e-3), &wide(&x), &weight, &direction);
        let along = wide(&random.normals(d));
        let scaled = slope(|g| norm(&wide(&x), g, &wide(&beta), 1e-3), &wide(&gamma), &weight, &along);
        let moved = slope(|b| norm(&wide(&x), &wide(&gamma), b, 1e-3), &wide(&beta), &weight, &along);
        for path in Path::all() {
            let mut y = vec![0.0; rows * d];
            let (mut dx, mut dg, mut db) = (vec![0.0; rows * d], vec![0.0; d], vec![0.0; d]);
            forced(*path, || {
                crate::layer_norm(&x, &gamma, &beta, 1e-3, &mut y);
                crate::layer_norm_grad(&x, &gamma, 1e-3, &dy, &mut dx, &mut dg, &mut db);
            });
            close("layer norm", *path, &y, &want, 1e-5);
            check_slope("layer norm in x", *path, &dx, &direction, bend);
            check_slope("layer norm in gamma", *path, &dg, &along, scaled);
            check_slope("layer norm in beta", *path, &db, &along, moved);
        }
    }
}

#[test]
fn attention_and_its_gradient_agree_with_f64() {
    let mut random = Random(6);
    for i in 0..shapes(10_000) {
        let most = if i % 100 == 0 { 40 } else { 9 };
        let heads = 1 + random.below(3);
        let s = match i {
            // The Q-Former's 32 queries of ViT-g's 677 tokens at 364 pixels.
            0 => AttentionShape { batch: 1, queries: 32, keys: 677, width: 2 * 88, heads: 2 },
            _ => AttentionShape {
                batch: random.below(3),
                queries: random.below(most),
                keys: random.below(most),
                width: heads * (1 + random.below(most)),
                heads,
            },
        };
        let lens: Vec<usize> = (0..s.batch).map(|_| 1 + random.below(s.keys.max(1))).collect();
        let seen = |b: usize, _: usize| lens[b];
        let (nq, nk) = (s.batch * s.queries * s.width, s.batch * s.keys * s.width);
        let (q, kv, dy) = (random.normals(nq), random.normals(2 * nk), random.normals(nq));
        let twin = |q: &[f64], kv: &[f64]| attention(s, &seen, q, &part(s, kv, 0, 2), &part(s, kv, 1, 2));
        let (q64, kv64, dy64) = (wide(&q), wide(&kv), wide(&dy));
        let want = twin(&q64, &kv64);
        let (along_q, along_kv) = (wide(&random.normals(nq)), wide(&random.normals(2 * nk)));
        let in_q = slope(|q| twin(q, &kv64), &q64, &dy64, &along_q);
        let in_kv = slope(|kv| twin(&q64, kv), &kv64, &dy64, &along_kv);
        for path in Path::all() {
            // What was there does not count.
            let (mut y, mut rounded, mut dq, mut dkv) =
                (vec![7.0; nq], vec![7.0; nq], vec![7.0; nq], vec![7.0; 2 * nk]);
            forced(*path, || {
                crate::attention(s, Sees::First(&lens), Precision::F32, &q, &kv, &mut y);
                crate::attention(s, Sees::First(&lens), Precision::Bf16, &q, &kv, &mut rounded);
                crate::attention_grad(s, Sees::First(&lens), (&q, &kv), &dy, (&mut dq, &mut dkv));
            });
            close("attention", *path, &y, &want, 1e-5);
            close("attention in bf16", *path, &rounded, &want, 3e-2);
            check_slope("attention in q", *path, &dq, &along_q, in_q);
            check_slope("attention in k and v", *path, &dkv, &along_kv, in_kv);
        }
    }
}

#[test]
fn gradients_of_a_linear_layer_agree_with_f64() {
    let mut random = Random(8);
    for i in 0..shapes(10_000) {
        let most = if i % 100 == 0 { 150 } else { 12 };
        let (m, k, n) = (random.below(most), 1 + random.below(most), random.below(most));
        let (x, w, dy) = (random.normals(m * k), random.normals(k * n), random.normals(m * n));
        let sum = |of: usize, f: &dyn Fn(usize) -> f64| (0..of).map(f).sum::<f64>();
        let (x64, w64, dy64) = (wide(&x), wide(&w), wide(&dy));
        let mut want = (Vec::new(), Vec::new(), Vec::new());
        for r in 0..m {
            want.0.extend((0..k).map(|c| sum(n, &|j| dy64[r * n + j] * w64[c * n + j])));
        }
        for r in 0..k {
            want.1.extend((0..n).map(|c| sum(m, &|i| x64[i * k + r] * dy64[i * n + c])));
        }
        want.2.extend((0..n).map(|c| sum(m, &|i| dy64[i * n + c])));
        for path in Path::all() {
            // Rounded or not, the products are the same; those have tests of their own.
            let (mut dx, mut dw, mut db) = (vec![7.0; m * k], vec![7.0; k * n], vec![7.0; n]);
            let out = (&mut dx[..], &mut dw[..], &mut db[..]);
            forced(*path, || crate::linear_grad(&x, &w, &dy, out, (m, k, n), Precision::F32));
            close("a linear layer in x", *path, &dx, &want.0, 1e-5);
            close("a linear layer in w", *path, &dw, &want.1, 1e-5);
            close("a linear layer in b", *path, &db, &want.2, 1e-5);
        }
    }
}

/// Part `i` of `of` that lie side by side.
fn part(s: AttentionShape, x: &[f64], i: usize, of: usize) -> Vec<f64> {
    x.chunks_exact(of * s.width).flat_map(|row| row[i * s.width..(i + 1) * s.width].to_vec()).collect()
}

#[test]
fn self_attention_is_attention_and_sees_what_it_is_told() {
    let mut random = Random(7);
    for i in 0..shapes(10_000) {
        let heads = 1 + random.below(3);
        // Now and then more than are worked on at a time.
        let tokens = match i {
            0 => 677, // ViT-g at 364 pixels
            _ if i % 500 == 0 => 129 + random.below(150),
            _ => random.below(13),
        };
        let width = heads * (1 + random.below(9));
        let s = AttentionShape { batch: random.below(3), queries: tokens, keys: tokens, width, heads };
        let lens: Vec<usize> = (0..s.batch).map(|_| 1 + random.below(tokens.max(1))).collect();
        let sees = [Sees::All, Sees::First(&lens), Sees::Causal][random.below(3)];
        let n = s.batch * tokens * 3 * width;
        let (qkv, dy) = (random.normals(n), random.normals(n / 3));
        let twin = |x: &[f64]| {
            let seen = |b: usize, i: usize| match sees {
                Sees::All => tokens,
                Sees::First(lens) => lens[b],
                Sees::Causal => i + 1,
            };
            attention(s, &seen, &part(s, x, 0, 3), &part(s, x, 1, 3), &part(s, x, 2, 3))
        };
        let along = wide(&random.normals(n));
        let (want, bend) = (twin(&wide(&qkv)), slope(twin, &wide(&qkv), &wide(&dy), &along));
        for path in Path::all() {
            let (mut y, mut rounded, mut dx) = (vec![0.0; n / 3], vec![0.0; n / 3], vec![0.0; n]);
            forced(*path, || {
                crate::self_attention(s, sees, Precision::F32, &qkv, &mut y);
                crate::self_attention(s, sees, Precision::Bf16, &qkv, &mut rounded);
                crate::self_attention_grad(s, sees, &qkv, &dy, &mut dx);
            });
            close("self-attention", *path, &y, &want, 1e-5);
            close("self-attention in bf16", *path, &rounded, &want, 3e-2);
            check_slope("self-attention", *path, &dx, &along, bend);
        }
    }
}
