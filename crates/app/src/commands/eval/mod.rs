//! `likebut eval`: mark methods on a set of questions.

mod report;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use benchmarks::sets::triplets::{IfMissing, load};
use benchmarks::{Benchmark, Protocol, Report};
use domain::Split;
use library::Library;
use methods::{METHODS, Model};
use search::Engine;
use serde_json::json;
use train::exam;

use crate::cli;
use crate::commands::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::interrupt;
use crate::models;
use crate::paths::shown;
use crate::progress::Progress;

/// Puts the gallery into a library that is forgotten, asks everything of every method, prints the marks.
pub fn run(typed: &cli::Eval, context: &Context) -> Result<Exit, Failure> {
    let names: Vec<&str> = match typed.methods.is_empty() {
        true => METHODS.iter().map(|m| m.name).collect(),
        false => typed.methods.iter().map(String::as_str).collect(),
    };
    names.iter().try_for_each(|name| models::known(name).map(drop))?;
    let split = match typed.split {
        cli::Part::Train => Split::Train,
        cli::Part::Val => Split::Val,
        cli::Part::Test => Split::Test,
    };
    let if_missing = if typed.leave_out_missing { IfMissing::LeaveOut } else { IfMissing::Refuse };
    let set = typed.set.canonicalize().unwrap_or_else(|_| typed.set.clone());
    let benchmark = open(&set, split, if_missing)?;
    let model = models::open(&context.settings)?;
    let Some((_, reports)) = marks(&names, &model, Library::in_memory()?, &benchmark, context)? else {
        context.say("stopped; nothing was marked");
        return Ok(Exit::Interrupted);
    };
    if let Some(file) = &typed.report {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let again = format!("likebut {}", args.join(" "));
        std::fs::write(file, report::markdown(&reports, &model.manifest, &[again]))
            .map_err(|e| Failure::from(e).about(format!("cannot write the report {}", shown(file))))?;
        context.say(format!("wrote {}", shown(file)));
    }
    if typed.json {
        let reports: serde_json::Map<_, _> = reports
            .iter()
            .map(|(name, report)| ((*name).to_owned(), serde_json::to_value(report).unwrap_or_default()))
            .collect();
        print_json(json!({"model": model.manifest.name, "weights": model.manifest.weights, "reports": reports}))?;
        return Ok(Exit::Ok);
    }
    for (name, report) in &reports {
        print(format!("{}\n{report}\n", context.paint.bold(name)))?;
    }
    Ok(Exit::Ok)
}

/// One part of a set in our format. Depths that its gallery does not have are not marked: the
/// recall at 50 of 26 items would say nothing.
pub fn open(set: &Path, split: Split, if_missing: IfMissing) -> Result<Benchmark, Failure> {
    let mut benchmark = load(set, split, Protocol::default(), if_missing)
        .map_err(|e| Failure::from(e).hint("to draw a set: likebut scenes FOLDER"))?;
    let deepest = benchmark.gallery.len().saturating_sub(1);
    benchmark.protocol.ks.retain(|k| *k <= deepest);
    benchmark.protocol.map_ks.retain(|k| *k <= deepest);
    Ok(benchmark)
}

/// Marks every method; the library comes back with the gallery in it. `None` if it was stopped.
pub fn marks<'n>(
    names: &[&'n str],
    model: &Arc<Model>,
    mut library: Library,
    benchmark: &Benchmark,
    context: &Context,
) -> Result<Option<(Library, Vec<(&'n str, Report)>)>, Failure> {
    let mut reports = Vec::new();
    // What the model sees of a reference is the same for every method: it is read once.
    let mut references = None;
    for name in names {
        let mut engine = Engine::new(models::method(name, model)?, library)?;
        let mut progress = Progress::new("indexing", "files", benchmark.gallery.len() as u64, context.quiet);
        let mut tell = |done: usize, _: usize| progress.set(done as u64);
        let added = exam::gallery(&mut engine, benchmark, &mut tell, &interrupt::requested)?;
        drop(progress);
        if added.stopped {
            return Ok(None);
        }
        if references.is_none() {
            references = Some(read(&engine, benchmark, context)?);
        }
        let mut progress = Progress::new("asking", "questions", benchmark.queries.len() as u64, context.quiet);
        let mut tell = |done: usize, _: usize| progress.set(done as u64);
        if let Some(references) = &references {
            reports.push((*name, exam::sit(&engine, benchmark, references, &mut tell)?));
        }
        drop(progress);
        if interrupt::requested() {
            return Ok(None);
        }
        library = engine.library;
    }
    Ok(Some((library, reports)))
}

/// Reads every reference once, on all cores.
fn read(engine: &Engine, benchmark: &Benchmark, context: &Context) -> Result<exam::References, Failure> {
    let progress = Mutex::new(Progress::new("reading", "references", 0, context.quiet));
    let tell = |done: usize, total: usize| {
        // A poisoned bar is still a bar.
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.set_total(total as u64);
        progress.set(done as u64);
    };
    Ok(exam::references(engine, benchmark, &tell)?)
}
