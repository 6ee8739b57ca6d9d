//! `likebut model`: bring, list and check models.

mod convert;
mod import;
mod list;
mod measure;
mod pull;
mod remove;
mod show;
mod verify;

use crate::cli::{self, ModelAction};
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Does what was typed.
pub fn run(typed: &cli::Model, context: &Context) -> Result<Exit, Failure> {
    match &typed.action {
        ModelAction::List(typed) => list::run(typed, context),
        ModelAction::Show(typed) => show::run(typed, context),
        ModelAction::Pull(typed) => pull::run(typed, context),
        ModelAction::Import(typed) => import::run(typed, context),
        ModelAction::Convert(typed) => convert::run(typed, context),
        ModelAction::Verify(typed) => verify::run(typed, context),
        ModelAction::Measure(typed) => measure::run(typed, context),
        ModelAction::Remove(typed) => remove::run(typed, context),
    }
}
