//! What items and queries become: vectors in named spaces, and how they make a score.

use crate::Space;

/// One item's vectors: `rows` of `dim`, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Length of each vector.
    pub dim: usize,
    /// `rows · dim` numbers.
    pub values: Vec<f32>,
}

impl Embedding {
    /// One vector.
    pub fn single(values: Vec<f32>) -> Self {
        Self { dim: values.len(), values }
    }

    /// How many vectors.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// The vectors, one by one.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim.max(1))
    }
}

/// How one term compares the query's vectors with an item's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sim {
    /// Inner product of one vector with one vector.
    Dot,
    /// The best pair among the query's and the item's vectors.
    MaxPair,
    /// For each query vector its best partner, then the mean.
    MeanMax,
}

impl Sim {
    /// The similarity of a query's vectors and an item's.
    pub fn between(&self, query: &Embedding, item: &Embedding) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        let best = |q: &[f32]| item.iter().map(|r| dot(q, r)).fold(f32::NEG_INFINITY, f32::max);
        match self {
            Sim::Dot => query.iter().zip(item.iter()).map(|(q, r)| dot(q, r)).sum(),
            Sim::MaxPair => query.iter().map(best).fold(f32::NEG_INFINITY, f32::max),
            Sim::MeanMax => query.iter().map(best).sum::<f32>() / query.rows().max(1) as f32,
        }
    }
}

/// One similarity that a score is made of.
#[derive(Clone, Debug)]
pub struct Term {
    /// What it measures, for people: `composed`, `proxy`, `not`.
    pub name: &'static str,
    /// Where its vectors live.
    pub space: Space,
    /// The query's vectors.
    pub query: Embedding,
    /// How they compare.
    pub sim: Sim,
}

/// A candidate's score as a function of its term similarities.
///
/// ```
/// use domain::Expr;
/// // IP-CIR, Eq. 2: λ·St + (1-λ)·St·Sp
/// let e = Expr::Sum(vec![(0.3, Expr::Term(0)),
///     (0.7, Expr::Product(Box::new(Expr::Term(0)), Box::new(Expr::Term(1))))]);
/// assert!((e.eval(&[0.5, 0.2]) - 0.22).abs() < 1e-6);
/// assert!(e.linear(2).is_none());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// The similarity of the term with this index.
    Term(usize),
    /// A weighted sum.
    Sum(Vec<(f32, Expr)>),
    /// A product.
    Product(Box<Expr>, Box<Expr>),
}

impl Expr {
    /// The score, given each term's similarity.
    pub fn eval(&self, sims: &[f32]) -> f32 {
        match self {
            Expr::Term(i) => sims[*i],
            Expr::Sum(parts) => parts.iter().map(|(w, e)| w * e.eval(sims)).sum(),
            Expr::Product(a, b) => a.eval(sims) * b.eval(sims),
        }
    }

    /// Each term's weight, if the expression is a weighted sum of `terms` terms: then terms of one
    /// space fold into one vector, and a plain nearest-neighbour scan answers exactly.
    pub fn linear(&self, terms: usize) -> Option<Vec<f32>> {
        let mut weights = vec![0.0; terms];
        self.add_linear(1.0, &mut weights).then_some(weights)
    }

    fn add_linear(&self, scale: f32, weights: &mut [f32]) -> bool {
        match self {
            Expr::Term(i) => {
                weights[*i] += scale;
                true
            }
            Expr::Sum(parts) => parts.iter().all(|(w, e)| e.add_linear(scale * w, weights)),
            Expr::Product(..) => false,
        }
    }
}

/// What a query becomes: vectors in named spaces and an expression over their similarities.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The similarities it is made of.
    pub terms: Vec<Term>,
    /// How they make the score.
    pub expr: Expr,
}

impl Probe {
    /// The common case: one term, whose similarity is the score.
    pub fn single(name: &'static str, space: Space, query: Embedding) -> Self {
        Self { terms: vec![Term { name, space, query, sim: Sim::Dot }], expr: Expr::Term(0) }
    }
}
