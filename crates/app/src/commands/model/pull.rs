//! `likebut model pull`: bring a published model to this disk, once its licence was seen.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use hub::{Event, Family, Known, Plan, Record, Repo, Source};
use serde_json::json;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure, nearest};
use crate::interrupt;
use crate::paint::printable;
use crate::paths::text;
use crate::progress::Progress;
use crate::shelf::{Shelf, decimal, name_from, place};

/// Asks the hub, shows what that means, asks the user, fetches, checks, writes down.
pub fn run(typed: &cli::ModelPull, context: &Context) -> Result<Exit, Failure> {
    let (known, source) = meant(typed)?;
    let name = known.map_or_else(|| name_from(Path::new(source.repo.as_str())), |k| k.name.to_owned());
    hub::check_model(&name)?;
    let shelf = Shelf::open();
    let mut tell = |event: Event<'_>| {
        if let Event::Waiting { why, secs } = event {
            context.say(format!("{}; trying again in {secs} s", printable(why)));
        }
    };
    let plan = match shelf.hub.plan(&source, &mut tell, &interrupt::requested) {
        Ok(plan) => plan,
        Err(error) => return here_all_the_same(error, &shelf, &source, &name, typed, context),
    };
    if !context.quiet || typed.dry_run {
        eprint!("{}", description(&name, known, &plan, &shelf, context));
    }
    if typed.dry_run {
        if typed.json {
            print_json(described(&name, &plan, None))?;
        }
        return Ok(Exit::Ok);
    }
    if plan.missing_bytes() > 0 && !typed.yes && !agreed(&name)? {
        context.say("nothing was fetched");
        return Ok(Exit::Ok);
    }
    // What cannot be counted in megabytes is too small to be watched.
    let mut progress = Progress::new("fetching", "MB", plan.bytes() / 1_000_000, context.quiet);
    let mut tell = |event: Event<'_>| match event {
        Event::Bytes(bytes) => {
            progress.note(String::new());
            progress.set(bytes / 1_000_000);
        }
        Event::Checking(file) => progress.note(format!("checking {}", printable(file))),
        Event::Waiting { why, .. } => progress.note(printable(why)),
    };
    let pulled = shelf.hub.pull(&plan, &mut tell, &interrupt::requested);
    progress.finish();
    let folder = pulled.map_err(|e| {
        let failure = Failure::from(e);
        match failure.exit {
            Exit::Interrupted => failure.hint(format!("to go on: likebut model pull {name}")),
            _ => failure,
        }
    })?;
    shelf.store.note(&name, &Record::of_pull(&plan))?;
    if typed.json {
        print_json(described(&name, &plan, Some(&folder)))?;
    } else {
        print(format!("{}\n", folder.display()))?;
    }
    context.say(format!(
        "{} every file is what was announced; to use it: --model {name}",
        context.paint_err.good("whole:")
    ));
    Ok(Exit::Ok)
}

fn meant(typed: &cli::ModelPull) -> Result<(Option<&'static Known>, Source), Failure> {
    let known = hub::known(&typed.model);
    let mut source = match known {
        Some(known) => Source::of(known)?,
        None if typed.model.contains('/') => {
            Source { repo: Repo::parse(&typed.model)?, revision: "main".to_owned(), family: Family::Other }
        }
        None => {
            let failure = Failure::usage(format!("likebut knows no model {:?}", typed.model));
            let failure = match nearest(&typed.model, hub::KNOWN.iter().map(|k| k.name)) {
                Some(meant) => failure.hint(format!("did you mean {meant:?}?")),
                None => failure,
            };
            return Err(failure.hint("likebut model list prints all names; any other repository is written OWNER/NAME"));
        }
    };
    if let Some(revision) = &typed.revision {
        source.revision = revision.clone();
    }
    Ok((known, source))
}

/// Nobody could be asked. If the model is here already, that is all that was wanted.
fn here_all_the_same(
    error: hub::Error,
    shelf: &Shelf,
    source: &Source,
    name: &str,
    typed: &cli::ModelPull,
    context: &Context,
) -> Result<Exit, Failure> {
    let unasked = matches!(error, hub::Error::Offline { .. } | hub::Error::Unreachable { .. });
    match shelf.hub.find(source).filter(|_| unasked) {
        Some((commit, folder)) => {
            context.say(format!("{error}"));
            context.say(format!("{name} is here already, at {}", &commit[..12]));
            match typed.json {
                true => print_json(json!({"name": name, "commit": commit, "folder": text(&folder), "asked": false}))?,
                false => print(format!("{}\n", folder.display()))?,
            }
            Ok(Exit::Ok)
        }
        None => Err(error.into()),
    }
}

/// What a pull would bring, on which terms, and where to.
fn description(name: &str, known: Option<&Known>, plan: &Plan, shelf: &Shelf, context: &Context) -> String {
    let paint = &context.paint_err;
    let repo = &plan.source.repo;
    let revision = printable(&plan.source.revision);
    let mut out = format!("{}  {repo} at {revision} ({})\n", paint.bold(name), &plan.commit[..12]);
    if let Some(known) = known {
        out.push_str(&format!("  for      {}\n", known.about));
    }
    let page = format!("{}/{repo}", shelf.hub.place.endpoint);
    match (&plan.licence, known.and_then(|k| k.licence)) {
        (Some(now), Some(then)) if !now.eq_ignore_ascii_case(then) => {
            let now = paint.notice(&printable(now));
            out.push_str(&format!("  licence  {now}: it has changed, likebut's table says {then}; read {page}\n"));
        }
        (Some(now), _) => {
            let terms = known.map_or("as its page states", |k| k.terms);
            out.push_str(&format!("  licence  {} ({terms}; {page})\n", paint.bold(&printable(now))));
        }
        (None, Some(then)) => {
            out.push_str(&format!("  licence  {then} by likebut's table; its page states none now: read {page}\n"));
        }
        (None, None) => out.push_str(&format!("  licence  {}: read {page}\n", paint.notice("its page states none"))),
    }
    let to_come = match plan.missing_bytes() {
        0 => "all here already".to_owned(),
        n => format!("{} to fetch", decimal(n)),
    };
    out.push_str(&format!(
        "  files    {}, {} in all, {to_come} ({} others are not needed)\n",
        plan.files.len(),
        decimal(plan.bytes()),
        plan.others
    ));
    for file in &plan.files {
        let here = if file.here { "  here" } else { "" };
        out.push_str(&paint.dim(&format!("           {:>8}  {}{here}", decimal(file.size), printable(&file.name))));
        out.push('\n');
    }
    out.push_str(&format!("  into     {}\n", place(&shelf.hub.place.cache)));
    out
}

fn described(name: &str, plan: &Plan, folder: Option<&Path>) -> serde_json::Value {
    let files: Vec<_> = plan
        .files
        .iter()
        .map(|f| json!({"name": f.name, "bytes": f.size, "digest": f.digest.to_string(), "was_here": f.here}))
        .collect();
    json!({
        "name": name, "repo": plan.source.repo.as_str(), "revision": plan.source.revision, "commit": plan.commit,
        "licence": plan.licence, "files": files, "bytes": plan.bytes(), "folder": folder.map(text), "asked": true,
    })
}

/// Whether the user agrees. A script that has not said so is told how to.
fn agreed(name: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("the licence above is to be accepted before anything is fetched")
            .hint(format!("to accept it here: likebut model pull {name} --yes")));
    }
    eprint!("Fetch it on these terms? [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}
