//! Who is near? From a probe to hits.
//!
//! A score is an expression over similarities. If it is a weighted sum of inner products in one
//! space, then Σ wᵢ (qᵢ·x) = (Σ wᵢ qᵢ)·x: the terms fold into one vector, and the fast scan finds
//! the candidates. Anything else is worked out for every item. Both give the same scores, bit for
//! bit, because both end in the same exact evaluation of the terms.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use domain::{Embedding, Expr, Hit, ItemId, Probe, Sim, Space};

use crate::error::{Error, Result};
use crate::index::Index;
use crate::item::Filter;
use crate::kernel::{self, dot_f32};
use crate::library::Library;
use crate::quantise::Question;
use crate::rows::{Corrupt, code_from_kind};
use crate::scan::{self, Allow, Ask, At, Part};

/// Queries that share one pass over the vectors.
const TOGETHER: usize = 32;

impl Library {
    /// The items that score highest, best first; equal scores go by item number.
    ///
    /// Items without a vector in one of the probe's spaces are no answers. A probe in a space that
    /// is not kept here is refused, naming both sides.
    pub fn nearest(&self, probe: &Probe, limit: usize, filter: &Filter) -> Result<Vec<Hit>> {
        let mut hits = self.nearest_batch(std::slice::from_ref(probe), limit, std::slice::from_ref(filter))?;
        Ok(hits.pop().unwrap_or_default())
    }

    /// [`Library::nearest`] for many probes, which share the reading of the vectors. `filters` is
    /// one for each probe, or a single one for all.
    pub fn nearest_batch(&self, probes: &[Probe], limit: usize, filters: &[Filter]) -> Result<Vec<Vec<Hit>>> {
        if filters.len() != probes.len() && filters.len() != 1 {
            return Err(Error::Probe(format!(
                "{} probes came with {} filters; one for each, or one for all",
                probes.len(),
                filters.len()
            )));
        }
        probes.iter().try_for_each(check)?;
        let one_for_all = filters.len() == 1;
        let filter = |i: usize| &filters[if one_for_all { 0 } else { i }];
        let mut out: Vec<Vec<Hit>> = vec![Vec::new(); probes.len()];
        // Probes of the same spaces go together.
        let mut groups: BTreeMap<Vec<domain::Digest>, Vec<usize>> = BTreeMap::new();
        for (i, probe) in probes.iter().enumerate() {
            let mut ids: Vec<_> = probe.terms.iter().map(|t| t.space.id()).collect();
            ids.sort_unstable();
            ids.dedup();
            groups.entry(ids).or_default().push(i);
        }
        for members in groups.into_values() {
            let spaces = distinct(&probes[members[0]]);
            for members in members.chunks(TOGETHER) {
                let asked: Vec<(&Probe, &Filter)> = members.iter().map(|&i| (&probes[i], filter(i))).collect();
                let hits = self.retrying(&spaces, |indexes| search(self.path, indexes, &asked, limit))?;
                for (i, hits) in members.iter().zip(hits) {
                    out[*i] = hits;
                }
            }
        }
        Ok(out)
    }

    /// All items, best first.
    pub fn ranking(&self, probe: &Probe, filter: &Filter) -> Result<Vec<Hit>> {
        self.nearest(probe, usize::MAX, filter)
    }

    /// At which place an item comes, 1 being the first; `None` if it is no answer at all.
    pub fn rank_of(&self, probe: &Probe, target: ItemId, filter: &Filter) -> Result<Option<usize>> {
        check(probe)?;
        self.retrying(&distinct(probe), |indexes| {
            let scorer = Scorer::new(self.path, probe, indexes);
            let parts = scorer.driver().parts();
            let rows = allowed(scorer.driver(), &parts, filter);
            let ranked = scan::rank(&parts, rows, usize::MAX, &|id, row| scorer.score(id, row))?;
            Ok(ranked.iter().position(|(_, id, _)| *id == target.0).map(|p| p + 1))
        })
    }

    /// Runs a search; if it meets a damaged vector file, makes that anew and runs it again.
    fn retrying<T>(&self, spaces: &[Space], f: impl Fn(&[&Index]) -> Result<T, Corrupt>) -> Result<T> {
        let mut ready: Vec<Arc<RwLock<Index>>> = spaces.iter().map(|s| self.ready(s)).collect::<Result<_>>()?;
        for again in [false, true] {
            let guards: Vec<RwLockReadGuard<Index>> =
                ready.iter().map(|i| i.read().unwrap_or_else(PoisonError::into_inner)).collect();
            let indexes: Vec<&Index> = guards.iter().map(|g| &**g).collect();
            match f(&indexes) {
                Ok(out) => return Ok(out),
                Err(Corrupt) if again => break,
                Err(Corrupt) => {}
            }
            drop(indexes);
            drop(guards);
            for (space, index) in spaces.iter().zip(&mut ready) {
                self.note(format!("the vector file of [{space}] is damaged; made anew from the database"));
                *index = self.reload(&self.kept_space(space)?)?;
                self.try_seal(&mut index.write().unwrap_or_else(PoisonError::into_inner));
            }
        }
        Err(Error::Damaged("vectors that were just read from the database do not hold their checksums".into()))
    }
}

/// The probe's spaces, each once, in a fixed order: that of its first term first.
fn distinct(probe: &Probe) -> Vec<Space> {
    let mut out: Vec<Space> = Vec::new();
    for term in &probe.terms {
        if !out.contains(&term.space) {
            out.push(term.space.clone());
        }
    }
    out
}

/// Whether a probe can be scored at all. Whether its spaces are kept is asked elsewhere.
fn check(probe: &Probe) -> Result<()> {
    if probe.terms.is_empty() {
        return Err(Error::Probe("it has no terms".into()));
    }
    for term in &probe.terms {
        let Embedding { dim, values } = &term.query;
        let problem = if *dim != term.space.dim || values.is_empty() || !values.len().is_multiple_of((*dim).max(1)) {
            format!("expected vectors of length {}, got length {dim} and {} numbers", term.space.dim, values.len())
        } else if term.sim == Sim::Dot && term.query.rows() != term.space.rows {
            format!("inner products need {} vectors on both sides, got {}", term.space.rows, term.query.rows())
        } else if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            format!("expected finite numbers, got {bad}")
        } else {
            continue;
        };
        return Err(Error::Vector { what: format!("the query's term {:?}", term.name), problem });
    }
    check_expr(&probe.expr, probe.terms.len())
}

fn check_expr(expr: &Expr, terms: usize) -> Result<()> {
    match expr {
        Expr::Term(i) if *i < terms => Ok(()),
        Expr::Term(i) => Err(Error::Probe(format!("its expression names term {i}, it has {terms}"))),
        Expr::Sum(parts) => parts.iter().try_for_each(|(w, e)| {
            if w.is_finite() { check_expr(e, terms) } else { Err(Error::Probe(format!("it has the weight {w}"))) }
        }),
        Expr::Product(a, b) => check_expr(a, terms).and_then(|()| check_expr(b, terms)),
    }
}

/// The hits of probes that live in the same spaces.
fn search(
    path: kernel::Path,
    indexes: &[&Index],
    asked: &[(&Probe, &Filter)],
    limit: usize,
) -> Result<Vec<Vec<Hit>>, Corrupt> {
    let mut found: Vec<Option<Vec<At>>> = vec![None; asked.len()];
    let scorers: Vec<Scorer> = asked.iter().map(|(probe, _)| Scorer::new(path, probe, indexes)).collect();

    // The fast way, for those that can take it.
    let parts = indexes[0].parts();
    let allows: Vec<Allow> = asked.iter().map(|(_, filter)| allow(filter)).collect();
    let live = indexes[0].live();
    let mut scanned = Vec::new();
    let mut asks = Vec::new();
    for (i, (probe, filter)) in asked.iter().enumerate() {
        // When an eighth of everything is wanted, bounds rule out too little to pay.
        if indexes.len() == 1
            && filter.only.is_none()
            && limit > 0
            && limit < live / 8
            && let Some((folded, weight)) = fold(probe)
        {
            scanned.push(i);
            asks.push(Ask { question: Question::new(&folded, weight), limit, allow: &allows[i] });
        }
    }
    if !asks.is_empty() {
        for (i, rows) in scanned.into_iter().zip(scan::candidates(path, &parts, &asks)) {
            found[i] = Some(rows);
        }
    }

    let mut out = Vec::with_capacity(asked.len());
    for (((_, filter), scorer), rows) in asked.iter().zip(&scorers).zip(found) {
        if limit == 0 {
            out.push(Vec::new());
            continue;
        }
        let parts = scorer.driver().parts();
        let rows = rows.unwrap_or_else(|| allowed(scorer.driver(), &parts, filter));
        let ranked = scan::rank(&parts, rows, limit, &|id, row| scorer.score(id, row))?;
        let hits = ranked.into_iter().map(|(score, id, (p, r))| {
            let mut sims = Vec::new();
            scorer.similarities(id, parts[p].view.floats(r)?, &mut sims)?;
            Ok(Hit { item: ItemId(id), score, parts: sims })
        });
        out.push(hits.collect::<Result<_, Corrupt>>()?);
    }
    Ok(out)
}

fn allow(filter: &Filter) -> Allow {
    Allow { exclude: filter.exclude.iter().map(|i| i.0).collect(), kind: filter.kind.map(code_from_kind) }
}

/// The rows that a filter leaves.
fn allowed(index: &Index, parts: &[Part], filter: &Filter) -> Vec<At> {
    let allow = allow(filter);
    let Some(only) = filter.only else {
        return scan::everything(parts, &allow);
    };
    let only: HashSet<i64> = only.iter().map(|i| i.0).collect();
    only.iter().filter_map(|id| index.find(*id)).filter(|&(p, r)| allow.row(&parts[p], r)).collect()
}

/// The one vector whose inner product with an item is the score, and Σ|w|·‖q‖; if there is one.
fn fold(probe: &Probe) -> Option<(Vec<f32>, f32)> {
    // The bound has room for the roundings of that many steps, not for any number.
    if probe.terms.iter().any(|t| t.sim != Sim::Dot) || steps(&probe.expr) > 48 {
        return None;
    }
    let weights = probe.expr.linear(probe.terms.len())?;
    let mut folded = vec![0f64; probe.terms[0].query.values.len()];
    let mut weight = 0f64;
    for (term, w) in probe.terms.iter().zip(&weights) {
        let w = f64::from(*w);
        folded.iter_mut().zip(&term.query.values).for_each(|(f, q)| *f += w * f64::from(*q));
        weight += w.abs() * term.query.values.iter().map(|q| f64::from(*q).powi(2)).sum::<f64>().sqrt();
    }
    let folded: Vec<f32> = folded.into_iter().map(|f| f as f32).collect();
    // The weights of a sum may cancel on the way to `linear`, so the roundings of the unfolded
    // evaluation are bounded by the sum of their magnitudes.
    let gross = gross(&probe.expr, &probe.terms.iter().map(norm).collect::<Vec<_>>());
    let weight = (weight.max(gross) * 1.001) as f32;
    (folded.iter().all(|f| f.is_finite()) && weight.is_finite()).then_some((folded, weight))
}

fn steps(expr: &Expr) -> usize {
    match expr {
        Expr::Term(_) => 1,
        Expr::Sum(parts) => parts.iter().map(|(_, e)| 1 + steps(e)).sum(),
        Expr::Product(a, b) => 1 + steps(a) + steps(b),
    }
}

fn norm(term: &domain::Term) -> f64 {
    term.query.values.iter().map(|q| f64::from(*q).powi(2)).sum::<f64>().sqrt()
}

/// What the expression would be if nothing cancelled.
fn gross(expr: &Expr, norms: &[f64]) -> f64 {
    match expr {
        Expr::Term(i) => norms[*i],
        Expr::Sum(parts) => parts.iter().map(|(w, e)| f64::from(w.abs()) * gross(e, norms)).sum(),
        Expr::Product(a, b) => gross(a, norms) * gross(b, norms),
    }
}

/// Scores items exactly.
struct Scorer<'a> {
    path: kernel::Path,
    probe: &'a Probe,
    /// For each term the index of its space; `None` for the driver, whose rows are at hand.
    others: Vec<Option<(&'a Index, Vec<Part<'a>>)>>,
    driver: &'a Index,
}

impl<'a> Scorer<'a> {
    fn new(path: kernel::Path, probe: &'a Probe, indexes: &[&'a Index]) -> Self {
        let of = |space: &Space| indexes.iter().copied().find(|i| i.space == *space);
        // `indexes` are those of the probe's own spaces, so its first term finds one.
        let driver = of(&probe.terms[0].space).unwrap_or(indexes[0]);
        let others = probe
            .terms
            .iter()
            .map(|t| of(&t.space).filter(|i| !std::ptr::eq(*i, driver)).map(|i| (i, i.parts())))
            .collect();
        Self { path, probe, others, driver }
    }

    /// The index whose rows are gone through.
    fn driver(&self) -> &'a Index {
        self.driver
    }

    /// Each term's similarity; false if the item lacks a vector for one.
    fn similarities(&self, id: i64, row: &[f32], sims: &mut Vec<f32>) -> Result<bool, Corrupt> {
        sims.clear();
        for (term, other) in self.probe.terms.iter().zip(&self.others) {
            let values = match other {
                None => row,
                Some((index, parts)) => match index.find(id) {
                    Some((p, r)) => parts[p].view.floats(r)?,
                    None => return Ok(false),
                },
            };
            sims.push(self.similarity(term.sim, &term.query, values));
        }
        Ok(true)
    }

    fn similarity(&self, sim: Sim, query: &Embedding, values: &[f32]) -> f32 {
        let dim = query.dim.max(1);
        let best =
            |q: &[f32]| values.chunks_exact(dim).map(|r| dot_f32(self.path, q, r)).fold(f32::NEG_INFINITY, f32::max);
        match sim {
            // Rows in step with rows: one long inner product.
            Sim::Dot => dot_f32(self.path, &query.values, values),
            Sim::MaxPair => query.iter().map(best).fold(f32::NEG_INFINITY, f32::max),
            Sim::MeanMax => query.iter().map(best).sum::<f32>() / query.rows().max(1) as f32,
        }
    }

    fn score(&self, id: i64, row: &[f32]) -> Result<Option<f32>, Corrupt> {
        let mut sims = Vec::with_capacity(self.probe.terms.len());
        Ok(self.similarities(id, row, &mut sims)?.then(|| self.probe.expr.eval(&sims)))
    }
}
