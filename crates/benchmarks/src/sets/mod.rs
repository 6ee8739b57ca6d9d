//! Sets on disk, one file per set: where its questions lie and what its lines mean.
//!
//! Each set is read in the layout that its authors publish, unchanged, and opened by a
//! [`Protocol`]: the gallery rule decides what may be an answer, the caption rule what the words
//! are. What a loader finds odd it says in [`Opened::notes`]; what of the media is here is asked
//! separately, by [`presence::look`].

pub mod csv;
pub mod files;
pub mod presence;

pub mod fashioniq;

pub mod cirr;

pub mod circo;

pub mod webvid_covr;

pub mod shoes;

pub mod genecis;

pub mod egocvr;

pub mod scenes;

pub mod mine;
pub mod triplets;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use domain::{GalleryEntry, Split, Triplet};

use crate::{Benchmark, Error, GalleryRule, LeftOut, Protocol, Result, preset};

/// All sets. Adding one is one entry, and its file.
pub const SETS: &[&Set] = &[
    &fashioniq::SET,
    &cirr::SET,
    &circo::SET,
    &webvid_covr::SET,
    &shoes::SET,
    &genecis::SET,
    &egocvr::SET,
    &scenes::SET,
];

/// A published set.
pub struct Set {
    /// What `--bench` calls it.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Its exams, where it has several: categories, tasks.
    pub parts: &'static [&'static str],
    /// Its splits, the usual one first.
    pub splits: &'static [Split],
    /// The protocol that it is opened by unless another is named: a name of
    /// [`crate::PROTOCOLS`].
    pub protocol: &'static str,
    /// Where its files are looked for, for people.
    pub layout: &'static [&'static str],
    /// What was published: split, part, questions, gallery under the usual protocol.
    pub counts: &'static [(Split, &'static str, usize, usize)],
    /// Reads one split.
    pub(crate) open: fn(&Path, Split, &Protocol) -> Result<Opened>,
}

/// What was read of a set.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// One exam per part.
    pub exams: Vec<Benchmark>,
    /// What was read, with how many entries.
    pub files: Vec<(PathBuf, usize)>,
    /// What people should know before they believe a number.
    pub notes: Vec<String>,
}

/// The set of that name.
pub fn set(name: &str) -> Option<&'static Set> {
    SETS.iter().find(|s| s.name == name).copied()
}

impl Set {
    /// The protocol that it is opened by unless another is named.
    pub fn usual(&self) -> Protocol {
        preset(self.protocol).map(|p| p.protocol()).unwrap_or_default()
    }

    /// Reads one split by a protocol's rules, whole: whether the media are there is not asked.
    ///
    /// # Errors
    ///
    /// An annotation file that is not there, with the places where it was looked for; one that is not
    /// what it should be, with line or entry; a set that contradicts itself.
    pub fn open(&self, root: &Path, split: Split, protocol: &Protocol) -> Result<Opened> {
        if !self.splits.contains(&split) {
            let has: Vec<String> = self.splits.iter().map(Split::to_string).collect();
            return Err(Error::Split { set: self.name, split, has: has.join(", ") });
        }
        let opened = (self.open)(root, split, protocol)?;
        opened.exams.iter().try_for_each(Benchmark::check)?;
        Ok(opened)
    }

    /// What was published about a split and part: questions and gallery under the usual protocol.
    pub fn published(&self, split: Split, part: &str) -> Option<(usize, usize)> {
        self.counts.iter().find(|c| c.0 == split && c.1 == part).map(|c| (c.2, c.3))
    }
}

/// What a loader has in hand when it has read its files.
pub(crate) struct Parts {
    pub set: &'static str,
    pub part: &'static str,
    pub split: Split,
    pub root: PathBuf,
    /// All that the set lists.
    pub listed: Vec<GalleryEntry>,
    pub queries: Vec<Triplet>,
    pub hidden: bool,
}

impl Parts {
    /// The exam under a protocol's gallery rule; names that questions use and the set does not list
    /// are faults of the set. `place` says where an item lies that only a question names.
    pub fn exam(self, protocol: &Protocol) -> Result<Benchmark> {
        let Self { set, part, split, root, listed, queries, hidden } = self;
        let named: HashSet<&str> =
            queries.iter().flat_map(|q| q.targets.iter().chain([&q.reference])).map(String::as_str).collect();
        let targets: HashSet<&str> = queries.iter().flat_map(|q| &q.targets).map(String::as_str).collect();
        let references: HashSet<&str> = queries.iter().map(|q| q.reference.as_str()).collect();
        let stays = |g: &GalleryEntry| match protocol.gallery {
            GalleryRule::Named => named.contains(g.name.as_str()),
            GalleryRule::Targets => targets.contains(g.name.as_str()),
            GalleryRule::Listed | GalleryRule::Folder | GalleryRule::Own => true,
        };
        let (gallery, outside): (Vec<_>, Vec<_>) = listed.into_iter().partition(stays);
        let beside = outside.into_iter().filter(|g| references.contains(g.name.as_str())).collect();
        let name = match part {
            "" => format!("{set}/{split}"),
            part => format!("{set}/{part}/{split}"),
        };
        let (protocol, left_out) = (protocol.clone(), LeftOut::default());
        let mut exam = Benchmark { name, gallery, references: beside, queries, root, protocol, hidden, left_out };
        // What a narrower gallery does not hold is no look-alike and no answer of it.
        if matches!(exam.protocol.gallery, GalleryRule::Named | GalleryRule::Targets) {
            let held: HashSet<&str> = exam.gallery.iter().map(|g| g.name.as_str()).collect();
            for q in &mut exam.queries {
                if q.subset.as_ref().is_some_and(|s| s.iter().any(|n| !held.contains(n.as_str()))) {
                    q.subset = None;
                }
            }
        }
        exam.check()?;
        Ok(exam)
    }
}

/// The modification text and its other wordings under a protocol's caption rule.
pub(crate) fn words(
    protocol: &Protocol,
    captions: &[&str],
    corrections: &std::collections::HashMap<String, String>,
) -> (String, Vec<String>) {
    let mut texts = protocol.captions.texts(captions, corrections).into_iter().map(|t| t.trim().to_owned());
    (texts.next().unwrap_or_default(), texts.collect())
}

/// `2,017 questions have …`, once for all, if there are any.
pub(crate) fn noted(notes: &mut Vec<String>, ids: &[String], what: &str) {
    if !ids.is_empty() {
        notes.push(format!("{} questions {what}: {}", ids.len(), crate::error::some_of(ids)));
    }
}
