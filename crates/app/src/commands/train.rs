//! `likebut train`: follow a recipe; a run that was stopped goes on.

use serde_json::json;
use train::run::Ended;
use train::{Recipe, Run, Stage};

use crate::cli;
use crate::commands::{Context, print_json};
use crate::exit::{Exit, Failure};
use crate::interrupt;
use crate::paths::shown;
use crate::progress::Progress;

/// Trains, and says where the model lies.
pub fn run(typed: &cli::Train, context: &Context) -> Result<Exit, Failure> {
    let recipe = Recipe::open(&typed.recipe)?;
    std::fs::create_dir_all(&typed.out)
        .map_err(|e| Failure::from(e).about(format!("cannot make the folder {}", typed.out.display())))?;
    let (until, model) = match typed.until {
        cli::Until::Pretrain => (Stage::Pretrain, typed.out.join("pretrained")),
        cli::Until::Imagine => (Stage::Imagine, typed.out.join("model")),
    };
    let run =
        Run { dir: &typed.out, until, checkpoint_every: typed.checkpoint_every, validate_every: typed.validate_every };
    let mut shown_stage: Option<(&'static str, Progress)> = None;
    let mut tell = |p: train::Progress| {
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
            context.say(format!(
                "stopped after step {step}; to go on: likebut train {} --out {}",
                shown(&typed.recipe),
                shown(&typed.out)
            ));
            Ok(Exit::Interrupted)
        }
    }
}
