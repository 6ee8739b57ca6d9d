//! What every method must beat: the picture alone, the words alone, and their sum; on any backbone.
//!
//! # The idea
//! In a space where pictures and words lie together, "like this, but red" might be no more than
//! *like this* plus *red*.
//! A method that cannot beat these has learnt nothing about composing.
//! A backbone may also have been trained so that the sum is the answer: BGE-VL (MMRet) is a CLIP whose
//! two features, added as they are, lie near the picture that both together describe.
//!
//! # How it composes
//! | method | probe |
//! |---|---|
//! | `picture` | the reference's own vector |
//! | `words` | the words' vector |
//! | `sum` | half of each, scaled to length one |
//! | `add` | both features, of the length that the network gave them, added, then scaled to length one |
//!
//! In `add` the longer feature weighs more, in `sum` none does; on BLIP-2, whose features have length
//! one, they are the same.
//! That BGE-VL adds before it scales is from its paper's sibling code, not checked against its weights here.

use crate::{Asked, Method, MethodError, Model, ModelError, Seen};
use domain::{Embedding, Probe, Space};
use std::sync::Arc;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The reference alone.
    Picture,
    /// The words alone.
    Words,
    /// Both, each of length one, added.
    Sum,
    /// Both, as the network makes them, added.
    Add,
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
            Baseline::Add => "add",
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
        let seen: Vec<&Seen> = asked.iter().map(|a| a.reference).collect();
        let texts: Vec<&str> = asked.iter().map(|a| a.words).collect();
        let pictures = || {
            let new: Vec<&Seen> = asked.iter().filter(|a| a.item.is_none()).map(|a| a.reference).collect();
            let mut new = self.model.embed(&new).into_iter();
            asked.iter().filter_map(|a| a.item.cloned().or_else(|| new.next())).collect::<Vec<_>>()
        };
        let words = || self.model.say(&texts);
        let queries = match self.which {
            Baseline::Picture => pictures(),
            Baseline::Words => words(),
            Baseline::Sum => pictures().iter().zip(&words()).map(|(p, w)| crate::blend::mix(p, w, 0.5)).collect(),
            Baseline::Add => self.model.added(&seen, &texts),
        };
        Ok(queries.into_iter().map(|q| Probe::single(self.name(), self.space.clone(), q)).collect())
    }
}
