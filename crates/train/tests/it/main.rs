//! A run that is stopped and resumed, as often as one likes, ends with the very same weights.

mod steps;

use methods::Model;
use nets::weights::Tensors;
use std::cell::Cell;
use std::path::Path;
use std::sync::Mutex;
use train::{Ended, Pauses, Recipe, Run, Stage, TrainError, follow};

const RECIPE: &str = r#"
name = "tiny"
about = "for tests"
seed = 7
backbone = "tiny"

[head]
prototypes = 8
top_k = 3

[world]
seed = 2026
train = 6
val = 2

[coarse]
patch = 28

[coarse.pretrain]
steps = 5
families = 3
items = 4
rate = 1e-3
warmup = 2
decay = 0.05
tags = 1.0

[pretrain]
steps = 4
restarts = [3]
families = 3
items = 4
rate = 1e-3
warmup = 2
decay = 0.05
tags = 1.0

[imagine]
steps = 6
families = 3
triplets = 4
rate = 1e-3
warmup = 2
decay = 0.05
"#;

/// burn draws initial weights from one generator per process: runs of this file take turns.
static TURN: Mutex<()> = Mutex::new(());

fn run(dir: &Path, recipe: &str, stop: &(dyn Fn() -> bool + Sync)) -> Result<Ended, TrainError> {
    run_from(dir, recipe, None, stop)
}

fn run_from(
    dir: &Path,
    recipe: &str,
    from: Option<&Model>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Ended, TrainError> {
    let run = Run { dir, until: Stage::Imagine, pauses: Pauses { checkpoint: 2, validate: 3 }, from };
    follow(&Recipe::parse(recipe)?, &run, &mut |_| (), stop)
}

fn weights(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("model/model.safetensors")).expect("a finished run leaves a model")
}

/// Stops a run after every few questions "shall I stop?", each time a little later, until it is done.
fn broken_into_pieces(dir: &Path, recipe: &str, from: Option<&Model>) -> usize {
    let mut runs = 0;
    loop {
        let left = std::sync::atomic::AtomicUsize::new(3 + runs);
        let stop = || {
            left.fetch_update(std::sync::atomic::Ordering::SeqCst, std::sync::atomic::Ordering::SeqCst, |n| {
                n.checked_sub(1)
            })
            .is_err()
        };
        runs += 1;
        assert!(runs < 40, "the run does not get on");
        if run_from(dir, recipe, from, &stop).unwrap() == Ended::Done {
            return runs;
        }
    }
}

#[test]
fn a_resumed_run_ends_bit_equal() {
    let _turn = TURN.lock();
    let in_chunks = RECIPE.replace("[imagine]", "[compose]\nchunk = 5");
    let covr2 = RECIPE.replace("[head]\nprototypes = 8\ntop_k = 3", "[covr2]\ncaption_weight = 0.5");
    let adapter = RECIPE.replace("[imagine]", "[imagine]\nlearns = \"head\"");
    for (name, recipe) in [("imagine", RECIPE), ("imagine", &in_chunks), ("covr2", &covr2), ("adapt", &adapter)] {
        let (straight, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(run(straight.path(), recipe, &|| false).unwrap(), Ended::Done);
        let runs = broken_into_pieces(broken.path(), recipe, None);
        assert!(runs > 2, "the run was never stopped: {runs}");
        assert!(
            weights(straight.path()) == weights(broken.path()),
            "a resumed run must end with the same bytes: {name}"
        );
        journals_are_whole(broken.path(), name);
        let record = |dir: &Path| std::fs::read_to_string(dir.join("run.json")).unwrap();
        assert_eq!(record(straight.path()), record(broken.path()));
        let value: serde_json::Value = serde_json::from_str(&record(broken.path())).unwrap();
        let last = if name == "adapt" { "imagine" } else { name };
        let manifest = std::fs::read_to_string(broken.path().join("model/manifest.json")).unwrap();
        assert!(manifest.contains(value["stages"][last]["weights"].as_str().unwrap()));
    }
}

fn journals_are_whole(dir: &Path, last: &str) {
    // The journal holds each step once, in order.
    for (stage, steps) in [("coarse", 5), ("pretrain", 7), (last, 6)] {
        let text = std::fs::read_to_string(dir.join(format!("{stage}.metrics.jsonl"))).unwrap();
        let seen: Vec<u64> = text
            .lines()
            .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["step"].as_u64().unwrap())
            .collect();
        assert_eq!(seen, (1..=steps).collect::<Vec<_>>(), "{stage}");
    }
}

#[test]
fn a_run_may_begin_where_another_ended() {
    let _turn = TURN.lock();
    let first = tempfile::tempdir().unwrap();
    assert_eq!(run(first.path(), RECIPE, &|| false).unwrap(), Ended::Done);
    let begun = Model::open(&first.path().join("model"), &nets::cpu()).unwrap();
    let from = Some(&begun);

    // Nothing is learnt from captions: what stands after them is what was begun from, head left aside.
    let idle = RECIPE.replacen("steps = 4\nrestarts = [3]", "steps = 0", 1);
    let untouched = tempfile::tempdir().unwrap();
    assert_eq!(run_from(untouched.path(), &idle, from, &|| false).unwrap(), Ended::Done);
    let kept = Model::open(&untouched.path().join("pretrained"), &nets::cpu()).unwrap();
    let bytes = |m: &Model| Tensors::of(m.backbone.blip2().unwrap()).to_bytes(false).unwrap();
    assert!(bytes(&kept) == bytes(&begun), "the weights begun from");
    assert_eq!(kept.pieces(), begun.pieces());
    assert!(!untouched.path().join("coarse.metrics.jsonl").exists());
    assert!(weights(untouched.path()) != weights(first.path()), "the second stage trains");

    let (straight, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(run_from(straight.path(), RECIPE, from, &|| false).unwrap(), Ended::Done);
    assert!(broken_into_pieces(broken.path(), RECIPE, from) > 2);
    assert!(weights(straight.path()) == weights(broken.path()), "a resumed run must end with the same bytes");
    for file in ["run.json", "model/manifest.json"] {
        let text = std::fs::read_to_string(broken.path().join(file)).unwrap();
        assert!(text.contains(&begun.manifest.weights.to_string()), "{file} says where the run began");
    }

    // The folder is this run's: begun from nothing it is another one's.
    let error = run(broken.path(), RECIPE, &|| false);
    assert!(matches!(error, Err(TrainError::OtherRun { .. })), "{error:?}");
    let narrow = RECIPE.replacen("backbone = \"tiny\"", "backbone = \"tiny\"\nembed = 12", 1);
    let error = run_from(straight.path(), &narrow, from, &|| false).unwrap_err().to_string();
    assert!(error.contains("embed") && error.contains("instead of 12"), "{error}");
}

#[test]
fn another_runs_checkpoint_is_refused() {
    let _turn = TURN.lock();
    let dir = tempfile::tempdir().unwrap();
    let asked = Mutex::new(Cell::new(0));
    let stop = || {
        let asked = asked.lock().unwrap();
        asked.set(asked.get() + 1);
        asked.get() > 3
    };
    assert!(matches!(run(dir.path(), RECIPE, &stop).unwrap(), Ended::Stopped(_)));
    let other = RECIPE.replace("seed = 7", "seed = 8");
    assert!(matches!(run(dir.path(), &other, &|| false), Err(TrainError::OtherRun { .. })));
}

#[test]
fn wrong_recipes_are_refused_with_reasons() {
    for (from, to, reason) in [
        ("backbone = \"tiny\"", "backbone = \"huge\"", "known are"),
        ("top_k = 3", "top_k = 9", "top_k"),
        ("train = 6", "train = 1", "more families"),
        ("patch = 28", "patch = 21", "coarse patches"),
        ("tags = 1.0", "tag = 1.0", "line 26: unknown field"),
        ("seed = 7", "", "seed"),
        ("families = 3\ntriplets = 4", "families = 1\ntriplets = 1", "batch of one"),
        ("top_k = 3", "top_k = 3\nbegin = \"slots\"", "as many as"),
        ("top_k = 3", "top_k = 3\n[covr2]\nbeta = -1.0", "beta"),
        ("backbone = \"tiny\"", "backbone = \"tiny\"\nembed = 0", "every size"),
        ("[imagine]", "[imagine]\nrandom_frames = 1\nlearns = \"head\"", "random_frames"),
        ("rate = 1e-3", "rate = nan", "rate is NaN"),
        ("triplets = 4\nrate = 1e-3", "triplets = 4\nrate = 0", "rate is 0"),
        ("decay = 0.05", "decay = -1.0", "decay is -1"),
    ] {
        let error = Recipe::parse(&RECIPE.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(error.contains(reason), "{to}: {error}");
    }
    let long = format!("top_k = {:?}", "k".repeat(1 << 17));
    let error = Recipe::parse(&RECIPE.replacen("top_k = 3", &long, 1)).unwrap_err().to_string();
    assert!(error.contains("line 9: ") && error.len() < 400, "{error}");
}

#[test]
fn a_recipe_that_never_ends_is_not_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.toml");
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let error = Recipe::open(&path).unwrap_err().to_string();
    assert!(error.contains("longer than 1048576 bytes"), "{error}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_leaves_the_batch() {
    let _turn = TURN.lock();
    let dir = tempfile::tempdir().unwrap();
    // So large a step that the weights overflow.
    let wild = RECIPE.replacen("rate = 1e-3", "rate = 1e38", 1);
    let Err(TrainError::NotFinite { step, path, .. }) = run(dir.path(), &wild, &|| false) else {
        panic!("an infinite loss was not noticed");
    };
    assert!(step > 0);
    let said: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(said["batch"].as_array().unwrap().len(), 12);
    assert!(said["batch"][0]["caption"].is_string());
    assert!(dir.path().join("coarse.checkpoint.safetensors").exists());

    // The same of triplets, whether all of it learns or the head alone.
    let (before, triplets) = RECIPE.split_once("[imagine]").unwrap();
    for learns in ["", "learns = \"head\"\n"] {
        let dir = tempfile::tempdir().unwrap();
        let wild = format!("{before}[imagine]\n{learns}{}", triplets.replace("rate = 1e-3", "rate = 1e38"));
        let Err(TrainError::NotFinite { step, path, .. }) = run(dir.path(), &wild, &|| false) else {
            panic!("an infinite loss was not noticed: {learns}");
        };
        assert!(step > 0);
        let said: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(said["batch"].as_array().unwrap().len(), 12);
        assert!(said["batch"][0]["reference"].is_string(), "{said}");
    }
}
