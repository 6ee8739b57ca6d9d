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
//!
//! Several calls on the same items can go through the layers side by side ([`QFormer::hear`]): each
//! attends among its own places, but every product is made once for all of them. A question's passes are
//! short, and what they cost is reading the weights; and the picture's keys and values, which cost more
//! than the queries themselves, are the same for whoever looks at it.

use super::Config;
use crate::layers::{self, Activation, Beside, LayerNorm, Linear, Numbers, Sees};
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
    /// Of all that read the same: query, key and value among own places, key and value of a picture.
    #[module(skip)]
    beside: Beside,
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
        let [x] = self.run([self.start(Some(sight), None)], Some(sight));
        x
    }

    /// Words alone: (B, T, D); the first position stands for the whole text.
    pub fn read(&self, words: &Words) -> Tensor<3> {
        let [x] = self.run([self.start(None, Some(words))], None);
        x
    }

    /// Queries that see a picture and hear words: (B, Q + T, D), queries first.
    pub fn compose(&self, sight: &Sight, words: &Words) -> Tensor<3> {
        let [x] = self.run([self.start(Some(sight), Some(words))], Some(sight));
        x
    }

    /// [`Self::look`], [`Self::read`] and [`Self::compose`] side by side, in less time than one after the
    /// other: (B, Q, D), (B, T, D), (B, Q + T, D).
    pub fn hear(&self, sight: &Sight, words: &Words) -> [Tensor<3>; 3] {
        let calls =
            [self.start(Some(sight), None), self.start(None, Some(words)), self.start(Some(sight), Some(words))];
        self.run(calls, Some(sight))
    }

    /// Where each query looks: its attention over the vision tokens in the last layer that looks, the
    /// mean over heads, (B, Q, F·(P+1)); rows sum to 1. With words, after it heard them.
    pub fn gaze(&self, sight: &Sight, words: Option<&Words>) -> Tensor<3> {
        let [b, t, _] = sight.tokens.dims();
        let call = self.start(Some(sight), words);
        let Some((last, cross)) = self.layers.iter().enumerate().rev().find_map(|(i, l)| Some((i, l.cross.as_ref()?)))
        else {
            return Tensor::zeros([b, call.queries, t], &call.x.device());
        };
        let mut calls = [call];
        for layer in &self.layers[..last] {
            calls = layer.forward(calls, Some(sight));
        }
        let [call] = self.layers[last].own.among(calls);
        let d = call.x.dims()[2];
        cross.shares(call.x.slice([0..b, 0..call.queries, 0..d]), sight)
    }

    /// Packs the weights of all layers, which never change again.
    pub fn pack(&mut self, numbers: Numbers) {
        for layer in &mut self.layers {
            let Attention { query, key, value, output, beside, .. } = &mut layer.own;
            beside.pack([query, key, value], numbers);
            output.pack(numbers);
            if let Some(Attention { query, key, value, output, beside, .. }) = &mut layer.cross {
                beside.pack([key, value], numbers);
                query.pack(numbers);
                output.pack(numbers);
            }
            for f in [&mut layer.words, &mut layer.queries] {
                f.inner.pack(numbers);
                f.output.pack(numbers);
            }
        }
    }

    fn run<const N: usize>(&self, calls: [Call; N], sight: Option<&Sight>) -> [Tensor<3>; N] {
        self.layers.iter().fold(calls, |calls, layer| layer.forward(calls, sight)).map(|c| c.x)
    }

    /// What the first layer reads: queries where something is seen, words where there are some.
    fn start(&self, sight: Option<&Sight>, words: Option<&Words>) -> Call {
        let [_, q, d] = self.query_tokens.dims();
        let asking = sight.map(|s| self.query_tokens.val().expand([s.tokens.dims()[0], q, d]));
        let queries = if asking.is_some() { q } else { 0 };
        let sees = words.map_or(Sees::All, |w| Sees::First(Arc::new(w.lens.iter().map(|n| queries + n).collect())));
        let parts: Vec<_> = asking.into_iter().chain(words.map(|w| self.embed(w))).collect();
        Call { x: self.norm.forward(Tensor::cat(parts, 1)), queries, sees }
    }

    /// What each layer makes of a call, in order.
    #[cfg(test)]
    pub(super) fn steps(&self, words: Option<&Words>, sight: Option<&Sight>) -> Vec<Tensor<3>> {
        let mut calls = [self.start(sight, words)];
        let step = |layer: &Layer| {
            calls = layer.forward(calls.clone(), sight);
            calls[0].x.clone()
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
    fn forward<const N: usize>(&self, calls: [Call; N], sight: Option<&Sight>) -> [Call; N] {
        let calls = self.own.among(calls);
        let mut asking: Vec<Tensor<3>> = calls.iter().filter_map(Call::asking).collect();
        if let (Some(cross), Some(sight)) = (&self.cross, sight) {
            asking = cross.at(asking, sight);
        }
        let mut asking = side_by_side(asking, |x| self.queries.forward(x)).into_iter();
        let mut words =
            side_by_side(calls.iter().filter_map(Call::words).collect(), |x| self.words.forward(x)).into_iter();
        calls.map(|c| {
            let n = c.x.dims()[1];
            let asking = if c.queries > 0 { asking.next() } else { None };
            let words = if c.queries < n { words.next() } else { None };
            let x = match (asking, words) {
                (Some(a), Some(w)) => Tensor::cat(vec![a, w], 1),
                (Some(x), None) | (None, Some(x)) => x,
                (None, None) => c.x,
            };
            Call { x, ..c }
        })
    }
}

/// One call on its way through the layers.
#[derive(Clone)]
struct Call {
    /// (B, Q + T, D), queries first.
    x: Tensor<3>,
    /// Q
    queries: usize,
    /// Which places are not padding.
    sees: Sees,
}

impl Call {
    /// The queries (B, Q, D), where it has some.
    fn asking(&self) -> Option<Tensor<3>> {
        self.places(0, self.queries)
    }

    /// The words (B, T, D), where it has some.
    fn words(&self) -> Option<Tensor<3>> {
        self.places(self.queries, self.x.dims()[1])
    }

    fn places(&self, from: usize, to: usize) -> Option<Tensor<3>> {
        let [b, n, d] = self.x.dims();
        match to - from {
            0 => None,
            all if all == n => Some(self.x.clone()),
            _ => Some(self.x.clone().slice([0..b, from..to, 0..d])),
        }
    }
}

/// What `work` makes of every place, called once for all tensors: each (B, N, D) with N its own.
fn side_by_side(xs: Vec<Tensor<3>>, work: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Vec<Tensor<3>> {
    if xs.is_empty() {
        return xs;
    }
    let sizes = sizes(&xs);
    apart(work(joined(xs)), &sizes)
}

fn sizes(xs: &[Tensor<3>]) -> Vec<[usize; 2]> {
    xs.iter().map(|x| [x.dims()[0], x.dims()[1]]).collect()
}

/// Places one after the other: some (B, N, D) → (1, ΣB·N, D); one alone stays as it is.
fn joined(mut xs: Vec<Tensor<3>>) -> Tensor<3> {
    if xs.len() == 1 {
        return xs.remove(0);
    }
    let flat = |x: Tensor<3>| {
        let [b, n, d] = x.dims();
        x.reshape([1, b * n, d])
    };
    Tensor::cat(xs.into_iter().map(flat).collect(), 1)
}

/// The reverse, for any D: (1, ΣB·N, D) → some (B, N, D).
fn apart(x: Tensor<3>, sizes: &[[usize; 2]]) -> Vec<Tensor<3>> {
    if sizes.len() == 1 {
        return vec![x];
    }
    let d = x.dims()[2];
    let mut from = 0;
    let part = |[b, n]: &[usize; 2]| {
        let part = x.clone().slice([0..1, from..from + b * n, 0..d]).reshape([*b, *n, d]);
        from += b * n;
        part
    };
    sizes.iter().map(part).collect()
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
            beside: Beside::default(),
        }
    }

    /// Each call among its own places.
    fn among<const N: usize>(&self, calls: [Call; N]) -> [Call; N] {
        let xs: Vec<_> = calls.iter().map(|c| c.x.clone()).collect();
        let (sizes, all) = (sizes(&xs), joined(xs.clone()));
        let qkv = self.beside.forward([&self.query, &self.key, &self.value], all);
        let look =
            |(qkv, call): (_, &Call)| layers::self_attention(qkv, self.heads, call.sees.clone(), self.beside.rounds());
        let seen = apart(qkv, &sizes).into_iter().zip(&calls).map(look).collect();
        let mut out = self.onto(seen, xs).into_iter();
        calls.map(|c| Call { x: out.next().unwrap_or_else(|| c.x.clone()), ..c })
    }

    /// Everyone at the same picture, whose keys and values are made once.
    fn at(&self, xs: Vec<Tensor<3>>, sight: &Sight) -> Vec<Tensor<3>> {
        let kv = self.beside.forward([&self.key, &self.value], sight.tokens.clone());
        let sees = Sees::First(Arc::new(sight.lens.clone()));
        let look = |q| layers::attention(q, kv.clone(), self.heads, sees.clone(), self.beside.rounds());
        let seen = side_by_side(xs.clone(), |x| self.query.forward(x)).into_iter().map(look).collect();
        self.onto(seen, xs)
    }

    /// Output projection, residual, norm.
    fn onto(&self, seen: Vec<Tensor<3>>, xs: Vec<Tensor<3>>) -> Vec<Tensor<3>> {
        let sizes = sizes(&xs);
        apart(self.norm.forward(self.output.onto(joined(seen), joined(xs))), &sizes)
    }

    /// How much each place of x looks at each token, the mean over heads: (B, Q, T).
    fn shares(&self, x: Tensor<3>, sight: &Sight) -> Tensor<3> {
        let kv = self.beside.forward([&self.key, &self.value], sight.tokens.clone());
        let [b, t, d] = kv.dims();
        let k = kv.slice([0..b, 0..t, 0..d / 2]);
        layers::attention_shares(self.query.forward(x), k, self.heads, &sight.lens)
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
