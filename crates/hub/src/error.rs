//! What can go wrong between here and published weights, said so that someone can act on it.

use std::path::{Path, PathBuf};

/// A model that cannot be brought, found or trusted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for no network, and what is needed is not on this disk.
    #[error("{what} is not on this disk, and HF_HUB_OFFLINE forbids asking for it")]
    Offline {
        /// What was needed.
        what: String,
    },
    /// Nobody answered.
    #[error("cannot reach {host}: {why}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// Why, in the system's words.
        why: String,
    },
    /// The hub wants to know who asks.
    #[error("{repo} is not given to just anyone: {why}")]
    Denied {
        /// Which repository.
        repo: String,
        /// What the hub said, and what it means.
        why: String,
        /// The page on which terms are accepted.
        page: String,
    },
    /// No such repository, revision or file.
    #[error("{host} has no {what}")]
    NotThere {
        /// Who was asked.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// We have asked too often.
    #[error("{host} asks us to wait{}", secs.map(|s| format!(" {s} seconds")).unwrap_or_default())]
    TooManyRequests {
        /// Who said so.
        host: String,
        /// How long, where it said so.
        secs: Option<u64>,
    },
    /// The server answers, but not with what was asked for.
    #[error("{host} answered {got} when asked for {what}")]
    Server {
        /// Who was asked.
        host: String,
        /// What for.
        what: String,
        /// What came.
        got: String,
    },
    /// A redirect that is not followed.
    #[error("{host} sends us to {to:?}, which is not followed: {why}")]
    Redirect {
        /// Who sent us.
        host: String,
        /// Where to.
        to: String,
        /// Why not.
        why: &'static str,
    },
    /// The listing names a file that must not be written.
    #[error("the listing of {repo} names a file {name:?}, which is refused: {why}")]
    Name {
        /// Whose listing.
        repo: String,
        /// The name.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// The repository lacks what the family of models needs.
    #[error("{repo} holds no {what} that likebut reads; it has {has}")]
    Lacks {
        /// Which repository.
        repo: String,
        /// What is missing.
        what: String,
        /// What there is.
        has: String,
    },
    /// The bytes are not those that were announced.
    #[error("{file} is not what was announced: expected {expected}, got {got}; nothing of it was kept")]
    Corrupt {
        /// Which file.
        file: String,
        /// Announced digest or size.
        expected: String,
        /// What came.
        got: String,
    },
    /// The connection breaks again and again without bringing anything.
    #[error(
        "the connection broke {tries} times without bringing anything: {why}; what came is kept, the same command goes on"
    )]
    Cut {
        /// How often.
        tries: u32,
        /// The last reason.
        why: String,
    },
    /// Not enough room.
    #[error("{folder} has {free} bytes free, {needed} are needed")]
    Full {
        /// Where.
        folder: PathBuf,
        /// Free bytes.
        free: u64,
        /// Bytes that are still to come.
        needed: u64,
    },
    /// The user asked to stop.
    #[error("stopped; what came is kept, the same command goes on")]
    Stopped,
    /// A repository name that no hub has.
    #[error("{0:?} is no repository; write it as OWNER/NAME")]
    Repo(String),
    /// A revision that no hub has.
    #[error("{0:?} is no revision; write a branch, a tag or a commit")]
    Revision(String),
    /// A model name that cannot be used.
    #[error("{name:?} is no name for a model: {why}")]
    ModelName {
        /// The name.
        name: String,
        /// Why.
        why: String,
    },
    /// What is to be imported is no model.
    #[error("{path} cannot be imported: {why}")]
    Import {
        /// What was named.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The record of a model in the store is not readable.
    #[error("the record {path} is damaged: {why}; remove the model and bring it again")]
    Record {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Reading or writing on this machine.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Says which file a system error is about.
pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.to_owned(), source }
}
