//! Here is an item, keep it. Here is a vector, who is near?
//!
//! A library is a folder that remembers pictures and clips: where each lies, what it is, how it
//! looks small, and the vectors that encoders made of it. It answers one question fast: which of
//! the kept items score highest against a [`domain::Probe`]?
//!
//! ```text
//! library.db          SQLite: the truth. Nothing that is not in here counts as kept.
//! MANIFEST.json       what a person wants to know: format version, spaces
//! segments/<id>.seg   derived: one memory-mapped, checksummed vector file per space
//! library.lock        held by the one process that writes
//! ```
//!
//! Two promises. *What was acknowledged is kept*: [`Library::put`] returns after one durable
//! transaction, and a kill at any moment leaves a library that opens and holds it. *What is near is
//! exactly near*: the scan reads 8-bit copies of the vectors for speed, but bounds the error of
//! every one of them, and re-scores in f32 whatever the bound cannot rule out; the answer equals
//! that of the slow f32 scan, to the last bit.
//!
//! Deliberately absent: models, pixels, folders walked. A library knows spaces and vectors, never
//! what made them.
//!
//! ```
//! use domain::{Digest, Embedding, Kind, MediaRef, Probe, Space};
//! use library::{Filter, Library, NewItem};
//!
//! let space = Space {
//!     model: "toy".into(), weights: Digest::of(b"w"), view: "squash 8".into(),
//!     sampling: "middle".into(), rows: 1, dim: 2,
//! };
//! let mut library = Library::in_memory()?;
//! library.bind(&space, &Embedding::single(vec![1.0, 0.0]))?;
//! let cat = NewItem::new(MediaRef::file("cat.jpg"), Kind::Picture, Digest::of(b"cat"))
//!     .with_vector(&space, Embedding::single(vec![0.6, 0.8]));
//! let ids = library.put(&[cat])?;
//! let probe = Probe::single("composed", space, Embedding::single(vec![0.0, 1.0]));
//! let hits = library.nearest(&probe, 10, &Filter::default())?;
//! assert_eq!((hits[0].item, hits[0].score), (ids[0], 0.8));
//! # Ok::<(), library::Error>(())
//! ```

mod error;
mod index;
mod item;
mod kernel;
mod library;
mod quantise;
mod rows;
mod scan;
mod search;
mod segment;
mod spaces;
mod store;
mod verify;

pub use error::{Error, Result};
pub use item::{Failure, Filter, Info, Item, Known, NewItem};
pub use kernel::scan_path;
pub use library::Library;
pub use store::FORMAT_VERSION;
pub use verify::{SpaceStats, Stats, VerifyReport};

#[doc(hidden)]
pub mod bench;
