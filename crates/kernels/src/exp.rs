//! The exponential, without branches, so that it becomes vectors.

use crate::cpu::fma;

/// eˣ to about 1e-7 relative; saturates instead of overflowing.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // So large that its last bits count ones: the sum is rounded to the nearest integer, which then lies there.
    // (`as i32` would do; but it saturates, lane by lane, which takes longer than all the rest.)
    let shifted = x * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = shifted - 12_582_912.0;
    let r = fma::<FMA>(n, -0.693_145_75, x);
    let r = fma::<FMA>(n, -1.428_606_8e-6, r);
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = fma::<FMA>(p, r, c);
    }
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_close() {
        for i in -800..800 {
            let x = i as f32 * 0.1;
            let want = (x as f64).exp();
            for got in [exp::<true>(x), exp::<false>(x)] {
                assert!((got as f64 - want).abs() <= 3e-7 * want.max(1e-38), "exp({x}) = {got}, not {want}");
            }
        }
        assert!(exp::<true>(f32::NAN).is_nan() && exp::<true>(1e9) > 1e38 && exp::<true>(-1e9) < 2e-38);
    }
}
