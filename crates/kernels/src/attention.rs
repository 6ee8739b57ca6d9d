//! Multi-head attention without its projections, and its gradient.
//!
//! The weights of one head of one item at a time exist, never those of all: they are computed again
//! for the gradient, which costs less than keeping them.

use crate::cpu::{Path, at_width, fma};
use crate::exp::exp;
use crate::norm::lane_sum;
use crate::product::{Mat, Packed, Precision, small, small_packed};
use rayon::prelude::*;

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
fn softmax_body<const FMA: bool>(s: &mut [f32], cols: usize, valid: usize, causal: Option<usize>) {
    for (i, row) in s.chunks_exact_mut(cols).enumerate() {
        let (seen, hidden) = row.split_at_mut(causal.map_or(valid, |first| valid.min(first + i + 1)));
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

at_width!(softmax_at => softmax_body(s: &mut [f32], cols: usize, valid: usize, causal: Option<usize>));
at_width!(softmax_grad_at => softmax_grad_body(p: &[f32], dp: &mut [f32], cols: usize));

/// The scores of one head through the softmax: p (Q, K) from windows on its queries and keys.
/// Where `causal`, the i-th query, counted from that number on, sees no key after the i-th.
fn weights(path: Path, p: &mut [f32], q: Mat<'_>, k: Mat<'_>, valid: usize, causal: Option<usize>) {
    let (keys, scale) = (k.rows, (q.cols as f32).powf(-0.5));
    small(path, p, (0, keys), q, k.t(), scale);
    softmax_at(path, p, keys, valid.clamp(1, keys), causal);
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
    let path = Path::chosen();
    let dim = width / heads;
    out.par_chunks_mut((queries * width).max(1)).enumerate().for_each_init(
        || vec![0.0f32; queries * keys],
        |p, (b, out)| {
            let (q, k, v) = (&q[b * queries * width..], &k[b * keys * width..], &v[b * keys * width..]);
            for o in (0..heads).map(|h| h * dim) {
                let at = |x, rows| Mat::strided(x, o, rows, dim, width);
                weights(path, p, at(q, queries), at(k, keys), valid(b), None);
                small(path, out, (o, width), Mat::dense(p, queries, keys), at(v, keys), 1.0);
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
    let path = Path::chosen();
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
                weights(path, p, q, k, valid(b), None);
                small(path, dv, (o, width), Mat::dense(p, queries, keys).t(), dout, 1.0);
                small(path, dp, (0, keys), dout, v.t(), 1.0);
                softmax_grad_at(path, p, dp, keys);
                let ds = Mat::dense(dp, queries, keys);
                small(path, dq, (o, width), ds, k, scale);
                small(path, dk, (o, width), ds.t(), q, scale);
            }
        },
    );
}

/// Queries of [`self_attention`] that are worked on at a time: their weights stay in the cache, and one
/// picture alone has work for several threads.
const QUERIES: usize = 128;

/// [`attention`] of tokens among themselves, on query, key and value side by side as one product
/// makes them: qkv (B, T, 3D), out (B, T, D). Apart from cutting them, which would copy each three
/// times, it is the same. Where `causal`, no token sees a later one.
///
/// In [`Precision::Bf16`] both products round, where the processor has an instruction for it.
pub fn self_attention(s: AttentionShape, causal: bool, precision: Precision, qkv: &[f32], out: &mut [f32]) {
    let AttentionShape { queries: tokens, width, heads, .. } = s;
    let path = Path::chosen();
    let (dim, row) = (width / heads, 3 * width);
    if tokens * width == 0 {
        return;
    }
    let rows = tokens.div_ceil(tokens.div_ceil(QUERIES));
    let scale = (dim as f32).powf(-0.5);
    out.par_chunks_mut(tokens * width).zip(qkv.par_chunks(tokens * row)).for_each(|(out, qkv)| {
        let part = |i: usize, h: usize, first: usize, rows: usize| {
            Mat::strided(qkv, first * row + i * width + h * dim, rows, dim, row)
        };
        // Every head's keys and values, packed once for all queries.
        let packed: Option<Vec<_>> = (precision == Precision::Bf16 && path.multiplies_bf16()).then(|| {
            let pack = |h| [part(1, h, 0, tokens).t(), part(2, h, 0, tokens)].map(|m| Packed::rounded(path, m));
            (0..heads).into_par_iter().map(pack).collect()
        });
        out.par_chunks_mut(rows * width).enumerate().for_each_init(
            || vec![0.0f32; rows * tokens],
            |p, (i, out)| {
                let (first, rows) = (i * rows, out.len() / width);
                let p = &mut p[..rows * tokens];
                let causal = causal.then_some(first);
                for h in 0..heads {
                    let (q, window) = (part(0, h, first, rows), (h * dim, width));
                    match &packed {
                        Some(packed) => {
                            let [keys, values] = &packed[h];
                            small_packed(p, (0, tokens), q, keys, scale);
                            softmax_at(path, p, tokens, tokens, causal);
                            small_packed(out, window, Mat::dense(p, rows, tokens), values, 1.0);
                        }
                        None => {
                            weights(path, p, q, part(1, h, 0, tokens), tokens, causal);
                            small(path, out, window, Mat::dense(p, rows, tokens), part(2, h, 0, tokens), 1.0);
                        }
                    }
                }
            },
        );
    });
}

/// Gradient of [`self_attention`].
pub fn self_attention_grad(s: AttentionShape, causal: bool, qkv: &[f32], dout: &[f32], dqkv: &mut [f32]) {
    let AttentionShape { queries: tokens, width, heads, .. } = s;
    let path = Path::chosen();
    let (dim, row) = (width / heads, 3 * width);
    let scale = (dim as f32).powf(-0.5);
    let (n, m) = ((tokens * row).max(1), (tokens * width).max(1));
    dqkv.par_chunks_mut(n).zip(qkv.par_chunks(n).zip(dout.par_chunks(m))).for_each_init(
        || (vec![0.0f32; tokens * tokens], vec![0.0f32; tokens * tokens]),
        |(p, dp), (dqkv, (qkv, dout))| {
            for o in (0..heads).map(|h| h * dim) {
                let at = |part: usize| Mat::strided(qkv, part * width + o, tokens, dim, row);
                let dout = Mat::strided(dout, o, tokens, dim, width);
                weights(path, p, at(0), at(1), tokens, causal.then_some(0));
                let mut into = |part: usize, alpha, a, b| {
                    small(path, dqkv, (part * width + o, row), a, b, alpha);
                };
                into(2, 1.0, Mat::dense(p, tokens, tokens).t(), dout);
                small(path, dp, (0, tokens), dout, at(2).t(), 1.0);
                softmax_grad_at(path, p, dp, tokens);
                let ds = Mat::dense(dp, tokens, tokens);
                into(0, scale, ds, at(1));
                into(1, scale, ds.t(), at(0));
            }
        },
    );
}
