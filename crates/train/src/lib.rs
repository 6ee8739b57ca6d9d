//! Here are triplets, give me weights.
//!
//! Training in likebut is stages of one loop ([`run`]): *pre-training* teaches a backbone that a
//! picture and its caption lie at one place ([`pretrain`]), *composition training* teaches a method
//! that a reference and a modification text lie where their target does ([`compose`]; on features that
//! never change, [`adapt`]). A [`Recipe`] goes through both on drawn scenes, a [`Finetune`] through the second
//! on pictures and clips that lie here; questions in the form that CoVR-2 wants, whose targets are features of
//! before, go through a stage of their own ([`triplets`]).
//! Everything a run does follows from its [`Recipe`], its seed and its data; a run that is killed and
//! resumed ends where it would have ended.
//! What it does not know: files of the user, the command line, how anything is shown.

pub mod adapt;
mod adamw;
mod checkpoint;
pub mod compose;
mod data;
pub mod exam;
mod filed;
mod finetune;
mod follow;
pub mod imported;
mod journal;
pub mod pretrain;
pub mod questions;
pub mod recipe;
pub mod reproduce;
pub mod run;
mod schedule;
mod tensorboard;
mod tokens;
pub mod triplets;

pub use adamw::{AdamW, Grads};
pub use checkpoint::Checkpoint;
pub use data::{Drawn, Source, see};
pub use filed::Filed;
pub use finetune::Finetune;
pub use follow::{Run, follow};
pub use journal::Journal;
pub use recipe::{Precision, Recipe, RecipeError, Stage};
pub use run::{Ended, Pauses, Progress, TrainError, train};
pub use tokens::Tokens;
