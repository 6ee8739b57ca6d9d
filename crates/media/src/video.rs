//! Clips: the built-in path (H.264 in MP4) and the way out to `ffmpeg`.

pub(crate) mod ffmpeg;
pub(crate) mod h264;
pub(crate) mod mp4;

use std::path::{Path, PathBuf};

use crate::limits::Deadline;
use crate::yuv::{Colour, Matrix, Yuv420, frame_from_yuv};
use crate::{Error, Frame, Limits, Result, shape};

/// An MP4 whose H.264 we decode ourselves.
pub(crate) struct Clip {
    path: PathBuf,
    track: mp4::Track,
    config: h264::Config,
    colour: Colour,
    pixel_aspect: Option<(u32, u32)>,
}

/// What an MP4 turned out to be.
pub(crate) enum Opened {
    Builtin(Box<Clip>),
    /// The codec, for people, and why it is not ours.
    Foreign(String),
}

pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Opened> {
    let track = mp4::read(path, limits, limits.deadline())?;
    let codec = String::from_utf8_lossy(&track.codec).trim().to_owned();
    match &track.codec {
        b"avc1" | b"avc3" => {}
        b"encv" => return Err(Error::Unsupported("an encrypted MP4".to_owned())),
        _ => return Ok(Opened::Foreign(name_of(&codec))),
    }
    let config = match h264::Config::read(&track.config)? {
        Ok(config) => config,
        Err(why) => return Ok(Opened::Foreign(format!("H.264 ({why})"))),
    };
    let (width, height) = (config.sps.width, config.sps.height);
    limits.check_pixels(width.into(), height.into())?;
    // What the stream says of its colour counts before what the container says of it.
    let (matrix, full_range) = match (config.sps.matrix, track.colour) {
        (Some(matrix), _) if matrix != 2 => (matrix, config.sps.full_range),
        (_, Some((matrix, full))) => (matrix, full || config.sps.full_range),
        _ => (2, config.sps.full_range),
    };
    let colour = Colour { matrix: matrix_from_code(matrix, height), full_range };
    let pixel_aspect = track.pixel_aspect.or(config.sps.pixel_aspect);
    let clip = Clip { path: path.to_owned(), track, config, colour, pixel_aspect };
    let (width, height) = clip.size();
    limits.check_pixels(width.into(), height.into())?;
    Ok(Opened::Builtin(Box::new(clip)))
}

/// ISO 23091-2 matrix coefficients; where nothing is said, high definition is BT.709 and the rest
/// BT.601, as players assume.
fn matrix_from_code(code: u16, height: u32) -> Matrix {
    match code {
        1 => Matrix::Bt709,
        4 => Matrix::Fcc,
        5 | 6 => Matrix::Bt601,
        7 => Matrix::Smpte240,
        9 | 10 => Matrix::Bt2020,
        _ if height >= 720 => Matrix::Bt709,
        _ => Matrix::Bt601,
    }
}

/// What people call a sample entry.
fn name_of(entry: &str) -> String {
    match entry {
        "hvc1" | "hev1" => "HEVC".to_owned(),
        "av01" => "AV1".to_owned(),
        "vp09" => "VP9".to_owned(),
        "vp08" => "VP8".to_owned(),
        "mp4v" => "MPEG-4 Visual".to_owned(),
        "s263" => "H.263".to_owned(),
        "jpeg" | "mjpa" | "mjpb" => "Motion JPEG".to_owned(),
        "apch" | "apcn" | "apcs" | "apco" | "ap4h" => "ProRes".to_owned(),
        other => format!("codec {other:?}"),
    }
}

impl Clip {
    /// Upright, square pixels.
    pub fn size(&self) -> (u32, u32) {
        let sps = &self.config.sps;
        let (width, height) = shape::square_size(sps.width, sps.height, self.pixel_aspect);
        if self.track.turn.to_exif() >= 5 { (height, width) } else { (width, height) }
    }

    /// When each frame is shown, seconds from the first.
    pub fn times_secs(&self) -> Vec<f64> {
        let timescale = f64::from(self.track.timescale);
        self.track.shown.iter().map(|(_, ticks)| *ticks as f64 / timescale).collect()
    }

    pub fn duration_secs(&self) -> f64 {
        self.track.duration as f64 / f64::from(self.track.timescale)
    }

    pub fn profile(&self) -> &'static str {
        self.config.sps.profile()
    }

    /// The frames with these indices (display order, ascending), upright.
    pub fn frames(&self, indices: &[usize], deadline: Deadline) -> Result<Vec<Frame>> {
        self.planes(indices, deadline, |yuv| {
            let frame = shape::square(frame_from_yuv(&yuv, self.colour), self.pixel_aspect)?;
            Ok(shape::turned(frame, self.track.turn))
        })
    }

    /// The frames with these indices (display order, ascending), as decoded, through `map`.
    pub fn planes<T>(
        &self,
        indices: &[usize],
        deadline: Deadline,
        map: impl Fn(Yuv420) -> Result<T>,
    ) -> Result<Vec<T>> {
        // Which sample each wanted frame is; an edit list may show one twice.
        let samples: Vec<usize> = indices.iter().map(|i| self.track.shown[*i].0).collect();
        let mut wanted = samples.clone();
        wanted.sort_unstable();
        wanted.dedup();
        let frame_of = |sample: usize| {
            let at = samples.iter().position(|s| *s == sample);
            at.map_or(0, |at| indices[at])
        };
        let mut found: Vec<Option<T>> = samples.iter().map(|_| None).collect();
        h264::decode(&self.path, &self.track.samples, &self.config, &wanted, deadline, &frame_of, |sample, yuv| {
            let mut yuv = Some(yuv);
            let places: Vec<usize> = (0..samples.len()).filter(|at| samples[*at] == sample).collect();
            for (n, at) in places.iter().enumerate() {
                let this = if n + 1 == places.len() { yuv.take() } else { yuv.clone() };
                if let Some(this) = this {
                    found[*at] = Some(map(this)?);
                }
            }
            Ok(())
        })?;
        let missing = |at: usize| Error::Corrupt(format!("frame {} cannot be decoded", indices[at]));
        found.into_iter().enumerate().map(|(at, frame)| frame.ok_or_else(|| missing(at))).collect()
    }
}
