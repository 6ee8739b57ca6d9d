//! `likebut verify`: whether the library is whole, and every item accounted for.

use library::Library;
use serde_json::json;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paths::{shown, text};
use crate::progress::thousands;

/// Reads every byte and says what is wrong; what can be made again is made again.
pub fn run(typed: &cli::Verify, context: &Context) -> Result<Exit, Failure> {
    let library = Library::open(context.settings.library())?;
    let report = library.verify(true)?;
    let missing = library.missing_files()?;
    let items = report.stats.pictures + report.stats.clips;
    // An item without a vector can never be found, so it is not indexed, whatever the table says.
    let without: Vec<String> = report
        .stats
        .spaces
        .iter()
        .filter(|s| s.vectors != items)
        .map(|s| format!("{} of {items} items have no vector of {}", items.saturating_sub(s.vectors), s.space.model))
        .collect();
    let whole = report.is_ok() && without.is_empty();
    if typed.json {
        print_json(json!({
            "ok": whole,
            "indexed": items,
            "failed": report.stats.failures,
            "problems": report.problems.iter().chain(&without).collect::<Vec<_>>(),
            "repaired": report.repaired,
            "missing_files": missing.iter().map(|(id, path)| json!({"id": id, "path": text(path)})).collect::<Vec<_>>(),
        }))?;
    } else {
        let n = |n: usize| thousands(n as u64);
        let mut out = String::new();
        for problem in report.problems.iter().chain(&without) {
            out.push_str(&format!("{} {problem}\n", context.paint.bad("wrong:")));
        }
        for repair in &report.repaired {
            out.push_str(&format!("put right: {repair}\n"));
        }
        for (id, path) in missing.iter().take(20) {
            out.push_str(&format!("gone: #{id} {}\n", shown(path)));
        }
        if missing.len() > 20 {
            out.push_str(&format!("gone: and {} more\n", n(missing.len() - 20)));
        }
        let verdict = if whole { context.paint.good("whole") } else { context.paint.bad("not whole") };
        out.push_str(&format!(
            "{verdict}: {} indexed, {} left out, {} files no longer where they were\n",
            n(items),
            n(report.stats.failures),
            n(missing.len())
        ));
        print(out)?;
        if !missing.is_empty() {
            context.say("if they moved, add the new folder; if they are gone: likebut remove PATH");
        }
    }
    Ok(if whole { Exit::Ok } else { Exit::Library })
}
