//! Words to token ids: WordPiece, as BERT and BLIP-2 read text.
//!
//! Text is lower-cased and stripped of accents, split at spaces and punctuation, and each word is
//! cut greedily into the longest known pieces; `##` marks a piece that continues a word.
//! Layout of a text: `[CLS] pieces… [SEP]`, padded at the end with `[PAD]`.

use crate::blip2::Words;
use ahash::AHashMap;
use burn::tensor::{Device, Int, Tensor};
use std::collections::BTreeMap;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{Tokenizer, TruncationParams};

/// The special pieces, in the order in which a vocabulary of our own begins; `[DEC]` is BLIP-2's.
pub const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[DEC]"];

/// A vocabulary that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WordsError {
    /// A special piece is missing.
    #[error(
        "the vocabulary lacks the piece {0}; a WordPiece vocabulary lists one piece per line, special pieces included"
    )]
    Missing(&'static str),
    /// The tokenizer refused it.
    #[error("the tokenizer refused: {0}")]
    Refused(String),
}

/// Text to token ids.
#[derive(Clone, Debug)]
pub struct WordPieces {
    tokenizer: Tokenizer,
    pieces: usize,
    pad: u32,
    longest: usize,
}

impl WordPieces {
    /// From a vocabulary, one piece per line, as BERT's `vocab.txt`; texts are cut at `longest` tokens.
    pub fn from_vocab(text: &str, longest: usize) -> Result<Self, WordsError> {
        let list: Vec<&str> = text.lines().map(|l| l.trim_end_matches('\r')).collect();
        let vocab: AHashMap<String, u32> = list.iter().enumerate().map(|(i, p)| ((*p).to_owned(), i as u32)).collect();
        let id = |piece: &'static str| vocab.get(piece).copied().ok_or(WordsError::Missing(piece));
        let (pad, cls, sep) = (id("[PAD]")?, id("[CLS]")?, id("[SEP]")?);
        id("[UNK]")?;
        let refused = |e: tokenizers::Error| WordsError::Refused(e.to_string());
        let model = WordPiece::builder().vocab(vocab.clone()).unk_token("[UNK]".into()).build().map_err(refused)?;
        let mut tokenizer = Tokenizer::new(model);
        tokenizer.with_normalizer(Some(BertNormalizer::default()));
        tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        tokenizer.with_post_processor(Some(BertProcessing::new(("[SEP]".into(), sep), ("[CLS]".into(), cls))));
        tokenizer
            .with_truncation(Some(TruncationParams { max_length: longest, ..TruncationParams::default() }))
            .map_err(refused)?;
        Ok(Self { tokenizer, pieces: list.len(), pad, longest })
    }

    /// How many pieces are known.
    pub fn pieces(&self) -> usize {
        self.pieces
    }

    /// The ids of one text, special pieces included; never longer than the longest allowed.
    pub fn ids(&self, text: &str) -> Vec<i32> {
        match self.tokenizer.encode(text, true) {
            Ok(encoding) => encoding.get_ids().iter().take(self.longest).map(|i| *i as i32).collect(),
            // WordPiece with an unknown piece refuses nothing; if it ever did, an empty text is what is left.
            Err(_) => self
                .tokenizer
                .encode("", true)
                .map(|e| e.get_ids().iter().map(|i| *i as i32).collect())
                .unwrap_or_default(),
        }
    }

    /// A batch of texts, padded at the end to the longest of them.
    pub fn batch(&self, texts: &[&str], device: &Device) -> Words {
        let rows: Vec<Vec<i32>> = texts.iter().map(|t| self.ids(t)).collect();
        self.pad(&rows, device)
    }

    /// Rows of ids, padded at the end to the longest of them.
    pub fn pad(&self, rows: &[Vec<i32>], device: &Device) -> Words {
        let longest = rows.iter().map(Vec::len).max().unwrap_or(1).max(1);
        let pad = self.pad as i32;
        let ids: Vec<i32> =
            rows.iter().flat_map(|r| r.iter().copied().chain(std::iter::repeat_n(pad, longest - r.len()))).collect();
        Words {
            ids: Tensor::<1, Int>::from_data(ids.as_slice(), device).reshape([rows.len(), longest]),
            lens: rows.iter().map(|r| r.len().max(1)).collect(),
        }
    }
}

/// A vocabulary for a small world: the special pieces, every letter and digit (alone and as a
/// continuation, so that no word is wholly unknown), then the commonest words; at most `size` pieces.
pub fn vocab_from_texts<'a>(texts: impl Iterator<Item = &'a str>, size: usize) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for text in texts {
        for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
    }
    let mut pieces: Vec<String> = SPECIAL.iter().map(|s| (*s).to_owned()).collect();
    pieces.extend(",.'-!?".chars().map(String::from));
    for c in ('a'..='z').chain('0'..='9') {
        pieces.push(c.to_string());
        pieces.push(format!("##{c}"));
    }
    let mut words: Vec<(String, usize)> = counts.into_iter().filter(|(w, _)| w.chars().count() > 1).collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    pieces.extend(words.into_iter().map(|(w, _)| w));
    pieces.truncate(size);
    pieces.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_whole_and_unknown_ones_are_spelt() {
        let vocab = vocab_from_texts(["make the ball red", "the red cat"].into_iter(), 100);
        let words = WordPieces::from_vocab(&vocab, 8).unwrap();
        let piece = |i: i32| vocab.lines().nth(i as usize).unwrap();
        let read = |t: &str| words.ids(t).into_iter().map(piece).collect::<Vec<_>>();
        assert_eq!(read("Make the BALL réd"), ["[CLS]", "make", "the", "ball", "red", "[SEP]"]);
        assert_eq!(read("toy"), ["[CLS]", "t", "##o", "##y", "[SEP]"]);
        assert_eq!(read(""), ["[CLS]", "[SEP]"]);
        assert_eq!(read("☃"), ["[CLS]", "[UNK]", "[SEP]"]);
        assert_eq!(words.ids("the the the the the the the the the").len(), 8);
        assert!(WordPieces::from_vocab("the\nred\n", 8).is_err());
    }
}
