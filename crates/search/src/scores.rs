//! The scores of many questions over chosen items, by matrix product: what evaluation asks.
//!
//! A person wants the ten nearest of a library, and the scan in `library` is made for that.
//! An exam wants every score of thousands of questions over one gallery: that is one large product
//! of two matrices, `questions · galleryᵀ`, and nothing is sorted.

use crate::SearchError;
use domain::{Embedding, Expr, ItemId, Probe, Sim, Space};
use library::Library;
use std::borrow::Cow;
use std::ops::Range;

/// A gallery whose vectors take no more than this is held in memory; a larger one is read anew, part
/// by part, for each batch of questions.
const HELD_BYTES: usize = 1 << 30;
/// How much of a gallery is multiplied at once.
const PART_BYTES: usize = 64 << 20;

/// A gallery to be scored: items of a library, in an order of the caller's.
pub struct Scorer<'a> {
    library: &'a Library,
    items: &'a [ItemId],
    held: Vec<(Space, Vec<f32>)>,
}

impl<'a> Scorer<'a> {
    /// Over these items.
    pub fn new(library: &'a Library, items: &'a [ItemId]) -> Self {
        Self { library, items, held: Vec::new() }
    }

    /// Every probe's score of every item: one row per probe, in the items' order.
    ///
    /// # Errors
    ///
    /// An item that has no vector in one of the probes' spaces; a space that is not kept.
    pub fn scores(&mut self, probes: &[Probe]) -> Result<Vec<f32>, SearchError> {
        let of = self.items.len();
        let mut out = vec![0.0; probes.len() * of]; // (Q, N)
        let mut groups: Vec<(Space, Sim)> = Vec::new();
        for term in probes.iter().flat_map(|p| &p.terms) {
            if !groups.iter().any(|(space, sim)| *space == term.space && *sim == term.sim) {
                groups.push((term.space.clone(), term.sim));
            }
        }
        let widest = groups.iter().map(|(space, _)| space.rows * space.dim).max().unwrap_or(1).max(1);
        for (space, _) in &groups {
            self.hold(space)?;
        }
        let step = (PART_BYTES / 4 / widest).clamp(1, of.max(1));
        for start in (0..of).step_by(step) {
            let part = start..(start + step).min(of);
            let n = part.len();
            // One space, one inner product, nothing to add up: the product is the scores.
            if let Some(space) = one_product(probes) {
                let vectors = self.vectors(space, part.clone())?;
                let questions: Vec<f32> =
                    probes.iter().flat_map(|p| &p.terms).flat_map(|t| t.query.values.iter().copied()).collect();
                product_into(&questions, &vectors, space.rows * space.dim, &mut out[start..], of);
                continue;
            }
            // Each probe's terms, each with its similarities to the part's items.
            let mut sims: Vec<Vec<Vec<f32>>> = probes.iter().map(|p| vec![Vec::new(); p.terms.len()]).collect();
            for (space, sim) in &groups {
                let vectors = self.vectors(space, part.clone())?;
                let mut whose = Vec::new();
                let mut asked: Vec<&Embedding> = Vec::new();
                for (p, probe) in probes.iter().enumerate() {
                    for (t, term) in probe.terms.iter().enumerate() {
                        if term.space == *space && term.sim == *sim {
                            whose.push((p, t));
                            asked.push(&term.query);
                        }
                    }
                }
                for ((p, t), row) in whose.into_iter().zip(similarities(*sim, space, &asked, &vectors, n)) {
                    sims[p][t] = row;
                }
            }
            for ((probe, sims), row) in probes.iter().zip(&sims).zip(out.chunks_exact_mut(of)) {
                let row = &mut row[part.clone()];
                match (&probe.expr, sims.as_slice()) {
                    (Expr::Term(0), [one]) => row.copy_from_slice(one),
                    (expr, sims) => {
                        let mut each = vec![0.0; sims.len()];
                        for (j, score) in row.iter_mut().enumerate() {
                            each.iter_mut().zip(sims).for_each(|(e, s)| *e = s[j]);
                            *score = expr.eval(&each);
                        }
                    }
                }
            }
        }
        Ok(out)
    }

    /// Reads a space's vectors once, if they may be held.
    fn hold(&mut self, space: &Space) -> Result<(), SearchError> {
        let bytes = self.items.len() * space.rows * space.dim * 4;
        if bytes <= HELD_BYTES && !self.held.iter().any(|(held, _)| held == space) {
            let vectors = self.read(space, 0..self.items.len())?;
            self.held.push((space.clone(), vectors));
        }
        Ok(())
    }

    fn vectors(&self, space: &Space, part: Range<usize>) -> Result<Cow<'_, [f32]>, SearchError> {
        let width = space.rows * space.dim;
        match self.held.iter().find(|(held, _)| held == space) {
            Some((_, all)) => Ok(Cow::Borrowed(&all[part.start * width..part.end * width])),
            None => Ok(Cow::Owned(self.read(space, part)?)),
        }
    }

    fn read(&self, space: &Space, part: Range<usize>) -> Result<Vec<f32>, SearchError> {
        let width = space.rows * space.dim;
        let mut out = Vec::with_capacity(part.len() * width);
        for id in &self.items[part] {
            match self.library.embedding(*id, space)? {
                Some(e) if e.values.len() == width => out.extend_from_slice(&e.values),
                _ => return Err(SearchError::NoVector { item: *id, space: space.to_string() }),
            }
        }
        Ok(out)
    }
}

/// The space of probes that all ask for one inner product in it, with vectors of its width.
fn one_product(probes: &[Probe]) -> Option<&Space> {
    let space = &probes.first()?.terms.first()?.space;
    let alone = |p: &Probe| match (&p.terms[..], &p.expr) {
        ([t], Expr::Term(0)) => {
            t.sim == Sim::Dot && t.space == *space && t.query.values.len() == space.rows * space.dim
        }
        _ => false,
    };
    probes.iter().all(alone).then_some(space)
}

/// Each asked embedding's similarity to each of `n` items.
fn similarities(sim: Sim, space: &Space, asked: &[&Embedding], vectors: &[f32], n: usize) -> Vec<Vec<f32>> {
    let (rows, dim) = (space.rows, space.dim);
    if sim == Sim::Dot {
        let questions: Vec<f32> = asked.iter().flat_map(|e| e.values.iter().copied()).collect(); // (Q, R·D)
        return product(&questions, vectors, rows * dim).chunks_exact(n.max(1)).map(<[f32]>::to_vec).collect();
    }
    let questions: Vec<f32> = asked.iter().flat_map(|e| e.values.iter().copied()).collect(); // (Q·R', D)
    let pairs = product(&questions, vectors, dim); // (Q·R', N·R)
    let best = |row: &[f32]| -> Vec<f32> {
        row.chunks_exact(rows.max(1)).map(|item| item.iter().copied().fold(f32::NEG_INFINITY, f32::max)).collect()
    };
    let mut lines = pairs.chunks_exact((n * rows).max(1));
    asked
        .iter()
        .map(|e| {
            let mine: Vec<Vec<f32>> = lines.by_ref().take(e.rows()).map(best).collect();
            let fold = |f: &dyn Fn(f32, f32) -> f32, first: f32| {
                (0..n).map(|j| mine.iter().map(|row| row[j]).fold(first, f)).collect::<Vec<f32>>()
            };
            match sim {
                Sim::MaxPair => fold(&f32::max, f32::NEG_INFINITY),
                _ => fold(&|a, b| a + b, 0.0).into_iter().map(|s| s / e.rows().max(1) as f32).collect(),
            }
        })
        .collect()
}

/// `a · bᵀ` of two matrices whose lines are `width` long.
fn product(a: &[f32], b: &[f32], width: usize) -> Vec<f32> {
    let (m, n) = (a.len() / width.max(1), b.len() / width.max(1));
    let mut out = vec![0.0f32; m * n]; // (M, N)
    product_into(a, b, width, &mut out, n);
    out
}

/// The same into lines that begin `stride` numbers apart; what lies between them is not touched.
fn product_into(a: &[f32], b: &[f32], width: usize, out: &mut [f32], stride: usize) {
    let (m, n) = (a.len() / width.max(1), b.len() / width.max(1));
    if m == 0 || n == 0 || width == 0 {
        return;
    }
    assert!(a.len() == m * width && b.len() == n * width, "matrices of whole lines");
    assert!(stride >= n && out.len() >= (m - 1) * stride + n, "room for every line");
    // SAFETY: `a` holds m lines and `b` n lines of `width` numbers, and `out` has room for m lines of n
    // that begin `stride` apart (asserted above); the strides walk exactly those, and `out`, borrowed
    // mutably, overlaps neither.
    unsafe {
        gemm::gemm(
            m,
            n,
            width,
            out.as_mut_ptr(),
            1,
            stride as isize,
            false,
            a.as_ptr(),
            1,
            width as isize,
            b.as_ptr(),
            width as isize,
            1,
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::Rayon(0),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Digest, Kind, MediaRef, Term};
    use library::{Filter, NewItem};

    #[test]
    fn scores_are_those_of_the_librarys_own_ranking() {
        let space = |rows: usize| Space {
            model: format!("twin {rows}"),
            weights: Digest::of(b"w"),
            view: "none".into(),
            sampling: "none".into(),
            rows,
            dim: 8,
        };
        let (one, four) = (space(1), space(4));
        let mut seed = 7u32;
        let mut some = |n: usize| -> Vec<f32> {
            let mut next = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as f32 / 32768.0 - 1.0
            };
            (0..n).map(|_| next()).collect()
        };
        let mut library = Library::in_memory().unwrap();
        for s in [&one, &four] {
            library.bind(s, &Embedding { dim: 8, values: some(s.rows * 8) }).unwrap();
        }
        let new = (0..300)
            .map(|i| {
                NewItem::new(MediaRef::file(format!("{i}.png")), Kind::Picture, Digest::of(&[i as u8, (i >> 8) as u8]))
                    .with_vector(&one, Embedding { dim: 8, values: some(8) })
                    .with_vector(&four, Embedding { dim: 8, values: some(32) })
            })
            .collect::<Vec<_>>();
        let ids = library.put(&new).unwrap();
        let mut term = |space: &Space, rows: usize, sim| Term {
            name: "t",
            space: space.clone(),
            query: Embedding { dim: 8, values: some(rows * 8) },
            sim,
        };
        let probes = vec![
            Probe { terms: vec![term(&one, 1, Sim::Dot)], expr: Expr::Term(0) },
            Probe { terms: vec![term(&four, 3, Sim::MaxPair)], expr: Expr::Term(0) },
            Probe { terms: vec![term(&four, 2, Sim::MeanMax)], expr: Expr::Term(0) },
            Probe {
                terms: vec![term(&one, 1, Sim::Dot), term(&four, 4, Sim::Dot)],
                expr: Expr::Sum(vec![
                    (0.3, Expr::Term(0)),
                    (0.7, Expr::Product(Box::new(Expr::Term(0)), Box::new(Expr::Term(1)))),
                ]),
            },
        ];
        let mut scorer = Scorer::new(&library, &ids);
        let scores = scorer.scores(&probes).unwrap();
        for (probe, row) in probes.iter().zip(scores.chunks_exact(ids.len())) {
            let ranking = library.ranking(probe, &Filter::default()).unwrap();
            assert_eq!(ranking.len(), ids.len());
            for hit in ranking {
                let at = ids.iter().position(|id| *id == hit.item).unwrap();
                assert!((row[at] - hit.score).abs() < 1e-4, "{} {}", row[at], hit.score);
            }
        }
        // Questions of one product alone are multiplied into place; they give what they gave among others.
        let alone = scorer.scores(&[probes[0].clone(), probes[0].clone()]).unwrap();
        for row in alone.chunks_exact(ids.len()) {
            assert!(row.iter().zip(&scores).all(|(a, b)| (a - b).abs() < 1e-5), "{row:?}");
        }
        // Parts read anew give the same as all held.
        let parts: Vec<f32> =
            [0..100, 100..300].into_iter().flat_map(|r| scorer.vectors(&one, r).unwrap().into_owned()).collect();
        assert_eq!(parts, scorer.read(&one, 0..300).unwrap());
        let gone = [ids[0], ItemId(99_999)];
        let error = Scorer::new(&library, &gone).scores(&probes[..1]).unwrap_err().to_string();
        assert!(error.contains("has no vector"), "{error}");
    }
}
