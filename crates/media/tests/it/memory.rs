//! What `Media::bytes` says is what is taken, or more: counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use domain::Sampling;
use image::{ExtendedColorType, ImageEncoder as _};

use crate::limits;

/// Counts what each thread takes. Pictures are decoded on the thread that asks.
struct Counting;

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: i64) {
    NOW.set(NOW.get() + bytes);
    MOST.set(MOST.get().max(NOW.get()));
}

// SAFETY: all is done by the system's allocator; what is counted beside it takes no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static MEMORY: Counting = Counting;

/// Most bytes that were held while something was done, beyond those before.
fn most<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = NOW.get();
    MOST.set(before);
    let out = work();
    (out, (MOST.get() - before) as u64)
}

/// Tables and rows, whatever the picture's size.
const LITTLE: u64 = 1 << 20;

#[track_caller]
fn check(path: &Path, each: std::ops::RangeInclusive<u64>) {
    let said = media::bytes_to_open(path, &limits()).unwrap();
    let (file, taken) = most(|| media::open(path, &limits()).unwrap());
    assert!(taken <= said + LITTLE, "{}: opened with {taken} bytes, {said} were said", path.display());
    let said = file.bytes(&Sampling::Middle);
    drop(file);
    let (pixels, taken) = most(|| {
        let file = media::open(path, &limits()).unwrap();
        file.sample(&Sampling::Middle, None).unwrap();
        u64::from(file.info().width) * u64::from(file.info().height)
    });
    assert!(taken <= said + LITTLE, "{}: decoded with {taken} bytes, {said} were said", path.display());
    let size = std::fs::metadata(path).unwrap().len();
    let per_pixel = (said - 2 * size) / pixels;
    assert!(each.contains(&per_pixel), "{}: {per_pixel} bytes a pixel are said", path.display());
}

#[test]
fn no_picture_takes_more_than_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let (w, h) = (1500u32, 1000u32);
    let noise = |channels: usize| -> Vec<u8> {
        (0..w as usize * h as usize * channels).map(|i| ((i * 2_654_435_761) >> 7) as u8 & 0x3f).collect()
    };
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let jpeg = |colour, channels| {
        let mut out = Vec::new();
        let jpeg = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 90);
        jpeg.write_image(&noise(channels), w, h, colour).unwrap();
        out
    };
    let rgb = jpeg(ExtendedColorType::Rgb8, 3);
    check(&write("a.jpg", &rgb), 3..=3);
    check(&write("grey.jpg", &jpeg(ExtendedColorType::L8, 1)), 4..=4);
    // An EXIF note that says: a quarter turn.
    let mut turned = rgb[..2].to_vec();
    turned.extend(b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0");
    turned.extend(&rgb[2..]);
    check(&write("turned.jpg", &turned), 6..=6);
    for (name, colour, channels, each) in [
        ("grey.png", ExtendedColorType::L8, 1, 4),
        ("rgb.png", ExtendedColorType::Rgb8, 3, 6),
        ("rgba.png", ExtendedColorType::Rgba8, 4, 8),
        ("rgba16.png", ExtendedColorType::Rgba16, 8, 16),
    ] {
        let mut out = Vec::new();
        image::codecs::png::PngEncoder::new(&mut out).write_image(&noise(channels), w, h, colour).unwrap();
        check(&write(name, &out), each..=each);
    }
    let mut out = Vec::new();
    let webp = image::codecs::webp::WebPEncoder::new_lossless(&mut out);
    webp.write_image(&noise(4), w, h, ExtendedColorType::Rgba8).unwrap();
    check(&write("a.webp", &out), 12..=12);
    let mut out = Vec::new();
    image::codecs::bmp::BmpEncoder::new(&mut out).encode(&noise(3), w, h, ExtendedColorType::Rgb8).unwrap();
    check(&write("a.bmp", &out), 6..=6);
    let mut out = std::io::Cursor::new(Vec::new());
    let tiff = image::codecs::tiff::TiffEncoder::new(&mut out);
    tiff.write_image(&noise(8), w, h, ExtendedColorType::Rgba16).unwrap();
    check(&write("a.tiff", out.get_ref()), 16..=16);
    let mut out = Vec::new();
    let mut gif = image::codecs::gif::GifEncoder::new_with_speed(&mut out, 30);
    for shade in [10u8, 240] {
        let pixels = image::RgbaImage::from_pixel(w, h, image::Rgba([shade, 0, 0, 255]));
        gif.encode_frame(image::Frame::new(pixels)).unwrap();
    }
    drop(gif);
    // Twenty-four, and three for the one frame that is kept.
    check(&write("a.gif", &out), 27..=27);
}

#[test]
fn nor_does_one_whose_scans_bring_parts() {
    let (Some(ffmpeg), dir) = (media::ffmpeg(), tempfile::tempdir().unwrap()) else {
        return eprintln!("skipped: no ffmpeg");
    };
    let made = |name: &str, args: &str| {
        let path = dir.path().join(name);
        let mut command = std::process::Command::new(&ffmpeg);
        command.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1500x1000", "-frames:v", "1"]);
        let done = command.args(args.split(' ')).arg(&path).output().is_ok_and(|out| out.status.success());
        if !done {
            eprintln!("skipped: this ffmpeg does not write {name}");
        }
        done.then_some(path)
    };
    if let Some(path) = made("alpha.webp", "-vf format=yuva420p,colorchannelmixer=aa=0.5 -c:v libwebp -lossless 0") {
        check(&path, 12..=12);
    }
    if let Some(path) = made("lossy.webp", "-c:v libwebp -lossless 0") {
        check(&path, 11..=11);
    }
}
