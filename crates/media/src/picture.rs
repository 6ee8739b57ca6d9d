//! Pictures, and animated pictures, to upright RGB.
//!
//! What is stored is rarely what is meant: cameras store sideways pixels and an EXIF note on which
//! way is up; PNG and WebP have transparency (we lay them on white, as paper would); samples may
//! have 16 bits, be grey, or ink amounts (CMYK).
//! A JPEG says how it was made, not which levels come out: decoders round differently, and ours, which
//! is Rust throughout, is not the one (libjpeg-turbo, by way of Pillow) whose pictures published models
//! were trained on. `results/published.md` has what that does to pixels and vectors, and why we
//! keep it.
//! GIF, WebP and PNG may also be animated: then they are clips, and each frame comes composed with
//! the ones before it.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{AnimationDecoder as _, ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Rgba};

use crate::limits::Deadline;
use crate::{Container, Error, Frame, Limits, Result};

/// Where decoders read: the whole file, in memory. A picture is read through more than once (its header,
/// whether it is whole, its pixels), and decoders for one kind of source are compiled once.
type Bytes = Cursor<Arc<[u8]>>;

/// A picture file whose header has been read.
pub(crate) struct Picture {
    bytes: Arc<[u8]>,
    container: Container,
    /// When each frame of an animation is shown, seconds; empty for a still picture.
    pub times_secs: Vec<f64>,
    /// After the last frame, seconds.
    pub duration_secs: f64,
    /// Upright.
    pub width: u32,
    /// Upright.
    pub height: u32,
    /// Most that a still picture takes for each of its pixels while it is decoded.
    pub bytes_per_pixel: u64,
}

impl Picture {
    pub fn open(path: &Path, container: Container, limits: &Limits) -> Result<Self> {
        let most = most_bytes(limits);
        let has = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
        if has > most {
            return Err(Error::TooLarge(format!("a picture of {} MB; at most {} MB are read", has >> 20, most >> 20)));
        }
        let bytes = crate::whole(path, most).map_err(|e| Error::io(path, e))?;
        Self::of(bytes.into(), container, limits)
    }

    fn of(bytes: Arc<[u8]>, container: Container, limits: &Limits) -> Result<Self> {
        let deadline = limits.deadline();
        let mut picture = Self::unread(bytes, container);
        let mut decoder = picture.decoder(limits)?;
        let orientation = decoder.orientation().map_err(refused)?.to_exif();
        (picture.width, picture.height) = decoder.dimensions();
        let turned = orientation >= 5;
        if turned {
            std::mem::swap(&mut picture.width, &mut picture.height);
        }
        picture.bytes_per_pixel = picture.bytes_on_the_way(decoder.color_type(), turned);
        drop(decoder);
        if let Some(frames) = picture.animation(limits)? {
            // How many frames there are, and how long each is shown, is known only after going
            // through all of them; they are not kept.
            let (mut times, mut now_ms) = (Vec::new(), 0.0);
            for frame in frames {
                deadline.check()?;
                if times.len() >= limits.max_frames {
                    return Err(Error::TooLarge(format!("more than {} frames", limits.max_frames)));
                }
                let frame = frame.map_err(|e| at_frame(times.len(), e))?;
                times.push(now_ms / 1000.0);
                now_ms += shown_ms(frame.delay());
            }
            if times.len() > 1 {
                picture.times_secs = times;
                picture.duration_secs = now_ms / 1000.0;
            }
        }
        Ok(picture)
    }

    fn unread(bytes: Arc<[u8]>, container: Container) -> Self {
        let times_secs = Vec::new();
        Self { bytes, container, times_secs, duration_secs: 0.0, width: 0, height: 0, bytes_per_pixel: 0 }
    }

    /// How large the file is.
    pub fn file_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Most bytes for each pixel from its decoder to its frame: what comes out and what the decoder keeps beside
    /// it; then that and its turned copy; then that and the three bytes that are made of it, by way of four
    /// where it is transparent.
    fn bytes_on_the_way(&self, colour: ColorType, turned: bool) -> u64 {
        let out = u64::from(colour.bytes_per_pixel());
        let beside = match self.container {
            Container::Jpeg => jpeg_coefficients(&self.bytes),
            // Brightness, colours, and transparency, which is a lossless picture of its own.
            Container::WebP => 8,
            // TIFF is decoded and then copied; the others keep a few rows.
            _ => out,
        };
        let rgb = match (colour.has_alpha(), colour) {
            (true, _) => 4,
            (false, ColorType::Rgb8) => 0,
            (false, _) => 3,
        };
        (out + beside).max(if turned { 2 * out } else { out }).max(out + rgb)
    }

    /// The frames with these indices, ascending.
    pub fn frames(&self, indices: &[usize], limits: &Limits, deadline: Deadline) -> Result<Vec<Frame>> {
        if self.times_secs.is_empty() {
            return Ok(vec![self.still(limits)?; indices.len()]);
        }
        let mut out = Vec::new();
        for (i, frame) in self.animation(limits)?.into_iter().flatten().enumerate() {
            deadline.check()?;
            let frame = frame.map_err(|e| at_frame(i, e))?;
            if indices.contains(&i) {
                out.push(over_white(DynamicImage::ImageRgba8(frame.into_buffer())));
            }
            if indices.last() <= Some(&i) {
                break;
            }
        }
        if out.len() < indices.len() {
            return Err(Error::Corrupt(format!("frame {} of the animation is missing", indices[out.len()])));
        }
        Ok(out)
    }

    fn still(&self, limits: &Limits) -> Result<Frame> {
        if self.container == Container::Jpeg {
            check_jpeg_ends(&self.bytes)?;
        }
        let mut decoder = self.decoder(limits)?;
        let orientation = decoder.orientation().map_err(refused)?;
        let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
        picture.apply_orientation(orientation);
        Ok(over_white(picture))
    }

    /// A decoder that has read the header and found it within the limits.
    fn decoder(&self, limits: &Limits) -> Result<impl ImageDecoder + use<>> {
        let format = match self.container {
            Container::Jpeg => ImageFormat::Jpeg,
            Container::Png => ImageFormat::Png,
            Container::WebP => ImageFormat::WebP,
            Container::Gif => ImageFormat::Gif,
            Container::Bmp => ImageFormat::Bmp,
            Container::Tiff => ImageFormat::Tiff,
            other => return Err(Error::NotMedia(format!("{other}, where a picture was expected"))),
        };
        let mut reader = ImageReader::with_format(self.reader(), format);
        reader.limits(self.for_the_header(limits));
        let mut decoder = reader.into_decoder().map_err(refused)?;
        let (width, height) = decoder.dimensions();
        limits.check_pixels(width.into(), height.into())?;
        decoder.set_limits(self.for_pixels((width, height), limits)).map_err(refused)?;
        Ok(decoder)
    }

    fn animation(&self, limits: &Limits) -> Result<Option<image::Frames<'static>>> {
        Ok(match self.container {
            Container::Gif => {
                let mut gif = GifDecoder::new(self.reader()).map_err(refused)?;
                gif.set_limits(self.for_pixels(gif.dimensions(), limits)).map_err(refused)?;
                Some(gif.into_frames())
            }
            Container::Png => {
                let mut png = PngDecoder::with_limits(self.reader(), self.for_the_header(limits)).map_err(refused)?;
                png.set_limits(self.for_pixels(png.dimensions(), limits)).map_err(refused)?;
                let animated = png.is_apng().map_err(refused)?;
                if animated { Some(png.apng().map_err(refused)?.into_frames()) } else { None }
            }
            Container::WebP => {
                let mut webp = WebPDecoder::new(self.reader()).map_err(refused)?;
                webp.set_limits(self.for_pixels(webp.dimensions(), limits)).map_err(refused)?;
                if webp.has_animation() {
                    // Players show the animation on their own ground, not on the file's hint.
                    webp.set_background_color(Rgba([255, 255, 255, 0])).map_err(refused)?;
                    Some(webp.into_frames())
                } else {
                    None
                }
            }
            _ => None,
        })
    }

    fn reader(&self) -> Bytes {
        Cursor::new(self.bytes.clone())
    }

    /// What a decoder may allocate before it is known how many pixels there are; of ours only that of PNG asks, and it
    /// asks for nothing else: for a colour profile, which may be packed a thousandfold, for notes as they lie in the
    /// file, read, copied and kept, and for one row.
    fn for_the_header(&self, limits: &Limits) -> image::Limits {
        let width = number(&self.bytes, 16, 4, false).min(limits.max_pixels);
        allowance(self.file_bytes().saturating_mul(3).saturating_add(8 * width), limits)
    }

    /// What a decoder may allocate for a picture of so many pixels, whatever it comes upon later: a GIF's frame may
    /// be larger than its screen, a TIFF's strip than its picture.
    fn for_pixels(&self, (width, height): (u32, u32), limits: &Limits) -> image::Limits {
        let pixels = u64::from(width) * u64::from(height);
        match self.container {
            Container::Tiff => allowance(pixels.saturating_mul(32).saturating_add(2 * self.file_bytes()), limits),
            _ => allowance(pixels.saturating_mul(CANVAS), limits),
        }
    }
}

/// The most that files may take, and decoders allocate: eight bytes a pixel (16-bit RGBA) twice over, and a little.
fn most_bytes(limits: &Limits) -> u64 {
    limits.max_pixels.saturating_mul(16).saturating_add(64 << 20)
}

/// Bytes for each pixel of an animation's canvas: what was shown before and is kept to be shown again, a frame as it
/// was stored, as it was decoded, and as it is shown.
const CANVAS: u64 = 24;

/// What comes on top whatever the picture's size, and is not counted: tables, and a colour profile, of which large
/// ones have some two megabytes.
const LITTLE: u64 = 4 << 20;

fn allowance(bytes: u64, limits: &Limits) -> image::Limits {
    let mut out = image::Limits::no_limits();
    out.max_alloc = Some(bytes.saturating_add(LITTLE).min(most_bytes(limits)));
    out
}

/// How long a frame is shown, milliseconds. Browsers show frames that ask for 10 ms or less for
/// 100 ms, and animations are made with that in mind.
fn shown_ms(delay: image::Delay) -> f64 {
    let (numerator, denominator) = delay.numer_denom_ms();
    let ms = f64::from(numerator) / f64::from(denominator.max(1));
    if ms <= 10.0 { 100.0 } else { ms }
}

fn over_white(picture: DynamicImage) -> Frame {
    let (width, height) = (picture.width(), picture.height());
    if !picture.color().has_alpha() {
        return Frame { width, height, rgb: picture.into_rgb8().into_raw() };
    }
    let rgba = picture.into_rgba8();
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for Rgba([r, g, b, a]) in rgba.pixels() {
        let alpha = u32::from(*a);
        rgb.extend([r, g, b].map(|c| ((u32::from(*c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8));
    }
    Frame { width, height, rgb }
}

/// The decoder fills what is missing from a cut-off JPEG with grey and says nothing, so we look
/// for the end marker ourselves: after the header of the first scan, since thumbnails in the
/// metadata before it have end markers of their own.
fn check_jpeg_ends(bytes: &[u8]) -> Result<()> {
    let Some((_, scan)) = jpeg_segments(bytes).find(|(kind, _)| *kind == SCAN) else {
        return Err(Error::Corrupt("the JPEG is cut off: it has no picture data".to_owned()));
    };
    // From behind: the marker is the last thing in nearly every file.
    match scan.windows(2).rev().any(|w| w == [0xff, 0xd9]) {
        true => Ok(()),
        false => Err(Error::Corrupt("the JPEG is cut off: it has no end marker".to_owned())),
    }
}

/// The kind of the segment that begins a scan.
const SCAN: u8 = 0xda;

/// A JPEG's segments up to its first scan: the kind of each, and the bytes from its marker on.
fn jpeg_segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 2;
    std::iter::from_fn(move || {
        let segment = bytes.get(at..)?;
        let [0xff, kind, hi, lo, ..] = segment else { return None };
        at = match kind {
            0xff => at + 1,
            0x01 | 0xd0..=0xd8 => at + 2,
            // What follows is no segment.
            &SCAN => bytes.len(),
            _ => at + 2 + usize::from(u16::from_be_bytes([*hi, *lo])),
        };
        Some((*kind, segment))
    })
}

/// Bytes that a JPEG's decoder keeps of each pixel beside what comes out: none where one scan brings all components
/// block by block; where scans bring parts of them, a number of 16 bits for each component.
fn jpeg_coefficients(bytes: &[u8]) -> u64 {
    let (mut progressive, mut components) = (false, 0);
    for (kind, segment) in jpeg_segments(bytes) {
        // Of a frame's header the tenth byte, of a scan's the fifth, is how many components it has.
        match kind {
            0xc0..=0xc2 => (progressive, components) = (kind == 0xc2, segment.get(9).copied().unwrap_or(0)),
            SCAN if !progressive && segment.get(4) == Some(&components) => return 0,
            _ => (),
        }
    }
    2 * u64::from(components)
}

/// What [`Picture::open`] holds, by the size of the file and its first bytes; nothing of what it will refuse.
pub(crate) fn bytes_to_open(container: Container, head: &[u8], size: u64, limits: &Limits) -> u64 {
    let number = |at, bytes, little| number(head, at, bytes, little);
    // The canvas of what is, or may be, an animation.
    let (width, height) = match container {
        Container::Jpeg | Container::Bmp | Container::Tiff => (0, 0),
        Container::Gif => (number(6, 2, true), number(8, 2, true)),
        Container::Png if png_may_move(head) => (number(16, 4, false), number(20, 4, false)),
        // Its first chunk says whether it moves; how, and any profile before that, comes later.
        Container::WebP if head.get(12..16) == Some(b"VP8X") && number(20, 1, true) & 2 != 0 => {
            (1 + number(24, 3, true), 1 + number(27, 3, true))
        }
        Container::Png | Container::WebP => (0, 0),
        _ => return 0,
    };
    let canvas = width.saturating_mul(height);
    if size > most_bytes(limits) || canvas > limits.max_pixels { 0 } else { 2 * size + CANVAS * canvas }
}

/// The number in these bytes; of those that are there.
fn number(bytes: &[u8], at: usize, len: usize, little: bool) -> u64 {
    let number = bytes.get(at..at + len).unwrap_or_default();
    let push = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
    if little { number.iter().rev().fold(0, push) } else { number.iter().fold(0, push) }
}

/// Whether a PNG is an animation, or its first bytes do not say. Gone through chunk by chunk, since the content of one
/// may read like the name of another.
fn png_may_move(head: &[u8]) -> bool {
    let mut at = 8usize;
    loop {
        match head.get(at + 4..at + 8) {
            Some(b"IDAT") => return false,
            Some(b"acTL") | None => return true,
            Some(_) => at = at.saturating_add(number(head, at, 4, false) as usize).saturating_add(12).min(head.len()),
        }
    }
}

fn refused(e: ImageError) -> Error {
    match e {
        ImageError::Limits(e) => {
            let why = "to decode it takes more memory than so many pixels should, or than is allowed";
            Error::TooLarge(format!("{why} ({})", one_line(&e.to_string())))
        }
        ImageError::Unsupported(e) => Error::Unsupported(e.to_string()),
        other => Error::Corrupt(one_line(&other.to_string())),
    }
}

fn at_frame(index: usize, e: ImageError) -> Error {
    match refused(e) {
        Error::Corrupt(why) => Error::Corrupt(format!("frame {index}: {why}")),
        other => other,
    }
}

pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads a picture that lies in memory, for bytes that came some other way than a file
/// (an upload). Stills only: an animation gives its first frame.
pub fn picture_from_bytes(bytes: &[u8], limits: &Limits) -> Result<Frame> {
    let container = crate::sniff(&bytes[..bytes.len().min(crate::SNIFF_BYTES)]);
    crate::caught("the picture decoder", || Picture::unread(bytes.into(), container).still(limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_jpeg_keeps_beside_its_pixels() {
        // Its frame's header with so many components, of this kind, and its first scan with so many of them.
        let jpeg = |kind: u8, of: u8, scanned: u8| {
            let mut out = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 0xff, 0xc0, 0xff, kind, 0, 8 + 3 * of, 8, 0, 9, 0, 9, of];
            out.extend(vec![0; 3 * usize::from(of)]);
            out.extend([0xff, SCAN, 0, 6 + 2 * scanned, scanned]);
            out.extend([0; 12]);
            out
        };
        for (kind, of, scanned, bytes) in
            [(0xc0, 3, 3, 0), (0xc1, 1, 1, 0), (0xc0, 3, 1, 6), (0xc2, 3, 3, 6), (0xc2, 4, 1, 8), (0xc2, 1, 1, 2)]
        {
            assert_eq!(jpeg_coefficients(&jpeg(kind, of, scanned)), bytes, "{kind:x} {of} {scanned}");
        }
        assert_eq!(jpeg_coefficients(b"\xff\xd8\xff"), 0);
    }

    #[test]
    fn what_is_refused_takes_nothing() {
        let head = |side: u16| [b"GIF89a".as_slice(), &side.to_le_bytes(), &side.to_le_bytes()].concat();
        let bytes = |side, size| bytes_to_open(Container::Gif, &head(side), size, &Limits::default());
        assert_eq!(bytes(100, 50), 100 + 24 * 10_000);
        assert_eq!((bytes(20_000, 50), bytes(100, 1 << 40)), (0, 0));
        assert_eq!(bytes_to_open(Container::Mp4, b"", 1 << 30, &Limits::default()), 0);
    }

    #[test]
    fn an_animation_is_told_by_what_must_say_so() {
        let canvas = |container, head: &[u8]| bytes_to_open(container, head, 0, &Limits::default()) / CANVAS;
        let webp = |flags: u8, next: &[u8; 4]| {
            let vp8x = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0";
            [&vp8x[..], &[flags, 0, 0, 0, 99, 0, 0, 49, 0, 0], next, &[0; 4000]].concat()
        };
        assert_eq!(canvas(Container::WebP, &webp(2, b"ICCP")), 5000);
        assert_eq!(canvas(Container::WebP, &webp(0, b"ANIM")), 0);
        assert_eq!(canvas(Container::WebP, b"RIFF\0\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xff"), 0);
        let chunk = |kind: &[u8; 4], content: &[u8]| {
            [&(content.len() as u32).to_be_bytes(), &kind[..], content, &[0; 4]].concat()
        };
        let png = |chunks: &[Vec<u8>]| {
            let size = [0, 0, 0, 100, 0, 0, 0, 50, 8, 2, 0, 0, 0];
            [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &size), chunks.concat()].concat()
        };
        let (moves, pixels) = (chunk(b"acTL", &[0; 8]), chunk(b"IDAT", &[0; 50]));
        assert_eq!(canvas(Container::Png, &png(&[moves.clone(), pixels.clone()])), 5000);
        assert_eq!(canvas(Container::Png, &png(&[pixels.clone(), moves.clone()])), 0);
        // What a note says does not count; where it ends lies beyond what was read.
        assert_eq!(canvas(Container::Png, &png(&[chunk(b"tEXt", b"a\0acTL"), pixels.clone()])), 0);
        assert_eq!(canvas(Container::Png, &png(&[chunk(b"tEXt", b"a\0IDAT"), moves, pixels])), 5000);
        assert_eq!(canvas(Container::Png, &png(&[chunk(b"iCCP", b"a\0IDAT IDAT")[..16].to_vec()])), 5000);
        assert_eq!(canvas(Container::Png, &png(&[vec![0xff; 8], vec![0; 50]])), 5000);
    }
}
