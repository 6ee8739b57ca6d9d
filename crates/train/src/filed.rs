//! A set on disk as something to learn from and to be marked on: its pictures and clips as files, its
//! questions as indices.
//!
//! Every file is read once before anything is made of it, so that what is missing or broken is known,
//! and left out with its questions, before hours of work begin. What was found is kept beside the run
//! and asked again only of files that changed, or that could not be read.

use crate::TrainError;
use crate::data::Source;
use crate::questions::Asked;
use benchmarks::Benchmark;
use benchmarks::sets::presence::leave_out;
use domain::{Digest, GalleryEntry, MediaRef};
use media::{Frame, Limits};
use methods::{Manifest, Model};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

/// Files that are looked at between two writes of what was found.
const TOGETHER: usize = 1024;

/// Exams of one split, with their items one after the other.
pub struct Filed {
    manifest: Manifest,
    items: Vec<Item>,
    /// The exams, without what cannot be read.
    pub exams: Vec<Exam>,
    /// What was left out, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// An exam and where its items stand.
pub struct Exam {
    /// The exam.
    pub benchmark: Benchmark,
    /// Its gallery.
    pub gallery: Range<usize>,
    /// References that are not in it.
    pub references: Range<usize>,
}

struct Item {
    name: String,
    caption: Option<String>,
    media: MediaRef,
    seen: Found,
}

/// What a file was found to be; kept between runs.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Found {
    size: u64,
    mtime_ns: u64,
    /// Frames that the sampling rule takes, or why there are none.
    frames: Result<usize, String>,
}

impl Filed {
    /// Looks at every file that the exams name; `notes` is where what was found is kept. `None` if it was
    /// stopped.
    pub fn look(
        exams: Vec<Benchmark>,
        manifest: &Manifest,
        notes: &Path,
        tell: &(dyn Fn(usize, usize) + Sync),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Self>, TrainError> {
        let fail = |e: std::io::Error| TrainError::File { path: notes.to_owned(), why: e.to_string() };
        let about = format!("looked 1, {}", manifest.sampling);
        let old = std::fs::read(notes).ok().and_then(|b| serde_json::from_slice(&b).ok());
        let mut known: BTreeMap<String, Found> =
            old.filter(|(a, _): &(String, _)| *a == about).map(|(_, k)| k).unwrap_or_default();
        let mut wanted: Vec<MediaRef> =
            exams.iter().flat_map(|b| b.gallery.iter().chain(&b.references).map(move |g| b.media_of(g))).collect();
        wanted.sort_by_key(ToString::to_string);
        wanted.dedup_by_key(|m| m.to_string());
        let done = AtomicUsize::new(0);
        for chunk in wanted.chunks(TOGETHER) {
            if stop() {
                return Ok(None);
            }
            let look = |media: &MediaRef| {
                // Why a file could not be read need not lie in the file: it is asked again.
                let found = known.get(&media.to_string()).filter(|f| f.frames.is_ok() && f.is_of(media)).cloned();
                let found = found.unwrap_or_else(|| Found::of(media, manifest));
                tell(done.fetch_add(1, Ordering::Relaxed) + 1, wanted.len());
                (media.to_string(), found)
            };
            let found: Vec<_> = chunk.par_iter().map(look).collect();
            known.extend(found);
            let text = serde_json::to_string(&(&about, &known)).unwrap_or_default();
            let tmp = notes.with_extension("tmp");
            std::fs::write(&tmp, text).and_then(|()| std::fs::rename(&tmp, notes)).map_err(fail)?;
        }

        let mut this = Self { manifest: manifest.clone(), items: Vec::new(), exams: Vec::new(), left_out: Vec::new() };
        for mut benchmark in exams {
            let why = |g: &GalleryEntry| known.get(&benchmark.media_of(g).to_string())?.frames.clone().err();
            let broken: Vec<(String, String)> = benchmark
                .gallery
                .iter()
                .chain(&benchmark.references)
                .filter_map(|g| Some((g.name.clone(), why(g)?)))
                .collect();
            leave_out(&mut benchmark, broken.iter().map(|(name, _)| name.clone()).collect());
            let unasked = benchmark.left_out.queries.iter();
            let unasked = unasked.map(|q| (q.clone(), "its reference, or every right answer, is left out".to_owned()));
            this.left_out.extend(broken.into_iter().chain(unasked));
            let mut take = |entries: &[GalleryEntry]| {
                let from = this.items.len();
                for g in entries {
                    let media = benchmark.media_of(g);
                    if let Some(seen) = known.get(&media.to_string()) {
                        let (name, caption) = (g.name.clone(), g.caption.clone());
                        this.items.push(Item { name, caption, media, seen: seen.clone() });
                    }
                }
                from..this.items.len()
            };
            let (gallery, references) = (take(&benchmark.gallery), take(&benchmark.references));
            this.exams.push(Exam { benchmark, gallery, references });
        }
        Ok(Some(this))
    }

    /// All questions, exam by exam, in each exam's order.
    pub fn questions(&self, model: &Model) -> Vec<Asked> {
        let mut out = Vec::new();
        for exam in &self.exams {
            let items = exam.gallery.clone().chain(exam.references.clone());
            let at: HashMap<&str, usize> = items.map(|i| (self.items[i].name.as_str(), i)).collect();
            for q in &exam.benchmark.queries {
                let targets: Vec<usize> = q.targets.iter().filter_map(|t| at.get(t.as_str())).copied().collect();
                // Whoever has neither was left out above.
                if let (Some(reference), false) = (at.get(q.reference.as_str()), targets.is_empty()) {
                    let words = model.words.ids(&q.text);
                    let (id, frame_scores) = (q.id.clone(), q.frame_scores.clone());
                    out.push(Asked { id, row: out.len(), reference: *reference, words, targets, frame_scores });
                }
            }
        }
        out
    }

    /// Names of all items.
    pub fn names(&self) -> Vec<String> {
        self.items.iter().map(|i| i.name.clone()).collect()
    }

    /// What each item is, in words, where the set says so.
    pub fn captions(&self) -> Vec<Option<&str>> {
        self.items.iter().map(|i| i.caption.as_deref()).collect()
    }

    /// Where each item lies, by name.
    pub fn files(&self) -> HashMap<String, MediaRef> {
        self.items.iter().map(|i| (i.name.clone(), i.media.clone())).collect()
    }
}

impl Found {
    fn of(media: &MediaRef, manifest: &Manifest) -> Self {
        let (size, mtime_ns) = stamp(&media.path).unwrap_or_default();
        let seen = search::see(manifest, media, &Limits::default());
        let frames = match seen {
            Ok(seen) if seen.frames.is_empty() => Err("it has no frame".to_owned()),
            Ok(seen) => Ok(seen.frames.len()),
            Err(e) => Err(e.to_string()),
        };
        Self { size, mtime_ns, frames }
    }

    fn is_of(&self, media: &MediaRef) -> bool {
        stamp(&media.path) == Some((self.size, self.mtime_ns))
    }
}

fn stamp(path: &Path) -> Option<(u64, u64)> {
    let about = std::fs::metadata(path).ok()?;
    let since = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((about.len(), since.as_nanos() as u64))
}

impl Source for Filed {
    fn frames(&self) -> Vec<usize> {
        self.items.iter().map(|i| *i.seen.frames.as_ref().unwrap_or(&0)).collect()
    }

    fn show(&self, frames: Range<usize>) -> Result<Vec<Cow<'_, Frame>>, TrainError> {
        let mut at = 0;
        let mut parts = Vec::new();
        for (item, n) in self.items.iter().zip(self.frames()) {
            let within = frames.start.max(at)..frames.end.min(at + n);
            if !within.is_empty() {
                parts.push((item, n, within.start - at..within.end - at));
            }
            at += n;
        }
        let read = |(item, n, within): (&Item, usize, Range<usize>)| -> Result<Vec<Cow<'_, Frame>>, TrainError> {
            let fail = |why: String| TrainError::File { path: item.media.path.clone(), why };
            let seen = search::see(&self.manifest, &item.media, &Limits::default()).map_err(|e| fail(e.to_string()))?;
            if seen.frames.len() != n {
                return Err(fail("it has changed since the run began; begin again".into()));
            }
            Ok(seen.frames.into_iter().skip(within.start).take(within.len()).map(Cow::Owned).collect())
        };
        let read: Result<Vec<_>, _> = parts.into_par_iter().map(read).collect();
        Ok(read?.into_iter().flatten().collect())
    }

    fn stamps(&self) -> Vec<String> {
        let span = |i: &Item| i.media.span.map_or(String::new(), |s| format!("\0{}-{}", s.start_secs, s.end_secs));
        let stamp = |i: &Item| format!("{}\0{}\0{}{}", i.name, i.seen.size, i.seen.mtime_ns, span(i));
        self.items.iter().map(stamp).collect()
    }
}

/// Questions in groups of so many that stand one after the other in the set's file, where those about
/// look-alikes often do: a batch takes whole groups. At most `most` of them, in an order that hangs on nothing,
/// their questions counted anew.
pub fn groups(asked: &[Asked], triplets: usize, most: usize) -> Vec<Vec<Asked>> {
    let mut groups: Vec<Vec<Asked>> = asked.chunks(triplets.max(1)).map(<[Asked]>::to_vec).collect();
    scenes::Rng::keyed(0, &[6]).shuffle(&mut groups);
    groups.truncate(most);
    groups.iter_mut().flatten().enumerate().for_each(|(row, a)| a.row = row);
    groups
}

/// One digest of several exams; of one alone its own.
pub fn digest_of<'a>(exams: impl Iterator<Item = &'a Benchmark>) -> Digest {
    let each: Vec<Digest> = exams.map(Benchmark::digest).collect();
    match &each[..] {
        [only] => *only,
        _ => Digest::of(each.iter().map(ToString::to_string).collect::<String>().as_bytes()),
    }
}
