//! Inner products, as fast as this processor can: 8-bit for the scan, f32 for the final score.
//!
//! Each product has one meaning and several ways. The ways agree bit for bit: integers because
//! they are integers, floats because all add up in the same order. Which way is taken is decided
//! once, from what the processor says, or by `LIKEBUT_CPU=portable|avx2|avx512`.
//! On ARM the portable way is what the compiler makes of it, which is NEON.

use std::sync::OnceLock;

use crate::quantise::Question;

/// A way to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// What the compiler makes of plain Rust.
    Portable,
    /// 256-bit integers and floats.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit, with VNNI: four 8-bit products and their sum in one step.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Path {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Path::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => "avx512",
        }
    }

    /// All the ways that this processor has, the fastest last.
    pub(crate) fn all() -> Vec<Path> {
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
}

/// The way that is taken here: `portable`, `avx2` or `avx512`; an error if `LIKEBUT_CPU` asks for one that the
/// scan has not got on this processor.
pub fn scan_path() -> crate::Result<&'static str> {
    chosen().map(Path::name)
}

/// The way taken; an error if `LIKEBUT_CPU` asks for one that does not exist here.
pub(crate) fn chosen() -> crate::Result<Path> {
    static CHOSEN: OnceLock<Result<Path, String>> = OnceLock::new();
    CHOSEN.get_or_init(|| choose(std::env::var("LIKEBUT_CPU").ok().as_deref())).clone().map_err(crate::Error::Cpu)
}

fn choose(wish: Option<&str>) -> Result<Path, String> {
    let all = Path::all();
    // What only products know of beyond AVX-512 changes nothing here; whether the processor has it is theirs to say.
    let wish = wish.map(|w| if matches!(w, "avx512-plain" | "avx512-bf16" | "amx") { "avx512" } else { w });
    match wish {
        None | Some("") => Ok(*all.last().unwrap_or(&Path::Portable)),
        Some(wish) => all.iter().copied().find(|p| p.name() == wish).ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|p| p.name()).collect();
            format!("LIKEBUT_CPU is {wish:?}; to scan, this processor has {}", names.join(", "))
        }),
    }
}

/// `out[i]` = query · row i. Lengths: query is a multiple of 64, rows is query · out.
/// `query_sum` is the sum of the query's codes, which one of the ways needs.
pub(crate) fn dots_i8(path: Path, query: &[i8], query_sum: i32, rows: &[i8], out: &mut [i32]) {
    assert!(query.len().is_multiple_of(64) && rows.len() == query.len() * out.len());
    match path {
        Path::Portable => dots_i8_portable(query, rows, out),
        // SAFETY: a `Path` other than portable comes from `Path::all` only, which has asked the
        // processor for these features; the assertion above is the length contract of both.
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { x86::dots_i8_avx2(query, rows, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { x86::dots_i8_avx512(query, query_sum, rows, out) },
    }
}

fn dots_i8_portable(query: &[i8], rows: &[i8], out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
        *out = row.iter().zip(query).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
    }
}

/// Rows whose bounds are worked out together.
pub(crate) const LANES: usize = 64;

/// Asks for the cache line that holds this number to be fetched, and a few after it. A hint: any
/// place is allowed, nothing is read, and without such an instruction nothing happens.
#[inline(always)]
pub(crate) fn fetch_soon(column: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..LANES * 4 / 64 {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: prefetching never faults, whatever the address; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(column.as_ptr().wrapping_add(at + 16 * line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (column, at);
}

/// What is known of [`LANES`] rows, column by column.
pub(crate) struct Lanes<'a> {
    pub dots: &'a [i32; LANES],
    pub scales: &'a [f32; LANES],
    pub errs: &'a [f32; LANES],
    pub norms: &'a [f32; LANES],
}

/// Which of the rows may score as high as `floor`, as bits.
pub(crate) fn above(path: Path, q: &Question, rows: &Lanes, floor: f32) -> u64 {
    match path {
        Path::Portable => bits_above(&tops(q, rows), floor),
        // SAFETY: the feature is there, as in `dots_i8`; the function is plain Rust otherwise.
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { x86::above_avx2(q, rows, floor) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { x86::above_avx512(q, rows, floor) },
    }
}

/// The rows' upper bounds.
#[inline(always)]
fn tops(q: &Question, rows: &Lanes) -> [f32; LANES] {
    let mut tops = [0.0; LANES];
    for (i, top) in tops.iter_mut().enumerate() {
        let (about, off) = q.interval(rows.dots[i], rows.scales[i], rows.errs[i], rows.norms[i]);
        *top = about + off;
    }
    tops
}

#[inline(always)]
fn bits_above(tops: &[f32; LANES], floor: f32) -> u64 {
    // Written so that a NaN, which rules nothing out, stays in.
    let ruled_out = |top: f32| top < floor;
    // Nearly always there are none, and finding that out is what has to be fast.
    if tops.iter().fold(true, |all, top| all & ruled_out(*top)) {
        return 0;
    }
    tops.iter().enumerate().fold(0, |bits, (i, top)| bits | u64::from(!ruled_out(*top)) << i)
}

/// a · b in f32, always added up in the same order; the shorter length counts.
pub(crate) fn dot_f32(path: Path, a: &[f32], b: &[f32]) -> f32 {
    match path {
        Path::Portable => lanes(a, b),
        // SAFETY: the feature is there, as in `dots_i8`; the function is plain Rust otherwise.
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { x86::dot_f32_avx2(a, b) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { x86::dot_f32_avx512(a, b) },
    }
}

/// 32 running sums, then a tree. Rust never fuses a product with a sum on its own, so every
/// instruction set that this is compiled for gives the same bits.
#[inline(always)]
fn lanes(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let (a_full, a_rest) = a.as_chunks::<32>();
    let (b_full, b_rest) = b.as_chunks::<32>();
    let mut sums = [0f32; 32];
    for (x, y) in a_full.iter().zip(b_full) {
        for i in 0..32 {
            sums[i] += x[i] * y[i];
        }
    }
    if !a_rest.is_empty() {
        // `rest` is shorter than 32, whatever the compiler knows.
        for ((s, x), y) in sums.iter_mut().zip(a_rest).zip(b_rest) {
            *s += x * y;
        }
    }
    // Halves of fixed length: a loop over lengths would stay a loop.
    let sums: [f32; 16] = std::array::from_fn(|i| sums[i] + sums[i + 16]);
    let sums: [f32; 8] = std::array::from_fn(|i| sums[i] + sums[i + 8]);
    let sums: [f32; 4] = std::array::from_fn(|i| sums[i] + sums[i + 4]);
    (sums[0] + sums[2]) + (sums[1] + sums[3])
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The same, written for AVX2 and AVX-512.

    use std::arch::x86_64::*;

    use super::{Lanes, Question};

    /// The processor's own look-ahead ends at each page; this one does not. Bytes.
    const AHEAD: usize = 4096;

    #[target_feature(enable = "avx2")]
    pub fn above_avx2(q: &Question, rows: &Lanes, floor: f32) -> u64 {
        super::bits_above(&super::tops(q, rows), floor)
    }

    #[target_feature(enable = "avx512f")]
    pub fn above_avx512(q: &Question, rows: &Lanes, floor: f32) -> u64 {
        super::bits_above(&super::tops(q, rows), floor)
    }

    #[target_feature(enable = "avx2")]
    pub fn dot_f32_avx2(a: &[f32], b: &[f32]) -> f32 {
        super::lanes(a, b)
    }

    #[target_feature(enable = "avx512f")]
    pub fn dot_f32_avx512(a: &[f32], b: &[f32]) -> f32 {
        super::lanes(a, b)
    }

    /// # Safety
    /// The processor has the features; query.len() is a multiple of 64 and rows.len() is
    /// query.len() · out.len().
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub unsafe fn dots_i8_avx512(query: &[i8], query_sum: i32, rows: &[i8], out: &mut [i32]) {
        let stride = query.len();
        // `dpbusd` multiplies unsigned by signed. The row becomes unsigned by adding 128 (flipping
        // the top bit), which adds 128 times the query's sum; that is taken off again.
        let extra = _mm256_set1_epi32(128 * query_sum);
        let flip = _mm512_set1_epi8(i8::MIN);
        let mut r = 0;
        while r + 8 <= out.len() {
            let mut sums = [_mm512_setzero_si512(); 8];
            let mut at = 0;
            while at < stride {
                // SAFETY: at + 64 <= stride, and (r + 7) · stride + at + 64 <= rows.len().
                // Prefetching is allowed anywhere.
                unsafe {
                    let q = _mm512_loadu_si512(query.as_ptr().add(at).cast());
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let place = rows.as_ptr().add((r + i) * stride + at);
                        _mm_prefetch::<_MM_HINT_T0>(place.wrapping_add(AHEAD));
                        let x = _mm512_loadu_si512(place.cast());
                        *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(x, flip), q);
                    }
                }
                at += 64;
            }
            let total = _mm256_sub_epi32(sum_each(sums), extra);
            // SAFETY: r + 8 <= out.len().
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(r).cast(), total) };
            r += 8;
        }
        super::dots_i8_portable(query, &rows[r * stride..], &mut out[r..]);
    }

    /// The sum of each of eight vectors, side by side: adding neighbours three times, then halves.
    #[inline]
    #[target_feature(enable = "avx512f,avx2")]
    fn sum_each(sums: [__m512i; 8]) -> __m256i {
        let [a, b, c, d, e, f, g, h] =
            sums.map(|s| _mm256_add_epi32(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64::<1>(s)));
        let (ab, cd) = (_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        let (ef, gh) = (_mm256_hadd_epi32(e, f), _mm256_hadd_epi32(g, h));
        let (low, high) = (_mm256_hadd_epi32(ab, cd), _mm256_hadd_epi32(ef, gh));
        // Each 128-bit half holds its half of four sums.
        _mm256_add_epi32(_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high))
    }

    /// # Safety
    /// The processor has the feature; query.len() is a multiple of 64 and rows.len() is
    /// query.len() · out.len().
    #[target_feature(enable = "avx2")]
    pub unsafe fn dots_i8_avx2(query: &[i8], rows: &[i8], out: &mut [i32]) {
        let stride = query.len();
        let ones = _mm256_set1_epi16(1);
        let mut r = 0;
        while r + 2 <= out.len() {
            let mut sums = [_mm256_setzero_si256(); 2];
            let mut at = 0;
            while at < stride {
                // SAFETY: at + 32 <= stride, and (r + 1) · stride + at + 32 <= rows.len().
                unsafe {
                    let q = _mm256_loadu_si256(query.as_ptr().add(at).cast());
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let x = _mm256_loadu_si256(rows.as_ptr().add((r + i) * stride + at).cast());
                        // |x| · (q with x's sign): two such products fit 16 bits because codes
                        // stay within ±127, so nothing saturates.
                        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(q, x));
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                    }
                }
                at += 32;
            }
            for (i, sum) in sums.into_iter().enumerate() {
                let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
                let half = _mm_add_epi32(half, _mm_shuffle_epi32::<0b00_00_11_10>(half));
                let half = _mm_add_epi32(half, _mm_shuffle_epi32::<0b00_00_00_01>(half));
                out[r + i] = _mm_cvtsi128_si32(half);
            }
            r += 2;
        }
        super::dots_i8_portable(query, &rows[r * stride..], &mut out[r..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Random;

    #[test]
    fn every_path_gives_the_same_bits() {
        let mut random = Random(3);
        for stride in [64, 128, 256, 320, 1024, 65_536] {
            for rows in [0, 1, 2, 3, 5, 8, 9, 17] {
                let query: Vec<i8> = (0..stride).map(|_| random.below(255) as u8 as i8).map(|c| c.max(-127)).collect();
                let mut codes: Vec<i8> =
                    (0..stride * rows).map(|_| random.below(255) as u8 as i8).map(|c| c.max(-127)).collect();
                if let Some(row) = codes.chunks_exact_mut(stride).next() {
                    row.fill(-127);
                }
                let slow: Vec<i32> = codes
                    .chunks_exact(stride)
                    .map(|r| r.iter().zip(&query).map(|(a, b)| *a as i32 * *b as i32).sum())
                    .collect();
                for path in Path::all() {
                    let mut out = vec![0; rows];
                    dots_i8(path, &query, query.iter().map(|q| i32::from(*q)).sum(), &codes, &mut out);
                    assert_eq!(out, slow, "{path:?} {stride}x{rows}");
                }
            }
        }
    }

    #[test]
    fn extremes_do_not_saturate() {
        for (q, x) in [(127i8, 127i8), (-127, 127), (127, -127), (-127, -127)] {
            for path in Path::all() {
                let mut out = [0; 9];
                dots_i8(path, &[q; 65_536], 65_536 * i32::from(q), &vec![x; 9 * 65_536], &mut out);
                assert_eq!(out, [i32::from(q) * i32::from(x) * 65_536; 9], "{path:?}");
            }
        }
    }

    #[test]
    fn floats_agree_bit_for_bit() {
        let mut random = Random(5);
        for n in [0, 1, 31, 32, 33, 100, 256, 1000] {
            let a: Vec<f32> = (0..n).map(|_| random.normal()).collect();
            let b: Vec<f32> = (0..n).map(|_| random.normal()).collect();
            let exact: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            for path in Path::all() {
                let dot = dot_f32(path, &a, &b);
                assert_eq!(dot.to_bits(), lanes(&a, &b).to_bits(), "{path:?} {n}");
                assert!((f64::from(dot) - exact).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn a_wish_is_granted_or_refused() {
        assert_eq!(choose(Some("portable")), Ok(Path::Portable));
        assert_eq!(choose(None).ok(), Path::all().last().copied());
        assert!(choose(Some("sse9")).unwrap_err().contains("portable"));
    }
}
