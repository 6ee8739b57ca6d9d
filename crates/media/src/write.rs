//! Frames to files: PNG, JPEG, and H.264 in MP4.
//!
//! Every function is deterministic: the same frames give the same bytes.
//! Files appear whole or not at all: they are written under a temporary name beside their own and
//! renamed.

mod mp4;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use image::ImageEncoder as _;

use crate::{Error, Frame, Result};

pub use mp4::Mp4Writer;

/// A frame as PNG, lossless.
pub fn png_bytes(frame: &Frame) -> Result<Vec<u8>> {
    check(frame)?;
    let mut out = Vec::new();
    image::codecs::png::PngEncoder::new(&mut out)
        .write_image(&frame.rgb, frame.width, frame.height, image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::Unsupported(format!("cannot write {frame:?} as PNG: {e}")))?;
    Ok(out)
}

/// A frame as JPEG; `quality` from 1 to 100, 85 to 92 being usual.
pub fn jpeg_bytes(frame: &Frame, quality: u8) -> Result<Vec<u8>> {
    check(frame)?;
    if !(1..=100).contains(&quality) {
        return Err(Error::BadRequest(format!("a JPEG quality is 1 to 100, got {quality}")));
    }
    let mut out = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, quality)
        .write_image(&frame.rgb, frame.width, frame.height, image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::Unsupported(format!("cannot write {frame:?} as JPEG: {e}")))?;
    Ok(out)
}

/// [`png_bytes`] to a file.
pub fn write_png(path: &Path, frame: &Frame) -> Result<()> {
    write_whole(path, &png_bytes(frame)?)
}

/// [`jpeg_bytes`] to a file.
pub fn write_jpeg(path: &Path, frame: &Frame, quality: u8) -> Result<()> {
    write_whole(path, &jpeg_bytes(frame, quality)?)
}

fn check(frame: &Frame) -> Result<()> {
    let expected = frame.width as usize * frame.height as usize * 3;
    if expected == 0 || frame.rgb.len() != expected {
        let got = frame.rgb.len();
        return Err(Error::BadRequest(format!("{frame:?} must hold {expected} bytes (more than 0), holds {got}")));
    }
    Ok(())
}

/// Writes a file under a temporary name in the same folder, then renames it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = Partial::beside(path);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).open(&partial.0).map_err(|e| Error::io(path, e))?;
    file.write_all(bytes).map_err(|e| Error::io(path, e))?;
    drop(file);
    std::fs::rename(&partial.0, path).map_err(|e| Error::io(path, e))
}

/// A temporary name; removed when dropped (after a rename there is nothing left to remove).
struct Partial(PathBuf);

impl Partial {
    fn beside(path: &Path) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}-{}.part", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        Self(path.with_file_name(name))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
