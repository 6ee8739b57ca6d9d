//! What can go wrong between a file and its frames, said in one line.

use std::path::{Path, PathBuf};

/// Why a file gave no frames, or frames gave no file.
///
/// Each variant has a stable [`code`](Error::code); the text is for people.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are no picture and no clip.
    #[error("not a picture or a clip: {0}")]
    NotMedia(String),
    /// More than the limits allow; nothing was allocated for it.
    #[error("too large: {0}")]
    TooLarge(String),
    /// It says it is something that its bytes are not.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// Readable, but only by an external `ffmpeg`.
    #[error("{0} needs ffmpeg on the PATH")]
    NeedsFfmpeg(String),
    /// Known, and not read or written.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// It took longer than the limit.
    #[error("timed out: {0}")]
    Timeout(String),
    /// The caller asked for something that has no meaning (a span outside the clip, a frame of
    /// another size than the clip's).
    #[error("bad request: {0}")]
    BadRequest(String),
}

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A short name that does not change between releases; failures are stored and counted by it.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Io { .. } => "io",
            Error::NotMedia(_) => "not_media",
            Error::TooLarge(_) => "too_large",
            Error::Corrupt(_) => "corrupt",
            Error::NeedsFfmpeg(_) => "needs_ffmpeg",
            Error::Unsupported(_) => "unsupported",
            Error::Timeout(_) => "timeout",
            Error::BadRequest(_) => "bad_request",
        }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Error::Io { path: path.to_owned(), source }
    }
}
