//! The exam: a benchmark's gallery put into a library, its questions asked of the engine, its marks
//! given.
//!
//! There is no inference here: the gallery goes in by [`search::add`] and the questions come back by
//! [`search::find_batch`], the same two functions that answer a user.

use benchmarks::{Benchmark, Report};
use domain::{ItemId, MediaRef};
use media::Limits;
use methods::Seen;
use rayon::prelude::*;
use search::{Added, Engine, Event, Options, SearchError};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An exam that could not be sat.
#[derive(Debug, thiserror::Error)]
pub enum ExamError {
    /// The engine.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The benchmark.
    #[error(transparent)]
    Benchmark(#[from] benchmarks::Error),
    /// Media that the benchmark needs and that cannot be read.
    #[error(
        "{count} items of the gallery cannot be read, the first is {first}; a score without them would be of another exam"
    )]
    Missing {
        /// How many.
        count: usize,
        /// The first, with its reason.
        first: String,
    },
}

/// Puts the gallery into the engine's library; what lies there already is not encoded again.
pub fn gallery(
    engine: &mut Engine,
    benchmark: &Benchmark,
    tell: &mut dyn FnMut(usize, usize),
    stop: &dyn Fn() -> bool,
) -> Result<Added, ExamError> {
    let files: Vec<PathBuf> = benchmark.gallery.iter().map(|g| benchmark.path_of(g)).collect();
    let mut forward = |event: Event<'_>| {
        if let Event::Progress { done, total } = event {
            tell(done, total);
        }
    };
    let added = search::add(engine, &files, &Options::default(), &mut forward, stop)?;
    match added.failed.first() {
        Some(f) => {
            Err(ExamError::Missing { count: added.failed.len(), first: format!("{}: {}", f.path.display(), f.reason) })
        }
        None => Ok(added),
    }
}

/// What a model sees of every reference of a benchmark, by name: read once, asked by many methods.
pub type References = HashMap<String, Seen>;

/// Reads every reference once. They must be in the library.
pub fn references(
    engine: &Engine,
    benchmark: &Benchmark,
    tell: &(dyn Fn(usize, usize) + Sync),
) -> Result<References, ExamError> {
    let wanted: HashSet<&str> = benchmark.queries.iter().map(|q| q.reference.as_str()).collect();
    let entries: Vec<_> = benchmark.gallery.iter().filter(|g| wanted.contains(g.name.as_str())).collect();
    let done = AtomicUsize::new(0);
    let see = |entry: &&domain::GalleryEntry| {
        let seen = search::see(
            &engine.method.model().manifest,
            &MediaRef::file(benchmark.path_of(entry)),
            &Limits::default(),
        )?;
        tell(done.fetch_add(1, Ordering::Relaxed) + 1, entries.len());
        Ok((entry.name.clone(), seen))
    };
    entries.par_iter().map(see).collect()
}

/// Asks all questions and marks the answers. The gallery must be in the library.
pub fn sit(
    engine: &Engine,
    benchmark: &Benchmark,
    references: &References,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Report, ExamError> {
    let mut ids: HashMap<&str, ItemId> = HashMap::new();
    let mut names: HashMap<ItemId, &str> = HashMap::new();
    for entry in &benchmark.gallery {
        if let Some(known) = engine.library.known(&benchmark.path_of(entry)).map_err(SearchError::from)? {
            ids.insert(&entry.name, known.id);
            names.insert(known.id, &entry.name);
        }
    }
    let mut marker = benchmark.marker()?;
    let depth = benchmark.gallery.len();
    let mut done = 0;
    for chunk in benchmark.queries.chunks(64) {
        let questions = chunk
            .iter()
            .map(|q| {
                let known = ids.get(q.reference.as_str()).zip(references.get(&q.reference));
                let (id, seen) = known.ok_or_else(|| ExamError::Missing { count: 1, first: q.reference.clone() })?;
                Ok((*id, seen, q.text.as_str()))
            })
            .collect::<Result<Vec<_>, ExamError>>()?;
        let answers = search::find_batch(engine, &questions, depth, benchmark.protocol.drop_reference)?;
        for (query, hits) in chunk.iter().zip(answers) {
            marker.add(&query.id, hits.iter().filter_map(|h| names.get(&h.item).copied()))?;
        }
        done += chunk.len();
        tell(done, benchmark.queries.len());
    }
    Ok(marker.finish(Default::default())?)
}
