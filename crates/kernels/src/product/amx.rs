//! Tiles of AMX: one instruction multiplies 16 rows by 16 columns, 32 numbers (bf16) or 64 (bytes) of k deep.
//!
//! What was packed for the vector kernels is what the tile registers read: a row of the left factor is its
//! words one after the other, a panel of the right one has a row of columns for each word of k. So only
//! the micro-kernel is new: two by two registers of sums, 32 rows by 32 columns, which use each loaded
//! tile twice.
//!
//! The registers must be configured before use, and while they are, every change of context saves them: a
//! piece of a product sets them up when it begins and releases them when it ends. Linux gives them only
//! to a process that has asked ([`crate::Path::all`] does).
//! Written as assembly, whose mnemonics are stable where the intrinsics are not.
//! Source: Intel, Software Developer's Manual, volume 1, chapter 18.

use super::micro::{Avx512Bf16, Order, Panel, ROW_WORDS, Soon, Tile};
use std::arch::asm;
use std::arch::x86_64::{_mm512_cvtepi32_ps, _mm512_loadu_si512, _mm512_storeu_ps};

/// Rows of a tile register, and words in each of them.
const SIDE: usize = 16;
/// Rows and columns of a tile of sums.
const TWO: usize = 2 * SIDE;
/// Rows of the left factor that are packed together: three tiles of sums.
const BLOCK: usize = 3 * TWO;

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Shape {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// All eight registers whole: what is beyond an edge is computed and not used.
static WHOLE: Shape = {
    let (mut bytes, mut rows) = ([0; 16], [0; 16]);
    let mut i = 0;
    while i < 8 {
        (bytes[i], rows[i]) = (4 * SIDE as u16, SIDE as u8);
        i += 1;
    }
    Shape { palette: 1, start: 0, reserved: [0; 14], bytes, rows }
};

/// What of two by two registers is needed; the upper left one always is.
#[derive(Clone, Copy)]
struct Needed {
    right: bool,
    low: bool,
}

/// One kernel for each kind of words: `$add` is the instruction that adds the products of two tiles.
macro_rules! sums {
    ($name:ident, $add:literal) => {
        /// Sums over `steps` tiles of k, on top of what is at `out` if they `go_on`.
        ///
        /// # Safety
        /// AMX is configured. Of `a` 16 rows, if `low` 32, [`ROW_WORDS`] apart, have `16 · steps` words; of
        /// `b` `16 · steps` rows, 32 words apart, have 16 words, if `right` 32; `out` is 32 × 32 words.
        unsafe fn $name(a: (*const u32, usize), b: *const u32, steps: usize, need: Needed, go_on: bool, out: *mut u32) {
            let (a, a_step) = a;
            // SAFETY: inside what the contract lists, where it is needed.
            let below = if need.low { unsafe { a.byte_add(SIDE * a_step) } } else { std::ptr::null() };
            // SAFETY: as above.
            let beside = if need.right { unsafe { b.add(SIDE) } } else { std::ptr::null() };
            // SAFETY: the contract: every load and store is inside what it lists; a register whose tile is
            // not needed holds whatever it held, and its sums are not used.
            unsafe {
                asm!(
                    "test {go_on:e}, {go_on:e}",
                    "jz 2f",
                    "tileloadd tmm0, [{out} + {row}*1]",
                    "tileloadd tmm1, [{out} + {row}*1 + 64]",
                    "tileloadd tmm2, [{out} + {row}*1 + 2048]",
                    "tileloadd tmm3, [{out} + {row}*1 + 2112]",
                    "jmp 3f",
                    "2:",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "3:",
                    "tileloadd tmm6, [{b} + {row}*1]",
                    "tileloadd tmm4, [{a} + {a_step}*1]",
                    concat!($add, " tmm0, tmm4, tmm6"),
                    "test {beside}, {beside}",
                    "jz 4f",
                    "tileloadd tmm7, [{beside} + {row}*1]",
                    concat!($add, " tmm1, tmm4, tmm7"),
                    "add {beside}, {run}",
                    "4:",
                    "test {below}, {below}",
                    "jz 5f",
                    "tileloadd tmm5, [{below} + {a_step}*1]",
                    concat!($add, " tmm2, tmm5, tmm6"),
                    concat!($add, " tmm3, tmm5, tmm7"),
                    "add {below}, 64",
                    "5:",
                    "add {a}, 64",
                    "add {b}, {run}",
                    "dec {steps}",
                    "jnz 3b",
                    "tilestored [{out} + {row}*1], tmm0",
                    "tilestored [{out} + {row}*1 + 64], tmm1",
                    "tilestored [{out} + {row}*1 + 2048], tmm2",
                    "tilestored [{out} + {row}*1 + 2112], tmm3",
                    a = inout(reg) a => _,
                    b = inout(reg) b => _,
                    below = inout(reg) below => _,
                    beside = inout(reg) beside => _,
                    steps = inout(reg) steps => _,
                    out = in(reg) out,
                    a_step = in(reg) a_step,
                    row = in(reg) 4 * TWO,
                    run = const 4 * TWO * SIDE,
                    go_on = in(reg) u32::from(go_on),
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}
sums!(sums_bf16, "tdpbf16ps");
sums!(sums_int8, "tdpbusd");

/// A function that [`sums!`] makes.
type Sums = unsafe fn((*const u32, usize), *const u32, usize, Needed, bool, *mut u32);

/// A whole tile: k to its end, whatever that is.
///
/// # Safety
/// The contract of [`Tile::run`] for rows, with AMX configured.
unsafe fn tile(sums: Sums, a: *const u32, b: *const u32, words: usize, (rows, cols): (usize, usize), out: *mut u32) {
    let need = Needed { low: rows > SIDE, right: cols > SIDE };
    let (steps, rest) = (words / SIDE, words % SIDE);
    if steps > 0 {
        // SAFETY: the contract: 32 rows of `words` words, as many rows of 32 words, and the tile.
        unsafe { sums((a, 4 * ROW_WORDS), b, steps, need, false, out) };
    }
    if rest > 0 || steps == 0 {
        // The end of k, with zeros after it.
        let mut left = [0u32; TWO * SIDE];
        let mut right = [0u32; SIDE * TWO];
        let done = steps * SIDE;
        // SAFETY: what is copied are the last words of each row that is needed, and the last rows.
        unsafe {
            for (r, to) in left.chunks_exact_mut(SIDE).enumerate().take(rows) {
                std::ptr::copy_nonoverlapping(a.add(r * ROW_WORDS + done), to.as_mut_ptr(), rest);
            }
            std::ptr::copy_nonoverlapping(b.add(done * TWO), right.as_mut_ptr(), rest * TWO);
            sums((left.as_ptr(), 4 * SIDE), right.as_ptr(), 1, need, steps > 0, out);
        }
    }
}

/// What both kinds of tile have in common.
macro_rules! two_by_two {
    () => {
        const ROWS: usize = TWO;
        const COLS: usize = TWO;
        const BLOCK: usize = BLOCK;

        unsafe fn enter() {
            // SAFETY: the contract.
            unsafe { configure() };
        }

        unsafe fn leave() {
            // SAFETY: the contract.
            unsafe { release() };
        }
    };
}

/// bf16 in f32.
pub(super) struct AmxBf16;
// SAFETY: passes its contract on.
unsafe impl Tile for AmxBf16 {
    two_by_two!();

    unsafe fn run(
        order: Order,
        a: *const u32,
        b: Panel,
        words: usize,
        soon: Soon,
        size: (usize, usize),
        out: *mut f32,
    ) {
        match order {
            // SAFETY: the contract.
            Order::Rows => unsafe { tile(sums_bf16, a, b.words(), words, size, out.cast()) },
            // Such a block would have to be turned over first; only gradients have them.
            Order::Columns => {
                const HIGH: usize = Avx512Bf16::ROWS;
                const { assert!(Avx512Bf16::COLS == TWO && super::MOST_TILE >= TWO.next_multiple_of(HIGH) * TWO) };
                for r in (0..size.0).step_by(HIGH) {
                    let size = (HIGH.min(size.0 - r), size.1);
                    // SAFETY: whoever has AMX has these vectors; rows lie side by side, and after the last there is
                    // room for a tile more, as there is in `out`.
                    unsafe { Avx512Bf16::run(order, a.add(r), b, words, soon, size, out.add(r * TWO)) };
                }
            }
        }
    }
}

/// Bytes in 32-bit integers.
pub(super) struct AmxInt8;
// SAFETY: passes its contract on; the sums are turned into floats where they lie.
unsafe impl Tile for AmxInt8 {
    two_by_two!();

    #[target_feature(enable = "avx512f")]
    unsafe fn run(
        order: Order,
        a: *const u32,
        b: Panel,
        words: usize,
        _soon: Soon,
        size: (usize, usize),
        out: *mut f32,
    ) {
        debug_assert!(order == Order::Rows, "the left factor of a product of bytes is row-major");
        // SAFETY: the contract; the tile is 32 × 32 words.
        unsafe {
            tile(sums_int8, a, b.words(), words, size, out.cast());
            for i in (0..size.0.next_multiple_of(SIDE) * TWO).step_by(SIDE) {
                let at = out.add(i);
                _mm512_storeu_ps(at, _mm512_cvtepi32_ps(_mm512_loadu_si512(at.cast())));
            }
        }
    }
}

/// # Safety
/// The processor has AMX and the process may use it.
unsafe fn configure() {
    // SAFETY: the contract; the memory is the 64 bytes that the instruction reads.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly, preserves_flags)) };
}

/// # Safety
/// As for [`configure`].
unsafe fn release() {
    // SAFETY: the contract.
    unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
}
