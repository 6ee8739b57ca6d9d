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

use std::io::Write;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::machine;
use crate::paint::Paint;
use crate::settings::Settings;

/// What every command is given.
pub struct Context {
    /// The settings, resolved.
    pub settings: Settings,
    /// Colours on stdout.
    pub paint: Paint,
    /// Colours on stderr.
    pub paint_err: Paint,
    /// Whether to say only what is asked for and what went wrong.
    pub quiet: bool,
}

impl Context {
    /// Says something beside the data: on stderr, and not if silence was asked for.
    pub fn say(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            // Nobody listening is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}

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

/// Writes data to stdout, whole.
pub fn print(data: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(data.as_ref())?;
    Ok(out.flush()?)
}

/// Writes one versioned JSON object to stdout, on a line of its own.
pub fn print_json(mut value: serde_json::Value) -> Result<(), Failure> {
    if let Some(object) = value.as_object_mut() {
        object.insert("likebut".to_owned(), crate::JSON_VERSION.into());
    }
    print(format!("{value}\n"))
}
