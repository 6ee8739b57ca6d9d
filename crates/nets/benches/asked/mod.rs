//! A bench program that does one run of a work at a time, when it is asked for it: so that a script can run
//! it in turns with other programs, and another program's load falls on all alike.
//!
//! With `serve`, each line of the standard input, `<work> <batch> <numbers>`, is answered by the milliseconds
//! of one run, by the clock and of all processors together; `forget` drops all works.

use std::collections::HashMap;
use std::io::BufRead;
use std::time::Instant;

/// One run, as a call.
pub type Work = Box<dyn Fn() + Sync + Send>;

/// A pool of as many threads as the command line names, else two; their number.
pub fn threads() -> usize {
    let threads = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(2);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("the first pool of this program");
    threads
}

/// Whether the command line asks for [`serve`].
pub fn is_served() -> bool {
    std::env::args().any(|a| a == "serve")
}

/// Answers lines until there are none; `made` makes a work of its name, batch and numbers.
pub fn serve(made: impl Fn(&str, usize, &str) -> Option<Work>) {
    let mut known: HashMap<String, Work> = HashMap::new();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["forget"] = words[..] {
            known.clear();
            println!("ok");
            continue;
        }
        let make = || match words[..] {
            [work, batch, numbers] => made(work, batch.parse().ok()?, numbers),
            _ => None,
        };
        if !known.contains_key(&line) {
            match make() {
                Some(run) => known.insert(line.clone(), run),
                None => {
                    println!("unknown");
                    continue;
                }
            };
        }
        let (ms, cpu) = timed(known[&line].as_ref());
        println!("{ms} {cpu}");
    }
}

/// Medians of seven runs, after two for warming up.
pub fn medians(run: &(dyn Fn() + Sync + Send)) -> (f64, f64) {
    let (mut clock, mut used): (Vec<f64>, Vec<f64>) = (0..9).map(|_| timed(run)).skip(2).unzip();
    clock.sort_by(f64::total_cmp);
    used.sort_by(f64::total_cmp);
    (clock[clock.len() / 2], used[used.len() / 2])
}

/// Milliseconds of one run, by the clock, and of all processors together, which another program's load does
/// not change as much.
fn timed(run: &(dyn Fn() + Sync + Send)) -> (f64, f64) {
    let (start, cpu) = (Instant::now(), cpu_ms());
    nets::together(run);
    (start.elapsed().as_secs_f64() * 1e3, cpu_ms() - cpu)
}

/// Processor time that all threads of this process have used, in milliseconds; 0 where Linux does not say.
fn cpu_ms() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter_map(|t| std::fs::read_to_string(t.path().join("schedstat")).ok())
        .filter_map(|s| s.split(' ').next()?.parse::<f64>().ok())
        .sum::<f64>()
        * 1e-6
}
