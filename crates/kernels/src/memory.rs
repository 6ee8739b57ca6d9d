//! An allocator that keeps large blocks instead of giving them back.
//!
//! A training step takes and returns the same few hundred megabytes again and again. The system's
//! allocator returns them to the kernel each time, and each page that comes back is cleared and
//! mapped anew: a sixth of a step, measured. This one keeps what was returned for the next of the
//! same size, and never holds more than twice what was once in use at the same time; nor, by what it
//! keeps, more than half of the machine's memory, which is not ours alone. Who needs one set of sizes
//! now and another later (weights are read as f32, packed as bf16, and then only run) says so:
//! [`Keeping::keep`].
//!
//! On Unix the blocks are mappings of their own, not the C library's: what is given back is really
//! free (its heap could not return blocks that lie between others; a training run grew to six times
//! what it used), what is new is zero without being written, and large pages are asked for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::{Mutex, MutexGuard};

/// Smaller requests are the system's.
const LEAST: usize = 1 << 17;
/// Largest alignment that is served from what was kept.
const ALIGN: usize = 64;
/// Sizes are rounded up to an eighth of a power of two.
const STEPS: usize = 8;
/// Rounded sizes there are: from `LEAST` up to 2⁴⁷, more than there is.
const BINS: usize = (47 - 17) * STEPS + 1;

/// The allocator; one static of it, marked `#[global_allocator]`, serves a program.
pub struct Keeping(Mutex<State>);

struct State {
    /// For each rounded size the first kept block; a block's first word points to the next.
    bins: [*mut u8; BINS],
    /// For each rounded size when it was last asked for, in requests.
    wanted: [u64; BINS],
    /// Requests so far.
    requests: u64,
    /// Bytes kept.
    kept: usize,
    /// Bytes of large blocks in use.
    live: usize,
    /// The most that `live` has been.
    most: usize,
    /// The same since somebody asked: [`Keeping::most_during`].
    peak: usize,
    /// Beyond this nothing is kept; 0 where nobody has looked yet.
    share: usize,
    /// In use and kept together, in hundredths of `most`; with 0 nothing is kept.
    percent: usize,
}

// SAFETY: the pointers are to free blocks that only the state knows of.
unsafe impl Send for State {}

impl Keeping {
    /// Holds nothing yet.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        let bins = [std::ptr::null_mut(); BINS];
        let wanted = [0; BINS];
        let state = State { bins, wanted, requests: 0, kept: 0, live: 0, most: 0, peak: 0, share: 0, percent: 200 };
        Self(Mutex::new(state))
    }

    /// From now on holds at most so many hundredths of what is in use at the same time, and with 0 exactly
    /// that; what was in use before is forgotten.
    pub fn keep(&self, percent: usize) {
        let mut state = self.state();
        (state.percent, state.most) = (percent, state.live);
        state.trim();
    }

    /// Bytes that large blocks took at the same time, at most, while something ran, beyond what they took before.
    ///
    /// What other threads take meanwhile counts as well; one such question at a time.
    pub fn most_during(&self, work: &mut dyn FnMut()) -> usize {
        let mut state = self.state();
        let before = state.live;
        state.peak = before;
        drop(state);
        work();
        self.state().peak - before
    }

    /// A kept block; or null, and room was made for a new one.
    fn kept(&self, index: usize, size: usize) -> *mut u8 {
        let mut state = self.state();
        let kept = state.take(index, size);
        if kept.is_null() {
            state.trim();
        }
        kept
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The bin of a size, and what it is rounded up to; none where the system serves.
fn bin(layout: &Layout) -> Option<(usize, Layout)> {
    let size = layout.size();
    if !(LEAST..=1 << 46).contains(&size) || layout.align() > ALIGN {
        return None;
    }
    let power = (size - 1).ilog2() as usize; // size ≤ 2^(power + 1)
    let step = 1usize << (power - STEPS.ilog2() as usize);
    let rounded = size.next_multiple_of(step);
    let index = if power < 17 { 0 } else { (power - 17) * STEPS + (rounded - (1 << power)) / step };
    Some((index, Layout::from_size_align(rounded, ALIGN).ok()?))
}

impl State {
    /// A kept block of this bin.
    fn take(&mut self, index: usize, size: usize) -> *mut u8 {
        self.requests += 1;
        self.wanted[index] = self.requests;
        self.live += size;
        self.most = self.most.max(self.live);
        self.peak = self.peak.max(self.live);
        let block = self.bins[index];
        if !block.is_null() {
            // SAFETY: a kept block is ours, at least `LEAST` long, aligned, and starts with its successor.
            self.bins[index] = unsafe { block.cast::<*mut u8>().read() };
            self.kept -= size;
        }
        block
    }

    /// Gives back, first of the size that has not been asked for longest, until the promise of the module holds:
    /// a network asks for its few sizes again and again, and each picture for one of its own.
    ///
    /// The room on top is there because blocks of one size do not serve for another: a program that
    /// needs now these, now those sizes would return and ask again all the time. With half as much
    /// room, training the toy with 197 tokens spent a fifth of its time on fresh pages.
    fn trim(&mut self) {
        if self.share == 0 {
            self.share = half_of_memory();
        }
        let limit = self.most.saturating_mul(self.percent).div_euclid(100).min(self.share);
        while self.live + self.kept > limit {
            let kept = (0..BINS).filter(|i| !self.bins[*i].is_null());
            let Some(index) = kept.min_by_key(|i| self.wanted[*i]) else { break };
            let (block, size) = (self.bins[index], size_of_bin(index));
            // SAFETY: as in `take`; the block was allocated with this layout.
            unsafe {
                self.bins[index] = block.cast::<*mut u8>().read();
                pages::give_back(block, size);
            }
            self.kept -= size;
        }
    }
}

/// Memory of this machine, or of the container that we are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// All of it, bytes.
    pub total: u64,
    /// What programs can still have without anything being written out for them, bytes.
    pub free: u64,
}

/// What Linux says of memory; elsewhere we would need another library to know.
pub fn room() -> Option<Room> {
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|s| s.trim().parse().ok());
    room_of(&std::fs::read_to_string("/proc/meminfo").ok()?, group)
}

/// The same of `/proc/meminfo`, and of the most that a container may have.
fn room_of(info: &str, group: Option<u64>) -> Option<Room> {
    let field = |name: &str| {
        let line = info.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
    };
    let most = group.unwrap_or(u64::MAX);
    Some(Room { total: field("MemTotal")?.min(most), free: field("MemAvailable")?.min(most) })
}

/// Half of the memory that there is. Finding out takes little, and from the system's allocator, so it may
/// be asked in the middle of an allocation.
fn half_of_memory() -> usize {
    room().map_or(usize::MAX, |room| (room.total / 2).max(1) as usize)
}

fn size_of_bin(index: usize) -> usize {
    let (power, steps) = (17 + index / STEPS, index % STEPS);
    (1 << power) + steps * (1 << (power - STEPS.ilog2() as usize))
}

/// Blocks from the kernel, and back to it.
#[cfg(unix)]
mod pages {
    /// From here on the kernel is asked for large pages.
    #[cfg(all(target_os = "linux", not(miri)))]
    const HUGE: usize = 1 << 21;

    /// A block of zeros; null where there is none.
    pub fn fresh(size: usize) -> *mut u8 {
        let (read_write, own) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing of ours.
        let block = unsafe { libc::mmap(std::ptr::null_mut(), size, read_write, own, -1, 0) };
        if block == libc::MAP_FAILED {
            return std::ptr::null_mut();
        }
        #[cfg(all(target_os = "linux", not(miri)))]
        if size >= HUGE {
            // SAFETY: advice about a mapping of ours; it may be ignored.
            unsafe { libc::madvise(block, size, libc::MADV_HUGEPAGE) };
        }
        block.cast()
    }

    /// # Safety
    /// `block` came from [`fresh`] with this size and is not used any more.
    pub unsafe fn give_back(block: *mut u8, size: usize) {
        // SAFETY: the caller's contract.
        unsafe { libc::munmap(block.cast(), size) };
    }
}

/// Blocks from the system's allocator, and back to it.
#[cfg(not(unix))]
mod pages {
    use super::{ALIGN, GlobalAlloc, Layout, System};

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, ALIGN).expect("sizes are rounded ones that were checked")
    }

    /// A block of zeros; null where there is none.
    pub fn fresh(size: usize) -> *mut u8 {
        // SAFETY: the size is not zero.
        unsafe { System.alloc_zeroed(layout(size)) }
    }

    /// # Safety
    /// `block` came from [`fresh`] with this size and is not used any more.
    pub unsafe fn give_back(block: *mut u8, size: usize) {
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(block, layout(size)) };
    }
}

// SAFETY: a block comes from the kernel or was returned to us with the same rounded size and
// alignment; while it is in use nobody else has it. Nothing here allocates or unwinds.
unsafe impl GlobalAlloc for Keeping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((index, rounded)) = bin(&layout) else {
            // SAFETY: the caller's contract.
            return unsafe { System.alloc(layout) };
        };
        let kept = self.kept(index, rounded.size());
        if kept.is_null() { pages::fresh(rounded.size()) } else { kept }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some((index, rounded)) = bin(&layout) else {
            // SAFETY: the caller's contract.
            return unsafe { System.alloc_zeroed(layout) };
        };
        let kept = self.kept(index, rounded.size());
        if kept.is_null() {
            return pages::fresh(rounded.size());
        }
        // SAFETY: the block is at least as long as was asked for.
        unsafe { kept.write_bytes(0, layout.size()) };
        kept
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((index, rounded)) = bin(&layout) else {
            // SAFETY: the caller's contract: the block came from the system.
            return unsafe { System.dealloc(block, layout) };
        };
        let mut state = self.state();
        state.live -= rounded.size();
        if state.percent == 0 {
            // SAFETY: the block came from `pages::fresh` with its rounded size, and is ours again.
            return unsafe { pages::give_back(block, rounded.size()) };
        }
        // SAFETY: the block is ours again, aligned and longer than a pointer.
        unsafe { block.cast::<*mut u8>().write(state.bins[index]) };
        state.bins[index] = block;
        state.kept += rounded.size();
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's contract: the new size, rounded to the alignment, does not overflow.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (bin(&layout), bin(&new)) {
            // SAFETY: the caller's contract.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (Some((a, _)), Some((b, _))) if a == b => block,
            _ => {
                // SAFETY: the caller's contract; both blocks hold what is copied.
                unsafe {
                    let to = self.alloc(new);
                    if !to.is_null() {
                        to.copy_from_nonoverlapping(block, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    to
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_up_a_little_and_find_their_bin() {
        for size in (LEAST..1 << 24).step_by(4097).chain([LEAST, 1 << 18, (1 << 18) + 1, 1 << 40, 1 << 46]) {
            let (index, rounded) = bin(&Layout::from_size_align(size, 8).unwrap()).unwrap();
            assert!(rounded.size() >= size && rounded.size() <= size + size / 4, "{size} → {}", rounded.size());
            assert_eq!(size_of_bin(index), rounded.size(), "{size}");
        }
    }

    #[test]
    fn memory_is_the_machines_or_the_containers() {
        let info = "MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:   5000000 kB\n";
        assert_eq!(room_of(info, None), Some(Room { total: 8_000_000 << 10, free: 5_000_000 << 10 }));
        assert_eq!(room_of(info, Some(3 << 30)), Some(Room { total: 3 << 30, free: 3 << 30 }));
        assert_eq!(room_of("MemTotal: 1 MB", None), None);
    }

    #[test]
    fn what_comes_back_is_kept_and_what_was_never_needed_at_once_is_not() {
        let memory = Keeping::new();
        let of = |size: usize| Layout::from_size_align(size, 16).unwrap();
        // SAFETY: each block is used within its size and returned once with its layout.
        unsafe {
            let a = memory.alloc(of(1 << 20));
            a.write_bytes(7, 1 << 20);
            memory.dealloc(a, of(1 << 20));
            assert_eq!(memory.alloc_zeroed(of((1 << 20) - 5)), a, "the same block for nearly the same size");
            assert_eq!(a.add(1000).read(), 0);
            let a = memory.realloc(a, of((1 << 20) - 5), 1 << 21);
            assert_eq!(a.add(1000).read(), 0);
            memory.dealloc(a, of(1 << 21));
            for size in [3 << 19, 5 << 19, 7 << 19, 9 << 19] {
                let block = memory.alloc(of(size));
                let state = memory.state();
                assert!(state.live + state.kept <= state.most * 2, "{} + {}", state.live, state.kept);
                drop(state);
                memory.dealloc(block, of(size));
            }
            let small = memory.alloc(of(100));
            memory.dealloc(small, of(100));
        }
    }

    #[test]
    fn what_is_kept_can_be_less_or_nothing() {
        let memory = Keeping::new();
        let of = |size: usize| Layout::from_size_align(size, 16).unwrap();
        // SAFETY: each block is returned once with its layout.
        unsafe {
            let (a, b) = (memory.alloc(of(1 << 20)), memory.alloc(of(1 << 21)));
            memory.dealloc(a, of(1 << 20));
            assert_eq!(memory.state().kept, 1 << 20);
            memory.keep(0);
            assert_eq!(memory.state().kept, 0);
            assert_eq!(memory.state().live, 1 << 21);
            let a = memory.alloc(of(1 << 20));
            memory.dealloc(a, of(1 << 20));
            assert_eq!(memory.state().kept, 0);
            memory.keep(125);
            let a = memory.alloc(of(1 << 18));
            memory.dealloc(a, of(1 << 18));
            assert_eq!(memory.state().kept, 1 << 18);
            memory.dealloc(b, of(1 << 21));
        }
    }

    #[test]
    fn what_was_asked_for_long_ago_goes_first() {
        let memory = Keeping::new();
        let of = |size: usize| Layout::from_size_align(size, 16).unwrap();
        // SAFETY: each block is returned once with its layout.
        unsafe {
            for sizes in [[1 << 20, 3 << 20], [3 << 20, 1 << 20]] {
                memory.keep(0);
                memory.keep(125);
                let held = memory.alloc(of(8 << 20));
                let [old, new] = sizes.map(|size| (memory.alloc(of(size)), of(size)));
                memory.dealloc(new.0, new.1);
                memory.dealloc(old.0, old.1);
                // What is in use at once may grow by a quarter: with this one, both would be more.
                let other = memory.alloc(of(9 << 19));
                let state = memory.state();
                let kept = |layout: &Layout| bin(layout).is_some_and(|(index, _)| !state.bins[index].is_null());
                assert_eq!((kept(&old.1), kept(&new.1)), (false, true), "{sizes:?}");
                drop(state);
                memory.dealloc(other, of(9 << 19));
                memory.dealloc(held, of(8 << 20));
            }
        }
    }

    #[test]
    fn what_something_needs_at_once_is_told() {
        let memory = Keeping::new();
        let of = |size: usize| Layout::from_size_align(size, 16).unwrap();
        // SAFETY: each block is returned once with its layout.
        unsafe {
            let held = memory.alloc(of(1 << 22));
            let pairs = |at_once: bool| {
                memory.most_during(&mut || {
                    let a = memory.alloc(of(1 << 20));
                    if !at_once {
                        memory.dealloc(a, of(1 << 20));
                    }
                    let b = memory.alloc(of(1 << 20));
                    if at_once {
                        memory.dealloc(a, of(1 << 20));
                    }
                    memory.dealloc(b, of(1 << 20));
                })
            };
            assert_eq!([pairs(true), pairs(false), pairs(true)], [2 << 20, 1 << 20, 2 << 20]);
            memory.dealloc(held, of(1 << 22));
            assert_eq!(memory.most_during(&mut || ()), 0);
        }
    }

    #[test]
    fn what_the_machine_lacks_is_not_kept() {
        let memory = Keeping::new();
        memory.state().share = 3 << 20;
        let of = |size: usize| Layout::from_size_align(size, 16).unwrap();
        // SAFETY: each block is returned once with its layout.
        unsafe {
            let blocks: Vec<_> = (0..4).map(|_| memory.alloc(of(1 << 20))).collect();
            blocks.into_iter().for_each(|block| memory.dealloc(block, of(1 << 20)));
            let other = memory.alloc(of(3 << 19));
            let state = memory.state();
            assert!(state.live == 3 << 19 && state.live + state.kept <= 3 << 20, "{} + {}", state.live, state.kept);
            drop(state);
            memory.dealloc(other, of(3 << 19));
        }
    }

    #[test]
    fn threads_share_it() {
        let memory = Keeping::new();
        std::thread::scope(|s| {
            for t in 0..4u8 {
                let memory = &memory;
                s.spawn(move || {
                    for i in 0..200usize {
                        let layout = Layout::from_size_align(LEAST + i * 1000, 32).unwrap();
                        // SAFETY: written within its size, read back, returned once.
                        unsafe {
                            let block = memory.alloc(layout);
                            block.write_bytes(t, layout.size());
                            assert_eq!((block.read(), block.add(layout.size() - 1).read()), (t, t));
                            memory.dealloc(block, layout);
                        }
                    }
                });
            }
        });
        assert_eq!(memory.state().live, 0);
    }
}
