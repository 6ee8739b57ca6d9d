//! The exam: a benchmark's gallery put into a library, its questions asked of the engine, its marks
//! given.
//!
//! There is no inference here: the gallery goes in by [`search::add`], or by [`Vectors::keep`] where
//! it was encoded elsewhere; questions become probes as a user's do, and [`search::Scorer`] scores
//! every item for each.

use benchmarks::{Benchmark, Report};
use domain::{Embedding, ItemId, MediaRef, Probe, Triplet};
use media::Limits;
use methods::{Asked, Seen, blend};
use rayon::prelude::*;
use search::{Added, Engine, Event, Options, Scorer, SearchError, Vectors};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Questions that are scored together.
const TOGETHER: usize = 128;

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
    /// Whoever takes the scores failed.
    #[error("{0}")]
    Taken(String),
}

/// What is done with each question's scores, which come in the gallery's order.
pub type Each<'a> = &'a mut dyn FnMut(&Triplet, &[f32]) -> Result<(), ExamError>;

/// Puts the gallery into the engine's library; what lies there already is not encoded again.
/// Files that cannot be read are named in [`Added::failed`]: leave them out, or refuse.
pub fn gallery(
    engine: &mut Engine,
    benchmark: &Benchmark,
    tell: &mut dyn FnMut(usize, usize),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Added, ExamError> {
    let files: Vec<PathBuf> = benchmark.gallery.iter().map(|g| benchmark.path_of(g)).collect();
    let mut forward = |event: Event<'_>| {
        if let Event::Progress { done, total } = event {
            tell(done, total);
        }
    };
    Ok(search::add(engine, &files, &Options::default(), &mut forward, stop)?)
}

/// What a model sees of every reference of a benchmark, by name: read once, asked by many methods.
pub type References = HashMap<String, Seen>;

/// Reads every reference once, whether or not it is in the gallery; those that cannot be read come
/// back by name, with the reason.
pub fn references(
    engine: &Engine,
    benchmark: &Benchmark,
    tell: &(dyn Fn(usize, usize) + Sync),
) -> (References, Vec<(String, String)>) {
    let wanted: HashSet<&str> = benchmark.queries.iter().map(|q| q.reference.as_str()).collect();
    let all = benchmark.gallery.iter().chain(&benchmark.references);
    let entries: Vec<_> = all.filter(|g| wanted.contains(g.name.as_str())).collect();
    let done = AtomicUsize::new(0);
    let see = |entry: &&domain::GalleryEntry| {
        let media = MediaRef::file(benchmark.path_of(entry));
        let seen = search::see(&engine.method.model().manifest, &media, &Limits::default());
        tell(done.fetch_add(1, Ordering::Relaxed) + 1, entries.len());
        (entry.name.clone(), seen)
    };
    let read: Vec<_> = entries.par_iter().map(see).collect();
    let (mut seen, mut failed) = (References::new(), Vec::new());
    for (name, outcome) in read {
        match outcome {
            Ok(frames) => drop(seen.insert(name, frames)),
            Err(e) => failed.push((name, e.to_string())),
        }
    }
    (seen, failed)
}

/// Asks all questions and hands each one's scores on. The gallery must be in the library.
pub fn ask(
    engine: &Engine,
    benchmark: &Benchmark,
    references: &References,
    each: Each<'_>,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<(), ExamError> {
    let mut items = Vec::with_capacity(benchmark.gallery.len());
    // The vectors of references that are items: those need not be encoded again.
    let mut known_items: HashMap<&str, Embedding> = HashMap::new();
    let space = engine.method.space();
    for entry in &benchmark.gallery {
        match engine.library.known(&benchmark.path_of(entry)).map_err(SearchError::from)? {
            Some(known) => {
                items.push(known.id);
                if references.contains_key(&entry.name)
                    && let Some(item) = engine.library.embedding(known.id, space).map_err(SearchError::from)?
                {
                    known_items.insert(&entry.name, item);
                }
            }
            None => return Err(ExamError::Missing { count: 1, first: entry.name.clone() }),
        }
    }
    let mut probes_of = |questions: &[Triplet]| -> Result<Vec<Probe>, ExamError> {
        let mut asked = Vec::with_capacity(questions.len());
        for q in questions {
            let seen = references.get(&q.reference);
            let seen = seen.ok_or_else(|| ExamError::Missing { count: 1, first: q.reference.clone() })?;
            let item = known_items.get(q.reference.as_str());
            let wordings = [&q.text].into_iter().chain(&q.wordings);
            asked.extend(wordings.map(|words| Asked { item, ..Asked::new(seen, words) }));
        }
        let composed = blend::compose(engine.method.as_ref(), &asked).map_err(SearchError::from)?;
        let mut composed = composed.into_iter();
        let of = |q: &Triplet| search::averaged(composed.by_ref().take(1 + q.wordings.len()).collect());
        Ok(questions.iter().filter_map(of).collect())
    };
    score(&engine.library, &items, benchmark, &mut probes_of, each, tell)
}

/// Asks all questions whose vectors were made elsewhere, by question id, of a gallery whose vectors
/// were too, by name. Any model can sit an exam this way.
pub fn ask_imported(
    library: &library::Library,
    items: &[ItemId],
    benchmark: &Benchmark,
    gallery: &Vectors,
    questions: &Vectors,
    each: Each<'_>,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<(), ExamError> {
    let (space, by_id) = (gallery.space(), questions.by_name());
    let mut probes_of = |asked: &[Triplet]| -> Result<Vec<Probe>, ExamError> {
        let probe = |q: &Triplet| -> Result<Probe, ExamError> {
            let values = by_id.get(q.id.as_str()).ok_or_else(|| SearchError::NotImported(q.id.clone()))?;
            let query = Embedding { dim: questions.dim, values: values.to_vec() };
            Ok(match (questions.rows, gallery.rows) {
                (a, b) if a == b => Probe::single("imported", space.clone(), query),
                // One vector on one side and several on the other: the best pair.
                _ => {
                    let mut probe = Probe::single("imported", space.clone(), query);
                    probe.terms.iter_mut().for_each(|t| t.sim = domain::Sim::MaxPair);
                    probe
                }
            })
        };
        asked.iter().map(probe).collect()
    };
    score(library, items, benchmark, &mut probes_of, each, tell)
}

fn score(
    library: &library::Library,
    items: &[ItemId],
    benchmark: &Benchmark,
    probes_of: &mut dyn FnMut(&[Triplet]) -> Result<Vec<Probe>, ExamError>,
    each: Each<'_>,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<(), ExamError> {
    let mut scorer = Scorer::new(library, items);
    let mut done = 0;
    for chunk in benchmark.queries.chunks(TOGETHER) {
        let scores = scorer.scores(&probes_of(chunk)?)?; // (Q, N)
        for (query, row) in chunk.iter().zip(scores.chunks_exact(items.len().max(1))) {
            each(query, row)?;
        }
        done += chunk.len();
        tell(done, benchmark.queries.len());
    }
    Ok(())
}

/// Asks all questions and marks the answers. The gallery must be in the library.
pub fn sit(
    engine: &Engine,
    benchmark: &Benchmark,
    references: &References,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Report, ExamError> {
    let mut marker = benchmark.marker()?;
    ask(engine, benchmark, references, &mut |q, scores| Ok(marker.add_scores(&q.id, scores)?), tell)?;
    Ok(marker.finish(Default::default())?)
}
