//! Where a set keeps its files, and what their entries may be called; read within the limits of
//! `foreign`, and every fault with file and place.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::{Error, Result, foreign};

/// A larger JSON file is refused; the largest that a known set has is 25 MB.
pub const MAX_JSON_BYTES: u64 = 256 << 20;

/// What a picture or clip of a published set may be called behind the dot.
pub const PICTURES: &[&str] = &["png", "jpg", "jpeg", "webp", "gif", "PNG", "JPG"];

/// A JSON file of a set.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    foreign::from_json(path, &read_text(path)?)
}

/// The whole of a text file of a set.
pub fn read_text(path: &Path) -> Result<String> {
    foreign::read_text(path, MAX_JSON_BYTES)
}

/// The non-empty lines of a list of names, trimmed.
pub fn read_names(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path)?;
    Ok(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect())
}

/// A fault in a line of a file.
pub fn at(path: &Path, line: usize, fault: String) -> Error {
    Error::Line { path: path.to_owned(), line, fault }
}

/// A fault in an entry of a list, counted from 1.
pub fn entry(path: &Path, index: usize, fault: String) -> Error {
    Error::Entry { path: path.to_owned(), entry: index + 1, fault }
}

/// The first of several places where the authors and those after them keep a file.
pub fn one_of(root: &Path, places: &[String]) -> Option<PathBuf> {
    places.iter().map(|p| root.join(p)).find(|p| p.is_file())
}

/// The same, or an error that says where it was looked for.
pub fn needed(set: &'static str, root: &Path, places: &[String]) -> Result<PathBuf> {
    one_of(root, places).ok_or_else(|| Error::NotThere {
        set,
        root: root.to_owned(),
        file: places.first().cloned().unwrap_or_default(),
        places: places.join(", "),
    })
}

/// The folders that a set's media may lie in.
pub struct Folders {
    root: PathBuf,
    /// Those that exist, from the root.
    pub there: Vec<String>,
    /// Where they are said to be missing from, if none exists.
    usual: String,
}

impl Folders {
    /// Looks which of `folders` exist; the first is the usual one.
    pub fn new(root: &Path, folders: &[&str]) -> Self {
        let there = folders.iter().filter(|f| root.join(f).is_dir()).map(|f| (*f).to_owned()).collect();
        Self { root: root.to_owned(), there, usual: folders.first().copied().unwrap_or_default().to_owned() }
    }

    /// The folder to be named: the first that exists, or the usual one.
    pub fn first(&self) -> &str {
        self.there.first().unwrap_or(&self.usual)
    }

    /// Where an item lies, from the root: the first place with one of the `endings`; where there is
    /// none, the place where it should be.
    pub fn place(&self, stem: &str, endings: &[&str]) -> String {
        for folder in &self.there {
            for ending in endings {
                let place = format!("{folder}/{stem}.{ending}");
                if self.root.join(&place).is_file() {
                    return place;
                }
            }
        }
        format!("{}/{stem}.{}", self.first(), endings.first().copied().unwrap_or_default())
    }
}

/// Names without ending of every picture in a folder, in order.
pub fn stems_in(folder: &Path) -> Result<Vec<String>> {
    let io = |source| Error::Io { path: folder.to_owned(), source };
    let mut out = Vec::new();
    for found in std::fs::read_dir(folder).map_err(io)? {
        let path = found.map_err(io)?.path();
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if PICTURES.contains(&ending)
            && let Some(stem) = path.file_stem().and_then(|s| s.to_str())
        {
            out.push(stem.to_owned());
        }
    }
    out.sort();
    out.dedup();
    Ok(out)
}

/// A name that comes from a file and becomes part of a path must stay inside its folder.
pub fn safe(name: &str) -> std::result::Result<(), String> {
    let inside = Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
    match inside && !name.is_empty() && name.len() <= 512 && !name.contains(['\0', '\\', '\n']) {
        true => Ok(()),
        false => {
            let shown: String = name.chars().take(80).collect();
            Err(format!("{shown:?} is no name of a file; a name stays inside its folder"))
        }
    }
}

/// The word list that HUD and its siblings put beside a set; empty where there is none.
pub fn corrections(root: &Path, places: &[String]) -> Result<HashMap<String, String>> {
    match one_of(root, places) {
        Some(path) => read_json(&path),
        None => Ok(HashMap::new()),
    }
}
