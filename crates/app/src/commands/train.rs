//! `likebut train`: follow a recipe; a run that was stopped goes on.

use serde_json::json;
use train::imported::{Imported, follow};
use train::run::Ended;
use train::{Recipe, Run, Stage};

use crate::cli;
use crate::commands::{Context, print_json};
use crate::exit::{Exit, Failure};
use crate::interrupt;
use crate::models;
use crate::paths::shown;
use crate::progress::Progress;
use crate::shelf::Shelf;

/// IMAGINE's head on vectors that were made elsewhere.
fn on_vectors(typed: &cli::Train, context: &Context) -> Result<Exit, Failure> {
    if typed.from.is_some() {
        let failure = Failure::usage("a recipe for vectors made elsewhere has no model to begin from");
        return Err(failure.hint("leave --from out"));
    }
    let recipe = Imported::open(&typed.recipe)?;
    let mut progress = Progress::new("adapt", "steps", recipe.compose.steps as u64, context.quiet);
    let mut tell = |p: train::Progress| {
        progress.note(p.line);
        progress.set(p.done as u64);
    };
    let ended = follow(&recipe, &typed.out, &mut tell, &interrupt::requested);
    drop(progress);
    match ended? {
        Ended::Done => {
            let out = shown(&typed.out);
            print_json(
                json!({"head": typed.out.join("head.safetensors"), "recipe": typed.recipe, "seed": recipe.seed}),
            )?;
            context.say(format!(
                "to mark it: likebut eval {} --split val --embeddings {} --queries {out}/queries.val.jsonl --normalise",
                shown(&recipe.features.set),
                shown(&recipe.features.items)
            ));
            Ok(Exit::Ok)
        }
        Ended::Stopped(step) => {
            let (recipe, out) = (shown(&typed.recipe), shown(&typed.out));
            context.say(format!("stopped after step {step}; to go on: likebut train {recipe} --out {out}"));
            Ok(Exit::Interrupted)
        }
    }
}

/// Trains, and says where the model lies.
pub fn run(typed: &cli::Train, context: &Context) -> Result<Exit, Failure> {
    // A recipe that cannot be read is for `Recipe::open` to explain.
    if std::fs::read_to_string(&typed.recipe).is_ok_and(|text| Imported::is(&text)) {
        return on_vectors(typed, context);
    }
    let recipe = Recipe::open(&typed.recipe)?;
    std::fs::create_dir_all(&typed.out)
        .map_err(|e| Failure::from(e).about(format!("cannot make the folder {}", typed.out.display())))?;
    let (until, model) = match typed.until {
        cli::Until::Pretrain => (Stage::Pretrain, typed.out.join("pretrained")),
        cli::Until::Imagine => (Stage::Imagine, typed.out.join("model")),
    };
    let from = match &typed.from {
        Some(name) => Some(models::load(&Shelf::open().find(name)?, &nets::cpu())?.0),
        None => None,
    };
    let run = Run {
        dir: &typed.out,
        until,
        checkpoint_every: typed.checkpoint_every,
        validate_every: typed.validate_every,
        from: from.as_ref(),
    };
    let mut shown_stage: Option<(&'static str, Progress)> = None;
    let mut tell = |p: train::Progress| {
        if p.notice {
            // A bar that stands there goes first.
            shown_stage = None;
            return context.say(p.line);
        }
        if shown_stage.as_ref().is_none_or(|(stage, _)| *stage != p.stage) {
            let unit = if matches!(p.stage, "draw" | "encode") { "scenes" } else { "steps" };
            shown_stage = Some((p.stage, Progress::new(p.stage, unit, p.total as u64, context.quiet)));
        }
        if let Some((_, progress)) = &mut shown_stage {
            progress.set_total(p.total as u64);
            progress.note(p.line);
            progress.set(p.done as u64);
        }
    };
    let ended = train::follow(&recipe, &run, &mut tell, &interrupt::requested);
    drop(shown_stage);
    match ended? {
        Ended::Done => {
            print_json(json!({"model": model, "recipe": typed.recipe, "seed": recipe.seed}))?;
            context.say(format!("the model lies in {}", shown(&model)));
            Ok(Exit::Ok)
        }
        Ended::Stopped(step) => {
            let from = typed.from.as_ref().map_or(String::new(), |name| format!(" --from {name}"));
            context.say(format!(
                "stopped after step {step}; to go on: likebut train {} --out {}{from}",
                shown(&typed.recipe),
                shown(&typed.out)
            ));
            Ok(Exit::Interrupted)
        }
    }
}
