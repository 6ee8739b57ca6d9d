//! How long it takes from frames to features, and a training step: `cargo bench -p likebut-nets`.
//!
//! Random weights: the arithmetic is the same. Each figure is the median of several runs.

use burn::tensor::{Distribution, Tensor};
use nets::blip2::{Blip2, Config, Frames, pool};
use std::time::Instant;

#[global_allocator]
static MEMORY: nets::Keeping = nets::Keeping::new();

fn main() {
    println!("| work | median ms | per second |");
    println!("|---|--:|--:|");
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        pool.install(|| encode(threads));
    }
}

fn encode(threads: usize) {
    let config = Config::toy();
    let device = nets::cpu();
    let net = Blip2::new(&config, &device);
    let side = config.image;
    for batch in [1usize, 8, 64] {
        let pixels = Tensor::<4>::random([batch, 3, side, side], Distribution::Normal(0.0, 1.0), &device);
        let frames = Frames { of: (0..batch).map(|i| vec![i]).collect() };
        row(&format!("toy: {batch} frames to vectors, {threads} threads"), batch, 9, || {
            let sight = net.sight(net.see(pixels.clone()), &frames);
            drop(nets::weights::floats(pool(net.image_tokens(&sight))));
        });
    }
    let training = device.autodiff();
    let net = Blip2::new(&config, &training);
    let pixels = Tensor::<4>::random([64, 3, side, side], Distribution::Normal(0.0, 1.0), &training);
    row(&format!("toy: vision transformer, forward and backward, 64 frames, {threads} threads"), 64, 5, || {
        let grads = net.see(pixels.clone()).sum().backward();
        drop(net.vit.cls_token.val().grad(&grads));
    });
}

fn row(name: &str, items: usize, runs: usize, mut work: impl FnMut() + Send) {
    nets::together(&mut work);
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            nets::together(&mut work);
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let median = times[runs / 2];
    println!("| {name} | {:.2} | {:.0} |", median * 1e3, items as f64 / median);
}
