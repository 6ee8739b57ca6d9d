//! How long it takes from a file to frames: `cargo bench -p likebut-media`.
//!
//! Everything is made here, so the figures need no media; each is the median of several runs.

use std::path::Path;
use std::time::Instant;

use domain::Sampling;

fn main() -> media::Result<()> {
    let dir = tempfile::tempdir().map_err(|source| media::Error::Io { path: std::env::temp_dir(), source })?;
    let path = |name: &str| dir.path().join(name);
    println!("| file | what | median ms | per second |");
    println!("|---|---|--:|--:|");

    let photo = textured(1920, 1080, 0);
    media::write_jpeg(&path("photo.jpg"), &photo, 90)?;
    media::write_png(&path("photo.png"), &photo)?;
    row("JPEG 1920×1080", "decode", 15, || middle(&path("photo.jpg")))?;
    row("PNG 1920×1080", "decode", 15, || middle(&path("photo.png")))?;
    row("frame 1920×1080", "thumb of 256", 15, || {
        media::thumb(&photo, 256);
        Ok(())
    })?;

    for (width, height, secs) in [(320, 240, 3), (1280, 720, 10)] {
        let name = path("clip.mp4");
        let frames: Vec<media::Frame> = (0..24).map(|t| textured(width, height, t)).collect();
        let start = Instant::now();
        let mut clip = media::Mp4Writer::create(&name, width, height, 24.0)?;
        for t in 0..24 * secs {
            clip.push(&frames[t % 24])?;
        }
        clip.finish()?;
        let ms = start.elapsed().as_secs_f64() * 1000.0 / (24 * secs) as f64;
        let file = format!("H.264 {width}×{height}, {secs} s");
        println!("| {file} | write, a frame | {ms:.2} | {:.1} |", 1000.0 / ms);
        row(&file, "open only", 15, || media::open(&name, &media::Limits::default()).map(drop))?;
        row(&file, "middle frame, by seeking", 9, || middle(&name))?;
        row(&file, "15 frames, uniform", 5, || sample(&name, Sampling::Uniform(15)))?;
        // Not kept at once: a second's frames at a time.
        row(&file, "all frames", 3, || {
            let file = media::open(&name, &media::Limits::default())?;
            for second in 0..secs {
                file.frames(&(second * 24..second * 24 + 24).collect::<Vec<_>>())?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn middle(path: &Path) -> media::Result<()> {
    sample(path, Sampling::Middle)
}

fn sample(path: &Path, sampling: Sampling) -> media::Result<()> {
    media::open(path, &media::Limits::default())?.sample(&sampling, None).map(drop)
}

fn row(file: &str, what: &str, runs: usize, mut work: impl FnMut() -> media::Result<()>) -> media::Result<()> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let median = times[runs / 2];
    println!("| {file} | {what} | {median:.2} | {:.1} |", 1000.0 / median);
    Ok(())
}

/// Shades, edges and some noise, moving.
fn textured(width: u32, height: u32, t: u32) -> media::Frame {
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    let mut noise = 1u32;
    for y in 0..height {
        for x in 0..width {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let stripe = if ((x + y + 4 * t) / 40).is_multiple_of(2) { 60 } else { 0 };
            let grain = noise >> 29;
            rgb.extend(
                [x * 150 / width + stripe + grain, y * 150 / height + stripe + grain, 90 + grain].map(|v| v as u8),
            );
        }
    }
    media::Frame { width, height, rgb }
}
