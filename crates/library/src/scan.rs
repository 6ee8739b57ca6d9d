//! The scan: all rows in 8 bits, then those that matter in f32.
//!
//! While scanning, each thread keeps the best `limit` lower bounds it has seen. The least of them
//! is a floor: a row whose upper bound lies below it is certainly not among the best, any other is
//! kept as a candidate. The candidates that survive the last floor are scored exactly.

use std::collections::{BinaryHeap, HashSet};
use std::sync::atomic::{AtomicI32, Ordering};

use rayon::prelude::*;

use crate::kernel::{self, LANES, Lanes, Path};
use crate::quantise::Question;
use crate::rows::{Bits, Corrupt, View};

/// Rows per step: their codes stay in a core's second-level cache while several queries pass.
const BLOCK: usize = 1024;

/// A table, and which of its rows are dead.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub view: View<'a>,
    pub dead: &'a Bits,
}

/// Which rows may be an answer.
#[derive(Default)]
pub(crate) struct Allow {
    pub exclude: HashSet<i64>,
    pub kind: Option<u8>,
}

impl Allow {
    pub fn row(&self, part: &Part, row: usize) -> bool {
        !part.dead.get(row)
            && self.kind.is_none_or(|k| part.view.kinds[row] == k)
            && (self.exclude.is_empty() || !self.exclude.contains(&part.view.ids[row]))
    }
}

/// A row: which part, which number.
pub(crate) type At = (usize, usize);

/// One question of a scan.
pub(crate) struct Ask<'a> {
    pub question: Question,
    pub limit: usize,
    pub allow: &'a Allow,
}

/// For each question, rows that surely hold its best `limit`; in no order, and hardly more.
pub(crate) fn candidates(path: Path, parts: &[Part], asks: &[Ask]) -> Vec<Vec<At>> {
    let blocks: Vec<(usize, usize)> = parts
        .iter()
        .enumerate()
        .flat_map(|(p, part)| (0..part.view.len()).step_by(BLOCK).map(move |start| (p, start)))
        .collect();
    let floors: Vec<Floor> = asks.iter().map(|_| Floor::default()).collect();
    let fresh = || asks.iter().map(|a| Best::new(a.limit)).collect::<Vec<_>>();
    let best = blocks
        .par_iter()
        .fold(fresh, |mut best, &(p, start)| {
            for ((ask, best), floor) in asks.iter().zip(&mut best).zip(&floors) {
                scan_block(path, parts, p, start, ask, best, floor);
            }
            best
        })
        .reduce(fresh, |a, b| a.into_iter().zip(b).map(|(a, b)| a.merge(b)).collect());
    best.into_iter().map(Best::finish).collect()
}

fn scan_block(path: Path, parts: &[Part], p: usize, start: usize, ask: &Ask, best: &mut Best, shared: &Floor) {
    let part = &parts[p];
    let view = &part.view;
    let end = view.len().min(start + BLOCK);
    best.floor = best.floor.max(shared.get());
    let mut at = start;
    // Step by step, so that the next codes are fetched while bounds are worked out.
    while at < end {
        let n = LANES.min(end - at);
        let mut dots = [0i32; LANES];
        let q = &ask.question;
        [view.scales, view.errs, view.norms].iter().for_each(|column| kernel::fetch_soon(column, at + 2 * LANES));
        kernel::dots_i8(path, &q.codes, q.sum, view.codes(at..at + n), &mut dots[..n]);
        let mut pads = [[0f32; LANES]; 3];
        let [a, b, c] = &mut pads;
        let (scales, errs, norms) = (lanes(view.scales, at, a), lanes(view.errs, at, b), lanes(view.norms, at, c));
        let mut bits = kernel::above(path, q, &Lanes { dots: &dots, scales, errs, norms }, best.floor);
        while bits != 0 {
            let i = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            if i < n && ask.allow.row(part, at + i) {
                let (about, off) = q.interval(dots[i], scales[i], errs[i], norms[i]);
                best.push(about - off, about + off, (p, at + i));
            }
        }
        at += n;
    }
    shared.raise(best.floor);
}

/// A column's next rows: where they lie, or at its end a copy padded with zeros.
#[inline(always)]
fn lanes<'a>(column: &'a [f32], at: usize, pad: &'a mut [f32; LANES]) -> &'a [f32; LANES] {
    match column[at..].first_chunk() {
        Some(chunk) => chunk,
        None => {
            pad[..column.len() - at].copy_from_slice(&column[at..]);
            pad
        }
    }
}

/// The best lower bounds so far, and the rows that they do not rule out.
struct Best {
    limit: usize,
    floor: f32,
    lows: BinaryHeap<std::cmp::Reverse<Total>>,
    rows: Vec<(f32, At)>,
    prune_at: usize,
}

impl Best {
    fn new(limit: usize) -> Self {
        Self { limit, floor: f32::NEG_INFINITY, lows: BinaryHeap::new(), rows: Vec::new(), prune_at: 1024 }
    }

    fn push(&mut self, low: f32, top: f32, at: At) {
        // The floor may have risen since the row was picked out.
        let out = top < self.floor;
        if out {
            return;
        }
        self.rows.push((top, at));
        self.push_low(low);
        if self.rows.len() >= self.prune_at {
            self.prune();
            self.prune_at = 1024.max(2 * self.rows.len());
        }
    }

    fn push_low(&mut self, low: f32) {
        // A bound below the floor moves nothing: `limit` others lie above it.
        if low.is_nan() || low < self.floor {
            return;
        }
        self.lows.push(std::cmp::Reverse(Total(low)));
        if self.lows.len() > self.limit {
            self.lows.pop();
        }
        if self.lows.len() == self.limit
            && let Some(least) = self.lows.peek()
        {
            self.floor = self.floor.max(least.0.0);
        }
    }

    fn prune(&mut self) {
        let floor = self.floor;
        self.rows.retain(|(top, _)| {
            let out = *top < floor;
            !out
        });
    }

    fn merge(mut self, other: Best) -> Best {
        self.floor = self.floor.max(other.floor);
        self.rows.extend(other.rows);
        other.lows.into_iter().for_each(|low| self.push_low(low.0.0));
        self.prune();
        self
    }

    fn finish(mut self) -> Vec<At> {
        self.prune();
        self.rows.into_iter().map(|(_, at)| at).collect()
    }
}

/// A float in its total order.
#[derive(PartialEq)]
struct Total(f32);

impl Eq for Total {}

impl PartialOrd for Total {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Total {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The highest floor that any thread has found. It only saves work: answers do not depend on when
/// a thread sees it, for the rows that it rules out are ruled out for certain.
struct Floor(AtomicI32);

impl Default for Floor {
    fn default() -> Self {
        Self(AtomicI32::new(key(f32::NEG_INFINITY)))
    }
}

impl Floor {
    fn get(&self) -> f32 {
        let k = self.0.load(Ordering::Relaxed);
        f32::from_bits((k ^ (((k >> 31) as u32) >> 1) as i32) as u32)
    }

    fn raise(&self, to: f32) {
        self.0.fetch_max(key(to), Ordering::Relaxed);
    }
}

/// Integers in the order of floats, as `f32::total_cmp` makes them.
fn key(x: f32) -> i32 {
    let bits = x.to_bits() as i32;
    bits ^ (((bits >> 31) as u32) >> 1) as i32
}

/// All allowed rows.
pub(crate) fn everything(parts: &[Part], allow: &Allow) -> Vec<At> {
    let rows = parts.iter().enumerate().flat_map(|(p, part)| (0..part.view.len()).map(move |r| (p, r)));
    rows.filter(|&(p, r)| allow.row(&parts[p], r)).collect()
}

/// The exact score of an item, given its number and its row; `None` if it is no answer.
pub(crate) type Score<'a> = dyn Fn(i64, &[f32]) -> Result<Option<f32>, Corrupt> + Sync + 'a;

/// The best of these rows by an exact score, best first; equals go by item id. A row of which
/// `score` is `None` is no answer.
pub(crate) fn rank(parts: &[Part], rows: Vec<At>, limit: usize, score: &Score) -> Result<Vec<(f32, i64, At)>, Corrupt> {
    let one = |&(p, r): &At| -> Result<Option<(f32, i64, At)>, Corrupt> {
        let id = parts[p].view.ids[r];
        Ok(score(id, parts[p].view.floats(r)?)?.map(|s| (tidy(s), id, (p, r))))
    };
    // Threads for a handful would cost more than they do.
    let mut scored: Vec<_> = if rows.len() < 2048 {
        rows.iter().filter_map(|at| one(at).transpose()).collect::<Result<_, _>>()?
    } else {
        rows.par_iter().with_min_len(512).filter_map(|at| one(at).transpose()).collect::<Result<_, _>>()?
    };
    let order = |a: &(f32, i64, At), b: &(f32, i64, At)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if limit < scored.len() {
        scored.select_nth_unstable_by(limit, order);
        scored.truncate(limit);
    }
    scored.sort_unstable_by(order);
    Ok(scored)
}

/// No score is NaN or minus zero: both would make an order that nobody expects.
fn tidy(score: f32) -> f32 {
    if score.is_nan() { f32::NEG_INFINITY } else { score + 0.0 }
}
