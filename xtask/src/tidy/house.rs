//! What the checks look at: the files that git would keep, and the packages that cargo knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::shell;

/// Files and packages, read once.
pub struct House {
    /// Every file that git keeps or would keep, by its path from the root with `/`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// `cargo metadata`.
    pub metadata: Value,
    /// Packages that are really built, as `name version`.
    pub built: BTreeSet<String>,
    /// What could not be looked at.
    pub notes: Vec<String>,
}

impl House {
    /// Reads the house at `root`.
    pub fn open(root: &Path) -> Result<Self, String> {
        let listed = shell::read(root, "git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        let mut files = BTreeMap::new();
        for name in listed.split('\0').filter(|n| !n.is_empty()) {
            // A file that was removed but not yet committed is listed and not there.
            if let Ok(bytes) = std::fs::read(root.join(name)) {
                files.insert(name.to_owned(), bytes);
            }
        }
        let mut notes = Vec::new();
        let metadata = metadata(root)?;
        let built = built(root, &mut notes)?;
        Ok(Self { files, metadata, built, notes })
    }

    /// A file as text; `None` if it is not there or not text.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(name)?).ok()
    }

    /// Every text whose name ends so.
    pub fn texts<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files.keys().filter(move |n| n.ends_with(ending)).filter_map(|n| Some((n.as_str(), self.text(n)?)))
    }

    /// Whether a path from the root is a file or a folder that holds one.
    pub fn holds(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.files.contains_key(path) || {
            let inside = format!("{path}/");
            self.files.range(inside.clone()..).next().is_some_and(|(n, _)| n.starts_with(&inside))
        }
    }

    /// Every package that is built, ours and others'.
    pub fn packages(&self) -> impl Iterator<Item = &Value> {
        let built = |p: &&Value| match (p["name"].as_str(), p["version"].as_str()) {
            (Some(name), Some(version)) => self.built.contains(&format!("{name} {version}")),
            _ => false,
        };
        self.metadata["packages"].as_array().into_iter().flatten().filter(built)
    }

    /// The packages of this workspace: the short name that documents use (`media` for
    /// `likebut-media`, `app` for `likebut`), and cargo's record.
    pub fn own(&self) -> impl Iterator<Item = (String, &Value)> {
        let members: Vec<&str> =
            self.metadata["workspace_members"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        self.packages()
            .filter(move |p| p["id"].as_str().is_some_and(|id| members.contains(&id)))
            .filter_map(|p| Some((short_name(p["name"].as_str()?), p)))
    }

    /// A house for a test, from names and texts.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(n, t)| ((*n).to_owned(), t.as_bytes().to_vec())).collect();
        Self { files, metadata: Value::Null, built: BTreeSet::new(), notes: Vec::new() }
    }
}

/// What documents call a package.
pub fn short_name(package: &str) -> String {
    match package {
        "likebut" => "app".to_owned(),
        other => other.trim_start_matches("likebut-").to_owned(),
    }
}

/// Which packages are built, as `name version`: metadata lists more, for it knows features less well.
///
/// The widest view that needs no network: all features on all systems if everything was fetched,
/// else what this machine builds.
fn built(root: &Path, notes: &mut Vec<String>) -> Result<BTreeSet<String>, String> {
    let cargo = shell::cargo();
    let common = ["tree", "--workspace", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}"];
    let few = "packages of optional features and other systems were not looked at; `cargo fetch` brings them";
    let tries: [(&[&str], &str); 4] = [
        (&["--offline", "--all-features", "--target", "all"], ""),
        (&["--offline", "--all-features"], "packages of other systems were not looked at; `cargo fetch` brings them"),
        (&["--offline"], few),
        // Nothing was ever fetched: bring what the build needs anyway.
        (&[], few),
    ];
    let mut why = String::new();
    for (args, note) in tries {
        match shell::read(root, &cargo, &[&common, args].concat()) {
            Ok(text) => {
                notes.extend((!note.is_empty()).then(|| note.to_owned()));
                return Ok(text.lines().filter_map(built_package).collect());
            }
            Err(fault) => why = fault,
        }
    }
    Err(why)
}

/// `serde v1.0.0 (proc-macro) (*)` is `serde 1.0.0`.
fn built_package(line: &str) -> Option<String> {
    let (name, rest) = line.split_once(' ')?;
    let version = rest.split(' ').next()?.strip_prefix('v')?;
    Some(format!("{name} {version}"))
}

fn metadata(root: &Path) -> Result<Value, String> {
    let cargo = shell::cargo();
    let host = shell::read(root, "rustc", &["-vV"])?;
    let host = host.lines().find_map(|l| l.strip_prefix("host: ")).unwrap_or_default();
    let common = ["metadata", "--format-version", "1"];
    let tries: [&[&str]; 4] = [
        &["--offline", "--all-features"],
        &["--offline", "--all-features", "--filter-platform", host],
        &["--offline", "--filter-platform", host],
        &["--filter-platform", host],
    ];
    let mut why = String::new();
    for args in tries {
        match shell::read(root, &cargo, &[&common, args].concat()) {
            Ok(text) => {
                return serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"));
            }
            Err(fault) => why = fault,
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_tree_are_read() {
        assert_eq!(built_package("serde v1.0.0 (proc-macro) (*)").as_deref(), Some("serde 1.0.0"));
        assert_eq!(built_package(""), None);
        assert_eq!(built_package("[dev-dependencies] x"), None);
    }
}
