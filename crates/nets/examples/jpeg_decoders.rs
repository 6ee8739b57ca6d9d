//! What it does to an embedding that our JPEG decoder is not the one that models were trained with.
//!
//! ```sh
//! python3 crates/nets/examples/jpeg_decoders.py FOLDER PHOTO…
//! cargo run --release -p likebut-nets --example jpeg_decoders -- FOLDER
//! ```
//!
//! Prints how far the pixels are from Pillow's, and how far the vectors made of them: by the shipped toy
//! model, and by a vision transformer of random weights at 224 pixels, which has learnt to overlook
//! nothing.
//! Beside it stands a yardstick: Pillow's pixels, made small by another resizer that is called bicubic.

use burn::tensor::Tensor;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use media::{Frame, Limits};
use nets::blip2::{Blip2, Config, Frames, pool};
use nets::view::View;
use nets::weights::{Tensors, floats};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("expected the folder that jpeg_decoders.py wrote")?;
    let folder = Path::new(&folder);
    let list = std::fs::read_to_string(folder.join("list.txt"))?;
    let mut pairs = Vec::new();
    for (i, path) in list.lines().enumerate() {
        let theirs = ppm(&std::fs::read(folder.join(format!("{i:04}.ppm")))?).ok_or("not a PPM of Pillow's")?;
        let ours = media::picture_from_bytes(&std::fs::read(path)?, &Limits::default())?;
        if (ours.width, ours.height) != (theirs.width, theirs.height) {
            return Err(format!("{path}: {ours:?} here, {theirs:?} by Pillow").into());
        }
        pairs.push((ours, theirs));
    }
    pixels(&pairs);
    println!(
        "\n| network | of Pillow's pixels, and | least cosine | mean cosine | least, mean taken off | same nearest | of the ten nearest the same |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|");
    let device = nets::cpu();
    device.seed(2026);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/scenes-toy");
    let weights = Tensors::from_bytes(&std::fs::read(model.join("model.safetensors"))?)?.under("backbone");
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(model.join("manifest.json"))?)?;
    let config: Config = serde_json::from_value(manifest["backbone"].take())?;
    let side = config.image as u32;
    let toy = weights.fill(Blip2::new(&config, &device), &device)?;
    let random = Config { image: 224, patch: 14, vit_width: 384, vit_heads: 6, vit_mlp: 1536, vit_depth: 6, ..config };
    let random = Blip2::new(&random, &device);
    network("the shipped toy model", &pairs, View::squash(side), |x| {
        let n = x.dims()[0];
        pool(toy.image_tokens(&toy.sight(toy.see(x), &Frames { of: (0..n).map(|i| vec![i]).collect() })))
    });
    network("random, 224 pixels", &pairs, View::squash(224), |x| pool(random.see(x)));
    Ok(())
}

/// A binary PPM with 255 levels, as Pillow writes it.
fn ppm(bytes: &[u8]) -> Option<Frame> {
    let mut words = bytes.splitn(4, |b| b.is_ascii_whitespace());
    let (kind, width, height, rest) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let number = |w: &[u8]| std::str::from_utf8(w).ok()?.parse::<u32>().ok();
    let (width, height, rgb) = (number(width)?, number(height)?, rest.strip_prefix(b"255\n")?.to_vec());
    (kind == b"P6" && rgb.len() == (width * height * 3) as usize).then_some(Frame { width, height, rgb })
}

fn pixels(pairs: &[(Frame, Frame)]) {
    let mut counts = [0u64; 256];
    let mut same = 0;
    for (a, b) in pairs {
        a.rgb.iter().zip(&b.rgb).for_each(|(a, b)| counts[a.abs_diff(*b) as usize] += 1);
        same += usize::from(a == b);
    }
    let all: u64 = counts.iter().sum();
    let share = |from: usize| 100.0 * counts[from..].iter().sum::<u64>() as f64 / all as f64;
    let mean: f64 = counts.iter().enumerate().map(|(d, n)| d as f64 * *n as f64).sum::<f64>() / all as f64;
    let most = counts.iter().rposition(|n| *n > 0).unwrap_or(0);
    println!("{} photographs, {:.1} million pixels: {same} are Pillow's to the byte;", pairs.len(), all as f64 / 3e6);
    println!(
        "{:.2} % of the bytes differ, {:.3} % by more than 1 level, {:.4} % by more than 3; {mean:.4} levels on average, {most} at most.",
        share(1),
        share(2),
        share(4)
    );
}

fn network(name: &str, pairs: &[(Frame, Frame)], view: View, embed: impl Fn(Tensor<4>) -> Tensor<2>) {
    let vectors = |seen: Vec<Frame>| -> Vec<Vec<f64>> {
        let mut rows = Vec::new();
        for piece in seen.chunks(16) {
            let out = embed(view.tensor(&piece.iter().collect::<Vec<_>>(), &nets::cpu()));
            let dim = out.dims()[1];
            rows.extend(floats(out).chunks_exact(dim).map(|r| r.iter().map(|v| f64::from(*v)).collect::<Vec<_>>()));
        }
        rows
    };
    let pillow = vectors(pairs.iter().map(|(_, b)| view.look(b)).collect());
    let decoded = vectors(pairs.iter().map(|(a, _)| view.look(a)).collect());
    let resized = vectors(pairs.iter().map(|(_, b)| otherwise(b, view.size)).collect());
    let mean: Vec<f64> =
        (0..pillow[0].len()).map(|d| pillow.iter().map(|r| r[d]).sum::<f64>() / pillow.len() as f64).collect();
    let off = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
        rows.iter().map(|r| r.iter().zip(&mean).map(|(v, m)| v - m).collect()).collect()
    };
    let centred = off(&pillow);
    for (what, other) in [("our decoder's", &decoded), ("Pillow's, resized otherwise", &resized)] {
        let each: Vec<f64> = pillow.iter().zip(other).map(|(a, b)| cosine(a, b)).collect();
        let least = |v: &[f64]| v.iter().copied().fold(1.0, f64::min);
        let from_mean: Vec<f64> = centred.iter().zip(&off(other)).map(|(a, b)| cosine(a, b)).collect();
        // Each photograph asks; the others, made of Pillow's pixels, answer.
        let (mut first, mut ten) = (0, 0);
        for i in 0..pillow.len() {
            let (want, got) = (nearest(&centred[i], &centred, i), nearest(&off(other)[i], &centred, i));
            first += usize::from(want[0] == got[0]);
            ten += want.iter().filter(|w| got.contains(w)).count();
        }
        let n = pillow.len() as f64;
        println!(
            "| {name} | {what} | {:.6} | {:.6} | {:.6} | {:.1} % | {:.1} % |",
            least(&each),
            each.iter().sum::<f64>() / n,
            least(&from_mean),
            100.0 * first as f64 / n,
            10.0 * ten as f64 / n
        );
    }
}

fn nearest(query: &[f64], rows: &[Vec<f64>], without: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).filter(|i| *i != without).collect();
    let scores: Vec<f64> = rows.iter().map(|r| cosine(query, r)).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order.truncate(10);
    order
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Another resizer's bicubic.
fn otherwise(frame: &Frame, side: u32) -> Frame {
    let source = ImageRef::new(frame.width, frame.height, &frame.rgb, PixelType::U8x3).expect("three bytes a pixel");
    let mut out = Image::new(side, side, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize(&source, &mut out, &options).expect("both pictures have the same kind of pixels");
    Frame { width: side, height: side, rgb: out.into_vec() }
}
