//! A network of coarse patches, made into one of finer patches that begins where it stood.
//!
//! Most of what a vision transformer learns, it learns as well with few large patches, at a fraction of
//! the cost; fine detail needs many small ones.
//! So a network may learn coarsely first.
//! The finer one sees a picture just as the coarse one would see it magnified: each pixel repeated
//! `f × f` times, `f` the ratio of the two patches.
//! That makes the new patch weights exact sums over `f × f` blocks of the old; the positions in between
//! are interpolated.
//! FlexiViT (Beyer et al. 2023) does the same for any ratio.

use super::{Blip2, Config, Corners, resize_positions};
use crate::weights::{Tensors, WeightsError};
use burn::tensor::Device;

/// The network of `to`'s patches that begins where `net`, of `from`'s patches, stands.
///
/// The configurations may differ in their patch only, and the finer must divide the coarser.
pub fn finer(net: &Blip2, from: &Config, to: &Config, device: &Device) -> Result<Blip2, FinerError> {
    let not = || FinerError::NotFiner { from: from.patch, to: to.patch };
    if to.patch == 0 || !from.patch.is_multiple_of(to.patch) || (Config { patch: from.patch, ..to.clone() }) != *from {
        return Err(not());
    }
    let mut all = Tensors::of(net);
    let width = from.vit_width;
    for (name, (shape, values)) in &mut all.map {
        match name.as_str() {
            "vit.patch_embed.weight" => {
                *values = blocks(values, from.patch, to.patch, width);
                *shape = vec![3 * to.patch * to.patch, width];
            }
            "vit.pos_embed" => {
                *values = resize_positions(values, width, to.tokens(), Corners::Free).ok_or_else(not)?;
                *shape = vec![1, to.tokens(), width];
            }
            _ => {}
        }
    }
    Ok(all.fill(Blip2::new(to, device), device)?)
}

/// A network that cannot be made finer.
#[derive(Debug, thiserror::Error)]
pub enum FinerError {
    /// Sizes that do not fit.
    #[error(
        "patches of {from} pixels cannot become patches of {to}: the finer must divide the coarser, and nothing else may differ"
    )]
    NotFiner {
        /// Before.
        from: usize,
        /// After.
        to: usize,
    },
    /// Weights that do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Patch weights (3·p·p, D) → (3·q·q, D): sums over blocks of p/q × p/q.
fn blocks(weights: &[f32], p: usize, q: usize, width: usize) -> Vec<f32> {
    let f = p / q;
    let mut out = vec![0.0; 3 * q * q * width];
    for (i, row) in weights.chunks_exact(width).enumerate() {
        let (c, y, x) = (i / (p * p), i / p % p, i % p);
        let to = (c * q + y / f) * q + x / f;
        out[to * width..][..width].iter_mut().zip(row).for_each(|(o, w)| *o += w);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tensor};

    #[test]
    fn the_finer_network_sees_the_picture_magnified() {
        let device = crate::cpu();
        let from = Config::tiny(); // 28 pixels, patch 14
        let to = Config { patch: 7, ..from.clone() };
        let coarse = Blip2::new(&from, &device);
        let fine = finer(&coarse, &from, &to, &device).unwrap();
        let small = Tensor::<4>::random([2, 3, 14, 14], Distribution::Normal(0.0, 1.0), &device);
        let doubled = small.clone().reshape([2, 3, 14, 1, 14, 1]).repeat(&[1, 1, 1, 2, 1, 2]).reshape([2, 3, 28, 28]);
        let a = coarse.vit.patch_embed.forward(doubled); // 2 × 2 patches of 14 pixels
        let b = fine.vit.patch_embed.forward(small); // 2 × 2 patches of 7 pixels
        assert!((a - b).abs().max().into_scalar::<f32>() < 1e-5);
    }

    #[test]
    fn only_the_patch_may_differ() {
        let device = crate::cpu();
        let tiny = Config::tiny();
        let net = Blip2::new(&tiny, &device);
        for to in [
            Config { patch: 4, ..tiny.clone() },
            Config { patch: 28, ..tiny.clone() },
            Config { patch: 7, width: 32, ..tiny.clone() },
        ] {
            assert!(matches!(finer(&net, &tiny, &to, &device), Err(FinerError::NotFiner { .. })));
        }
    }
}
