//! From files to frames, as a user of the crate sees it.

mod foreign;
mod hostile;
mod memory;
mod pictures;
mod round_trip;
mod zoo;

use std::path::PathBuf;

/// A folder of test media that is not part of the project; `None`, saying so, where it is absent.
fn shared(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(folder);
    if !path.is_dir() {
        eprintln!("skipped: {folder} is not on this machine");
        return None;
    }
    Some(path)
}

fn limits() -> media::Limits {
    media::Limits::default()
}

/// Peak signal-to-noise ratio, decibels.
fn psnr(a: &media::Frame, b: &media::Frame) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let sum: f64 = a.rgb.iter().zip(&b.rgb).map(|(x, y)| f64::from(x.abs_diff(*y)).powi(2)).sum();
    let mean = sum / a.rgb.len() as f64;
    if mean == 0.0 { f64::INFINITY } else { 10.0 * (255.0 * 255.0 / mean).log10() }
}

/// Frames with something to see: a ball rolls over a shaded ground.
fn rolling(width: u32, height: u32, count: u32) -> Vec<media::Frame> {
    let frame = |t: u32| {
        let mut rgb = Vec::new();
        for y in 0..height as i32 {
            for x in 0..width as i32 {
                let ball = (x - 12 - 2 * t as i32).pow(2) + (y - height as i32 / 2).pow(2) < 100;
                rgb.extend(if ball { [220, 50, 40] } else { [60 + x as u8 / 2, 70 + y as u8, 140] });
            }
        }
        media::Frame { width, height, rgb }
    };
    (0..count).map(frame).collect()
}

/// Runs one test of this binary again, in a process with other environment variables, and hands
/// back what it printed.
fn again(test: &str, vars: &[(&str, &std::ffi::OsStr)]) -> String {
    let exe = std::env::current_exe().unwrap();
    let out = std::process::Command::new(exe)
        .args(["--exact", test, "--nocapture"])
        .envs(vars.iter().copied())
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
    text
}
