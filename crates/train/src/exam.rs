//! The exam: a benchmark's gallery put into a library, its questions asked of the engine, its marks
//! given.
//!
//! There is no inference here: the gallery goes in by [`search::add`] and the questions come back by
//! [`search::find_batch`], the same two functions that answer a user.

use benchmarks::{Benchmark, Report};
use domain::ItemId;
use media::Limits;
use methods::Seen;
use rayon::prelude::*;
use search::{Added, Engine, Event, Options, SearchError};
use std::collections::HashMap;
use std::path::PathBuf;

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

/// Asks all questions and marks the answers. The gallery must be in the library.
pub fn sit(engine: &Engine, benchmark: &Benchmark, tell: &mut dyn FnMut(usize, usize)) -> Result<Report, ExamError> {
    let mut ids: HashMap<&str, ItemId> = HashMap::new();
    let mut names: HashMap<ItemId, &str> = HashMap::new();
    let mut paths: HashMap<&str, PathBuf> = HashMap::new();
    for entry in &benchmark.gallery {
        let path = benchmark.path_of(entry);
        if let Some(known) = engine.library.known(&path).map_err(SearchError::from)? {
            ids.insert(&entry.name, known.id);
            names.insert(known.id, &entry.name);
            paths.insert(&entry.name, path);
        }
    }
    let mut marker = benchmark.marker()?;
    let depth = benchmark.gallery.len();
    let limits = Limits::default();
    let mut done = 0;
    for chunk in benchmark.queries.chunks(256) {
        let mut needed: Vec<&str> = chunk.iter().map(|q| q.reference.as_str()).collect();
        needed.sort_unstable();
        needed.dedup();
        let view = &engine.method.model().manifest.view;
        let sampling = engine.method.model().manifest.sampling;
        let seen: HashMap<&str, Seen> = needed
            .par_iter()
            .map(|name| {
                let path = paths.get(name).cloned().unwrap_or_default();
                let fail = |source| SearchError::Reference { path: path.display().to_string(), source };
                let clip = media::open(&path, &limits).and_then(|m| m.sample(&sampling, None)).map_err(fail)?;
                Ok((*name, Seen { frames: clip.frames.iter().map(|f| view.look(f)).collect() }))
            })
            .collect::<Result<_, SearchError>>()?;
        let questions: Vec<(ItemId, &Seen, &str)> = chunk
            .iter()
            .filter_map(|q| Some((*ids.get(q.reference.as_str())?, seen.get(q.reference.as_str())?, q.text.as_str())))
            .collect();
        let answers = search::find_batch(engine, &questions, depth, benchmark.protocol.drop_reference)?;
        for (query, hits) in chunk.iter().zip(answers) {
            marker.add(&query.id, hits.iter().filter_map(|h| names.get(&h.item).copied()))?;
        }
        done += chunk.len();
        tell(done, benchmark.queries.len());
    }
    Ok(marker.finish(Default::default())?)
}
