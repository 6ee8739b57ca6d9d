//! What the checks share: a space, items, an obvious slow answer.

use domain::{Digest, Embedding, Expr, Hit, Kind, MediaRef, Probe, Space};
use library::bench::Random;
use library::{Library, NewItem};

pub fn space(model: &str, rows: usize, dim: usize) -> Space {
    Space {
        model: model.into(),
        weights: Digest::of(model.as_bytes()),
        view: "squash 8".into(),
        sampling: "middle".into(),
        rows,
        dim,
    }
}

/// A canary that no other space of that shape shares by chance.
pub fn canary(space: &Space) -> Embedding {
    let values = Random(u64::from(space.id().0[0]) + 1).unit_vector(space.rows * space.dim);
    Embedding { dim: space.dim, values }
}

pub fn item(name: &str) -> NewItem {
    let mut item = NewItem::new(MediaRef::file(name), Kind::Picture, Digest::of(name.as_bytes()));
    item.size = name.len() as u64;
    item.mtime_ns = 1_700_000_000_000_000_000;
    item
}

pub fn embedding(space: &Space, random: &mut Random) -> Embedding {
    Embedding { dim: space.dim, values: (0..space.rows).flat_map(|_| random.unit_vector(space.dim)).collect() }
}

/// Fills a library with `n` items; returns the vectors in item order.
pub fn fill(library: &mut Library, space: &Space, n: usize, random: &mut Random) -> Vec<Embedding> {
    let vectors: Vec<Embedding> = (0..n).map(|_| embedding(space, random)).collect();
    let items: Vec<NewItem> =
        vectors.iter().enumerate().map(|(i, v)| item(&format!("{i}.jpg")).with_vector(space, v.clone())).collect();
    for batch in items.chunks(1000) {
        library.put(batch).unwrap();
    }
    vectors
}

pub fn probe(space: &Space, query: Embedding) -> Probe {
    Probe::single("composed", space.clone(), query)
}

/// A weighted sum of inner products.
pub fn sum(space: &Space, parts: Vec<(f32, Embedding)>) -> Probe {
    let expr = Expr::Sum(parts.iter().enumerate().map(|(i, (w, _))| (*w, Expr::Term(i))).collect());
    let terms = parts
        .into_iter()
        .map(|(_, query)| domain::Term { name: "part", space: space.clone(), query, sim: domain::Sim::Dot })
        .collect();
    Probe { terms, expr }
}

/// The answer as the definition says it, one item after the other, in f64.
pub fn slow(probe: &Probe, items: &[(i64, &Embedding)]) -> Vec<(i64, f64)> {
    let score = |item: &Embedding| {
        let sims: Vec<f32> = probe.terms.iter().map(|t| t.sim.between(&t.query, item)).collect();
        f64::from(probe.expr.eval(&sims))
    };
    let mut out: Vec<(i64, f64)> = items.iter().map(|(id, item)| (*id, score(item))).collect();
    out.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    out
}

pub fn ids(hits: &[Hit]) -> Vec<i64> {
    hits.iter().map(|h| h.item.0).collect()
}
