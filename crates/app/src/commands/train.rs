//! `likebut train`: follow a recipe, of whichever of the three kinds it is; a run that was stopped goes on.

use serde_json::json;
use train::imported::{Imported, follow};
use train::run::Ended;
use train::{Finetune, Recipe, Run, Stage};

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

/// A model that is there, on pictures and clips that lie here.
fn on_a_set(typed: &cli::Train, context: &Context) -> Result<Exit, Failure> {
    if matches!(typed.until, cli::Until::Pretrain) {
        let failure = Failure::usage("a recipe with a [set] has one stage, and no captions to stop after");
        return Err(failure.hint("leave --until out"));
    }
    let recipe = Finetune::open(&typed.recipe)?;
    let from = match &typed.from {
        Some(name) => models::load(&Shelf::open().find(name)?, &nets::cpu())?.0,
        None => models::embedded(&nets::cpu())?,
    };
    if typed.from.is_none() {
        context
            .say(format!("beginning with {}, the model inside the program; --from names another", from.manifest.name));
    }
    folder(&typed.out)?;
    let every = (typed.checkpoint_every, typed.validate_every);
    let ended = shown_while(context, &mut |tell| {
        recipe.follow((&from, models::joined(&from)), &typed.out, every, tell, &interrupt::requested)
    });
    let (ended, left_out) = ended?;
    for (name, why) in &left_out {
        context.say(format!("left out: {name}: {why}"));
    }
    if let Ended::Stopped(step) = ended {
        return Ok(stopped(typed, step, context));
    }
    let model = typed.out.join("model");
    print_json(
        json!({"model": model, "recipe": typed.recipe, "seed": recipe.seed, "from": from.manifest.name, "left_out": left_out.len()}),
    )?;
    let model = shown(&model);
    context.say(format!("the model lies in {model}; to use it: likebut add FOLDER --model {model}"));
    Ok(if left_out.is_empty() { Exit::Ok } else { Exit::Skipped })
}

fn folder(out: &std::path::Path) -> Result<(), Failure> {
    let fail = |e| Failure::from(e).about(format!("cannot make the folder {}", out.display()));
    std::fs::create_dir_all(out).map_err(fail)
}

/// Says how to go on.
fn stopped(typed: &cli::Train, step: usize, context: &Context) -> Exit {
    let from = typed.from.as_ref().map_or(String::new(), |name| format!(" --from {name}"));
    context.say(format!(
        "stopped after step {step}; to go on: likebut train {} --out {}{from}",
        shown(&typed.recipe),
        shown(&typed.out)
    ));
    Exit::Interrupted
}

/// Something long, with a bar for each of its stages.
fn shown_while<T>(context: &Context, run: &mut dyn FnMut(&mut (dyn FnMut(train::Progress) + Send)) -> T) -> T {
    let mut shown_stage: Option<(&'static str, Progress)> = None;
    run(&mut |p: train::Progress| {
        if p.notice {
            // A bar that stands there goes first.
            shown_stage = None;
            return context.say(p.line);
        }
        if shown_stage.as_ref().is_none_or(|(stage, _)| *stage != p.stage) {
            let unit = match p.stage {
                "draw" => "scenes",
                "look" => "files",
                "encode" => "items",
                _ => "steps",
            };
            shown_stage = Some((p.stage, Progress::new(p.stage, unit, p.total as u64, context.quiet)));
        }
        if let Some((_, progress)) = &mut shown_stage {
            progress.set_total(p.total as u64);
            progress.note(p.line);
            progress.set(p.done as u64);
        }
    })
}

/// Trains, and says where the model lies.
pub fn run(typed: &cli::Train, context: &Context) -> Result<Exit, Failure> {
    // A recipe that cannot be read is for `Recipe::open` to explain.
    let text = std::fs::read_to_string(&typed.recipe).unwrap_or_default();
    if Imported::is(&text) {
        return on_vectors(typed, context);
    }
    if Finetune::is(&text) {
        return on_a_set(typed, context);
    }
    let recipe = Recipe::open(&typed.recipe)?;
    folder(&typed.out)?;
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
    match shown_while(context, &mut |tell| train::follow(&recipe, &run, tell, &interrupt::requested))? {
        Ended::Done => {
            print_json(json!({"model": model, "recipe": typed.recipe, "seed": recipe.seed}))?;
            context.say(format!("the model lies in {}", shown(&model)));
            Ok(Exit::Ok)
        }
        Ended::Stopped(step) => Ok(stopped(typed, step, context)),
    }
}
