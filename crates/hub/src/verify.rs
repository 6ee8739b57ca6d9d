//! Whether what is on this disk is what was announced: every byte is read.

use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::digest::Digest;
use crate::error::Error;

/// What holding a model against its digests showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verified {
    /// How many files are what they should be.
    pub whole: usize,
    /// How many bytes they have.
    pub bytes: u64,
    /// Files that are not, and what is wrong.
    pub wrong: Vec<(PathBuf, String)>,
    /// Files that carry no digest to be held against: copies, where links cannot be made.
    pub unnamed: Vec<PathBuf>,
}

impl Verified {
    /// Nothing is wrong, and something was looked at.
    pub fn is_whole(&self) -> bool {
        self.wrong.is_empty() && self.whole > 0
    }

    /// Holds one file against its digest.
    pub(crate) fn look(&mut self, path: &Path, expected: Digest) {
        let bytes = std::fs::metadata(path).map(|m| m.len());
        match (expected.of_file(path), bytes) {
            (Ok(found), Ok(bytes)) if found == expected => {
                self.whole += 1;
                self.bytes += bytes;
            }
            (Ok(found), _) => self.wrong.push((path.to_owned(), format!("it is {found}, it should be {expected}"))),
            (Err(Error::Io { source, .. }), _) => {
                self.wrong.push((path.to_owned(), format!("it cannot be read: {source}")))
            }
            (Err(e), _) => self.wrong.push((path.to_owned(), e.to_string())),
        }
    }
}

/// Holds every file of a snapshot against the name of its blob.
pub fn verify_snapshot(cache: &Cache, snapshot: &Path, tell: &mut dyn FnMut(&Path)) -> Verified {
    let mut out = Verified::default();
    for (name, _) in cache.files(snapshot) {
        let path = snapshot.join(name);
        tell(&path);
        match cache.announced(&path) {
            Some(digest) => out.look(&path, digest),
            None => out.unnamed.push(path),
        }
    }
    out
}
