//! The micro-kernel: a small tile of the output, held in registers, while k runs.
//!
//! Written once. What differs from machine to machine is a [`Lane`]: how wide a vector is, and the
//! one instruction that adds a product to it.
//! Operands come as 32-bit *words*: one f32, or two bf16, or four 8-bit integers that are adjacent
//! along k. So the loop is the same for all of them.

/// Floats or integers side by side in a register, and the instruction that accumulates products.
///
/// # Safety
/// The methods may be executed only where the instructions exist; pointers are to as many words as
/// the vector has lanes (`a`: to one word), unaligned.
pub(super) unsafe trait Lane {
    /// The accumulators.
    type Acc: Copy;
    /// Words of `b`, one for each lane.
    type Words: Copy;
    /// Lanes of a vector.
    const LANES: usize;
    /// Words of `a` that meet one of `b`: two where `b` holds pairs that are multiplied one after the other.
    const PARTS: usize = 1;
    unsafe fn zero() -> Self::Acc;
    unsafe fn load(b: *const u32) -> Self::Words;
    /// Whether it multiplies f32, which [halves](super::half) may stand for.
    const HALVES: bool = false;
    /// The numbers of as many halves, which are kept at `to` as well. Only where [`Lane::HALVES`].
    #[inline(always)]
    unsafe fn widen(_b: *const u32, _to: *mut u32) -> Self::Words {
        unreachable!("halves stand for f32 alone")
    }
    /// What of `b` meets the word of `a` with that index, below [`Lane::PARTS`].
    #[inline(always)]
    unsafe fn part(b: Self::Words, _i: usize) -> Self::Words {
        b
    }
    /// `acc + a · b`, where the one word at `a` meets each lane.
    unsafe fn add(acc: Self::Acc, a: *const u32, b: Self::Words) -> Self::Acc;
    unsafe fn store(acc: Self::Acc, to: *mut f32);
}

/// Words from row to row of a packed block of the left factor. A little more than a block is wide, and
/// no power of two, so that neighbours do not fall onto each other in the cache.
pub(super) const ROW_WORDS: usize = super::BLOCK + 16;

/// Words from word to word along k, where a block lies in columns: as many as it has rows, and a tile more.
pub(super) const COLUMN_WORDS: usize = super::MOST_ROWS + 24;

/// Words in a cache line.
pub(super) const LINE: usize = 16;

/// What will be read soon: where it begins, and how many words on the next step asks.
#[derive(Clone, Copy)]
pub(super) struct Soon {
    pub from: *const u32,
    pub step: usize,
}

impl Soon {
    /// The part of the next panel, so many words, that falls to one of the tiles of this one, which take so many
    /// steps: all of them ask for a little, since memory gives no more at a time; a single tile can ask for a line with
    /// each step and no more.
    pub fn share(next: *const u32, words: usize, steps: usize, (tile, tiles): (usize, usize)) -> Self {
        let step = (words / steps.max(1)).div_ceil(tiles.max(1)).min(LINE);
        Self { from: next.wrapping_add(words * tile / tiles.max(1)), step }
    }
}

/// A panel of the right factor, word after word along k.
#[derive(Clone, Copy)]
pub(super) enum Panel {
    /// As it is multiplied.
    Words(*const u32),
    /// As halves, and where it is kept once widened: the first tile widens on its way what the others read.
    Halves(*const u32, *mut u32),
}

impl Panel {
    /// Of what halves never stand for.
    pub fn words(self) -> *const u32 {
        match self {
            Panel::Words(words) => words,
            Panel::Halves(..) => unreachable!("halves stand for f32 alone"),
        }
    }
}

/// How `a` was packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Row after row, [`ROW_WORDS`] apart.
    Rows,
    /// Word after word along k, [`COLUMN_WORDS`] apart, the rows side by side.
    Columns,
}

/// `out[r][c] = Σ_k a[r][k] · b[k][c]` for `R` rows and `V` vectors of columns.
///
/// `ROW` and `STEP` are the words from row to row and along k in `a`; `b` advances by `b_step`.
/// They are constants so that every row is an address with a fixed distance: there are more rows
/// than registers for addresses. With each step a line is asked for, from `soon` on: what will be read
/// after this tile, which nobody else sees coming. `HALVES` says which kind of [`Panel`] `b` is.
///
/// # Safety
/// The instructions of `L` exist; `a` holds `R` rows of `words · PARTS` words in that order, `b` holds
/// `words` times `b_step ≥ V · LANES` words, or as many halves and room for the words, and `out` has room for `R` rows
/// of `out_step ≥ V · LANES` floats.
#[inline(always)]
pub(super) unsafe fn tile<
    L: Lane,
    const R: usize,
    const V: usize,
    const ROW: usize,
    const STEP: usize,
    const HALVES: bool,
>(
    a: *const u32,
    (b, mut wide): (*const u32, *mut u32),
    b_step: usize,
    words: usize,
    soon: Soon,
    out: *mut f32,
    out_step: usize,
) {
    // SAFETY: every access below is one of those that the contract lists.
    unsafe {
        let mut acc = [[L::zero(); V]; R];
        let (mut a, mut b, mut line) = (a, b, soon.from);
        for _ in 0..words {
            fetch(line);
            line = line.wrapping_add(soon.step);
            let load = |v: usize| match HALVES {
                true => L::widen(b.add(v * L::LANES / 2), wide.add(v * L::LANES)),
                false => L::load(b.add(v * L::LANES)),
            };
            let mut cols = [load(0); V];
            for (v, cols) in cols.iter_mut().enumerate().skip(1) {
                *cols = load(v);
            }
            for i in 0..L::PARTS {
                let mut parts = cols;
                for part in &mut parts {
                    *part = L::part(*part, i);
                }
                for (r, acc) in acc.iter_mut().enumerate() {
                    for (acc, part) in acc.iter_mut().zip(parts) {
                        *acc = L::add(*acc, a.add(r * ROW), part);
                    }
                }
                a = a.add(STEP);
            }
            b = b.add(if HALVES { b_step / 2 } else { b_step });
            wide = wide.wrapping_add(b_step);
        }
        for (r, acc) in acc.into_iter().enumerate() {
            for (v, acc) in acc.into_iter().enumerate() {
                L::store(acc, out.add(r * out_step + v * L::LANES));
            }
        }
    }
}

/// Asks for a cache line, to the second level. A hint: nothing is read, whatever the address.
#[inline(always)]
fn fetch(line: *const u32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: prefetching never faults, whatever the address; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

/// A register tile of one machine: its size, and the kernel compiled for it.
///
/// # Safety
/// `run` has the contract of [`tile`] with `R = ROWS`, `V · LANES = COLS` and `b_step = COLS`, and is called
/// between `enter` and `leave`; all three only where the machine has the instructions.
pub(super) unsafe trait Tile {
    /// Rows.
    const ROWS: usize;
    /// Columns.
    const COLS: usize;
    /// Rows of the left factor that are packed and used together, if there are many.
    const BLOCK: usize = super::ROWS;
    /// Before a thread's first tile of a piece.
    unsafe fn enter() {}
    /// After its last.
    unsafe fn leave() {}
    /// Computes a tile of which only the first rows and columns, `size`, are needed.
    unsafe fn run(order: Order, a: *const u32, b: Panel, words: usize, soon: Soon, size: (usize, usize), out: *mut f32);
}

/// Makes a [`Tile`] of a [`Lane`]: all rows and columns, or, at the edges of a matrix, half of them.
macro_rules! tile_of {
    ($name:ident: $lane:ident, $rows:literal / $few:literal / $fewer:literal by $vecs:literal $(, $features:literal)?) => {
        pub(super) struct $name;
        // SAFETY: passes its contract on; the features are those of the lane.
        unsafe impl Tile for $name {
            const ROWS: usize = $rows;
            const BLOCK: usize = super::ROWS / $rows * $rows;
            const COLS: usize = $vecs * <$lane as Lane>::LANES;
            $(#[target_feature(enable = $features)])?
            unsafe fn run(order: Order, a: *const u32, b: Panel, words: usize, soon: Soon, size: (usize, usize), out: *mut f32) {
                // SAFETY: the caller's contract.
                unsafe {
                    match b {
                        Panel::Halves(b, wide) if $lane::HALVES => $name::sized::<true>(order, a, (b, wide), words, soon, size, out),
                        b => $name::sized::<false>(order, a, (b.words(), std::ptr::null_mut()), words, soon, size, out),
                    }
                }
            }
        }
        impl $name {
            /// # Safety
            /// As `run`.
            #[inline(always)]
            unsafe fn sized<const H: bool>(order: Order, a: *const u32, b: (*const u32, *mut u32), words: usize, soon: Soon, (rows, cols): (usize, usize), out: *mut f32) {
                const LANES: usize = <$lane as Lane>::LANES;
                const N: usize = $vecs * LANES;
                const W: usize = ROW_WORDS;
                const C: usize = COLUMN_WORDS;
                // SAFETY: the caller's contract; the smaller tiles read and write a part of it.
                unsafe {
                    match (order, rows, cols <= LANES) {
                        (Order::Rows, 0..=$fewer, false) => tile::<$lane, $fewer, $vecs, W, 1, H>(a, b, N, words, soon, out, N),
                        (Order::Rows, 0..=$few, false) => tile::<$lane, $few, $vecs, W, 1, H>(a, b, N, words, soon, out, N),
                        (Order::Rows, _, false) => tile::<$lane, $rows, $vecs, W, 1, H>(a, b, N, words, soon, out, N),
                        (Order::Rows, _, true) => tile::<$lane, $rows, 1, W, 1, H>(a, b, N, words, soon, out, N),
                        (Order::Columns, _, false) => tile::<$lane, $rows, $vecs, 1, C, H>(a, b, N, words, soon, out, N),
                        (Order::Columns, _, true) => tile::<$lane, $rows, 1, 1, C, H>(a, b, N, words, soon, out, N),
                    }
                }
            }
        }
    };
}

tile_of!(PortableF32: PlainF32, 4 / 2 / 1 by 2);
tile_of!(PortableBf16: PlainBf16, 4 / 2 / 1 by 2);
tile_of!(PortableInt8: PlainInt8, 4 / 2 / 1 by 2);
#[cfg(target_arch = "x86_64")]
tile_of!(Avx2Int8: YmmInt8, 5 / 3 / 2 by 2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
tile_of!(Avx2Vnni: YmmVnni, 6 / 4 / 2 by 2, "avx2,avxvnni");
#[cfg(target_arch = "x86_64")]
tile_of!(Avx512Int8: ZmmInt8, 14 / 8 / 4 by 2, "avx512f,avx512vnni");
#[cfg(target_arch = "x86_64")]
tile_of!(Avx2F32: YmmF32, 6 / 4 / 2 by 2, "avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
tile_of!(Avx2Bf16: YmmBf16, 5 / 3 / 2 by 2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
tile_of!(Avx512F32: ZmmF32, 12 / 8 / 4 by 2, "avx512f");
#[cfg(target_arch = "x86_64")]
tile_of!(Avx512Bf16Shifted: ZmmBf16Shifted, 12 / 8 / 4 by 2, "avx512f");
#[cfg(target_arch = "x86_64")]
tile_of!(Avx512Bf16: ZmmBf16, 12 / 8 / 4 by 2, "avx512f,avx512bf16");

struct PlainF32;
// SAFETY: plain Rust; reads and writes what the contract says.
unsafe impl Lane for PlainF32 {
    type Acc = [f32; 8];
    type Words = [u32; 8];
    const LANES: usize = 8;
    const HALVES: bool = true;
    #[inline(always)]
    unsafe fn widen(b: *const u32, to: *mut u32) -> Self::Words {
        // SAFETY: the contract of the trait.
        let pairs = unsafe { b.cast::<[u32; 4]>().read_unaligned() };
        let words = std::array::from_fn(|i| super::half::widened(pairs[i / 2] >> (16 * (i % 2)) & 0xffff).to_bits());
        // SAFETY: the contract of the trait.
        unsafe { to.cast::<[u32; 8]>().write_unaligned(words) };
        words
    }
    #[inline(always)]
    unsafe fn zero() -> Self::Acc {
        [0.0; 8]
    }
    #[inline(always)]
    unsafe fn load(b: *const u32) -> Self::Words {
        // SAFETY: the contract of the trait.
        unsafe { b.cast::<[u32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn add(acc: Self::Acc, a: *const u32, b: Self::Words) -> Self::Acc {
        // SAFETY: the contract of the trait.
        let a = f32::from_bits(unsafe { a.read() });
        std::array::from_fn(|i| acc[i] + a * f32::from_bits(b[i]))
    }
    #[inline(always)]
    unsafe fn store(acc: Self::Acc, to: *mut f32) {
        // SAFETY: the contract of the trait.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(acc) }
    }
}

struct PlainBf16;
// SAFETY: as above.
unsafe impl Lane for PlainBf16 {
    type Acc = [f32; 8];
    type Words = [u32; 8];
    const LANES: usize = 8;
    const PARTS: usize = 2;
    #[inline(always)]
    unsafe fn zero() -> Self::Acc {
        [0.0; 8]
    }
    #[inline(always)]
    unsafe fn load(b: *const u32) -> Self::Words {
        // SAFETY: the contract of the trait.
        unsafe { PlainF32::load(b) }
    }
    #[inline(always)]
    unsafe fn add(acc: Self::Acc, a: *const u32, b: Self::Words) -> Self::Acc {
        // SAFETY: the contract of the trait.
        unsafe { PlainF32::add(acc, a, b) }
    }
    #[inline(always)]
    unsafe fn part(b: Self::Words, i: usize) -> Self::Words {
        b.map(|word| if i == 0 { word << 16 } else { word & 0xffff_0000 })
    }
    #[inline(always)]
    unsafe fn store(acc: Self::Acc, to: *mut f32) {
        // SAFETY: the contract of the trait.
        unsafe { PlainF32::store(acc, to) }
    }
}

struct PlainInt8;
// SAFETY: as above.
unsafe impl Lane for PlainInt8 {
    type Acc = [i32; 8];
    type Words = [u32; 8];
    const LANES: usize = 8;
    #[inline(always)]
    unsafe fn zero() -> Self::Acc {
        [0; 8]
    }
    #[inline(always)]
    unsafe fn load(b: *const u32) -> Self::Words {
        // SAFETY: the contract of the trait.
        unsafe { PlainF32::load(b) }
    }
    #[inline(always)]
    unsafe fn add(acc: Self::Acc, a: *const u32, b: Self::Words) -> Self::Acc {
        // SAFETY: the contract of the trait.
        let a = unsafe { a.read() }.to_le_bytes();
        std::array::from_fn(|i| {
            let b = b[i].to_le_bytes();
            (0..4).fold(acc[i], |sum, j| sum + i32::from(a[j]) * i32::from(b[j] as i8))
        })
    }
    #[inline(always)]
    unsafe fn store(acc: Self::Acc, to: *mut f32) {
        // SAFETY: the contract of the trait.
        unsafe { PlainF32::store(acc.map(|x| x as f32), to) }
    }
}

#[cfg(target_arch = "x86_64")]
use x86::*;

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The lanes of x86: one line of intrinsics for each thing a lane can do.

    use super::Lane;
    use std::arch::x86_64::*;

    /// The second bf16 of a word, where it stands as f32; the first is moved there.
    const HIGH: i32 = 0xffff_0000_u32 as i32;

    macro_rules! lane {
        ($name:ident, $acc:ty, $words:ty, $lanes:literal, $zero:expr, |$b:ident| $load:expr, |$s:ident, $a:ident, $w:ident| $add:expr, |$out:ident, $to:ident| $store:expr $(, |$pair:ident| $low:expr, $high:expr)? $(; |$halves:ident| $widen:expr)?) => {
            pub struct $name;
            // SAFETY: the vector has that many lanes, and loads and stores are unaligned; every
            // method is called only from a kernel compiled for the feature.
            unsafe impl Lane for $name {
                type Acc = $acc;
                type Words = $words;
                const LANES: usize = $lanes;
                $(
                const PARTS: usize = 2;
                #[inline(always)]
                unsafe fn part($pair: $words, i: usize) -> $words {
                    // SAFETY: the contract of the trait.
                    unsafe { if i == 0 { $low } else { $high } }
                }
                )?
                $(
                const HALVES: bool = true;
                #[inline(always)]
                unsafe fn widen($halves: *const u32, to: *mut u32) -> $words {
                    // SAFETY: the contract of the trait.
                    unsafe {
                        let wide = $widen;
                        Self::store(wide, to.cast());
                        wide
                    }
                }
                )?
                #[inline(always)]
                unsafe fn zero() -> $acc {
                    // SAFETY: the contract of the trait.
                    unsafe { $zero }
                }
                #[inline(always)]
                unsafe fn load($b: *const u32) -> $words {
                    // SAFETY: the contract of the trait.
                    unsafe { $load }
                }
                #[inline(always)]
                unsafe fn add($s: $acc, $a: *const u32, $w: $words) -> $acc {
                    // SAFETY: the contract of the trait.
                    unsafe { $add }
                }
                #[inline(always)]
                unsafe fn store($out: $acc, $to: *mut f32) {
                    // SAFETY: the contract of the trait.
                    unsafe { $store }
                }
            }
        };
    }

    lane!(
        YmmF32,
        __m256,
        __m256,
        8,
        _mm256_setzero_ps(),
        |b| _mm256_loadu_ps(b.cast()),
        |s, a, w| _mm256_fmadd_ps(_mm256_broadcast_ss(&*a.cast::<f32>()), w, s),
        |s, to| _mm256_storeu_ps(to, s);
        |halves| _mm256_cvtph_ps(_mm_loadu_si128(halves.cast()))
    );
    lane!(
        YmmBf16,
        __m256,
        __m256i,
        8,
        _mm256_setzero_ps(),
        |b| _mm256_loadu_si256(b.cast()),
        |s, a, w| _mm256_fmadd_ps(_mm256_broadcast_ss(&*a.cast::<f32>()), _mm256_castsi256_ps(w), s),
        |s, to| _mm256_storeu_ps(to, s),
        |w| _mm256_slli_epi32::<16>(w),
        _mm256_and_si256(w, _mm256_set1_epi32(HIGH))
    );
    lane!(
        ZmmF32,
        __m512,
        __m512,
        16,
        _mm512_setzero_ps(),
        |b| _mm512_loadu_ps(b.cast()),
        |s, a, w| _mm512_fmadd_ps(_mm512_set1_ps(a.cast::<f32>().read()), w, s),
        |s, to| _mm512_storeu_ps(to, s);
        |halves| _mm512_cvtph_ps(_mm256_loadu_si256(halves.cast()))
    );
    lane!(
        ZmmBf16Shifted,
        __m512,
        __m512i,
        16,
        _mm512_setzero_ps(),
        |b| _mm512_loadu_si512(b.cast()),
        |s, a, w| _mm512_fmadd_ps(_mm512_set1_ps(a.cast::<f32>().read()), _mm512_castsi512_ps(w), s),
        |s, to| _mm512_storeu_ps(to, s),
        |w| _mm512_slli_epi32::<16>(w),
        _mm512_and_si512(w, _mm512_set1_epi32(HIGH))
    );
    lane!(
        ZmmBf16,
        __m512,
        __m512i,
        16,
        _mm512_setzero_ps(),
        |b| _mm512_loadu_si512(b.cast()),
        |s, a, w| {
            let a = _mm512_set1_epi32(a.cast::<i32>().read());
            // SAFETY: a vector of bf16 pairs and one of words are the same 64 bytes.
            _mm512_dpbf16_ps(
                s,
                std::mem::transmute::<__m512i, __m512bh>(a),
                std::mem::transmute::<__m512i, __m512bh>(w),
            )
        },
        |s, to| _mm512_storeu_ps(to, s)
    );

    lane!(
        YmmInt8,
        __m256i,
        __m256i,
        8,
        _mm256_setzero_si256(),
        |b| _mm256_loadu_si256(b.cast()),
        |s, a, w| {
            // Sums of two adjacent products stay within 16 bits, since the right factor's bytes are at most 64.
            let pairs = _mm256_maddubs_epi16(_mm256_set1_epi32(a.cast::<i32>().read()), w);
            _mm256_add_epi32(s, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        },
        |s, to| _mm256_storeu_ps(to, _mm256_cvtepi32_ps(s))
    );
    lane!(
        YmmVnni,
        __m256i,
        __m256i,
        8,
        _mm256_setzero_si256(),
        |b| _mm256_loadu_si256(b.cast()),
        |s, a, w| _mm256_dpbusd_avx_epi32(s, _mm256_set1_epi32(a.cast::<i32>().read()), w),
        |s, to| _mm256_storeu_ps(to, _mm256_cvtepi32_ps(s))
    );
    lane!(
        ZmmInt8,
        __m512i,
        __m512i,
        16,
        _mm512_setzero_si512(),
        |b| _mm512_loadu_si512(b.cast()),
        |s, a, w| _mm512_dpbusd_epi32(s, _mm512_set1_epi32(a.cast::<i32>().read()), w),
        |s, to| _mm512_storeu_ps(to, _mm512_cvtepi32_ps(s))
    );
}
