//! Layer norm over the last axis, and its gradient.

use crate::cpu::{Path, at_width, fma};
use rayon::prelude::*;

/// Numbers that one thread takes at a time, about.
const PIECE: usize = 1 << 14;

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
pub(crate) fn lane_sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
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

at_width!(norm_at => norm_body(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]));
at_width!(norm_grad_at => norm_grad_body(
    x: &[f32], gamma: &[f32], eps: f32, dy: &[f32], dx: &mut [f32], dgamma: &mut [f32], dbeta: &mut [f32],
));

/// Layer norm over the last axis: x (M, D), gamma and beta (D).
pub fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]) {
    let (path, d) = (Path::chosen(), gamma.len());
    if d == 0 {
        return;
    }
    let rows = (PIECE / d).max(1) * d;
    y.par_chunks_mut(rows).zip(x.par_chunks(rows)).for_each(|(y, x)| norm_at(path, x, gamma, beta, eps, y));
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
    let (path, d) = (Path::chosen(), gamma.len());
    if d == 0 {
        return;
    }
    let rows = (PIECE / d).max(1) * d;
    // Partial sums are collected in order, so that the result does not depend on the scheduling.
    let parts: Vec<(Vec<f32>, Vec<f32>)> = dx
        .par_chunks_mut(rows)
        .zip(x.par_chunks(rows).zip(dy.par_chunks(rows)))
        .map(|(dx, (x, dy))| {
            let (mut dg, mut db) = (vec![0.0; d], vec![0.0; d]);
            norm_grad_at(path, x, gamma, eps, dy, dx, &mut dg, &mut db);
            (dg, db)
        })
        .collect();
    for (dg, db) in parts {
        dgamma.iter_mut().zip(dg).for_each(|(a, b)| *a += b);
        dbeta.iter_mut().zip(db).for_each(|(a, b)| *a += b);
    }
}
