//! Here is a reference and words, give me one probe.
//!
//! A *method* is one value with two sides: `embed` makes an item of the gallery into vectors,
//! `compose` makes a reference and words into a [`Probe`] near the items they mean.
//! Training, evaluation, the command line and the service all use that one value; nobody else
//! composes.
//! What it does not know: where vectors are kept, who is asked, what counts as right.

pub mod baseline;
pub mod blend;
pub mod contrast;
pub mod covr2;
pub mod imagine;
mod model;

pub use model::{FORMAT, Gallery, Manifest, Model, ModelError, Seen, rows, sight};

use domain::{Embedding, Probe, Space};
use std::sync::Arc;

/// What a method is asked: a reference that its view has seen, and words.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The reference.
    pub reference: &'a Seen,
    /// What [`Method::embed`] made of it before, where somebody kept that: a library's own item need not
    /// be encoded again by a method that asks for nothing else.
    pub item: Option<&'a Embedding>,
    /// The modification text.
    pub words: &'a str,
    /// What should not be there.
    pub not: Option<&'a str>,
    /// 0 just like the reference … 1 only the words; the method's own answer if absent.
    pub strength: Option<f32>,
}

impl<'a> Asked<'a> {
    /// A question in its plainest form.
    pub fn new(reference: &'a Seen, words: &'a str) -> Self {
        Self { reference, item: None, words, not: None, strength: None }
    }
}

/// A question that a method could not answer.
#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    /// The model lacks this method's head.
    #[error("the model holds no head for the method {0}; train one, or choose another method")]
    NoHead(&'static str),
    /// The model is of another family than the method needs.
    #[error(transparent)]
    Family(#[from] nets::FamilyError),
}

/// A way of turning a reference and some words into a point near the items they mean.
pub trait Method: Send + Sync {
    /// Its name in [`METHODS`].
    fn name(&self) -> &'static str;
    /// The model it runs on: view, sampling and words travel with it.
    fn model(&self) -> &Model;
    /// Where its vectors live.
    fn space(&self) -> &Space;
    /// The gallery side: one embedding per item.
    fn embed(&self, seen: &[&Seen]) -> Result<Vec<Embedding>, MethodError>;
    /// The query side: one probe per question. Callers use [`blend::compose`], which adds the
    /// wishes that are alike for all methods.
    fn compose(&self, asked: &[Asked<'_>]) -> Result<Vec<Probe>, MethodError>;
}

/// One line of the list of methods.
pub struct Entry {
    /// What it is called everywhere.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Makes it over a model.
    pub make: fn(Arc<Model>) -> Result<Box<dyn Method>, ModelError>,
}

/// All methods; help, docs and menus are printed from here.
pub const METHODS: &[Entry] = &[
    Entry {
        name: "picture",
        about: "the reference alone: near copies",
        make: |m| Ok(Box::new(baseline::Plain::new(baseline::Baseline::Picture, m)?)),
    },
    Entry {
        name: "words",
        about: "the words alone: plain text search",
        make: |m| Ok(Box::new(baseline::Plain::new(baseline::Baseline::Words, m)?)),
    },
    Entry {
        name: "sum",
        about: "reference and words, added",
        make: |m| Ok(Box::new(baseline::Plain::new(baseline::Baseline::Sum, m)?)),
    },
    Entry {
        name: "add",
        about: "reference and words, added as the network makes them: how BGE-VL (MMRet) was trained",
        make: |m| Ok(Box::new(baseline::Plain::new(baseline::Baseline::Add, m)?)),
    },
    Entry { name: "covr2", about: "reference and words, composed", make: |m| Ok(Box::new(covr2::Composer::new(m)?)) },
    Entry {
        name: "imagine",
        about: "reference and words, composed, with imagery for what is implied",
        make: |m| Ok(Box::new(imagine::Composer::new(m)?)),
    },
];

/// The entry with this name.
pub fn entry(name: &str) -> Option<&'static Entry> {
    METHODS.iter().find(|e| e.name == name)
}

#[cfg(test)]
mod laws;
