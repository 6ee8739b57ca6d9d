//! Answer sheets for servers, runs for other tools, and what either must look like.

use std::path::Path;

use benchmarks::submit::{self, Server};
use benchmarks::{Benchmark, Qrels, Run};
use serde_json::json;

use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paths::shown;

/// Answers that the servers ask for.
pub const DEPTH: usize = 50;

/// Writes one method's answers as the set's server wants them, checked against its rules first.
pub fn write(folder: &Path, exam: &Benchmark, run: &Run, context: &Context) -> Result<(), Failure> {
    let server = Server::of(exam).ok_or_else(|| {
        Failure::usage(format!("no server marks {}; --submit is for the test parts of cirr and circo", exam.name))
    })?;
    let files = server.files(exam, run)?;
    let folder = folder.join(&run.name);
    make(&folder)?;
    for file in files {
        save(&folder.join(file.name), &file.text)?;
        context.say(format!("wrote {}, which keeps the server's rules", shown(&folder.join(file.name))));
    }
    Ok(())
}

/// Says whether a file that was made anywhere keeps the server's rules.
pub fn check(file: &Path, exam: Option<&Benchmark>, json: bool) -> Result<Exit, Failure> {
    let checked = submit::check(file, exam)?;
    if json {
        print_json(json!({
            "file": file, "kind": checked.kind, "questions": checked.queries, "unchecked": checked.unchecked,
        }))?;
        return Ok(Exit::Ok);
    }
    print(format!("{}: {} answers, {}: keeps the server's rules\n", shown(file), checked.queries, checked.kind))?;
    for what in checked.unchecked {
        print(format!("not looked at: {what}; name the set with --bench and --root\n"))?;
    }
    Ok(Exit::Ok)
}

/// Writes each method's answers as a TREC run, or as JSON where a name has a space in it, and the
/// judgements beside them.
pub fn write_runs(folder: &Path, exam: &Benchmark, runs: &[Run], context: &Context) -> Result<(), Failure> {
    let folder = folder.join(exam.name.replace(['/', '\\'], "-"));
    make(&folder)?;
    let mut texts = Vec::new();
    for run in runs {
        match run.to_trec() {
            Ok(text) => texts.push((format!("{}.trec", run.name), text)),
            Err(_) => texts.push((format!("{}.json", run.name), run.to_json())),
        }
    }
    if !exam.hidden {
        let qrels = Qrels::of(exam);
        match qrels.to_trec() {
            Ok(text) => texts.push(("qrels.txt".to_owned(), text)),
            Err(_) => texts.push(("qrels.json".to_owned(), qrels.to_json())),
        }
    }
    for (name, text) in texts {
        save(&folder.join(&name), &text)?;
        context.say(format!("wrote {}", shown(&folder.join(&name))));
    }
    Ok(())
}

fn make(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|e| Failure::from(e).about(format!("cannot make the folder {}", shown(folder))))
}

fn save(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text).map_err(|e| Failure::from(e).about(format!("cannot write {}", shown(file))))
}
