//! `likebut scenes`: draw a world of pictures and clips with captions and questions.

use domain::Split;
use scenes::World;
use serde_json::json;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paths::{shown, text};
use crate::progress::{Progress, bytes, thousands};

/// Draws the parts that were asked for.
pub fn run(typed: &cli::Scenes, context: &Context) -> Result<Exit, Failure> {
    let families = [(Split::Test, typed.test), (Split::Val, typed.val), (Split::Train, typed.train)];
    let splits: Vec<Split> = families.iter().filter(|(_, n)| *n > 0).map(|(split, _)| *split).collect();
    if splits.is_empty() {
        return Err(
            Failure::usage("a world needs at least one family").hint("say how many: --test N, --val N, --train N")
        );
    }
    let world =
        World { seed: typed.seed, train: typed.train as usize, val: typed.val as usize, test: typed.test as usize };
    let report = write(&world, &typed.out, &splits, context)?;
    if typed.json {
        print_json(json!({
            "folder": text(&typed.out), "items": report.items, "clips": report.clips, "kept": report.kept,
            "bytes": report.bytes, "triplets": report.triplets, "seed": typed.seed,
        }))?;
    } else {
        let n = |n: usize| thousands(n as u64);
        print(format!(
            "{}: {} pictures and {} clips ({}), {} questions\n",
            shown(&typed.out),
            n(report.items - report.clips),
            n(report.clips),
            bytes(report.bytes),
            n(report.triplets)
        ))?;
        context.say(format!("to mark the methods on it: likebut eval {} --split {}", shown(&typed.out), splits[0]));
    }
    Ok(Exit::Ok)
}

/// Writes some parts of a world, with progress.
pub fn write(
    world: &World,
    folder: &std::path::Path,
    splits: &[Split],
    context: &Context,
) -> Result<scenes::Report, Failure> {
    let set = scenes::build(world);
    let total = set.items.iter().filter(|i| splits.contains(&i.split)).count() as u64;
    let mut progress = Progress::new("drawing", "scenes", total, context.quiet);
    Ok(scenes::write(&set, folder, splits, &mut |done, _| progress.set(done as u64))?)
}
