//! A method and a library that belong together.

use domain::Embedding;
use library::Library;
use media::Frame;
use methods::{Method, MethodError, Seen};

/// A method and a library whose vectors it may be compared with.
pub struct Engine {
    /// How items and questions become vectors.
    pub method: Box<dyn Method>,
    /// Where items are kept.
    pub library: Library,
}

/// A river that cannot flow.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The library.
    #[error(transparent)]
    Library(#[from] library::Error),
    /// The method.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// The reference cannot be seen.
    #[error("cannot read the reference {path}: {source}")]
    Reference {
        /// Which.
        path: String,
        /// Why.
        source: media::Error,
    },
    /// An item that should be scored and was never encoded.
    #[error("item #{item} has no vector in the space [{space}]; add it again")]
    NoVector {
        /// Which.
        item: domain::ItemId,
        /// In words.
        space: String,
    },
    /// A name that imported vectors lack.
    #[error("{0} has no imported vector; its name must be that of the gallery")]
    NotImported(String),
    /// The machine gives no more threads.
    #[error("cannot start a thread: {0}; fewer are asked for with --jobs")]
    Threads(std::io::Error),
    /// The question cannot be asked.
    #[error(transparent)]
    Query(#[from] domain::QueryError),
}

impl Engine {
    /// Puts the two together to fill the library; one filled by the same model seeing differently,
    /// or with other weights, is refused, both sides named. A model new to the library gets a space
    /// of its own.
    pub fn new(method: Box<dyn Method>, mut library: Library) -> Result<Self, SearchError> {
        let canary = canary(method.as_ref())?;
        library.bind(method.space(), &canary)?;
        Ok(Self { method, library })
    }

    /// Puts the two together to ask: nothing is written, and a library that this model has not
    /// filled is refused.
    pub fn asking(method: Box<dyn Method>, library: Library) -> Result<Self, SearchError> {
        let canary = canary(method.as_ref())?;
        library.check(method.space(), &canary)?;
        Ok(Self { method, library })
    }
}

/// The embedding of one picture that is always the same: what a wrong crop, a wrong dtype or wrong
/// weights would change.
pub fn canary(method: &dyn Method) -> Result<Embedding, SearchError> {
    let seen = Seen { frames: vec![method.model().manifest.view.look(&bird())] };
    Ok(method.embed(&[&seen])?.pop().unwrap_or_else(|| Embedding::single(Vec::new())))
}

/// Rings and a slope, 97 × 61: no symmetry that a flip or a crop would leave alone.
fn bird() -> Frame {
    let (width, height) = (97u32, 61u32);
    let rgb = (0..width * height)
        .flat_map(|i| {
            let (x, y) = (i % width, i / width);
            let ring = (x * x + 3 * y * y) / 64;
            [(ring * 29 % 256) as u8, (x * 255 / width) as u8, ((x + 2 * y) * 255 / (width + 2 * height)) as u8]
        })
        .collect();
    Frame { width, height, rgb }
}
