//! The index of an MP4: where each encoded frame lies, when it is shown, which way is up.
//!
//! An MP4 (ISO 14496-12) is a tree of boxes.
//! `moov` describes tracks; a track's `stbl` says, in run-length tables, how large each sample is
//! (`stsz`), which chunk it is in (`stsc`, `stco`), how long it is decoded for (`stts`), how much
//! later than decoded it is shown (`ctts`, because of B-frames) and which can be started from
//! (`stss`); an edit list (`elst`) says which part of that is shown at all.
//! Fragmented files say the same in `moof` boxes, piece by piece.
//!
//! Every number here comes from outside: counts are held against the bytes that must carry them
//! before anything is allocated, and arithmetic cannot overflow.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use image::metadata::Orientation;

use crate::limits::Deadline;
use crate::{Error, Limits, Result};

/// The picture track of an MP4.
#[derive(Debug)]
pub(crate) struct Track {
    /// Sample entry: `avc1`, `hvc1`, …
    pub codec: [u8; 4],
    /// Content of the codec's configuration box (`avcC`), empty if there is none.
    pub config: Vec<u8>,
    /// As the sample entry claims; the stream itself is asked again.
    pub width: u32,
    /// As the sample entry claims.
    pub height: u32,
    /// How to turn what is decoded.
    pub turn: Orientation,
    /// Width : height of a pixel, if said.
    pub pixel_aspect: Option<(u32, u32)>,
    /// `colr`: matrix coefficients and full range.
    pub colour: Option<(u16, bool)>,
    /// Ticks per second.
    pub timescale: u32,
    /// In decoding order.
    pub samples: Vec<Sample>,
    /// What is shown, in order: which sample, and when, in ticks from the first.
    pub shown: Vec<(usize, i64)>,
    /// From the first frame to the end of the last, ticks.
    pub duration: i64,
    id: u32,
    /// When the next fragment's first frame is decoded, if it does not say.
    next_dts: i64,
}

/// One encoded frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub offset: u64,
    pub size: u32,
    /// Decoding can start here.
    pub sync: bool,
    pts: i64,
    duration: u32,
}

/// One edit: from `media_time` (ticks; -1 shows nothing) for `duration` (movie ticks).
type Edit = (i64, u64);

const MOST_INDEX_BYTES: u64 = 256 << 20;

/// Most tracks in one file: a film with sound and subtitles in every language has some sixty.
const MOST_TRACKS: usize = 128;

/// Most boxes that are looked at to say how large the index is: a day in fragments of three seconds has fewer.
const MOST_HEADS: usize = 1 << 16;

/// What each sample takes, as a sample, among those shown, and while they are put in order; the rows of both may
/// have grown to twice what they hold.
const BYTES_PER_SAMPLE: u64 = 128;

/// About how many bytes [`read`] holds: the largest box of the index, and the samples that it lists.
///
/// Asked of the boxes' heads, since files of the same size differ a thousandfold in it: were each taken for the
/// largest index that is read, four clips would fill the memory in which dozens can be looked at.
pub(crate) fn bytes_to_read(path: &Path, limits: &Limits) -> Result<u64> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let file_len = file.metadata().map_err(|e| Error::io(path, e))?.len();
    let most = file_len.min(MOST_INDEX_BYTES);
    let (mut at, mut largest, mut all, mut heads) = (0, 0, 0u64, 0);
    while let Some(Head { kind, len, skip }) = head(&mut file, path, at, file_len)? {
        heads += 1;
        if heads > MOST_HEADS {
            (largest, all) = (most, most);
        }
        if matches!(&kind, b"moov" | b"moof") {
            largest = largest.max(len.min(most));
            all = all.saturating_add(len.min(most));
        }
        if heads > MOST_HEADS || len < skip {
            break;
        }
        at = at.saturating_add(len);
    }
    // Each is listed in four bytes or more. Only where all are said to be of one size may there be more of them, up
    // to `max_frames`; no codec that we know writes that.
    let samples = (all / 4).min(limits.max_frames as u64);
    Ok(largest + samples * BYTES_PER_SAMPLE)
}

/// What stands before a box.
struct Head {
    kind: [u8; 4],
    /// Of the whole box.
    len: u64,
    /// Of what stands before its content.
    skip: u64,
}

/// The head of the box at this place; `None` at the end of the file.
fn head(file: &mut File, path: &Path, at: u64, file_len: u64) -> Result<Option<Head>> {
    // Up to seven stray bytes at the end are common and harmless.
    if file_len.saturating_sub(at) < 8 {
        return Ok(None);
    }
    let mut head = [0; 16];
    let want = (file_len - at).min(16) as usize;
    file.seek(SeekFrom::Start(at)).map_err(|e| Error::io(path, e))?;
    file.read_exact(&mut head[..want]).map_err(|e| Error::io(path, e))?;
    let mut b = Bytes(&head);
    let (short, kind) = (b.u32()?, b.take()?);
    let (skip, len) = match short {
        0 => (8, file_len - at),
        1 => (16, b.u64()?),
        len => (8, len.into()),
    };
    Ok(Some(Head { kind, len, skip }))
}

/// Reads the index.
pub(crate) fn read(path: &Path, limits: &Limits, deadline: Deadline) -> Result<Track> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let file_len = file.metadata().map_err(|e| Error::io(path, e))?.len();
    let mut movie: Option<Movie> = None;
    let mut at = 0;
    while let Some(Head { kind, len, skip }) = head(&mut file, path, at, file_len)? {
        deadline.check()?;
        let end = at.saturating_add(len);
        if len < skip || (matches!(&kind, b"moov" | b"moof") && end > file_len) {
            let name = String::from_utf8_lossy(&kind).into_owned();
            return match movie {
                // A file cut off between fragments still has the ones before.
                Some(_) if &kind == b"moof" => break,
                _ => Err(Error::Corrupt(format!(
                    "box {name:?} at byte {at} claims {len} bytes, the file has {file_len}"
                ))),
            };
        }
        if matches!(&kind, b"moov" | b"moof") {
            if end - at > MOST_INDEX_BYTES {
                return Err(Error::TooLarge(format!("an MP4 index of {} MB", (end - at) / 1_000_000)));
            }
            let mut body = vec![0; (end - at - skip) as usize];
            file.seek(SeekFrom::Start(at + skip)).map_err(|e| Error::io(path, e))?;
            file.read_exact(&mut body).map_err(|e| Error::io(path, e))?;
            match (&kind, &mut movie) {
                (b"moov", None) => movie = Some(Movie::read(&body, file_len, limits)?),
                (b"moof", Some(movie)) => movie.add_fragment(&body, at, limits)?,
                _ => {}
            }
        }
        at = end;
    }
    let Some(movie) = movie else {
        return Err(Error::Corrupt("an MP4 without an index (no moov box); it was probably cut off".to_owned()));
    };
    // Of several picture tracks the largest is the one that players show.
    if movie.tracks.is_empty() {
        return Err(Error::NotMedia("an MP4 without a picture track".to_owned()));
    }
    let best = movie.tracks.into_iter().filter(|(t, _)| !t.samples.is_empty());
    let best = best.min_by_key(|(t, _)| std::cmp::Reverse(u64::from(t.width) * u64::from(t.height)));
    let Some((mut track, edits)) = best else {
        return Err(Error::NotMedia("an MP4 whose picture track holds no frames".to_owned()));
    };
    track.show(&edits, movie.timescale, limits)?;
    Ok(track)
}

struct Movie {
    timescale: u32,
    tracks: Vec<(Track, Vec<Edit>)>,
    /// Of all tracks: each picture track is kept until it is known which is shown, so that they share one limit.
    samples: usize,
    /// Fragment defaults by track: duration, size, flags.
    defaults: Vec<(u32, [u32; 3])>,
}

impl Movie {
    fn read(moov: &[u8], file_len: u64, limits: &Limits) -> Result<Self> {
        let mut movie = Movie { timescale: 1000, tracks: Vec::new(), samples: 0, defaults: Vec::new() };
        let mut tracks = 0;
        for part in boxes(moov) {
            let (kind, body) = part?;
            match &kind {
                b"mvhd" => {
                    let mut b = Bytes(body);
                    let version = b.u8()?;
                    b.skip(if version == 1 { 19 } else { 11 })?;
                    movie.timescale = b.u32()?.max(1);
                }
                b"trak" => {
                    tracks += 1;
                    if tracks > MOST_TRACKS {
                        return Err(Error::TooLarge(format!("more than {MOST_TRACKS} tracks in an MP4")));
                    }
                    if let Some((track, edits)) = read_track(body, file_len, movie.samples, limits)? {
                        movie.samples += track.samples.len();
                        movie.tracks.push((track, edits));
                    }
                }
                b"mvex" => {
                    for part in boxes(body) {
                        let (kind, body) = part?;
                        if &kind == b"trex" {
                            let mut b = Bytes(body);
                            b.skip(4)?;
                            let id = b.u32()?;
                            b.skip(4)?;
                            movie.defaults.push((id, [b.u32()?, b.u32()?, b.u32()?]));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(movie)
    }

    fn add_fragment(&mut self, moof: &[u8], moof_at: u64, limits: &Limits) -> Result<()> {
        for part in boxes(moof) {
            let (kind, traf) = part?;
            if &kind != b"traf" {
                continue;
            }
            let Some(tfhd) = find(traf, b"tfhd")? else { continue };
            let mut b = Bytes(tfhd);
            let flags = b.u32()? & 0xff_ffff;
            let id = b.u32()?;
            let Some((track, _)) = self.tracks.iter_mut().find(|(t, _)| t.id == id) else { continue };
            let mut values = self.defaults.iter().find(|(d, _)| *d == id).map_or([0; 3], |(_, v)| *v);
            let mut base = moof_at;
            if flags & 1 != 0 {
                base = b.u64()?;
            }
            if flags & 2 != 0 {
                b.skip(4)?;
            }
            for (bit, value) in [8, 16, 32].iter().zip(&mut values) {
                if flags & bit != 0 {
                    *value = b.u32()?;
                }
            }
            let mut dts = track.next_dts;
            if let Some(tfdt) = find(traf, b"tfdt")? {
                let mut b = Bytes(tfdt);
                let version = b.u8()?;
                b.skip(3)?;
                dts = if version == 1 { b.u64()? as i64 } else { b.u32()?.into() };
            }
            let mut offset = base;
            for part in boxes(traf) {
                let (kind, trun) = part?;
                if &kind == b"trun" {
                    let before = track.samples.len();
                    (dts, offset) = track.add_run(trun, dts, (base, offset), values, self.samples, limits)?;
                    self.samples += track.samples.len() - before;
                }
            }
            track.next_dts = dts;
        }
        Ok(())
    }
}

impl Track {
    fn add_run(
        &mut self,
        trun: &[u8],
        mut dts: i64,
        (base, mut offset): (u64, u64),
        defaults: [u32; 3],
        samples_before: usize,
        limits: &Limits,
    ) -> Result<(i64, u64)> {
        let mut b = Bytes(trun);
        let version = b.u8()?;
        let flags = (u32::from(b.u8()?) << 16) | u32::from(b.u16()?);
        let count = b.u32()? as usize;
        if flags & 1 != 0 {
            offset = base.saturating_add_signed(i64::from(b.u32()? as i32));
        }
        let first_flags = if flags & 4 != 0 { Some(b.u32()?) } else { None };
        let columns = [0x100, 0x200, 0x400, 0x800];
        let row = 4 * columns.iter().filter(|c| flags & **c != 0).count();
        if row > 0 && count > b.0.len() / row {
            return Err(Error::Corrupt(format!("a fragment claims {count} frames and does not list them")));
        }
        check_count(samples_before.saturating_add(count), limits)?;
        for i in 0..count {
            let mut column = |bit: u32, default: u32| if flags & bit != 0 { b.u32() } else { Ok(default) };
            let duration = column(0x100, defaults[0])?;
            let size = column(0x200, defaults[1])?;
            let sample_flags = column(0x400, first_flags.filter(|_| i == 0).unwrap_or(defaults[2]))?;
            let later = column(0x800, 0)?;
            let later = if version == 0 { i64::from(later) } else { i64::from(later as i32) };
            // Bit 16 says "not a sync sample".
            let sync = sample_flags & 0x1_0000 == 0;
            self.samples.push(Sample { offset, size, sync, pts: dts.saturating_add(later), duration });
            offset = offset.saturating_add(size.into());
            dts = dts.saturating_add(duration.into());
        }
        Ok((dts, offset))
    }

    /// Works out what is shown when.
    fn show(&mut self, edits: &[Edit], movie_timescale: u32, limits: &Limits) -> Result<()> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        order.sort_by_key(|i| self.samples[*i].pts);
        let mut now = 0i64;
        for (media_time, duration) in edits {
            let ticks = u128::from(*duration) * u128::from(self.timescale) / u128::from(movie_timescale);
            let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
            if *media_time >= 0 {
                // A duration of nothing means "to the end".
                let end = if ticks == 0 { i64::MAX } else { media_time.saturating_add(ticks) };
                let inside = order.iter().filter(|i| (*media_time..end).contains(&self.samples[**i].pts));
                self.shown.extend(inside.map(|i| (*i, (self.samples[*i].pts - media_time).saturating_add(now))));
                check_count(self.shown.len(), limits)?;
            }
            now = now.saturating_add(ticks);
        }
        // No edit list, or one that shows nothing: everything is shown.
        if self.shown.is_empty() {
            self.shown = order.iter().map(|i| (*i, self.samples[*i].pts)).collect();
        }
        // Time starts at the first frame.
        let first = self.shown[0].1;
        self.shown.iter_mut().for_each(|(_, t)| *t = t.saturating_sub(first));
        let (last, at) = self.shown[self.shown.len() - 1];
        self.duration = at.saturating_add(self.samples[last].duration.into());
        Ok(())
    }
}

fn check_count(count: usize, limits: &Limits) -> Result<()> {
    if count > limits.max_frames {
        return Err(Error::TooLarge(format!("{count} frames; at most {} are read", limits.max_frames)));
    }
    Ok(())
}

/// `None` for a track that holds no pictures; `before` is how many samples the movie has without it.
fn read_track(trak: &[u8], file_len: u64, before: usize, limits: &Limits) -> Result<Option<(Track, Vec<Edit>)>> {
    let Some(mdia) = find(trak, b"mdia")? else { return Ok(None) };
    let is_video = find(mdia, b"hdlr")?.is_some_and(|hdlr| hdlr.get(8..12) == Some(b"vide"));
    let Some(stbl) = find(mdia, b"minf")?.map(|minf| find(minf, b"stbl")).transpose()?.flatten() else {
        return Ok(None);
    };
    let Some(stsd) = find(stbl, b"stsd")?.filter(|_| is_video) else { return Ok(None) };
    let mut track = read_entry(stsd)?;

    if let Some(tkhd) = find(trak, b"tkhd")? {
        let mut b = Bytes(tkhd);
        let version = b.u8()?;
        b.skip(if version == 1 { 19 } else { 11 })?;
        track.id = b.u32()?;
        b.skip(if version == 1 { 28 } else { 24 })?;
        let matrix = [b.u32()?, b.u32()?, b.u32()?, b.u32()?, b.u32()?].map(|v| (v as i32).signum());
        track.turn = turn_from_matrix(matrix[0], matrix[1], matrix[3], matrix[4]);
    }
    if let Some(mdhd) = find(mdia, b"mdhd")? {
        let mut b = Bytes(mdhd);
        let version = b.u8()?;
        b.skip(if version == 1 { 19 } else { 11 })?;
        track.timescale = b.u32()?;
    }
    if track.timescale == 0 {
        return Err(Error::Corrupt("the picture track's clock has 0 ticks a second".to_owned()));
    }
    track.samples = read_samples(stbl, file_len, before, limits, &mut track.next_dts)?;

    let mut edits = Vec::new();
    if let Some(elst) = find(trak, b"edts")?.map(|e| find(e, b"elst")).transpose()?.flatten() {
        let mut b = Bytes(elst);
        let version = b.u8()?;
        b.skip(3)?;
        let count = b.u32()? as usize;
        // Each edit goes through all samples, so their number is held down.
        for _ in 0..count.min(b.0.len() / 12).min(1000) {
            let (duration, media_time) = match version {
                1 => (b.u64()?, b.u64()? as i64),
                _ => (b.u32()?.into(), i64::from(b.u32()? as i32)),
            };
            b.skip(4)?;
            edits.push((media_time, duration));
        }
    }
    Ok(Some((track, edits)))
}

/// The first sample description: codec, size, configuration, colour, pixel shape.
fn read_entry(stsd: &[u8]) -> Result<Track> {
    let mut track = Track {
        codec: [0; 4],
        config: Vec::new(),
        width: 0,
        height: 0,
        turn: Orientation::NoTransforms,
        pixel_aspect: None,
        colour: None,
        timescale: 0,
        samples: Vec::new(),
        shown: Vec::new(),
        duration: 0,
        id: 0,
        next_dts: 0,
    };
    let Some((codec, entry)) = boxes(stsd.get(8..).unwrap_or_default()).next().transpose()? else {
        return Err(Error::Corrupt("a picture track that does not say its codec".to_owned()));
    };
    track.codec = codec;
    let mut b = Bytes(entry);
    b.skip(24)?;
    (track.width, track.height) = (b.u16()?.into(), b.u16()?.into());
    b.skip(50)?;
    // QuickTime ends the list with four zero bytes: what cannot be read as a box ends it.
    for (kind, body) in boxes(b.0).map_while(|part| part.ok()) {
        match &kind {
            b"avcC" => track.config = body.to_vec(),
            b"pasp" => {
                let mut b = Bytes(body);
                track.pixel_aspect = Some((b.u32()?, b.u32()?));
            }
            b"colr" if body.starts_with(b"nclx") || body.starts_with(b"nclc") => {
                let mut b = Bytes(&body[4..]);
                b.skip(4)?;
                let matrix = b.u16()?;
                let full = body.starts_with(b"nclx") && b.u8()? & 0x80 != 0;
                track.colour.get_or_insert((matrix, full));
            }
            _ => {}
        }
    }
    Ok(track)
}

fn read_samples(stbl: &[u8], file_len: u64, before: usize, limits: &Limits, next_dts: &mut i64) -> Result<Vec<Sample>> {
    let table = |kind: &[u8; 4]| -> Result<Option<Bytes>> {
        let Some(body) = find(stbl, kind)? else { return Ok(None) };
        let mut b = Bytes(body);
        b.skip(4)?;
        Ok(Some(b))
    };
    let Some(mut stsz) = table(b"stsz")? else { return Ok(Vec::new()) };
    let one_size = stsz.u32()?;
    let count = stsz.u32()? as usize;
    let holds = if one_size == 0 { stsz.0.len() / 4 } else { (file_len / u64::from(one_size)) as usize };
    if count > holds {
        return Err(Error::Corrupt(format!("the index claims {count} frames, and there is room for {holds}")));
    }
    check_count(before.saturating_add(count), limits)?;
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let size = if one_size == 0 { stsz.u32()? } else { one_size };
        samples.push(Sample { offset: u64::MAX, size, sync: true, pts: 0, duration: 0 });
    }

    if let Some(mut stts) = table(b"stts")? {
        let runs = stts.count(8)?;
        let (mut i, mut dts) = (0, 0i64);
        for _ in 0..runs {
            let (n, delta) = (stts.u32()? as usize, stts.u32()?);
            for sample in samples.iter_mut().skip(i).take(n) {
                (sample.pts, sample.duration) = (dts, delta);
                dts = dts.saturating_add(delta.into());
            }
            i = i.saturating_add(n);
        }
        *next_dts = dts;
    }
    if let Some(mut ctts) = table(b"ctts")? {
        let runs = ctts.count(8)?;
        let mut i = 0;
        for _ in 0..runs {
            // Signed in version 1; writers of version 0 also mean it signed.
            let (n, later) = (ctts.u32()? as usize, ctts.u32()? as i32);
            for sample in samples.iter_mut().skip(i).take(n) {
                sample.pts = sample.pts.saturating_add(later.into());
            }
            i = i.saturating_add(n);
        }
    }
    if let Some(mut stss) = table(b"stss")? {
        samples.iter_mut().for_each(|s| s.sync = false);
        for _ in 0..stss.count(4)? {
            let number = stss.u32()? as usize;
            if let Some(sample) = number.checked_sub(1).and_then(|i| samples.get_mut(i)) {
                sample.sync = true;
            }
        }
    }

    let wide = table(b"co64")?;
    let (mut chunks, width) = match (table(b"stco")?, wide) {
        (Some(stco), _) => (stco, 4),
        (None, Some(co64)) => (co64, 8),
        (None, None) => (Bytes(&[]), 0),
    };
    let chunk_count = if width == 0 { 0 } else { chunks.count(width)? };
    if let Some(mut stsc) = table(b"stsc")? {
        let runs = stsc.count(12)?;
        let mut rows = Vec::with_capacity(runs);
        for _ in 0..runs {
            rows.push((stsc.u32()? as usize, stsc.u32()? as usize));
            stsc.skip(4)?;
        }
        let mut next = 0;
        for (r, (first, per_chunk)) in rows.iter().enumerate() {
            let end = rows.get(r + 1).map_or(chunk_count + 1, |(next_first, _)| *next_first);
            for _ in (*first).max(1)..end.min(chunk_count + 1) {
                let mut offset = if width == 8 { chunks.u64()? } else { chunks.u32()?.into() };
                for sample in samples.iter_mut().skip(next).take(*per_chunk) {
                    sample.offset = offset;
                    offset = offset.saturating_add(sample.size.into());
                }
                next = next.saturating_add(*per_chunk);
            }
        }
    }
    Ok(samples)
}

/// The signs of (a, b, c, d) in `x' = a x + c y`, `y' = b x + d y`; y points down.
fn turn_from_matrix(a: i32, b: i32, c: i32, d: i32) -> Orientation {
    match (a, b, c, d) {
        (0, 1, -1, 0) => Orientation::Rotate90,
        (-1, 0, 0, -1) => Orientation::Rotate180,
        (0, -1, 1, 0) => Orientation::Rotate270,
        (-1, 0, 0, 1) => Orientation::FlipHorizontal,
        (1, 0, 0, -1) => Orientation::FlipVertical,
        (0, 1, 1, 0) => Orientation::Rotate90FlipH,
        (0, -1, -1, 0) => Orientation::Rotate270FlipH,
        _ => Orientation::NoTransforms,
    }
}

fn find<'a>(parent: &'a [u8], kind: &[u8; 4]) -> Result<Option<&'a [u8]>> {
    for part in boxes(parent) {
        let (found, body) = part?;
        if &found == kind {
            return Ok(Some(body));
        }
    }
    Ok(None)
}

/// The boxes in a box's content.
fn boxes(mut rest: &[u8]) -> impl Iterator<Item = Result<([u8; 4], &[u8])>> {
    std::iter::from_fn(move || {
        // Up to seven stray bytes at the end are common and harmless.
        if rest.len() < 8 {
            return None;
        }
        let part = next_box(&mut rest);
        if part.is_err() {
            rest = &[];
        }
        Some(part)
    })
}

fn next_box<'a>(rest: &mut &'a [u8]) -> Result<([u8; 4], &'a [u8])> {
    let mut b = Bytes(rest);
    let short = b.u32()?;
    let kind = b.u32()?.to_be_bytes();
    let (head, len) = match short {
        0 => (8, rest.len() as u64),
        1 => (16, b.u64()?),
        len => (8, len.into()),
    };
    if len < head || len > rest.len() as u64 {
        let name = String::from_utf8_lossy(&kind).into_owned();
        return Err(Error::Corrupt(format!("box {name:?} claims {len} bytes where {} are left", rest.len())));
    }
    let (this, after) = rest.split_at(len as usize);
    *rest = after;
    Ok((kind, &this[head as usize..]))
}

/// Big-endian numbers from a slice that may be too short.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) =
            self.0.split_first_chunk().ok_or_else(|| Error::Corrupt("a box that ends too early".to_owned()))?;
        self.0 = rest;
        Ok(*first)
    }

    fn u8(&mut self) -> Result<u8> {
        self.take::<1>().map(|[b]| b)
    }

    fn u16(&mut self) -> Result<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn skip(&mut self, n: usize) -> Result<()> {
        self.0 = self.0.get(n..).ok_or_else(|| Error::Corrupt("a box that ends too early".to_owned()))?;
        Ok(())
    }

    /// A count of rows that are `row` bytes each, all of which must be there.
    fn count(&mut self, row: usize) -> Result<usize> {
        let count = self.u32()? as usize;
        if count > self.0.len() / row {
            return Err(Error::Corrupt(format!("a table claims {count} rows and holds {}", self.0.len() / row)));
        }
        Ok(count)
    }
}
