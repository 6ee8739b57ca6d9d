//! `likebut completions SHELL`: a script that completes what is typed.

use crate::cli;
use crate::context::print;
use crate::exit::{Exit, Failure};

/// Prints the script.
pub fn run(typed: &cli::Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(typed.shell, &mut cli::command(), "likebut", &mut script);
    print(script)?;
    Ok(Exit::Ok)
}
