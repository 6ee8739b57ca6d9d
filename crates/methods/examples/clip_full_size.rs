//! A published CLIP of full size, from its folder to vectors, against its reference.
//!
//! The weights are random, because no tool here may fetch the real ones; names, layout, sizes, views
//! and words are the published ones. `clip_full_size.py` beside this writes the folder and the
//! reference's vectors, and says what it needs:
//!
//! ```sh
//! python3 crates/methods/examples/clip_full_size.py write   l14 /tmp/l14
//! python3 crates/methods/examples/clip_full_size.py vectors l14 /tmp/l14 *.jpg
//! cargo run --release -p likebut-methods --example clip_full_size /tmp/l14
//! ```

use domain::{Digest, Embedding};
use media::Limits;
use methods::{Model, Seen};
use nets::published::Published;
use nets::weights::Checkpoint;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("which folder?")?;
    let dir = Path::new(&dir);
    let began = Instant::now();
    let names = ["model.safetensors", "open_clip_model.safetensors"];
    let file = names.iter().map(|n| dir.join(n)).find(|p| p.is_file()).ok_or("no weights in the folder")?;
    let weights = Checkpoint::open(&file)?;
    let published = Published::read(dir, &weights, &[])?;
    let (model, report) = Model::published("full-size", "", published, &weights, Digest::of(b""), &nets::cpu())?;
    println!("{report}");
    println!("loaded in {:.1} s, peak memory {} MB", began.elapsed().as_secs_f64(), peak_mb());

    let golden = Checkpoint::open(&dir.join("vectors.safetensors"))?;
    let texts: Vec<String> = serde_json::from_slice(&std::fs::read(dir.join("texts.json"))?)?;
    let cut: Vec<usize> = texts.iter().map(|t| model.words.encode(t).cut).collect();
    println!("tokens that did not fit: {cut:?}");
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    compare("texts", &model.say(&texts), &golden.floats("texts")?);

    let count = golden.entry("pictures").map_or(0, |e| e.shape[0]);
    let began = Instant::now();
    let mut seen = Vec::new();
    for i in 0..count {
        let frame =
            media::picture_from_bytes(&std::fs::read(dir.join(format!("pictures/{i:02}.png")))?, &Limits::default())?;
        seen.extend(model.embed(&[&Seen { frames: vec![model.manifest.view.look(&frame)] }]));
    }
    println!("{:.2} s a picture", began.elapsed().as_secs_f64() / count.max(1) as f64);
    compare("pictures", &seen, &golden.floats("pictures")?);
    println!("peak memory {} MB", peak_mb());
    Ok(())
}

/// The worst of several vectors of length one against the reference's.
fn compare(what: &str, ours: &[Embedding], theirs: &[f32]) {
    let dim = ours.first().map_or(1, |e| e.dim);
    assert_eq!(theirs.len(), ours.len() * dim, "{what}: another count");
    let (mut cosine, mut gap) = (1.0f64, 0.0f32);
    for (a, b) in ours.iter().zip(theirs.chunks_exact(dim)) {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        cosine = cosine.min(dot(&a.values, b) / (dot(&a.values, &a.values) * dot(b, b)).sqrt());
        gap = a.values.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(gap, f32::max);
    }
    println!("{} {what}: cosine at least {cosine:.7}, numbers off by at most {gap:.1e}", ours.len());
}

/// The most memory that this process has held, where the system says it.
fn peak_mb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or_default() / 1024
}
