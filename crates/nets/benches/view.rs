//! How long it takes to see a picture, on one thread, beside a well-known fast resizer:
//! `cargo bench -p likebut-nets --bench view`.
//!
//! Both resize by the bicubic filter, RGB, 8 bits. Ours gives Pillow's bytes; `fast_image_resize`
//! rounds its weights to 15 bits and is off by a level here and there.
//! Runs alternate, so that whatever else the machine does falls on both; the figure is the median,
//! and the ratio is the median of the pairs' ratios.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use media::Frame;
use nets::view::View;
use std::time::Instant;

fn main() {
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread pool");
    one.install(|| {
        println!("| picture | to | likebut ms | fast_image_resize ms | ratio | bytes that differ |");
        println!("|---|---|--:|--:|--:|--:|");
        for (w, h, s) in [(320, 240, 112), (640, 480, 112), (1280, 720, 224), (4000, 3000, 224), (4000, 3000, 364)] {
            row(w, h, s);
        }
    });
}

fn row(w: u32, h: u32, s: u32) {
    let rgb = (0..w * h * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let frame = Frame { width: w, height: h, rgb };
    let view = View::squash(s);
    let source = ImageRef::new(w, h, &frame.rgb, PixelType::U8x3).expect("three bytes a pixel");
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    let mut resizer = Resizer::new();
    let mut theirs = || {
        let mut out = Image::new(s, s, PixelType::U8x3);
        resizer.resize(&source, &mut out, &options).expect("both pictures have the same kind of pixels");
        out
    };
    let ours = || view.look(&frame);
    let apart = ours().rgb.iter().zip(theirs().buffer()).filter(|(a, b)| a != b).count();
    let runs = if w > 2000 { 31 } else { 301 };
    let mut pairs: Vec<(f64, f64)> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(ours());
            let middle = Instant::now();
            std::hint::black_box(theirs());
            ((middle - start).as_secs_f64() * 1e3, middle.elapsed().as_secs_f64() * 1e3)
        })
        .collect();
    let mut median = |key: fn(&(f64, f64)) -> f64| {
        pairs.sort_by(|a, b| key(a).total_cmp(&key(b)));
        key(&pairs[runs / 2])
    };
    let (a, b, ratio) = (median(|p| p.0), median(|p| p.1), median(|p| p.0 / p.1));
    let percent = 100.0 * apart as f64 / f64::from(s * s * 3);
    println!("| {w}×{h} | {s}×{s} | {a:.3} | {b:.3} | {ratio:.2} | {percent:.1} % |");
}
