//! What the documents say, held against what the code is.
//!
//! Each check is one file; adding one is a file and a line in [`CHECKS`].
//! A fault names the file, the line and the mend.

mod arrows;
mod first_sentence;
mod house;
mod licences;
mod links;
mod map;
mod paths;
mod places;
mod sizes;
mod spdx;

use std::path::Path;
use std::time::Instant;

pub use house::House;

/// One thing that must be true of the house.
struct Check {
    /// What must be true, as a sentence's end: "tidy: …".
    says: &'static str,
    run: fn(&House) -> Vec<Fault>,
}

/// All of them, cheapest first.
const CHECKS: &[Check] = &[
    Check { says: "the crates are those of ARCHITECTURE.md", run: map::check },
    Check { says: "arrows between crates point down", run: arrows::check },
    Check { says: "crates do not see what they must not know", run: arrows::check_absent },
    Check { says: "every module opens with a sentence", run: first_sentence::check },
    Check { says: "every method lies in its places", run: places::check },
    Check { says: "what Markdown points at exists", run: links::check },
    Check { says: "no file is too large", run: sizes::check },
    Check { says: "no file knows someone's machine", run: paths::check },
    Check { says: "all licences are ones we may ship", run: licences::check },
];

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, from the root.
    pub file: String,
    /// The line, counted from 1; 0 if it is about the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub mend: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Fault { file, line, what, mend } = self;
        match line {
            0 => write!(f, "{file}: {what}\n  mend: {mend}"),
            _ => write!(f, "{file}:{line}: {what}\n  mend: {mend}"),
        }
    }
}

/// Runs every check and reports all faults at once.
pub fn run(root: &Path) -> Result<(), String> {
    let start = Instant::now();
    let house = House::open(root)?;
    let mut faults = Vec::new();
    for check in CHECKS {
        let mut found = (check.run)(&house);
        found.sort();
        let mark = if found.is_empty() { "ok" } else { "NO" };
        eprintln!("tidy: {mark}  {}", check.says);
        faults.extend(found);
    }
    for note in &house.notes {
        eprintln!("tidy: note: {note}");
    }
    eprintln!(
        "tidy: {} files, {} packages, {:.1} s",
        house.files.len(),
        house.packages().count(),
        start.elapsed().as_secs_f64()
    );
    if faults.is_empty() {
        return Ok(());
    }
    let text: Vec<String> = faults.iter().map(Fault::to_string).collect();
    Err(format!("\n{}\n\n{} to mend", text.join("\n"), faults.len()))
}
