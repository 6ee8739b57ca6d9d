//! What is done to a tile of a product before it is written.

use crate::activation::{self, Activation};
use crate::cpu::{at_width, fma};

/// `activation(scale · sum + bias) + residual`.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// Multiplies the sums.
    pub scale: f32,
    /// One number for each column.
    pub bias: Option<&'a [f32]>,
    /// After the bias.
    pub activation: Option<Activation>,
    /// Added at last; lies as the output does, from the start of the output's slice on.
    pub residual: Option<&'a [f32]>,
}

impl Default for Epilogue<'_> {
    fn default() -> Self {
        Self { scale: 1.0, bias: None, activation: None, residual: None }
    }
}

impl<'a> Epilogue<'a> {
    /// Only a bias.
    pub fn bias(bias: &'a [f32]) -> Self {
        Self { bias: Some(bias), ..Self::default() }
    }

    /// Only a scale.
    pub fn scale(scale: f32) -> Self {
        Self { scale, ..Self::default() }
    }

    pub(super) fn check(&self, len: usize, cols: usize) {
        assert!(self.bias.is_none_or(|b| b.len() == cols), "the bias of a product has one number for each column");
        assert!(self.residual.is_none_or(|r| r.len() >= len), "the residual of a product is as long as its output");
    }
}

/// What is done to all tiles of a piece.
pub(super) struct Whole<'a> {
    pub epilogue: &'a Epilogue<'a>,
    /// Of a product of bytes: the scale of each column, and 128 times the sum of its bytes, which is
    /// what the left factor's being 128 too large has added.
    pub bytes: Option<(&'a [f32], &'a [f32])>,
    /// Of a product of bytes: the scale of each row of the tile.
    pub row_scales: &'a [f32],
}

/// Which part of the sums a tile holds, and where it goes.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    /// Nothing of the output is there yet.
    pub first: bool,
    /// k ends here.
    pub last: bool,
    /// The tile's place in the output's slice.
    pub at: usize,
    /// Its first column.
    pub col: usize,
}

/// Where the rows of a tile go.
#[derive(Clone, Copy)]
pub(super) struct Place {
    at: *mut f32,
    step: usize,
    rows: usize,
    cols: usize,
}

impl Place {
    /// Rows of columns, `step` apart from `at` on.
    ///
    /// # Safety
    /// As long as this lives, these numbers may be written, and nobody else reads or writes them.
    pub unsafe fn new(at: *mut f32, step: usize, (rows, cols): (usize, usize)) -> Self {
        Self { at, step, rows, cols }
    }
}

/// Numbers that are finished together: a compiler makes two vectors of them, whose long sums overlap.
const TWO: usize = 32;
/// The same for narrower tiles and what is left.
const ONE: usize = 16;

/// Numbers from a place on, as an array: with a slice, the compiler adds one number after the other.
#[inline(always)]
fn some<const N: usize>(all: &[f32], from: usize) -> [f32; N] {
    std::array::from_fn(|i| all[from..from + N][i])
}

#[inline(always)]
fn lanes<const FMA: bool, const N: usize>(w: &Whole<'_>, row: usize, sums: &[f32; N], out: &mut [f32; N], turn: Turn) {
    let Turn { first, last, at, col } = turn;
    // Plain loops: what is passed as a closure may be compiled on its own, without the path's vectors.
    let mut v = *sums;
    if !first {
        for i in 0..N {
            v[i] += out[i];
        }
    }
    if last {
        let e = w.epilogue;
        if let Some((scales, extra)) = w.bytes {
            let (scales, extra, row) = (some::<N>(scales, col), some::<N>(extra, col), w.row_scales[row]);
            for i in 0..N {
                v[i] = (v[i] - extra[i]) * (row * scales[i]);
            }
        }
        if e.scale != 1.0 {
            for v in &mut v {
                *v *= e.scale;
            }
        }
        if let Some(bias) = e.bias {
            let bias = some::<N>(bias, col);
            for i in 0..N {
                v[i] += bias[i];
            }
        }
        if let Some(kind) = e.activation {
            activation::lanes::<FMA, N>(kind, &mut v);
        }
        if let Some(residual) = e.residual {
            let residual = some::<N>(residual, at);
            for i in 0..N {
                v[i] += residual[i];
            }
        }
    }
    *out = v;
}

#[inline(always)]
fn rows_body<const FMA: bool>(w: &Whole<'_>, sums: &[f32], step: usize, out: Place, turn: Turn) {
    let cols = out.cols;
    for r in 0..out.rows {
        // SAFETY: whoever made the place said that these numbers are ours.
        let out_row = unsafe { std::slice::from_raw_parts_mut(out.at.add(r * out.step), cols) };
        let place = |c: usize| Turn { at: turn.at + r * out.step + c, col: turn.col + c, ..turn };
        let sums = &sums[r * step..][..cols];
        let (twos, rest) = out_row.as_chunks_mut::<TWO>();
        let (two_sums, rest_sums) = sums.as_chunks::<TWO>();
        for (i, (out, sums)) in twos.iter_mut().zip(two_sums).enumerate() {
            lanes::<FMA, TWO>(w, r, sums, out, place(i * TWO));
        }
        let done = cols - rest.len();
        let (ones, last) = rest.as_chunks_mut::<ONE>();
        let (one_sums, last_sums) = rest_sums.as_chunks::<ONE>();
        for (i, (out, sums)) in ones.iter_mut().zip(one_sums).enumerate() {
            lanes::<FMA, ONE>(w, r, sums, out, place(done + i * ONE));
        }
        let done = cols - last.len();
        for (i, (out, sum)) in last.iter_mut().zip(last_sums).enumerate() {
            lanes::<FMA, 1>(w, r, &[*sum], std::array::from_mut(out), place(done + i));
        }
    }
    let _ = fma::<FMA>;
}

at_width!(rows_at => rows_body(w: &Whole<'_>, sums: &[f32], step: usize, out: Place, turn: Turn));

/// Adds a tile of sums, its rows `step` apart, to the output (or writes it, on the `first` turn along
/// k) and, on the `last`, finishes it.
pub(super) fn finish(path: crate::Path, w: &Whole<'_>, sums: &[f32], step: usize, out: Place, turn: Turn) {
    rows_at(path, w, sums, step, out, turn);
}
