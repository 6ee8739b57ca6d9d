//! A clip to a file: H.264 by OpenH264, in an MP4 of our own making.
//!
//! An MP4 is a tree of boxes (length, four letters, content).
//! `mdat` holds the encoded frames one after the other; `moov` says where each begins, how long it
//! is shown and which can be started from.
//! We put `moov` first ("fast start"), so that a browser can begin to play before all is loaded.
//!
//! Choices: Constrained Baseline, no B-frames (decoding order is display order, so no composition
//! offsets and no edit list), an IDR frame every second, constant quantiser 26, one thread.
//! Colour is BT.709, limited range, signalled both in the SPS (VUI) and in a `colr` box.

use std::path::{Path, PathBuf};

use openh264::OpenH264API;
use openh264::encoder::{Complexity, Encoder, EncoderConfig, FrameRate, IntraFramePeriod, RateControlMode, VuiConfig};
use openh264::formats::YUVSlices;

use super::{check, write_whole};
use crate::yuv::{Colour, Matrix, yuv_from_frame};
use crate::{Error, Frame, Result};

const COLOUR: Colour = Colour { matrix: Matrix::Bt709, full_range: false };

/// Writes one clip. Encoded frames are held in memory until [`finish`](Mp4Writer::finish);
/// dropped before that, nothing is written.
///
/// ```
/// # fn main() -> media::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("clip.mp4");
/// let mut clip = media::Mp4Writer::create(&path, 64, 48, 24.0)?;
/// for shade in 0..12 {
///     clip.push(&media::Frame::filled(64, 48, [20 * shade, 90, 200]))?;
/// }
/// clip.finish()?;
/// # Ok(()) }
/// ```
pub struct Mp4Writer {
    path: PathBuf,
    width: u32,
    height: u32,
    clock: Clock,
    encoder: Encoder,
    samples: Samples,
}

/// Ticks per second, and ticks per frame.
struct Clock {
    timescale: u32,
    delta: u32,
}

/// The encoded frames, and what the index must say of them.
#[derive(Default)]
struct Samples {
    data: Vec<u8>,
    sizes: Vec<u32>,
    /// Numbers, from 1, of the frames that can be started from.
    idrs: Vec<u32>,
    sps: Vec<u8>,
    pps: Vec<u8>,
}

impl Mp4Writer {
    /// A clip of `width` × `height` (even numbers, 16 to 3840 × 2160) at `fps` frames per second
    /// (1 to 240; kept exactly where it divides 90 000 or has up to three decimals).
    pub fn create(path: &Path, width: u32, height: u32, fps: f64) -> Result<Self> {
        if !width.is_multiple_of(2) || !height.is_multiple_of(2) || width.min(height) < 16 {
            return Err(Error::BadRequest(format!(
                "a clip's sides must be even and at least 16 (H.264 4:2:0), got {width}×{height}"
            )));
        }
        if width.max(height) > 3840 || width.min(height) > 2160 {
            return Err(Error::BadRequest(format!("a clip can be written up to 3840×2160, got {width}×{height}")));
        }
        if !(1.0..=240.0).contains(&fps) {
            return Err(Error::BadRequest(format!("a clip's frame rate is 1 to 240, got {fps}")));
        }
        let config = EncoderConfig::new()
            .rate_control_mode(RateControlMode::Off)
            .skip_frames(false)
            .scene_change_detect(false)
            .adaptive_quantization(false)
            .background_detection(false)
            .complexity(Complexity::High)
            .num_threads(1)
            // The encoder knows rates up to 60 only; without rate control it does not use them.
            .max_frame_rate(FrameRate::from_hz(fps.min(60.0) as f32))
            .intra_frame_period(IntraFramePeriod::from_num_frames((fps.round() as u32).max(1)))
            .vui(VuiConfig::bt709());
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config).map_err(refused)?;
        Ok(Self {
            path: path.to_owned(),
            width,
            height,
            clock: Clock::from_fps(fps),
            encoder,
            samples: Samples::default(),
        })
    }

    /// The next frame.
    pub fn push(&mut self, frame: &Frame) -> Result<()> {
        check(frame)?;
        let (width, height) = (self.width, self.height);
        if (frame.width, frame.height) != (width, height) {
            return Err(Error::BadRequest(format!(
                "the clip is {width}×{height}, the frame {}×{}",
                frame.width, frame.height
            )));
        }
        let yuv = yuv_from_frame(frame, COLOUR);
        let [y, u, v] = &yuv.planes;
        let (w, h) = (width as usize, height as usize);
        let source = YUVSlices::new((y, u, v), (w, h), (w, w / 2, w / 2));
        let encoded = self.encoder.encode(&source).map_err(refused)?;
        let start = self.samples.data.len();
        for layer in (0..encoded.num_layers()).filter_map(|i| encoded.layer(i)) {
            for nal in (0..layer.nal_count()).filter_map(|i| layer.nal_unit(i)) {
                self.samples.add(unit_from_annex_b(nal));
            }
        }
        let size = self.samples.data.len() - start;
        if size == 0 {
            return Err(Error::Unsupported(format!("the encoder gave nothing for frame {}", self.samples.sizes.len())));
        }
        self.samples.sizes.push(size as u32);
        Ok(())
    }

    /// Writes the file. A clip has at least one frame.
    pub fn finish(self) -> Result<()> {
        let count = self.samples.sizes.len();
        if count == 0 {
            return Err(Error::BadRequest("a clip needs at least one frame, none was pushed".to_owned()));
        }
        // Offsets and lengths are written with 32 bits.
        if self.samples.data.len() > 0xf000_0000 {
            return Err(Error::TooLarge("a clip of more than 3.7 GiB of encoded frames".to_owned()));
        }
        let ftyp = boxed(b"ftyp", &[b"isom", &512u32.to_be_bytes(), b"isomiso2avc1mp41"]);
        // The index says where the frames begin, which is after the index: its length does not
        // depend on what it says, so it is built twice.
        let moov_len = self.moov(0).len();
        let moov = self.moov((ftyp.len() + moov_len + 8) as u32);
        let mut out = ftyp;
        out.extend(moov);
        out.extend((8 + self.samples.data.len() as u32).to_be_bytes());
        out.extend(b"mdat");
        out.extend(&self.samples.data);
        write_whole(&self.path, &out)
    }

    fn moov(&self, first_offset: u32) -> Vec<u8> {
        let s = &self.samples;
        let count = s.sizes.len() as u32;
        let Clock { timescale, delta } = self.clock;
        let ticks = count.saturating_mul(delta);
        let (w, h) = (self.width as u16, self.height as u16);
        let matrix = words(&[0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]);

        let mvhd = full(
            b"mvhd",
            0,
            &[&words(&[0, 0, timescale, ticks, 0x1_0000]), &[1, 0], &[0; 10], &matrix, &[0; 24], &words(&[2])],
        );
        // Flags 3: enabled, and part of the presentation.
        let tkhd = full(
            b"tkhd",
            3,
            &[&words(&[0, 0, 1, 0, ticks]), &[0; 16], &matrix, &words(&[u32::from(w) << 16, u32::from(h) << 16])],
        );
        let mdhd = full(b"mdhd", 0, &[&words(&[0, 0, timescale, ticks]), &[0x55, 0xc4, 0, 0]]); // language "und"
        let hdlr = full(b"hdlr", 0, &[&[0; 4], b"vide", &[0; 12], b"video\0"]);
        let vmhd = full(b"vmhd", 1, &[&[0; 8]]);
        let dinf = boxed(b"dinf", &[&full(b"dref", 0, &[&words(&[1]), &full(b"url ", 1, &[])])]);

        let colr = boxed(b"colr", &[b"nclx", &[0, 1, 0, 1, 0, 1, 0]]);
        let pasp = boxed(b"pasp", &[&words(&[1, 1])]);
        let mut name = [0; 32];
        name[..9].copy_from_slice(b"\x08OpenH264");
        let avc1 = boxed(
            b"avc1",
            &[
                &[0; 6],
                &[0, 1],
                &[0; 16],
                &w.to_be_bytes(),
                &h.to_be_bytes(),
                &words(&[0x48_0000, 0x48_0000, 0]),
                &[0, 1],
                &name,
                &[0, 24, 0xff, 0xff],
                &self.avcc(),
                &colr,
                &pasp,
            ],
        );
        let stbl = boxed(
            b"stbl",
            &[
                &full(b"stsd", 0, &[&words(&[1]), &avc1]),
                &full(b"stts", 0, &[&words(&[1, count, delta])]),
                &full(b"stss", 0, &[&words(&[s.idrs.len() as u32]), &words(&s.idrs)]),
                &full(b"stsc", 0, &[&words(&[1, 1, count, 1])]),
                &full(b"stsz", 0, &[&words(&[0, count]), &words(&s.sizes)]),
                &full(b"stco", 0, &[&words(&[1, first_offset])]),
            ],
        );
        let minf = boxed(b"minf", &[&vmhd, &dinf, &stbl]);
        let mdia = boxed(b"mdia", &[&mdhd, &hdlr, &minf]);
        boxed(b"moov", &[&mvhd, &boxed(b"trak", &[&tkhd, &mdia])])
    }

    /// The decoder's configuration: profile, level and the two parameter sets.
    fn avcc(&self) -> Vec<u8> {
        let Samples { sps, pps, .. } = &self.samples;
        let profile = sps.get(1..4).unwrap_or(&[66, 0xc0, 30]);
        boxed(
            b"avcC",
            &[
                &[1],
                profile,
                &[0xff], // four-byte lengths
                &[0xe1],
                &(sps.len() as u16).to_be_bytes(),
                sps,
                &[1],
                &(pps.len() as u16).to_be_bytes(),
                pps,
            ],
        )
    }
}

impl Samples {
    fn add(&mut self, unit: &[u8]) {
        match unit.first().map(|b| b & 0x1f) {
            None => {}
            // Parameter sets are said once, in `avcC`; the encoder keeps them constant.
            Some(7) => self.sps = unit.to_vec(),
            Some(8) => self.pps = unit.to_vec(),
            Some(kind) => {
                let number = self.sizes.len() as u32 + 1;
                if kind == 5 && self.idrs.last() != Some(&number) {
                    self.idrs.push(number);
                }
                self.data.extend((unit.len() as u32).to_be_bytes());
                self.data.extend(unit);
            }
        }
    }
}

impl Clock {
    fn from_fps(fps: f64) -> Self {
        let delta = 90_000.0 / fps;
        if (delta - delta.round()).abs() < 1e-6 {
            Self { timescale: 90_000, delta: delta.round() as u32 }
        } else {
            Self { timescale: (fps * 1000.0).round() as u32, delta: 1000 }
        }
    }
}

fn unit_from_annex_b(nal: &[u8]) -> &[u8] {
    nal.strip_prefix(&[0, 0, 0, 1]).or_else(|| nal.strip_prefix(&[0, 0, 1])).unwrap_or(nal)
}

fn refused(e: openh264::Error) -> Error {
    Error::Unsupported(format!("the H.264 encoder refused: {e}"))
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let len = 8 + parts.iter().map(|p| p.len()).sum::<usize>();
    let mut out = Vec::with_capacity(len);
    out.extend((len as u32).to_be_bytes());
    out.extend(kind);
    parts.iter().for_each(|p| out.extend(*p));
    out
}

/// A box with a version (0) and flags.
fn full(kind: &[u8; 4], flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    let flags = flags.to_be_bytes();
    let parts: Vec<&[u8]> = std::iter::once(&flags[..]).chain(parts.iter().copied()).collect();
    boxed(kind, &parts)
}
