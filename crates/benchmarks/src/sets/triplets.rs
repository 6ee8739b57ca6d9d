//! Our own format: `gallery.<split>.jsonl` and `triplets.<split>.jsonl`, one JSON object per line.
//!
//! ```text
//! scenes/
//! ├── gallery.test.jsonl     {"name": "s1", "path": "test/s1.mp4", "caption": "a red ball …"}
//! ├── triplets.test.jsonl    {"id": "q1", "reference": "s1", "text": "make it blue", "targets": ["s2"]}
//! └── test/s1.mp4 …
//! ```
//!
//! The fields are those of [`GalleryEntry`] and [`Triplet`].
//! A field that is not one of them is refused with its line: a misspelt `target` that is quietly
//! ignored costs someone a day.
//! Paths start from the manifest's folder and stay inside it.
//! Empty lines are allowed; a file of another kind is noticed at its first line.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use domain::{Change, GalleryEntry, Split, Triplet};
use serde::Deserialize;

use super::presence;
use crate::foreign::each_line;
use crate::{Benchmark, Error, LeftOut, Protocol, Result};

/// A longer line is refused: a caption is not a book.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// More lines are refused.
pub const MAX_LINES: usize = 20_000_000;

/// What to do about items whose file does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfMissing {
    /// Refuse, naming them: a shorter gallery is an easier exam.
    #[default]
    Refuse,
    /// Go on without them and the questions that need them; both are named in
    /// [`Benchmark::left_out`] and printed with every mark.
    LeaveOut,
}

/// Reads one split of a set as an exam.
///
/// # Errors
///
/// A file that cannot be read, a line that is not in the format (with its number), a set that
/// contradicts itself, and, unless told to go on, missing media.
pub fn load(root: &Path, split: Split, protocol: Protocol, if_missing: IfMissing) -> Result<Benchmark> {
    let mut benchmark = read(root, split, protocol)?;
    let missing = presence::look(&benchmark).unusable();
    if missing.is_empty() {
        return Ok(benchmark);
    }
    match if_missing {
        IfMissing::Refuse => {
            let path = root.join(format!("gallery.{split}.jsonl"));
            Err(Error::Missing { path, of: benchmark.gallery.len(), names: missing })
        }
        IfMissing::LeaveOut => {
            presence::leave_out(&mut benchmark, missing);
            benchmark.check()?;
            Ok(benchmark)
        }
    }
}

/// Reads one split, whole: whether the media are there is not asked.
pub fn read(root: &Path, split: Split, protocol: Protocol) -> Result<Benchmark> {
    let gallery = read_gallery(&root.join(format!("gallery.{split}.jsonl")), Some(split))?;
    let queries = read_triplets(&root.join(format!("triplets.{split}.jsonl")), Some(split))?;
    let set = root.file_name().map_or_else(|| root.display().to_string(), |n| n.to_string_lossy().into_owned());
    let benchmark = Benchmark {
        name: format!("{set}/{split}"),
        gallery,
        references: Vec::new(),
        queries,
        root: root.to_owned(),
        protocol,
        hidden: false,
        left_out: LeftOut::default(),
    };
    benchmark.check()?;
    Ok(benchmark)
}

/// Reads a gallery manifest. A line that says it belongs to a split other than `split` is refused.
pub fn read_gallery(path: &Path, split: Option<Split>) -> Result<Vec<GalleryEntry>> {
    read_lines(path, |_, text| {
        let OneEntry(entry) = serde_json::from_str(text).map_err(at_column)?;
        check_split(entry.split, split)?;
        if entry.name.is_empty() {
            return Err("`name` is empty; triplets need a name to point at".to_owned());
        }
        check_path(&entry.path)?;
        Ok(entry)
    })
}

/// Reads triplets. A line that says it belongs to a split other than `split` is refused.
pub fn read_triplets(path: &Path, split: Option<Split>) -> Result<Vec<Triplet>> {
    read_lines(path, |_, text| {
        let OneTriplet(triplet) = serde_json::from_str(text).map_err(at_column)?;
        check_split(triplet.split, split)?;
        if triplet.id.is_empty() {
            return Err("`id` is empty; rankings need an id to point at".to_owned());
        }
        if triplet.text.trim().is_empty() {
            return Err(format!("`text` of {} is empty; say what should be different", triplet.id));
        }
        if triplet.text.len() > domain::MAX_WORDS_BYTES {
            let (got, most) = (triplet.text.len(), domain::MAX_WORDS_BYTES);
            return Err(format!("`text` of {} is {got} bytes long, at most {most} are read", triplet.id));
        }
        if triplet.targets.is_empty() {
            return Err(format!("`targets` of {} is empty; give at least one right answer", triplet.id));
        }
        Ok(triplet)
    })
}

/// The wire form of [`GalleryEntry`]; the compiler keeps the two alike.
#[derive(Deserialize)]
#[serde(remote = "GalleryEntry", deny_unknown_fields)]
struct GalleryLine {
    name: String,
    path: String,
    #[serde(default)]
    caption: Option<String>,
    #[serde(default)]
    region: Option<[f64; 4]>,
    #[serde(default)]
    split: Option<Split>,
}

/// The wire form of [`Triplet`]; the compiler keeps the two alike.
#[derive(Deserialize)]
#[serde(remote = "Triplet", deny_unknown_fields)]
struct TripletLine {
    id: String,
    reference: String,
    text: String,
    #[serde(default)]
    wordings: Vec<String>,
    targets: Vec<String>,
    #[serde(default)]
    grades: BTreeMap<String, f64>,
    #[serde(default)]
    candidates: Option<Vec<String>>,
    #[serde(default)]
    subset: Option<Vec<String>>,
    #[serde(default)]
    split: Option<Split>,
    #[serde(default)]
    change: Option<Change>,
    #[serde(default)]
    slice: Option<String>,
    #[serde(default)]
    aspects: Vec<String>,
    #[serde(default)]
    frame_scores: Vec<f32>,
}

/// A whole line of a manifest.
#[derive(Deserialize)]
struct OneEntry(#[serde(with = "GalleryLine")] GalleryEntry);

/// A whole line of triplets.
#[derive(Deserialize)]
struct OneTriplet(#[serde(with = "TripletLine")] Triplet);

/// A fault of serde's in our words: its line number is always 1, which would read as a second one.
pub(super) fn at_column(e: serde_json::Error) -> String {
    e.to_string().replace(&format!(" at line {} column", e.line()), " at column")
}

fn check_split(said: Option<Split>, wanted: Option<Split>) -> std::result::Result<(), String> {
    match (said, wanted) {
        (Some(said), Some(wanted)) if said != wanted => {
            Err(format!("`split` is {said}, but this is the {wanted} file; splits share no item"))
        }
        _ => Ok(()),
    }
}

/// A manifest from elsewhere must not reach into other folders.
pub(super) fn check_path(path: &str) -> std::result::Result<(), String> {
    let inside = Path::new(path).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    match inside && !path.is_empty() && !path.contains('\0') {
        true => Ok(()),
        false => Err(format!("`path` {path:?} must lie inside the manifest's folder: a relative path without `..`")),
    }
}

/// Reads line by line, with limits, and puts file and line number to every fault.
pub(super) fn read_lines<T>(
    path: &Path,
    mut read: impl FnMut(usize, &str) -> std::result::Result<T, String>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    each_line(path, MAX_LINE_BYTES, |line, text| {
        if found.len() >= MAX_LINES {
            return Err(format!("more than {MAX_LINES} lines; split the set"));
        }
        found.push(read(line, text)?);
        Ok(())
    })?;
    Ok(found)
}
