//! Follows a recipe without the command line: `cargo run --release -p likebut-train --example follow -- RECIPE DIR`.
use train::{Pauses, Recipe, Run, Stage, follow};

fn main() {
    let mut args = std::env::args().skip(1);
    let (recipe, dir) = (args.next().expect("a recipe"), args.next().expect("a folder"));
    let until = if args.next().as_deref() == Some("pretrain") { Stage::Pretrain } else { Stage::Imagine };
    let recipe = Recipe::open(recipe.as_ref()).unwrap_or_else(|e| panic!("{e}"));
    let run = Run { dir: dir.as_ref(), until, pauses: Pauses { checkpoint: 50, validate: 50 }, from: None };
    let began = std::time::Instant::now();
    let done = follow(
        &recipe,
        &run,
        &mut |p| eprintln!("{:7.1}s {} {}/{} {}", began.elapsed().as_secs_f64(), p.stage, p.done, p.total, p.line),
        &|| false,
    );
    eprintln!("{done:?}");
}
