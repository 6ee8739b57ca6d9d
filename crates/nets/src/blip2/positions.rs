//! Learned positions for another picture size: the grid resized as the reference code does it.
//!
//! A vision transformer has one learned vector per patch. When weights made at one picture size are
//! run at another there are more patches, or fewer, and the grid of vectors is resized like a
//! picture with as many channels as the network is wide.
//! The filter is PyTorch's `interpolate(mode="bicubic")`, which is not the one that pictures are
//! resized with: its kernel has a = -3/4, it is never stretched when shrinking, and what lies outside
//! the grid repeats the border.

/// Where the first and the last position of the old grid come to lie on the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corners {
    /// Cells are areas, and the grids' outer borders coincide: `align_corners=False`, what LAVIS does
    /// for EVA's transformer and transformers does for all.
    Free,
    /// Cells are points, and the corner points coincide: `align_corners=True`, what LAVIS does for
    /// CLIP's ViT-L.
    Aligned,
}

/// Positions of a class token and a square grid behind it, for another number of tokens.
///
/// `old` is (P + 1, D) row-major; the result is (`tokens`, D). The class token's vector is kept.
/// `None` if either side is not one token and a square, or `old` is not made of rows of `width`.
pub fn resize_positions(old: &[f32], width: usize, tokens: usize, corners: Corners) -> Option<Vec<f32>> {
    if width == 0 || !old.len().is_multiple_of(width) {
        return None;
    }
    let side = |tokens: usize| {
        let side = tokens.checked_sub(1)?.isqrt();
        (side > 0 && side * side + 1 == tokens).then_some(side)
    };
    let (from, to) = (side(old.len() / width)?, side(tokens)?);
    if from == to {
        return Some(old.to_vec());
    }
    let (class, grid) = old.split_at(width);
    let taps: Vec<_> = (0..to).map(|i| taps(i, from, to, corners)).collect();
    let mut out = class.to_vec();
    out.reserve(to * to * width);
    for (rows, down) in &taps {
        for (columns, across) in &taps {
            let mut sum = vec![0.0f32; width];
            for (y, wy) in rows.iter().zip(down) {
                for (x, wx) in columns.iter().zip(across) {
                    let cell = &grid[(y * from + x) * width..][..width];
                    sum.iter_mut().zip(cell).for_each(|(s, v)| *s += wy * wx * v);
                }
            }
            out.extend(sum);
        }
    }
    Some(out)
}

/// The four old positions that a new one is mixed of, and their weights.
fn taps(i: usize, from: usize, to: usize, corners: Corners) -> ([usize; 4], [f32; 4]) {
    let at = match corners {
        Corners::Free => (i as f64 + 0.5) * from as f64 / to as f64 - 0.5,
        Corners::Aligned if to > 1 => i as f64 * (from - 1) as f64 / (to - 1) as f64,
        Corners::Aligned => 0.0,
    };
    let first = at.floor();
    let inside = |k: i64| (first as i64 + k).clamp(0, from as i64 - 1) as usize;
    ([-1, 0, 1, 2].map(inside), [-1.0, 0.0, 1.0, 2.0].map(|k| cubic(at - first - k) as f32))
}

/// The cubic convolution kernel with a = -3/4.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.75;
    let x = x.abs();
    if x <= 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_class_token_and_a_square_is_resized() {
        let five = vec![1.0; 5 * 3];
        assert_eq!(resize_positions(&five, 3, 5, Corners::Free), Some(five.clone()));
        assert_eq!(resize_positions(&five, 3, 10, Corners::Free).map(|v| v.len()), Some(30));
        for (old, width, tokens) in [(14, 3, 5), (15, 0, 5), (12, 3, 5), (15, 3, 6), (15, 3, 1), (15, 3, 0), (3, 3, 5)]
        {
            assert_eq!(resize_positions(&vec![1.0; old], width, tokens, Corners::Free), None, "{old} {width} {tokens}");
        }
    }

    #[test]
    fn a_flat_grid_stays_flat_and_the_class_token_is_kept() {
        for corners in [Corners::Free, Corners::Aligned] {
            let mut old = vec![0.25f32; 17];
            old[0] = 9.0;
            let new = resize_positions(&old, 1, 50, corners).unwrap();
            assert_eq!(new[0], 9.0);
            assert!(new[1..].iter().all(|v| (v - 0.25).abs() < 1e-6), "{new:?}");
        }
    }
}
