//! IMAGINE as a method: a reference and words in, one probe out.

use super::{Concrete, Config, Imagine, WordsFeature};
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
    let (v, x) = (pool(net.shown(looked)), said(net, read, words, c));
    let f = match c.concrete {
        Concrete::Composed => pool(net.composed(composed)),
        Concrete::Sum | Concrete::Added => {
            let v = normalise(v.clone());
            apart(v.clone(), v, x.clone(), c).1
        }
    };
    (v, x, f)
}

/// What families that see and read apart make of words, and of both together: unit vectors (B, D) of the words,
/// and the concrete feature. `seen` are unit vectors, `shown` and `said` features as the network makes them.
pub fn apart(seen: Tensor<2>, shown: Tensor<2>, said: Tensor<2>, c: &Config) -> (Tensor<2>, Tensor<2>) {
    let words = normalise(said.clone());
    let both = match c.concrete {
        Concrete::Added => normalise(shown + said),
        Concrete::Composed | Concrete::Sum => (seen + words.clone()) * 0.5,
    };
    (words, both)
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
    /// From a model that holds IMAGINE's head, on a backbone that its settings fit.
    pub fn new(model: Arc<Model>) -> Result<Self, ModelError> {
        let (name, method) = (model.manifest.name.clone(), "imagine");
        match (&model.imagine, &model.manifest.imagine) {
            (Some(_), Some(c)) => {
                c.fits(&model.manifest.backbone).map_err(|source| ModelError::Family { method, model: name, source })?
            }
            _ => return Err(ModelError::NoHead { model: name, method }),
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
        let seen: Vec<&Seen> = asked.iter().map(|a| a.reference).collect();
        let texts: Vec<&str> = asked.iter().map(|a| a.words).collect();
        let words = self.model.words.batch(&texts, &self.model.device);
        let (reference, said, composed) = match self.model.backbone.blip2() {
            Ok(net) => hear(net, &self.model.sight(&seen)?, &words, config),
            Err(_) => {
                let (reference, shown) = self.model.looked(&seen);
                let (said, both) = apart(reference.clone(), shown, self.model.backbone.text_features(&words), config);
                (reference, said, both)
            }
        };
        let probes = rows(query(head, config, reference, said, composed))
            .into_iter()
            .map(|q| Probe::single("composed", self.space.clone(), q));
        Ok(probes.collect())
    }
}
