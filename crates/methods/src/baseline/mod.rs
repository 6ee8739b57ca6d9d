//! What every method must beat: the picture alone, the words alone, and their sum.
//!
//! # The idea
//! In a space where pictures and words lie together, "like this, but red" might be no more than
//! *like this* plus *red*.
//! A method that cannot beat these three has learnt nothing about composing.
//!
//! # How it composes
//! | method | probe |
//! |---|---|
//! | `picture` | the reference's own vector |
//! | `words` | the words' vector |
//! | `sum` | half of each, scaled to length one |

use crate::model::rows;
use crate::{Asked, Method, MethodError, Model, ModelError, Seen};
use domain::{Embedding, Probe, Space};
use std::sync::Arc;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The reference alone.
    Picture,
    /// The words alone.
    Words,
    /// Both, added.
    Sum,
}

/// A baseline over a model.
pub struct Plain {
    which: Baseline,
    model: Arc<Model>,
    space: Space,
}

impl Plain {
    /// A baseline over a model.
    pub fn new(which: Baseline, model: Arc<Model>) -> Result<Self, ModelError> {
        Ok(Self { which, space: model.space(), model })
    }
}

impl Method for Plain {
    fn name(&self) -> &'static str {
        match self.which {
            Baseline::Picture => "picture",
            Baseline::Words => "words",
            Baseline::Sum => "sum",
        }
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
        let pictures = || {
            let seen: Vec<&Seen> = asked.iter().map(|a| a.reference).collect();
            self.model.embed(&seen)
        };
        let words = || {
            let texts: Vec<&str> = asked.iter().map(|a| a.words).collect();
            rows(self.model.backbone.text(&self.model.words.batch(&texts, &self.model.device)))
        };
        let queries = match self.which {
            Baseline::Picture => pictures(),
            Baseline::Words => words(),
            Baseline::Sum => pictures().iter().zip(&words()).map(|(p, w)| crate::blend::mix(p, w, 0.5)).collect(),
        };
        Ok(queries.into_iter().map(|q| Probe::single(self.name(), self.space.clone(), q)).collect())
    }
}
