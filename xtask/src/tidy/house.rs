//! What the checks look at: the files that git would keep, and the packages that cargo knows.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::shell;

/// Files and packages, read once.
pub struct House {
    /// Every file that git keeps or would keep, by its path from the root with `/`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// `cargo metadata`.
    pub metadata: Value,
    /// What could not be looked at.
    pub notes: Vec<String>,
}

impl House {
    /// Reads the house at `root`.
    pub fn open(root: &Path) -> Result<Self, String> {
        let listed = shell::read(
            root,
            "git",
            &[
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ],
        )?;
        let mut files = BTreeMap::new();
        for name in listed.split('\0').filter(|n| !n.is_empty()) {
            // A file that was removed but not yet committed is listed and not there.
            if let Ok(bytes) = std::fs::read(root.join(name)) {
                files.insert(name.to_owned(), bytes);
            }
        }
        let mut notes = Vec::new();
        let metadata = metadata(root, &mut notes)?;
        Ok(Self {
            files,
            metadata,
            notes,
        })
    }

    /// A file as text; `None` if it is not there or not text.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(name)?).ok()
    }

    /// Every text whose name ends so.
    pub fn texts<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .keys()
            .filter(move |n| n.ends_with(ending))
            .filter_map(|n| Some((n.as_str(), self.text(n)?)))
    }

    /// Whether a path from the root is a file or a folder that holds one.
    pub fn holds(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.files.contains_key(path) || {
            let inside = format!("{path}/");
            self.files
                .range(inside.clone()..)
                .next()
                .is_some_and(|(n, _)| n.starts_with(&inside))
        }
    }

    /// Every package of the tree.
    pub fn packages(&self) -> impl Iterator<Item = &Value> {
        self.metadata["packages"].as_array().into_iter().flatten()
    }

    /// The packages of this workspace: the short name that documents use (`media` for
    /// `likebut-media`, `app` for `likebut`), and cargo's record.
    pub fn own(&self) -> impl Iterator<Item = (String, &Value)> {
        let members: Vec<&str> = self.metadata["workspace_members"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        self.packages()
            .filter(move |p| p["id"].as_str().is_some_and(|id| members.contains(&id)))
            .filter_map(|p| Some((short_name(p["name"].as_str()?), p)))
    }

    /// A house for a test, from names and texts.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(n, t)| ((*n).to_owned(), t.as_bytes().to_vec()))
            .collect();
        Self {
            files,
            metadata: Value::Null,
            notes: Vec::new(),
        }
    }
}

/// What documents call a package.
pub fn short_name(package: &str) -> String {
    match package {
        "likebut" => "app".to_owned(),
        other => other.trim_start_matches("likebut-").to_owned(),
    }
}

/// The widest view of the tree that needs no network: all features on all systems if everything
/// was fetched, else what this machine builds.
fn metadata(root: &Path, notes: &mut Vec<String>) -> Result<Value, String> {
    let cargo = shell::cargo();
    let host = shell::read(root, "rustc", &["-vV"])?;
    let host = host
        .lines()
        .find_map(|l| l.strip_prefix("host: "))
        .unwrap_or_default()
        .to_owned();
    let common = ["metadata", "--format-version", "1", "--offline"];
    let tries: [(&[&str], &str); 3] = [
        (&["--all-features"], ""),
        (
            &["--all-features", "--filter-platform", &host],
            "licences were read for this system only; `cargo fetch` brings the rest",
        ),
        (
            &["--filter-platform", &host],
            "licences were read for this system and the default features only; `cargo fetch` brings the rest",
        ),
    ];
    let mut why = String::new();
    for (args, note) in tries {
        match shell::read(root, &cargo, &[&common, args].concat()) {
            Ok(text) => {
                notes.extend((!note.is_empty()).then(|| note.to_owned()));
                return serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"));
            }
            Err(fault) => why = fault,
        }
    }
    Err(why)
}
