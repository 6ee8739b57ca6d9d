//! What stands between two products: GELU, exact and in its two gated shapes, with gradients.

use crate::cpu::{Path, at_width, fma};
use crate::exp::exp;
use rayon::prelude::*;

/// A function of each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x · Φ(x)`, exact.
    Gelu,
    /// `x · σ(1.702 x)`.
    QuickGelu,
    /// `x · σ(2·√(2/π)·(x + 0.044715·x³))`, which is GELU's approximation by tanh.
    GeluTanh,
}

const GELU: u8 = 0;
const QUICK: u8 = 1;
const TANH: u8 = 2;

/// Numbers that one thread takes at a time.
const PIECE: usize = 1 << 14;

/// The Gaussian error function to 1.5e-7 absolute (Abramowitz and Stegun 7.1.26), and `exp(-x²)`,
/// which it needs and its derivative is.
#[inline(always)]
fn erf<const FMA: bool>(x: f32) -> (f32, f32) {
    let a = x.abs();
    let t = 1.0 / fma::<FMA>(0.327_591_1, a, 1.0);
    let mut p = 1.061_405_4;
    for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        p = fma::<FMA>(p, t, c);
    }
    let bell = exp::<FMA>(-a * a);
    ((1.0 - p * t * bell).copysign(x), bell)
}

/// What the sigmoid of a gated unit is given, and its slope.
#[inline(always)]
fn gate<const FMA: bool, const KIND: u8>(x: f32) -> (f32, f32) {
    const TWO_SQRT_2_OVER_PI: f32 = 1.595_769_1;
    if KIND == TANH {
        let square = 0.044_715 * x * x;
        (TWO_SQRT_2_OVER_PI * fma::<FMA>(square, x, x), TWO_SQRT_2_OVER_PI * fma::<FMA>(3.0, square, 1.0))
    } else {
        (1.702 * x, 1.702)
    }
}

#[inline(always)]
fn value<const FMA: bool, const KIND: u8>(x: f32) -> f32 {
    if KIND == GELU {
        0.5 * x * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2).0)
    } else {
        x / (1.0 + exp::<FMA>(-gate::<FMA, KIND>(x).0))
    }
}

#[inline(always)]
fn slope<const FMA: bool, const KIND: u8>(x: f32) -> f32 {
    if KIND == GELU {
        const INV_SQRT_2PI: f32 = 0.398_942_3;
        let (erf, bell) = erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2);
        fma::<FMA>(x * INV_SQRT_2PI, bell, 0.5 * (1.0 + erf))
    } else {
        let (z, slope) = gate::<FMA, KIND>(x);
        let s = 1.0 / (1.0 + exp::<FMA>(-z));
        s * fma::<FMA>(x * slope, 1.0 - s, 1.0)
    }
}

/// Each number of a few, in place.
#[inline(always)]
pub(crate) fn lanes<const FMA: bool, const N: usize>(kind: Activation, x: &mut [f32; N]) {
    #[inline(always)]
    fn each<const FMA: bool, const KIND: u8, const N: usize>(x: &mut [f32; N]) {
        for x in x {
            *x = value::<FMA, KIND>(*x);
        }
    }
    match kind {
        Activation::Gelu => each::<FMA, GELU, N>(x),
        Activation::QuickGelu => each::<FMA, QUICK, N>(x),
        Activation::GeluTanh => each::<FMA, TANH, N>(x),
    }
}

#[inline(always)]
fn values_body<const FMA: bool>(kind: Activation, x: &[f32], y: &mut [f32]) {
    let pairs = y.iter_mut().zip(x);
    match kind {
        Activation::Gelu => pairs.for_each(|(y, x)| *y = value::<FMA, GELU>(*x)),
        Activation::QuickGelu => pairs.for_each(|(y, x)| *y = value::<FMA, QUICK>(*x)),
        Activation::GeluTanh => pairs.for_each(|(y, x)| *y = value::<FMA, TANH>(*x)),
    }
}

#[inline(always)]
fn slopes_body<const FMA: bool>(kind: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let triples = dx.iter_mut().zip(x.iter().zip(dy));
    match kind {
        Activation::Gelu => triples.for_each(|(dx, (x, dy))| *dx = dy * slope::<FMA, GELU>(*x)),
        Activation::QuickGelu => triples.for_each(|(dx, (x, dy))| *dx = dy * slope::<FMA, QUICK>(*x)),
        Activation::GeluTanh => triples.for_each(|(dx, (x, dy))| *dx = dy * slope::<FMA, TANH>(*x)),
    }
}

at_width!(values_at => values_body(kind: Activation, x: &[f32], y: &mut [f32]));
at_width!(slopes_at => slopes_body(kind: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]));

/// The activation of each number.
pub fn activate(kind: Activation, x: &[f32], y: &mut [f32]) {
    let path = Path::chosen();
    y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| values_at(path, kind, x, y));
}

/// Gradient of [`activate`].
pub fn activate_grad(kind: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let path = Path::chosen();
    dx.par_chunks_mut(PIECE)
        .zip(x.par_chunks(PIECE).zip(dy.par_chunks(PIECE)))
        .for_each(|(dx, (x, dy))| slopes_at(path, kind, x, dy, dx));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_is_close() {
        // A few values to ten digits.
        for (x, want) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (-1.5, -0.966_105_146_5),
        ] {
            assert!((erf::<true>(x).0 as f64 - want).abs() < 3e-7, "erf({x})");
        }
    }
}
