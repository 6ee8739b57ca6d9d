//! `likebut model import`: a name for a model that the user has.

use std::path::{Path, PathBuf};

use hub::Family;
use serde_json::json;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::models::look;
use crate::paint::printable;
use crate::paths::{shown, text};
use crate::progress::Progress;
use crate::shelf::{INSIDE, Meant, Shelf, decimal, family_of, name_from};

/// Links the files, reads them once for their digests, writes down what they are.
pub fn run(typed: &cli::ModelImport, context: &Context) -> Result<Exit, Failure> {
    let path = typed.path.canonicalize().map_err(|e| Failure::usage(format!("{}: {e}", shown(&typed.path))))?;
    let name = typed.name.clone().unwrap_or_else(|| name_from(&path));
    if name == INSIDE || hub::known(&name).is_some() {
        return Err(Failure::usage(format!("{name:?} is the name of another model"))
            .hint("choose one that is yours: --name my-model"));
    }
    let shelf = Shelf::open();
    let mut progress = Progress::new("reading", "files", 0, context.quiet);
    let mut done = 0;
    let mut tell = |_: &std::path::Path| {
        progress.set(done);
        done += 1;
    };
    let family = family_of(&path);
    let also = if path.is_file() { needed(&path, family, &shelf) } else { Vec::new() };
    let imported = shelf.store.import(&name, &path, &also, family, typed.copy, &mut tell)?;
    progress.finish();
    let record = &imported.record;
    if typed.json {
        print_json(json!({
            "name": name, "folder": text(&imported.folder), "from": text(&path), "copied": typed.copy, "family": record.family,
            "files": record.files, "bytes": record.bytes(), "passed_over": imported.passed_over,
        }))?;
    } else {
        print(format!("{}\n", imported.folder.display()))?;
    }
    let how = if typed.copy { "copied" } else { "linked: they must stay where they are" };
    let others = match imported.passed_over {
        0 => String::new(),
        n => format!("; {n} others beside them are not needed"),
    };
    context.say(format!(
        "{name} = {} files of {}, {}, {how}{others}",
        record.files.len(),
        shown(&path),
        decimal(record.bytes())
    ));
    // A model that lacks something is imported all the same: what it lacks may come.
    match look(&Meant::Here { name: name.clone(), folder: imported.folder }) {
        Ok(_) => context.say(format!("to use it: --model {name}")),
        Err(failure) => {
            context.say(format!("it cannot be used as it is: {}", printable(&failure.what)));
            context.say(format!("when that is done: likebut model remove {name}, then import it again"));
        }
    }
    Ok(Exit::Ok)
}

/// What a checkpoint alone needs: its words, from beside it or from the shared cache, and the vision
/// transformer that LAVIS keeps apart.
fn needed(file: &Path, family: Family, shelf: &Shelf) -> Vec<PathBuf> {
    let beside = file.parent().unwrap_or(Path::new(""));
    let mut also = match family {
        Family::Blip2 => {
            let folders = [beside.to_owned()].into_iter().chain(shelf.vocabularies());
            let words = folders.map(|f| f.join("vocab.txt")).find(|p| p.is_file());
            words.into_iter().chain([beside.join(nets::blip2::import::EYE)]).collect()
        }
        Family::Clip => {
            let names = ["config.json", "preprocessor_config.json", "open_clip_config.json"];
            let words = ["merges.txt", "tokenizer.json", "bpe_simple_vocab_16e6.txt.gz"];
            names.iter().chain(&words).map(|n| beside.join(n)).collect::<Vec<_>>()
        }
        _ => ["config.json", "preprocessor_config.json", "tokenizer.json"].map(|n| beside.join(n)).to_vec(),
    };
    also.retain(|path| path.is_file() && path != file);
    also
}
