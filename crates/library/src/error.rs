//! What can go wrong with a library, and whose fault it is.

use std::path::{Path, PathBuf};

use domain::ItemId;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, what was expected, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no library in this folder.
    #[error("there is no library in {}; make one by adding something to it", .0.display())]
    NotALibrary(PathBuf),
    /// There already is a library in this folder.
    #[error("{} already holds a library; open it, or choose another folder", .0.display())]
    AlreadyThere(PathBuf),
    /// The library was written by another version of the program.
    #[error(
        "the library has format version {found}, this program reads version {expected}; {}",
        if found > expected { "use a newer likebut, or index again into a new folder" }
        else { "index again into a new folder" }
    )]
    FormatVersion {
        /// The version on disk.
        found: u32,
        /// The version this program reads and writes.
        expected: u32,
    },
    /// The library's database cannot be read as one.
    #[error("the library is damaged: {0}; restore it from a copy, or index again into a new folder")]
    Damaged(String),
    /// Another process writes to this library, or holds it for longer than we wait.
    #[error("another process is writing to the library in {}; wait until it has finished", .0.display())]
    Busy(PathBuf),
    /// No room for what was to be written; nothing acknowledged before is lost.
    #[error(
        "no room left while {doing}: nothing of this step was kept, everything before it is; free some space and go on"
    )]
    Full {
        /// What was being done.
        doing: &'static str,
    },
    /// The library may not be written to.
    #[error("the library may not be written to while {doing}; check the folder's permissions")]
    ReadOnly {
        /// What was being done.
        doing: &'static str,
    },
    /// Vectors of a space that this library does not keep.
    #[error(
        "the library keeps vectors of [{kept}], this asks with [{asked}]: {source}; index again with this model, or ask with the one that indexed it"
    )]
    SpaceDiffers {
        /// The space that the library keeps, in words.
        kept: String,
        /// The space that came, in words.
        asked: String,
        /// The first field that differs.
        source: domain::SpaceMismatch,
    },
    /// The library keeps no vectors at all yet.
    #[error("the library keeps no vectors yet, so [{asked}] cannot be asked of it; add something first")]
    NoSpace {
        /// The space that came, in words.
        asked: String,
    },
    /// The encoder at the door does not make the vectors that the library was made with.
    #[error(
        "the model gives another answer than it gave when the library was made: on the test input of [{space}] the cosine is {cosine:.4}, at least {least} is expected; the weights, the view or the number type differ, although they say they are the same"
    )]
    Canary {
        /// The space, in words.
        space: String,
        /// Cosine of the kept and the given canary.
        cosine: f32,
        /// The least that counts as the same.
        least: f32,
    },
    /// A vector that cannot be kept or asked with.
    #[error("{what}: {problem}")]
    Vector {
        /// Which vector.
        what: String,
        /// What is wrong with it, and what was expected.
        problem: String,
    },
    /// A probe whose expression makes no sense.
    #[error("the probe cannot be scored: {0}")]
    Probe(String),
    /// No such item.
    #[error("the library holds no item {0}")]
    UnknownItem(ItemId),
    /// Something outside the range that can be stored.
    #[error("{0}")]
    Range(String),
    /// `LIKEBUT_CPU` names instructions that do not exist here.
    #[error("{0}")]
    Cpu(String),
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refused, for a reason that has no name of its own above.
    #[error("the library's database failed while {doing}: {source}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: rusqlite::Error,
    },
}

impl Error {
    /// Wraps a file-system error with its path.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
        move |source| Error::Io { path: path.to_owned(), source }
    }

    /// Gives an SQLite error the name that it deserves.
    pub(crate) fn sqlite(doing: &'static str, dir: &Path) -> impl Fn(rusqlite::Error) -> Error {
        use rusqlite::ErrorCode as Code;
        let dir = dir.to_owned();
        move |source| match source.sqlite_error_code() {
            Some(Code::DiskFull) => Error::Full { doing },
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Error::Busy(dir.clone()),
            Some(Code::ReadOnly) => Error::ReadOnly { doing },
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Error::Damaged(format!("while {doing}: {source}")),
            None => match source {
                rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnName(_) => Error::Damaged(format!("while {doing}: {source}")),
                source => Error::Database { doing, source },
            },
            Some(_) => Error::Database { doing, source },
        }
    }
}
