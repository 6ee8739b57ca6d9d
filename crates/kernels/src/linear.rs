//! A linear layer, `y = x · w + b`, and its gradients.

use crate::product::{Epilogue, Mat, Precision, product};
use rayon::prelude::*;

/// Rows whose gradients one thread adds up for the bias.
const ROWS: usize = 128;

/// `y = x · w + b`: x (M, K), w (K, N), b (N), y (M, N).
pub fn linear(x: &[f32], w: &[f32], b: &[f32], y: &mut [f32], (m, k, n): (usize, usize, usize), precision: Precision) {
    product(y, (0, n), Mat::dense(x, m, k), Mat::dense(w, k, n), precision, &Epilogue::bias(b));
}

/// Gradients of [`linear`]: `dx = dy · wᵀ`, `dw = xᵀ · dy`, `db = Σ dy`. An empty `dx`, or an empty
/// `dw`, is not wanted.
pub fn linear_grad(
    x: &[f32],
    w: &[f32],
    dy: &[f32],
    (dx, dw, db): (&mut [f32], &mut [f32], &mut [f32]),
    (m, k, n): (usize, usize, usize),
    precision: Precision,
) {
    let plain = Epilogue::default();
    let dy_mat = Mat::dense(dy, m, n);
    if !dx.is_empty() {
        product(dx, (0, k), dy_mat, Mat::dense(w, k, n).t(), precision, &plain);
    }
    if !dw.is_empty() {
        product(dw, (0, n), Mat::dense(x, m, k).t(), dy_mat, precision, &plain);
        // Partial sums are of fixed rows and collected in order, whatever the threads.
        let sums: Vec<Vec<f32>> = dy
            .par_chunks((ROWS * n).max(1))
            .map(|rows| {
                let mut sum = vec![0.0; n];
                rows.chunks_exact(n).for_each(|row| sum.iter_mut().zip(row).for_each(|(s, g)| *s += g));
                sum
            })
            .collect();
        db.fill(0.0);
        sums.iter().for_each(|sum| db.iter_mut().zip(sum).for_each(|(d, s)| *d += s));
    }
}
