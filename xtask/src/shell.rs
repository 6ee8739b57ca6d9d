//! Other programs: run one, say what it is, and give back what it said.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Tests run in the profile that people run the program in: the dependencies, which are most of
/// the work, are then built once for both, and tests of models take seconds instead of minutes.
pub const PROFILE: &str = "release";

/// The workspace's folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The cargo that runs us.
pub fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Runs a program in full view, saying what it is and how long it took.
pub fn show(root: &Path, program: &str, args: &[&str]) -> Result<(), String> {
    let name = Path::new(program).file_stem().map_or(program.into(), |s| s.to_string_lossy());
    let line = format!("{name} {}", args.join(" "));
    eprintln!("\n── {line}");
    let start = Instant::now();
    let status = Command::new(program).args(args).current_dir(root).stdin(Stdio::null()).status();
    let status = status.map_err(|e| format!("cannot run {line}: {e}"))?;
    eprintln!("── {line}: {:.0} s", start.elapsed().as_secs_f64());
    match status.success() {
        true => Ok(()),
        false => Err(format!("{line} failed ({status})")),
    }
}

/// Runs a program quietly and gives its standard output, or its standard error as the fault.
pub fn read(root: &Path, program: &str, args: &[&str]) -> Result<String, String> {
    let out = Command::new(program).args(args).current_dir(root).stdin(Stdio::null()).output();
    let out = out.map_err(|e| format!("cannot run {program}: {e}"))?;
    match out.status.success() {
        true => {
            String::from_utf8(out.stdout).map_err(|_| format!("{program} {} printed what is not text", args.join(" ")))
        }
        false => Err(format!("{program} {} failed: {}", args.join(" "), String::from_utf8_lossy(&out.stderr).trim())),
    }
}
