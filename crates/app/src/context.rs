//! What every command is given, and where what it says goes: data to stdout, everything else beside it.

use std::io::Write;

use crate::exit::Failure;
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
