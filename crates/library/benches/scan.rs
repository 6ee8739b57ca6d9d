//! How fast is the scan, next to how fast this machine can read memory at all?
//!
//! ```text
//! cargo bench -p likebut-library --bench scan [-- ITEMS…]
//! ```
//!
//! Prints a Markdown table: for each number of items and threads the median time of one query of
//! the 8-bit scan with exact re-scoring (the real thing, out of a sealed library on disk), of a
//! plain f32 scan, and of adding up the same bytes, all measured in turn in the same run. On a
//! shared machine look at the ratios.
//!
//! *Of reading* is against the same bytes, wherever they lie: 10,000 items fit into the caches. *Of
//! memory* is against adding up bytes that surely do not.

use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::{Digest, Embedding, Kind, MediaRef, Probe, Space};
use library::bench::{self, Random};
use library::{Filter, Library, NewItem};
use rayon::prelude::*;

const DIM: usize = 256;
const LIMIT: usize = 10;
/// Bytes; several times the largest last-level cache.
const BEYOND_CACHES: usize = 512 << 20;

fn main() {
    let wishes: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let sizes = if wishes.is_empty() { vec![10_000, 100_000, 1_000_000] } else { wishes };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let path = library::scan_path().expect("LIKEBUT_CPU is unset, or names what is here");
    println!("CPU: {} · {cores} cores · path {path} · {DIM}-d, best {LIMIT}, medians\n", cpu());
    println!(
        "| items | threads | 8-bit + f32 ms | GB/s | of memory | read ms | GB/s | of reading | f32 ms | of reading | batch of 32, ms per query |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let large = vec![1i8; BEYOND_CACHES];
    for items in sizes {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let library = filled(dir.path(), items);
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
            pool.install(|| measure(&library, &large, items, threads));
        }
    }
}

fn space() -> Space {
    Space {
        model: "bench".into(),
        weights: Digest::of(b"bench"),
        view: "none".into(),
        sampling: "middle".into(),
        rows: 1,
        dim: DIM,
    }
}

/// Random directions: the hardest case for the bound, and the same each time.
fn filled(dir: &std::path::Path, items: usize) -> Library {
    let mut random = Random(42);
    let space = space();
    let mut library = Library::create(dir).expect("a library");
    library.bind(&space, &Embedding::single(random.unit_vector(DIM))).expect("a space");
    for start in (0..items).step_by(10_000) {
        let batch: Vec<NewItem> = (start..items.min(start + 10_000))
            .map(|i| {
                let digest = Digest::of(&i.to_le_bytes());
                NewItem::new(MediaRef::file(format!("{i}")), Kind::Picture, digest)
                    .with_vector(&space, Embedding::single(random.unit_vector(DIM)))
            })
            .collect();
        library.put(&batch).expect("kept");
    }
    library.seal().expect("sealed");
    library
}

fn measure(library: &Library, large: &[i8], items: usize, threads: usize) {
    let memory = median((0..9).map(|_| timed(|| sum(large))).collect());
    let memory = large.len() as f64 / memory.as_secs_f64() / 1e9; // GB/s
    let mut random = Random(7);
    let probes: Vec<Probe> =
        (0..32).map(|_| Probe::single("composed", space(), Embedding::single(random.unit_vector(DIM)))).collect();
    let rounds = (20_000_000 / items).clamp(15, 200);
    let (mut fast, mut read, mut float) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let probe = &probes[round % probes.len()];
        let filter = Filter::default();
        fast.push(timed(|| black_box(library.nearest(probe, LIMIT, &filter).expect("hits")).len()));
        read.push(timed(|| bench::with_codes(library, &space(), &|bytes| sum(bytes))));
        if round % 4 == 0 {
            float.push(timed(|| bench::with_floats(library, &space(), &|floats| f32_scan(floats, probe))));
        }
    }
    let filter = [Filter::default()];
    let batch =
        median((0..3).map(|_| timed(|| library.nearest_batch(&probes, LIMIT, &filter).expect("hits").len())).collect());

    let (fast, read, float) = (median(fast), median(read), median(float));
    let float_read = read * 4; // the same read, of four times the bytes
    let bytes = items * (DIM + 12);
    let rate = |bytes: usize, time: Duration| bytes as f64 / time.as_secs_f64() / 1e9;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let share = |of: Duration, time: Duration| 100.0 * of.as_secs_f64() / time.as_secs_f64();
    let scaled_read = read.mul_f64((DIM + 12) as f64 / DIM as f64);
    println!(
        "| {items} | {threads} | {:.3} | {:.1} | {:.0} % | {:.3} | {:.1} | {:.0} % | {:.3} | {:.0} % | {:.3} |",
        ms(fast),
        rate(bytes, fast),
        100.0 * rate(bytes, fast) / memory,
        ms(read),
        rate(items * DIM, read),
        share(scaled_read, fast),
        ms(float),
        share(float_read, float),
        ms(batch) / probes.len() as f64,
    );
}

/// Adds up bytes as 64-bit words, in the same pieces and threads as the scan.
fn sum(bytes: &[i8]) -> usize {
    let words: &[u64] = bytemuck::cast_slice(bytes);
    let total: u64 = words.par_chunks(1024 * DIM / 8).map(add_up).reduce(|| 0, u64::wrapping_add);
    black_box(total) as usize
}

fn add_up(words: &[u64]) -> u64 {
    let (full, rest) = words.as_chunks::<32>();
    let mut sums = [0u64; 32];
    for chunk in full {
        for (s, w) in sums.iter_mut().zip(chunk) {
            *s = s.wrapping_add(*w);
        }
    }
    sums.iter().chain(rest).fold(0, |a, b| a.wrapping_add(*b))
}

/// What one would write without a library: all inner products, the best few kept.
fn f32_scan(floats: &[f32], probe: &Probe) -> usize {
    let query = &probe.terms[0].query.values;
    let best = floats
        .par_chunks(1024 * DIM)
        .map(|block| {
            let scores = block.chunks_exact(DIM).map(|row| bench::dot(query, row));
            let mut best: Vec<f32> = Vec::with_capacity(LIMIT + 1);
            for score in scores {
                if best.len() < LIMIT || best.last().is_some_and(|least| score > *least) {
                    let at = best.partition_point(|b| *b >= score);
                    best.insert(at, score);
                    best.truncate(LIMIT);
                }
            }
            best
        })
        .reduce(Vec::new, |a, b| {
            let mut all: Vec<f32> = a.into_iter().chain(b).collect();
            all.sort_unstable_by(|a, b| b.total_cmp(a));
            all.truncate(LIMIT);
            all
        });
    black_box(best).len()
}

fn timed<T>(f: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(f());
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|l| l.starts_with("model name"));
    line.and_then(|l| l.split(": ").nth(1)).unwrap_or("unknown").to_owned()
}
