//! What is asked: a reference, and some words.

use crate::MediaRef;

/// More words than this are refused: a book is not a modification.
pub const MAX_WORDS_BYTES: usize = 16 * 1024;

/// What is asked: "like this, but …".
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The picture or clip that the wanted one is like.
    pub reference: MediaRef,
    /// What should be different: the modification text.
    pub words: String,
    /// What the wanted one should not show.
    pub not: Option<String>,
    /// 0 is just like the reference, 1 is only the words; `None` leaves it to the method.
    pub strength: Option<f32>,
}

/// A question that cannot be asked.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// No words.
    #[error("say what should be different: the words are empty; to find near copies of a picture use --method picture")]
    Empty,
    /// Far too many words.
    #[error("the words are {got} bytes long, at most {MAX_WORDS_BYTES} are read; say it in a sentence")]
    TooLong {
        /// Bytes given.
        got: usize,
    },
    /// Strength outside 0 to 1.
    #[error("strength is a number from 0 (just like the reference) to 1 (only the words), got {0}")]
    Strength(f32),
}

impl Query {
    /// A question in its plainest form.
    pub fn new(reference: MediaRef, words: impl Into<String>) -> Self {
        Self { reference, words: words.into(), not: None, strength: None }
    }

    /// Whether this can be asked of a method that reads words.
    pub fn check(&self) -> Result<(), QueryError> {
        for words in [Some(&self.words), self.not.as_ref()].into_iter().flatten() {
            if words.len() > MAX_WORDS_BYTES {
                return Err(QueryError::TooLong { got: words.len() });
            }
        }
        if self.words.trim().is_empty() {
            return Err(QueryError::Empty);
        }
        match self.strength {
            Some(s) if !(0.0..=1.0).contains(&s) => Err(QueryError::Strength(s)),
            _ => Ok(()),
        }
    }
}
