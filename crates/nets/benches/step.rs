//! A training step of the vision transformer, forward and backward, and the forward pass alone:
//! `cargo bench -p likebut-nets --bench step` prints a table of its own, and `step.py` beside this asks the
//! same program ([`asked`]) in turns with PyTorch.
//!
//! Random weights and pixels: the arithmetic is the same. A work is `<step or see>-<shape>`.

mod asked;

use asked::Work;
use burn::tensor::{Distribution, Tensor};
use nets::blip2::{Blip2, Config};
use nets::layers::{Precision, with_precision};

#[global_allocator]
static MEMORY: nets::Keeping = nets::Keeping::new();

const SHAPES: [&str; 2] = ["6×192-50", "6×256-65"];

fn main() {
    let threads = asked::threads();
    if asked::is_served() {
        return asked::serve(work_of);
    }
    println!(
        "| shape: layers × width, tokens | batch | threads | numbers | step, ms | its CPU ms | forward, ms | its CPU ms |"
    );
    println!("|---|--:|--:|---|--:|--:|--:|--:|");
    for shape in SHAPES {
        for batch in [64, 128] {
            for numbers in ["f32", "bf16"] {
                let [step, see] = ["step", "see"].map(|what| {
                    let work = work_of(&format!("{what}-{shape}"), batch, numbers).expect("a work of the table");
                    asked::medians(work.as_ref())
                });
                println!(
                    "| {shape} | {batch} | {threads} | {numbers} | {:.1} | {:.1} | {:.1} | {:.1} |",
                    step.0, step.1, see.0, see.1
                );
            }
        }
    }
}

fn work_of(work: &str, batch: usize, numbers: &str) -> Option<Work> {
    let (what, shape) = work.split_once('-')?;
    let config = match SHAPES.iter().position(|s| *s == shape)? {
        0 => Config::toy(),
        _ => Config { image: 128, vit_width: 256, vit_heads: 4, vit_mlp: 1024, ..Config::toy() },
    };
    let precision = match numbers {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        _ => return None,
    };
    let training = match what {
        "step" => true,
        "see" => false,
        _ => return None,
    };
    let device = if training { nets::cpu().autodiff() } else { nets::cpu() };
    let net = Blip2::new(&config, &device);
    let shape = [batch, 3, config.image, config.image];
    let seen = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    Some(Box::new(move || {
        with_precision(precision, || {
            let out = net.see(seen.clone());
            if training {
                let grads = out.sum().backward();
                drop(net.vit.cls_token.val().grad(&grads));
            }
        });
    }))
}
