//! The nightly list: what takes too long for every change, and must still be true.

use std::path::Path;

use crate::shell;

/// Each line is a command of `likebut`, with the minutes within which it ends on two idle cores.
const LIST: &[(u64, &[&str])] =
    &[(20, &["reproduce", "imagine", "--quick", "--no-times", "--out", "target/nightly/imagine"])];

/// Runs all of it; a command that fails or takes too long is named at the end.
pub fn run(root: &Path) -> Result<(), String> {
    let cargo = shell::cargo();
    let mut faults = Vec::new();
    for (minutes, command) in LIST {
        let began = std::time::Instant::now();
        let args = [&["run", "--profile", shell::PROFILE, "-p", "likebut", "--"], *command].concat();
        if let Err(why) = shell::show(root, &cargo, &args) {
            faults.push(why);
        }
        let took = began.elapsed().as_secs() / 60;
        if took >= *minutes {
            faults.push(format!("likebut {} took {took} minutes; {minutes} are allowed", command.join(" ")));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}
