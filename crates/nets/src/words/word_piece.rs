//! WordPiece, as BERT and BLIP-2 read text.
//!
//! Text is lower-cased and stripped of accents, split at spaces and punctuation, and each word is
//! cut greedily into the longest known pieces; `##` marks a piece that continues a word.
//! Layout of a text: `[CLS] pieces… [SEP]`, padded at the end with `[PAD]`.

use super::WordsError;
use ahash::AHashMap;
use std::collections::BTreeMap;
use tokenizers::Tokenizer;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;

/// The special pieces, in the order in which a vocabulary of our own begins; `[DEC]` is BLIP-2's.
pub const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[DEC]"];

/// From a vocabulary, one piece per line; with the padding's id and those before and after a text.
pub fn build(vocab: &str) -> Result<(Tokenizer, u32, Option<(u32, u32)>), WordsError> {
    let list = vocab.lines().map(|l| l.trim_end_matches('\r'));
    let vocab: AHashMap<String, u32> = list.enumerate().map(|(i, p)| (p.to_owned(), i as u32)).collect();
    let id = |piece: &'static str| vocab.get(piece).copied().ok_or(WordsError::Missing(piece));
    let (pad, cls, sep) = (id("[PAD]")?, id("[CLS]")?, id("[SEP]")?);
    id("[UNK]")?;
    let refused = |e: tokenizers::Error| WordsError::Refused(e.to_string());
    let model = WordPiece::builder().vocab(vocab).unk_token("[UNK]".into()).build().map_err(refused)?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(BertNormalizer::default()));
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(BertProcessing::new(("[SEP]".into(), sep), ("[CLS]".into(), cls))));
    Ok((tokenizer, pad, Some((cls, sep))))
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
