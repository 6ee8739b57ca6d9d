//! `likebut remove`: take items out of the library; the user's files are not touched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::ItemId;
use library::Library;
use serde_json::json;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paths::{item_id, place, shown, text};

/// What one target means.
struct Meant {
    items: BTreeMap<ItemId, PathBuf>,
    /// Files that had been left out; they are forgotten too.
    failures: Vec<PathBuf>,
}

/// Finds what is meant, says it, and forgets it unless this is a dry run. All or nothing: a target
/// that means nothing stops everything.
pub fn run(typed: &cli::Remove, context: &Context) -> Result<Exit, Failure> {
    let mut library = Library::open(context.settings.library())?;
    let meant = meant(&typed.targets, &library)?;
    let ids: Vec<ItemId> = meant.items.keys().copied().collect();
    let done = if typed.dry_run { "would leave" } else { "left" };
    if !typed.dry_run {
        library.remove(&ids)?;
        library.forgive(&meant.failures)?;
        // What was asked for is done; a vector file that cannot be written now is made again at the next start.
        if let Err(e) = library.seal() {
            context.say(format!("warning: the vector file could not be written: {e}"));
        }
    }
    if typed.json {
        let items: Vec<_> = meant.items.iter().map(|(id, path)| json!({"id": id, "path": text(path)})).collect();
        let failures: Vec<_> = meant.failures.iter().map(|path| text(path)).collect();
        print_json(json!({"dry_run": typed.dry_run, "removed": items, "forgotten_failures": failures}))?;
        return Ok(Exit::Ok);
    }
    let mut out = String::new();
    for (id, path) in &meant.items {
        out.push_str(&format!("{done}: #{id} {}\n", shown(path)));
    }
    for path in &meant.failures {
        out.push_str(&format!("{done} the list of what was left out: {}\n", shown(path)));
    }
    print(out)?;
    context.say(format!("{} items {done}; no file was touched", ids.len()));
    Ok(Exit::Ok)
}

fn meant(targets: &[String], library: &Library) -> Result<Meant, Failure> {
    let mut out = Meant { items: BTreeMap::new(), failures: Vec::new() };
    let failures = library.failures()?;
    for target in targets {
        if let Some(id) = item_id(target)? {
            let Some(item) = library.item(id)? else {
                return Err(Failure::usage(format!("the library holds no item {target}"))
                    .hint("likebut find and likebut status say what is in it"));
            };
            out.items.insert(id, item.media.path);
            continue;
        }
        let path = place(Path::new(target));
        let below = library.under(&path)?;
        let failed = failures.iter().map(|f| &f.path).filter(|p| p.starts_with(&path));
        let before = out.failures.len();
        out.failures.extend(failed.cloned());
        if below.is_empty() && out.failures.len() == before {
            return Err(Failure::usage(format!("nothing in the library was added from {}", shown(&path)))
                .hint("nothing was removed"));
        }
        out.items.extend(below);
    }
    Ok(out)
}
