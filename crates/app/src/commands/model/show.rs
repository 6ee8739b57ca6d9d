//! `likebut model show`: everything about one model.

use std::fmt::Write as _;

use hub::{Known, Origin, Record};
use methods::Model;
use nets::weights::{Checkpoint, Loaded};
use serde_json::{Value, json};

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::models;
use crate::paint::printable;
use crate::paths::{shown, text};
use crate::progress::thousands;
use crate::shelf::{INSIDE, Meant, Shelf, decimal, place, size};

/// What is known of it, what is written down of it, and what it says of itself when opened.
pub fn run(typed: &cli::ModelShow, context: &Context) -> Result<Exit, Failure> {
    let shelf = Shelf::open();
    let known = hub::known(&typed.model);
    let meant = match shelf.find(&typed.model) {
        Ok(meant) => Some(meant),
        // A known model can be told about without being here.
        Err(_) if known.is_some() => None,
        Err(failure) => return Err(failure),
    };
    let record = match &meant {
        Some(Meant::Here { name, .. }) => shelf.named(name)?.and_then(|h| h.record),
        _ => None,
    };
    let opened = meant.as_ref().map(|meant| models::load(meant, &nets::cpu()));
    if typed.json {
        print_json(described(known, meant.as_ref(), record.as_ref(), opened.as_ref()))?;
        return Ok(Exit::Ok);
    }
    let mut out = String::new();
    let name = match (&meant, known) {
        (Some(Meant::Inside), _) => INSIDE.to_owned(),
        (_, Some(known)) => known.name.to_owned(),
        (Some(Meant::Here { name, .. }), None) => printable(name),
        (None, None) => typed.model.clone(),
    };
    // Writing to memory cannot fail.
    let _ = writeln!(out, "{}", context.paint.bold(&name));
    let mut line = |key: &str, value: String| {
        let _ = writeln!(out, "  {key:<8} {value}");
    };
    if let Some(known) = known {
        line("for", known.about.to_owned());
        line("from", format!("{} at {}", known.page(), known.revision));
        line("licence", format!("{} ({})", known.licence.unwrap_or("unknown"), known.terms));
        line("family", format!("{}, {} million numbers, {}", known.family.name(), known.millions, size(known)));
        line("sees", format!("{} (as published)", known.view));
    }
    match &meant {
        Some(Meant::Here { folder, .. }) => line("here", place(folder)),
        Some(Meant::Inside) => line("here", "inside the program".to_owned()),
        None => line("here", format!("no; likebut model pull {name} brings it")),
    }
    if let Some(record) = &record {
        line("record", told(record));
    }
    match &opened {
        Some(Ok((model, report))) => {
            let m = &model.manifest;
            line("about", m.about.clone());
            line("view", m.view.to_string());
            line("frames", m.sampling.to_string());
            line("space", model.space().to_string());
            line("weights", m.weights.to_string());
            if let Some(report) = report {
                report.to_string().lines().for_each(|l| line("tensors", printable(l)));
            } else if let Some((count, numbers)) = tensors(meant.as_ref()) {
                line(
                    "tensors",
                    format!("{count} loaded, {} numbers, none missing, none left over", thousands(numbers)),
                );
            }
        }
        Some(Err(failure)) => line("opens", format!("no: {}", printable(&failure.what))),
        None => {}
    }
    print(out)?;
    Ok(Exit::Ok)
}

fn told(record: &Record) -> String {
    let files = format!("{} files, {}", record.files.len(), decimal(record.bytes()));
    match &record.origin {
        Origin::Hub { repo, revision, commit } => {
            let licence = record.licence.as_deref().unwrap_or("no licence stated");
            format!(
                "{repo} at {} ({}), {files}, {}",
                printable(revision),
                &commit[..12.min(commit.len())],
                printable(licence)
            )
        }
        Origin::Import { path, copied } => {
            let how = if *copied { "copied" } else { "linked" };
            format!("{how} from {}, {files}", shown(path))
        }
    }
}

/// How many tensors with how many numbers: all of them were loaded, or it would not have opened.
fn tensors(meant: Option<&Meant>) -> Option<(usize, u64)> {
    let checkpoint = match meant? {
        Meant::Inside => Checkpoint::from_bytes(models::WEIGHTS.to_vec()),
        Meant::Here { folder, .. } => Checkpoint::open(folder),
    };
    let checkpoint = checkpoint.ok()?;
    let numbers = checkpoint.tensors().map(|(_, entry)| entry.shape.iter().product::<usize>() as u64).sum();
    Some((checkpoint.tensors().len(), numbers))
}

fn described(
    known: Option<&Known>,
    meant: Option<&Meant>,
    record: Option<&Record>,
    opened: Option<&Result<(Model, Option<Loaded>), Failure>>,
) -> Value {
    let known = known.map(|k| {
        json!({"name": k.name, "repo": k.repo, "revision": k.revision, "licence": k.licence, "terms": k.terms,
               "view": k.view, "millions": k.millions, "weights_bytes": k.bytes, "about": k.about, "family": k.family})
    });
    let folder = match meant {
        Some(Meant::Here { folder, .. }) => Some(folder),
        _ => None,
    };
    let opened = opened.map(|opened| match opened {
        Ok((model, report)) => {
            let (tensors, numbers) = tensors(meant).unzip();
            let report = report.as_ref().map(|r| {
                json!({"loaded": r.loaded.len(), "numbers": r.numbers, "missing": r.missing, "unexpected": r.unexpected,
                       "reshaped": r.reshaped, "passed_over": r.passed_over})
            });
            json!({"manifest": model.manifest, "space": model.space(), "tensors": tensors, "numbers": numbers, "report": report})
        }
        Err(failure) => json!({"error": failure.what}),
    });
    json!({"known": known, "inside": meant == Some(&Meant::Inside), "folder": folder.map(|f| text(f)), "record": record, "opened": opened})
}
