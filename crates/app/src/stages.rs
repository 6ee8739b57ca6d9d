//! Training on screen: a bar for each stage, one after the other.

use crate::context::Context;
use crate::progress::Progress;

/// The bar of the stage that runs.
pub struct Stages<'c> {
    context: &'c Context,
    shown: Option<(&'static str, Progress)>,
}

impl<'c> Stages<'c> {
    /// No stage yet.
    pub fn new(context: &'c Context) -> Self {
        Self { context, shown: None }
    }

    /// Shows where the run is.
    pub fn tell(&mut self, p: train::Progress) {
        if p.notice {
            // A bar that stands there goes first.
            self.shown = None;
            return self.context.say(p.line);
        }
        if self.shown.as_ref().is_none_or(|(stage, _)| *stage != p.stage) {
            let unit = match p.stage {
                "draw" => "scenes",
                "look" => "files",
                "encode" => "items",
                "features" => "vectors",
                "run" => "runs",
                _ => "steps",
            };
            // The old bar goes before the new one comes.
            self.shown = None;
            self.shown = Some((p.stage, Progress::new(p.stage, unit, p.total as u64, self.context.quiet)));
        }
        if let Some((_, bar)) = &mut self.shown {
            bar.set_total(p.total as u64);
            bar.note(p.line);
            bar.set(p.done as u64);
        }
    }
}
