//! How long an exam takes once everything is encoded: `cargo bench -p likebut-train --bench exam`.
//!
//! CIRR's and CIRCO's sizes with random vectors of 256 numbers: keeping the gallery in a library,
//! then scoring every item for every question and finding all ranks, as `likebut eval --embeddings`
//! does it. Where LIKEBUT_PYTHON names a Python with NumPy (and faiss, if it is there), the same
//! sizes go through them in the same run, by `exam.py` beside this file.

use std::process::Command;
use std::time::Instant;

use benchmarks::bootstrap::Bootstrap;
use benchmarks::{Benchmark, Protocol};
use domain::{GalleryEntry, Triplet};
use library::Library;
use search::Vectors;
use train::exam;

const DIM: usize = 256;
const SIZES: [(usize, usize); 2] = [(4181, 2297), (800, 123_403)];

fn main() {
    println!(
        "Everything is encoded already; `keep` puts the gallery into a library in memory, `score and rank` is one product of matrices and a count per question. Processor time is that of all cores; it tells what was done where others use the machine too.\n"
    );
    println!("| questions × items × length | by | keep ms | score and rank ms | processor ms |");
    println!("|---|---|--:|--:|--:|");
    for (questions, items) in SIZES {
        let gallery = random("i", items, 1);
        let asked = random("q", questions, 2);
        let entries =
            gallery.names.iter().map(|n| GalleryEntry { name: n.clone(), path: n.clone(), ..Default::default() });
        let queries = asked.names.iter().enumerate().map(|(i, id)| Triplet {
            id: id.clone(),
            reference: format!("i{}", (i * 7) % items),
            text: "but".into(),
            targets: vec![format!("i{}", (i * 13 + 1) % items)],
            ..Default::default()
        });
        let exam = Benchmark::new("bench", entries.collect(), queries.collect(), Protocol::default()).expect("an exam");
        let names: Vec<&str> = gallery.names.iter().map(String::as_str).collect();
        let mut library = Library::in_memory().expect("a library");
        let start = Instant::now();
        let ids = gallery.keep(&mut library, &names, &mut |_, _| ()).expect("room");
        let kept = start.elapsed();
        let (start, before) = (Instant::now(), processor_ms());
        let mut marker = exam.marker().expect("a marker");
        exam::ask_imported(
            &library,
            &ids,
            &exam,
            &gallery,
            &asked,
            &mut |q, s| Ok(marker.add_scores(&q.id, s)?),
            &mut |_, _| (),
        )
        .expect("scores");
        let report = marker.finish(Bootstrap { resamples: 1, seed: 1 }).expect("marks");
        let (asked_for, after) = (start.elapsed(), processor_ms());
        let processor = match (before, after) {
            (Some(before), Some(after)) => (after - before).to_string(),
            _ => String::new(),
        };
        assert_eq!(report.all.queries, questions);
        let ms = |d: std::time::Duration| d.as_secs_f64() * 1e3;
        println!("| {questions} × {items} × {DIM} | likebut | {:.0} | {:.0} | {processor} |", ms(kept), ms(asked_for));
        if let Ok(python) = std::env::var("LIKEBUT_PYTHON") {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/exam.py");
            let sizes = [questions, items, DIM].map(|n| n.to_string());
            match Command::new(python).arg(script).args(sizes).output() {
                Ok(out) => print!("{}", String::from_utf8_lossy(&out.stdout)),
                Err(e) => eprintln!("{script}: {e}"),
            }
        }
    }
}

/// What this process has had of all cores so far, in hundredths of a second; where Linux tells it.
fn processor_ms() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the program's name, which may hold spaces: state is the first, user and system time the
    // twelfth and thirteenth.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(10 * (ticks(11)? + ticks(12)?))
}

fn random(prefix: &str, n: usize, seed: u64) -> Vectors {
    let mut state = seed;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let values = (0..n * DIM).map(|_| number()).collect();
    Vectors::new((0..n).map(|i| format!("{prefix}{i}")).collect(), 1, DIM, values).expect("whole vectors").normalised()
}
