//! Pillow's resize, to the byte.
//!
//! Each output pixel is a weighted sum of source pixels, across first and then down, as in Pillow up
//! to 12.
//! The filter is stretched when shrinking, so that every source pixel counts; its weights are
//! rounded to 22 bits after the point, and each of the two passes is rounded to eight bits.
//! The published models were trained on pictures made this way; other resizers differ by up to 18
//! levels.
//!
//! Black borders are not drawn and what is cropped away is not computed: both are only arithmetic on
//! positions, so that a strip of a million pixels by one costs what its pixels cost.

use super::kernels::{self, Path, Taps};
use media::Frame;
use rayon::prelude::*;
use std::ops::Range;

const BITS: u32 = 32 - 8 - 2;
/// Weights held at a time; a picture of 64,000 pixels across needs fewer.
const MAX_WEIGHTS: usize = 1 << 18;

/// How pixels are mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Cubic convolution with a = -1/2 over four pixels: CLIP's and BLIP-2's.
    #[default]
    Bicubic,
    /// A triangle over two pixels: SigLIP 2's.
    Bilinear,
}

impl Filter {
    /// How far it reaches to each side, pixels.
    fn support(self) -> f64 {
        match self {
            Filter::Bicubic => 2.0,
            Filter::Bilinear => 1.0,
        }
    }

    /// The weight of a pixel at this distance.
    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Filter::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            Filter::Bilinear if x < 1.0 => 1.0 - x,
            _ => 0.0,
        }
    }
}

/// One direction of a resize: what is there, what is thought around it, and which part of the result
/// is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// Pixels that are there.
    pub from: usize,
    /// Black pixels before them.
    pub before: u64,
    /// Black pixels behind them.
    pub after: u64,
    /// Pixels of the whole result.
    pub to: u64,
    /// The first one wanted.
    pub first: u64,
    /// How many are wanted.
    pub count: usize,
}

impl Axis {
    /// All pixels, to all of this many.
    pub fn whole(from: u32, to: u32) -> Self {
        Self { from: from as usize, before: 0, after: 0, to: to.into(), first: 0, count: to as usize }
    }

    /// Whether nothing happens.
    fn is_identity(&self) -> bool {
        self.before + self.after + self.first == 0 && self.to == self.from as u64 && self.count == self.from
    }

    fn scale(&self) -> f64 {
        (self.before + self.from as u64 + self.after) as f64 / self.to as f64
    }

    /// The source positions that the i-th wanted output is mixed of, black ones included and counted.
    fn reach(&self, filter: Filter, i: usize) -> Range<i64> {
        let scale = self.scale();
        let centre = self.centre(i);
        let support = filter.support() * scale.max(1.0);
        let all = (self.before + self.from as u64 + self.after) as i64;
        ((centre - support + 0.5) as i64).max(0)..((centre + support + 0.5) as i64).min(all)
    }

    fn centre(&self, i: usize) -> f64 {
        ((self.first + i as u64) as f64 + 0.5) * self.scale()
    }

    /// Those of [`Self::reach`] that are there, counted without the black ones; empty if none is.
    fn seen(&self, filter: Filter, i: usize) -> Range<usize> {
        let inside = |x: i64| (x - self.before as i64).clamp(0, self.from as i64) as usize;
        let reach = self.reach(filter, i);
        inside(reach.start)..inside(reach.end)
    }

    /// What all wanted outputs together are mixed of.
    fn seen_by_all(&self, filter: Filter) -> Range<usize> {
        let each = || (0..self.count).map(|i| self.seen(filter, i)).filter(|r| !r.is_empty());
        let first = each().map(|r| r.start).min().unwrap_or(0);
        first..each().map(|r| r.end).max().unwrap_or(1)
    }

    /// The outputs that are worked on together, so that their weights fit into a bounded place.
    fn pieces(&self, filter: Filter) -> impl Iterator<Item = (usize, usize)> + use<> {
        let about = 2.0 * filter.support() * self.scale().max(1.0) + 4.0;
        let (count, each) = (self.count, (MAX_WEIGHTS / (about as usize).min(self.from + 4)).max(1));
        (0..count).step_by(each).map(move |i| (i, each.min(count - i)))
    }

    /// The weights of `count` outputs from the `offset`-th wanted one on.
    fn taps(&self, filter: Filter, offset: usize, count: usize, path: Path) -> Taps {
        let narrow = 1.0 / self.scale().max(1.0);
        let most = (offset..offset + count).map(|i| self.seen(filter, i).len()).max().unwrap_or(0);
        let groups = most.div_ceil(4).max(1);
        let mut taps = Taps { starts: Vec::with_capacity(count), groups, packed: Vec::new() };
        let mut raw = Vec::new();
        let mut fixed = vec![0i32; 4 * groups];
        for i in offset..offset + count {
            let (centre, reach, seen) = (self.centre(i), self.reach(filter, i), self.seen(filter, i));
            raw.clear();
            raw.extend(reach.clone().map(|x| filter.weight((x as f64 - centre + 0.5) * narrow)));
            let sum: f64 = raw.iter().sum();
            // Black adds nothing, so only the weights of what is there are kept.
            let black = (seen.start as i64 + self.before as i64 - reach.start).max(0) as usize;
            let start = seen.start.min(self.from.saturating_sub(4 * groups));
            fixed.fill(0);
            for (w, fixed) in raw.iter().skip(black).take(seen.len()).zip(&mut fixed[seen.start - start..]) {
                let w = w / sum * f64::from(1u32 << BITS);
                *fixed = (w + if w < 0.0 { -0.5 } else { 0.5 }) as i32;
            }
            taps.starts.push(start);
            fixed.chunks_exact(4).for_each(|w| path.pack([w[0], w[1], w[2], w[3]], &mut taps.packed));
        }
        taps
    }
}

/// The frame at another size, all of it, by the bicubic filter.
pub fn resize(frame: &Frame, width: u32, height: u32) -> Frame {
    let (across, down) = (Axis::whole(frame.width, width), Axis::whole(frame.height, height));
    resample(frame, Filter::Bicubic, across, down, kernels::path())
}

/// A part of a resized frame.
pub(super) fn resample(frame: &Frame, filter: Filter, across: Axis, down: Axis, path: Path) -> Frame {
    // Of the picture's rows only those are resized across that the second pass reads.
    let Range { start: top, end: bottom } = down.seen_by_all(filter);
    let strip = Strip::across(frame, top, bottom, filter, across, path);
    let row = across.count * 3;
    let mut rgb = vec![0u8; row * down.count];
    if down.is_identity() {
        rgb.chunks_exact_mut(row).enumerate().for_each(|(y, out)| out.copy_from_slice(&strip.row(y)[..row]));
    } else {
        for (first, count) in down.pieces(filter) {
            let taps = down.taps(filter, first, count, path);
            let out = &mut rgb[first * row..][..count * row];
            out.par_chunks_mut(row).enumerate().for_each_init(
                || (vec![0u8; strip.stride], Vec::with_capacity(4 * taps.groups)),
                |(whole, rows), (y, out)| {
                    rows.clear();
                    // Rows outside the strip weigh nothing, so any row may stand for them.
                    let inside = |i: usize| (taps.starts[y] + i).clamp(top, bottom - 1) - top;
                    rows.extend((0..4 * taps.groups).map(|i| strip.row(inside(i))));
                    path.down(rows, taps.of(y), whole);
                    out.copy_from_slice(&whole[..row]);
                },
            );
        }
    }
    Frame { width: across.count as u32, height: down.count as u32, rgb }
}

/// Rows between the two passes, each with room behind it so that they can be read and written in
/// whole registers.
struct Strip {
    bytes: Vec<u8>,
    stride: usize,
}

impl Strip {
    fn row(&self, y: usize) -> &[u8] {
        &self.bytes[y * self.stride..][..self.stride]
    }

    /// Rows `top..bottom` of the frame, resized across.
    fn across(frame: &Frame, top: usize, bottom: usize, filter: Filter, axis: Axis, path: Path) -> Self {
        let stride = (axis.count * 3 + 1).next_multiple_of(kernels::BLOCK);
        let mut bytes = vec![0u8; stride * (bottom - top)];
        let row = axis.from * 3;
        let source = &frame.rgb[top * row..bottom * row];
        if axis.is_identity() {
            bytes.par_chunks_mut(stride).zip(source.par_chunks(row)).for_each(|(out, src)| {
                out[..row].copy_from_slice(src);
            });
            return Self { bytes, stride };
        }
        for (first, count) in axis.pieces(filter) {
            let taps = axis.taps(filter, first, count, path);
            // What one output reads, from the farthest start.
            let reach = (axis.from.saturating_sub(4 * taps.groups) + 4 * taps.groups) * 3 + kernels::SLACK;
            bytes.par_chunks_mut(stride * kernels::ROWS).enumerate().for_each_init(Vec::new, |room, (block, out)| {
                let here = block * kernels::ROWS * row;
                let rows = out.len() / stride;
                // The kernel reads a few bytes behind a row; where there are none, a copy has them.
                let (from, step) = if source.len() - here >= (rows - 1) * row + reach {
                    (&source[here..], row)
                } else {
                    room.clear();
                    room.resize(rows * reach, 0);
                    for (copy, src) in room.chunks_exact_mut(reach).zip(source[here..].chunks_exact(row)) {
                        copy[..row].copy_from_slice(src);
                    }
                    (&room[..], reach)
                };
                path.across(from, step, &taps, &mut out[first * 3..], stride, rows);
            });
        }
        Self { bytes, stride }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Digest;

    /// The pattern of `fixtures/golden/pillow.py`.
    fn pattern(w: u32, h: u32, grey: bool) -> Frame {
        let level = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
        let rgb = match grey {
            false => (0..w * h * 3).map(|i| level(i) ^ ((i / 3 % w * 5) as u8)).collect(),
            true => (0..w * h).flat_map(|i| [level(i) ^ ((i % w * 5) as u8); 3]).collect(),
        };
        Frame { width: w, height: h, rgb }
    }

    #[test]
    fn equals_pillow_to_the_byte_whichever_way_it_is_computed() {
        let golden = include_str!("../../../../fixtures/golden/pillow.txt");
        for path in Path::all() {
            let mut checked = 0;
            for line in golden.lines().filter(|l| l.starts_with("bi")) {
                let f: Vec<&str> = line.split_whitespace().collect();
                let n = |i: usize| f[i].parse::<u32>().unwrap();
                let filter = if f[0] == "bicubic" { Filter::Bicubic } else { Filter::Bilinear };
                let frame = pattern(n(2), n(3), f[1] == "grey");
                let got = resample(&frame, filter, Axis::whole(n(2), n(4)), Axis::whole(n(3), n(5)), path);
                assert_eq!(Digest::of(&got.rgb).to_string(), f[6], "{path:?}: {line}");
                checked += 1;
            }
            assert!(checked >= 80, "only {checked} golden sizes");
        }
    }

    #[test]
    fn borders_and_crops_are_what_drawing_and_cutting_them_would_give() {
        let (w, h) = (37u32, 23u32);
        let frame = pattern(w, h, false);
        for (before, after, to, first, count) in [
            (0u64, 0u64, 50u64, 7u64, 30usize),
            (5, 6, 20, 0, 20),
            (40, 3, 90, 2, 60),
            (100, 100, 16, 0, 16),
            (9, 9, 55, 0, 55),
        ] {
            let mut drawn = Frame::filled(w + (before + after) as u32, h, [0; 3]);
            for (out, src) in
                drawn.rgb.chunks_exact_mut(drawn.width as usize * 3).zip(frame.rgb.chunks_exact(w as usize * 3))
            {
                out[before as usize * 3..][..src.len()].copy_from_slice(src);
            }
            let whole = resize(&drawn, to as u32, 11);
            let axis = Axis { from: w as usize, before, after, to, first, count };
            for path in Path::all() {
                let got = resample(&frame, Filter::Bicubic, axis, Axis::whole(h, 11), path);
                for y in 0..11 {
                    let want = &whole.rgb[(y * to as usize + first as usize) * 3..][..count * 3];
                    assert_eq!(&got.rgb[y * count * 3..][..count * 3], want, "{path:?} {axis:?} row {y}");
                }
            }
            // The same downwards, by turning the picture over its diagonal. Not byte-equal: the
            // passes are rounded in the other order.
            let turn = |f: &Frame| {
                let (w, h) = (f.width as usize, f.height as usize);
                let rgb =
                    (0..w).flat_map(|x| (0..h).flat_map(move |y| f.rgb[(y * w + x) * 3..][..3].to_vec())).collect();
                Frame { width: f.height, height: f.width, rgb }
            };
            let got = resample(&turn(&frame), Filter::Bicubic, Axis::whole(h, 11), axis, kernels::path());
            let tall = resize(&turn(&drawn), 11, to as u32);
            assert_eq!(got.rgb, tall.rgb[first as usize * 33..][..count * 33], "{axis:?}");
        }
    }

    #[test]
    fn every_way_gives_the_same_bytes_at_sizes_that_leave_rests() {
        let mut seed = 1u32;
        let mut next = |most: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            1 + (seed >> 8) % most
        };
        for _ in 0..150 {
            let (w, h, nw, nh) = (next(90), next(90), next(120), next(120));
            let frame = pattern(w, h, false);
            let with = |path| resample(&frame, Filter::Bicubic, Axis::whole(w, nw), Axis::whole(h, nh), path);
            let plain = with(Path::Portable);
            for path in Path::all() {
                assert!(with(path) == plain, "{path:?}: {w}×{h} to {nw}×{nh}");
            }
        }
    }

    #[test]
    fn a_very_long_picture_costs_what_its_pixels_cost() {
        let frame = pattern(1_000_000, 1, false);
        let small = resize(&frame, 16, 16);
        assert_eq!((small.width, small.height), (16, 16));
        // As wide as it is long to be, and only its middle asked for.
        let axis = Axis { from: 1_000_000, before: 0, after: 0, to: 224_000_000, first: 111_999_888, count: 224 };
        let got = resample(&frame, Filter::Bicubic, axis, Axis::whole(1, 224), kernels::path());
        assert_eq!(got.rgb.len(), 224 * 224 * 3);
    }
}
