//! What is asked, what counts as right, and the mark.
//!
//! # The subject
//!
//! A composed-retrieval *benchmark* is a **gallery** (named pictures and clips) and a list of
//! **questions**, each a reference, a modification text and the names of its right answers.
//! Whoever sits the exam orders the whole gallery for every question, best first: a [`Ranking`].
//! What a mark is worth hangs on rules that tables of results rarely print: is the reference
//! itself an allowed answer? Who wins a tie? How many look-alikes must be told apart?
//! Those rules are a value here, the [`Protocol`], and every [`Report`] carries it.
//!
//! Marks take **ranks, never scores**: a cosine may be negative, a distance runs the other way,
//! and neither has anything to say about who came first.
//! Whoever holds scores turns them into ranks by [`rank_of`] or [`Benchmark::rank`], which apply
//! the protocol's rule for ties.
//!
//! This crate knows no tensor, no model and no library; it reads text files and counts.
//!
//! # An exam of one question
//!
//! ```
//! use benchmarks::{Benchmark, Protocol, Ranking};
//! use domain::{GalleryEntry, Triplet};
//!
//! let item = |name: &str| GalleryEntry {
//!     name: name.into(), path: format!("{name}.png"), ..Default::default()
//! };
//! let question = Triplet {
//!     id: "q1".into(), reference: "red ball".into(), text: "make it blue".into(),
//!     targets: vec!["blue ball".into()], ..Default::default()
//! };
//! let exam = Benchmark::new(
//!     "balls",
//!     ["red ball", "green ball", "blue ball"].map(item).to_vec(),
//!     vec![question],
//!     Protocol { ks: vec![1, 2], map_ks: vec![2], ..Protocol::default() },
//! )?;
//!
//! // The reference is left out before counting, so the right answer stands second, not third.
//! let report = exam.mark(&[Ranking::new("q1", ["red ball", "green ball", "blue ball"])])?;
//! assert_eq!(report.all.recall_at(1).unwrap().value, 0.0);
//! assert_eq!(report.all.recall_at(2).unwrap().value, 1.0);
//! println!("{report}");
//! # Ok::<(), benchmarks::Error>(())
//! ```

mod benchmark;
mod board;
mod card;
mod compare;
mod escape;
mod foreign;
mod mark;
mod paper;
mod protocol;
mod published;
mod ranking;
mod report;
mod run;
mod suite;
mod table;

pub mod bootstrap;
pub mod marks;
pub mod sets;
pub mod submit;

mod error;

pub use benchmark::{Benchmark, LeftOut, Marker};
pub use board::{Board, Cell, Row};
pub use card::{Ask, Card, CardExam, CardMarks, CardModel, Differs};
pub use compare::{Comparison, Difference, GroupComparison};
pub use error::Error;
pub use escape::escape;
pub use mark::Mark;
pub use paper::{Case, Paper, Picture, Side};
pub use protocol::{
    Average, CaptionRule, Frames, GalleryRule, PROTOCOLS, Pooling, Preset, Protocol, RightRule, TieRule, preset,
};
pub use published::{Published, published};
pub use ranking::{Ranking, rank_of};
pub use report::{AtK, Estimate, Marks, QueryRank, Report};
pub use run::{Answers, MAX_JSON_BYTES, MAX_PAIRS, Qrels, Run};
pub use suite::{Joint, compare_seeds, over_exams, over_seeds};

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
