//! Halves (IEEE binary16): sixteen bits, eleven of them significant, from 2⁻²⁴ to 65,504.
//!
//! Many published weights are kept in them, and so are ours, so a right factor of f32 often says no more than
//! its halves would. Then it is packed as halves: half the memory, and half of what has to come from there. The
//! first tile of a panel widens them on their way into its registers, and leaves them wide for the tiles below;
//! so sums are those of f32, to the bit.

use super::Mat;
use crate::Path;
use crate::cpu::{at_width, fma};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// The largest half.
const MOST: u32 = 65_504f32.to_bits();
/// The smallest with all its bits; below it they lie 2⁻²⁴ apart.
const LEAST: u32 = (1.0 / 16_384.0f32).to_bits();
/// How many of the smallest half make one.
const SMALLEST: f32 = 16_777_216.0;

/// Whether a half says the same; infinities and what is no number count as if none did.
#[inline(always)]
fn is_exact(x: f32) -> bool {
    let size = x.to_bits() & 0x7fff_ffff;
    let (full, small) = (size & 0x1fff == 0, f32::from_bits(size.min(LEAST)) * SMALLEST);
    size <= MOST && if size >= LEAST { full } else { small == small as i32 as f32 }
}

/// The bits of the half that says the same, where one does.
#[inline(always)]
fn bits(x: f32) -> u32 {
    let (sign, size) = (x.to_bits() >> 16 & 0x8000, x.to_bits() & 0x7fff_ffff);
    let small = (f32::from_bits(size.min(LEAST)) * SMALLEST) as i32 as u32;
    sign | if size >= LEAST { (size >> 13).wrapping_sub(112 << 10) } else { small }
}

/// The number that a half's bits say; of infinities and what is no number nothing is promised.
#[inline(always)]
pub(super) fn widened(half: u32) -> f32 {
    // As if the exponent were f32's, then moved by what the two begin apart: exact, the smallest ones too.
    let size = f32::from_bits((half & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(size.to_bits() | (half & 0x8000) << 16)
}

#[inline(always)]
fn all_exact_body<const FMA: bool>(x: &[f32], all: &mut bool) {
    // Not one after the other: a loop that may end anywhere is not made into vectors.
    *all = x.iter().fold(true, |all, x| all & is_exact(*x));
    let _ = fma::<FMA>;
}

at_width!(all_exact_at => all_exact_body(x: &[f32], all: &mut bool));

/// Whether halves say all that the matrix does.
pub(super) fn suffice(path: Path, m: &Mat<'_>) -> bool {
    let (lines, long, step) = if m.col_step == 1 { (m.rows, m.cols, m.row_step) } else { (m.cols, m.rows, m.col_step) };
    // Of nothing not even a place need be there.
    let lines = if long == 0 { 0 } else { lines };
    let so_far = AtomicBool::new(true);
    (0..lines).into_par_iter().for_each(|line| {
        if so_far.load(Ordering::Relaxed) {
            let mut all = true;
            all_exact_at(path, &m.data[m.offset + line * step..][..long], &mut all);
            so_far.fetch_and(all, Ordering::Relaxed);
        }
    });
    so_far.into_inner()
}

#[inline(always)]
fn columns_body<const FMA: bool>(m: &Mat<'_>, k: (usize, usize), cols: (usize, usize), width: usize, to: &mut [u32]) {
    let mut row = [0.0f32; MOST_COLUMNS];
    let n = cols.1 - cols.0;
    for (at, to) in (k.0..k.1).zip(to.chunks_exact_mut(width / 2)) {
        if m.col_step == 1 {
            row[..n].copy_from_slice(&m.data[m.at(at, cols.0)..][..n]);
        } else {
            row.iter_mut().take(n).enumerate().for_each(|(i, x)| *x = m.data[m.at(at, cols.0 + i)]);
        }
        for (to, [low, high]) in to.iter_mut().zip(row.as_chunks::<2>().0) {
            *to = bits(*low) | bits(*high) << 16;
        }
    }
    let _ = fma::<FMA>;
}

at_width!(columns_at => columns_body(
    m: &Mat<'_>, k: (usize, usize), cols: (usize, usize), width: usize, to: &mut [u32],
));

/// Columns of the widest panel.
const MOST_COLUMNS: usize = 32;

/// A panel of the right factor (k, columns): row after row, `width` halves to a row, of numbers that halves suffice
/// for.
pub(super) fn right(path: Path, m: &Mat<'_>, k: (usize, usize), cols: (usize, usize), width: usize, to: &mut [u32]) {
    columns_at(path, m, k, cols, width, to);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_comes_back_and_its_neighbours_are_known() {
        for half in (0..1u32 << 16).filter(|half| half & 0x7c00 != 0x7c00) {
            let x = widened(half);
            assert!(is_exact(x), "{x} is a half");
            assert_eq!(bits(x), half);
            // By its own definition: sign, significant bits, exponent.
            let (sign, exponent, fraction) = (half >> 15, half >> 10 & 31, f64::from(half & 1023));
            let size = if exponent == 0 { fraction } else { (1024.0 + fraction) * f64::from(1u32 << (exponent - 1)) };
            let want = size / 16_777_216.0 * if sign == 1 { -1.0 } else { 1.0 };
            assert!(f64::from(x) == want && x.is_sign_negative() == (sign == 1), "{half:#x} is {want}, not {x}");
            for near in [x.to_bits() + 1, x.to_bits().wrapping_sub(1)].map(f32::from_bits) {
                assert!(!is_exact(near), "{near:e} beside {x:e} is no half");
            }
        }
        let nothing = Mat::strided(&[], 5, 3, 0, 2);
        assert!(suffice(Path::chosen(), &nothing) && suffice(Path::chosen(), &nothing.t()));
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 65_520.0, 1e30, 1e-30, f32::from_bits(1)] {
            assert!(!is_exact(odd), "{odd:e}");
        }
    }

    #[test]
    fn one_number_that_is_no_half_is_found_wherever_it_stands() {
        let (rows, cols, gap) = (7, 37, 3);
        for path in Path::all() {
            for at in 0..rows * cols {
                let mut numbers = vec![0.1f32; 2 + rows * (cols + gap)];
                let mut set = |i: usize, x| numbers[2 + i / cols * (cols + gap) + i % cols] = x;
                (0..rows * cols).for_each(|i| set(i, 0.5));
                let all = |numbers: &[f32]| {
                    let m = Mat::strided(numbers, 2, rows, cols, cols + gap);
                    [suffice(*path, &m), suffice(*path, &m.t())]
                };
                assert_eq!(all(&numbers), [true; 2], "what lies between the rows does not count");
                numbers[2 + at / cols * (cols + gap) + at % cols] = 0.1;
                assert_eq!(all(&numbers), [false; 2], "{} at {at}", path.name());
            }
        }
    }
}
