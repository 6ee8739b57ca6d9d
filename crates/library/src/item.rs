//! What a library keeps of a picture or clip.

use std::path::PathBuf;

use domain::{Digest, Embedding, ItemId, Kind, MediaRef, Space};

/// What is known about the media itself; zero or `None` where nobody said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Info {
    /// Pixels across, as shown.
    pub width: u32,
    /// Pixels down, as shown.
    pub height: u32,
    /// Length in seconds; clips only.
    pub duration_secs: Option<f64>,
    /// Number of frames; clips only.
    pub frames: Option<u64>,
    /// Frames per second; clips only.
    pub fps: Option<f64>,
    /// How it is coded, such as `jpeg` or `h264 in mp4`.
    pub codec: Option<String>,
}

/// Something to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct NewItem {
    /// Where it lies.
    pub media: MediaRef,
    /// Picture or clip.
    pub kind: Kind,
    /// Digest of the file's bytes.
    pub digest: Digest,
    /// Bytes of the file.
    pub size: u64,
    /// When the file was last changed: nanoseconds since 1970.
    pub mtime_ns: i64,
    /// What is known about the media.
    pub info: Info,
    /// What it shows, in words. `None` leaves a caption that is already kept as it is.
    pub caption: Option<String>,
    /// A small JPEG of it. `None` keeps the old one as long as the content is the same.
    pub thumbnail: Option<Vec<u8>>,
    /// Its vectors, each with the [`Space::id`] that it belongs to.
    pub vectors: Vec<(Digest, Embedding)>,
}

impl NewItem {
    /// An item of which nothing more is known.
    pub fn new(media: MediaRef, kind: Kind, digest: Digest) -> Self {
        Self {
            media,
            kind,
            digest,
            size: 0,
            mtime_ns: 0,
            info: Info::default(),
            caption: None,
            thumbnail: None,
            vectors: Vec::new(),
        }
    }

    /// The same, with a vector more.
    pub fn with_vector(mut self, space: &Space, embedding: Embedding) -> Self {
        self.vectors.push((space.id(), embedding));
        self
    }
}

/// A kept item, without its thumbnail and vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its number.
    pub id: ItemId,
    /// Where it lies.
    pub media: MediaRef,
    /// Picture or clip.
    pub kind: Kind,
    /// Digest of the file's bytes.
    pub digest: Digest,
    /// Bytes of the file.
    pub size: u64,
    /// When the file was last changed: nanoseconds since 1970.
    pub mtime_ns: i64,
    /// What is known about the media.
    pub info: Info,
    /// What it shows, in words.
    pub caption: Option<String>,
    /// When it was first kept: milliseconds since 1970.
    pub added_ms: i64,
}

/// What tells whether a file has changed since it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The item; for a file of several spans, the first.
    pub id: ItemId,
    /// Bytes of the file.
    pub size: u64,
    /// When the file was last changed: nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Digest of the file's bytes.
    pub digest: Digest,
}

/// A file that could not be kept, and why. It is remembered so that whoever fills the library need
/// not try it again until it changes, and so that found = kept + failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The file.
    pub path: PathBuf,
    /// Its bytes when it was tried.
    pub size: u64,
    /// Its time of change when it was tried: nanoseconds since 1970.
    pub mtime_ns: i64,
    /// A word for machines, such as `truncated`.
    pub code: String,
    /// A sentence for people.
    pub reason: String,
    /// When it was tried: milliseconds since 1970. Set by [`crate::Library::fail`].
    pub at_ms: i64,
}

/// Which items may be an answer; by default all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    /// Never these (the reference itself, say).
    pub exclude: &'a [ItemId],
    /// Only these, if given.
    pub only: Option<&'a [ItemId]>,
    /// Only this kind, if given.
    pub kind: Option<Kind>,
}
