//! The commands: one file each, from what was typed to what it means to doing it.

mod add;
mod completions;
mod config;
mod data;
mod demo;
mod docs;
mod doctor;
mod embed;
mod eval;
mod explain;
mod find;
mod model;
mod remove;
mod reproduce;
mod scenes;
mod status;
mod train;
mod verify;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::machine;

/// Runs what was typed.
pub fn run(cli: Cli, context: &Context) -> Result<Exit, Failure> {
    // Whoever only explains the program can be asked why the others refuse.
    if !matches!(cli.command, Command::Doctor(_) | Command::Config(_) | Command::Completions(_) | Command::Docs(_)) {
        machine::check_wish()?;
    }
    match cli.command {
        Command::Demo(typed) => demo::run(&typed, context),
        Command::Add(typed) => add::run(&typed, context),
        Command::Find(typed) => find::run(&typed, context),
        Command::Explain(typed) => explain::run(&typed, context),
        Command::Scenes(typed) => scenes::run(&typed, context),
        Command::Eval(typed) => eval::run(&typed, context),
        Command::Reproduce(typed) if typed.card.as_os_str() == "imagine" => {
            reproduce::run(&typed.course, typed.root.as_deref(), context)
        }
        Command::Reproduce(typed) => eval::reproduce(&typed, context),
        Command::Data(typed) => data::run(&typed.action, context),
        Command::Train(typed) => train::run(&typed, context),
        Command::Model(typed) => model::run(&typed, context),
        Command::Embed(typed) => embed::run(&typed, context),
        Command::Status(typed) => status::run(&typed, context),
        Command::Verify(typed) => verify::run(&typed, context),
        Command::Remove(typed) => remove::run(&typed, context),
        Command::Doctor(typed) => doctor::run(&typed, context),
        Command::Config(typed) => config::run(typed, context),
        Command::Completions(typed) => completions::run(&typed),
        Command::Docs(typed) => docs::run(&typed),
    }
}
