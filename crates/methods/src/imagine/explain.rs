//! What IMAGINE made of one question: the prototypes it took, where the network looked for each, and
//! what the imagery changed.
//!
//! A prototype is a direction and has no eyes of its own. It is chosen because the queries' features
//! lie near it, so what it "attends to" is what those queries look at: each query's attention over the
//! patches ([`QFormer::gaze`](nets::blip2::QFormer::gaze)), weighted by how near the query's feature is
//! to the prototype, with the temperature by which the model itself chooses. Prototypes of pictures are
//! asked of the queries that only saw, those of words of the queries that also heard the words.
//! How the paper drew its Figure 8 it does not say.

use super::{Composition, Config, Space, hear};
use crate::model::rows;
use crate::{MethodError, Model, Seen};
use burn::tensor::{Tensor, activation::softmax};
use nets::layers::normalise;
use nets::weights::floats;

/// Which library a prototype is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Library {
    /// What pictures show together.
    Pictures,
    /// What words mean together.
    Words,
}

/// A prototype that a question took.
#[derive(Clone, Debug, PartialEq)]
pub struct Used {
    /// Of which library.
    pub library: Library,
    /// Its place there, from 0.
    pub index: usize,
    /// Its share of that library's imagery; the shares of a library sum to 1.
    pub weight: f32,
    /// Where the network looked for it: (F, P), frame by frame and row by row, summing to 1.
    pub map: Vec<f32>,
}

/// One question, explained.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Frames that were seen.
    pub frames: usize,
    /// Patches along a side of a frame.
    pub side: usize,
    /// What was taken, the largest share of each library first; empty where the head has no prototypes.
    pub used: Vec<Used>,
    /// How much the imagery of pictures and of words weighs (Eq. 6).
    pub shares: [f32; 2],
    /// How far the model trusts its imagery (Eq. 9), the mean over dimensions, 0 to 1.
    pub confidence: f32,
    /// Length of what the scale adds, c·γ ⊙ f, as a share of f's.
    pub scaled: f32,
    /// Length of what the shift adds, c·β, as a share of f's.
    pub shifted: f32,
    /// Cosine of the question with imagery and without.
    pub kept: f32,
    /// The question as it is asked: a unit vector.
    pub with: Vec<f32>,
    /// The concrete feature alone, as at confidence zero: a unit vector.
    pub without: Vec<f32>,
}

/// Explains one question.
///
/// # Errors
///
/// A model without IMAGINE's head, or of another family than BLIP-2.
pub fn explain(model: &Model, seen: &Seen, words: &str) -> Result<Explanation, MethodError> {
    let (Some(head), Some(c)) = (&model.imagine, &model.manifest.imagine) else {
        return Err(MethodError::NoHead("imagine"));
    };
    let net = model.backbone.blip2()?;
    let sight = model.sight(&[seen])?;
    let words = model.words.batch(&[words], &model.device);
    let (v, x, f) = hear(net, &sight, &words, c);
    let imagery = head.imagine(v.clone(), x.clone(), c);
    let part = |composition: Composition| {
        let changed = head.modulate(f.clone(), &imagery, &Config { composition, residual: true, ..c.clone() }).0;
        length(changed - f.clone()) / length(f.clone()).max(1e-12)
    };
    let modulates = matches!(c.composition, Composition::Modulate | Composition::Scale | Composition::Shift);
    let part = |on: bool, composition| if on { part(composition) } else { 0.0 };
    let (answer, sure) = head.modulate(f.clone(), &imagery, c);
    let (with, without) = (only(normalise(answer)), only(normalise(f.clone())));

    let tokens = model.manifest.backbone.blip2()?.tokens(); // P + 1
    let both = only(head.shares(&v, &x, c));
    let (mut used, mut shares) = (Vec::new(), [both[0], both[1]]);
    if let (Space::Prototypes, Some(taken)) = (c.space, &imagery.taken) {
        let looks = [
            (Library::Pictures, net.image_tokens(&sight), net.qformer.gaze(&sight, None)),
            (Library::Words, net.composed_tokens(&sight, &words), net.qformer.gaze(&sight, Some(&words))),
        ];
        let weights = only(taken.weights.clone());
        let k = c.prototypes;
        let mut imageries = Vec::new();
        for (half, (library, spoken, gaze)) in looks.into_iter().enumerate() {
            let [_, q, e] = spoken.dims();
            let prototypes = taken.prototypes.clone().slice([half * k..(half + 1) * k, 0..e]); // (K, E)
            let near = normalise(prototypes.clone()).matmul(spoken.reshape([q, e]).transpose()); // (K, Q)
            let t = gaze.dims()[2];
            let maps = softmax(near / c.pool_temperature, 1).matmul(gaze.reshape([q, t])); // (K, T)
            let own = &weights[half * k..(half + 1) * k];
            imageries.push(taken.weights.clone().slice([0..1, half * k..(half + 1) * k]).matmul(prototypes));
            let mut of: Vec<Used> = own
                .iter()
                .zip(floats(maps).chunks_exact(t))
                .enumerate()
                .filter(|(_, (weight, _))| **weight > 0.0)
                .map(|(index, (weight, map))| Used { library, index, weight: *weight, map: patches(map, tokens) })
                .collect();
            of.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.index.cmp(&b.index)));
            used.extend(of);
        }
        if let [picture, words] = &imageries[..] {
            let both = only(head.shares(picture, words, c));
            shares = [both[0], both[1]];
        }
    }
    let sure = only(sure);
    Ok(Explanation {
        frames: sight.lens[0] / tokens.max(1),
        side: (tokens.saturating_sub(1) as f64).sqrt().round() as usize,
        used,
        shares,
        confidence: sure.iter().sum::<f32>() / sure.len().max(1) as f32,
        scaled: part(modulates && c.composition != Composition::Shift, Composition::Scale),
        shifted: part(modulates && c.composition != Composition::Scale, Composition::Shift),
        kept: with.iter().zip(&without).map(|(a, b)| a * b).sum(),
        with,
        without,
    })
}

/// The only row of a batch of one.
fn only(t: Tensor<2>) -> Vec<f32> {
    rows(t).into_iter().next().map(|e| e.values).unwrap_or_default()
}

fn length(t: Tensor<2>) -> f32 {
    floats(t).iter().map(|v| v * v).sum::<f32>().sqrt()
}

/// A map over tokens (F·(P+1)) without each frame's class token, summing to 1.
fn patches(map: &[f32], tokens: usize) -> Vec<f32> {
    let kept: Vec<f32> = map.chunks_exact(tokens).flat_map(|frame| &frame[1..]).copied().collect();
    let sum: f32 = kept.iter().sum();
    kept.into_iter().map(|v| v / sum.max(1e-12)).collect()
}
