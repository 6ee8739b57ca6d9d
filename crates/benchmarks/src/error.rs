//! What can be wrong with an exam, an answer sheet or a set on disk.

use std::path::PathBuf;

/// Whose fault it is, what was expected, what came, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The exam.
    /// The benchmark contradicts itself.
    #[error("the benchmark {name} is not well formed: {fault}")]
    Benchmark {
        /// Its name.
        name: String,
        /// What is wrong and how to mend it.
        fault: String,
    },

    // The answer sheets.
    /// A ranking that cannot be marked.
    #[error("the ranking of question {query} cannot be marked: {fault}")]
    Ranking {
        /// The question's id.
        query: String,
        /// What is wrong and how to mend it.
        fault: String,
    },
    /// Questions that nobody answered.
    #[error(
        "{count} of {of} questions have no ranking, first {first}; every question must be answered, a missing one is not a wrong one"
    )]
    Unanswered {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
        /// The first one's id.
        first: String,
    },
    /// A score that is not a number.
    #[error("the score of {name} is not a number; a method must give every item a score that can be ordered")]
    NotANumber {
        /// The item.
        name: String,
    },
    /// Two reports that may not be compared.
    #[error("two reports may be compared only on the same exam: {what} is {left} on one side and {right} on the other")]
    NotTheSame {
        /// What differs.
        what: &'static str,
        /// Left side.
        left: String,
        /// Right side.
        right: String,
    },

    // Files for other people's tools.
    /// Something that a format cannot hold.
    #[error("{fault}")]
    Unwritable {
        /// What, and what to do instead.
        fault: String,
    },
    /// A submission that a server would refuse, or mark wrongly.
    #[error("{file} breaks the server's rules in {} place{}: {}", faults.len(), if faults.len() == 1 { "" } else { "s" }, some_of(faults))]
    Submission {
        /// The file.
        file: String,
        /// Everything that is wrong.
        faults: Vec<String>,
    },

    // The set on disk.
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is not what the format says.
    #[error("{path}, line {line}: {fault}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong and how to mend it.
        fault: String,
    },
    /// An entry of a list that is not what the format says.
    #[error("{path}, entry {entry}: {fault}")]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry, counted from 1.
        entry: usize,
        /// What is wrong and how to mend it.
        fault: String,
    },
    /// An annotation file of a set that is not where anyone keeps it.
    #[error("{root} is no {set} as its authors lay it out: {file} is missing (looked for {places})")]
    NotThere {
        /// The set.
        set: &'static str,
        /// The folder.
        root: PathBuf,
        /// The file by its usual name.
        file: String,
        /// All places where it was looked for.
        places: String,
    },
    /// A split that a set does not have.
    #[error("{set} has no {split} part; it has {has}")]
    Split {
        /// The set.
        set: &'static str,
        /// What was asked for.
        split: domain::Split,
        /// What there is.
        has: String,
    },
    /// Media that the manifest names and that do not exist.
    #[error(
        "{} of {of} items of {path} are missing: {}; bring them, or leave them out by name (the mark then says so)",
        names.len(), some_of(names)
    )]
    Missing {
        /// The manifest.
        path: PathBuf,
        /// All that are missing.
        names: Vec<String>,
        /// Of how many.
        of: usize,
    },
}

/// The first few names, and how many more there are.
pub(crate) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
