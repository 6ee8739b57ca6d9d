//! Packing: the factors of a product, copied so that the micro-kernel reads straight on.
//!
//! Here f32 also becomes what the kernel multiplies: words of one f32 or of two bf16 that are
//! adjacent along k. What is missing at the end of k is zero.

use super::micro::ROW_WORDS;
use super::{Mat, Precision};
use crate::cpu::{at_width, fma};

/// The sixteen bits of the nearest bf16, ties to even; a NaN stays one.
#[inline(always)]
pub fn bf16_bits(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if x.is_nan() { 0x7fc0 } else { rounded }
}

#[inline(always)]
fn pair(low: f32, high: f32) -> u32 {
    bf16_bits(low) | bf16_bits(high) << 16
}

/// One run along k: `x` becomes words.
#[inline(always)]
fn words_of_run(x: &[f32], bf16: bool, to: &mut [u32]) {
    if bf16 {
        let (pairs, last) = x.as_chunks::<2>();
        for (to, [low, high]) in to.iter_mut().zip(pairs) {
            *to = pair(*low, *high);
        }
        if let (Some(to), [x]) = (to.last_mut(), last) {
            *to = pair(*x, 0.0);
        }
    } else {
        to.iter_mut().zip(x).for_each(|(to, x)| *to = x.to_bits());
    }
}

/// Side by side: one (f32) or two (bf16) rows of numbers become a row of words.
#[inline(always)]
fn words_of_rows(first: &[f32], second: Option<&[f32]>, bf16: bool, to: &mut [u32]) {
    match (bf16, second) {
        (true, Some(second)) => {
            to.iter_mut().zip(first.iter().zip(second)).for_each(|(to, (a, b))| *to = pair(*a, *b));
        }
        (true, None) => to.iter_mut().zip(first).for_each(|(to, a)| *to = pair(*a, 0.0)),
        (false, _) => to.iter_mut().zip(first).for_each(|(to, a)| *to = a.to_bits()),
    }
}

/// Rows of a matrix whose rows run along k, [`ROW_WORDS`] apart.
#[inline(always)]
fn rows_body<const FMA: bool>(m: &Mat<'_>, rows: (usize, usize), k: (usize, usize), bf16: bool, to: &mut [u32]) {
    let words = (k.1 - k.0).div_ceil(if bf16 { 2 } else { 1 });
    for (r, to) in (rows.0..rows.1).zip(to.chunks_mut(ROW_WORDS)) {
        words_of_run(&m.data[m.at(r, k.0)..][..k.1 - k.0], bf16, &mut to[..words]);
    }
    let _ = fma::<FMA>;
}

/// Panels of `step` columns each, one after the other; in a panel word after word along k, columns
/// side by side. What is beyond the last column is left as it was.
/// `m` has k down and columns across, whichever of the two is contiguous.
#[inline(always)]
fn columns_body<const FMA: bool>(
    m: &Mat<'_>,
    k: (usize, usize),
    cols: (usize, usize),
    bf16: bool,
    step: usize,
    to: &mut [u32],
) {
    let per = if bf16 { 2 } else { 1 };
    let n = cols.1 - cols.0;
    let words = (k.1 - k.0).div_ceil(per);
    if m.col_step == 1 {
        // Whole rows, over all panels: a panel at a time would visit every page again and again.
        for (w, at) in (k.0..k.1).step_by(per).enumerate() {
            for c in (0..n).step_by(step) {
                let wide = step.min(n - c);
                let row = |k: usize| &m.data[m.at(k, cols.0 + c)..][..wide];
                let to = &mut to[c * words + w * step..][..wide];
                words_of_rows(row(at), (bf16 && at + 1 < k.1).then(|| row(at + 1)), bf16, to);
            }
        }
        return;
    }
    // Squares of sixteen words by sixteen columns, turned over in registers or close by.
    const SIDE: usize = 16;
    for c in (0..n).step_by(SIDE) {
        let wide = SIDE.min(n - c);
        for w in (0..words).step_by(SIDE) {
            let long = SIDE.min(words - w);
            let mut square = [[0u32; SIDE]; SIDE];
            let from = k.0 + w * per;
            let until = k.1.min(from + long * per);
            for (i, line) in square.iter_mut().enumerate().take(wide) {
                let at = m.at(from, cols.0 + c + i);
                if m.row_step == 1 {
                    words_of_run(&m.data[at..][..until - from], bf16, &mut line[..long]);
                } else {
                    let mut run = [0.0; 2 * SIDE];
                    for (j, x) in run.iter_mut().enumerate().take(until - from) {
                        *x = m.data[at + j * m.row_step];
                    }
                    words_of_run(&run[..until - from], bf16, &mut line[..long]);
                }
            }
            for j in 0..long {
                let to = &mut to[(c / step * words + w + j) * step + c % step..][..wide];
                for (i, to) in to.iter_mut().enumerate() {
                    *to = square[i][j];
                }
            }
        }
    }
    let _ = fma::<FMA>;
}

at_width!(rows_at => rows_body(m: &Mat<'_>, rows: (usize, usize), k: (usize, usize), bf16: bool, to: &mut [u32]));
at_width!(columns_at => columns_body(
    m: &Mat<'_>, k: (usize, usize), cols: (usize, usize), bf16: bool, step: usize, to: &mut [u32],
));

/// A block of the left factor (rows, k); returns how it lies there.
pub(super) fn left(
    path: crate::Path,
    m: &Mat<'_>,
    rows: (usize, usize),
    k: (usize, usize),
    precision: Precision,
    to: &mut [u32],
) -> super::micro::Order {
    if m.col_step == 1 {
        rows_at(path, m, rows, k, precision.is_bf16(), to);
        super::micro::Order::Rows
    } else {
        columns_at(path, &m.t(), k, rows, precision.is_bf16(), ROW_WORDS, to);
        super::micro::Order::Columns
    }
}

/// Panels of the right factor (k, columns), `width` words to a row; a multiple of 16, or wider than
/// all columns.
pub(super) fn right(
    path: crate::Path,
    m: &Mat<'_>,
    k: (usize, usize),
    cols: (usize, usize),
    precision: Precision,
    width: usize,
    to: &mut [u32],
) {
    columns_at(path, m, k, cols, precision.is_bf16(), width, to);
}
