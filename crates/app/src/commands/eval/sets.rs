//! Which exams were meant, and what of them is here.

use std::path::{Path, PathBuf};

use benchmarks::sets::presence::Presence;
use benchmarks::sets::{self, SETS, Set, mine, presence, triplets};
use benchmarks::{Benchmark, PROTOCOLS, Protocol, Report, preset};
use domain::Split;
use serde_json::{Value, json};

use crate::cli;
use crate::context::Context;
use crate::exit::{Exit, Failure, nearest};
use crate::paths::shown;

/// The exams that were typed, whole: what is missing is looked for later. Those whose right answers a
/// server keeps are refused unless their answers are to be handed in.
pub fn chosen(typed: &cli::Eval, handed_in: bool, context: &Context) -> Result<Vec<Benchmark>, Failure> {
    let protocol = typed.protocol.as_deref().map(rules).transpose()?;
    let mut exams = Vec::new();
    if let Some(file) = &typed.mine {
        let unpacked = typed.cache.clone().unwrap_or_else(|| file.with_extension("unpacked"));
        let file = file
            .canonicalize()
            .map_err(|e| Failure::new(Exit::Missing, format!("cannot read the questions {}: {e}", shown(file))))?;
        let opened = mine::open(&file, &unpacked, &protocol.unwrap_or_default())?;
        say_notes(&opened.notes, context);
        exams.extend(opened.exams);
    } else if let Some(folder) = &typed.set {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let split = typed.split.map_or(Split::Test, Split::from);
        exams.push(drawn(&folder, split, protocol.unwrap_or_default())?);
    } else {
        for name in &typed.bench {
            let (name, split) = named(name)?;
            let set = known(name)?;
            let split = split.or(typed.split.map(Split::from)).unwrap_or(set.splits[0]);
            let root = typed.root.clone().unwrap_or_else(|| PathBuf::from("."));
            // Several sets share a root that holds a folder for each.
            let own = root.join(set.name);
            let root = if typed.bench.len() > 1 && own.is_dir() { own } else { root };
            let opened = open(set, &root, split, protocol.as_ref())?;
            say_notes(&opened.notes, context);
            exams.extend(opened.exams);
        }
    }
    for exam in &mut exams {
        exam.protocol = exam.protocol.clone().within(exam.gallery.len());
        if exam.hidden && !handed_in {
            return Err(Failure::new(
                Exit::Missing,
                format!("{}: a server keeps its right answers; nothing can be marked here", exam.name),
            )
            .hint("to write what the server marks: --submit FOLDER"));
        }
    }
    Ok(exams)
}

/// One part of a set in our own format. Depths that its gallery does not have are not marked.
pub fn drawn(folder: &Path, split: Split, protocol: Protocol) -> Result<Benchmark, Failure> {
    let mut exam = triplets::read(folder, split, protocol)
        .map_err(|e| Failure::from(e).hint("to draw a set: likebut scenes FOLDER"))?;
    exam.protocol = exam.protocol.clone().within(exam.gallery.len());
    Ok(exam)
}

/// A set opened by a protocol of its own, or by the one that was named.
pub fn open(set: &Set, root: &Path, split: Split, protocol: Option<&Protocol>) -> Result<sets::Opened, Failure> {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let usual = set.usual();
    let opened = set.open(&root, split, protocol.unwrap_or(&usual));
    opened.map_err(|e| {
        let failure = Failure::from(e);
        set.layout.iter().fold(failure, |f, line| f.hint(format!("{} lies in {line}", set.name)))
    })
}

/// The set of that name.
pub fn known(name: &str) -> Result<&'static Set, Failure> {
    sets::set(name).ok_or_else(|| {
        let names: Vec<&str> = SETS.iter().map(|s| s.name).collect();
        let failure = Failure::usage(format!("there is no set {name:?}; known are {}", names.join(", ")));
        match nearest(name, names) {
            Some(near) => failure.hint(format!("did you mean {near:?}?")),
            None => failure,
        }
    })
}

/// The protocol of that name.
pub fn rules(name: &str) -> Result<Protocol, Failure> {
    preset(name).map(|p| p.protocol()).ok_or_else(|| {
        let failure = Failure::usage(format!("there is no protocol {name:?}; likebut data list names them"));
        match nearest(name, PROTOCOLS.iter().map(|p| p.name)) {
            Some(near) => failure.hint(format!("did you mean {near:?}?")),
            None => failure,
        }
    })
}

/// `cirr:val` → `cirr`, val.
fn named(text: &str) -> Result<(&str, Option<Split>), Failure> {
    let Some((name, split)) = text.split_once(':') else { return Ok((text, None)) };
    let split = match split {
        "train" => Split::Train,
        "val" => Split::Val,
        "test" | "test1" => Split::Test,
        other => return Err(Failure::usage(format!("{other:?} is no part of a set; write train, val or test"))),
    };
    Ok((name, Some(split)))
}

/// Leaves out what has no file, by name; refuses if so wished.
pub fn leave_out_missing(exam: &mut Benchmark, strict: bool, context: &Context) -> Result<(), Failure> {
    let Presence { missing, broken, .. } = presence::look(exam);
    let mut gone: Vec<(String, String)> = missing.into_iter().map(|name| (name, "no file".to_owned())).collect();
    gone.extend(broken);
    leave_out(exam, &gone, strict, context)
}

/// Leaves out what cannot be used, by name and reason; refuses if so wished.
pub fn leave_out(
    exam: &mut Benchmark,
    gone: &[(String, String)],
    strict: bool,
    context: &Context,
) -> Result<(), Failure> {
    let Some((name, reason)) = gone.first() else { return Ok(()) };
    let of = exam.gallery.len() + exam.references.len();
    if strict {
        let what = format!("{}: {} of {of} items cannot be used, first {name}: {reason}", exam.name, gone.len());
        return Err(Failure::new(Exit::Missing, what).hint("without --strict they are left out, and the marks say so"));
    }
    presence::leave_out(exam, gone.iter().map(|(name, _)| name.clone()).collect());
    say_left_out(gone, exam, context);
    if exam.queries.is_empty() {
        let what = format!("{}: of {of} items {} cannot be used, and no question is left", exam.name, gone.len());
        return Err(Failure::new(Exit::Missing, what).hint(format!("the first is {name}: {reason}")));
    }
    Ok(())
}

/// Names what was left out, the first few in full.
pub fn say_left_out(gone: &[(String, String)], exam: &Benchmark, context: &Context) {
    const SHOWN: usize = 5;
    for (name, reason) in gone.iter().take(SHOWN) {
        context.say(format!("{}: left out {name}: {reason}", exam.name));
    }
    if gone.len() > SHOWN {
        context.say(format!("{}: left out {} more; likebut data check names them all", exam.name, gone.len() - SHOWN));
    }
}

/// What people should know before they believe a number.
pub fn say_notes(notes: &[String], context: &Context) {
    notes.iter().for_each(|note| context.say(format!("note: {note}")));
}

/// Says what the left-out part can do to the marks.
pub fn say_bounds(exam: &Benchmark, context: &Context) {
    if let Some(line) = bounds_line(exam) {
        context.say(format!("{}: {line}", exam.name));
    }
}

/// `12 of 2,017 questions (0.6 %) …`; nothing if nothing is left out.
pub fn bounds_line(exam: &Benchmark) -> Option<String> {
    let (asked, left) = (exam.queries.len(), exam.left_out.queries.len());
    if left == 0 && exam.left_out.gallery.is_empty() {
        return None;
    }
    let share = exam.left_out.share(asked);
    let mut line = format!("{left} of {} questions ({:.1} %) are left out", asked + left, 100.0 * share);
    if left > 0 {
        let (low, high) = exam.left_out.bounds(0.5, asked);
        line.push_str(&format!(
            "; a mark of 50.0 over the rest is between {:.1} (all missed) and {:.1} (all hit) over all",
            100.0 * low,
            100.0 * high
        ));
    }
    if !exam.left_out.gallery.is_empty() {
        let gone = exam.left_out.gallery.len();
        line.push_str(&format!("; {gone} items are missing from the gallery, and with them ranks can only fall"));
    }
    Some(line)
}

/// Each mark's bounds over all questions: had what is left out been missed, and had it been hit.
pub fn bounds(exam: &Benchmark, report: &Report) -> Value {
    let asked = report.all.queries;
    let of = |value: f64| {
        let (low, high) = exam.left_out.bounds(value, asked);
        json!([low, high])
    };
    let recall = report.all.recall.iter().map(|m| (format!("R@{}", m.k), of(m.mark.value)));
    let ap = report.all.average_precision.iter().map(|m| (format!("mAP@{}", m.k), of(m.mark.value)));
    Value::Object(recall.chain(ap).collect())
}

/// Writes every name on a line of its own.
pub fn write_names(file: &Path, names: &[String]) -> Result<(), Failure> {
    let mut text = names.join("\n");
    if !names.is_empty() {
        text.push('\n');
    }
    std::fs::write(file, text).map_err(|e| Failure::from(e).about(format!("cannot write {}", shown(file))))
}
