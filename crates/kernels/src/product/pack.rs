//! Packing: the factors of a product, copied so that the micro-kernel reads straight on.
//!
//! Here f32 also becomes what the kernel multiplies: words of one f32 or of two bf16 that are
//! adjacent along k. What is missing at the end of k is zero.

use super::micro::{COLUMN_WORDS, ROW_WORDS};
use super::{Kind, Mat, Words, half};
use crate::Path;
use crate::cpu::{at_width, fma};
use rayon::prelude::*;

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

/// A run along k as bytes, divided by their scale, 128 above their meaning.
#[inline(always)]
fn bytes_of_run(x: &[f32], inverse: f32, to: &mut [u32]) {
    // Rounded to the nearest by the sum's own rounding; the byte is then at the bottom of its bits.
    let byte = |x: f32| (x * inverse + (12_582_912.0 + 128.0)).to_bits() & 0xff;
    let (fours, rest) = x.as_chunks::<4>();
    for (to, [a, b, c, d]) in to.iter_mut().zip(fours) {
        *to = byte(*a) | byte(*b) << 8 | byte(*c) << 16 | byte(*d) << 24;
    }
    if let (Some(to), false) = (to.get_mut(fours.len()), rest.is_empty()) {
        *to = rest.iter().enumerate().fold(0, |word, (i, x)| word | byte(*x) << (8 * i));
    }
}

#[inline(always)]
fn bytes_body<const FMA: bool>(m: &Mat<'_>, rows: (usize, usize), k: (usize, usize), scales: &[f32], to: &mut [u32]) {
    let words = (k.1 - k.0).div_ceil(4);
    for ((r, to), scale) in (rows.0..rows.1).zip(to.chunks_mut(ROW_WORDS)).zip(scales) {
        let inverse = if *scale > 0.0 { 1.0 / scale } else { 0.0 };
        bytes_of_run(&m.data[m.at(r, k.0)..][..k.1 - k.0], inverse, &mut to[..words]);
    }
    let _ = fma::<FMA>;
}

#[inline(always)]
fn scales_body<const FMA: bool>(m: &Mat<'_>, rows: (usize, usize), scales: &mut [f32]) {
    for (r, scale) in (rows.0..rows.1).zip(scales) {
        let row = &m.data[m.at(r, 0)..][..m.cols];
        let (mut most, mut odd) = ([0.0f32; 16], [0.0f32; 16]);
        let (full, rest) = row.as_chunks::<16>();
        for x in full {
            for i in 0..16 {
                most[i] = most[i].max(x[i].abs());
                odd[i] += x[i] * 0.0;
            }
        }
        let (mut all, mut none) = (0.0f32, odd.iter().sum::<f32>());
        for x in most.iter().chain(rest) {
            all = all.max(x.abs());
            none += x * 0.0;
        }
        // A maximum passes over what is no number, or infinite; the sum of nothings does not, and then the scale is
        // none either, and with it all that the row takes part in.
        *scale = all / 127.0 + none;
    }
    let _ = fma::<FMA>;
}

at_width!(bytes_at => bytes_body(m: &Mat<'_>, rows: (usize, usize), k: (usize, usize), scales: &[f32], to: &mut [u32]));
at_width!(scales_at => scales_body(m: &Mat<'_>, rows: (usize, usize), scales: &mut [f32]));

/// For each of these rows, what its numbers are divided by to become bytes.
pub(super) fn scales_of_rows(path: Path, m: &Mat<'_>, rows: (usize, usize), scales: &mut [f32]) {
    if m.cols > 0 {
        scales_at(path, m, rows, scales);
    }
}

/// For each column what its numbers are divided by to become bytes, the largest this one, and 128 times the bytes' sum.
pub(super) fn scales_of_columns(m: &Mat<'_>, most_byte: u8) -> (Vec<f32>, Vec<f32>) {
    let column = |c: usize| (0..m.rows).map(move |k| m.data[m.at(k, c)]);
    (0..m.cols)
        .into_par_iter()
        .map(|c| {
            // As in `scales_body`.
            let (most, none) = column(c).fold((0.0f32, 0.0), |(most, none), x| (most.max(x.abs()), none + x * 0.0));
            let scale = most / f32::from(most_byte) + none;
            let sum: i64 = column(c).map(|x| i64::from(signed_byte(x, scale))).sum();
            (scale, sum as f32 * 128.0)
        })
        .unzip()
}

fn signed_byte(x: f32, scale: f32) -> i8 {
    // Rounded as in `bytes_of_run`; the library's own rounding is a call for each number.
    if scale > 0.0 { (x / scale + 12_582_912.0).to_bits() as i8 } else { 0 }
}

/// Panels of signed bytes; done once for a layer's weights, so it need not be fast.
fn signed_bytes(m: &Mat<'_>, k: (usize, usize), cols: (usize, usize), scales: &[f32], step: usize, to: &mut [u32]) {
    for (w, at) in (k.0..k.1).step_by(4).enumerate() {
        for c in cols.0..cols.1 {
            let byte = |i: usize| u32::from(signed_byte(m.data[m.at(at + i, c)], scales[c]) as u8) << (8 * i);
            to[w * step + c - cols.0] = (0..4.min(k.1 - at)).map(byte).sum();
        }
    }
}

/// The whole right factor: blocks along k, in each its panels.
pub(super) fn whole(path: Path, b: &Mat<'_>, kind: Kind, scales: &[f32], shared: bool) -> Words {
    let (k, n, width, per) = (b.rows, b.cols, kind.panel(path), kind.per_word());
    let most = kind.run_of(path);
    let panels = n.div_ceil(width);
    let mut words = Words::default();
    let room = words.room(k.div_ceil(per) * panels * width);
    for (block, to) in room.chunks_mut((most / per * panels * width).max(1)).enumerate() {
        let from = block * most;
        let run = (from, k.min(from + most));
        let size = run.1.saturating_sub(run.0).div_ceil(per) * width;
        if size == 0 {
            break;
        }
        let pack = |(p, to): (usize, &mut [u32])| {
            let cols = (p * width, n.min((p + 1) * width));
            if kind == Kind::Int8 {
                signed_bytes(b, run, cols, scales, width, to);
            } else {
                right(path, b, run, cols, kind, width, to);
            }
        };
        let to = &mut to[..size * panels];
        if shared {
            to.par_chunks_mut(size).enumerate().for_each(pack);
        } else {
            to.chunks_mut(size).enumerate().for_each(pack);
        }
    }
    words
}

/// A block of the left factor (rows, k); returns how it lies there.
pub(super) fn left(
    path: Path,
    m: &Mat<'_>,
    rows: (usize, usize),
    k: (usize, usize),
    kind: Kind,
    scales: &[f32],
    to: &mut [u32],
) -> super::micro::Order {
    if kind == Kind::Int8 {
        bytes_at(path, m, rows, k, scales, to);
        super::micro::Order::Rows
    } else {
        let bf16 = kind.left(path) == Kind::Bf16;
        // What meets nothing at the end of the right factor's last word must be nothing too.
        let words = if bf16 { 0 } else { k.1 - k.0 };
        let odd = !words.is_multiple_of(kind.per_word());
        if m.col_step == 1 {
            rows_at(path, m, rows, k, bf16, to);
            if odd {
                to.chunks_mut(ROW_WORDS).take(rows.1 - rows.0).for_each(|row| row[words] = 0);
            }
            super::micro::Order::Rows
        } else {
            columns_at(path, &m.t(), k, rows, bf16, COLUMN_WORDS, to);
            if odd {
                to[words * COLUMN_WORDS..][..rows.1 - rows.0].fill(0);
            }
            super::micro::Order::Columns
        }
    }
}

/// Panels of the right factor (k, columns), `width` words to a row; a multiple of 16, or wider than
/// all columns. Of halves a single panel.
pub(super) fn right(
    path: Path,
    m: &Mat<'_>,
    k: (usize, usize),
    cols: (usize, usize),
    kind: Kind,
    width: usize,
    to: &mut [u32],
) {
    if kind == Kind::F16 {
        half::right(path, m, k, cols, width, to);
    } else {
        columns_at(path, m, k, cols, kind == Kind::Bf16, width, to);
    }
}
