//! Runs side by side: as many at once as threads and memory allow.

use crate::TrainError;
use crate::compose::{Learns, Settings};
use nets::blip2;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Runs at once, at most. A step of this size does not fill several threads: two runs of one thread
/// each end sooner than two of two threads, one after the other.
const AT_ONCE: usize = 4;
/// What a step of 64 triplets takes beside the weights, bytes; measured with the toy.
const STEP: u64 = 2 << 30;

/// Bytes that one run of its own backbone takes. Its weights and the two moments of what learns are there
/// three times while a checkpoint is written: themselves, gathered, and as the file's bytes.
/// A run on features that were made once has no backbone, and takes next to nothing.
pub(super) fn each(backbone: &blip2::Config, training: &Settings) -> u64 {
    if training.learns == Learns::Head {
        return 0;
    }
    let learns = blip2::Config { vit_depth: 0, ..backbone.clone() }.parameters();
    STEP + 3 * 4 * (backbone.parameters() + 2 * learns) as u64
}

/// How many of `n` runs of so many bytes go at once: one at least, and no more than fit into the bytes that are `free`,
/// where that is known.
fn at_once(threads: usize, n: usize, each: u64, free: Option<u64>) -> usize {
    let fit = free.and_then(|free| free.checked_div(each)).map_or(AT_ONCE, |n| n.min(AT_ONCE as u64) as usize);
    threads.min(fit).min(n).max(1)
}

/// What `one` gives for 0, 1, … `n`, several at once that take `each` so many bytes, each with its share
/// of the threads; `None` if it was stopped. The first failure stops the others.
pub(super) fn side_by_side<T: Send>(
    n: usize,
    each: u64,
    one: &(dyn Fn(usize, &(dyn Fn() -> bool + Sync)) -> Result<Option<T>, TrainError> + Sync),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Vec<T>>, TrainError> {
    let threads = rayon::current_num_threads();
    let workers = at_once(threads, n, each, nets::room().map(|room| room.free));
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let enough = || stop() || failed.load(Ordering::Relaxed);
    let work = || -> Result<Vec<(usize, Option<T>)>, TrainError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads / workers).build();
        let pool = pool.map_err(|e| TrainError::Threads(e.to_string()))?;
        let mut made = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= n {
                return Ok(made);
            }
            let value = pool.install(|| one(i, &enough)).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            let stopped = value.is_none();
            made.push((i, value));
            if stopped {
                return Ok(made);
            }
        }
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        parts.into_iter().map(|p| p.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut all = Vec::with_capacity(n);
    for part in parts {
        all.extend(part?);
    }
    all.sort_by_key(|(i, _)| *i);
    Ok(all.into_iter().map(|(_, value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::Course;

    #[test]
    fn as_many_runs_at_once_as_fit() {
        let gb = |n: u64| Some(n << 30);
        let (full, quick) = (Course::full().training, Course::quick().training);
        let toy = each(&blip2::Config::toy(), &full);
        let real = each(&blip2::Config::coco_364(), &full);
        assert!((2 << 30..3 << 30).contains(&toy), "{toy}");
        // 4.7 GB of weights and 1.5 GB of moments, three times, and a step.
        assert!((18 << 30..22 << 30).contains(&real), "{real}");
        assert_eq!([16, 2, 1].map(|threads| at_once(threads, 100, toy, gb(64))), [4, 2, 1]);
        assert_eq!([8, 24, 48].map(|free| at_once(16, 100, real, gb(free))), [1, 1, 2]);
        assert_eq!(at_once(16, 100, toy, gb(5)), 2);
        assert_eq!((at_once(16, 3, toy, None), at_once(16, 0, toy, None)), (3, 1), "free memory is not known");
        assert_eq!(at_once(16, 100, each(&blip2::Config::coco_364(), &quick), gb(1)), 4);
    }
}
