//! Weights on disk: named tensors in the files that people have, and what is needed to read them right.
//!
//! A model of ours is a folder of three files: `model.safetensors` (f16 at rest), `vocab.txt`, and
//! `manifest.json`, which says what the network is, what it wants to see, and how it was made.
//!
//! A model of others is a [`Checkpoint`]: safetensors, whole or in shards, or a zip of PyTorch's,
//! opened in place.
//! How its tensors become a module's is a [`Source`] for each parameter ([`Names`]), and [`fill`]
//! does it, one tensor at a time, and reports what it [`Loaded`].

mod checkpoint;
mod fill;
mod report;
mod convert;
mod source;
mod table;
mod stored;
mod torch;
mod raw;
mod tensors;
mod error;

pub use checkpoint::Checkpoint;
pub use convert::{Way, convert};
pub use error::WeightsError;
pub use fill::{Misfit, Names, fill};
pub use raw::Raw;
pub use report::Loaded;
pub use safetensors::Dtype;
pub use source::{Shelf, Source};
pub use stored::Entry;
pub use table::{How, Line, Table, ZEROS, same, turned};
pub use tensors::{Tensors, floats};
