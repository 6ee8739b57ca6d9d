//! What a training run learns from: items as the network sees them, such as scenes that were drawn into
//! memory.

use crate::TrainError;
use domain::{Digest, Sampling, Split};
use media::Frame;
use methods::Seen;
use nets::view::View;
use rayon::prelude::*;
use scenes::{Named, Rng, Set};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The size at which scenes are drawn for training; files are drawn larger, and both are then
/// resized by the view.
const DRAWN: (u32, u32) = (224, 168);

/// Items as a network will see them: scenes that were drawn, or files.
pub trait Source: Sync {
    /// How many frames each item has, in order.
    fn frames(&self) -> Vec<usize>;
    /// Some frames, counted through all items, as the view leaves them.
    fn show(&self, frames: Range<usize>) -> Result<Vec<Cow<'_, Frame>>, TrainError>;
    /// What each item is, told as exactly as can be without reading it again.
    fn stamps(&self) -> Vec<String>;
}

/// The scenes of one split, as the network will see them.
pub struct Drawn {
    /// The items, in the set's order.
    pub items: Vec<Named>,
    /// What each shows, item by item.
    pub seen: Vec<Seen>,
    /// Where each name stands.
    pub index: HashMap<String, usize>,
}

impl Drawn {
    /// Draws the items of one split: the frames that the sampling rule would take from the file,
    /// resized by the view. `tell(done, total)` is called now and then.
    pub fn new(set: &Set, split: Split, view: &View, sampling: Sampling, tell: &(dyn Fn(usize, usize) + Sync)) -> Self {
        let items: Vec<Named> = set.items.iter().filter(|i| i.split == split).cloned().collect();
        let done = AtomicUsize::new(0);
        let total = items.len();
        let seen = items
            .par_iter()
            .map(|item| {
                let seen = see(&item.scene, view, sampling);
                let n = done.fetch_add(1, Ordering::Relaxed) + 1;
                if n.is_multiple_of(256) || n == total {
                    tell(n, total);
                }
                seen
            })
            .collect();
        let index = items.iter().enumerate().map(|(i, n)| (n.name.clone(), i)).collect();
        Self { items, seen, index }
    }
}

impl Source for Drawn {
    fn frames(&self) -> Vec<usize> {
        self.seen.iter().map(|s| s.frames.len()).collect()
    }

    fn show(&self, frames: Range<usize>) -> Result<Vec<Cow<'_, Frame>>, TrainError> {
        let all = self.seen.iter().flat_map(|s| &s.frames);
        Ok(all.skip(frames.start).take(frames.len()).map(Cow::Borrowed).collect())
    }

    fn stamps(&self) -> Vec<String> {
        // The pixels themselves: drawings may differ by a shade between processors.
        let pixels = |seen: &Seen| seen.frames.iter().map(|f| Digest::of(&f.rgb).to_string()).collect::<String>();
        self.items.iter().zip(&self.seen).map(|(item, seen)| format!("{}{}", item.name, pixels(seen))).collect()
    }
}

/// What a network would see of one scene.
pub fn see(scene: &scenes::Scene, view: &View, sampling: Sampling) -> Seen {
    let (len, fps) = (scene.frames(), scene.fps());
    let at = |i: usize| view.look(&scenes::draw(scene, i as f32 / fps, DRAWN.0, DRAWN.1));
    Seen { frames: sampling.indices(len, f64::from(fps)).into_iter().map(at).collect() }
}

/// Which groups a step takes: each epoch goes once through all groups, in its own order, which depends
/// on nothing but the seed, so that a resumed run takes what it would have taken.
pub fn groups_at(step: usize, per_step: usize, groups: usize, seed: u64) -> Vec<usize> {
    let per_epoch = (groups / per_step).max(1);
    let (epoch, within) = (step / per_epoch, step % per_epoch);
    let mut order: Vec<usize> = (0..groups).collect();
    Rng::keyed(seed, &[1, epoch as u64]).shuffle(&mut order);
    order.into_iter().skip(within * per_step).take(per_step).collect()
}
