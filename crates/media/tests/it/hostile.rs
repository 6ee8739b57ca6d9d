//! Bytes that mean no good: nothing panics, hangs, or takes more than it may.

use std::path::Path;
use std::time::{Duration, Instant};

use domain::Sampling;

use crate::{limits, rolling};

fn sampled(path: &Path, limits: &media::Limits) -> media::Result<media::Clip> {
    media::open(path, limits)?.sample(&Sampling::Uniform(2), None)
}

fn code(path: &Path, limits: &media::Limits) -> &'static str {
    sampled(path, limits).map_or_else(|e| e.code(), |_| "ok")
}

#[test]
fn a_huge_header_is_refused_before_anything_is_allocated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("huge");
    // 60 000 × 60 000: PNG, BMP, GIF.
    let side = 60_000u32;
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend(side.to_be_bytes().into_iter().chain(side.to_be_bytes()).chain([8, 2, 0, 0, 0]));
    png.extend(crc32(&png[12..]).to_be_bytes());
    png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bmp.extend(side.to_le_bytes().into_iter().chain(side.to_le_bytes()).chain([1, 0, 24, 0]).chain([0; 24]));
    let gif = b"GIF89a\x60\xea\x60\xea\0\0\0\x2c\0\0\0\0\x60\xea\x60\xea\0\x02\0\x3b".to_vec();
    for (name, bytes) in [("png", png), ("bmp", bmp), ("gif", gif)] {
        std::fs::write(&path, bytes).unwrap();
        let error = media::open(&path, &limits()).unwrap_err();
        assert_eq!(error.code(), "too_large", "{name}: {error}");
        assert!(error.to_string().contains("60000×60000"), "{name}: {error}");
    }
}

pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 })
    })
}

#[test]
fn limits_hold() {
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("clip.mp4");
    let mut writer = media::Mp4Writer::create(&clip, 64, 48, 10.0).unwrap();
    rolling(64, 48, 12).iter().for_each(|f| writer.push(f).unwrap());
    writer.finish().unwrap();
    assert_eq!(code(&clip, &limits()), "ok");
    assert_eq!(code(&clip, &media::Limits { max_frames: 11, ..limits() }), "too_large");
    assert_eq!(code(&clip, &media::Limits { max_pixels: 3000, ..limits() }), "too_large");
    assert_eq!(code(&clip, &media::Limits { max_bytes: 500, ..limits() }), "too_large");
    assert_eq!(code(&clip, &media::Limits { max_secs: 0.0, ..limits() }), "timeout");
    assert_eq!(code(&dir.path().join("absent"), &limits()), "io");
    assert_eq!(code(dir.path(), &limits()), "not_media");
    let cut = dir.path().join("cut.jpg");
    let jpeg = media::jpeg_bytes(&rolling(64, 48, 1)[0], 90).unwrap();
    std::fs::write(&cut, &jpeg[..jpeg.len() - 40]).unwrap();
    assert_eq!(code(&cut, &limits()), "corrupt");
}

/// A small generator of numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

#[test]
fn thousands_of_mutations() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m");
    let frames = rolling(48, 32, 6);
    let mut writer = media::Mp4Writer::create(&path, 48, 32, 3.0).unwrap();
    frames.iter().for_each(|f| writer.push(f).unwrap());
    writer.finish().unwrap();
    let mp4 = std::fs::read(&path).unwrap();
    let save = |format| {
        let picture = image::RgbImage::from_raw(48, 32, frames[0].rgb.clone()).unwrap();
        picture.save_with_format(&path, format).unwrap();
        std::fs::read(&path).unwrap()
    };
    let mut gif = image::codecs::gif::GifEncoder::new(Vec::new());
    for f in &frames {
        let pixels = f.rgb.chunks(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
        gif.encode_frame(image::Frame::new(image::RgbaImage::from_raw(48, 32, pixels).unwrap())).unwrap();
    }
    drop(gif);
    let seeds = [
        mp4,
        media::png_bytes(&frames[0]).unwrap(),
        media::jpeg_bytes(&frames[0], 80).unwrap(),
        save(image::ImageFormat::WebP),
        save(image::ImageFormat::Gif),
        save(image::ImageFormat::Tiff),
        save(image::ImageFormat::Bmp),
    ];
    // Small, so that a claim of many pixels is refused and the test stays quick; `off` is not set,
    // since what becomes foreign by a flipped byte is ffmpeg's to refuse.
    let tight = media::Limits { max_pixels: 1 << 20, max_frames: 1000, max_secs: 10.0, ..limits() };
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut outcomes = std::collections::BTreeMap::new();
    for round in 0..3500 {
        // Half of the rounds go to the MP4, whose reader is ours.
        let seed = if round % 2 == 0 { &seeds[0] } else { &seeds[1 + round / 2 % 6] };
        let mut bytes = seed.clone();
        for _ in 0..1 + dice.below(4) {
            // Headers are where the trouble is: half of the changes go to the first kilobyte.
            let reach = if dice.below(2) == 0 { bytes.len().min(1024) } else { bytes.len() };
            let at = dice.below(reach);
            match dice.below(4) {
                0 => bytes[at] ^= 1 << dice.below(8),
                1 => bytes[at] = [0, 0xff, 0x7f, 0x80][dice.below(4)],
                2 => bytes[at] = dice.below(256) as u8,
                _ => {
                    let end = (at + 4).min(bytes.len());
                    bytes[at..end].fill([0, 0xff][dice.below(2)]);
                }
            }
        }
        if dice.below(4) == 0 {
            let keep = 1 + dice.below(bytes.len());
            bytes.truncate(keep);
        }
        std::fs::write(&path, &bytes).unwrap();
        let start = Instant::now();
        let outcome = code(&path, &tight);
        assert!(start.elapsed() < Duration::from_secs(15), "round {round}: {outcome}");
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    println!("{outcomes:?}");
    assert!(outcomes["ok"] > 100 && outcomes["corrupt"] > 500, "{outcomes:?}");
    assert!(!outcomes.contains_key("timeout") && !outcomes.contains_key("io"), "{outcomes:?}");
}

/// Only in the process that [`a_hung_ffmpeg_is_stopped`] starts.
#[test]
fn hung_child() {
    let Some(clip) = std::env::var_os("LIKEBUT_TEST_HUNG") else { return };
    let start = Instant::now();
    let got = code(Path::new(&clip), &media::Limits { max_secs: 1.0, ..limits() });
    assert_eq!(got, "timeout");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[cfg(unix)]
#[test]
fn a_hung_ffmpeg_is_stopped() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("clip");
    std::fs::write(&clip, b"\x1a\x45\xdf\xa3 as far as the first bytes go, a Matroska file").unwrap();
    let ffmpeg = dir.path().join("ffmpeg");
    for hangs in [
        "exec sleep 60",
        // What hangs is not what was started, and holds the pipes.
        "sleep 60\nexit 0",
        "sleep 60 & sleep 60 & wait",
        // Nothing is to be read any more, and still it does not end.
        "exec sleep 60 >/dev/null 2>&1",
    ] {
        for tool in ["ffmpeg", "ffprobe"] {
            let path = dir.path().join(tool);
            std::fs::write(&path, format!("#!/bin/sh\n{hangs}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        crate::again(
            "hostile::hung_child",
            &[("LIKEBUT_FFMPEG", ffmpeg.as_os_str()), ("LIKEBUT_TEST_HUNG", clip.as_os_str())],
        );
    }
}
