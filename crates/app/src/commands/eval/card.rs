//! Result cards: writing one, and running one again.

use std::path::{Path, PathBuf};

use benchmarks::{Ask, Benchmark, Card, CardModel};
use domain::Digest;
use methods::Manifest;
use rayon::prelude::*;
use serde_json::json;

use super::Sat;
use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paths::shown;

/// The card of what was marked.
pub fn of(typed: &cli::Eval, exams: &[Sat], manifest: Option<&Manifest>) -> Card {
    let model = manifest.map(|m| CardModel { name: m.name.clone(), weights: m.weights });
    let program = format!("likebut {}", env!("CARGO_PKG_VERSION"));
    let mut card = Card::new(program, crate::machine::machine(), ask(typed, exams), model);
    for sat in exams {
        let media = match (&typed.embeddings, &typed.run[..]) {
            (None, []) => media(&sat.exam),
            (Some(gallery), _) => files(std::iter::once(gallery).chain(&typed.queries)),
            (None, runs) => files(runs.iter().chain(&typed.qrels)),
        };
        card.add(&sat.exam, media, &sat.reports);
    }
    card
}

/// Writes a card.
pub fn write(file: &Path, card: &Card, context: &Context) -> Result<(), Failure> {
    std::fs::write(file, card.to_json())
        .map_err(|e| Failure::from(e).about(format!("cannot write the card {}", shown(file))))?;
    context.say(format!("wrote {}; to run it again: likebut reproduce {}", shown(file), shown(file)));
    Ok(())
}

/// Runs a card again and names everything that differs.
pub fn reproduce(typed: &cli::Reproduce, context: &Context) -> Result<Exit, Failure> {
    let card = Card::read(&typed.card)?;
    let again = eval_of(&card.ask, typed)?;
    let Some((exams, model)) = super::sit(&again, context)? else {
        context.say("stopped; nothing was compared");
        return Ok(Exit::Interrupted);
    };
    let now = of(&again, &exams, model.as_deref().map(|m| &m.manifest));
    let differs = card.differences(&now);
    if typed.json {
        print_json(json!({"card": typed.card, "same": differs.is_empty(), "differs": differs, "now": now}))?;
    } else if differs.is_empty() {
        let marks: usize = now.exams.iter().flat_map(|e| e.methods.values()).map(|m| m.marks.len()).sum();
        print(format!("the same: {} exams, {marks} marks, every digest\n", now.exams.len()))?;
    } else {
        for d in &differs {
            print(format!("{} differs\n  card: {}\n  now:  {}\n", d.what, d.card, d.now))?;
        }
        if card.program != now.program {
            print(format!("the card was made by {}, this is {}\n", card.program, now.program))?;
        }
    }
    Ok(if differs.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn ask(typed: &cli::Eval, exams: &[Sat]) -> Ask {
    // Where things lie is kept whole, so that the card can be run from any folder.
    let whole = |path: &Option<PathBuf>| {
        path.as_ref().map(|p| std::path::absolute(p).unwrap_or_else(|_| p.clone()).to_string_lossy().into_owned())
    };
    let methods = exams.first().map(|s| s.reports.iter().map(|(name, _)| name.clone()).collect());
    Ask {
        set: whole(&typed.set),
        bench: typed.bench.clone(),
        root: whole(&typed.root),
        mine: whole(&typed.mine),
        protocol: typed.protocol.clone(),
        split: typed.split.map(|s| domain::Split::from(s).to_string()),
        methods: methods.unwrap_or_default(),
        embeddings: whole(&typed.embeddings),
        queries: whole(&typed.queries),
        normalise: typed.normalise,
        // A cache is not kept: what is encoded again proves more than what is read back.
        strict: typed.strict,
        run: typed.run.iter().filter_map(|r| whole(&Some(r.clone()))).collect(),
        qrels: whole(&typed.qrels),
    }
}

/// The command that a card stands for: nothing but what it asks; it cannot make this program write.
fn eval_of(ask: &Ask, typed: &cli::Reproduce) -> Result<cli::Eval, Failure> {
    let path = |text: &Option<String>| text.as_ref().map(PathBuf::from);
    let split = match ask.split.as_deref() {
        None => None,
        Some("train") => Some(cli::Part::Train),
        Some("val") => Some(cli::Part::Val),
        Some("test") => Some(cli::Part::Test),
        Some(other) => {
            return Err(Failure::usage(format!("the card asks for the split {other:?}, which there is not")));
        }
    };
    let imported = ask.embeddings.is_some() || !ask.run.is_empty();
    let (set, root) = match (&typed.root, ask.set.is_some()) {
        (Some(root), true) => (Some(root.clone()), path(&ask.root)),
        (Some(root), false) => (None, Some(root.clone())),
        (None, _) => (path(&ask.set), path(&ask.root)),
    };
    Ok(cli::Eval {
        set,
        root,
        bench: ask.bench.clone(),
        mine: path(&ask.mine),
        protocol: ask.protocol.clone(),
        methods: if imported { Vec::new() } else { ask.methods.clone() },
        split,
        embeddings: path(&ask.embeddings),
        queries: path(&ask.queries),
        normalise: ask.normalise,
        strict: ask.strict,
        run: ask.run.iter().map(PathBuf::from).collect(),
        qrels: path(&ask.qrels),
        ..cli::Eval::default()
    })
}

/// The bytes of all files of the gallery and of the references beside it; `None` if one cannot be read.
fn media(exam: &Benchmark) -> Option<Digest> {
    let paths: Vec<PathBuf> = exam.gallery.iter().chain(&exam.references).map(|g| exam.path_of(g)).collect();
    let of = |path: &PathBuf| {
        let file = if path.is_file() {
            path.clone()
        } else {
            domain::MediaRef::parse(&path.to_string_lossy()).map_or_else(|_| path.clone(), |r| r.path)
        };
        Digest::of_reader(&mut std::fs::File::open(file).ok()?).ok()
    };
    let each: Vec<Digest> = paths.par_iter().map(of).collect::<Option<_>>()?;
    Some(joined(&each))
}

fn files<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> Option<Digest> {
    let of = |path: &PathBuf| Digest::of_reader(&mut std::fs::File::open(path).ok()?).ok();
    let each: Vec<Digest> = paths.map(of).collect::<Option<_>>()?;
    Some(joined(&each))
}

fn joined(each: &[Digest]) -> Digest {
    Digest::of(&each.iter().flat_map(|d| d.0).collect::<Vec<u8>>())
}
