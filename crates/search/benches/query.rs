//! How long a question takes from a file and words to hits: `cargo bench -p likebut-search`.
//!
//! The model has random weights of toy size and the libraries hold random vectors: neither changes
//! the work. Each figure is the median of several runs.

use domain::{Digest, Embedding, Kind, MediaRef, Query};
use library::{Library, NewItem};
use media::{Frame, Limits};
use methods::{METHODS, Model, imagine};
use nets::blip2::Config;
use search::Engine;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() {
    let device = nets::cpu();
    let vocab = nets::words::vocab_from_texts(["make it red and put it on a beach at night"].into_iter(), 768);
    let head = Some(imagine::Config::default());
    let model = Arc::new(Model::new("bench", "", Config::toy(), head, vocab, &device).expect("a model"));
    let dir = tempfile::tempdir().expect("a folder");
    let reference = dir.path().join("reference.jpg");
    let rgb = (0..640u32 * 480 * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    media::write_jpeg(&reference, &Frame { width: 640, height: 480, rgb }, 90).expect("a picture");

    println!("| items | method | decode ms | encode ms | search ms | whole ms |");
    println!("|--:|---|--:|--:|--:|--:|");
    for items in [1_000usize, 10_000, 100_000] {
        for entry in METHODS {
            let method = (entry.make)(model.clone()).expect("a method");
            let mut engine = Engine::new(method, Library::in_memory().expect("a library")).expect("an engine");
            let space = engine.method.space().clone();
            let mut state = 7u64;
            let mut number = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
            };
            for start in (0..items).step_by(5_000) {
                let batch: Vec<NewItem> = (start..(start + 5_000).min(items))
                    .map(|i| {
                        let mut v: Vec<f32> = (0..space.dim).map(|_| number()).collect();
                        let length = v.iter().map(|x| x * x).sum::<f32>().sqrt();
                        v.iter_mut().for_each(|x| *x /= length);
                        let name = format!("/items/{i}.jpg");
                        NewItem::new(MediaRef::file(&name), Kind::Picture, Digest::of(name.as_bytes()))
                            .with_vector(&space, Embedding::single(v))
                    })
                    .collect();
                engine.library.put(&batch).expect("room");
            }
            let query = Query::new(MediaRef::file(&reference), "make it red and put it on a beach");
            let ask = || {
                let start = Instant::now();
                let a = search::find(&engine, &query, 24, false, &Limits::default()).expect("an answer");
                [a.decode, a.encode, a.search, start.elapsed()]
            };
            ask();
            let runs: Vec<[Duration; 4]> = (0..9).map(|_| ask()).collect();
            let median = |k: usize| {
                let mut ms: Vec<f64> = runs.iter().map(|r| r[k].as_secs_f64() * 1e3).collect();
                ms.sort_by(f64::total_cmp);
                ms[ms.len() / 2]
            };
            println!(
                "| {items} | {} | {:.2} | {:.2} | {:.2} | {:.2} |",
                entry.name,
                median(0),
                median(1),
                median(2),
                median(3)
            );
        }
    }
}
