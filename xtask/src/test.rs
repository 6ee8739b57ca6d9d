//! The test command: everything that must be true of a change, cheapest first.

use std::path::Path;
use std::time::Instant;

use crate::{docs, shell, tidy};

/// Runs everything; stops at the first fault.
pub fn run(root: &Path) -> Result<(), String> {
    let start = Instant::now();
    let cargo = shell::cargo();
    tidy::run(root)?;
    if part_is_installed(root, "fmt", "rustfmt") {
        shell::show(root, &cargo, &["fmt", "--all", "--check"])?;
    }
    if part_is_installed(root, "clippy", "clippy") {
        let args =
            ["clippy", "--profile", shell::PROFILE, "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
        shell::show(root, &cargo, &args)?;
    }
    shell::show(root, &cargo, &["test", "--profile", shell::PROFILE, "--workspace"])?;
    docs::check(root)?;
    eprintln!("\nall is well ({:.0} s)", start.elapsed().as_secs_f64());
    Ok(())
}

/// A newcomer may have a bare toolchain; that is no reason not to run the tests.
fn part_is_installed(root: &Path, command: &str, component: &str) -> bool {
    let there = shell::read(root, &shell::cargo(), &[command, "--version"]).is_ok();
    if !there {
        eprintln!("\n── skipped: cargo {command} is not installed; `rustup component add {component}` brings it");
    }
    there
}
