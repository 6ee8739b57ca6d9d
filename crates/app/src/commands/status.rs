//! `likebut status`: what is in the library, and what was left out and why.

use std::fmt::Write as _;

use library::Library;
use serde_json::json;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paths::{shown, text};
use crate::progress::{bytes, thousands};

/// Prints the numbers, and the list of what was left out if that was asked for.
pub fn run(typed: &cli::Status, context: &Context) -> Result<Exit, Failure> {
    let library = Library::open(context.settings.library())?;
    let stats = library.stats()?;
    let failures = library.failures()?;
    if typed.json {
        let spaces: Vec<_> = stats
            .spaces
            .iter()
            .map(|s| json!({"space": s.space.to_string(), "model": s.space.model, "vectors": s.vectors}))
            .collect();
        let failed: Vec<_> =
            failures.iter().map(|f| json!({"path": text(&f.path), "code": f.code, "reason": f.reason})).collect();
        print_json(json!({
            "library": text(&context.settings.library()),
            "format": library::FORMAT_VERSION,
            "indexed": stats.pictures + stats.clips,
            "pictures": stats.pictures,
            "clips": stats.clips,
            "failed": failed,
            "database_bytes": stats.database_bytes,
            "spaces": spaces,
        }))?;
        return Ok(Exit::Ok);
    }
    let paint = &context.paint;
    let mut out = String::new();
    let n = |n: usize| thousands(n as u64);
    // Writing to memory cannot fail.
    let _ =
        writeln!(out, "library   {}  {}", shown(&context.settings.library()), paint.dim(&bytes(stats.database_bytes)));
    let _ = writeln!(
        out,
        "indexed   {}  {}",
        paint.bold(&n(stats.pictures + stats.clips)),
        paint.dim(&format!("{} pictures, {} clips", n(stats.pictures), n(stats.clips)))
    );
    for space in &stats.spaces {
        let _ = writeln!(out, "vectors   {}  {}", n(space.vectors), paint.dim(&space.space.to_string()));
    }
    let _ = writeln!(out, "left out  {}", n(failures.len()));
    if typed.failed {
        for failure in &failures {
            let _ = writeln!(out, "  {}: {}", shown(&failure.path), crate::paint::printable(&failure.reason));
        }
    } else if !failures.is_empty() {
        context.say("why: likebut status --failed");
    }
    print(out)?;
    Ok(Exit::Ok)
}
