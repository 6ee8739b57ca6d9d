//! `likebut model import`: a name for a model that the user has.

use serde_json::json;

use crate::cli;
use crate::commands::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paths::shown;
use crate::progress::Progress;
use crate::shelf::{INSIDE, Shelf, decimal, family_of, name_from};

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
    let imported = shelf.store.import(&name, &path, family_of(&path), typed.copy, &mut tell)?;
    progress.finish();
    let record = &imported.record;
    if typed.json {
        print_json(json!({
            "name": name, "folder": imported.folder, "from": path, "copied": typed.copy, "family": record.family,
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
    context.say(format!("to use it: --model {name}"));
    Ok(Exit::Ok)
}
