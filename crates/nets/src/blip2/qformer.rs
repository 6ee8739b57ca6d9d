//! The Q-Former: a small set of learned queries that read a picture and talk with a text.
//!
//! BERT's layers (post-norm), with two additions: every `cross_every`-th layer lets the queries —
//! never the words — look at the picture, and queries and words have feed-forward networks of
//! their own.
//! Queries and words attend to each other freely; padding is not seen.
//! Reference: LAVIS `Qformer.py`.
//!
//! Four kinds of call, one function: image only, text only, image and text, several frames
//! (their tokens one after the other).

use super::Config;
use crate::layers::{self, Activation, LayerNorm, Linear, Numbers};
use crate::words::Words;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use std::sync::Arc;

/// BERT's norms: so small that it only matters where all of a row is one number.
pub(super) const BERT_EPS: f64 = 1e-12;
const STD: f64 = 0.02;

/// What the queries look at.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Vision tokens (B, F·(P+1), Dv), padded at the end.
    pub tokens: Tensor<3>,
    /// How many tokens of each item are not padding.
    pub lens: Vec<usize>,
}

/// Queries, words, and what they see.
#[derive(Module, Debug)]
pub struct QFormer {
    /// (1, Q, D)
    pub query_tokens: Param<Tensor<3>>,
    /// (V, D)
    pub word_embeddings: Param<Tensor<2>>,
    /// (T, D); queries have no position
    pub position_embeddings: Param<Tensor<2>>,
    /// Over queries and words alike.
    pub norm: LayerNorm,
    /// In order.
    pub layers: Vec<Layer>,
}

/// One layer.
#[derive(Module, Debug)]
pub struct Layer {
    /// Among queries and words.
    pub own: Attention,
    /// From queries to the picture.
    pub cross: Option<Attention>,
    /// The words' feed-forward network.
    pub words: FeedForward,
    /// The queries' feed-forward network.
    pub queries: FeedForward,
}

/// BERT's attention with its output projection, residual and norm.
#[derive(Module, Debug)]
pub struct Attention {
    /// From the asking side.
    pub query: Linear,
    /// From the answering side.
    pub key: Linear,
    /// From the answering side.
    pub value: Linear,
    /// Back to the asking side's width.
    pub output: Linear,
    /// After the residual.
    pub norm: LayerNorm,
    #[module(skip)]
    heads: usize,
}

/// BERT's feed-forward network with its residual and norm.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// Widens.
    pub inner: Linear,
    /// Narrows.
    pub output: Linear,
    /// After the residual.
    pub norm: LayerNorm,
}

impl QFormer {
    /// Weights drawn at random.
    pub fn new(c: &Config, device: &Device) -> Self {
        let d = c.width;
        Self {
            query_tokens: layers::drawn([1, c.queries, d], STD, device),
            word_embeddings: layers::drawn([c.vocab, d], STD, device),
            position_embeddings: layers::drawn([c.positions, d], STD, device),
            norm: LayerNorm::new(d, BERT_EPS, device),
            layers: (0..c.layers)
                .map(|i| Layer {
                    own: Attention::new(d, d, c.heads, device),
                    cross: i.is_multiple_of(c.cross_every).then(|| Attention::new(d, c.vit_width, c.heads, device)),
                    words: FeedForward::new(d, c.mlp, device),
                    queries: FeedForward::new(d, c.mlp, device),
                })
                .collect(),
        }
    }

    /// Queries that see a picture: (B, Q, D).
    pub fn look(&self, sight: &Sight) -> Tensor<3> {
        let b = sight.tokens.dims()[0];
        self.run(Some(self.queries(b)), None, Some(sight))
    }

    /// Words alone: (B, T, D); the first position stands for the whole text.
    pub fn read(&self, words: &Words) -> Tensor<3> {
        self.run(None, Some(words), None)
    }

    /// Queries that see a picture and hear words: (B, Q + T, D), queries first.
    pub fn compose(&self, sight: &Sight, words: &Words) -> Tensor<3> {
        let b = sight.tokens.dims()[0];
        self.run(Some(self.queries(b)), Some(words), Some(sight))
    }

    /// Where each query looks: its attention over the vision tokens in the last layer that looks, the
    /// mean over heads, (B, Q, F·(P+1)); rows sum to 1. With words, after it heard them.
    pub fn gaze(&self, sight: &Sight, words: Option<&Words>) -> Tensor<3> {
        let [b, t, _] = sight.tokens.dims();
        let (x, q, valid) = self.start(Some(self.queries(b)), words);
        let Some((last, cross)) = self.layers.iter().enumerate().rev().find_map(|(i, l)| Some((i, l.cross.as_ref()?)))
        else {
            return Tensor::zeros([b, q, t], &x.device());
        };
        let x = self.layers[..last].iter().fold(x, |x, layer| layer.forward(x, q, valid.clone(), Some(sight)));
        let x = self.layers[last].own.forward(x.clone(), x, valid);
        let d = x.dims()[2];
        cross.shares(x.slice([0..b, 0..q, 0..d]), sight)
    }

    /// Packs the weights of all layers, which never change again.
    pub fn pack(&mut self, numbers: Numbers) {
        for layer in &mut self.layers {
            for a in std::iter::once(&mut layer.own).chain(&mut layer.cross) {
                for part in [&mut a.query, &mut a.key, &mut a.value, &mut a.output] {
                    part.pack(numbers);
                }
            }
            for f in [&mut layer.words, &mut layer.queries] {
                f.inner.pack(numbers);
                f.output.pack(numbers);
            }
        }
    }

    fn queries(&self, batch: usize) -> Tensor<3> {
        let [_, q, d] = self.query_tokens.dims();
        self.query_tokens.val().expand([batch, q, d])
    }

    fn run(&self, queries: Option<Tensor<3>>, words: Option<&Words>, sight: Option<&Sight>) -> Tensor<3> {
        let (x, q, valid) = self.start(queries, words);
        self.layers.iter().fold(x, |x, layer| layer.forward(x, q, valid.clone(), sight))
    }

    /// What the first layer reads (B, Q + T, D), how many of its places are queries, and how many are
    /// not padding.
    fn start(&self, queries: Option<Tensor<3>>, words: Option<&Words>) -> (Tensor<3>, usize, Option<Arc<Vec<usize>>>) {
        let q = queries.as_ref().map_or(0, |t| t.dims()[1]);
        let text = words.map(|w| self.embed(w));
        let valid = words.map(|w| Arc::new(w.lens.iter().map(|n| q + n).collect::<Vec<_>>()));
        let parts: Vec<_> = queries.into_iter().chain(text).collect();
        (self.norm.forward(Tensor::cat(parts, 1)), q, valid)
    }

    /// What each layer makes of a call, in order.
    #[cfg(test)]
    pub(super) fn steps(&self, queries: bool, words: Option<&Words>, sight: Option<&Sight>) -> Vec<Tensor<3>> {
        let batch = sight.map_or(0, |s| s.tokens.dims()[0]);
        let (mut x, q, valid) = self.start(queries.then(|| self.queries(batch)), words);
        let step = |layer: &Layer| {
            x = layer.forward(x.clone(), q, valid.clone(), sight);
            x.clone()
        };
        self.layers.iter().map(step).collect()
    }

    fn embed(&self, words: &Words) -> Tensor<3> {
        let [b, t] = words.ids.dims();
        let d = self.norm.gamma.dims()[0];
        let x = self.word_embeddings.val().select(0, words.ids.clone().reshape([b * t])).reshape([b, t, d]);
        x + self.position_embeddings.val().slice([0..t, 0..d]).unsqueeze::<3>()
    }
}

impl Layer {
    /// x (B, Q + T, D), its first `q` places queries → the same shape.
    /// Of item `b` the first `valid[b]` places are not padding; all where `valid` is absent.
    fn forward(&self, x: Tensor<3>, q: usize, valid: Option<Arc<Vec<usize>>>, sight: Option<&Sight>) -> Tensor<3> {
        let x = self.own.forward(x.clone(), x, valid);
        let [b, n, d] = x.dims();
        if q == 0 {
            return self.words.forward(x);
        }
        let mut asking = if q == n { x.clone() } else { x.clone().slice([0..b, 0..q, 0..d]) };
        if let (Some(cross), Some(sight)) = (&self.cross, sight) {
            asking = cross.forward(asking, sight.tokens.clone(), Some(Arc::new(sight.lens.clone())));
        }
        let asking = self.queries.forward(asking);
        if q == n {
            return asking;
        }
        Tensor::cat(vec![asking, self.words.forward(x.slice([0..b, q..n, 0..d]))], 1)
    }
}

impl Attention {
    fn new(width: usize, seen: usize, heads: usize, device: &Device) -> Self {
        let std = |n: usize| STD.max((1.0 / n as f64).sqrt() * 0.6);
        Self {
            query: Linear::new(width, width, std(width), device),
            key: Linear::new(seen, width, std(seen), device),
            value: Linear::new(seen, width, std(seen), device),
            output: Linear::new(width, width, std(width), device),
            norm: LayerNorm::new(width, BERT_EPS, device),
            heads,
        }
    }

    fn forward(&self, x: Tensor<3>, seen: Tensor<3>, valid: Option<Arc<Vec<usize>>>) -> Tensor<3> {
        let q = self.query.forward(x.clone());
        let (k, v) = (self.key.forward(seen.clone()), self.value.forward(seen));
        self.norm.forward(self.output.onto(layers::attention(q, k, v, self.heads, valid), x))
    }

    /// How much each place of x looks at each token, the mean over heads: (B, Q, T).
    fn shares(&self, x: Tensor<3>, sight: &Sight) -> Tensor<3> {
        let (q, k) = (self.query.forward(x), self.key.forward(sight.tokens.clone()));
        layers::attention_shares(q, k, self.heads, &sight.lens)
    }
}

impl FeedForward {
    fn new(width: usize, mlp: usize, device: &Device) -> Self {
        let std = |n: usize| STD.max((1.0 / n as f64).sqrt() * 0.6);
        Self {
            inner: Linear::new(width, mlp, std(width), device),
            output: Linear::new(mlp, width, std(mlp), device),
            norm: LayerNorm::new(width, BERT_EPS, device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = self.inner.then(x.clone(), Activation::Gelu);
        self.norm.forward(self.output.onto(hidden, x))
    }
}
