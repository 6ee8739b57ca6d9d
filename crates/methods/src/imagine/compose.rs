//! IMAGINE as a method: a reference and words in, one probe out.

use super::{Config, Imagine};
use crate::model::rows;
use crate::{Asked, Method, MethodError, Model, ModelError, Seen};
use domain::{Embedding, Probe, Space};
use nets::blip2::pool;
use nets::layers::normalise;
use std::sync::Arc;

/// IMAGINE, ready to be asked.
pub struct Composer {
    model: Arc<Model>,
    space: Space,
}

impl Composer {
    /// From a model that holds IMAGINE's head.
    pub fn new(model: Arc<Model>) -> Result<Self, ModelError> {
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
        let net = &self.model.backbone;
        let seen: Vec<&Seen> = asked.iter().map(|a| a.reference).collect();
        let texts: Vec<&str> = asked.iter().map(|a| a.words).collect();
        let sight = self.model.sight(&seen);
        let words = self.model.words.batch(&texts, &self.model.device);
        let reference = pool(net.image_tokens(&sight));
        let said = net.text(&words);
        let composed = pool(net.composed_tokens(&sight, &words));
        let imagery = head.imagery(reference, said, config);
        let (query, _) = head.modulate(composed, imagery);
        let probes = rows(normalise(query)).into_iter().map(|q| Probe::single("composed", self.space.clone(), q));
        Ok(probes.collect())
    }
}
