//! Here are triplets, give me weights.
//!
//! Training in likebut is stages of one loop ([`run`]): *pre-training* teaches a backbone that a
//! picture and its caption lie at one place ([`pretrain`]), *composition training* teaches a method
//! that a reference and a modification text lie where their target does ([`imagine`]).
//! Everything a run does follows from its [`Recipe`], its seed and its data; a run that is killed and
//! resumed ends where it would have ended.
//! What it does not know: files of the user, the command line, how anything is shown.

mod adamw;
mod checkpoint;
mod data;
pub mod exam;
mod follow;
pub mod imagine;
mod journal;
pub mod pretrain;
mod recipe;
pub mod run;
mod schedule;
mod tensorboard;

pub use adamw::AdamW;
pub use checkpoint::Checkpoint;
pub use data::Drawn;
pub use follow::{Run, follow};
pub use journal::Journal;
pub use recipe::{Recipe, RecipeError, Stage};
pub use run::{Ended, Progress, TrainError, train};
