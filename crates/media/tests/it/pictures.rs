//! Every kind of picture, upright and on white.

use std::path::{Path, PathBuf};

use domain::{Kind, Sampling};
use image::{DynamicImage, ImageFormat};

use crate::limits;

fn open(path: &Path) -> media::Result<(media::Info, media::Frame)> {
    let file = media::open(path, &limits())?;
    let mut clip = file.sample(&Sampling::Middle, None)?;
    Ok((file.info().clone(), clip.frames.remove(0)))
}

fn saved(dir: &Path, name: &str, picture: &DynamicImage, format: ImageFormat) -> PathBuf {
    let path = dir.join(name);
    picture.save_with_format(&path, format).unwrap();
    path
}

/// Left half red, right half blue; the top row green.
fn flag() -> media::Frame {
    let rgb = (0..12u32).flat_map(|y| (0..16u32).map(move |x| (x, y)));
    let rgb = rgb.flat_map(|(x, y)| {
        if y < 2 {
            [0, 200, 0]
        } else if x < 8 {
            [200, 0, 0]
        } else {
            [0, 0, 200]
        }
    });
    media::Frame { width: 16, height: 12, rgb: rgb.collect() }
}

#[test]
fn lossless_formats_come_back_whatever_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let rgb = DynamicImage::ImageRgb8(image::RgbImage::from_raw(16, 12, flag().rgb).unwrap());
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let (info, frame) = open(&saved(dir.path(), "named.mp4", &rgb, format)).unwrap();
        assert!(frame == flag(), "{format:?}");
        assert_eq!((info.kind, info.frames, info.duration_secs), (Kind::Picture, 1, None));
    }
    let bytes = media::png_bytes(&flag()).unwrap();
    assert!(media::picture_from_bytes(&bytes, &limits()).unwrap() == flag());
    assert_eq!(media::picture_from_bytes(b"no", &limits()).unwrap_err().code(), "not_media");
}

#[test]
fn grey_sixteen_bits_and_glass() {
    let dir = tempfile::tempdir().unwrap();
    let grey = DynamicImage::ImageLuma8(image::GrayImage::from_pixel(3, 2, image::Luma([77])));
    assert_eq!(open(&saved(dir.path(), "g.png", &grey, ImageFormat::Png)).unwrap().1.rgb, [77; 18]);
    let deep = DynamicImage::ImageRgb16(image::ImageBuffer::from_pixel(3, 2, image::Rgb([0x8000u16, 0xffff, 0])));
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        assert_eq!(open(&saved(dir.path(), "d", &deep, format)).unwrap().1.rgb[..3], [128, 255, 0]);
    }
    let glass = image::RgbaImage::from_fn(3, 1, |x, _| image::Rgba([200, 0, 100, [0, 128, 255][x as usize]]));
    let glass = DynamicImage::ImageRgba8(glass);
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let got = open(&saved(dir.path(), "a", &glass, format)).unwrap().1.rgb;
        assert_eq!(got, [255, 255, 255, 227, 127, 177, 200, 0, 100], "{format:?}");
    }
}

#[test]
fn exif_says_which_way_is_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.jpg");
    let jpeg = media::jpeg_bytes(&media::thumb(&flag(), 16), 95).unwrap();
    for orientation in 1..=8u8 {
        let mut app1 = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        app1.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let mut bytes = jpeg[..2].to_vec();
        bytes.extend(app1);
        bytes.extend(&jpeg[2..]);
        std::fs::write(&path, bytes).unwrap();
        let (info, frame) = open(&path).unwrap();
        let lying = orientation >= 5;
        assert_eq!((info.width, info.height), if lying { (12, 16) } else { (16, 12) });
        assert_eq!((frame.width, frame.height), (info.width, info.height));
        // Where the green edge lies: top, bottom, left or right.
        let green = |x: u32, y: u32| frame.rgb[((y * frame.width + x) * 3 + 1) as usize] > 120;
        let (r, b) = (frame.width - 1, frame.height - 1);
        let side = [green(r / 2, 0), green(r / 2, b), green(0, b / 2), green(r, b / 2)];
        let want = [[0, 0, 1, 1, 2, 3, 3, 2][orientation as usize - 1]];
        assert_eq!(side.iter().enumerate().filter(|s| *s.1).map(|s| s.0).collect::<Vec<_>>(), want, "{orientation}");
    }
}

/// A JPEG of 8 × 8 pixels in four inks, each of one value, written out by hand.
fn ink_jpeg(inks: [u8; 4]) -> Vec<u8> {
    let mut out = b"\xff\xd8\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0".to_vec();
    out.extend(b"\xff\xdb\0\x43\0");
    out.extend([8; 64]);
    out.extend(b"\xff\xc0\0\x14\x08\0\x08\0\x08\x04");
    (1..=4).for_each(|c| out.extend([c, 0x11, 0]));
    // DC: sixteen codes of four bits would be too many, so eight of four bits for sizes 0 to 7 and
    // one of five bits for size 8. AC: end of block is the single bit 0.
    out.extend(b"\xff\xc4\0\x1c\0\0\0\0\x08\x01\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08");
    out.extend(b"\xff\xc4\0\x14\x10\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    out.extend(b"\xff\xda\0\x0e\x04\x01\0\x02\0\x03\0\x04\0\0\x3f\0");
    let mut bits = String::new();
    for ink in inks {
        // Quantised by 8, a flat block's DC is its value less 128.
        let dc = i32::from(ink) - 128;
        let size = 32 - dc.unsigned_abs().leading_zeros();
        let code = if size < 8 { format!("{size:04b}") } else { "10000".to_owned() };
        let value = if dc > 0 { dc } else { dc + (1 << size) - 1 };
        bits += &code;
        if size > 0 {
            bits += &format!("{value:0width$b}", width = size as usize);
        }
        bits += "0";
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    for at in (0..bits.len()).step_by(8) {
        let byte = u8::from_str_radix(&bits[at..at + 8], 2).unwrap();
        out.push(byte);
        if byte == 0xff {
            out.push(0);
        }
    }
    out.extend([0xff, 0xd9]);
    out
}

#[test]
fn inks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cmyk.jpg");
    // Adobe stores paper, not ink: 255 is none.
    for (inks, want) in
        [([255; 4], [255, 255, 255]), ([255, 100, 100, 255], [255, 100, 100]), ([200, 200, 200, 128], [100, 100, 100])]
    {
        std::fs::write(&path, ink_jpeg(inks)).unwrap();
        let frame = open(&path).unwrap().1;
        assert_eq!((frame.width, frame.height), (8, 8));
        assert!(
            frame.rgb.chunks(3).all(|p| p.iter().zip(want).all(|(a, b)| a.abs_diff(b) <= 3)),
            "{inks:?} {:?}",
            &frame.rgb[..3]
        );
    }
}

#[test]
fn animations_are_clips() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gif");
    let mut gif = image::codecs::gif::GifEncoder::new(std::fs::File::create(&path).unwrap());
    for shade in [10u8, 120, 240] {
        let pixels = image::RgbaImage::from_pixel(5, 4, image::Rgba([shade, 0, 0, 255]));
        let delay = image::Delay::from_numer_denom_ms(200, 1);
        gif.encode_frame(image::Frame::from_parts(pixels, 0, 0, delay)).unwrap();
    }
    drop(gif);
    let file = media::open(&path, &limits()).unwrap();
    assert_eq!((file.info().kind, file.info().frames), (Kind::Clip, 3));
    assert!((file.info().fps.unwrap() - 5.0).abs() < 1e-9);
    let clip = file.sample(&Sampling::Uniform(9), None).unwrap();
    assert_eq!(clip.times_secs, [0.0, 0.2, 0.4]);
    assert_eq!(clip.frames.iter().map(|f| f.rgb[0]).collect::<Vec<_>>(), [10, 120, 240]);
}
