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

/// Numbers that are finished together: a compiler makes one vector of them.
const LANES: usize = 16;

#[inline(always)]
fn lanes<const FMA: bool, const N: usize>(
    e: &Epilogue<'_>,
    sums: &[f32; N],
    out: &mut [f32; N],
    (first, last): (bool, bool),
    (at, col): (usize, usize),
) {
    let mut v = *sums;
    if !first {
        (0..N).for_each(|i| v[i] += out[i]);
    }
    if last {
        if e.scale != 1.0 {
            (0..N).for_each(|i| v[i] *= e.scale);
        }
        if let Some(bias) = e.bias {
            let bias = &bias[col..][..N];
            (0..N).for_each(|i| v[i] += bias[i]);
        }
        if let Some(kind) = e.activation {
            activation::lanes::<FMA, N>(kind, &mut v);
        }
        if let Some(residual) = e.residual {
            let residual = &residual[at..][..N];
            (0..N).for_each(|i| v[i] += residual[i]);
        }
    }
    *out = v;
}

#[inline(always)]
fn row_body<const FMA: bool>(
    e: &Epilogue<'_>,
    sums: &[f32],
    step: usize,
    out: &mut Rows,
    (rows, cols): (usize, usize),
    turn: (bool, bool),
    (at, col): (usize, usize),
) {
    for r in 0..rows {
        // SAFETY: `finish` hands over rows that it may write.
        let out_row = unsafe { std::slice::from_raw_parts_mut(out.at.add(r * out.step), cols) };
        let at = at + r * out.step;
        let (full, rest) = out_row.as_chunks_mut::<LANES>();
        let (sum_full, sum_rest) = sums[r * step..][..cols].as_chunks::<LANES>();
        for (i, (out, sums)) in full.iter_mut().zip(sum_full).enumerate() {
            lanes::<FMA, LANES>(e, sums, out, turn, (at + i * LANES, col + i * LANES));
        }
        let done = cols - rest.len();
        for (i, (out, sum)) in rest.iter_mut().zip(sum_rest).enumerate() {
            lanes::<FMA, 1>(e, &[*sum], std::array::from_mut(out), turn, (at + done + i, col + done + i));
        }
    }
    let _ = fma::<FMA>;
}

struct Rows {
    at: *mut f32,
    step: usize,
}

at_width!(rows_at => row_body(
    e: &Epilogue<'_>, sums: &[f32], step: usize, out: &mut Rows, size: (usize, usize), turn: (bool, bool), place: (usize, usize),
));

/// Adds a tile of sums to the output (or writes it, on the `first` turn along k) and, on the
/// `last`, finishes it. `place` is where the tile is: its index in the output's slice, its column.
///
/// # Safety
/// `out` may be written, by nobody else meanwhile, in `rows` rows of `cols` numbers, `row_step` apart.
pub(super) unsafe fn finish(
    path: crate::Path,
    e: &Epilogue<'_>,
    sums: &[f32],
    step: usize,
    out: *mut f32,
    row_step: usize,
    size: (usize, usize),
    turn: (bool, bool),
    place: (usize, usize),
) {
    rows_at(path, e, sums, step, &mut Rows { at: out, step: row_step }, size, turn, place);
}
