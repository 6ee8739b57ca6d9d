//! Sums of pixels times weights, as fast as this processor can.
//!
//! The two passes of a resize have one meaning and several ways, which agree to the bit, because all
//! arithmetic is on integers and wraps. Which way is taken is decided once, from what the processor
//! says, or by `LIKEBUT_CPU=portable|avx2|avx512`, as in the library's scan.
//!
//! Weights have 24 bits and pixels have 8, for which processors have no fast product; so weights are
//! cut into digits (three of 8 bits, or two of 12), each is multiplied in the fast way, and the sums
//! are shifted and added.

use std::sync::OnceLock;

const BITS: u32 = 22;
const HALF: i32 = 1 << (BITS - 1);
/// Rows that the pass across works on together.
pub(super) const ROWS: usize = 8;
/// Bytes that may be read behind the last pixel of a row.
pub(super) const SLACK: usize = 4;
/// Bytes that the pass down works on together; rows between the passes are whole multiples of it.
pub(super) const BLOCK: usize = 64;

/// For each output the first source position and the weights from there on, in groups of four, as
/// one of the ways to compute wants them.
pub(super) struct Taps {
    /// In source pixels; `start + 4 · groups` is beyond the source only where all of it is read.
    pub starts: Vec<usize>,
    /// Per output.
    pub groups: usize,
    /// Of all outputs, one after the other.
    pub packed: Vec<i32>,
}

impl Taps {
    /// The weights of the i-th output.
    pub fn of(&self, i: usize) -> &[i32] {
        let each = self.packed.len() / self.starts.len();
        &self.packed[i * each..][..each]
    }
}

/// A way to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// What the compiler makes of plain Rust.
    Portable,
    /// 256-bit integers.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit, with VNNI: four 8-bit products and their sum in one step.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The way taken here. What the environment asks for and the processor cannot is not an error: the
/// library, which has the same switch, says so.
pub(super) fn path() -> Path {
    static CHOSEN: OnceLock<Path> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let all = Path::all();
        let wish = std::env::var("LIKEBUT_CPU").unwrap_or_default();
        let asked = all.iter().find(|p| format!("{p:?}").eq_ignore_ascii_case(&wish));
        asked.or(all.last()).copied().unwrap_or(Path::Portable)
    })
}

impl Path {
    /// All the ways that this processor has, the fastest last.
    pub fn all() -> Vec<Path> {
        #[allow(unused_mut)]
        let mut out = vec![Path::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                out.push(Path::Avx2);
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
            {
                out.push(Path::Avx512);
            }
        }
        out
    }

    /// Four weights, as this way wants them.
    pub fn pack(self, w: [i32; 4], into: &mut Vec<i32>) {
        match self {
            Path::Portable => into.extend(w),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => {
                let pair = |a: i32, b: i32| (a & 0xffff) | (b << 16);
                let (high, low) = (w.map(|w| w >> 12), w.map(|w| w & 0xfff));
                into.extend([
                    pair(high[0], high[1]),
                    pair(low[0], low[1]),
                    pair(high[2], high[3]),
                    pair(low[2], low[3]),
                ]);
            }
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => {
                // Signed digits: w = 65536·a + 256·b + c.
                let c = w.map(|w| w as i8);
                let rest: [i32; 4] = std::array::from_fn(|i| (w[i] - i32::from(c[i])) >> 8);
                let b = rest.map(|w| w as i8);
                let a: [i8; 4] = std::array::from_fn(|i| ((rest[i] - i32::from(b[i])) >> 8) as i8);
                into.extend([a, b, c].map(|d| i32::from_le_bytes(d.map(|d| d as u8))));
            }
        }
    }

    /// Across: of each of `rows` rows of RGB, `step` bytes apart, all outputs of `taps`, three bytes
    /// each, into rows `stride` bytes apart. One byte behind the last output may be overwritten.
    ///
    /// Up to [`SLACK`] bytes behind the last pixel that `taps` names are read.
    pub fn across(self, from: &[u8], step: usize, taps: &Taps, out: &mut [u8], stride: usize, rows: usize) {
        let Some(farthest) = taps.starts.iter().max() else { return };
        let read = (farthest + 4 * taps.groups) * 3 + SLACK;
        assert!((1..=ROWS).contains(&rows) && from.len() >= (rows - 1) * step + read);
        assert!(out.len() > (rows - 1) * stride + taps.starts.len() * 3);
        match self {
            Path::Portable => across_portable(from, step, taps, out, stride, rows),
            // SAFETY: a `Path` other than portable comes from `Path::all` only, which has asked the
            // processor for these features; the assertions above are the length contract of both.
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => unsafe { x86::across_avx2(from, step, taps, out, stride, rows) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => unsafe { x86::across_avx512(from, step, taps, out, stride, rows) },
        }
    }

    /// Down: the weighted sum of `rows`, four for each group of weights, all of one length, a
    /// multiple of [`BLOCK`].
    pub fn down(self, rows: &[&[u8]], weights: &[i32], out: &mut [u8]) {
        assert!(out.len().is_multiple_of(BLOCK) && rows.iter().all(|r| r.len() == out.len()));
        match self {
            Path::Portable => down_portable(rows, weights, out),
            // SAFETY: as in `across`.
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => unsafe { x86::down_avx2(rows, weights, out) },
            // SAFETY: as in `across`.
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => unsafe { x86::down_avx512(rows, weights, out) },
        }
    }
}

fn round(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

fn across_portable(from: &[u8], step: usize, taps: &Taps, out: &mut [u8], stride: usize, rows: usize) {
    for y in 0..rows {
        let (row, out) = (&from[y * step..], &mut out[y * stride..]);
        for (i, (start, out)) in taps.starts.iter().zip(out.chunks_exact_mut(3)).enumerate() {
            let mut sum = [HALF; 3];
            for (px, w) in row[start * 3..].chunks_exact(3).zip(taps.of(i)) {
                for c in 0..3 {
                    sum[c] += i32::from(px[c]) * w;
                }
            }
            out.copy_from_slice(&sum.map(round));
        }
    }
}

fn down_portable(rows: &[&[u8]], weights: &[i32], out: &mut [u8]) {
    // A piece at a time, so that the sums stay in the nearest cache.
    for (at, out) in out.chunks_mut(BLOCK).enumerate() {
        let mut sums = [HALF; BLOCK];
        for (row, w) in rows.iter().zip(weights).filter(|(_, w)| **w != 0) {
            sums.iter_mut().zip(&row[at * BLOCK..]).for_each(|(s, v)| *s += i32::from(*v) * w);
        }
        out.iter_mut().zip(&sums).for_each(|(o, s)| *o = round(*s));
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{BITS, BLOCK, HALF, ROWS, Taps};
    use std::arch::x86_64::*;

    /// Four pixels RGBRGBRGBRGB to four reds, four greens, four blues and nothing.
    const BY_COLOUR: [i8; 16] = [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1];
    /// The first two of four pixels to 16-bit numbers: two reds, two greens, two blues and nothing.
    const FIRST_TWO: [i8; 16] = [0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1];
    /// The last two of them.
    const LAST_TWO: [i8; 16] = [6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1];

    /// # Safety
    /// AVX-512 F, BW and VNNI. The lengths that `Path::across` asserts.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub unsafe fn across_avx512(from: &[u8], step: usize, taps: &Taps, out: &mut [u8], stride: usize, rows: usize) {
        // Where there are fewer rows than lanes, the last is computed more than once.
        let row = |i: usize| from[i.min(rows - 1) * step..].as_ptr();
        let src: [*const u8; ROWS] = std::array::from_fn(row);
        let dst = out.as_mut_ptr();
        // SAFETY: a constant of sixteen bytes.
        let by_colour = unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(BY_COLOUR.as_ptr().cast())) };
        let half = _mm512_set1_epi32(HALF);
        let mut weights = taps.packed.as_ptr();
        for (i, start) in taps.starts.iter().enumerate() {
            let zero = _mm512_setzero_si512();
            let (mut a, mut b, mut c) = ([zero; 2], [zero; 2], [zero; 2]);
            for g in 0..taps.groups {
                let at = start * 3 + g * 12;
                // SAFETY: `at + 16` is at most what the caller asserted to be there in each row, and
                // `packed` holds three numbers for each group of each output.
                unsafe {
                    let w = [0, 1, 2].map(|k| _mm512_set1_epi32(*weights.add(k)));
                    weights = weights.add(3);
                    for h in 0..2 {
                        let load = |k: usize| _mm_loadu_si128(src[4 * h + k].add(at).cast());
                        let px = _mm512_castsi128_si512(load(0));
                        let px = _mm512_inserti32x4::<1>(px, load(1));
                        let px = _mm512_inserti32x4::<2>(px, load(2));
                        let px = _mm512_inserti32x4::<3>(px, load(3));
                        let px = _mm512_shuffle_epi8(px, by_colour);
                        a[h] = _mm512_dpbusd_epi32(a[h], px, w[0]);
                        b[h] = _mm512_dpbusd_epi32(b[h], px, w[1]);
                        c[h] = _mm512_dpbusd_epi32(c[h], px, w[2]);
                    }
                }
            }
            let sum = |h: usize| {
                let high = _mm512_add_epi32(_mm512_slli_epi32::<16>(a[h]), _mm512_slli_epi32::<8>(b[h]));
                let all = _mm512_add_epi32(_mm512_add_epi32(high, c[h]), half);
                _mm512_srai_epi32::<BITS>(all)
            };
            // Lane k: the pixel of row k, then that of row k + 4.
            let words = _mm512_packs_epi32(sum(0), sum(1));
            let bytes = _mm512_packus_epi16(words, words);
            let lanes = [
                _mm512_castsi512_si128(bytes),
                _mm512_extracti32x4_epi32::<1>(bytes),
                _mm512_extracti32x4_epi32::<2>(bytes),
                _mm512_extracti32x4_epi32::<3>(bytes),
            ];
            for (k, lane) in lanes.into_iter().enumerate() {
                let both = _mm_cvtsi128_si64(lane) as u64;
                // SAFETY: four bytes at output `i` of a row that exists: the caller asserted one more
                // than three for each output, and the next output overwrites the fourth.
                unsafe {
                    if k < rows {
                        dst.add(k * stride + i * 3).cast::<u32>().write_unaligned(both as u32);
                    }
                    if k + 4 < rows {
                        dst.add((k + 4) * stride + i * 3).cast::<u32>().write_unaligned((both >> 32) as u32);
                    }
                }
            }
        }
    }

    /// # Safety
    /// AVX2. The lengths that `Path::across` asserts.
    #[target_feature(enable = "avx2")]
    pub unsafe fn across_avx2(from: &[u8], step: usize, taps: &Taps, out: &mut [u8], stride: usize, rows: usize) {
        let dst = out.as_mut_ptr();
        // SAFETY: constants of sixteen bytes.
        let (first_two, last_two) = unsafe {
            let wide = |p: &[i8; 16]| _mm256_broadcastsi128_si256(_mm_loadu_si128(p.as_ptr().cast()));
            (wide(&FIRST_TWO), wide(&LAST_TWO))
        };
        let half = _mm256_set1_epi32(HALF);
        // Four rows at a time: two registers of two.
        for y in (0..rows).step_by(4) {
            let row = |i: usize| from[(y + i).min(rows - 1) * step..].as_ptr();
            let src: [*const u8; 4] = std::array::from_fn(row);
            let mut weights = taps.packed.as_ptr();
            for (i, start) in taps.starts.iter().enumerate() {
                let zero = _mm256_setzero_si256();
                let (mut high, mut low) = ([zero; 2], [zero; 2]);
                for g in 0..taps.groups {
                    let at = start * 3 + g * 12;
                    // SAFETY: as in the 512-bit way; here four numbers for each group.
                    unsafe {
                        let w = [0, 1, 2, 3].map(|k| _mm256_set1_epi32(*weights.add(k)));
                        weights = weights.add(4);
                        for h in 0..2 {
                            let load = |k: usize| _mm_loadu_si128(src[2 * h + k].add(at).cast());
                            let px = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(load(0)), load(1));
                            let (p, q) = (_mm256_shuffle_epi8(px, first_two), _mm256_shuffle_epi8(px, last_two));
                            let sum = _mm256_add_epi32(_mm256_madd_epi16(p, w[0]), _mm256_madd_epi16(q, w[2]));
                            high[h] = _mm256_add_epi32(high[h], sum);
                            let sum = _mm256_add_epi32(_mm256_madd_epi16(p, w[1]), _mm256_madd_epi16(q, w[3]));
                            low[h] = _mm256_add_epi32(low[h], sum);
                        }
                    }
                }
                let sum = |h: usize| {
                    let all = _mm256_add_epi32(_mm256_slli_epi32::<12>(high[h]), low[h]);
                    _mm256_srai_epi32::<{ BITS as i32 }>(_mm256_add_epi32(all, half))
                };
                // Lane k: the pixel of row k, then that of row k + 2.
                let words = _mm256_packs_epi32(sum(0), sum(1));
                let bytes = _mm256_packus_epi16(words, words);
                let lanes = [_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes)];
                for (k, lane) in lanes.into_iter().enumerate() {
                    let both = _mm_cvtsi128_si64(lane) as u64;
                    // SAFETY: as in the 512-bit way.
                    unsafe {
                        if y + k < rows {
                            dst.add((y + k) * stride + i * 3).cast::<u32>().write_unaligned(both as u32);
                        }
                        if y + k + 2 < rows {
                            let at = (y + k + 2) * stride + i * 3;
                            dst.add(at).cast::<u32>().write_unaligned((both >> 32) as u32);
                        }
                    }
                }
            }
        }
    }

    /// # Safety
    /// AVX-512 F, BW and VNNI. The lengths that `Path::down` asserts.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub unsafe fn down_avx512(rows: &[&[u8]], weights: &[i32], out: &mut [u8]) {
        let half = _mm512_set1_epi32(HALF);
        for (n, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let zero = _mm512_setzero_si512();
            let (mut a, mut b, mut c) = ([zero; 4], [zero; 4], [zero; 4]);
            for (four, w) in rows.chunks_exact(4).zip(weights.chunks_exact(3)) {
                // SAFETY: each row is as long as the output, of which this is a whole block.
                let r = [0, 1, 2, 3].map(|k| unsafe { _mm512_loadu_si512(four[k].as_ptr().add(n * BLOCK).cast()) });
                let (t0, t1) = (_mm512_unpacklo_epi8(r[0], r[1]), _mm512_unpackhi_epi8(r[0], r[1]));
                let (u0, u1) = (_mm512_unpacklo_epi8(r[2], r[3]), _mm512_unpackhi_epi8(r[2], r[3]));
                // The four rows' bytes of one column side by side, sixteen columns a register.
                let v = [
                    _mm512_unpacklo_epi16(t0, u0),
                    _mm512_unpackhi_epi16(t0, u0),
                    _mm512_unpacklo_epi16(t1, u1),
                    _mm512_unpackhi_epi16(t1, u1),
                ];
                let w = [0, 1, 2].map(|k| _mm512_set1_epi32(w[k]));
                for k in 0..4 {
                    a[k] = _mm512_dpbusd_epi32(a[k], v[k], w[0]);
                    b[k] = _mm512_dpbusd_epi32(b[k], v[k], w[1]);
                    c[k] = _mm512_dpbusd_epi32(c[k], v[k], w[2]);
                }
            }
            let sum = |k: usize| {
                let high = _mm512_add_epi32(_mm512_slli_epi32::<16>(a[k]), _mm512_slli_epi32::<8>(b[k]));
                _mm512_srai_epi32::<BITS>(_mm512_add_epi32(_mm512_add_epi32(high, c[k]), half))
            };
            // Packing undoes the order that unpacking made.
            let bytes = _mm512_packus_epi16(_mm512_packs_epi32(sum(0), sum(1)), _mm512_packs_epi32(sum(2), sum(3)));
            // SAFETY: `out` is a block of 64 bytes.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), bytes) };
        }
    }

    /// # Safety
    /// AVX2. The lengths that `Path::down` asserts.
    #[target_feature(enable = "avx2")]
    pub unsafe fn down_avx2(rows: &[&[u8]], weights: &[i32], out: &mut [u8]) {
        let half = _mm256_set1_epi32(HALF);
        for (n, out) in out.chunks_exact_mut(32).enumerate() {
            let zero = _mm256_setzero_si256();
            let (mut high, mut low) = ([zero; 4], [zero; 4]);
            for (two, w) in rows.chunks_exact(2).zip(weights.chunks_exact(2)) {
                // SAFETY: each row is as long as the output, of which this is a whole half block.
                let r = [0, 1].map(|k| unsafe { _mm256_loadu_si256(two[k].as_ptr().add(n * 32).cast()) });
                let (t0, t1) = (_mm256_unpacklo_epi8(r[0], r[1]), _mm256_unpackhi_epi8(r[0], r[1]));
                // The two rows' bytes of one column side by side as 16-bit numbers.
                let v = [
                    _mm256_unpacklo_epi8(t0, zero),
                    _mm256_unpackhi_epi8(t0, zero),
                    _mm256_unpacklo_epi8(t1, zero),
                    _mm256_unpackhi_epi8(t1, zero),
                ];
                let w = [0, 1].map(|k| _mm256_set1_epi32(w[k]));
                for k in 0..4 {
                    high[k] = _mm256_add_epi32(high[k], _mm256_madd_epi16(v[k], w[0]));
                    low[k] = _mm256_add_epi32(low[k], _mm256_madd_epi16(v[k], w[1]));
                }
            }
            let sum = |k: usize| {
                let all = _mm256_add_epi32(_mm256_slli_epi32::<12>(high[k]), low[k]);
                _mm256_srai_epi32::<{ BITS as i32 }>(_mm256_add_epi32(all, half))
            };
            let bytes = _mm256_packus_epi16(_mm256_packs_epi32(sum(0), sum(1)), _mm256_packs_epi32(sum(2), sum(3)));
            // SAFETY: `out` is 32 bytes long.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), bytes) };
        }
    }
}
