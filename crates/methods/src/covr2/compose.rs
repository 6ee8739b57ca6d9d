//! CoVR-2 as a method: a reference and words in, one probe out.

use crate::model::rows;
use crate::{Asked, Method, MethodError, Model, ModelError, Seen};
use domain::{Embedding, Probe, Space};
use nets::blip2::pool;
use nets::layers::normalise;
use std::sync::Arc;

/// CoVR-2, ready to be asked. It has no head of its own: on a model trained as IMAGINE it is that
/// model's concrete feature, without imagery.
pub struct Composer {
    model: Arc<Model>,
    space: Space,
}

impl Composer {
    /// Over a model of the BLIP-2 family.
    pub fn new(model: Arc<Model>) -> Result<Self, ModelError> {
        if let Err(source) = model.backbone.blip2() {
            return Err(ModelError::Family { method: "covr2", model: model.manifest.name.clone(), source });
        }
        Ok(Self { space: model.space(), model })
    }
}

impl Method for Composer {
    fn name(&self) -> &'static str {
        "covr2"
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
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let seen: Vec<&Seen> = asked.iter().map(|a| a.reference).collect();
        let texts: Vec<&str> = asked.iter().map(|a| a.words).collect();
        let net = self.model.backbone.blip2()?;
        let sight = self.model.sight(&seen)?;
        let words = self.model.words.batch(&texts, &self.model.device);
        let queries = normalise(pool(net.composed_tokens(&sight, &words)));
        Ok(rows(queries).into_iter().map(|q| Probe::single("composed", self.space.clone(), q)).collect())
    }
}
