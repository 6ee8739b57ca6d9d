//! `likebut model remove`: a model leaves this disk; what the user imported stays where it was.

use hub::{Origin, Repo, Source};
use serde_json::json;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paths::{shown, text};
use crate::shelf::{INSIDE, Shelf, decimal};

/// Says what would go, and lets it go unless this is a dry run.
pub fn run(typed: &cli::ModelRemove, context: &Context) -> Result<Exit, Failure> {
    let name = typed.model.as_str();
    if name == INSIDE {
        return Err(Failure::usage(format!("{INSIDE} is inside the program and goes with it")));
    }
    let shelf = Shelf::open();
    let record = if hub::check_model(name).is_ok() { shelf.store.record(name)? } else { None };
    let known = hub::known(name);
    let (repo, commit) = match (record.as_ref().map(|r| &r.origin), known) {
        (Some(Origin::Import { .. }), _) => (None, None),
        (Some(Origin::Hub { repo, commit, .. }), _) => (Some(Repo::parse(repo)?), Some(commit.clone())),
        (None, Some(known)) => {
            let source = Source::of(known)?;
            let found = shelf.hub.find(&source);
            if found.is_some() && !typed.shared {
                return Err(Failure::usage(format!("{name} was brought by another program, which may need it")).hint(
                    format!("to delete it from the shared cache all the same: likebut model remove {name} --shared"),
                ));
            }
            (Some(source.repo), found.map(|(commit, _)| commit))
        }
        (None, None) => {
            shelf.find(name)?;
            return Err(Failure::usage(format!("{name:?} is a folder of yours, which likebut does not delete")));
        }
    };
    let (paths, bytes) = match (&repo, &commit) {
        (Some(repo), Some(commit)) => shelf.hub.cache.belongings(repo, commit),
        _ => (Vec::new(), 0),
    };
    if record.is_none() && paths.is_empty() {
        return Err(Failure::usage(format!("{name} is not on this disk")));
    }
    if !typed.dry_run {
        shelf.hub.cache.forget(&paths)?;
        if record.is_some() {
            shelf.store.remove(name)?;
        }
    }
    let done = if typed.dry_run { "would go" } else { "gone" };
    if typed.json {
        print_json(
            json!({"name": name, "dry_run": typed.dry_run, "paths": paths.iter().map(|p| text(p)).collect::<Vec<_>>(), "bytes": bytes}),
        )?;
        return Ok(Exit::Ok);
    }
    print(paths.iter().map(|p| format!("{done}: {}\n", shown(p))).collect::<String>())?;
    context.say(match record.as_ref().map(|r| &r.origin) {
        Some(Origin::Import { path, copied: false }) => format!("{done}: the name {name}; {} stays", shown(path)),
        Some(Origin::Import { .. }) => format!("{done}: {name}, {}", decimal(record.map_or(0, |r| r.bytes()))),
        _ => format!("{done}: {name}, {}", decimal(bytes)),
    });
    Ok(Exit::Ok)
}
