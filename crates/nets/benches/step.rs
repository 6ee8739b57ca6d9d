//! A training step of the vision transformer, forward and backward, and the forward pass alone:
//! `cargo bench -p likebut-nets --bench step`. The same work in PyTorch is `step.py` beside this.
//!
//! Random weights and pixels: the arithmetic is the same. The machine's own limit stands in the
//! products bench of the kernels crate.

use burn::tensor::{Distribution, Tensor};
use nets::blip2::{Blip2, Config};
use nets::layers::{Precision, with_precision};
use std::time::Instant;

#[global_allocator]
static MEMORY: nets::Keeping = nets::Keeping::new();

fn main() {
    println!("| shape | batch | threads | how | step, ms | its CPU ms | forward, ms | its CPU ms |");
    println!("|---|--:|--:|---|--:|--:|--:|--:|");
    let wider = Config { image: 128, vit_width: 256, vit_heads: 4, vit_mlp: 1024, ..Config::toy() };
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        for (name, config) in [("toy, 6×192, 50 tokens", Config::toy()), ("6×256, 65 tokens", wider.clone())] {
            for batch in [64, 128] {
                for precision in [Precision::F32, Precision::Bf16] {
                    let [step, see] = pool.install(|| with_precision(precision, || times(&config, batch)));
                    println!(
                        "| {name} | {batch} | {threads} | likebut {precision:?} | {:.1} | {:.1} | {:.1} | {:.1} |",
                        step.0, step.1, see.0, see.1
                    );
                }
            }
        }
    }
}

/// A step, and a forward pass.
fn times(config: &Config, batch: usize) -> [(f64, f64); 2] {
    let device = nets::cpu();
    let side = config.image;
    let pixels = |device| Tensor::<4>::random([batch, 3, side, side], Distribution::Normal(0.0, 1.0), device);
    let training = device.clone().autodiff();
    let net = Blip2::new(config, &training);
    let seen = pixels(&training);
    let step = median(|| {
        let grads = net.see(seen.clone()).sum().backward();
        drop(net.vit.cls_token.val().grad(&grads));
    });
    let net = Blip2::new(config, &device);
    let seen = pixels(&device);
    [step, median(|| drop(net.see(seen.clone())))]
}

/// Medians of seven, after two for warming up: milliseconds by the clock, and of all processors
/// together, which another program's load does not change as much.
fn median(mut work: impl FnMut()) -> (f64, f64) {
    (0..2).for_each(|_| work());
    let (mut clock, mut used) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let (start, cpu) = (Instant::now(), cpu_ms());
        work();
        clock.push(start.elapsed().as_secs_f64() * 1e3);
        used.push(cpu_ms() - cpu);
    }
    clock.sort_by(f64::total_cmp);
    used.sort_by(f64::total_cmp);
    (clock[3], used[3])
}

/// Processor time that all threads of this process have used, in milliseconds; 0 where Linux does not say.
fn cpu_ms() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter_map(|t| std::fs::read_to_string(t.path().join("schedstat")).ok())
        .filter_map(|s| s.split(' ').next()?.parse::<f64>().ok())
        .sum::<f64>()
        * 1e-6
}
