//! Scenes that `likebut scenes` drew, in our own format.

use std::path::Path;

use domain::Split;

use super::{Opened, Set, triplets};
use crate::{Protocol, Result};

/// The set.
pub const SET: Set = Set {
    name: "scenes",
    about: "drawn scenes (likebut scenes FOLDER), or any folder in our own format",
    parts: &[],
    splits: &[Split::Test, Split::Val, Split::Train],
    protocol: "likebut",
    layout: &["gallery.SPLIT.jsonl", "triplets.SPLIT.jsonl", "the media that the gallery names"],
    counts: &[],
    open,
};

fn open(root: &Path, split: Split, protocol: &Protocol) -> Result<Opened> {
    let exam = triplets::read(root, split, protocol.clone())?;
    let files = [("triplets", exam.queries.len()), ("gallery", exam.gallery.len())]
        .map(|(name, n)| (root.join(format!("{name}.{split}.jsonl")), n));
    Ok(Opened { exams: vec![exam], files: files.to_vec(), notes: Vec::new() })
}
