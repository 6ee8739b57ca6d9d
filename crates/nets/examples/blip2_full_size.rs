//! The published size, once, against transformers: see also `blip2_full_size.py`.
//!
//! ```sh
//! python3 crates/nets/examples/blip2_full_size.py write FOLDER
//! python3 crates/nets/examples/blip2_full_size.py vectors FOLDER PICTURE…
//! cargo run --release -p likebut-nets --example blip2_full_size -- FOLDER
//! ```
//!
//! Random weights of every shape that `Salesforce/blip2-itm-vit-g-coco` has, 364 pixels, kept in
//! bfloat16, run in f32 on both sides.
//! The comparison is made twice: on the pixels that Python made, and from the picture files, decoded
//! and resized here.
//! Prints the section of `results/published.md`. Needs 6 GB of memory.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use media::Limits;
use nets::blip2::{Config, Frames, Words, import, likeness};
use nets::view::View;
use nets::weights::{Checkpoint, floats};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("expected the folder that blip2_full_size.py wrote")?;
    let folder = Path::new(&folder);
    let device = nets::cpu();
    let began = Instant::now();
    let (net, report, config) = {
        let file = Checkpoint::open(&folder.join("model.safetensors"))?;
        let config = import::config_of(&file)?;
        let (net, report) = import::load(&config, &file, &device)?;
        (net, report, config)
    };
    let (secs, peak, kept) = (began.elapsed().as_secs_f64(), memory("VmHWM"), memory("RssAnon"));
    let published = Config { itm: false, text_head: true, ..config.clone() };
    println!(
        "- {} tensors, {} numbers; nothing missing, nothing left over: {}.",
        report.loaded.len(),
        net.num_params(),
        report.missing.is_empty() && report.unexpected.is_empty()
    );
    println!(
        "- Counted as the papers count (without the head for matching): {}; with the head that predicts words, which transformers does not store: {}.",
        Config { text_head: false, ..published.clone() }.parameters(),
        published.parameters()
    );
    println!(
        "- Loaded in {secs:.1} s; f32 weights are {:.2} GB; memory {kept:.2} GB after loading, {peak:.2} GB at most while loading, mapped pages of the file included.",
        net.num_params() as f64 * 4e-9
    );

    let want = Checkpoint::open(&folder.join("vectors.safetensors"))?;
    let tensor = |name: &str| -> Result<(Vec<usize>, Vec<f32>), Box<dyn Error>> {
        let shape = want.entry(name).ok_or("vectors.safetensors is of another version of the script")?.shape.clone();
        Ok((shape, want.floats(name)?))
    };
    let (shape, pixels) = tensor("pixels")?;
    let (n, each) = (shape[0], pixels.len() / shape[0]);
    let (ids_shape, ids) = tensor("ids")?;
    let lens: Vec<usize> = tensor("lens")?.1.into_iter().map(|l| l as usize).collect();
    let words = |i: usize| {
        let row = &ids[i * ids_shape[1]..][..ids_shape[1]];
        let data = TensorData::new(row.to_vec(), [1, row.len()]);
        Words { ids: Tensor::<2>::from_data(data, &device).int(), lens: vec![lens[i]] }
    };
    let view = View::squash(config.image as u32);
    let names = want.about().get("pictures").cloned().unwrap_or_default();
    let files: Vec<&str> = names.lines().collect();

    println!("\n| what | from | least cosine | off by at most |");
    println!("|---|---|--:|--:|");
    for from in ["Python's pixels", "the files"] {
        let (mut images, mut composed, mut matching, mut seen) = (vec![], vec![], vec![], vec![]);
        let began = Instant::now();
        for (i, file) in files.iter().enumerate().take(n) {
            let x = if from == "the files" {
                let frame = media::picture_from_bytes(&std::fs::read(file)?, &Limits::default())?;
                view.tensor(&[&view.look(&frame)], &device)
            } else {
                let side = config.image;
                Tensor::from_data(TensorData::new(pixels[i * each..][..each].to_vec(), [1, 3, side, side]), &device)
            };
            let tokens = net.see(x);
            if i == 0 {
                seen = floats(tokens.clone());
            }
            let sight = net.sight(tokens, &Frames { of: vec![vec![0]] });
            images.push(net.image_tokens(&sight));
            composed.push(net.composed_tokens(&sight, &words(i)));
            matching.push(net.matching(&sight, &words(i)).ok_or("the head for matching is not there")?);
        }
        let secs = began.elapsed().as_secs_f64() / n as f64;
        let texts = Tensor::cat((0..n).map(|i| net.text(&words(i))).collect(), 0);
        let images = Tensor::cat(images, 0);
        let scores = likeness(images.clone(), texts.clone());
        let row = |what: &str, got: Vec<f32>, name: &str, width: usize| -> Result<(), Box<dyn Error>> {
            let want = tensor(name)?.1;
            let pairs = got.chunks_exact(width).zip(want.chunks_exact(width));
            let least = pairs.map(|(a, b)| cosine(a, b)).fold(1.0, f64::min);
            let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("| {what} | {from} | {least:.7} | {worst:.1e} |");
            Ok(())
        };
        let e = config.embed;
        row("tokens of the first picture, after ln_vision", seen, "seen", config.vit_width)?;
        row("image tokens", floats(images), "image_tokens", e)?;
        row("composed tokens", floats(Tensor::cat(composed, 0)), "composed_tokens", e)?;
        row("texts", floats(texts), "text", e)?;
        row("matching logits", floats(Tensor::cat(matching, 0)), "itm", 2)?;
        row("likeness of all pictures and texts", floats(scores), "itc", n)?;
        eprintln!("{from}: {secs:.1} s a picture");
    }
    println!("\n{n} pictures and {n} texts. Memory at most {:.2} GB in all.", memory("VmHWM"));
    Ok(())
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// A figure of this process, GB, from what Linux says about it; NaN elsewhere.
fn memory(figure: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(figure)?.strip_prefix(':').map(str::to_owned));
    line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).map_or(f64::NAN, |kb| kb * 1.024e-6)
}
