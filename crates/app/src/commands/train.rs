//! `likebut train`: follow a recipe, of whichever of the three kinds it is; a run that was stopped goes on.

use serde_json::json;
use train::imported::{Imported, follow};
use train::run::Ended;
use train::{Finetune, Pauses, Recipe, Run, Stage};

use crate::cli;
use crate::context::{Context, print_json};
use crate::exit::{Exit, Failure};
use crate::interrupt;
use crate::models;
use crate::paths::{self, shown};
use crate::shelf::Shelf;
use crate::stages::Stages;

/// IMAGINE's head on vectors that were made elsewhere.
fn on_vectors(typed: &cli::Train, context: &Context) -> Result<Exit, Failure> {
    if typed.from.is_some() {
        let failure = Failure::usage("a recipe for vectors made elsewhere has no model to begin from");
        return Err(failure.hint("leave --from out"));
    }
    one_stage(typed)?;
    let recipe = Imported::open(&typed.recipe)?;
    let mut stages = Stages::new(context);
    let ended = follow(&recipe, &typed.out, pauses(typed), &mut |p| stages.tell(p), &interrupt::requested);
    drop(stages);
    match ended? {
        Ended::Done => {
            let out = shown(&typed.out);
            print_json(
                json!({"head": paths::text(&typed.out.join("head.safetensors")), "recipe": paths::text(&typed.recipe), "seed": recipe.seed}),
            )?;
            context.say(format!(
                "to mark it: likebut eval {} --split val --embeddings {} --queries {out}/queries.val.jsonl --normalise",
                shown(&recipe.features.set),
                shown(&recipe.features.items)
            ));
            Ok(Exit::Ok)
        }
        Ended::Stopped(step) => Ok(stopped(typed, step, context)),
    }
}

/// Refuses to stop after a stage that this kind of recipe does not have.
fn one_stage(typed: &cli::Train) -> Result<(), Failure> {
    match typed.until {
        cli::Until::Pretrain => {
            let failure = Failure::usage("this recipe has one stage, and no captions to stop after");
            Err(failure.hint("leave --until out"))
        }
        cli::Until::Imagine => Ok(()),
    }
}

/// A model that is there, on pictures and clips that lie here.
fn on_a_set(typed: &cli::Train, context: &Context) -> Result<Exit, Failure> {
    one_stage(typed)?;
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
    let mut stages = Stages::new(context);
    let mut tell = |p| stages.tell(p);
    let begun = (&from, models::joined(&from));
    let followed = recipe.follow(begun, &typed.out, pauses(typed), &mut tell, &interrupt::requested);
    drop(stages);
    let (ended, left_out) = followed?;
    for (name, why) in &left_out {
        context.say(format!("left out: {name}: {why}"));
    }
    if let Ended::Stopped(step) = ended {
        return Ok(stopped(typed, step, context));
    }
    let model = typed.out.join("model");
    print_json(
        json!({"model": paths::text(&model), "recipe": paths::text(&typed.recipe), "seed": recipe.seed, "from": from.manifest.name, "left_out": left_out.len()}),
    )?;
    let model = shown(&model);
    context.say(format!("the model lies in {model}; to use it: likebut add FOLDER --model {model}"));
    Ok(if left_out.is_empty() { Exit::Ok } else { Exit::Skipped })
}

fn pauses(typed: &cli::Train) -> Pauses {
    Pauses { checkpoint: typed.checkpoint_every, validate: typed.validate_every }
}

fn folder(out: &std::path::Path) -> Result<(), Failure> {
    let fail = |e| Failure::from(e).about(format!("cannot make the folder {}", out.display()));
    std::fs::create_dir_all(out).map_err(fail)
}

/// Says how to go on.
fn stopped(typed: &cli::Train, step: usize, context: &Context) -> Exit {
    let from = typed.from.as_ref().map_or(String::new(), |name| format!(" --from {name}"));
    let until = if let cli::Until::Pretrain = typed.until { " --until pretrain" } else { "" };
    context.say(format!(
        "stopped after step {step}; to go on: likebut train {} --out {}{from}{until}",
        shown(&typed.recipe),
        shown(&typed.out)
    ));
    Exit::Interrupted
}

/// Trains, and says where the model lies.
pub fn run(typed: &cli::Train, context: &Context) -> Result<Exit, Failure> {
    let text = train::recipe::text(&typed.recipe)?;
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
    let run = Run { dir: &typed.out, until, pauses: pauses(typed), from: from.as_ref() };
    let mut stages = Stages::new(context);
    let followed = train::follow(&recipe, &run, &mut |p| stages.tell(p), &interrupt::requested);
    drop(stages);
    match followed? {
        Ended::Done => {
            print_json(
                json!({"model": paths::text(&model), "recipe": paths::text(&typed.recipe), "seed": recipe.seed}),
            )?;
            context.say(format!("the model lies in {}", shown(&model)));
            Ok(Exit::Ok)
        }
        Ended::Stopped(step) => Ok(stopped(typed, step, context)),
    }
}
