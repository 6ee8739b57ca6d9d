//! Frozen networks at work, asked for by name, one run at a time:
//! `cargo bench -p likebut-nets --bench infer` prints a table of its own, and `infer.py` beside this
//! asks the same program ([`asked`]) in turns with PyTorch, OpenVINO and ONNX Runtime.
//!
//! Weights, pixels and words are random: the arithmetic is the same. Weights are halves, as those that are
//! published mostly are (`LIKEBUT_BENCH_FULL=1`: not). The work `product` is one large
//! product and nothing else ([`PRODUCT`]), `units` and `memory` are what the machine itself can do ([`limit`]):
//! the limits that a network is held against.

mod asked;
mod limit;

use asked::Work;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, Int, Tensor};
use nets::layers::Numbers;
use nets::{Backbone, Config, Frames, blip2, blip2::Words};

#[global_allocator]
static MEMORY: nets::Keeping = nets::Keeping::new();

/// What is asked for where nobody asks: small enough for any machine.
const TABLE: &[(&str, &[usize])] =
    &[("vit-g-block-224", &[1, 4]), ("clip-b32", &[1, 32]), ("clip-b32-text", &[1, 32]), ("embedded", &[1, 64])];

/// Rows, k and columns of a product of ViT-g, eight pictures at a time.
const PRODUCT: [usize; 3] = [2056, 1408, 1408];

fn main() {
    let threads = asked::threads();
    if asked::is_served() {
        return asked::serve(|work, batch, numbers| {
            limit::named(work, numbers).or_else(|| work_of(work, batch, Numbers::named(numbers)?))
        });
    }
    println!("| work | batch | threads | numbers | ms | its CPU ms |");
    println!("|---|--:|--:|---|--:|--:|");
    for (work, batches) in TABLE {
        for batch in *batches {
            for (name, numbers) in Numbers::NAMES {
                let run = work_of(work, *batch, numbers).expect("a work of the table");
                let (ms, cpu) = asked::medians(run.as_ref());
                println!("| {work} | {batch} | {threads} | {name} | {ms:.2} | {cpu:.2} |");
            }
        }
    }
}

/// A network at some work, as one call.
fn work_of(work: &str, batch: usize, numbers: Numbers) -> Option<Work> {
    let device = nets::cpu();
    let normal = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let pixels = |side: usize| Tensor::<4>::random([batch, 3, side, side], Distribution::Normal(0.0, 1.0), &device);
    let words = |length: usize| Words {
        ids: Tensor::<2, Int>::ones([batch, length], &device).mul_scalar(7),
        lens: vec![length; batch],
    };
    if work == "product" {
        let [m, k, n] = PRODUCT;
        let x: Vec<f32> = (0..(m * k).max(k * n)).map(|i| (i * 31 % 201) as f32 * 0.01 - 1.0).collect();
        let packed = numbers.packed(kernels::Mat::dense(&x[..k * n], k, n));
        return Some(Box::new(move || {
            let mut out = vec![0.0; m * n];
            let a = kernels::Mat::dense(&x[..m * k], m, k);
            kernels::product_packed(&mut out, (0, n), a, &packed, &kernels::Epilogue::default());
            std::hint::black_box(&out);
        }));
    }
    let giant = |side: usize| blip2::Config { image: side, ..blip2::Config::coco_364() };
    Some(match work {
        "vit-g-block-224" | "vit-g-block-364" => {
            let c = giant(if work.ends_with("224") { 224 } else { 364 });
            let mut vit = halved(blip2::Vit::new(&blip2::Config { vit_depth: 1, ..c.clone() }, &device));
            vit.pack(numbers);
            let x = normal([batch, c.tokens(), c.vit_width]);
            Box::new(move || drop(vit.blocks[0].forward(x.clone())))
        }
        "vit-g-224" | "vit-g-364" => {
            let c = giant(if work.ends_with("224") { 224 } else { 364 });
            let mut vit = halved(blip2::Vit::new(&c, &device));
            vit.pack(numbers);
            let x = pixels(c.image);
            Box::new(move || drop(vit.forward(x.clone())))
        }
        "qformer" | "qformer-text" => {
            let c = giant(224);
            let mut net = halved(blip2::QFormer::new(&c, &device));
            net.pack(numbers);
            let tokens = c.tokens();
            let sight = blip2::Sight { tokens: normal([batch, tokens, c.vit_width]), lens: vec![tokens; batch] };
            let said = words(32);
            let with_text = work == "qformer-text";
            Box::new(move || drop(if with_text { net.compose(&sight, &said) } else { net.look(&sight) }))
        }
        "embedded" | "embedded-clip" => {
            let c = Config::Blip2(blip2::Config::toy_fine());
            let mut net = backbone(&c, &device);
            net.pack(numbers);
            // A clip is two frames.
            let each = if work == "embedded" { 1 } else { 2 };
            let side = c.image();
            let x = Tensor::<4>::random([batch * each, 3, side, side], Distribution::Normal(0.0, 1.0), &device);
            let frames = Frames { of: (0..batch).map(|i| (i * each..(i + 1) * each).collect()).collect() };
            Box::new(move || drop(nets::weights::floats(net.pictures(&mut std::iter::once(x.clone()), &frames))))
        }
        name => {
            let (preset, text) = name.strip_suffix("-text").map_or((name, false), |preset| (preset, true));
            let c = Config::preset(preset)?;
            let mut net = backbone(&c, &device);
            net.pack(numbers);
            let (x, said) = (pixels(c.image()), words(c.positions()));
            match text {
                true => Box::new(move || drop(nets::weights::floats(net.text(&said)))),
                false => {
                    let frames = Frames { of: (0..batch).map(|i| vec![i]).collect() };
                    Box::new(move || {
                        drop(nets::weights::floats(net.pictures(&mut std::iter::once(x.clone()), &frames)))
                    })
                }
            }
        }
    })
}

/// A whole one.
fn backbone(c: &Config, device: &Device) -> Backbone {
    match Backbone::new(c, device) {
        Backbone::Blip2(net) => Backbone::Blip2(Box::new(halved(*net))),
        Backbone::Clip(net) => Backbone::Clip(Box::new(halved(*net))),
        Backbone::Siglip(net) => Backbone::Siglip(Box::new(halved(*net))),
    }
}

/// The network with weights that halves say, each drawn when it is wanted, as before.
fn halved<M: Module>(net: M) -> M {
    struct Halves;
    impl ModuleMapper for Halves {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, shape, device) = (param.id, param.lazy_shape(), param.lazy_device());
            let value = |device: &Device, _| {
                let drawn = param.into_value().into_data();
                Tensor::from_data(drawn.convert::<half::f16>().convert::<f32>(), device)
            };
            Param::uninitialized(id, value, device, false, shape)
        }
    }
    if std::env::var_os("LIKEBUT_BENCH_FULL").is_some() { net } else { net.map(&mut Halves) }
}
