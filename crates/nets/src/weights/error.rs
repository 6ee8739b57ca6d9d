//! What can be wrong with weights, in words.

use std::path::PathBuf;

/// Weights that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A file that cannot be opened, mapped or written.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// Not what its first bytes promise, or damaged.
    #[error("not readable as weights: {0}; copy it again from where it came")]
    Unreadable(String),
    /// Understood, and not taken; the message says what to do instead.
    #[error("{0}")]
    Refused(String),
    /// A number type that no weights have.
    #[error("tensor {name:?} holds {dtype}; weights are F32, F16, BF16 or F64")]
    Type {
        /// Which.
        name: String,
        /// What it holds.
        dtype: String,
    },
    /// A tensor that is asked for by a name that is not there.
    #[error("there is no tensor {0:?}")]
    Absent(String),
    /// What the file has is not what the network needs.
    #[error(
        "these weights are of another network: {missing} tensors missing, {unexpected} unexpected, {misshapen} of another shape (first: {first})"
    )]
    Mismatch {
        /// Needed, not there.
        missing: usize,
        /// There, not needed.
        unexpected: usize,
        /// There, but of another shape.
        misshapen: usize,
        /// One of them, in words.
        first: String,
    },
}

impl WeightsError {
    /// The same fault, with the file it is in.
    pub(super) fn in_file(self, path: &std::path::Path) -> Self {
        let named = |why: &str| format!("{}: {why}", path.display());
        match self {
            Self::Unreadable(why) => Self::Unreadable(named(&why)),
            Self::Refused(why) => Self::Refused(named(&why)),
            other => other,
        }
    }
}
