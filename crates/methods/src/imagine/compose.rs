//! IMAGINE as a method: a reference and words in, one probe out.

use super::{Config, Imagine, WordsFeature};
use crate::model::rows;
use crate::{Asked, Method, MethodError, Model, ModelError, Seen};
use burn::tensor::Tensor;
use domain::{Embedding, Probe, Space};
use nets::blip2::{Blip2, Sight, Words, pool};
use nets::layers::normalise;
use std::sync::Arc;

/// What the backbone makes of references and words: the reference, the words, and both composed, each (B, D).
pub fn hear(net: &Blip2, sight: &Sight, words: &Words, c: &Config) -> (Tensor<2>, Tensor<2>, Tensor<2>) {
    let [looked, read, composed] = net.qformer.hear(sight, words);
    (pool(net.shown(looked)), said(net, read, words, c), pool(net.composed(composed)))
}

/// What the words alone are: unit vectors (B, E) from the first token, or means over all tokens (B, E).
pub fn say(net: &Blip2, words: &Words, c: &Config) -> Tensor<2> {
    said(net, net.qformer.read(words), words, c)
}

/// The same of words that the Q-Former read before (B, T, D).
fn said(net: &Blip2, read: Tensor<3>, words: &Words, c: &Config) -> Tensor<2> {
    if c.words_feature == WordsFeature::Cls {
        return net.said(read);
    }
    let tokens = normalise(net.text_proj.forward(read)); // (B, T, E)
    let [b, t, d] = tokens.dims();
    let shares: Vec<f32> =
        words.lens.iter().flat_map(|n| (0..t).map(move |i| if i < *n { 1.0 / *n as f32 } else { 0.0 })).collect();
    let shares = Tensor::<1>::from_data(shares.as_slice(), &tokens.device()).reshape([b, 1, t]);
    shares.matmul(tokens).reshape([b, d])
}

/// The query: what [`hear`] gives, modulated by its imagery; unit vectors (B, D).
pub fn query(head: &Imagine, c: &Config, reference: Tensor<2>, words: Tensor<2>, composed: Tensor<2>) -> Tensor<2> {
    let imagery = head.imagine(reference, words, c);
    normalise(head.modulate(composed, &imagery, c).0)
}

/// IMAGINE, ready to be asked.
pub struct Composer {
    model: Arc<Model>,
    space: Space,
}

impl Composer {
    /// From a model that holds IMAGINE's head on a BLIP-2.
    pub fn new(model: Arc<Model>) -> Result<Self, ModelError> {
        if let Err(source) = model.backbone.blip2() {
            return Err(ModelError::Family { method: "imagine", model: model.manifest.name.clone(), source });
        }
        if model.imagine.is_none() || model.manifest.imagine.is_none() {
            return Err(ModelError::NoHead { model: model.manifest.name.clone(), method: "imagine" });
        }
        Ok(Self { space: model.space(), model })
    }

    fn head(&self) -> Option<(&Imagine, &Config)> {
        self.model.imagine.as_ref().zip(self.model.manifest.imagine.as_ref())
    }
}

impl Method for Composer {
    fn name(&self) -> &'static str {
        "imagine"
    }

    fn model(&self) -> &Model {
        &self.model
    }

    fn space(&self) -> &Space {
        &self.space
    }

    fn embed(&self, seen: &[&Seen]) -> Result<Vec<Embedding>, MethodError> {
        Ok(self.model.embed(seen))
    }

    fn compose(&self, asked: &[Asked<'_>]) -> Result<Vec<Probe>, MethodError> {
        let Some((head, config)) = self.head() else { return Err(MethodError::NoHead("imagine")) };
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let net = self.model.backbone.blip2()?;
        let seen: Vec<&Seen> = asked.iter().map(|a| a.reference).collect();
        let texts: Vec<&str> = asked.iter().map(|a| a.words).collect();
        let sight = self.model.sight(&seen)?;
        let words = self.model.words.batch(&texts, &self.model.device);
        let (reference, said, composed) = hear(net, &sight, &words, config);
        let probes = rows(query(head, config, reference, said, composed))
            .into_iter()
            .map(|q| Probe::single("composed", self.space.clone(), q));
        Ok(probes.collect())
    }
}
