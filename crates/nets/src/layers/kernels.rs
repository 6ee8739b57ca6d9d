//! The arithmetic under the layers, on plain slices: products, layer norm, GELU, attention, and
//! the gradient of each.
//!
//! burn's CPU device builds a layer from a dozen passes over memory; a training step spends most
//! of its time between the matrix products.
//! Here each operation is one pass, forward and backward, and the products go to the `gemm` crate.
//! Nothing in this file knows tensors: slices and shapes only, so that every function can be held
//! against a slow twin.

use gemm::Parallelism;
use rayon::prelude::*;

/// A read-only matrix inside a slice: `rows × cols` numbers at `offset + r · row_step + c · col_step`.
#[derive(Clone, Copy)]
pub struct Mat<'a> {
    data: &'a [f32],
    offset: usize,
    rows: usize,
    cols: usize,
    row_step: usize,
    col_step: usize,
}

impl<'a> Mat<'a> {
    /// A dense row-major matrix over a whole slice.
    pub fn dense(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, 0, rows, cols, cols)
    }

    /// A row-major window: rows lie `row_step` apart.
    pub fn strided(data: &'a [f32], offset: usize, rows: usize, cols: usize, row_step: usize) -> Self {
        Self { data, offset, rows, cols, row_step, col_step: 1 }
    }

    /// The same numbers, rows and columns exchanged.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_step: self.col_step, col_step: self.row_step, ..self }
    }

    fn last(&self) -> usize {
        self.offset + (self.rows.max(1) - 1) * self.row_step + (self.cols.max(1) - 1) * self.col_step
    }
}

/// `out = beta · out + alpha · a · b`, where `out` is a row-major window into a slice.
pub fn product(
    out: &mut [f32],
    offset: usize,
    row_step: usize,
    beta: f32,
    alpha: f32,
    a: Mat<'_>,
    b: Mat<'_>,
    threads: Parallelism,
) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert_eq!(k, b.rows, "inner sizes of a product");
    if m == 0 || n == 0 {
        return;
    }
    assert!(offset + (m - 1) * row_step + n <= out.len(), "the product does not fit its window");
    if k == 0 {
        assert!(beta == 0.0 || beta == 1.0);
        if beta == 0.0 {
            (0..m).for_each(|r| out[offset + r * row_step..][..n].fill(0.0));
        }
        return;
    }
    assert!(a.last() < a.data.len() && b.last() < b.data.len(), "a factor does not fit its slice");
    // SAFETY: the three windows were checked against their slices just above; `out` is borrowed
    // mutably, so it overlaps neither factor; the strides are those of the windows.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr().add(offset),
            1,
            row_step as isize,
            beta != 0.0,
            a.data.as_ptr().add(a.offset),
            a.col_step as isize,
            a.row_step as isize,
            b.data.as_ptr().add(b.offset),
            b.col_step as isize,
            b.row_step as isize,
            beta,
            alpha,
            false,
            false,
            false,
            threads,
        );
    }
}

/// All cores when the product is worth sharing, one otherwise.
fn threads_for(flops: usize) -> Parallelism {
    if flops > 4_000_000 { Parallelism::Rayon(0) } else { Parallelism::None }
}

/// Runs `$body` compiled for AVX-512, for AVX2 with FMA, or for any machine, whichever this one has.
///
/// The body is an `#[inline(always)]` function of slices whose first argument says whether fused
/// multiply-add is an instruction here: without one, `mul_add` would be a slow library call.
macro_rules! at_best_width {
    ($name:ident => $body:ident ( $($arg:ident : $ty:ty),* $(,)? )) => {
        #[cfg(target_arch = "x86_64")]
        fn $name($($arg: $ty),*) {
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
            fn wide($($arg: $ty),*) { $body::<true>($($arg),*) }
            #[target_feature(enable = "avx2,fma")]
            fn half($($arg: $ty),*) { $body::<true>($($arg),*) }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512dq") {
                // SAFETY: the features were just detected.
                unsafe { wide($($arg),*) }
            } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: the features were just detected.
                unsafe { half($($arg),*) }
            } else {
                $body::<false>($($arg),*)
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        fn $name($($arg: $ty),*) { $body::<false>($($arg),*) }
    };
}

#[inline(always)]
fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// eˣ to about 1e-7 relative, branch-free so that it vectorises; saturates instead of overflowing.
#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0; // rounds to the nearest integer
    let r = fma::<FMA>(n, -0.693_145_75, x);
    let r = fma::<FMA>(n, -1.428_606_8e-6, r);
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = fma::<FMA>(p, r, c);
    }
    p * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

/// The Gaussian error function to 1.5e-7 absolute (Abramowitz and Stegun 7.1.26).
#[inline(always)]
fn erf<const FMA: bool>(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / fma::<FMA>(0.327_591_1, a, 1.0);
    let mut p = 1.061_405_4;
    for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        p = fma::<FMA>(p, t, c);
    }
    let y = 1.0 - p * t * exp::<FMA>(-a * a);
    y.copysign(x)
}

#[inline(always)]
fn gelu_body<const FMA: bool>(x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = 0.5 * x * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2));
    }
}

#[inline(always)]
fn gelu_grad_body<const FMA: bool>(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    const INV_SQRT_2PI: f32 = 0.398_942_3;
    for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
        let cdf = 0.5 * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2));
        let pdf = INV_SQRT_2PI * exp::<FMA>(-0.5 * x * x);
        *dx = dy * fma::<FMA>(*x, pdf, cdf);
    }
}

/// What the sigmoid of a gated unit is given, and its slope: 1.702·x (OpenAI's QuickGELU), or the
/// cubic of the tanh-GELU, 2·√(2/π)·(x + 0.044715·x³).
#[inline(always)]
fn gate<const FMA: bool>(x: f32, cubic: bool) -> (f32, f32) {
    const TWO_SQRT_2_OVER_PI: f32 = 1.595_769_1;
    if cubic {
        let square = 0.044_715 * x * x;
        (TWO_SQRT_2_OVER_PI * fma::<FMA>(square, x, x), TWO_SQRT_2_OVER_PI * fma::<FMA>(3.0, square, 1.0))
    } else {
        (1.702 * x, 1.702)
    }
}

#[inline(always)]
fn gated_body<const FMA: bool>(x: &[f32], y: &mut [f32], cubic: bool) {
    for (y, x) in y.iter_mut().zip(x) {
        let (z, _) = gate::<FMA>(*x, cubic);
        *y = x / (1.0 + exp::<FMA>(-z));
    }
}

#[inline(always)]
fn gated_grad_body<const FMA: bool>(x: &[f32], dy: &[f32], dx: &mut [f32], cubic: bool) {
    for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
        let (z, slope) = gate::<FMA>(*x, cubic);
        let s = 1.0 / (1.0 + exp::<FMA>(-z));
        *dx = dy * s * fma::<FMA>(x * slope, 1.0 - s, 1.0);
    }
}

at_best_width!(gated_wide => gated_body(x: &[f32], y: &mut [f32], cubic: bool));
at_best_width!(gated_grad_wide => gated_grad_body(x: &[f32], dy: &[f32], dx: &mut [f32], cubic: bool));
at_best_width!(gelu_wide => gelu_body(x: &[f32], y: &mut [f32]));
at_best_width!(gelu_grad_wide => gelu_grad_body(x: &[f32], dy: &[f32], dx: &mut [f32]));

const PIECE: usize = 1 << 14;

/// Exact GELU, `x · Φ(x)`.
pub fn gelu(x: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| gelu_wide(x, y));
}

/// Gradient of [`gelu`].
pub fn gelu_grad(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    dx.par_chunks_mut(PIECE)
        .zip(x.par_chunks(PIECE).zip(dy.par_chunks(PIECE)))
        .for_each(|(dx, (x, dy))| gelu_grad_wide(x, dy, dx));
}

/// A unit gated by a sigmoid, `x · σ(z(x))`: QuickGELU, or the tanh-GELU where `cubic`.
pub fn gated(x: &[f32], y: &mut [f32], cubic: bool) {
    y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| gated_wide(x, y, cubic));
}

/// Gradient of [`gated`].
pub fn gated_grad(x: &[f32], dy: &[f32], dx: &mut [f32], cubic: bool) {
    dx.par_chunks_mut(PIECE)
        .zip(x.par_chunks(PIECE).zip(dy.par_chunks(PIECE)))
        .for_each(|(dx, (x, dy))| gated_grad_wide(x, dy, dx, cubic));
}

/// `y = x · w + b`: x (M, K), w (K, N), b (N), y (M, N).
pub fn linear(x: &[f32], w: &[f32], b: &[f32], y: &mut [f32], m: usize, k: usize, n: usize) {
    y.par_chunks_mut(n.max(1)).for_each(|row| row.copy_from_slice(b));
    product(y, 0, n, 1.0, 1.0, Mat::dense(x, m, k), Mat::dense(w, k, n), threads_for(m * n * k));
}

/// Gradients of [`linear`]: `dx = dy · wᵀ`, `dw = xᵀ · dy`, `db = Σ dy`.
pub fn linear_grad(
    x: &[f32],
    w: &[f32],
    dy: &[f32],
    (dx, dw, db): (&mut [f32], &mut [f32], &mut [f32]),
    m: usize,
    k: usize,
    n: usize,
) {
    let threads = threads_for(m * n * k);
    let dy_mat = Mat::dense(dy, m, n);
    if !dx.is_empty() {
        product(dx, 0, k, 0.0, 1.0, dy_mat, Mat::dense(w, k, n).t(), threads);
    }
    if !dw.is_empty() {
        product(dw, 0, n, 0.0, 1.0, Mat::dense(x, m, k).t(), dy_mat, threads);
        db.fill(0.0);
        for row in dy.chunks_exact(n) {
            db.iter_mut().zip(row).for_each(|(d, g)| *d += g);
        }
    }
}

#[inline(always)]
fn norm_body<const FMA: bool>(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]) {
    let d = gamma.len();
    for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
        let (mean, inv) = moments(x, eps);
        for i in 0..d {
            y[i] = fma::<FMA>((x[i] - mean) * inv, gamma[i], beta[i]);
        }
    }
}

/// Mean and reciprocal standard deviation, summed in sixteen lanes so that it vectorises.
#[inline(always)]
fn moments(x: &[f32], eps: f32) -> (f32, f32) {
    let mean = lane_sum(x, |v| v) / x.len() as f32;
    let var = lane_sum(x, |v| (v - mean) * (v - mean)) / x.len() as f32;
    (mean, 1.0 / (var + eps).sqrt())
}

#[inline(always)]
fn lane_sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = x.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|v| f(*v)).sum();
    for c in chunks {
        for i in 0..16 {
            lanes[i] += f(c[i]);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Also adds into `dgamma` and `dbeta`.
#[inline(always)]
fn norm_grad_body<const FMA: bool>(
    x: &[f32],
    gamma: &[f32],
    eps: f32,
    dy: &[f32],
    dx: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let d = gamma.len();
    let scale = 1.0 / d as f32;
    let mut g = vec![0.0f32; d];
    let mut h = vec![0.0f32; d];
    for ((x, dy), dx) in x.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
        let (mean, inv) = moments(x, eps);
        for i in 0..d {
            let hat = (x[i] - mean) * inv;
            dgamma[i] += dy[i] * hat;
            dbeta[i] += dy[i];
            g[i] = dy[i] * gamma[i];
            h[i] = g[i] * hat;
        }
        let mean_g = lane_sum(&g, |v| v) * scale;
        let mean_h = lane_sum(&h, |v| v) * scale;
        for i in 0..d {
            let hat = (x[i] - mean) * inv;
            dx[i] = inv * (g[i] - mean_g - hat * mean_h);
        }
    }
}

at_best_width!(norm_wide => norm_body(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]));
at_best_width!(norm_grad_wide => norm_grad_body(
    x: &[f32], gamma: &[f32], eps: f32, dy: &[f32], dx: &mut [f32], dgamma: &mut [f32], dbeta: &mut [f32],
));

/// Layer norm over the last axis: x (M, D), gamma and beta (D).
pub fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]) {
    let rows = (PIECE / gamma.len().max(1)).max(1) * gamma.len();
    y.par_chunks_mut(rows).zip(x.par_chunks(rows)).for_each(|(y, x)| norm_wide(x, gamma, beta, eps, y));
}

/// Gradients of [`layer_norm`].
pub fn layer_norm_grad(
    x: &[f32],
    gamma: &[f32],
    eps: f32,
    dy: &[f32],
    dx: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let d = gamma.len();
    let rows = (PIECE / d.max(1)).max(1) * d;
    // Partial sums are collected in order, so that the result does not depend on the scheduling.
    let parts: Vec<(Vec<f32>, Vec<f32>)> = dx
        .par_chunks_mut(rows)
        .zip(x.par_chunks(rows).zip(dy.par_chunks(rows)))
        .map(|(dx, (x, dy))| {
            let (mut dg, mut db) = (vec![0.0; d], vec![0.0; d]);
            norm_grad_wide(x, gamma, eps, dy, dx, &mut dg, &mut db);
            (dg, db)
        })
        .collect();
    for (dg, db) in parts {
        dgamma.iter_mut().zip(dg).for_each(|(a, b)| *a += b);
        dbeta.iter_mut().zip(db).for_each(|(a, b)| *a += b);
    }
}

/// The shape of one attention: B batch, Q queries, K keys, D width over all heads.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    /// Items in the batch.
    pub batch: usize,
    /// Query positions.
    pub queries: usize,
    /// Key positions.
    pub keys: usize,
    /// Width over all heads; divisible by `heads`.
    pub width: usize,
    /// Heads.
    pub heads: usize,
}

#[inline(always)]
fn softmax_body<const FMA: bool>(s: &mut [f32], cols: usize, valid: usize, causal: bool) {
    for (i, row) in s.chunks_exact_mut(cols).enumerate() {
        let (seen, hidden) = row.split_at_mut(if causal { valid.min(i + 1) } else { valid });
        hidden.fill(0.0);
        let mut lanes = [f32::NEG_INFINITY; 16];
        let chunks = seen.chunks_exact(16);
        let rest = chunks.remainder().iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        for c in chunks {
            for i in 0..16 {
                lanes[i] = if c[i] > lanes[i] { c[i] } else { lanes[i] };
            }
        }
        let max = lanes.iter().fold(rest, |a, b| a.max(*b));
        for v in seen.iter_mut() {
            *v = exp::<FMA>(*v - max);
        }
        let inv = 1.0 / lane_sum(seen, |v| v);
        seen.iter_mut().for_each(|v| *v *= inv);
    }
}

/// `dp ← p · (dp − Σ p·dp)`, row by row: the gradient through a softmax.
#[inline(always)]
fn softmax_grad_body<const FMA: bool>(p: &[f32], dp: &mut [f32], cols: usize) {
    for (p, dp) in p.chunks_exact(cols).zip(dp.chunks_exact_mut(cols)) {
        let mut lanes = [0.0f32; 16];
        let (pc, dc) = (p.chunks_exact(16), dp.chunks_exact(16));
        let rest: f32 = pc.remainder().iter().zip(dc.remainder()).map(|(a, b)| a * b).sum();
        for (a, b) in pc.zip(dc) {
            for i in 0..16 {
                lanes[i] = fma::<FMA>(a[i], b[i], lanes[i]);
            }
        }
        let sum = lanes.iter().sum::<f32>() + rest;
        dp.iter_mut().zip(p).for_each(|(d, p)| *d = p * (*d - sum));
    }
}

at_best_width!(softmax_wide => softmax_body(s: &mut [f32], cols: usize, valid: usize, causal: bool));
at_best_width!(softmax_grad_wide => softmax_grad_body(p: &[f32], dp: &mut [f32], cols: usize));

/// The scores of one head through the softmax: p (Q, K) from windows on its queries and keys.
/// Where `causal`, the i-th query sees no key after the i-th.
fn weights(p: &mut [f32], q: Mat<'_>, k: Mat<'_>, valid: usize, causal: bool) {
    let (keys, scale) = (k.rows, (q.cols as f32).powf(-0.5));
    product(p, 0, keys, 0.0, scale, q, k.t(), Parallelism::None);
    softmax_wide(p, keys, valid.clamp(1, keys), causal);
}

/// Multi-head attention without the projections: q (B, Q, D), k and v (B, K, D), out (B, Q, D).
///
/// Of item `b` only the first `valid(b)` keys are seen.
pub fn attention(
    s: AttentionShape,
    valid: &(dyn Fn(usize) -> usize + Sync),
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &mut [f32],
) {
    let AttentionShape { queries, keys, width, heads, .. } = s;
    let dim = width / heads;
    out.par_chunks_mut((queries * width).max(1)).enumerate().for_each_init(
        || vec![0.0f32; queries * keys],
        |p, (b, out)| {
            let (q, k, v) = (&q[b * queries * width..], &k[b * keys * width..], &v[b * keys * width..]);
            for o in (0..heads).map(|h| h * dim) {
                let at = |x, rows| Mat::strided(x, o, rows, dim, width);
                weights(p, at(q, queries), at(k, keys), valid(b), false);
                product(out, o, width, 0.0, 1.0, Mat::dense(p, queries, keys), at(v, keys), Parallelism::None);
            }
        },
    );
}

/// Gradients of [`attention`] with respect to q, k and v; the weights are computed again, not kept.
pub fn attention_grad(
    s: AttentionShape,
    valid: &(dyn Fn(usize) -> usize + Sync),
    (q, k, v): (&[f32], &[f32], &[f32]),
    dout: &[f32],
    (dq, dk, dv): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let AttentionShape { queries, keys, width, heads, .. } = s;
    let dim = width / heads;
    let scale = (dim as f32).powf(-0.5);
    let (nq, nk) = ((queries * width).max(1), (keys * width).max(1));
    dq.par_chunks_mut(nq).zip(dk.par_chunks_mut(nk).zip(dv.par_chunks_mut(nk))).enumerate().for_each_init(
        || (vec![0.0f32; queries * keys], vec![0.0f32; queries * keys]),
        |(p, dp), (b, (dq, (dk, dv)))| {
            let (q, k, v, dout) = (&q[b * nq..], &k[b * nk..], &v[b * nk..], &dout[b * nq..]);
            for o in (0..heads).map(|h| h * dim) {
                let at = |x, rows| Mat::strided(x, o, rows, dim, width);
                let (q, k, v, dout) = (at(q, queries), at(k, keys), at(v, keys), at(dout, queries));
                weights(p, q, k, valid(b), false);
                product(dv, o, width, 0.0, 1.0, Mat::dense(p, queries, keys).t(), dout, Parallelism::None);
                product(dp, 0, keys, 0.0, 1.0, dout, v.t(), Parallelism::None);
                softmax_grad_wide(p, dp, keys);
                let ds = Mat::dense(dp, queries, keys);
                product(dq, o, width, 0.0, scale, ds, k, Parallelism::None);
                product(dk, o, width, 0.0, scale, ds.t(), q, Parallelism::None);
            }
        },
    );
}

/// [`attention`] of tokens among themselves, on query, key and value side by side as one product
/// makes them: qkv (B, T, 3D), out (B, T, D). Apart from cutting them, which would copy each three
/// times, it is the same. Where `causal`, no token sees a later one.
pub fn self_attention(s: AttentionShape, causal: bool, qkv: &[f32], out: &mut [f32]) {
    let AttentionShape { queries: tokens, width, heads, .. } = s;
    let (dim, row) = (width / heads, 3 * width);
    out.par_chunks_mut((tokens * width).max(1)).zip(qkv.par_chunks((tokens * row).max(1))).for_each_init(
        || vec![0.0f32; tokens * tokens],
        |p, (out, qkv)| {
            for o in (0..heads).map(|h| h * dim) {
                let at = |part: usize| Mat::strided(qkv, part * width + o, tokens, dim, row);
                weights(p, at(0), at(1), tokens, causal);
                product(out, o, width, 0.0, 1.0, Mat::dense(p, tokens, tokens), at(2), Parallelism::None);
            }
        },
    );
}

/// Gradient of [`self_attention`].
pub fn self_attention_grad(s: AttentionShape, causal: bool, qkv: &[f32], dout: &[f32], dqkv: &mut [f32]) {
    let AttentionShape { queries: tokens, width, heads, .. } = s;
    let (dim, row) = (width / heads, 3 * width);
    let scale = (dim as f32).powf(-0.5);
    let (n, m) = ((tokens * row).max(1), (tokens * width).max(1));
    dqkv.par_chunks_mut(n).zip(qkv.par_chunks(n).zip(dout.par_chunks(m))).for_each_init(
        || (vec![0.0f32; tokens * tokens], vec![0.0f32; tokens * tokens]),
        |(p, dp), (dqkv, (qkv, dout))| {
            for o in (0..heads).map(|h| h * dim) {
                let at = |part: usize| Mat::strided(qkv, part * width + o, tokens, dim, row);
                let dout = Mat::strided(dout, o, tokens, dim, width);
                weights(p, at(0), at(1), tokens, causal);
                let mut into = |part: usize, alpha, a, b| {
                    product(dqkv, part * width + o, row, 0.0, alpha, a, b, Parallelism::None);
                };
                into(2, 1.0, Mat::dense(p, tokens, tokens).t(), dout);
                product(dp, 0, tokens, 0.0, 1.0, dout, at(2).t(), Parallelism::None);
                softmax_grad_wide(p, dp, tokens);
                let ds = Mat::dense(dp, tokens, tokens);
                into(0, scale, ds, at(1));
                into(1, scale, ds.t(), at(0));
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elementary_functions_are_close() {
        for i in -800..800 {
            let x = i as f32 * 0.1;
            let want = (x as f64).exp();
            for got in [exp::<true>(x), exp::<false>(x)] {
                assert!((got as f64 - want).abs() <= 3e-7 * want.max(1e-38), "exp({x}) = {got}, not {want}");
            }
        }
        // A few values of erf to ten digits.
        for (x, want) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (-1.5, -0.966_105_146_5),
        ] {
            assert!((erf::<true>(x) as f64 - want).abs() < 3e-7, "erf({x})");
        }
    }
}
