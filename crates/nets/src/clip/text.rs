//! The tower that reads words: a causal transformer whose last token stands for the whole text.
//!
//! A *pseudo-word* is a vector in the place of a word's embedding: textual inversion (Pic2Word,
//! SEARLE, LinCIR) says with it what a picture shows. Where it stands is a position that the caller
//! knows, never something found in the text.

use super::{Config, End, project};
use crate::layers::{self, LayerNorm, Transformer};
use crate::words::Words;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use std::ops::Range;

/// Words to features.
#[derive(Module, Debug)]
pub struct Text {
    /// (V, D)
    pub token_embed: Param<Tensor<2>>,
    /// (T, D)
    pub pos_embed: Param<Tensor<2>>,
    /// The blocks.
    pub transformer: Transformer,
    /// After the blocks.
    pub norm: LayerNorm,
    /// (D, E)
    pub proj: Param<Tensor<2>>,
    #[module(skip)]
    end: End,
}

/// Pseudo-words for a batch of texts.
#[derive(Clone, Debug)]
pub struct Slots {
    /// Where they stand in each text, as many as there are vectors.
    pub at: Vec<Range<usize>>,
    /// The vectors (B, K, D).
    pub vectors: Tensor<3>,
}

impl Text {
    /// Weights drawn at random.
    pub fn new(c: &Config, device: &Device) -> Self {
        let t = c.text;
        Self {
            token_embed: layers::drawn([c.vocab, t.width], 0.02, device),
            pos_embed: layers::drawn([c.context, t.width], 0.01, device),
            transformer: Transformer::new((t.width, t.layers, t.heads, t.mlp), true, c.activation, c.eps, device),
            norm: LayerNorm::new(t.width, c.eps, device),
            proj: layers::drawn([t.width, c.embed], (t.width as f64).powf(-0.5), device),
            end: c.end,
        }
    }

    /// Features (B, E), of the length that the network gave them; padding comes after a text's end, where a
    /// causal tower does not look.
    pub fn forward(&self, words: &Words, slots: Option<&Slots>) -> Tensor<2> {
        let ended = self.transformer.forward_at(self.start(words, slots), &self.ends(words)); // (B, D)
        project(self.norm.forward(ended), self.proj.val())
    }

    /// What the first block reads (B, T, D): embeddings, pseudo-words in the place of some, and where each stands.
    pub fn start(&self, words: &Words, slots: Option<&Slots>) -> Tensor<3> {
        let mut x = self.embed(words);
        if let Some(slots) = slots {
            x = inject(x, slots);
        }
        let [_, t, d] = x.dims();
        x + self.pos_embed.val().slice([0..t, 0..d]).unsqueeze::<3>()
    }

    /// The embeddings of the tokens alone (B, T, D), without their places.
    pub fn embed(&self, words: &Words) -> Tensor<3> {
        let [b, t] = words.ids.dims();
        let d = self.token_embed.dims()[1];
        self.token_embed.val().select(0, words.ids.clone().reshape([b * t])).reshape([b, t, d])
    }

    /// The position of each text's end, by the ids as they were typed.
    pub fn ends(&self, words: &Words) -> Vec<usize> {
        let [_, t] = words.ids.dims();
        let ids: Vec<i64> = words.ids.to_data().iter::<i64>().collect();
        ids.chunks_exact(t.max(1)).map(|row| end(row, self.end)).collect()
    }
}

/// The references' rule: the first of the highest ids, or the first with the id; position 0 where
/// there is none.
fn end(row: &[i64], rule: End) -> usize {
    let sought = match rule {
        End::Highest => row.iter().copied().max().unwrap_or_default(),
        End::Id(id) => i64::from(id),
    };
    row.iter().position(|id| *id == sought).unwrap_or(0)
}

/// Puts the vectors in their places: x (B, T, D) → (B, T, D).
fn inject(x: Tensor<3>, slots: &Slots) -> Tensor<3> {
    let [b, t, d] = x.dims();
    let k = slots.vectors.dims()[1];
    let rows = (0..b).map(|i| {
        let row = x.clone().slice([i..i + 1, 0..t, 0..d]);
        match slots.at.get(i) {
            Some(at) if at.len() == k && at.end <= t => {
                row.slice_assign([0..1, at.clone(), 0..d], slots.vectors.clone().slice([i..i + 1, 0..k, 0..d]))
            }
            _ => row,
        }
    });
    Tensor::cat(rows.collect(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_as_the_references_find_it() {
        assert_eq!(end(&[5, 1, 9, 9, 9], End::Highest), 2);
        assert_eq!(end(&[5, 1, 9, 0, 0], End::Id(9)), 2);
        assert_eq!(end(&[5, 1, 0, 0, 0], End::Id(9)), 0);
    }
}
