//! The second river: a question becomes a probe, a probe finds hits.

use crate::ingest::open;
use crate::stages::Budget;
use crate::{Engine, SearchError};
use domain::{Expr, Hit, ItemId, MediaRef, Probe, Query};
use library::{Filter, Item};
use media::Limits;
use methods::{Asked, Manifest, Seen, blend};
use std::time::{Duration, Instant};

/// What came back for one question.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Best first.
    pub hits: Vec<Found>,
    /// How many items could have been an answer.
    pub of: usize,
    /// Reading and seeing the reference.
    pub decode: Duration,
    /// Making the probe.
    pub encode: Duration,
    /// Finding the hits.
    pub search: Duration,
}

/// A hit together with its item.
#[derive(Clone, Debug)]
pub struct Found {
    /// Item, score, parts.
    pub hit: Hit,
    /// What is kept of it.
    pub item: Item,
}

/// What a model sees of a piece of media: its sampled frames, through its view.
pub fn see(manifest: &Manifest, media: &MediaRef, limits: &Limits) -> Result<Seen, SearchError> {
    see_within(&Budget::new(u64::MAX), manifest, media, limits)
}

/// The same, within the memory that several threads share who do so at one time.
pub fn see_within(
    budget: &Budget,
    manifest: &Manifest,
    media: &MediaRef,
    limits: &Limits,
) -> Result<Seen, SearchError> {
    let fail = |source: media::Error| SearchError::Reference { path: media.to_string(), source };
    let (opened, _share) = open(&media.path, limits, &manifest.sampling, budget).map_err(fail)?;
    let clip = opened.sample(&manifest.sampling, media.span).map_err(fail)?;
    Ok(Seen { frames: clip.frames.iter().map(|f| manifest.view.look(f)).collect() })
}

/// Answers one question. Where the reference is itself an item of the library, it is left out of the
/// answers, unless it is wanted among them.
pub fn find(
    engine: &Engine,
    query: &Query,
    limit: usize,
    with_reference: bool,
    limits: &Limits,
) -> Result<Answer, SearchError> {
    // The picture alone needs no words; every other method does.
    if engine.method.name() != "picture" {
        query.check()?;
    }
    let began = Instant::now();
    let seen = see(&engine.method.model().manifest, &query.reference, limits)?;
    let decode = began.elapsed();
    let plain = Asked::new(&seen, &query.words);
    let asked = Asked { not: query.not.as_deref(), strength: query.strength, ..plain };
    let probes = blend::compose(engine.method.as_ref(), &[asked])?;
    let encode = began.elapsed() - decode;
    let (hits, of) = nearest(engine, &probes, &query.reference, limit, with_reference)?;
    let search = began.elapsed() - decode - encode;
    Ok(Answer { hits, of, decode, encode, search })
}

/// What lies nearest to some probes, best first, and how many items could have: where the reference is
/// itself an item of the library, it is left out, unless it is wanted.
pub fn nearest(
    engine: &Engine,
    probes: &[Probe],
    reference: &MediaRef,
    limit: usize,
    with_reference: bool,
) -> Result<(Vec<Found>, usize), SearchError> {
    let path = reference.path.canonicalize().unwrap_or_else(|_| reference.path.clone());
    let exclude = match reference.span {
        None if !with_reference => engine.library.ids_at(&path)?,
        _ => Vec::new(),
    };
    let filter = Filter { exclude: &exclude, ..Filter::default() };
    let mut hits = Vec::new();
    for probe in probes {
        for hit in engine.library.nearest(probe, limit, &filter)? {
            if let Some(item) = engine.library.item(hit.item)? {
                hits.push(Found { hit, item });
            }
        }
    }
    Ok((hits, engine.library.len()? - exclude.len()))
}

/// One probe of several wordings of a question: the mean of their scores, which for inner products is
/// the score of their mean.
pub fn averaged(mut probes: Vec<Probe>) -> Option<Probe> {
    if probes.len() < 2 {
        return probes.pop();
    }
    let share = 1.0 / probes.len() as f32;
    let (mut terms, mut parts) = (Vec::new(), Vec::new());
    for probe in probes {
        parts.push((share, shifted(probe.expr, terms.len())));
        terms.extend(probe.terms);
    }
    Some(Probe { terms, expr: Expr::Sum(parts) })
}

/// The expression over terms that stand `by` places further on.
fn shifted(expr: Expr, by: usize) -> Expr {
    match expr {
        Expr::Term(i) => Expr::Term(i + by),
        Expr::Sum(parts) => Expr::Sum(parts.into_iter().map(|(w, e)| (w, shifted(e, by))).collect()),
        Expr::Product(a, b) => Expr::Product(Box::new(shifted(*a, by)), Box::new(shifted(*b, by))),
    }
}

/// Answers many questions whose references are already items of the library: what evaluation asks.
///
/// Each question is a reference item with what the method saw of it, and words. Returns the hits of
/// each, best first; the reference is left out where `drop_reference` says so.
pub fn find_batch(
    engine: &Engine,
    questions: &[(ItemId, &Seen, &str)],
    limit: usize,
    drop_reference: bool,
) -> Result<Vec<Vec<Hit>>, SearchError> {
    const TOGETHER: usize = 64;
    let mut out = Vec::with_capacity(questions.len());
    for chunk in questions.chunks(TOGETHER) {
        let asked: Vec<Asked<'_>> = chunk.iter().map(|(_, seen, words)| Asked::new(seen, words)).collect();
        let probes = blend::compose(engine.method.as_ref(), &asked)?;
        for (probe, (id, _, _)) in probes.iter().zip(chunk) {
            let own = [*id];
            let exclude: &[ItemId] = if drop_reference { &own } else { &[] };
            out.push(engine.library.nearest(probe, limit, &Filter { exclude, ..Filter::default() })?);
        }
    }
    Ok(out)
}
