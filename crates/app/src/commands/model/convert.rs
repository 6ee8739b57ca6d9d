//! `likebut model convert`: the same weights in another file, under the names of another library.

use nets::weights::{self, Checkpoint, Loaded, Way, WeightsError};
use nets::{Family, blip2, clip};
use serde_json::json;

use crate::cli::{self, Names};
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paint::printable;
use crate::paths::{shown, text};
use crate::progress::thousands;
use crate::shelf::{Meant, Shelf};

/// Reads in place, writes one tensor at a time, changes no number.
pub fn run(typed: &cli::ModelConvert, context: &Context) -> Result<Exit, Failure> {
    if typed.out.extension().is_none_or(|e| e != "safetensors") {
        return Err(Failure::usage(format!(
            "{} does not end in .safetensors, which is what is written",
            shown(&typed.out)
        )));
    }
    if typed.out.exists() {
        return Err(Failure::usage(format!("{} is there already", shown(&typed.out))).hint("nothing is overwritten"));
    }
    let path = match Shelf::open().find(&typed.model)? {
        Meant::Here { folder, .. } => folder,
        Meant::Inside => return Err(Failure::usage("the model inside the program has no file; name another")),
    };
    let from = Checkpoint::open(&path).map_err(|e| of(e, &path))?;
    let report = rewritten(from, typed).map_err(|e| of(e, &path))?;
    let written = Checkpoint::open(&typed.out).map_err(|e| of(e, &typed.out))?.tensors().len();
    if typed.json {
        let passed: Vec<_> = report.passed_over.iter().map(|(n, why)| json!({"name": n, "reason": why})).collect();
        print_json(json!({"from": text(&path), "out": text(&typed.out), "tensors": written, "passed_over": passed}))?;
        return Ok(Exit::Ok);
    }
    print(format!("{}\n", typed.out.display()))?;
    for (name, why) in &report.passed_over {
        context.say(format!("passed over: {}: {}", printable(name), printable(why)));
    }
    context.say(format!("wrote {} tensors, every number as it was", thousands(written as u64)));
    Ok(Exit::Ok)
}

/// Whose names are written decides whose file it must be; those of transformers exist for both.
fn rewritten(from: Checkpoint, typed: &cli::ModelConvert) -> Result<Loaded, WeightsError> {
    use {blip2::import::Layout as Blip2, clip::import::Layout as Clip};
    let clip = Family::of(&from) == Some(Family::Clip);
    match typed.names {
        Names::Same => weights::convert(&from, Way::Same, &typed.out),
        Names::Lavis => blip2::import::convert(&from, Blip2::Lavis, &typed.out),
        Names::Openclip => clip::import::convert(from, Clip::OpenClip, &typed.out),
        Names::Transformers if clip => clip::import::convert(from, Clip::HuggingFace, &typed.out),
        Names::Transformers => blip2::import::convert(&from, Blip2::Transformers, &typed.out),
    }
}

/// Weights that are not what they say have a code; a disk that cannot be written has its own.
fn of(error: WeightsError, path: &std::path::Path) -> Failure {
    Failure::new(Exit::Missing, error).about(shown(path))
}
