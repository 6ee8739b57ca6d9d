//! A folder in memory where it can be, for readers that want a path: what is fuzzed is what users run.

use std::path::{Path, PathBuf};

/// This process's own folder.
pub fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = base.join(format!("likebut-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder to write to");
    folder
}

/// The first line names the file, what follows is what is in it.
pub fn named(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().take(100).position(|b| *b == b'\n')?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]))
}

/// Writes it and hands its path on, if it is one of `known`.
#[allow(dead_code, reason = "every program that shares this file uses a part of it")]
pub fn file(bytes: &[u8], known: &[&str]) -> Option<PathBuf> {
    let (name, body) = named(bytes)?;
    let name = known.iter().find(|k| **k == name)?;
    let path = folder().join(name);
    std::fs::write(&path, body).expect("room for a file");
    Some(path)
}
