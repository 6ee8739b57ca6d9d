//! The cache on this disk that all tools of the hub share, after its published layout:
//!
//! ```text
//! models--OWNER--NAME/blobs/DIGEST              contents, each once
//! models--OWNER--NAME/refs/main                 which commit a branch was at
//! models--OWNER--NAME/snapshots/COMMIT/config.json → ../../blobs/DIGEST
//! .locks/models--OWNER--NAME/DIGEST.lock        who is writing
//! ```
//!
//! What is here is looked at before anyone is asked, and what another tool brought is not brought
//! again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::digest::Digest;
use crate::error::{Error, at};
use crate::name::{Repo, check_revision, is_commit};

/// What marks a folder that backups may leave out.
const CACHEDIR_TAG: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of the Hugging Face hub.\n";

/// The shared cache.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Its folder.
    pub root: PathBuf,
}

/// A lock on one blob, given back when dropped.
pub(crate) struct Lock(#[allow(dead_code)] Option<File>);

impl Cache {
    /// A repository's folder.
    pub fn folder(&self, repo: &Repo) -> PathBuf {
        self.root.join(repo.folder())
    }

    /// The commit that a branch, tag or commit means here; `None` if this disk does not know.
    pub fn commit(&self, repo: &Repo, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        check_revision(revision).ok()?;
        let mut text = String::new();
        let file = File::open(self.folder(repo).join("refs").join(revision)).ok()?;
        file.take(64).read_to_string(&mut text).ok()?;
        let commit = text.trim();
        is_commit(commit).then(|| commit.to_owned())
    }

    /// The folder of a commit's files, if there is one.
    pub fn snapshot(&self, repo: &Repo, commit: &str) -> Option<PathBuf> {
        let folder = self.folder(repo).join("snapshots").join(commit);
        (is_commit(commit) && folder.is_dir()).then_some(folder)
    }

    /// The names of a snapshot's files, sorted, with their sizes; links that lead nowhere are left out.
    pub fn files(&self, snapshot: &Path) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        list(snapshot, "", 0, &mut found);
        found.sort();
        found
    }

    /// Where some contents lie, or will lie.
    pub(crate) fn blob(&self, repo: &Repo, digest: Digest) -> PathBuf {
        self.folder(repo).join("blobs").join(digest.to_string())
    }

    /// Where they lie until all of them are there.
    pub(crate) fn incomplete(&self, repo: &Repo, digest: Digest) -> PathBuf {
        self.folder(repo).join("blobs").join(format!("{digest}.incomplete"))
    }

    /// What a pull that was stopped has brought so far, in bytes.
    pub fn partial_bytes(&self, repo: &Repo) -> u64 {
        let Ok(entries) = std::fs::read_dir(self.folder(repo).join("blobs")) else { return 0 };
        let partial = entries.flatten().filter(|e| e.file_name().to_string_lossy().ends_with(".incomplete"));
        partial.filter_map(|e| Some(e.metadata().ok()?.len())).sum()
    }

    /// The digest that a snapshot's file should have: the name of the blob it points at.
    pub fn announced(&self, file: &Path) -> Option<Digest> {
        let target = std::fs::read_link(file).ok()?;
        Digest::parse(target.file_name()?.to_str()?)
    }

    /// Makes the folders of a repository.
    pub(crate) fn prepare(&self, repo: &Repo) -> Result<(), Error> {
        let blobs = self.folder(repo).join("blobs");
        std::fs::create_dir_all(&blobs).map_err(at(&blobs))?;
        let tag = self.root.join("CACHEDIR.TAG");
        if !tag.exists() {
            // A courtesy to backups, no condition.
            let _ = std::fs::write(&tag, CACHEDIR_TAG);
        }
        Ok(())
    }

    /// Waits until nobody else writes this blob. `waiting` is called now and then; it says whether to
    /// go on. A file system without locks is used without: the digest of the whole is checked anyway.
    pub(crate) fn lock(
        &self,
        repo: &Repo,
        digest: Digest,
        waiting: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<Lock, Error> {
        let folder = self.root.join(".locks").join(repo.folder());
        std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        let path = folder.join(format!("{digest}.lock"));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(Some(file))),
                Err(TryLockError::WouldBlock) => {
                    waiting()?;
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(TryLockError::Error(_)) => return Ok(Lock(None)),
            }
        }
    }

    /// Makes a blob appear in a snapshot under its name: a relative link, or where links cannot be
    /// made the file itself, as the layout has it for such systems.
    pub(crate) fn link(&self, repo: &Repo, commit: &str, name: &str, digest: Digest) -> Result<(), Error> {
        let path = self.folder(repo).join("snapshots").join(commit).join(name);
        let blob = self.blob(repo, digest);
        let folder = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(folder).map_err(at(folder))?;
        let up = "../".repeat(name.matches('/').count() + 2);
        let target = format!("{up}blobs/{digest}");
        if std::fs::read_link(&path).is_ok_and(|t| t == Path::new(&target)) {
            return Ok(());
        }
        // Beside it and renamed, so that nobody ever sees the name without the file.
        let new = folder.join(format!(".{digest}.new"));
        let _ = std::fs::remove_file(&new);
        if symlink(Path::new(&target), &new).is_err() && std::fs::hard_link(&blob, &new).is_err() {
            std::fs::copy(&blob, &new).map_err(at(&new))?;
        }
        std::fs::rename(&new, &path).map_err(at(&path))
    }

    /// Writes down which commit a branch is at. Last, so that a branch never names what is not whole.
    pub(crate) fn point(&self, repo: &Repo, revision: &str, commit: &str) -> Result<(), Error> {
        if revision == commit {
            return Ok(());
        }
        check_revision(revision)?;
        let path = self.folder(repo).join("refs").join(revision);
        let folder = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(folder).map_err(at(folder))?;
        if std::fs::read_to_string(&path).is_ok_and(|t| t.trim() == commit) {
            return Ok(());
        }
        let new = folder.join(format!(".{commit}.new"));
        std::fs::write(&new, commit).map_err(at(&new))?;
        std::fs::rename(&new, &path).map_err(at(&path))
    }

    /// What forgetting a commit would delete: its snapshot, and the blobs and branches that no other
    /// snapshot of the repository needs. Returns the paths and the bytes that come free.
    pub fn belongings(&self, repo: &Repo, commit: &str) -> (Vec<PathBuf>, u64) {
        let Some(snapshot) = self.snapshot(repo, commit) else { return (Vec::new(), 0) };
        let blobs_of = |snapshot: &Path| -> std::collections::BTreeSet<PathBuf> {
            self.files(snapshot).iter().filter_map(|(name, _)| snapshot.join(name).canonicalize().ok()).collect()
        };
        let mut needed = std::collections::BTreeSet::new();
        let others = std::fs::read_dir(self.folder(repo).join("snapshots")).into_iter().flatten().flatten();
        for other in others.map(|e| e.path()).filter(|p| *p != snapshot) {
            needed.extend(blobs_of(&other));
        }
        let blobs = self.folder(repo).join("blobs").canonicalize().unwrap_or_default();
        // Only what lies in this repository's own blobs: a snapshot's file may be a link to elsewhere.
        let mine: Vec<PathBuf> =
            blobs_of(&snapshot).into_iter().filter(|p| p.starts_with(&blobs) && !needed.contains(p)).collect();
        let size = |p: &PathBuf| std::fs::metadata(p).map_or(0, |m| m.len());
        let own: u64 =
            self.files(&snapshot).iter().filter(|(n, _)| !snapshot.join(n).is_symlink()).map(|(_, s)| s).sum();
        let bytes = mine.iter().map(size).sum::<u64>() + own;
        let mut out = vec![snapshot];
        out.extend(mine);
        let mut refs = Vec::new();
        list(&self.folder(repo).join("refs"), "", 0, &mut refs);
        let points = |name: &String| self.commit(repo, name).as_deref() == Some(commit);
        out.extend(refs.into_iter().map(|(n, _)| n).filter(points).map(|n| self.folder(repo).join("refs").join(n)));
        (out, bytes)
    }

    /// Deletes what [`Cache::belongings`] named.
    pub fn forget(&self, paths: &[PathBuf]) -> Result<(), Error> {
        for path in paths {
            let gone = if path.is_dir() && !path.is_symlink() {
                std::fs::remove_dir_all(path)
            } else {
                std::fs::remove_file(path)
            };
            gone.map_err(at(path))?;
        }
        Ok(())
    }

    /// Free bytes where the cache lies; `None` where the system does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.root)
    }
}

/// Free bytes on the disk of a folder that may not exist yet.
#[cfg(unix)]
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|p| p.exists())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Elsewhere a full disk is noticed when it is full.
#[cfg(not(unix))]
pub(crate) fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(unix)]
pub(crate) fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
pub(crate) fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
pub(crate) fn symlink(_target: &Path, _link: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

fn list(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<(String, u64)>) {
    // Repositories are shallow; a link that leads up would otherwise be followed for ever.
    if depth > 8 {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some(name) = entry.file_name().to_str().map(|n| format!("{prefix}{n}")) else { continue };
        match std::fs::metadata(entry.path()) {
            Ok(meta) if meta.is_dir() && !entry.path().is_symlink() => {
                list(&entry.path(), &format!("{name}/"), depth + 1, found);
            }
            Ok(meta) if meta.is_file() && !entry.file_name().to_string_lossy().ends_with(".new") => {
                found.push((name, meta.len()));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "bbc77c8132af1cc5cf678da3f1ddf2de43606d48";

    fn setting() -> (tempfile::TempDir, Cache, Repo, Digest) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache { root: dir.path().join("hub") };
        let repo = Repo::parse("a/b").unwrap();
        // "hello\n"
        (dir, cache, repo, Digest::parse("ce013625030ba8dba906f756967f9e9ca394464a").unwrap())
    }

    #[test]
    fn a_file_is_stored_once_and_seen_under_its_name() {
        let (_dir, cache, repo, digest) = setting();
        cache.prepare(&repo).unwrap();
        std::fs::write(cache.blob(&repo, digest), "hello\n").unwrap();
        for name in ["config.json", "deep/er/config.json"] {
            cache.link(&repo, COMMIT, name, digest).unwrap();
            cache.link(&repo, COMMIT, name, digest).unwrap();
        }
        assert_eq!(cache.commit(&repo, "main"), None);
        cache.point(&repo, "main", COMMIT).unwrap();
        cache.point(&repo, "refs/pr/1", COMMIT).unwrap();
        assert_eq!(cache.commit(&repo, "refs/pr/1").as_deref(), Some(COMMIT));
        let snapshot = cache.snapshot(&repo, COMMIT).unwrap();
        assert_eq!(cache.files(&snapshot), [("config.json".to_owned(), 6), ("deep/er/config.json".to_owned(), 6)]);
        for name in ["config.json", "deep/er/config.json"] {
            assert_eq!(std::fs::read(snapshot.join(name)).unwrap(), b"hello\n");
            assert_eq!(cache.announced(&snapshot.join(name)), Some(digest));
        }
        assert!(cache.free_bytes().unwrap() > 0);
    }

    #[test]
    fn forgetting_keeps_what_others_need() {
        let (_dir, cache, repo, digest) = setting();
        cache.prepare(&repo).unwrap();
        let other = Digest::parse(&"0".repeat(64)).unwrap();
        std::fs::write(cache.blob(&repo, digest), "hello\n").unwrap();
        std::fs::write(cache.blob(&repo, other), "only mine").unwrap();
        let newer = "c".repeat(40);
        cache.link(&repo, COMMIT, "config.json", digest).unwrap();
        cache.link(&repo, COMMIT, "model.safetensors", other).unwrap();
        cache.link(&repo, &newer, "config.json", digest).unwrap();
        cache.point(&repo, "main", COMMIT).unwrap();
        let (paths, bytes) = cache.belongings(&repo, COMMIT);
        assert_eq!((paths.len(), bytes), (3, 9), "{paths:?}");
        cache.forget(&paths).unwrap();
        assert!(cache.snapshot(&repo, COMMIT).is_none() && cache.commit(&repo, "main").is_none());
        let kept = cache.snapshot(&repo, &newer).unwrap().join("config.json");
        assert_eq!(std::fs::read(kept).unwrap(), b"hello\n");
        assert!(!cache.blob(&repo, other).exists());
    }

    #[test]
    fn one_writer_at_a_time() {
        let (_dir, cache, repo, digest) = setting();
        let held = cache.lock(&repo, digest, &mut || panic!("nobody else is here")).unwrap();
        let mut asked = 0;
        let second = cache.lock(&repo, digest, &mut || {
            asked += 1;
            if asked == 2 { Err(Error::Stopped) } else { Ok(()) }
        });
        assert!(matches!(second, Err(Error::Stopped)) && asked == 2);
        drop(held);
        assert!(cache.lock(&repo, digest, &mut || panic!("it was given back")).is_ok());
    }
}
