//! The user's own models under names of their own: files that they have are linked, not copied, and
//! every name has a record of what it stands for.
//!
//! ```text
//! NAME/record.json     where it came from, its files, sizes and digests
//! NAME/files/…         links to files that were imported; absent for what the cache holds
//! ```

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cache::symlink;
use crate::digest::Digest;
use crate::error::{Error, at};
use crate::known::Family;
use crate::name::check_model;
use crate::verify::Verified;

/// The version of a record.
const FORMAT: u32 = 1;
/// A record is small.
const MAX_RECORD_BYTES: u64 = 4 << 20;
/// What a folder of a model may hold that we read.
const READ_ENDINGS: &[&str] = &["safetensors", "json", "txt", "model", "gz", "pth", "pt", "ckpt", "bin"];
/// More files than this are no model.
const MAX_FILES: usize = 1000;

/// The store's folder.
#[derive(Clone, Debug)]
pub struct Store {
    /// Where it lies.
    pub root: PathBuf,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The record's version.
    pub format: u32,
    /// Where it came from.
    pub origin: Origin,
    /// Its layout, where known.
    pub family: Family,
    /// The terms that were shown.
    pub licence: Option<String>,
    /// What it is made of.
    pub files: Vec<Recorded>,
    /// When, in seconds since 1970.
    pub at_secs: u64,
}

/// Where a model came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Origin {
    /// The hub; the files are in the shared cache.
    Hub {
        /// `OWNER/NAME`.
        repo: String,
        /// What was asked for.
        revision: String,
        /// What that meant.
        commit: String,
    },
    /// The user's disk.
    Import {
        /// The file or folder that was named.
        path: PathBuf,
        /// Whether it was copied; links follow what they point at.
        copied: bool,
    },
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its name in the model's folder.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest in hexadecimal: 64 digits for SHA-256, 40 for a git blob.
    pub digest: String,
}

/// What an import did.
#[derive(Clone, Debug)]
pub struct Imported {
    /// What was written down.
    pub record: Record,
    /// Where the model's files are.
    pub folder: PathBuf,
    /// Files beside them that are not read.
    pub passed_over: usize,
}

impl Store {
    /// The names in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.root).into_iter().flatten().flatten();
        let named = entries.filter_map(|e| e.file_name().into_string().ok()).filter(|n| check_model(n).is_ok());
        let mut names: Vec<String> = named.filter(|n| self.path(n).exists()).collect();
        names.sort();
        names
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name).join("record.json")
    }

    /// What a name stands for; `None` if it stands for nothing.
    pub fn record(&self, name: &str) -> Result<Option<Record>, Error> {
        check_model(name)?;
        let path = self.path(name);
        let bad = |why: String| Error::Record { path: path.clone(), why };
        let size = match std::fs::metadata(&path) {
            Ok(meta) => meta.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(at(&path)(e)),
        };
        if size > MAX_RECORD_BYTES {
            return Err(bad(format!("it has {size} bytes")));
        }
        let text = std::fs::read_to_string(&path).map_err(at(&path))?;
        let record: Record = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        match record.format {
            FORMAT => Ok(Some(record)),
            other => Err(bad(format!("it has format {other}, this program reads {FORMAT}"))),
        }
    }

    /// Where the files of an imported model are.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name).join("files")
    }

    /// Writes down what a pull brought, under a name.
    pub fn note(&self, name: &str, record: &Record) -> Result<(), Error> {
        check_model(name)?;
        let path = self.path(name);
        let folder = self.root.join(name);
        std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        let text = serde_json::to_string_pretty(record)
            .map_err(|e| Error::Record { path: path.clone(), why: e.to_string() })?;
        let new = folder.join("record.json.new");
        std::fs::write(&new, text + "\n").map_err(at(&new))?;
        std::fs::rename(&new, &path).map_err(at(&path))
    }

    /// Takes a folder or a checkpoint that the user has under a name, and what else it needs from
    /// elsewhere. Nothing is changed at `path`.
    pub fn import(
        &self,
        name: &str,
        path: &Path,
        also: &[PathBuf],
        family: Family,
        copy: bool,
        tell: &mut dyn FnMut(&Path),
    ) -> Result<Imported, Error> {
        check_model(name)?;
        let bad = |why: &str| Error::Import { path: path.to_owned(), why: why.to_owned() };
        if self.root.join(name).exists() {
            return Err(Error::ModelName {
                name: name.to_owned(),
                why: "it is taken; remove that model first, or choose another name".into(),
            });
        }
        let root = path.canonicalize().map_err(at(path))?;
        if root.to_str().is_none() {
            return Err(bad("the path to it is not Unicode, which the record of a model is; rename what is not"));
        }
        let (mut files, passed_over) = if root.is_dir() { readable(&root)? } else { (vec![root.clone()], 0) };
        files.extend_from_slice(also);
        if files.len() > MAX_FILES {
            return Err(bad("it holds more files than a model has; name the folder of the model itself"));
        }
        let is_weights =
            |p: &PathBuf| ending(p).is_some_and(|e| !matches!(e.as_str(), "json" | "txt" | "model" | "gz"));
        if !files.iter().any(is_weights) {
            return Err(bad("it holds no weights that likebut reads (.safetensors, .pth, .pt, .ckpt, .bin)"));
        }
        // Made beside and renamed, so that a name is never half a model.
        let new = self.root.join(format!(".{name}.new"));
        let _ = std::fs::remove_dir_all(&new);
        let home = self.root.join(name);
        let made = taken(&new.join("files"), &files, copy, tell).and_then(|files| {
            let origin = Origin::Import { path: root, copied: copy };
            let record = Record { format: FORMAT, origin, family, licence: None, files, at_secs: now() };
            let text = serde_json::to_string_pretty(&record)
                .map_err(|e| Error::Record { path: new.join("record.json"), why: e.to_string() })?;
            std::fs::write(new.join("record.json"), text + "\n").map_err(at(&new))?;
            std::fs::rename(&new, &home).map_err(at(&home))?;
            Ok(record)
        });
        if made.is_err() {
            let _ = std::fs::remove_dir_all(&new);
        }
        Ok(Imported { record: made?, folder: home.join("files"), passed_over })
    }

    /// Forgets a name. Of what was imported only links and copies go; the user's own files stay.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        check_model(name)?;
        let folder = self.root.join(name);
        // Removing a folder does not follow the links in it.
        std::fs::remove_dir_all(&folder).map_err(at(&folder))
    }

    /// Holds every file of a record against what was written down. `folder` is where they are.
    pub fn verify(record: &Record, folder: &Path, tell: &mut dyn FnMut(&Path)) -> Verified {
        let mut out = Verified::default();
        for file in &record.files {
            let path = folder.join(&file.name);
            tell(&path);
            match Digest::parse(&file.digest) {
                Some(digest) => out.look(&path, digest),
                None => out.wrong.push((path, "its record holds no digest".into())),
            }
        }
        out
    }
}

impl Record {
    /// Of a pull that is done.
    pub fn of_pull(plan: &crate::Plan) -> Self {
        let file = |f: &crate::Planned| Recorded { name: f.name.clone(), size: f.size, digest: f.digest.to_string() };
        Self {
            format: FORMAT,
            origin: Origin::Hub {
                repo: plan.source.repo.to_string(),
                revision: plan.source.revision.clone(),
                commit: plan.commit.clone(),
            },
            family: plan.source.family,
            licence: plan.licence.clone(),
            files: plan.files.iter().map(file).collect(),
            at_secs: now(),
        }
    }

    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.size).sum()
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_lowercase())
}

/// Links files into a folder of ours, or copies them, and writes down what they are.
fn taken(folder: &Path, files: &[PathBuf], copy: bool, tell: &mut dyn FnMut(&Path)) -> Result<Vec<Recorded>, Error> {
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    let take = |file: &PathBuf| {
        tell(file);
        let Some(own) = file.file_name().and_then(|n| n.to_str()) else {
            return Err(Error::Import { path: file.clone(), why: "its name is not Unicode; rename it".into() });
        };
        let to = folder.join(own);
        // A cache's links are followed to the contents, which stay when a snapshot goes.
        let from = file.canonicalize().map_err(at(file))?;
        if copy || (symlink(&from, &to).is_err() && std::fs::hard_link(&from, &to).is_err()) {
            std::fs::copy(&from, &to).map_err(at(&to))?;
        }
        let size = std::fs::metadata(&to).map_err(at(&to))?.len();
        Ok(Recorded { name: own.to_owned(), size, digest: Digest::sha256(&to)?.to_string() })
    };
    files.iter().map(take).collect()
}

/// The files at the top of a folder that a model may need, sorted, and how many others there are.
fn readable(folder: &Path) -> Result<(Vec<PathBuf>, usize), Error> {
    let mut files = Vec::new();
    let mut others = 0;
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        match ending(&path) {
            Some(e) if READ_ENDINGS.contains(&e.as_str()) && path.is_file() => files.push(path),
            _ => others += 1,
        }
    }
    // What is there twice is read once.
    if files.iter().any(|f| ending(f).as_deref() == Some("safetensors")) {
        let before = files.len();
        files.retain(|f| ending(f).as_deref() != Some("bin"));
        others += before - files.len();
    }
    files.sort();
    Ok((files, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> (tempfile::TempDir, Store, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("My Model");
        std::fs::create_dir(&model).unwrap();
        for (name, text) in
            [("config.json", "{}"), ("model.safetensors", "weights"), ("train.py", "x"), ("README.md", "x")]
        {
            std::fs::write(model.join(name), text).unwrap();
        }
        let store = Store { root: dir.path().join("store") };
        (dir, store, model)
    }

    #[test]
    fn what_is_imported_is_linked_recorded_and_checked() {
        let (_dir, store, model) = setting();
        let done = store.import("mine", &model, &[], Family::Other, false, &mut |_| {}).unwrap();
        assert_eq!((done.record.files.len(), done.passed_over), (2, 2));
        assert!(done.folder.join("model.safetensors").is_symlink());
        assert_eq!(store.names(), ["mine"]);
        let record = store.record("mine").unwrap().unwrap();
        assert_eq!(record, done.record);
        assert!(Store::verify(&record, &store.folder("mine"), &mut |_| {}).is_whole());
        std::fs::write(model.join("model.safetensors"), "weightz").unwrap();
        let verified = Store::verify(&record, &store.folder("mine"), &mut |_| {});
        assert_eq!((verified.whole, verified.wrong.len()), (1, 1));
        std::fs::remove_file(model.join("model.safetensors")).unwrap();
        let verified = Store::verify(&record, &store.folder("mine"), &mut |_| {});
        assert!(verified.wrong[0].1.starts_with("it cannot be read"), "{verified:?}");
        store.remove("mine").unwrap();
        assert!(store.names().is_empty() && model.join("config.json").exists(), "the user's files stay");
    }

    #[test]
    fn a_copy_stands_alone_and_one_file_is_a_model() {
        let (_dir, store, model) = setting();
        let file = model.join("model.safetensors");
        let done = store.import("one", &file, &[], Family::Other, true, &mut |_| {}).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(Store::verify(&done.record, &done.folder, &mut |_| {}).is_whole());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_leaves_nothing() {
        let (dir, store, model) = setting();
        let import =
            |name: &str, path: &Path| store.import(name, path, &[], Family::Other, false, &mut |_| {}).map(drop);
        assert!(matches!(import("../evil", &model), Err(Error::ModelName { .. })));
        assert!(matches!(import("x", &dir.path().join("gone")), Err(Error::Io { .. })));
        assert!(matches!(import("x", &model.join("config.json")), Err(Error::Import { .. })));
        assert!(matches!(import("x", dir.path()), Err(Error::Import { .. })));
        assert!(!store.root.exists(), "nothing was begun");
        import("mine", &model).unwrap();
        assert!(matches!(import("mine", &model), Err(Error::ModelName { .. })));
        assert_eq!(store.names(), ["mine"]);
        assert!(store.record("other").unwrap().is_none());
        for bad in ["", "[]", "{\"format\":1}"] {
            std::fs::write(store.root.join("mine/record.json"), bad).unwrap();
            assert!(matches!(store.record("mine"), Err(Error::Record { .. })), "{bad}");
        }
    }

    /// The record is JSON, which carries nothing but Unicode.
    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_not_unicode_are_refused_and_leave_nothing() {
        use std::os::unix::ffi::OsStrExt as _;
        let (dir, store, model) = setting();
        let strange =
            |folder: &Path, end: &str| folder.join(std::ffi::OsStr::from_bytes(&[b"\xff", end.as_bytes()].concat()));
        let refused = |path: &Path, says: &str| {
            let refused = store.import("x", path, &[], Family::Other, false, &mut |_| {}).unwrap_err();
            assert!(matches!(&refused, Error::Import { why, .. } if why.contains(says)), "{refused}");
            assert!(!store.root.join("x").exists() && !store.root.join(".x.new").exists());
        };
        std::fs::write(strange(&model, ".safetensors"), "weights").unwrap();
        refused(&model, "its name is not Unicode");
        std::fs::remove_file(strange(&model, ".safetensors")).unwrap();
        std::fs::rename(&model, strange(dir.path(), "")).unwrap();
        refused(&strange(dir.path(), ""), "rename what is not");
    }
}
