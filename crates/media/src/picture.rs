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
use image::{AnimationDecoder as _, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Rgba};

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
}

impl Picture {
    pub fn open(path: &Path, container: Container, limits: &Limits) -> Result<Self> {
        let most = most_bytes(limits);
        let has = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
        if has > most {
            return Err(Error::TooLarge(format!("a picture of {} MB; at most {} MB are read", has >> 20, most >> 20)));
        }
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        Self::of(bytes.into(), container, limits)
    }

    fn of(bytes: Arc<[u8]>, container: Container, limits: &Limits) -> Result<Self> {
        let deadline = limits.deadline();
        let mut picture = Self { bytes, container, times_secs: Vec::new(), duration_secs: 0.0, width: 0, height: 0 };
        let mut decoder = picture.decoder(limits)?;
        let orientation = decoder.orientation().map_err(refused)?.to_exif();
        (picture.width, picture.height) = decoder.dimensions();
        if orientation >= 5 {
            std::mem::swap(&mut picture.width, &mut picture.height);
        }
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
        reader.limits(allowance(limits));
        let decoder = reader.into_decoder().map_err(refused)?;
        let (width, height) = decoder.dimensions();
        limits.check_pixels(width.into(), height.into())?;
        Ok(decoder)
    }

    fn animation(&self, limits: &Limits) -> Result<Option<image::Frames<'static>>> {
        Ok(match self.container {
            Container::Gif => {
                let mut gif = GifDecoder::new(self.reader()).map_err(refused)?;
                gif.set_limits(allowance(limits)).map_err(refused)?;
                Some(gif.into_frames())
            }
            Container::Png => {
                let png = PngDecoder::with_limits(self.reader(), allowance(limits)).map_err(refused)?;
                let animated = png.is_apng().map_err(refused)?;
                if animated { Some(png.apng().map_err(refused)?.into_frames()) } else { None }
            }
            Container::WebP => {
                let mut webp = WebPDecoder::new(self.reader()).map_err(refused)?;
                webp.set_limits(allowance(limits)).map_err(refused)?;
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
}

/// What decoders may allocate, and files may take: eight bytes a pixel (16-bit RGBA) twice over, and a
/// little.
fn most_bytes(limits: &Limits) -> u64 {
    limits.max_pixels.saturating_mul(16).saturating_add(64 << 20)
}

fn allowance(limits: &Limits) -> image::Limits {
    let mut out = image::Limits::no_limits();
    out.max_alloc = Some(most_bytes(limits));
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
    let mut at = 2;
    while let Some([0xff, kind, hi, lo, ..]) = bytes.get(at..) {
        match kind {
            0xff => at += 1,
            0xda => {
                let scan = &bytes[at..];
                // From behind: the marker is the last thing in nearly every file.
                return match scan.windows(2).rev().any(|w| w == [0xff, 0xd9]) {
                    true => Ok(()),
                    false => Err(Error::Corrupt("the JPEG is cut off: it has no end marker".to_owned())),
                };
            }
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => at += 2 + usize::from(u16::from_be_bytes([*hi, *lo])),
        }
    }
    Err(Error::Corrupt("the JPEG is cut off: it has no picture data".to_owned()))
}

fn refused(e: ImageError) -> Error {
    match e {
        ImageError::Limits(e) => Error::TooLarge(e.to_string()),
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
    crate::caught("the picture decoder", || {
        let still =
            Picture { bytes: bytes.into(), container, times_secs: Vec::new(), duration_secs: 0.0, width: 0, height: 0 };
        still.still(limits)
    })
}
