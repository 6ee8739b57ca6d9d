//! Vectors as 8-bit integers, with a bound on what that loses.
//!
//! A vector x is written as s·c + e: integers c from -127 to 127, one scale s, and a remainder e.
//! For x = s·c + e and a query q = t·d + f,
//!
//! > x·q = s·t·(c·d) + (s·c)·f + e·q, so |x·q − s·t·(c·d)| ≤ ‖s·c‖·‖f‖ + ‖e‖·‖q‖  (Cauchy–Schwarz).
//!
//! All four norms are known, so every row has an interval that surely holds its exact score; a row
//! whose interval ends below those of `limit` others is ruled out for certain. For unit vectors of
//! 256 numbers the interval is some ±0.015 wide, and a few dozen rows of a million need the f32.

/// Rows of codes are padded with zeros to a multiple of this many bytes: no kernel has a tail.
pub(crate) const ALIGN: usize = 64;

/// Longest vector (rows times length) that a space may have: 127²·65,536 fits 32 bits.
pub(crate) const MAX_WIDTH: usize = 1 << 16;

/// Bytes of one row of codes.
pub(crate) fn stride(width: usize) -> usize {
    width.div_ceil(ALIGN) * ALIGN
}

/// What a row of codes stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Row {
    /// s: what one step of a code is worth.
    pub scale: f32,
    /// At least ‖e‖.
    pub err: f32,
    /// At least ‖s·c‖.
    pub norm: f32,
}

/// Writes the codes of `values` into `codes` (the padding becomes zero). `values` are finite.
pub(crate) fn quantise(values: &[f32], codes: &mut [i8]) -> Row {
    codes.fill(0);
    let max = values.iter().fold(0f32, |m, v| m.max(v.abs()));
    let scale = max / 127.0;
    let (mut err, mut norm) = (0f64, 0f64);
    for (v, c) in values.iter().zip(codes) {
        // A scale that underflowed to zero makes every code zero, and the remainder says so.
        *c = if scale > 0.0 { (v / scale).round().clamp(-127.0, 127.0) as i8 } else { 0 };
        let meant = f64::from(scale) * f64::from(*c);
        err += (f64::from(*v) - meant).powi(2);
        norm += meant * meant;
    }
    Row { scale, err: at_least(err.sqrt()), norm: at_least(norm.sqrt()) }
}

/// The f32 not below this sum, whose own rounding is far smaller than the margin.
fn at_least(x: f64) -> f32 {
    ((x * (1.0 + 1e-9)) as f32).next_up()
}

/// A query, ready to be compared with rows of codes.
pub(crate) struct Question {
    pub codes: Vec<i8>,
    /// Sum of the codes.
    pub sum: i32,
    scale: f32,
    err: f32,
    norm: f32,
    /// Bounds the rounding of the f32 dot products themselves, per unit of the row's norm.
    rounding: f32,
}

impl Question {
    /// `weight` is what the f32 score is a sum of, at most: Σ|w|·‖q‖ over the terms folded in.
    pub fn new(values: &[f32], weight: f32) -> Self {
        let mut codes = vec![0; stride(values.len())];
        let row = quantise(values, &mut codes);
        let sum = codes.iter().map(|c| i32::from(*c)).sum();
        let norm = at_least(values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt());
        // The textbook bound n·ε·‖a‖·‖b‖ of a sum of n products, with room for the scalar steps
        // around it. It is some thousand times smaller than the quantisation bound.
        let rounding = (values.len() + 64) as f32 * f32::EPSILON * weight.max(norm);
        Self { codes, sum, scale: row.scale, err: row.err, norm, rounding }
    }

    /// What lies surely around the exact score: its approximation, and how far it may be off.
    #[inline(always)]
    pub fn interval(&self, dot: i32, scale: f32, err: f32, norm: f32) -> (f32, f32) {
        let about = dot as f32 * (self.scale * scale);
        let off = norm * (self.err + self.rounding) + err * (self.norm + self.rounding);
        // The last summand is for products so small that they vanish.
        (about, off * 1.000_01 + 1e-30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Random;

    #[test]
    fn the_interval_holds_the_exact_score() {
        let mut random = Random(7);
        for width in [1, 3, 64, 100, 256, 1000] {
            for case in 0..200 {
                let spread = [1.0, 1e-20, 1e15][case % 3];
                let a: Vec<f32> = (0..width).map(|_| random.normal() * spread).collect();
                let b: Vec<f32> = (0..width).map(|_| random.normal()).collect();
                let exact: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                let mut codes = vec![0; stride(width)];
                let row = quantise(&a, &mut codes);
                let question = Question::new(&b, 0.0);
                let dot = codes.iter().zip(&question.codes).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
                let (about, off) = question.interval(dot, row.scale, row.err, row.norm);
                assert!((exact - f64::from(about)).abs() <= f64::from(off), "{width} {case}: {exact} {about} {off}");
            }
        }
    }

    #[test]
    fn zeros_and_tiny_numbers_do_no_harm() {
        for values in [[0.0; 5], [1e-45; 5], [f32::MAX; 5]] {
            let mut codes = [1; 64];
            let row = quantise(&values, &mut codes);
            assert!(!row.scale.is_nan() && codes[5..].iter().all(|c| *c == 0));
        }
    }
}
