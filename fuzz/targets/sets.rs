//! Any bytes as one of the files of a published set whose other files are right.
//!
//! The first line is the file, from `fixtures/sets`: `cirr/captions/cap.rc2.val.json`.
#![no_main]

mod place;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The little sets in the authors' layouts, copied; each file with what belongs in it.
static SETS: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sets");
    let (mut out, mut folders) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the little sets").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).expect("it lies below").to_string_lossy().into_owned();
            let bytes = std::fs::read(&path).expect("a file of a little set");
            write(&name, &bytes);
            out.insert(name, bytes);
        }
    }
    out
});

fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = place::folder().join(name);
    std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder");
    std::fs::write(&path, bytes).expect("room for a file");
    path
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((name, body)) = place::named(bytes) else { return };
    let Some(right) = SETS.get(name) else { return };
    let Some(set) = name.split('/').next().and_then(benchmarks::sets::set) else { return };
    write(name, body);
    for split in set.splits {
        if let Ok(opened) = set.open(&place::folder().join(set.name), *split, &set.usual()) {
            opened.exams.iter().for_each(|exam| {
                exam.digest();
            });
        }
    }
    write(name, right);
});
