//! Several frames of a target, pooled by how well each fits the modification text.
//!
//! CoVR-2 encodes up to fifteen frames of a target each by itself, once, and keeps (F, Q, E) a clip
//! beside one score a frame: the similarity of the edit text to that frame.

use burn::tensor::Tensor;

/// How sharply scores decide; the release's.
pub const FRAME_TEMPERATURE: f32 = 0.1;

/// softmax(score / 0.1); all alike where scores are missing, of another number, or not finite.
pub fn frame_weights(scores: Option<&[f32]>, frames: usize) -> Vec<f32> {
    let usable = scores.filter(|s| s.len() == frames && s.iter().all(|x| x.is_finite()));
    let Some(scores) = usable else { return vec![1.0 / frames.max(1) as f32; frames] };
    let top = scores.iter().copied().fold(f32::MIN, f32::max);
    let shares: Vec<f32> = scores.iter().map(|s| ((s - top) / FRAME_TEMPERATURE).exp()).collect();
    let sum: f32 = shares.iter().sum();
    shares.iter().map(|s| s / sum).collect()
}

/// A clip's precomputed token vectors (F, Q, E), pooled over its frames → (Q, E).
pub fn pool_frames(tokens: Tensor<3>, scores: Option<&[f32]>) -> Tensor<2> {
    let [f, q, e] = tokens.dims();
    let weights = frame_weights(scores, f);
    let weights = Tensor::<1>::from_data(weights.as_slice(), &tokens.device()).reshape([f, 1, 1]);
    (tokens * weights).sum_dim(0).reshape([q, e])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_weights() {
        let w = frame_weights(Some(&[0.31, 0.28, 0.35]), 3);
        for (w, golden) in w.iter().zip([0.309_344, 0.229_168, 0.461_488]) {
            assert!((w - golden).abs() < 1e-5, "{w}, golden {golden}");
        }
        assert_eq!(frame_weights(Some(&[0.1]), 2), [0.5, 0.5]);
        assert_eq!(frame_weights(Some(&[0.1, f32::NAN]), 2), [0.5, 0.5]);
        let tokens = Tensor::<3>::from_data([[[1.0f32, 0.0]], [[0.0, 1.0]]], &nets::cpu());
        let pooled = nets::weights::floats(pool_frames(tokens, Some(&[0.9, 0.1])));
        assert!(pooled[0] > 0.99 && (pooled[0] + pooled[1] - 1.0).abs() < 1e-6);
    }
}
