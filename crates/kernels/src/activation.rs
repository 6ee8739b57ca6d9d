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

/// Φ(x), the share of a normal distribution that lies below x, to 1e-7 absolute: `0.5 + x · P(x²) / Q(x²)`, fitted
/// where Φ is not 0 or 1 to that accuracy. A quotient needs no exponential, and a polynomial alone would lose its
/// digits in sums of large terms.
#[inline(always)]
fn below<const FMA: bool>(x: f32) -> f32 {
    const P: [f32; 6] = [2.473_113_8e-8, 6.407_890_4e-6, 1.568_616_1e-4, 4.608_645_6e-3, 0.032_544_557, 0.398_942_26];
    const Q: [f32; 6] = [1.258_869e-6, 7.049_611e-5, 1.817_202_8e-3, 0.027_926_69, 0.248_243_45, 1.0];
    let x = x.clamp(-5.2, 5.2);
    let (square, mut p, mut q) = (x * x, P[0], Q[0]);
    for i in 1..6 {
        p = fma::<FMA>(p, square, P[i]);
        q = fma::<FMA>(q, square, Q[i]);
    }
    0.5 + x * p / q
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
    if KIND == GELU { x * below::<FMA>(x) } else { x / (1.0 + exp::<FMA>(-gate::<FMA, KIND>(x).0)) }
}

#[inline(always)]
fn slope<const FMA: bool, const KIND: u8>(x: f32) -> f32 {
    if KIND == GELU {
        const INV_SQRT_2PI: f32 = 0.398_942_3;
        fma::<FMA>(x * INV_SQRT_2PI, exp::<FMA>(-0.5 * x * x), below::<FMA>(x))
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
    fn the_share_below_is_close() {
        // A few values to ten digits.
        for (x, want) in [
            (0.0, 0.5),
            (0.5, 0.691_462_461_3),
            (1.0, 0.841_344_746_1),
            (2.5, 0.993_790_334_7),
            (-1.5, 0.066_807_201_3),
            (-7.0, 0.0),
            (f32::INFINITY, 1.0),
        ] {
            assert!((f64::from(below::<true>(x)) - want).abs() < 1.2e-7, "Φ({x}) = {}", below::<true>(x));
        }
        assert!(below::<true>(f32::NAN).is_nan());
    }
}
