//! H.264 to planes: parameter sets by our own reading, pictures by OpenH264.
//!
//! A stream is a row of units (NAL): parameter sets say size, colour and how to read the rest;
//! slices hold pictures.
//! Decoding can start only at an IDR picture; later pictures lean on earlier ones, and B-pictures
//! also on ones shown after them, so pictures are decoded in another order than they are shown.
//! We give each its sample's number as a time stamp and take it from what comes out, so that we
//! never have to guess which is which.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use openh264::OpenH264API;
use openh264::decoder::{Decoder, DecoderConfig, Flush};
use openh264_sys2::SBufferInfo;

use super::mp4::Sample;
use crate::limits::Deadline;
use crate::yuv::Yuv420;
use crate::{Error, Result};

/// What `avcC` says: how long lengths are, and the parameter sets.
pub(crate) struct Config {
    length_bytes: usize,
    /// Annex B.
    parameter_sets: Vec<u8>,
    pub sps: Sps,
}

impl Config {
    /// The inner error is a stream that is right but not for us, and why.
    pub fn read(avcc: &[u8]) -> Result<std::result::Result<Self, String>> {
        let short = || Error::Corrupt("the H.264 configuration (avcC) ends too early".to_owned());
        let [1, _, _, _, lengths, rest @ ..] = avcc else { return Err(short()) };
        let mut rest = rest;
        let mut parameter_sets = Vec::new();
        let mut first: Option<Sps> = None;
        for mask in [0x1f, 0xff] {
            let (count, mut after) = rest.split_first().ok_or_else(short)?;
            for i in 0..count & mask {
                let (len, tail) = after.split_first_chunk::<2>().ok_or_else(short)?;
                let (unit, tail) = tail.split_at_checked(u16::from_be_bytes(*len).into()).ok_or_else(short)?;
                after = tail;
                // The decoder takes a unit for what it says it is, whichever of the two lists it stands in.
                match unit.first().map(|head| head & 0x1f) {
                    Some(8) => {}
                    kind if kind == Some(7) || mask == 0x1f && i == 0 => {
                        let sps = Sps::read(unit).ok_or_else(|| {
                            Error::Corrupt("an H.264 sequence parameter set cannot be read".to_owned())
                        })?;
                        if let Some(why) = sps.foreign() {
                            return Ok(Err(why));
                        }
                        // Any picture may name any of them, so what is allowed for the first must be so for all.
                        if !first.get_or_insert_with(|| sps.clone()).same_size(&sps) {
                            return Ok(Err("pictures of several sizes".to_owned()));
                        }
                    }
                    // What else stands here is no concern of the decoder's.
                    _ => continue,
                }
                parameter_sets.extend([0, 0, 0, 1]);
                parameter_sets.extend(unit);
            }
            rest = after;
        }
        Ok(match first {
            Some(sps) => Ok(Self { length_bytes: usize::from(lengths & 3) + 1, parameter_sets, sps }),
            None => Err("parameter sets within the stream".to_owned()),
        })
    }
}

/// A sequence parameter set: what is the same for all pictures.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sps {
    profile: u8,
    constraints: u8,
    chroma_format: u32,
    bit_depth: u32,
    interlaced: bool,
    macroblocks: u64,
    /// After cropping.
    pub width: u32,
    /// After cropping.
    pub height: u32,
    pub pixel_aspect: Option<(u32, u32)>,
    /// ISO 23091-2 code.
    pub matrix: Option<u16>,
    pub full_range: bool,
}

impl Sps {
    /// `None` for what cannot be a parameter set.
    fn read(unit: &[u8]) -> Option<Self> {
        let (head, body) = unit.split_first()?;
        if head & 0x1f != 7 {
            return None;
        }
        let mut b = Bits::new(body);
        let profile = b.bits(8)? as u8;
        let constraints = b.bits(8)? as u8;
        b.bits(8)?;
        b.ue()?;
        let (mut chroma_format, mut bit_depth) = (1, 8);
        if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            chroma_format = b.ue()?;
            if chroma_format > 3 {
                return None;
            }
            if chroma_format == 3 {
                b.bits(1)?;
            }
            bit_depth = 8 + b.ue()?.max(b.ue()?);
            b.bits(1)?;
            if b.bits(1)? == 1 {
                for list in 0..if chroma_format == 3 { 12 } else { 8 } {
                    if b.bits(1)? == 1 {
                        b.skip_scaling_list(if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        b.ue()?; // log2_max_frame_num
        match b.ue()? {
            0 => {
                b.ue()?;
            }
            1 => {
                b.bits(1)?;
                b.ue()?;
                b.ue()?;
                for _ in 0..b.ue().filter(|n| *n < 256)? {
                    b.ue()?;
                }
            }
            _ => {}
        }
        b.ue()?; // max_num_ref_frames
        b.bits(1)?;
        let across = u64::from(b.ue()?) + 1;
        let map_units = u64::from(b.ue()?) + 1;
        let frame_only = b.bits(1)? == 1;
        if !frame_only {
            b.bits(1)?;
        }
        let down = map_units * if frame_only { 1 } else { 2 };
        b.bits(1)?;
        let mut crop = [0u64; 4];
        if b.bits(1)? == 1 {
            for side in &mut crop {
                *side = b.ue()?.into();
            }
        }
        // Cropping counts in colour samples.
        let unit_x = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
        let unit_y = if chroma_format == 1 { 2 } else { 1 } * if frame_only { 1 } else { 2 };
        let width = (across * 16).checked_sub((crop[0] + crop[1]) * unit_x)?;
        let height = (down * 16).checked_sub((crop[2] + crop[3]) * unit_y)?;
        let mut sps = Self {
            profile,
            constraints,
            chroma_format,
            bit_depth,
            interlaced: !frame_only,
            macroblocks: across * down,
            width: u32::try_from(width).ok().filter(|w| *w > 0)?,
            height: u32::try_from(height).ok().filter(|h| *h > 0)?,
            pixel_aspect: None,
            matrix: None,
            full_range: false,
        };
        if b.bits(1)? == 1 {
            // The rest is only hints: what of it cannot be read is as if it were not there.
            let _ = sps.read_usability(&mut b);
        }
        Some(sps)
    }

    fn read_usability(&mut self, b: &mut Bits) -> Option<()> {
        const SHAPES: [(u32, u32); 17] = [
            (0, 0),
            (1, 1),
            (12, 11),
            (10, 11),
            (16, 11),
            (40, 33),
            (24, 11),
            (20, 11),
            (32, 11),
            (80, 33),
            (18, 11),
            (15, 11),
            (64, 33),
            (160, 99),
            (4, 3),
            (3, 2),
            (2, 1),
        ];
        if b.bits(1)? == 1 {
            let code = b.bits(8)?;
            self.pixel_aspect = match code {
                255 => Some((b.bits(16)?, b.bits(16)?)),
                _ => SHAPES.get(code as usize).copied().filter(|s| s.0 > 0),
            };
        }
        if b.bits(1)? == 1 {
            b.bits(1)?;
        }
        if b.bits(1)? == 1 {
            b.bits(3)?;
            self.full_range = b.bits(1)? == 1;
            if b.bits(1)? == 1 {
                b.bits(16)?;
                self.matrix = Some(b.bits(8)? as u16);
            }
        }
        Some(())
    }

    /// Whether pictures of both need the same memory and are shown the same size.
    fn same_size(&self, other: &Self) -> bool {
        let size = |sps: &Self| (sps.width, sps.height, sps.macroblocks);
        size(self) == size(other)
    }

    /// Why OpenH264 cannot decode it, if so.
    fn foreign(&self) -> Option<String> {
        match () {
            () if self.chroma_format == 0 => Some("monochrome".to_owned()),
            () if self.chroma_format == 2 => Some("4:2:2".to_owned()),
            () if self.chroma_format == 3 => Some("4:4:4".to_owned()),
            () if self.bit_depth > 8 => Some(format!("{} bits", self.bit_depth)),
            () if self.interlaced => Some("interlaced".to_owned()),
            // Level 5.2 is the highest that it knows.
            () if self.macroblocks > 36_864 => Some(format!("{}×{}", self.width, self.height)),
            () if !matches!(self.profile, 66 | 77 | 100) => Some(format!("profile {}", self.profile)),
            () => None,
        }
    }

    pub fn profile(&self) -> &'static str {
        match self.profile {
            66 if self.constraints & 0x40 != 0 => "Constrained Baseline",
            66 => "Baseline",
            77 => "Main",
            _ => "High",
        }
    }
}

/// Bits of a unit, without the bytes put in to keep start codes out.
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    fn new(body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(body.len());
        let mut zeros = 0;
        for b in body {
            if zeros >= 2 && *b == 3 {
                zeros = 0;
                continue;
            }
            zeros = if *b == 0 { zeros + 1 } else { 0 };
            bytes.push(*b);
        }
        Self { bytes, at: 0 }
    }

    fn bits(&mut self, n: u32) -> Option<u32> {
        let mut out = 0;
        for _ in 0..n {
            let byte = self.bytes.get(self.at / 8)?;
            out = (out << 1) | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(out)
    }

    /// Exp-Golomb.
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bits(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(((1u64 << zeros) - 1 + u64::from(self.bits(zeros)?)) as u32)
    }

    fn skip_scaling_list(&mut self, len: usize) -> Option<()> {
        let (mut last, mut next) = (8i64, 8i64);
        for _ in 0..len {
            if next != 0 {
                let code = i64::from(self.ue()?);
                let delta = if code % 2 == 0 { -code / 2 } else { (code + 1) / 2 };
                next = (last + delta).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
        Some(())
    }
}

const MOST_SAMPLE_BYTES: u32 = 64 << 20;

/// Decodes the samples `wanted` (ascending) and as little else as possible: from the IDR before
/// each. `frame_of` names a sample for people.
pub(crate) fn decode(
    path: &Path,
    samples: &[Sample],
    config: &Config,
    wanted: &[usize],
    deadline: Deadline,
    frame_of: &dyn Fn(usize) -> usize,
    mut found: impl FnMut(usize, Yuv420) -> Result<()>,
) -> Result<()> {
    let mut source = Source::open(path, samples, config)?;
    let mut pending = wanted;
    while let Some(first) = pending.first() {
        let start = source.idr_before(*first, 0, deadline)?.unwrap_or(0);
        // One run: up to the last wanted sample that is reached sooner from here than from an IDR
        // of its own.
        let mut run = Run::new(config)?;
        let mut open: Vec<usize> = Vec::new();
        let mut go_on = true;
        let mut at = start;
        while go_on {
            deadline.check()?;
            if pending.first() == Some(&at) {
                open.push(at);
                pending = &pending[1..];
                go_on = match pending.first() {
                    Some(next) => source.idr_before(*next, at + 1, deadline)?.is_none_or(|idr| idr == at + 1),
                    None => false,
                };
            }
            let lost = |why: Error| {
                let frame = open.first().or(pending.first()).map_or(0, |s| frame_of(*s));
                match why {
                    Error::Corrupt(why) => Error::Corrupt(format!("frame {frame} cannot be decoded: {why}")),
                    other => other,
                }
            };
            let mut pictures = Vec::new();
            source.annex_b(at, at == start).and_then(|data| run.feed(&data, at, &mut pictures)).map_err(lost)?;
            if !go_on {
                run.flush(&mut pictures)?;
            }
            for (sample, yuv) in pictures {
                if let Some(place) = open.iter().position(|s| *s == sample) {
                    open.remove(place);
                    found(sample, yuv)?;
                }
            }
            at += 1;
        }
        if let Some(sample) = open.first() {
            let frame = frame_of(*sample);
            return Err(Error::Corrupt(format!("frame {frame} cannot be decoded: the decoder gave no picture for it")));
        }
    }
    Ok(())
}

/// The samples' bytes.
struct Source<'a> {
    path: &'a Path,
    file: File,
    len: u64,
    samples: &'a [Sample],
    config: &'a Config,
}

impl<'a> Source<'a> {
    fn open(path: &'a Path, samples: &'a [Sample], config: &'a Config) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let len = file.metadata().map_err(|e| Error::io(path, e))?.len();
        Ok(Self { path, file, len, samples, config })
    }

    fn read(&mut self, index: usize) -> Result<Vec<u8>> {
        let Sample { offset, size, .. } = self.samples[index];
        if offset.saturating_add(size.into()) > self.len {
            return Err(Error::Corrupt(
                "its data lies beyond the end of the file, which was probably cut off".to_owned(),
            ));
        }
        if size == 0 || size > MOST_SAMPLE_BYTES {
            return Err(Error::Corrupt(format!("its data is {size} bytes long")));
        }
        let mut bytes = vec![0; size as usize];
        self.file.seek(SeekFrom::Start(offset)).map_err(|e| Error::io(self.path, e))?;
        self.file.read_exact(&mut bytes).map_err(|e| Error::io(self.path, e))?;
        Ok(bytes)
    }

    /// The last IDR at or before `sample` and not before `floor`. Some writers mark pictures as
    /// sync samples that are not IDR, so we look.
    fn idr_before(&mut self, sample: usize, floor: usize, deadline: Deadline) -> Result<Option<usize>> {
        for at in (floor..=sample).rev().filter(|at| self.samples[*at].sync) {
            deadline.check()?;
            // What cannot be read is no place to start; if it is needed, feeding it will say so.
            let Ok(bytes) = self.read(at) else { continue };
            if units(&bytes, self.config.length_bytes).is_ok_and(|units| units.iter().any(|u| u[0] & 0x1f == 5)) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// A sample with start codes in place of lengths; only what the decoder needs.
    fn annex_b(&mut self, index: usize, with_parameter_sets: bool) -> Result<Vec<u8>> {
        let bytes = self.read(index)?;
        let mut out = Vec::with_capacity(bytes.len() + 256);
        if with_parameter_sets {
            out.extend(&self.config.parameter_sets);
        }
        for unit in units(&bytes, self.config.length_bytes)? {
            match unit[0] & 0x1f {
                7 => {
                    // A new size would need new limits.
                    let sps = Sps::read(unit)
                        .ok_or_else(|| Error::Corrupt("a parameter set in it cannot be read".to_owned()))?;
                    if !sps.same_size(&self.config.sps) || sps.foreign().is_some() {
                        return Err(Error::Unsupported("the clip's size or coding changes within the file".to_owned()));
                    }
                }
                1 | 5 | 8 => {}
                2..=4 => return Err(Error::Unsupported("H.264 with data partitioning".to_owned())),
                _ => continue,
            }
            out.extend([0, 0, 0, 1]);
            out.extend(unit);
        }
        Ok(out)
    }
}

/// The units of a sample; none is empty.
fn units(mut bytes: &[u8], length_bytes: usize) -> Result<Vec<&[u8]>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let broken = || Error::Corrupt("its units do not fill its data".to_owned());
        let (head, rest) = bytes.split_at_checked(length_bytes).ok_or_else(broken)?;
        let len = head.iter().fold(0usize, |n, b| (n << 8) | usize::from(*b));
        let (unit, rest) = rest.split_at_checked(len).ok_or_else(broken)?;
        if !unit.is_empty() {
            out.push(unit);
        }
        bytes = rest;
    }
    Ok(out)
}

/// One decoder, from an IDR on.
struct Run {
    decoder: Decoder,
    width: u32,
    height: u32,
}

impl Run {
    fn new(config: &Config) -> Result<Self> {
        let options = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let decoder = Decoder::with_api_config(OpenH264API::from_source(), options)
            .map_err(|e| Error::Unsupported(format!("the H.264 decoder does not start: {e}")))?;
        Ok(Self { decoder, width: config.sps.width, height: config.sps.height })
    }

    fn feed(&mut self, data: &[u8], sample: usize, out: &mut Vec<(usize, Yuv420)>) -> Result<()> {
        // The empty call says that the picture is complete, so that it need not wait for the next.
        self.call(Some(data), sample, out)?;
        self.call(None, sample, out)
    }

    fn call(&mut self, data: Option<&[u8]>, sample: usize, out: &mut Vec<(usize, Yuv420)>) -> Result<()> {
        let mut planes = [std::ptr::null_mut::<u8>(); 3];
        // Stamps start at 1: 0 is the decoder's "none".
        let mut info = SBufferInfo { uiInBsTimeStamp: sample as u64 + 1, ..SBufferInfo::default() };
        let (start, len) = data.map_or((std::ptr::null(), 0), |d| (d.as_ptr(), d.len() as i32));
        // SAFETY: `data` outlives the call and its length (at most 64 MiB and parameter sets) is
        // given; `planes` and `info` are what the decoder fills, as its own examples do.
        let state = unsafe { self.decoder.raw_api().decode_frame2(start, len, planes.as_mut_ptr(), &raw mut info) };
        if state != 0 {
            return Err(Error::Corrupt(format!("the H.264 decoder says {state:#x}")));
        }
        self.take(planes, &info, out)
    }

    /// What is held back for reordering.
    fn flush(&mut self, out: &mut Vec<(usize, Yuv420)>) -> Result<()> {
        // The decoder holds 16 at most.
        for _ in 0..17 {
            let mut planes = [std::ptr::null_mut::<u8>(); 3];
            let mut info = SBufferInfo::default();
            // SAFETY: as above.
            unsafe { self.decoder.raw_api().flush_frame(planes.as_mut_ptr(), &raw mut info) };
            let before = out.len();
            self.take(planes, &info, out)?;
            if out.len() == before {
                break;
            }
        }
        Ok(())
    }

    fn take(&self, planes: [*mut u8; 3], info: &SBufferInfo, out: &mut Vec<(usize, Yuv420)>) -> Result<()> {
        if info.iBufferStatus != 1 || planes.iter().any(|p| p.is_null()) || info.uiOutYuvTimeStamp == 0 {
            return Ok(());
        }
        // SAFETY: with status 1 the decoder has filled this arm of the union.
        let buffer = unsafe { info.UsrData.sSystemBuffer };
        let (width, height) = (self.width as usize, self.height as usize);
        if (buffer.iWidth, buffer.iHeight) != (self.width as i32, self.height as i32) {
            return Err(Error::Corrupt(format!(
                "a picture of {}×{} where the stream says {width}×{height}",
                buffer.iWidth, buffer.iHeight
            )));
        }
        let copy = |plane: *mut u8, stride: i32, width: usize, height: usize| {
            let mut bytes = Vec::with_capacity(width * height);
            for row in 0..height {
                // SAFETY: the plane has `height` rows, `stride` (≥ `width`) bytes apart, and lives
                // until the next call of the decoder.
                bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(plane.add(row * stride as usize), width) });
            }
            bytes
        };
        let (cw, ch) = (width.div_ceil(2), height.div_ceil(2));
        let [luma, chroma] = buffer.iStride;
        if luma < width as i32 || chroma < cw as i32 {
            return Err(Error::Corrupt("the decoder's rows are shorter than the picture".to_owned()));
        }
        let planes =
            [copy(planes[0], luma, width, height), copy(planes[1], chroma, cw, ch), copy(planes[2], chroma, cw, ch)];
        out.push((info.uiOutYuvTimeStamp as usize - 1, Yuv420 { width: self.width, height: self.height, planes }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The one sequence and the one picture parameter set of a clip of this size, as our writer makes it.
    fn sets(width: u32, height: u32) -> [Vec<u8>; 2] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clip.mp4");
        let mut writer = crate::Mp4Writer::create(&path, width, height, 10.0).unwrap();
        writer.push(&crate::Frame::filled(width, height, [9; 3])).unwrap();
        writer.finish().unwrap();
        let limits = crate::Limits::default();
        let avcc = crate::video::mp4::read(&path, &limits, limits.deadline()).unwrap().config;
        let (sps, rest) = avcc[8..].split_at(usize::from(avcc[7]));
        [sps.to_vec(), rest[3..].to_vec()]
    }

    #[test]
    fn every_parameter_set_is_looked_at() {
        let ([small, pps], [large, _]) = (sets(64, 48), sets(640, 480));
        // The second byte says what the set asks of a decoder; Extended has data partitions.
        let mut extended = small.clone();
        extended[1] = 88;
        let read = |first: &[&[u8]], second: &[&[u8]]| {
            let mut avcc = vec![1, small[1], small[2], small[3], 0xff, 0xe0 | first.len() as u8];
            let add = |avcc: &mut Vec<u8>, unit: &[u8]| {
                avcc.extend((unit.len() as u16).to_be_bytes());
                avcc.extend(unit);
            };
            first.iter().for_each(|unit| add(&mut avcc, unit));
            avcc.push(second.len() as u8);
            second.iter().for_each(|unit| add(&mut avcc, unit));
            match Config::read(&avcc) {
                Ok(Ok(config)) => Ok((config.sps.width, config.parameter_sets.len())),
                Ok(Err(foreign)) => Err(foreign),
                Err(e) => Err(e.to_string()),
            }
        };
        let len = |units: &[&[u8]]| units.iter().map(|u| u.len() + 4).sum::<usize>();
        assert_eq!(read(&[&small], &[&pps]), Ok((64, len(&[&small, &pps]))));
        assert_eq!(read(&[&small, &small], &[&pps, &pps]), Ok((64, len(&[&small, &small, &pps, &pps]))));
        assert_eq!(read(&[&small, &large], &[&pps]), Err("pictures of several sizes".to_owned()));
        assert_eq!(read(&[&small], &[&pps, &large]), Err("pictures of several sizes".to_owned()));
        assert_eq!(read(&[&small, &extended], &[&pps]), Err("profile 88".to_owned()));
        assert_eq!(read(&[&small], &[&extended, &pps]), Err("profile 88".to_owned()));
        assert_eq!(read(&[], &[&pps]), Err("parameter sets within the stream".to_owned()));
        for broken in [&small[..3], b"\x41 a slice"] {
            let error = read(&[broken], &[&pps]).unwrap_err();
            assert!(error.contains("sequence parameter set cannot be read"), "{error}");
        }
        // A slice among the picture's sets is not handed on.
        assert_eq!(read(&[&small], &[&pps, b"\x41 a slice"]), Ok((64, len(&[&small, &pps]))));
    }
}
