//! `likebut train`, on a world so small that a whole run takes a second or two: what it says, and what is
//! left when it is killed.

use crate::{Home, Run};
use std::process::Stdio;
use std::time::{Duration, Instant};

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
steps = 6
families = 3
items = 4
rate = 1e-3
warmup = 2
decay = 0.05
tags = 1.0

[pretrain]
steps = 8
families = 3
items = 4
rate = 1e-3
warmup = 2
decay = 0.05
tags = 1.0

[imagine]
steps = 8
families = 3
triplets = 4
rate = 1e-3
warmup = 2
decay = 0.05
"#;

/// Kills, while something is still to be done.
const KILLS: usize = 8;

#[test]
fn a_run_that_is_killed_again_and_again_ends_bit_equal() {
    let home = Home::new();
    home.write("tiny.toml", RECIPE);
    let train = |out: &str| home.command(&["train", "tiny.toml", "--out", out, "--checkpoint-every", "1", "--quiet"]);
    let weights = |out: &str| std::fs::read(home.path(out).join("model/model.safetensors")).expect("a finished run");
    let began = Instant::now();
    assert!(train("straight").status().expect("the binary starts").success());
    // How late a kill may come: later with each, so that the run ends on a machine that is slow or busy.
    let mut latest = began.elapsed();
    let mut random = 0x9E37_79B9u64;
    let (mut kills, mut finished) = (0, 0);
    while kills < KILLS || finished == 0 {
        let mut child =
            train("killed").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let until = Instant::now() + latest.mul_f64((random >> 33) as f64 / (1u64 << 31) as f64);
        while child.try_wait().expect("its state").is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().ok();
        let ended = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        match ended.status.code() {
            Some(0) => {
                assert!(weights("killed") == weights("straight"), "after {kills} kills the weights are others");
                std::fs::remove_dir_all(home.path("killed")).expect("it goes");
                finished += 1;
            }
            // By our signal.
            None => kills += 1,
            Some(code) => panic!("after {kills} kills the run does not go on: {code}, {said}"),
        }
        latest = latest.mul_f64(1.05);
        assert!(began.elapsed() < Duration::from_secs(300), "{kills} kills, finished {finished} times");
    }
}

#[test]
fn the_size_of_the_tokens_is_said_before_they_are_made() {
    let home = Home::new();
    home.write("tiny.toml", RECIPE);
    let run = home.run(&["train", "tiny.toml", "--out", "run"]);
    run.works();
    let bytes: u64 = ["train", "val"]
        .map(|s| std::fs::metadata(home.path(&format!("run/tokens/{s}.f16"))).unwrap().len())
        .iter()
        .sum();
    let line = format!("the vision tokens take {:.1} MB in run/tokens", bytes as f64 / 1e6);
    assert_eq!(run.err.lines().filter(|l| *l == line).count(), 1, "{line}: {run:?}");
    assert!(run.err.find(&line) < run.err.find("the model lies in"), "{run:?}");
    let quiet = home.run(&["train", "tiny.toml", "--out", "run", "--quiet"]);
    assert_eq!(quiet.works().err, "");
}

#[test]
fn a_run_writes_down_what_it_was_made_of() {
    let home = Home::new();
    home.write("tiny.toml", RECIPE);
    let mut command = home.command(&["train", "tiny.toml", "--out", "run"]);
    Run::of(command.env("LIKEBUT_CPU", "portable").output().expect("the binary starts")).works();
    let record = std::fs::read_to_string(home.path("run/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let digest = |value: &serde_json::Value| value.as_str().is_some_and(|d| d.len() == 64);
    for stage in ["coarse", "pretrain", "imagine"] {
        assert!(digest(&record["stages"][stage]["weights"]), "{stage}: {record}");
    }
    let about = std::fs::read_to_string(home.path("run/tokens/train.json")).unwrap();
    assert!(digest(&record["tokens"]["train"]) && about.contains(record["tokens"]["train"].as_str().unwrap()));
    assert!(digest(&record["tokens"]["val"]));
    assert_eq!(record["machine"]["instructions"], "portable");
}
