//! `likebut model list`: which models there are, which are on this disk, and how fast they are here.

use hub::{KNOWN, Known, Origin};
use serde_json::json;

use super::measure::short;
use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paths::{shown, text};
use crate::shelf::{Here, INSIDE, Meant, Shelf, decimal, size};
use crate::speed::{Speeds, machine};

/// One line.
struct Line {
    name: String,
    /// `inside`, `here`, `part` or nothing.
    state: &'static str,
    size: String,
    licence: String,
    family: &'static str,
    about: String,
}

/// Prints the table; nobody is asked.
pub fn run(typed: &cli::ModelList, context: &Context) -> Result<Exit, Failure> {
    let shelf = Shelf::open();
    let here = shelf.here();
    let found = |name: &str| here.iter().find(|h| h.name == name);
    let speeds = Speeds::open(&context.settings);
    // Nothing for what is not here: it cannot be measured.
    let speed = |name: &str| {
        let meant = match found(name) {
            _ if name == INSIDE => Some(Meant::Inside),
            other => other.map(|h| Meant::Here { name: h.name.clone(), folder: h.folder.clone() }),
        };
        meant.map(|meant| speeds.of(name, &meant))
    };
    let mut lines = vec![Line {
        name: INSIDE.to_owned(),
        state: "inside",
        size: String::new(),
        licence: "MIT or Apache-2.0".to_owned(),
        family: "BLIP-2",
        about: "inside the program; has seen drawn scenes only".to_owned(),
    }];
    lines.extend(KNOWN.iter().map(|known| of_known(&shelf, known, found(known.name))));
    let own = here.iter().filter(|h| KNOWN.iter().all(|k| k.name != h.name));
    lines.extend(own.map(of_own));
    if typed.json {
        let models: Vec<_> = lines
            .iter()
            .map(|l| {
                let known = KNOWN.iter().find(|k| k.name == l.name);
                let folder = found(&l.name).map(|h| text(&h.folder).into_owned());
                json!({
                    "name": l.name, "state": l.state, "family": l.family, "licence": l.licence, "about": l.about,
                    "folder": folder, "repo": known.map(|k| k.repo), "revision": known.map(|k| k.revision),
                    "view": known.map(|k| k.view), "millions": known.map(|k| k.millions),
                    "weights_bytes": known.and_then(|k| k.bytes), "speed": speed(&l.name).flatten().map(|s| s.json()),
                })
            })
            .collect();
        print_json(json!({
            "cache": text(&shelf.hub.place.cache), "store": text(&shelf.store.root), "machine": machine(&context.settings),
            "measure": "likebut model measure", "models": models,
        }))?;
        return Ok(Exit::Ok);
    }
    let width = |of: fn(&Line) -> &str| lines.iter().map(|l| of(l).chars().count()).max().unwrap_or(0);
    let (name, size) = (width(|l| &l.name), width(|l| &l.size));
    let told = |name: &str| match speed(name) {
        None => String::new(),
        Some(None) => "not measured yet".to_owned(),
        Some(Some(speed)) => format!("{} pictures/s", short(speed.pictures_per_sec)),
    };
    let fast = lines.iter().map(|l| told(&l.name).chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for l in &lines {
        let state = format!("{:<6}", l.state);
        let state = match l.state {
            "" => state,
            "part" => context.paint.notice(&state),
            _ => context.paint.good(&state),
        };
        let about = crate::paint::printable(&l.about);
        out.push_str(&format!(
            "{:<name$}  {state}  {:>size$}  {:>fast$}  {}\n",
            l.name,
            l.size,
            told(&l.name),
            context.paint.dim(&about)
        ));
    }
    print(out)?;
    if lines.iter().any(|l| speed(&l.name) == Some(None)) {
        context.say("to measure how fast they are on this machine: likebut model measure");
    }
    if here.is_empty() {
        context.say("to bring one: likebut model pull NAME · to use it: --model NAME");
    } else {
        context.say("to use one: --model NAME · more about one: likebut model show NAME");
    }
    Ok(Exit::Ok)
}

fn of_known(shelf: &Shelf, known: &Known, here: Option<&Here>) -> Line {
    let state = match here {
        Some(_) => "here",
        None if shelf.partial_bytes(known) > 0 => "part",
        None => "",
    };
    let size = size(known).replace("at most about ", "≤ ");
    Line {
        name: known.name.to_owned(),
        state,
        size,
        licence: known.licence.unwrap_or("unknown").to_owned(),
        family: known.family.name(),
        about: known.about.to_owned(),
    }
}

fn of_own(here: &Here) -> Line {
    let record = here.record.as_ref();
    let about = match record.map(|r| &r.origin) {
        Some(Origin::Import { path, .. }) => format!("yours, from {}", shown(path)),
        Some(Origin::Hub { repo, revision, .. }) => format!("{repo} at {revision}"),
        None => "yours".to_owned(),
    };
    Line {
        name: here.name.clone(),
        state: "here",
        size: record.map(|r| decimal(r.bytes())).unwrap_or_default(),
        licence: record.and_then(|r| r.licence.clone()).unwrap_or_else(|| "unknown".to_owned()),
        family: record.map_or("unknown", |r| r.family.name()),
        about,
    }
}
