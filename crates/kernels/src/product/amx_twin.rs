//! AMX in plain Rust, for tests on processors that have none: its instructions are undefined there, and
//! the signal that says so computes what they would have.
//!
//! Slow and obvious. What is not one of the seven instructions that [`super::amx`] uses ends the process
//! as it would have without this.
//! Source: Intel, Software Developer's Manual, volume 2, and its pseudocode.

use std::cell::UnsafeCell;
use std::sync::OnceLock;

/// Rows of a tile register at most, and bytes of each.
const ROWS: usize = 16;
const BYTES: usize = 64;

/// A thread's registers.
struct Tiles {
    /// Rows and bytes of each as configured; nothing before `ldtilecfg`.
    shape: [(usize, usize); 8],
    data: [[[u8; BYTES]; ROWS]; 8],
}

thread_local! {
    /// Begun without a closure and never dropped, so that a signal may touch it.
    static TILES: UnsafeCell<Tiles> =
        const { UnsafeCell::new(Tiles { shape: [(0, 0); 8], data: [[[0; BYTES]; ROWS]; 8] }) };
}

/// From now on undefined instructions of AMX are computed; whether that could be arranged.
pub(crate) fn stand_in() -> bool {
    static DONE: OnceLock<bool> = OnceLock::new();
    *DONE.get_or_init(|| {
        // SAFETY: an all-zero `sigaction` is a valid one; the handler has the signature that `SA_SIGINFO` asks
        // for, touches only its thread's registers and what the instruction names, and allocates nothing.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = undefined as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
            libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut()) == 0
        }
    })
}

extern "C" fn undefined(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands over the context of the thread that was stopped, which waits for us.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let known = TILES.try_with(|tiles| {
        // SAFETY: this thread's, and no other frame of it looks at them: the instruction is ours to compute.
        unsafe { step(&mut *tiles.get(), registers) }
    });
    if known != Ok(Some(())) {
        // SAFETY: back to what happens without us; the instruction will be met again.
        unsafe { libc::signal(libc::SIGILL, libc::SIG_DFL) };
    }
}

/// Computes the instruction at the instruction pointer and steps over it; `None` if it is not known.
///
/// # Safety
/// The registers are those with which this thread met an undefined instruction.
unsafe fn step(tiles: &mut Tiles, registers: &mut [i64; 23]) -> Option<()> {
    const ORDER: [libc::c_int; 16] = [
        libc::REG_RAX,
        libc::REG_RCX,
        libc::REG_RDX,
        libc::REG_RBX,
        libc::REG_RSP,
        libc::REG_RBP,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
    ];
    let register = |i: u8| registers[ORDER[usize::from(i)] as usize];
    let at = registers[libc::REG_RIP as usize] as *const u8;
    // SAFETY: the processor has read the instruction there; of a longer one than it is only more code.
    let byte = |i: usize| unsafe { at.add(i).read() };
    // Three bytes of VEX, map 0F 38, 128 bits wide.
    let (first, second) = (byte(1), byte(2));
    if byte(0) != 0xc4 || first & 0x1f != 2 || second & 0x84 != 0 {
        return None;
    }
    let (high_index, high_base) = ((!first >> 6 & 1) << 3, (!first >> 5 & 1) << 3);
    let (third_operand, prefix) = (usize::from(!second >> 3 & 0xf), second & 3);
    let (opcode, modrm) = (byte(3), byte(4));
    let (mode, reg, rm) = (modrm >> 6, usize::from(modrm >> 3 & 7), modrm & 7);

    // Where memory is meant: base and distance, and what comes with each row.
    let (mut length, mut base, mut stride) = (5, 0i64, 0i64);
    if mode != 3 {
        let mut low = rm;
        if rm == 4 {
            let sib = byte(length);
            length += 1;
            low = sib & 7;
            let index = (sib >> 3 & 7) | high_index;
            stride = if index == 4 { 0 } else { register(index) << (sib >> 6) };
        }
        let word =
            |from: usize| i64::from(i32::from_le_bytes([byte(from), byte(from + 1), byte(from + 2), byte(from + 3)]));
        match (mode, low) {
            (0, 5) => return None,
            (0, _) => base = register(low | high_base),
            (1, _) => {
                base = register(low | high_base) + i64::from(byte(length) as i8);
                length += 1;
            }
            _ => {
                base = register(low | high_base) + word(length);
                length += 4;
            }
        }
    }
    let row = |r: usize| (base + stride * r as i64) as *mut u8;

    const NONE: u8 = 0;
    const P66: u8 = 1;
    const PF3: u8 = 2;
    const PF2: u8 = 3;
    match (opcode, prefix, mode) {
        // ldtilecfg
        (0x49, NONE, 0..=2) if reg == 0 => {
            // SAFETY: the instruction reads 64 bytes there.
            let shape = unsafe { (base as *const [u8; 64]).read_unaligned() };
            if shape[0] != 1 {
                return None;
            }
            for (i, to) in tiles.shape.iter_mut().enumerate() {
                let bytes = usize::from(u16::from_le_bytes([shape[16 + 2 * i], shape[17 + 2 * i]]));
                let rows = usize::from(shape[48 + i]);
                if bytes > BYTES || rows > ROWS {
                    return None;
                }
                *to = (rows, bytes);
            }
            tiles.data = [[[0; BYTES]; ROWS]; 8];
        }
        // tilerelease
        (0x49, NONE, 3) if modrm == 0xc0 => {
            (tiles.shape, tiles.data) = ([(0, 0); 8], [[[0; BYTES]; ROWS]; 8]);
        }
        // tilezero
        (0x49, PF2, 3) if tiles.shape[reg].0 > 0 => tiles.data[reg] = [[0; BYTES]; ROWS],
        // tileloadd
        (0x4b, PF2, 0..=2) if rm == 4 && tiles.shape[reg].0 > 0 => {
            let (rows, bytes) = tiles.shape[reg];
            let mut new = [[0; BYTES]; ROWS];
            for (r, to) in new.iter_mut().enumerate().take(rows) {
                // SAFETY: the instruction reads so many bytes of each row.
                unsafe { std::ptr::copy_nonoverlapping(row(r), to.as_mut_ptr(), bytes) };
            }
            tiles.data[reg] = new;
        }
        // tilestored
        (0x4b, PF3, 0..=2) if rm == 4 && tiles.shape[reg].0 > 0 => {
            let (rows, bytes) = tiles.shape[reg];
            for (r, from) in tiles.data[reg].iter().enumerate().take(rows) {
                // SAFETY: the instruction writes so many bytes of each row.
                unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), row(r), bytes) };
            }
        }
        // tdpbf16ps, tdpbusd: what is in the first operand, and products of the second and third.
        (0x5c, PF3, 3) => products(tiles, [reg, usize::from(rm), third_operand], |sum, a, b| {
            let halves = |w: u32| [f32::from_bits(w << 16), f32::from_bits(w & 0xffff_0000)];
            let ([a, c], [b, d]) = (halves(a), halves(b));
            (f32::from_bits(sum) + a * b + c * d).to_bits()
        })?,
        (0x5e, P66, 3) => products(tiles, [reg, usize::from(rm), third_operand], |sum, a, b| {
            let pairs = a.to_le_bytes().into_iter().zip(b.to_le_bytes());
            pairs.fold(sum as i32, |sum, (a, b)| sum.wrapping_add(i32::from(a) * i32::from(b as i8))) as u32
        })?,
        _ => return None,
    }
    registers[libc::REG_RIP as usize] += length as i64;
    Some(())
}

/// For each word of the first register: `add` over the words along k of the second's row and the third's column.
fn products(tiles: &mut Tiles, [to, a, b]: [usize; 3], add: fn(u32, u32, u32) -> u32) -> Option<()> {
    if to == a || to == b || a == b || to > 7 || a > 7 || b > 7 {
        return None; // undefined
    }
    let ((rows, bytes), (a_rows, a_bytes), (b_rows, b_bytes)) = (tiles.shape[to], tiles.shape[a], tiles.shape[b]);
    if rows != a_rows || bytes != b_bytes || a_bytes != 4 * b_rows || rows == 0 {
        return None; // undefined
    }
    let word =
        |row: &[u8; BYTES], i: usize| u32::from_le_bytes([row[4 * i], row[4 * i + 1], row[4 * i + 2], row[4 * i + 3]]);
    for m in 0..rows {
        for n in 0..bytes / 4 {
            let first = word(&tiles.data[to][m], n);
            let sum = (0..b_rows).fold(first, |s, k| add(s, word(&tiles.data[a][m], k), word(&tiles.data[b][k], n)));
            tiles.data[to][m][4 * n..4 * n + 4].copy_from_slice(&sum.to_le_bytes());
        }
    }
    Some(())
}
