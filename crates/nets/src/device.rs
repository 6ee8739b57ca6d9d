//! Where tensors live: the CPU, which is always there, or a GPU where the program was built with one.
//!
//! The GPU is reached by Vulkan, Metal or WebGPU. burn could reach CUDA too, but the version we stand on
//! fetches a compiler while it is being built, which nothing here may do; it waits for one that does not.

pub use burn::tensor::Device;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A device that is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without it.
    #[error("this likebut was built without the device {0:?}; build it with: cargo build --release --features {0}")]
    NotBuilt(&'static str),
    /// No such name.
    #[error("unknown device {0:?}; known are cpu and gpu")]
    Unknown(String),
}

/// The device that is always there.
pub fn cpu() -> Device {
    Device::flex()
}

/// The instructions that arithmetic is done with on the CPU, by the name that `LIKEBUT_CPU` knows.
pub fn instructions() -> &'static str {
    kernels::Path::chosen().name()
}

/// Does some work on one of the threads that share what is computed, and keeps the others awake meanwhile.
///
/// A parallel loop that begins on any other thread puts that to sleep and wakes the rest, and a small
/// network is many short loops: the one inside the program took nearly twice as long that way. Between two loops
/// the others would fall asleep, and waking one takes longer than some loops: one picture took a tenth longer.
/// So whoever runs a network, or trains one, does it in here. Whatever else wants a processor goes first.
///
/// The others are asked before the work begins, and who comes later is sent away: a thread in the midst of a piece
/// of the work may look for something to do while it waits for another piece, and if it then stayed awake *on top of*
/// its own piece until the work is over, the work would never be over.
pub fn together<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| {
        let watch = Watch { gate: Arc::new(Gate::default()), before: AWAKE.replace(true) };
        // Whoever is awake already watches for the work around this one.
        if !watch.before {
            let gate = watch.gate.clone();
            rayon::spawn_broadcast(move |_| stay_awake(&gate));
            watch.gate.close_behind(rayon::current_num_threads() - 1);
        }
        work()
    })
}

/// How long the others are waited for: longer than waking one takes, and nothing beside a network.
const PATIENCE: Duration = Duration::from_micros(100);

/// Who stays awake for a work: open before it begins, closed while it goes on, then over.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    inside: AtomicUsize,
    over: AtomicBool,
}

impl Gate {
    /// Whether it was still open.
    fn enter(&self) -> bool {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if !*closed {
            self.inside.fetch_add(1, Ordering::AcqRel);
        }
        !*closed
    }

    /// Waits a little for so many to enter, and lets nobody in after them.
    fn close_behind(&self, others: usize) {
        let until = Instant::now() + PATIENCE;
        while self.inside.load(Ordering::Acquire) < others && Instant::now() < until {
            std::thread::yield_now();
        }
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

thread_local! {
    /// Whether this thread runs a network, or waits for loops of one.
    static AWAKE: Cell<bool> = const { Cell::new(false) };
}

/// Ends the watch of the other threads, also where the work panics.
struct Watch {
    gate: Arc<Gate>,
    /// Work may be begun while this thread waits in the midst of other work.
    before: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.gate.over.store(true, Ordering::Release);
        AWAKE.set(self.before);
    }
}

/// Looks for loops to share in, until the work is over. Only the first of such calls of a thread: one more would
/// lie on top of it, and where works overlap for long, so would one after the other.
fn stay_awake(gate: &Gate) {
    if AWAKE.get() || !gate.enter() {
        return;
    }
    AWAKE.set(true);
    while !gate.over.load(Ordering::Acquire) {
        if rayon::yield_now() != Some(rayon::Yield::Executed) {
            std::thread::yield_now();
        }
    }
    AWAKE.set(false);
}

/// A device by name: `cpu`, or `gpu` for the best one that Vulkan, Metal or WebGPU can reach.
pub fn device(name: &str) -> Result<Device, DeviceError> {
    match name {
        "cpu" => Ok(cpu()),
        #[cfg(feature = "gpu")]
        "gpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(not(feature = "gpu"))]
        "gpu" => Err(DeviceError::NotBuilt("gpu")),
        other => Err(DeviceError::Unknown(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    /// Some short loops.
    fn loops(n: u32) -> u32 {
        (0..20).map(|i| (0..n).into_par_iter().with_max_len(1).map(|x| x * i).sum::<u32>()).sum()
    }

    #[test]
    fn works_at_once_and_in_each_other_end() {
        let sums: Vec<u32> = std::thread::scope(|s| {
            let one = || (0..40).map(|n| together(|| loops(n) + together(|| loops(n)))).sum();
            let all: Vec<_> = (0..6).map(|_| s.spawn(one)).collect();
            all.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let expected = 2 * 190 * (0..40u32).map(|n| n * n.saturating_sub(1) / 2).sum::<u32>();
        assert_eq!(sums, [expected; 6]);
    }

    #[test]
    fn nobody_watches_in_the_midst_of_the_work() {
        // The other thread has something in hand that the work needs, and looks for more to do before it is done.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let (held, in_hand) = std::sync::mpsc::channel();
        let (began, work_began) = std::sync::mpsc::channel();
        let (done, needed) = std::sync::mpsc::channel();
        pool.in_place_scope(|s| {
            s.spawn(move |s| {
                s.spawn(move |_| {
                    held.send(()).unwrap();
                    work_began.recv().unwrap();
                    while rayon::yield_now() == Some(rayon::Yield::Executed) {}
                    done.send(()).ok();
                });
                in_hand.recv().unwrap();
                let got = together(move || {
                    began.send(()).unwrap();
                    needed.recv_timeout(Duration::from_secs(20))
                });
                assert_eq!(got, Ok(()), "it watches on top of what the work waits for");
            });
        });
    }

    #[test]
    fn nobody_watches_for_work_that_panicked() {
        let panicked = std::panic::catch_unwind(|| together(|| panic!("on purpose")));
        assert!(panicked.is_err());
        // Other tests of this process may keep threads awake for a while.
        let began = Instant::now();
        while rayon::broadcast(|_| AWAKE.get()).contains(&true) {
            assert!(began.elapsed() < Duration::from_secs(60), "a thread still watches");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(together(|| loops(3)), 190 * 3);
    }

    #[test]
    fn names_are_known_or_refused_with_what_to_do() {
        assert!(device("cpu").is_ok());
        assert!(device("tpu").unwrap_err().to_string().contains("cpu and gpu"));
        #[cfg(not(feature = "gpu"))]
        assert!(device("gpu").unwrap_err().to_string().contains("--features gpu"));
    }
}
