//! Which instructions are taken here: the best that this processor has, or what `LIKEBUT_CPU` asks for.

use std::sync::OnceLock;

/// A way to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// What the compiler makes of plain Rust; on ARM that is NEON.
    Portable,
    /// 256-bit vectors with fused multiply-add, and halves widened; with products of 8-bit quadruples (AVX-VNNI) where there are some.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors; with products of 8-bit quadruples (VNNI) where there are some.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 512-bit vectors with products of bf16 pairs and of 8-bit quadruples (VNNI).
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// The same, and tile registers for bf16 and 8-bit integers.
    #[cfg(target_arch = "x86_64")]
    Amx,
}

impl Path {
    /// Its name, as `LIKEBUT_CPU` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Path::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Path::Avx512Bf16 => "avx512-bf16",
            #[cfg(target_arch = "x86_64")]
            Path::Amx => "amx",
        }
    }

    /// Whether it has an instruction for products of bf16; elsewhere they are no faster than f32.
    pub fn multiplies_bf16(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512Bf16 | Path::Amx => true,
            _ => false,
        }
    }

    /// Whether the path has an instruction for products of bytes here. Processors have had it for longer than the one
    /// for bf16, and those without 512-bit vectors got it for 256 bits.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn multiplies_bytes(self) -> bool {
        match self {
            Path::Portable => false,
            Path::Avx2 => is_x86_feature_detected!("avxvnni"),
            Path::Avx512 => is_x86_feature_detected!("avx512vnni"),
            Path::Avx512Bf16 | Path::Amx => true,
        }
    }

    /// All the ways that this processor has, the fastest last.
    pub fn all() -> &'static [Path] {
        static ALL: OnceLock<Vec<Path>> = OnceLock::new();
        ALL.get_or_init(|| {
            #[allow(unused_mut)]
            let mut all = vec![Path::Portable];
            #[cfg(target_arch = "x86_64")]
            {
                if is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
                {
                    all.push(Path::Avx2);
                    if is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512dq")
                        && is_x86_feature_detected!("avx512vl")
                    {
                        all.push(Path::Avx512);
                        if is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vnni") {
                            let at = all.len() - usize::from(bf16_at_half_speed());
                            all.insert(at, Path::Avx512Bf16);
                            // Tests take it anywhere, on a twin of the instructions.
                            #[cfg(all(test, target_os = "linux", not(miri)))]
                            let amx = amx() || crate::product::amx_twin::stand_in();
                            #[cfg(not(all(test, target_os = "linux", not(miri))))]
                            let amx = amx();
                            if amx {
                                all.push(Path::Amx);
                            }
                        }
                    }
                }
            }
            all
        })
    }

    /// The way taken here.
    ///
    /// `LIKEBUT_CPU=avx512` also takes what extends it (the scan of the library has only that name),
    /// but for `amx`; `avx512-plain` leaves the extension out. A wish that this processor cannot grant is refused
    /// with a message where a library is opened; here, where no error can be returned, it counts
    /// for nothing.
    pub fn chosen() -> Path {
        #[cfg(test)]
        if let Some(path) = FORCED.get() {
            return path;
        }
        static CHOSEN: OnceLock<Path> = OnceLock::new();
        *CHOSEN.get_or_init(|| wished(std::env::var("LIKEBUT_CPU").ok().as_deref(), Path::all()))
    }
}

/// Whether products of bf16 pairs are slower here than the same products in f32. Intel's processors begin one in
/// two cycles, and four of f32, which multiply as many numbers twice; AMD's begin as many of either. Those of
/// Intel's that are meant to multiply bf16 have AMX for it, but a virtual machine may be without.
#[cfg(target_arch = "x86_64")]
fn bf16_at_half_speed() -> bool {
    let id = std::arch::x86_64::__cpuid(0);
    [id.ebx, id.edx, id.ecx].map(u32::to_le_bytes).concat() == b"GenuineIntel"
}

/// Whether the processor has AMX for bf16 and bytes, the system saves its registers, and lets this process
/// have them: Linux wants to be asked, once, before the first use, because they are 8 KiB in every thread.
#[cfg(target_arch = "x86_64")]
fn amx() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        const BF16_TILE_INT8: u32 = 1 << 22 | 1 << 24 | 1 << 25;
        const SAVED: u32 = 1 << 17 | 1 << 18;
        const XSAVE_IN_USE: u32 = 1 << 27;
        const ASK: libc::c_long = 0x1023; // ARCH_REQ_XCOMP_PERM
        const TILE_DATA: libc::c_long = 18;
        if __cpuid(0).eax < 7
            || __cpuid_count(7, 0).edx & BF16_TILE_INT8 != BF16_TILE_INT8
            || __cpuid(1).ecx & XSAVE_IN_USE == 0
        {
            return false;
        }
        let saved: u32;
        // SAFETY: the system has said that it uses this register, so it may be read.
        unsafe { std::arch::asm!("xgetbv", in("ecx") 0, out("eax") saved, out("edx") _, options(nomem, nostack)) };
        // SAFETY: the call takes two numbers and touches no memory of ours.
        saved & SAVED == SAVED && unsafe { libc::syscall(libc::SYS_arch_prctl, ASK, TILE_DATA) } == 0
    }
    #[cfg(not(target_os = "linux"))]
    false
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Path>> = const { std::cell::Cell::new(None) };
}

/// Runs `work` with another path chosen on this thread.
#[cfg(test)]
pub(crate) fn forced<T>(path: Path, work: impl FnOnce() -> T) -> T {
    let former = FORCED.replace(Some(path));
    let out = work();
    FORCED.set(former);
    out
}

fn wished(wish: Option<&str>, all: &[Path]) -> Path {
    let best = all.last().copied().unwrap_or(Path::Portable);
    let named = |name: &str| all.iter().copied().find(|p| p.name() == name);
    let of = |names: &[&str]| all.iter().copied().rfind(|p| names.contains(&p.name()));
    match wish {
        Some("avx512") => of(&["avx512", "avx512-bf16"]),
        Some("avx512-plain") => named("avx512"),
        Some(name) => named(name),
        None => None,
    }
    .unwrap_or(best)
}

/// Runs `$body` compiled for AVX-512, for AVX2 with FMA, or for any machine.
///
/// The body is an `#[inline(always)]` function of slices whose first parameter says whether fused
/// multiply-add is an instruction here: without one, `mul_add` would be a slow library call.
/// The first argument of the function made is the [`Path`].
macro_rules! at_width {
    ($name:ident => $body:ident ( $($arg:ident : $ty:ty),* $(,)? )) => {
        fn $name(path: $crate::Path, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
            fn wide($($arg: $ty),*) { $body::<true>($($arg),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn half($($arg: $ty),*) { $body::<true>($($arg),*) }
            match path {
                // On ARM fused multiply-add is always there.
                $crate::Path::Portable => $body::<{ cfg!(target_arch = "aarch64") }>($($arg),*),
                // SAFETY: a path other than portable comes from `Path::all`, which has asked the
                // processor for these features.
                #[cfg(target_arch = "x86_64")]
                $crate::Path::Avx2 => unsafe { half($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::Path::Avx512 | $crate::Path::Avx512Bf16 | $crate::Path::Amx => unsafe { wide($($arg),*) },
            }
        }
    };
}
pub(crate) use at_width;

#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_granted_where_it_can_be() {
        let all = Path::all();
        assert_eq!(wished(Some("portable"), all), Path::Portable);
        assert_eq!(wished(None, all), *all.last().unwrap());
        assert_eq!(wished(Some("sse9"), all), *all.last().unwrap());
        assert_eq!(wished(Some("avx512"), all).name().starts_with("avx512"), all.len() > 2);
    }
}
