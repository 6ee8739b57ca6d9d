//! `likebut model verify`: every byte of a model, held against what was announced.

use hub::{Origin, Store, Verified, verify_snapshot};
use serde_json::json;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paint::printable;
use crate::paths::{shown, text};
use crate::shelf::{Here, Shelf, decimal};

/// Reads, compares, and says what is wrong and how to mend it.
pub fn run(typed: &cli::ModelVerify, context: &Context) -> Result<Exit, Failure> {
    let shelf = Shelf::open();
    let models = match typed.models.is_empty() {
        true => shelf.here(),
        false => typed.models.iter().map(|name| one(&shelf, name)).collect::<Result<_, _>>()?,
    };
    let looked: Vec<(Here, Verified)> = models
        .into_iter()
        .map(|here| {
            let verified = match &here.record {
                Some(record) => Store::verify(record, &here.folder, &mut |_| {}),
                None => verify_snapshot(&shelf.hub.cache, &here.folder, &mut |_| {}),
            };
            (here, verified)
        })
        .collect();
    let whole = looked.iter().all(|(_, v)| v.wrong.is_empty());
    if typed.json {
        let models: Vec<_> = looked
            .iter()
            .map(|(here, v)| {
                let wrong: Vec<_> = v.wrong.iter().map(|(p, why)| json!({"path": text(p), "reason": why})).collect();
                json!({"name": here.name, "folder": text(&here.folder), "ok": v.wrong.is_empty(), "files": v.whole,
                       "bytes": v.bytes, "wrong": wrong, "without_digest": v.unnamed})
            })
            .collect();
        print_json(json!({"ok": whole, "models": models}))?;
    } else {
        print(looked.iter().map(|(here, v)| told(here, v, context)).collect::<String>())?;
    }
    if looked.is_empty() {
        context
            .say("no model is on this disk beside the one inside the program, which checks itself when it is opened");
    }
    for (here, _) in looked.iter().filter(|(_, v)| !v.wrong.is_empty()) {
        let imported = here.record.as_ref().is_some_and(|r| matches!(r.origin, Origin::Import { .. }));
        context.say(match imported {
            true => format!("if you changed {} yourself: likebut model remove {0}, then import it again", here.name),
            false => format!("to mend it: likebut model pull {}", here.name),
        });
    }
    Ok(if whole { Exit::Ok } else { Exit::Missing })
}

fn one(shelf: &Shelf, name: &str) -> Result<Here, Failure> {
    match shelf.named(name)? {
        Some(here) => Ok(here),
        None => {
            // Says how to bring it, or that there is no such thing.
            shelf.find(name)?;
            Err(Failure::usage(format!(
                "{name:?} has no record to be held against; name a model of likebut model list"
            )))
        }
    }
}

fn told(here: &Here, verified: &Verified, context: &Context) -> String {
    let mut out = String::new();
    for (path, why) in &verified.wrong {
        out.push_str(&format!("{} {}: {}\n", context.paint.bad("wrong:"), shown(path), printable(why)));
    }
    if !verified.unnamed.is_empty() {
        out.push_str(&format!("{} files carry no digest, being copies\n", verified.unnamed.len()));
    }
    let verdict = match verified.wrong.is_empty() {
        true => context.paint.good("whole"),
        false => context.paint.bad("not whole"),
    };
    out + &format!("{verdict}: {}, {} files, {}\n", here.name, verified.whole, decimal(verified.bytes))
}
