//! CoVR-2: the words are read while looking at the reference, and that is the query.
//!
//! # The idea
//! BLIP-2's Q-Former was taught to read pictures and texts together; fine-tuned on triplets, what its
//! queries say of (reference, words) lies where they would lie for the target alone.
//! It is IMAGINE without imagery, and what IMAGINE is compared with.
//!
//! # What it sees
//! The reference's sampled frames (one, the middle one, in the paper) and the modification text; of a
//! target up to fifteen frames, each a vector of its own, [pooled](pool_frames) by how well the words fit it.
//! Here it learns so too where targets are frozen and the set says how well (WebVid-CoVR's `scores`, or
//! `frame_scores` of a question); without that, and in a library, which knows no question, all frames of an
//! item are looked at together.
//! The vectors that its authors computed beforehand (`.pth`, one file a clip) can be marked with (`likebut eval
//! --embeddings`), but not learnt towards: targets are made here, of the same frames, by the network that the
//! training begins with.
//!
//! # How it composes
//! | CoVR-2 | here |
//! |---|---|
//! | q̄: mean of the 32 composed query tokens | `Blip2::composed_tokens`, pooled |
//! | t̄: the same of the target, by the untrained Q-Former | [`crate::Gallery`] |
//! | frames weighted by softmax(score / 0.1) | [`pool_frames`] |
//! | HN-NCE, α = 1, β = 0.5, τ = 0.07 | [`loss`], [`crate::contrast`] |
//!
//! # What it was trained on, and numbers to expect
//! WebVid-CoVR test R@1/5/10/50: 59.82 / 83.84 / 91.28 / 98.24. See `results/` for ours on scenes.
//!
//! # Paper, reference code, licence
//! Ventura et al. 2024, "CoVR-2: Automatic Data Construction for Composed Video Retrieval", TPAMI.
//! Code: lucas-ventura/CoVR (MIT); written here from its description. Of two oddities of that code one
//! is a setting (`hn-nce-reference`, see [`crate::contrast::Classification`]); the other, target frames read as
//! BGR, belongs to whoever precomputes features with it.

mod compose;
mod config;
mod frames;
mod loss;

pub use compose::Composer;
pub use config::Config;
pub use frames::{FRAME_TEMPERATURE, frame_weights, pool_frames};
pub use loss::{Features, Losses, loss};
