//! What the machine itself can do, on the threads of the pool: the ceilings that a network is held against.
//!
//! *Units*: [`OPERATIONS`] multiplications and additions on numbers that never leave the registers, by the
//! widest instruction that `kernels` would use for such numbers. Nothing that reads its factors from anywhere
//! can be faster. *Memory*: one pass over [`BYTES`] bytes, far more than any cache holds. `infer.py` knows both
//! numbers.

use crate::asked::Work;
use rayon::prelude::*;

/// Multiplications and additions of one run of `units`, all threads together; a few less where they do not divide.
const OPERATIONS: usize = 1 << 35;
/// Bytes read by one run of `memory`.
const BYTES: usize = 1 << 29;

/// A run of one ceiling, `None` for a name that is none, and for units whose instructions this file does not write.
pub fn named(work: &str, numbers: &str) -> Option<Work> {
    match work {
        "memory" => {
            let words: Vec<u64> = (0..BYTES as u64 / 8).collect();
            Some(Box::new(move || {
                let sum = |part: &[u64]| part.iter().fold(0u64, |sum, w| sum ^ w);
                std::hint::black_box(words.par_chunks(1 << 16).map(sum).reduce(|| 0, |a, b| a ^ b));
            }))
        }
        #[cfg(target_arch = "x86_64")]
        "units" => {
            let (each, turns) = x86::of(numbers)?;
            Some(Box::new(move || {
                rayon::broadcast(|team| turns(OPERATIONS / team.num_threads() / each));
            }))
        }
        _ => None,
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Sums that are added to in turns: enough that none waits for itself.
    const SUMS: usize = 16;

    /// Operations of one turn, and what makes that many turns.
    pub fn of(numbers: &str) -> Option<(usize, fn(usize))> {
        let has = is_x86_feature_detected!("avx512f");
        let has_half = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        match numbers {
            // Where no instruction multiplies bf16, or a slow one, what multiplies them is that of f32.
            "f32" | "bf16" if has && (numbers == "f32" || !kernels::Path::chosen().multiplies_bf16()) => {
                Some((SUMS * 32, |n| {
                    // SAFETY: what it needs was just found to be there.
                    unsafe { f32_wide(n) }
                }))
            }
            "bf16" if has && is_x86_feature_detected!("avx512bf16") => Some((SUMS * 64, |n| {
                // SAFETY: as above.
                unsafe { bf16_wide(n) }
            })),
            "int8" if has && is_x86_feature_detected!("avx512vnni") => Some((SUMS * 128, |n| {
                // SAFETY: as above.
                unsafe { int8_wide(n) }
            })),
            "f32" | "bf16" if has_half && (numbers == "f32" || !kernels::Path::chosen().multiplies_bf16()) => {
                Some((SUMS / 2 * 16, |n| {
                    // SAFETY: as above.
                    unsafe { f32_half(n) }
                }))
            }
            "int8" if has_half && !is_x86_feature_detected!("avxvnni") => Some((SUMS / 2 * 64, |n| {
                // SAFETY: as above.
                unsafe { int8_half(n) }
            })),
            _ => None,
        }
    }

    macro_rules! turns {
        ($name:ident, $features:literal, $sums:expr, $zero:expr, $factor:expr, |$sum:ident, $x:ident| $step:expr) => {
            #[target_feature(enable = $features)]
            fn $name(turns: usize) {
                let $x = black_box($factor);
                let mut sums = [$zero; $sums];
                for _ in 0..turns {
                    for $sum in &mut sums {
                        *$sum = $step;
                    }
                }
                black_box(sums);
            }
        };
    }

    turns!(f32_wide, "avx512f", SUMS, _mm512_setzero_ps(), _mm512_set1_ps(1.5), |s, x| _mm512_fmadd_ps(x, x, *s));
    turns!(f32_half, "avx2,fma", SUMS / 2, _mm256_setzero_ps(), _mm256_set1_ps(1.5), |s, x| _mm256_fmadd_ps(x, x, *s));
    // Two products in 16 bits, two of those in 32, and one to the sum: where no instruction does it at once.
    turns!(int8_half, "avx2", SUMS / 2, _mm256_setzero_si256(), _mm256_set1_epi32(0x0101_0101), |s, x| {
        _mm256_add_epi32(*s, _mm256_madd_epi16(_mm256_maddubs_epi16(x, *s), _mm256_set1_epi16(1)))
    });
    turns!(int8_wide, "avx512f,avx512vnni", SUMS, _mm512_setzero_si512(), _mm512_set1_epi32(0x0101_0101), |s, x| {
        _mm512_dpbusd_epi32(*s, x, x)
    });
    turns!(bf16_wide, "avx512f,avx512bf16", SUMS, _mm512_setzero_ps(), _mm512_set1_epi32(0x3f80_3f80), |s, x| {
        // SAFETY: both are 64 bytes without a bit that means nothing.
        let x = unsafe { std::mem::transmute::<__m512i, __m512bh>(x) };
        _mm512_dpbf16_ps(*s, x, x)
    });
}
