//! Words to token ids, as each family reads them: WordPiece, CLIP's byte pairs, or whatever a
//! `tokenizer.json` says.
//!
//! How a text is cut is a value, [`Reading`], that travels with the weights, and what it is cut
//! with is one file beside them ([`Reading::file`]):
//!
//! | reading | file in the model's folder | families |
//! |---|---|---|
//! | `word-piece` | `vocab.txt`, one piece per line | BLIP-2 |
//! | `clip` | `merges.txt`, one merge per line; the ids follow from them | CLIP |
//! | `json` | `tokenizer.json` of the `tokenizers` library | SigLIP |
//!
//! A user's text never becomes a special piece: who types `[SEP]` or `<|endoftext|>` has typed
//! punctuation. The references read such text as a command that ends the sentence (transformers
//! has `split_special_tokens=True` for our way).

mod clean;
mod clip;
mod word_piece;

pub use clean::cleaned;
pub use clip::{Cleaning, MERGES, merges_from_bytes, merges_from_tokenizer_json};
pub use word_piece::{SPECIAL, vocab_from_texts};

use burn::tensor::{Device, Int, Tensor};
use tokenizers::{Encoding, TruncationParams};

/// Longer texts are cut to so many bytes before they are read; thousands of tokens fit.
const MAX_TEXT_BYTES: usize = 1 << 16;
/// Vocabularies larger than this are no vocabulary that we know; the largest, Gemma's, has 34 MB.
const MAX_FILE_BYTES: usize = 128 << 20;

/// A batch of texts as ids, padded at the end to one length.
#[derive(Clone, Debug)]
pub struct Words {
    /// Token ids (B, T).
    pub ids: Tensor<2, Int>,
    /// How many tokens of each text are not padding; at least 1.
    pub lens: Vec<usize>,
}

/// One text as ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Special pieces included; never longer than the longest allowed.
    pub ids: Vec<i32>,
    /// Tokens that did not fit, from the end of the text: more than 0 is worth a warning.
    pub cut: usize,
}

/// A text with room for pseudo-words in its middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The text; where a pseudo-word will stand there is some id.
    pub text: Encoded,
    /// Where the pseudo-words stand.
    pub slots: std::ops::Range<usize>,
}

/// A vocabulary that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WordsError {
    /// A special piece is missing.
    #[error(
        "the vocabulary lacks the piece {0}; a WordPiece vocabulary lists one piece per line, special pieces included"
    )]
    Missing(&'static str),
    /// Not a file of the kind that was promised.
    #[error("{file} cannot be used: {why}")]
    File {
        /// Which.
        file: &'static str,
        /// Why.
        why: String,
    },
    /// The tokenizer refused it.
    #[error("the tokenizer refused: {0}")]
    Refused(String),
}

/// How text becomes ids; stored with the weights.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, tag = "kind")]
pub enum Reading {
    /// BERT's WordPiece, uncased: `[CLS] pieces… [SEP]`.
    WordPiece {
        /// Longest text, in tokens.
        longest: usize,
    },
    /// CLIP's byte pairs: `<|startoftext|> pieces… <|endoftext|>`.
    Clip {
        /// Longest text, in tokens: 77.
        longest: usize,
        /// What is done to a text before it is cut.
        cleaning: Cleaning,
    },
    /// A `tokenizer.json`; every text is padded to the same length, as SigLIP wants.
    Json {
        /// The length of every text, in tokens: 64.
        longest: usize,
        /// The id that fills what a text leaves free.
        pad: u32,
        /// Whether the text is lower-cased first: SigLIP 2 was trained so.
        lowercase: bool,
    },
}

impl Reading {
    /// The file beside the weights that holds the pieces.
    pub fn file(&self) -> &'static str {
        match self {
            Self::WordPiece { .. } => "vocab.txt",
            Self::Clip { .. } => "merges.txt",
            Self::Json { .. } => "tokenizer.json",
        }
    }

    /// The longest text, in tokens.
    pub fn longest(&self) -> usize {
        match self {
            Self::WordPiece { longest } | Self::Clip { longest, .. } | Self::Json { longest, .. } => *longest,
        }
    }
}

/// Text to token ids.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    reading: Reading,
    pieces: usize,
    pad: i32,
    /// The pieces before and after every text, where a prompt may be put together from parts.
    ends: Option<(i32, i32)>,
}

impl Tokenizer {
    /// From the file that [`Reading::file`] names.
    pub fn new(reading: &Reading, file: &[u8]) -> Result<Self, WordsError> {
        let wrong = |why: String| WordsError::File { file: reading.file(), why };
        if file.len() > MAX_FILE_BYTES {
            return Err(wrong(format!("it has {} bytes, at most {MAX_FILE_BYTES} are read", file.len())));
        }
        if !(3..=1 << 16).contains(&reading.longest()) {
            return Err(wrong(format!("texts of at most {} tokens are none", reading.longest())));
        }
        let text = std::str::from_utf8(file).map_err(|e| wrong(format!("it is not UTF-8: {e}")))?;
        let refused = |e: tokenizers::Error| WordsError::Refused(e.to_string());
        let (mut inner, pad, ends) = match reading {
            Reading::WordPiece { .. } => word_piece::build(text)?,
            Reading::Clip { cleaning, .. } => clip::build(text, *cleaning)?,
            Reading::Json { pad, .. } => {
                let mut inner = tokenizers::Tokenizer::from_bytes(file).map_err(|e| wrong(e.to_string()))?;
                inner.set_encode_special_tokens(true);
                (inner, *pad, None)
            }
        };
        inner
            .with_padding(None)
            .with_truncation(Some(TruncationParams { max_length: reading.longest(), ..TruncationParams::default() }))
            .map_err(refused)?;
        // Ids are an index into the network's table: the largest counts, not how many there are.
        let pieces = inner.get_vocab(true).values().max().map_or(0, |most| *most as usize + 1);
        let ends = ends.map(|(a, b)| (a as i32, b as i32));
        Ok(Self { inner, reading: reading.clone(), pieces, pad: pad as i32, ends })
    }

    /// BERT's WordPiece from `vocab.txt`; texts are cut at `longest` tokens.
    pub fn word_piece(vocab: &str, longest: usize) -> Result<Self, WordsError> {
        Self::new(&Reading::WordPiece { longest }, vocab.as_bytes())
    }

    /// How it reads.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// How many ids there are; a network must know at least so many.
    pub fn pieces(&self) -> usize {
        self.pieces
    }

    /// One text as ids; a text that is too long is cut, and how much is said.
    pub fn encode(&self, text: &str) -> Encoded {
        let (text, rest) = clipped(text);
        let mut encoded = self.plain(text, true);
        encoded.cut += rest;
        encoded
    }

    /// The ids of one text, special pieces included; never longer than the longest allowed.
    pub fn ids(&self, text: &str) -> Vec<i32> {
        self.encode(text).ids
    }

    /// A text with `slots` pseudo-words between two parts, put there by position: nothing that the
    /// parts say can be taken for one. What is too long is cut from the end of `after`, then of
    /// `before`; the slots stay. Only where every text has a known first and last piece (CLIP).
    pub fn prompt(&self, before: &str, slots: usize, after: &str) -> Option<Prompt> {
        let (first, last) = self.ends?;
        let room = self.reading.longest().checked_sub(2 + slots)?;
        let (mut a, mut b) = (self.plain(clipped(before).0, false), self.plain(clipped(after).0, false));
        let (na, nb) = (a.ids.len().min(room), b.ids.len().min(room - a.ids.len().min(room)));
        let cut = a.cut + b.cut + a.ids.len() - na + b.ids.len() - nb;
        a.ids.truncate(na);
        b.ids.truncate(nb);
        let mut ids = vec![first];
        ids.append(&mut a.ids);
        let place = ids.len()..ids.len() + slots;
        // Id 0 is "!", as good as any: its embedding is not read.
        ids.extend(std::iter::repeat_n(0, slots));
        ids.append(&mut b.ids);
        ids.push(last);
        Some(Prompt { text: Encoded { ids, cut }, slots: place })
    }

    /// A batch of texts, padded at the end.
    pub fn batch(&self, texts: &[&str], device: &Device) -> Words {
        let rows: Vec<Vec<i32>> = texts.iter().map(|t| self.ids(t)).collect();
        self.pad(&rows, device)
    }

    /// Rows of ids, padded at the end to the longest of them, or to the length that every text has.
    pub fn pad(&self, rows: &[Vec<i32>], device: &Device) -> Words {
        let longest = match self.reading {
            Reading::Json { longest, .. } => longest,
            _ => rows.iter().map(Vec::len).max().unwrap_or(1).max(1),
        };
        let ids: Vec<i32> = rows
            .iter()
            .flat_map(|r| r.iter().copied().chain(std::iter::repeat_n(self.pad, longest.saturating_sub(r.len()))))
            .collect();
        Words {
            ids: Tensor::<1, Int>::from_data(ids.as_slice(), device).reshape([rows.len(), longest]),
            lens: rows.iter().map(|r| r.len().max(1)).collect(),
        }
    }

    fn plain(&self, text: &str, ends: bool) -> Encoded {
        let cleaned = match self.reading {
            Reading::Clip { cleaning: Cleaning::OpenClip, .. } => cleaned(text).into(),
            Reading::Json { lowercase: true, .. } => text.to_lowercase().into(),
            _ => std::borrow::Cow::Borrowed(text),
        };
        let read = |text: &str| self.inner.encode(text, ends).map(|e| encoded(&e));
        // With bytes or an unknown piece to fall back on nothing is refused; if it ever were, an
        // empty text is what is left.
        read(&cleaned).or_else(|_| read("")).unwrap_or(Encoded { ids: vec![self.pad], cut: 0 })
    }
}

fn encoded(e: &Encoding) -> Encoded {
    let own = |e: &Encoding| e.get_special_tokens_mask().iter().filter(|m| **m == 0).count();
    Encoded { ids: e.get_ids().iter().map(|i| *i as i32).collect(), cut: e.get_overflowing().iter().map(own).sum() }
}

/// The text as far as it is read, and how many bytes are left out.
fn clipped(text: &str) -> (&str, usize) {
    let end = text.floor_char_boundary(MAX_TEXT_BYTES);
    (&text[..end], text.len() - end)
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
