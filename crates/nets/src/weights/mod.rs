//! Weights on disk: named tensors in safetensors, and what is needed to read them right.
//!
//! A model is a folder of three files: `model.safetensors` (f16 at rest), `vocab.txt`, and
//! `manifest.json`, which says what the network is, what it wants to see, and how it was made.

mod tensors;

pub use tensors::{Tensors, WeightsError, floats};
