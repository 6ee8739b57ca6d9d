//! What of a set is here, what is not, and what that does to a mark.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use domain::GalleryEntry;

use crate::{Benchmark, LeftOut};

/// What of a benchmark's media is here.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Presence {
    /// Items that the set names.
    pub of: usize,
    /// Items without a file, in the set's order.
    pub missing: Vec<String>,
    /// Items whose file cannot be media, with the reason.
    pub broken: Vec<(String, String)>,
}

impl Presence {
    /// The names of all that cannot be used.
    pub fn unusable(&self) -> Vec<String> {
        self.missing.iter().chain(self.broken.iter().map(|(name, _)| name)).cloned().collect()
    }

    /// Whether all is here.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.broken.is_empty()
    }
}

/// Looks for every file that the gallery and the references name, and at the first bytes of each:
/// half of what is "there" after a download of dead links is error pages and pointers.
pub fn look(benchmark: &Benchmark) -> Presence {
    let mut found = Presence::default();
    for item in benchmark.gallery.iter().chain(&benchmark.references) {
        found.of += 1;
        match file_of(benchmark, item).map(|path| fault_of(&path)) {
            None => found.missing.push(item.name.clone()),
            Some(Some(fault)) => found.broken.push((item.name.clone(), fault)),
            Some(None) => {}
        }
    }
    found
}

/// The file of an item, if there is one. A span of a file (`clip.mp4@00:41-00:45`) is there if the
/// file is.
fn file_of(benchmark: &Benchmark, item: &GalleryEntry) -> Option<PathBuf> {
    let file = benchmark.media_of(item).path;
    file.is_file().then_some(file)
}

/// What shows that a file is no picture and no clip, if anything does.
fn fault_of(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|f| f.take(64).read_to_end(&mut head));
    if let Err(e) = read {
        return Some(format!("it cannot be read: {e}"));
    }
    let text = String::from_utf8_lossy(&head).trim_start().to_ascii_lowercase();
    match () {
        _ if head.is_empty() => Some("the file is empty".to_owned()),
        _ if text.starts_with("version https://git-lfs") => Some("a Git LFS pointer, not the file itself".to_owned()),
        _ if text.starts_with("<!doctype html") || text.starts_with("<html") || text.starts_with("<?xml") => {
            Some("a web page, not a picture: the link was dead".to_owned())
        }
        _ => None,
    }
}

/// Takes items out, with the questions that cannot be asked or answered without them; all are named
/// in [`Benchmark::left_out`].
pub fn leave_out(benchmark: &mut Benchmark, names: Vec<String>) {
    take_out(benchmark, names, false);
}

/// The same where nothing is asked of the references themselves, because the questions' vectors were
/// made elsewhere: a reference leaves the gallery, and its questions are still asked.
pub fn leave_out_of_gallery(benchmark: &mut Benchmark, names: Vec<String>) {
    take_out(benchmark, names, true);
}

fn take_out(benchmark: &mut Benchmark, names: Vec<String>, asked_anyway: bool) {
    let gone: HashSet<&str> = names.iter().map(String::as_str).collect();
    let is_gone = |name: &String| gone.contains(name.as_str());
    if asked_anyway {
        let asked: HashSet<&str> = benchmark.queries.iter().map(|q| q.reference.as_str()).collect();
        let beside = benchmark.gallery.iter().filter(|g| is_gone(&g.name) && asked.contains(g.name.as_str()));
        let beside: Vec<GalleryEntry> = beside.cloned().collect();
        benchmark.references.extend(beside);
    } else {
        benchmark.references.retain(|g| !is_gone(&g.name));
    }
    benchmark.gallery.retain(|g| !is_gone(&g.name));
    let hidden = benchmark.hidden;
    let mut unasked = Vec::new();
    benchmark.queries.retain_mut(|q| {
        let first = q.targets.first().cloned();
        q.targets.retain(|t| !is_gone(t));
        if (is_gone(&q.reference) && !asked_anyway) || (q.targets.is_empty() && !hidden) {
            unasked.push(q.id.clone());
            return false;
        }
        // Look-alikes are a fixed small group; with one gone, telling them apart is another task.
        if q.subset.as_ref().is_some_and(|s| s.iter().any(is_gone)) || first != q.targets.first().cloned() {
            q.subset = None;
        }
        if let Some(candidates) = &mut q.candidates {
            candidates.retain(|c| !is_gone(c));
        }
        true
    });
    benchmark.left_out.gallery.extend(names);
    benchmark.left_out.queries.extend(unasked);
}

impl LeftOut {
    /// Between what a mark over the `asked` questions must lie over all of them: had all that are
    /// left out been missed, and had all been hit.
    ///
    /// Items that only filled the gallery are another matter: with them back, a rank can only fall.
    ///
    /// ```
    /// let left = benchmarks::LeftOut { gallery: vec![], queries: vec!["q9".into()] };
    /// assert_eq!(left.bounds(0.5, 3), (0.375, 0.625));
    /// ```
    pub fn bounds(&self, mark: f64, asked: usize) -> (f64, f64) {
        let (asked, left) = (asked as f64, self.queries.len() as f64);
        match asked + left {
            0.0 => (0.0, 1.0),
            all => (mark * asked / all, (mark * asked + left) / all),
        }
    }

    /// The share of all questions that is left out.
    pub fn share(&self, asked: usize) -> f64 {
        let left = self.queries.len() as f64;
        left / (asked as f64 + left).max(1.0)
    }
}
