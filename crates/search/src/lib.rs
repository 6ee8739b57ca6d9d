//! The two rivers, one function each.
//!
//! *A file becomes frames, frames become features, features are kept*: [`add`].
//! *A question becomes a probe, a probe finds hits*: [`find`].
//! An [`Engine`] is a method and a library that belong together; evaluation, training's last look and
//! the command line all go through these two functions.
//! What it does not know: what counts as right, how anything is shown.

mod engine;
mod ingest;
mod query;
mod scores;
mod stages;
mod vectors;

pub use engine::{Engine, SearchError};
pub use ingest::{Added, Event, Options, add, caption_all};
pub use query::{Answer, Found, averaged, find, find_batch, nearest, see, see_within};
pub use scores::Scorer;
pub use stages::{Budget, MEMORY, Out, Stages};
pub use vectors::{FOREIGN, Vectors, VectorsError};
