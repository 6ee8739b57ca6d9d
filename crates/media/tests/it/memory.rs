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
fn a_frame_far_larger_than_its_screen_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gif");
    let mut gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff\x2c\0\0\0\0".to_vec();
    gif.extend([28_000u16.to_le_bytes(); 2].as_flattened());
    gif.extend(b"\0\x02\x02\x4c\x01\0\x3b");
    std::fs::write(&path, gif).unwrap();
    let (result, taken) = most(|| media::open(&path, &limits()));
    let error = result.unwrap_err();
    assert_eq!(error.code(), "too_large", "{error}");
    assert!(taken < LITTLE, "{taken} bytes were taken for one pixel");
    // One that reaches beyond it a little is cut off, as viewers do.
    let mut gif = Vec::new();
    let pixels = image::RgbaImage::from_pixel(50, 40, image::Rgba([9, 9, 9, 255]));
    image::codecs::gif::GifEncoder::new(&mut gif).encode_frame(image::Frame::new(pixels)).unwrap();
    (gif[6], gif[8]) = (45, 30);
    std::fs::write(&path, gif).unwrap();
    let frame = media::open(&path, &limits()).unwrap().sample(&Sampling::Middle, None).unwrap().frames.remove(0);
    assert!((frame.width, frame.height) == (45, 30) && frame.rgb.iter().all(|v| v.abs_diff(9) < 4));
}

#[test]
fn a_colour_profile_is_not_unpacked_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let body = [kind, content].concat();
        [&(content.len() as u32).to_be_bytes(), &body[..], &crate::hostile::crc32(&body).to_be_bytes()].concat()
    };
    let encoded = |side: u32| {
        let mut out = Vec::new();
        let png = image::codecs::png::PngEncoder::new(&mut out);
        png.write_image(&vec![0; (side * side) as usize], side, side, ExtendedColorType::L8).unwrap();
        out
    };
    // What packs a picture packs a profile, too: here it is the pixels of a black one.
    let black = encoded(6000);
    let (mut profile, mut at) = (b"a\0\0".to_vec(), 8);
    while let Some(len) = black.get(at..at + 4) {
        let len = u32::from_be_bytes(len.try_into().unwrap()) as usize;
        if &black[at + 4..at + 8] == b"IDAT" {
            profile.extend(&black[at + 8..at + 8 + len]);
        }
        at += 12 + len;
    }
    assert!(profile.len() < 1 << 20, "36 MB were packed into {}", profile.len());
    let pixel = encoded(1);
    std::fs::write(&path, [&pixel[..33], &chunk(b"iCCP", &profile), &pixel[33..]].concat()).unwrap();
    let (clip, taken) = most(|| media::open(&path, &limits()).unwrap().sample(&Sampling::Middle, None).unwrap());
    assert_eq!(clip.frames[0].rgb, [0; 3]);
    assert!(taken < 20 << 20, "{taken} bytes were taken for one pixel");
}

/// A box of an MP4.
fn atom(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    [&(content.len() as u32 + 8).to_be_bytes(), &kind[..], &content].concat()
}

/// A picture track of a codec that nobody knows, with frames that are `one_size` large, or as large as listed.
fn track(id: u32, one_size: u32, count: u32, sizes: &[u8]) -> Vec<u8> {
    let tkhd = atom(b"tkhd", &[&[0; 12], &id.to_be_bytes(), &[0; 64]]);
    let hdlr = atom(b"hdlr", &[&[0; 8], b"vide", &[0; 13]]);
    let mdhd = atom(b"mdhd", &[&[0; 12], &1000u32.to_be_bytes(), &[0; 8]]);
    let entry = atom(b"none", &[&[0; 24], &[0, 64, 0, 48], &[0; 50]]);
    let stsd = atom(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1], &entry]);
    let stsz = atom(b"stsz", &[&[0; 4], &one_size.to_be_bytes(), &count.to_be_bytes(), sizes]);
    let stts = atom(b"stts", &[&[0, 0, 0, 0, 0, 0, 0, 1], &count.to_be_bytes(), &[0, 0, 0, 40]]);
    let minf = atom(b"minf", &[&atom(b"stbl", &[&stsd, &stsz, &stts])]);
    atom(b"trak", &[&tkhd, &atom(b"mdia", &[&hdlr, &mdhd, &minf])])
}

/// A file of a megabyte, or more.
fn mp4(dir: &Path, boxes: &[&[u8]]) -> std::path::PathBuf {
    let path = dir.join("clip.mp4");
    let ftyp = atom(b"ftyp", &[b"isom\0\0\0\0isom"]);
    std::fs::write(&path, [ftyp, boxes.concat(), atom(b"free", &[&[0; 1_000_000]])].concat()).unwrap();
    path
}

#[test]
fn many_tracks_take_no_more_than_one() {
    let dir = tempfile::tempdir().unwrap();
    let tracks = |number: u32, count| (0..number).flat_map(|id| track(id, 1, count, &[])).collect::<Vec<u8>>();
    let moov = |tracks: &[u8]| atom(b"moov", &[tracks]);
    let fragment = |id: u32| {
        let tfhd = atom(b"tfhd", &[&[0; 4], &id.to_be_bytes()]);
        let trun = atom(b"trun", &[&[0; 4], &1_000_000u32.to_be_bytes()]);
        atom(b"traf", &[&tfhd, &trun])
    };
    let moof = atom(b"moof", &[&(0..8).flat_map(fragment).collect::<Vec<u8>>()]);
    for (boxes, why) in [
        // Each track for itself is within the limits.
        (vec![moov(&tracks(8, 1_000_000))], "2000000 frames; at most 1000000 are read"),
        (vec![moov(&tracks(1000, 1))], "more than 128 tracks"),
        (vec![moov(&tracks(8, 0)), moof.clone()], "2000000 frames; at most 1000000 are read"),
    ] {
        let path = mp4(dir.path(), &boxes.iter().map(|b| &b[..]).collect::<Vec<_>>());
        let (result, taken) = most(|| media::open(&path, &limits()));
        let error = result.unwrap_err();
        assert!(error.code() == "too_large" && error.to_string().contains(why), "{why}: {error}");
        // A million samples, and as much again where their row has grown.
        assert!(taken < 100 << 20, "{why}: {taken} bytes");
    }
}

#[test]
fn an_index_is_found_room_for_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let sizes: Vec<u8> = (0..300_000u32).flat_map(|_| 1u32.to_be_bytes()).collect();
    let moov = atom(b"moov", &[&track(1, 0, 300_000, &sizes)]);
    let path = mp4(dir.path(), &[&moov]);
    let said = media::bytes_to_open(&path, &limits()).unwrap();
    // Read to its end; then it is seen that nobody knows the codec.
    let (result, taken) = most(|| media::open(&path, &limits()));
    assert!(matches!(result.unwrap_err().code(), "needs_ffmpeg" | "unsupported" | "corrupt"));
    assert!(taken > moov.len() as u64 && taken <= said, "opened with {taken} bytes, {said} were said");
    assert!(said < 40 * moov.len() as u64, "{said} bytes are said of an index of {}", moov.len());
    // What is not the index does not count, however large.
    let frames = atom(b"mdat", &[&[7; 5_000_000]]);
    let said = media::bytes_to_open(&mp4(dir.path(), &[&frames, &moov]), &limits()).unwrap();
    assert_eq!(media::bytes_to_open(&mp4(dir.path(), &[&moov]), &limits()).unwrap(), said);
    let small = atom(b"moov", &[&track(1, 0, 1, &[0, 0, 0, 9])]);
    assert!(media::bytes_to_open(&mp4(dir.path(), &[&frames, &small]), &limits()).unwrap() < 100_000);
    // One that ends in the middle of a head, or claims nonsense, is for the reader to refuse.
    for broken in [&moov[..4], &[0, 0, 0, 3, b'm', b'o', b'o', b'v'], b"\0\0\0\x01moov\xff\xff\xff\xff\xff\xff\xff\xff"]
    {
        let path = dir.path().join("broken.mp4");
        std::fs::write(&path, [&atom(b"ftyp", &[b"isom\0\0\0\0isom"])[..], broken].concat()).unwrap();
        assert!(media::bytes_to_open(&path, &limits()).is_ok_and(|said| said < 10_000));
        assert_eq!(media::open(&path, &limits()).unwrap_err().code(), "corrupt");
    }
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
