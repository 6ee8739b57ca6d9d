//! Which files a path means: the same ones in the same order, every time.
//!
//! A folder is walked in the order of its names. Hidden entries (`.thumbnails`, `.git`) are left
//! out unless they are what was named. A symbolic link inside a folder is followed only to a file
//! inside the same folder, so a walk neither loops nor leaves the tree that the user named;
//! a link that was itself named is followed, since that is what naming it means.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::paths::place;

/// What a walk found.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// Regular files as [`place`] names them, sorted within each path and without repeats.
    pub files: Vec<PathBuf>,
    /// What could not be read, each with its reason.
    pub failed: Vec<(PathBuf, String)>,
    /// Those of them that hide what lies below: folders that cannot be listed, and entries that may be folders. Of a
    /// link that leads nowhere, or out, all is known.
    pub hidden: Vec<PathBuf>,
}

/// Walks every path in turn.
pub fn walk(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for path in paths {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => match path.canonicalize() {
                Ok(root) => folder(&root, &root, &mut found),
                Err(e) => hidden(path.clone(), &e, &mut found),
            },
            Ok(meta) if meta.is_file() => found.files.push(place(path)),
            Ok(_) => found.failed.push((path.clone(), "neither a file nor a folder".to_owned())),
            Err(e) => found.failed.push((path.clone(), reason(&e))),
        }
    }
    // The same file may be meant twice (`likebut add . ./a.jpg`): the first way of naming it stays.
    found.files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    found
}

fn folder(dir: &Path, root: &Path, found: &mut Found) {
    let entries = match std::fs::read_dir(dir).and_then(|e| e.collect::<Result<Vec<_>, _>>()) {
        Ok(entries) => entries,
        Err(e) => return hidden(dir.to_owned(), &e, found),
    };
    let mut entries: Vec<_> =
        entries.into_iter().filter(|e| !e.file_name().as_encoded_bytes().starts_with(b".")).collect();
    entries.sort_by_key(|e| e.file_name());
    for entry in entries {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folder(&path, root, found),
            Ok(kind) if kind.is_file() => found.files.push(path),
            Ok(kind) if kind.is_symlink() => link(path, root, found),
            // Sockets, pipes and devices hold no media, and reading one may wait for ever.
            Ok(_) => {}
            Err(e) => hidden(path, &e, found),
        }
    }
}

fn hidden(path: PathBuf, error: &std::io::Error, found: &mut Found) {
    found.failed.push((path.clone(), reason(error)));
    found.hidden.push(path);
}

fn link(path: PathBuf, root: &Path, found: &mut Found) {
    match path.canonicalize() {
        Ok(target) if target.is_dir() => {} // Inside the tree it is walked by itself; outside it was not named.
        Ok(target) if !target.starts_with(root) => {
            let reason = format!("a link out of the folder that was named, to {}", target.display());
            found.failed.push((path, reason));
        }
        Ok(target) if target.is_file() => found.files.push(path),
        Ok(_) => {}
        Err(e) => found.failed.push((path, format!("a link that leads nowhere: {}", reason(&e)))),
    }
}

/// An operating system's error without its number, which tells a user nothing.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &Found, root: &Path) -> Vec<String> {
        let root = root.canonicalize().unwrap();
        found.files.iter().map(|p| p.strip_prefix(&root).unwrap().display().to_string()).collect()
    }

    #[test]
    fn sorted_without_the_hidden_and_without_repeats() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["b/2.jpg", "b/10.jpg", "a.jpg", ".hidden/x.jpg", ".dot.jpg", "c.png"] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let found = walk(&[root.to_owned(), root.join("b"), root.join("a.jpg")]);
        assert_eq!(names(&found, root), ["a.jpg", "b/10.jpg", "b/2.jpg", "c.png"]);
        assert!(found.failed.is_empty());
        let named = walk(&[root.join(".hidden"), root.join(".dot.jpg")]);
        assert_eq!(names(&named, root), [".hidden/x.jpg", ".dot.jpg"], "what is named is meant");
        let missing = walk(&[root.join("nowhere")]);
        assert_eq!(missing.failed[0].1, "no such file or directory");
    }

    #[cfg(unix)]
    #[test]
    fn links_neither_loop_nor_lead_out() {
        use std::os::unix::fs::symlink;
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = dir.path();
        std::fs::create_dir(root.join("sub")).unwrap();
        std::fs::create_dir(root.join(".annex")).unwrap();
        std::fs::write(root.join(".annex/object"), "x").unwrap();
        std::fs::write(other.path().join("secret.jpg"), "x").unwrap();
        symlink(root, root.join("sub/loop")).unwrap();
        symlink(other.path(), root.join("sub/out")).unwrap();
        symlink(other.path().join("secret.jpg"), root.join("sub/secret.jpg")).unwrap();
        symlink(root.join(".annex/object"), root.join("kept.jpg")).unwrap();
        symlink("gone", root.join("dangling.jpg")).unwrap();
        let found = walk(&[root.to_owned()]);
        assert_eq!(names(&found, root), ["kept.jpg"]);
        let reasons: Vec<_> = found.failed.iter().map(|(_, r)| r.as_str()).collect();
        assert_eq!(reasons.len(), 2);
        assert!(reasons[0].starts_with("a link that leads nowhere: no such file"), "{reasons:?}");
        assert!(reasons[1].starts_with("a link out of the folder that was named"), "{reasons:?}");
        assert!(found.hidden.is_empty(), "a link hides nothing: {:?}", found.hidden);
    }
}
