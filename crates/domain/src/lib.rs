//! The nouns that flow through likebut.
//!
//! Composed retrieval takes a *reference* (a picture or a clip) and some *modification text*
//! ("the same, but red") and finds, in a *gallery*, the items that are like the reference except
//! for what the words change.
//! Everything that crosses a border between two crates on the way from a file to a hit is named
//! here once: where media lies ([`MediaRef`]), which of its frames are looked at ([`Sampling`]), what is
//! asked ([`Query`]), where vectors may be compared ([`Space`]), what a query becomes
//! ([`Probe`]) and what comes back ([`Hit`]).
//!
//! No IO, no tensors, no async: a crate that knows only this one builds in a second.

mod digest;
mod hit;
mod item;
mod media_ref;
mod probe;
mod query;
mod sampling;
mod space;
mod triplet;

pub use digest::Digest;
pub use hit::Hit;
pub use item::{ItemId, Kind};
pub use media_ref::{MediaRef, Span, SpanError, clock_from_secs};
pub use probe::{Embedding, Expr, Probe, Sim, Term};
pub use query::{MAX_WORDS_BYTES, Query, QueryError};
pub use sampling::{Sampling, SamplingError};
pub use space::{Space, SpaceMismatch};
pub use triplet::{Change, GalleryEntry, Split, Triplet};
