//! Multi-head attention without its projections, and its gradient.
//!
//! The weights of one head of one item at a time exist, never those of all: they are computed again
//! for the gradient, which costs less than keeping them.
//!
//! Queries, keys and values lie as one product makes them, side by side: cutting them apart would copy each.

use crate::cpu::{Path, at_width, fma};
use crate::exp::exp;
use crate::norm::lane_sum;
use crate::product::{Mat, PIECES, Packed, Precision, Shared, small, small_packed};
use rayon::prelude::*;
use std::cell::Cell;

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

/// Which keys a query sees.
#[derive(Clone, Copy)]
pub enum Sees<'a> {
    /// All.
    All,
    /// Of each item of the batch the first so many, at least one.
    First(&'a [usize]),
    /// None after its own place.
    Causal,
}

impl Sees<'_> {
    /// Keys that are no padding, and whether later ones are hidden.
    fn of(self, item: usize, keys: usize) -> (usize, bool) {
        match self {
            Sees::All => (keys, false),
            Sees::First(valid) => (valid[item].clamp(1, keys), false),
            Sees::Causal => (keys, true),
        }
    }
}

/// One of queries, keys and values in a slice: where an item's first row begins, and from row to row.
#[derive(Clone, Copy)]
struct Lies<'a> {
    data: &'a [f32],
    from: usize,
    step: usize,
}

impl<'a> Lies<'a> {
    /// Head `h` of rows `first..first + rows` of an item that has `all`.
    fn head(self, (item, all): (usize, usize), (first, rows): (usize, usize), h: usize, dim: usize) -> Mat<'a> {
        Mat::strided(self.data, (item * all + first) * self.step + self.from + h * dim, rows, dim, self.step)
    }
}

/// Three parts side by side, or two: each in rows of all.
fn beside<const N: usize>(data: &[f32], width: usize) -> [Lies<'_>; N] {
    std::array::from_fn(|i| Lies { data, from: i * width, step: N * width })
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
    softmax_at(path, p, keys, valid, causal);
}

/// Queries that are worked on at a time: their weights stay in the cache.
const QUERIES: usize = 128;

/// Queries that are worth packing a head's keys and values for.
const WORTH_PACKING: usize = 96;

/// Weights that stay in the cache beside little else.
const MOST_WEIGHTS: usize = 1 << 17;

thread_local! {
    /// The weights of those; kept from one head to the next.
    static WEIGHTS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Multi-head attention without the projections: q (B, Q, D), key and value side by side in kv (B, K, 2D),
/// out (B, Q, D).
///
/// In [`Precision::Bf16`] both products round, where the processor has an instruction for it.
pub fn attention(s: AttentionShape, sees: Sees<'_>, precision: Precision, q: &[f32], kv: &[f32], out: &mut [f32]) {
    let [q] = beside(q, s.width);
    let [k, v] = beside(kv, s.width);
    attend(s, sees, precision, [q, k, v], out);
}

/// [`attention`] of tokens among themselves: query, key and value side by side in qkv (B, T, 3D), out (B, T, D).
pub fn self_attention(s: AttentionShape, sees: Sees<'_>, precision: Precision, qkv: &[f32], out: &mut [f32]) {
    attend(s, sees, precision, beside(qkv, s.width), out);
}

fn attend<'a>(s: AttentionShape, sees: Sees<'_>, precision: Precision, [q, k, v]: [Lies<'a>; 3], out: &mut [f32]) {
    let AttentionShape { batch, queries, keys, width, heads } = s;
    let path = Path::chosen();
    let dim = width / heads;
    if batch * queries * keys * width == 0 {
        // Who sees nothing takes nothing along.
        out.fill(0.0);
        return;
    }
    let packs = precision == Precision::Bf16 && path.multiplies_bf16();
    // What is not packed before is packed for each lot of queries anew: the larger, the better.
    let lot = if packs { QUERIES } else { (MOST_WEIGHTS / keys).max(QUERIES) };
    // A head is one piece of work, or a part of its queries where heads are few.
    let parts = PIECES.div_ceil(batch * heads).min(queries / WORTH_PACKING).max(1);
    let part = queries.div_ceil(parts);
    let lot = part.div_ceil(part.div_ceil(lot));
    let scale = (dim as f32).powf(-0.5);
    let out = Shared::from(out);
    (0..batch * heads * parts).into_par_iter().with_max_len(1).for_each(|i| {
        let (item, h, begin) = (i / parts / heads, i / parts % heads, i % parts * part);
        let end = queries.min(begin + part);
        let (valid, causal) = sees.of(item, keys);
        let [k, v] = [k, v].map(|x| x.head((item, keys), (0, keys), h, dim));
        let packed = packs.then(|| [k.t(), v].map(|m| Packed::rounded(path, m)));
        let mut p = WEIGHTS.take();
        p.resize(p.len().max(lot * keys), 0.0);
        for first in (begin..end).step_by(lot) {
            let rows = lot.min(end - first);
            let p = &mut p[..rows * keys];
            let q = q.head((item, queries), (first, rows), h, dim);
            let causal = causal.then_some(first);
            match &packed {
                Some([k, _]) => {
                    small_packed(p, (0, keys), q, k, scale);
                    softmax_at(path, p, keys, valid, causal);
                }
                None => weights(path, p, q, k, valid, causal),
            }
            let window = ((item * queries + first) * width + h * dim, width);
            let p = Mat::dense(p, rows, keys);
            // SAFETY: these columns of these rows are this piece's alone.
            unsafe {
                match &packed {
                    Some([_, v]) => out.small_packed(window, p, v, 1.0),
                    None => out.small(path, window, p, v, 1.0),
                }
            }
        }
        WEIGHTS.set(p);
    });
}

/// Gradients of [`attention`] with respect to q and kv; the weights are computed again, not kept.
pub fn attention_grad(
    s: AttentionShape,
    sees: Sees<'_>,
    (q, kv): (&[f32], &[f32]),
    dout: &[f32],
    (dq, dkv): (&mut [f32], &mut [f32]),
) {
    let AttentionShape { queries, keys, width, .. } = s;
    if queries * keys * width == 0 {
        dq.fill(0.0);
        dkv.fill(0.0);
        return;
    }
    // Here, not in the threads: a test forces a path on its own thread alone.
    let path = Path::chosen();
    let [q] = beside(q, width);
    let [k, v] = beside(kv, width);
    let (nq, nk) = (queries * width, 2 * keys * width);
    dq.par_chunks_mut(nq).zip(dkv.par_chunks_mut(nk)).enumerate().for_each_init(
        || Scratch::new(s),
        |scratch, (item, (dq, dkv))| {
            heads_grad(path, s, sees, item, [q, k, v], dout, scratch, |part, at, a, b, scale| match part {
                Part::Query => small(path, dq, (at, width), a, b, scale),
                Part::Key => small(path, dkv, (at, 2 * width), a, b, scale),
                Part::Value => small(path, dkv, (width + at, 2 * width), a, b, scale),
            });
        },
    );
}

/// Gradient of [`self_attention`].
pub fn self_attention_grad(s: AttentionShape, sees: Sees<'_>, qkv: &[f32], dout: &[f32], dqkv: &mut [f32]) {
    let (path, width) = (Path::chosen(), s.width);
    if s.queries * width == 0 {
        return;
    }
    dqkv.par_chunks_mut(3 * s.queries * width).enumerate().for_each_init(
        || Scratch::new(s),
        |scratch, (item, dqkv)| {
            heads_grad(path, s, sees, item, beside(qkv, width), dout, scratch, |part, at, a, b, scale| {
                small(path, dqkv, (part as usize * width + at, 3 * width), a, b, scale);
            });
        },
    );
}

/// Whose gradient it is; in the order in which the three lie side by side.
#[derive(Clone, Copy)]
enum Part {
    Query,
    Key,
    Value,
}

/// The weights of one head and their gradient.
struct Scratch {
    p: Vec<f32>,
    dp: Vec<f32>,
}

impl Scratch {
    fn new(s: AttentionShape) -> Self {
        Self { p: vec![0.0; s.queries * s.keys], dp: vec![0.0; s.queries * s.keys] }
    }
}

/// Head by head of one item; `into` is told to write `scale · a · b` at a part's columns from `at` on.
fn heads_grad(
    path: Path,
    s: AttentionShape,
    sees: Sees<'_>,
    item: usize,
    [q, k, v]: [Lies<'_>; 3],
    dout: &[f32],
    Scratch { p, dp }: &mut Scratch,
    mut into: impl FnMut(Part, usize, Mat<'_>, Mat<'_>, f32),
) {
    let AttentionShape { queries, keys, width, heads, .. } = s;
    let dim = width / heads;
    let scale = (dim as f32).powf(-0.5);
    let (valid, causal) = sees.of(item, keys);
    let [dout] = beside(dout, width);
    for h in 0..heads {
        let [q, dout] = [q, dout].map(|x| x.head((item, queries), (0, queries), h, dim));
        let [k, v] = [k, v].map(|x| x.head((item, keys), (0, keys), h, dim));
        weights(path, p, q, k, valid, causal.then_some(0));
        into(Part::Value, h * dim, Mat::dense(p, queries, keys).t(), dout, 1.0);
        small(path, dp, (0, keys), dout, v.t(), 1.0);
        softmax_grad_at(path, p, dp, keys);
        let ds = Mat::dense(dp, queries, keys);
        into(Part::Query, h * dim, ds, k, scale);
        into(Part::Key, h * dim, ds.t(), q, scale);
    }
}
