//! CLIP's byte pairs.
//!
//! Text is cleaned and lower-cased, split into words, single digits and runs of punctuation, each of
//! them turned into bytes, and the bytes merged pair by pair in the order of a list; `</w>` marks
//! the end of a word. Nothing is unknown.
//! Layout of a text: `<|startoftext|> pieces… <|endoftext|>`.
//!
//! One list of merges is shared by OpenAI's, OpenCLIP's and BAAI's models: `merges.txt` of a Hugging
//! Face folder, or `bpe_simple_vocab_16e6.txt.gz` of OpenAI's and OpenCLIP's code, of which the
//! first 48,894 merges are read. The ids follow from it: 256 bytes, 256 bytes that end a word, the
//! merges, and two special pieces.

use super::WordsError;
use ahash::AHashMap;
use flate2::read::GzDecoder;
use std::collections::HashMap;
use std::io::Read;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{Lowercase, NFC, NormalizerWrapper, Replace, replace::ReplacePattern};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::{PreTokenizerWrapper, sequence, split};
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{SplitDelimiterBehavior, Tokenizer, normalizers};

/// Merges that CLIP reads; files that list more are cut here.
pub const MERGES: usize = 49_152 - 256 - 2;
/// How such a file begins.
const VERSION: &str = "#version: 0.2";
/// OpenAI's list has 3 MB.
const MAX_UNPACKED: u64 = 64 << 20;
const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// Contractions, words, single digits, runs of anything else that is not space.
const PARTS: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// What is done to a text before it is cut. Plain sentences are the same in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cleaning {
    /// As transformers' tokenizer: composed accents, runs of space to one, lower case.
    Transformers,
    /// As OpenAI's and OpenCLIP's `SimpleTokenizer`: [`cleaned`](super::cleaned).
    OpenClip,
}

/// From a list of merges; with the padding's id and those before and after a text.
pub fn build(merges: &str, cleaning: Cleaning) -> Result<(Tokenizer, u32, Option<(u32, u32)>), WordsError> {
    let wrong = |why: String| WordsError::File { file: "merges.txt", why };
    let merges = merges
        .lines()
        .enumerate()
        .filter(|(i, l)| !(l.trim().is_empty() || *i == 0 && l.contains("#version")))
        .take(MERGES)
        .map(|(i, line)| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [a, b] => Ok((a.to_owned(), b.to_owned())),
            _ => Err(wrong(format!("line {}: a merge is two pieces, found {:?}", i + 1, short(line)))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut vocab: AHashMap<String, u32> = AHashMap::new();
    for (id, piece) in pieces(&merges).enumerate() {
        vocab.insert(piece, id as u32);
    }
    let count = vocab.len() as u32;
    let (start, end) = (count, count + 1);
    vocab.insert(START.into(), start);
    vocab.insert(END.into(), end);
    if vocab.len() != 2 * 256 + merges.len() + 2 {
        return Err(wrong("two merges make the same piece".into()));
    }
    let refused = |e: tokenizers::Error| WordsError::Refused(e.to_string());
    let bpe = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .unk_token(END.into())
        .end_of_word_suffix("</w>".into())
        .build()
        .map_err(|e| wrong(e.to_string()))?;
    let mut tokenizer = Tokenizer::new(bpe);
    if cleaning == Cleaning::Transformers {
        let space = Replace::new(ReplacePattern::Regex(r"\s+".into()), " ").map_err(refused)?;
        tokenizer.with_normalizer(Some(normalizers::Sequence::new(vec![
            NormalizerWrapper::NFC(NFC),
            NormalizerWrapper::Replace(space),
            NormalizerWrapper::Lowercase(Lowercase),
        ])));
    }
    // OpenCLIP's expression ignores case: of the letters that lower-casing leaves, one more is an s.
    let parts = match cleaning {
        Cleaning::Transformers => PARTS.to_owned(),
        Cleaning::OpenClip => format!("'ſ|{PARTS}"),
    };
    let parts = split::Split::new(split::SplitPattern::Regex(parts), SplitDelimiterBehavior::Removed, true);
    tokenizer.with_pre_tokenizer(Some(sequence::Sequence::new(vec![
        PreTokenizerWrapper::Split(parts.map_err(refused)?),
        PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, false)),
    ])));
    let ends = RobertaProcessing::new((END.into(), end), (START.into(), start));
    tokenizer.with_post_processor(Some(ends.trim_offsets(false).add_prefix_space(false)));
    Ok((tokenizer, end, Some((start, end))))
}

/// A list of merges from a file as it lies: a Hugging Face folder's `merges.txt`, or OpenAI's
/// `bpe_simple_vocab_16e6.txt`, packed or not; as [`Reading::file`](super::Reading::file) keeps it.
pub fn merges_from_bytes(file: &[u8]) -> Result<String, WordsError> {
    let wrong = |why: String| WordsError::File { file: "the list of merges", why };
    let mut text = Vec::new();
    if file.starts_with(&[0x1f, 0x8b]) {
        let unpacked = GzDecoder::new(file).take(MAX_UNPACKED + 1).read_to_end(&mut text);
        if unpacked.map_err(|e| wrong(e.to_string()))? as u64 > MAX_UNPACKED {
            return Err(wrong(format!("unpacked it has more than {MAX_UNPACKED} bytes")));
        }
    } else {
        text.extend_from_slice(file);
    }
    let text = String::from_utf8(text).map_err(|_| wrong("it is not UTF-8".into()))?;
    let list = text.lines().enumerate().filter(|(i, l)| !(l.is_empty() || *i == 0 && l.contains("#version")));
    Ok(format!("{VERSION}\n") + &list.take(MERGES).map(|(_, l)| format!("{l}\n")).collect::<String>())
}

/// The merges that a CLIP's `tokenizer.json` lists; an error where its ids do not follow from them,
/// because then the merges alone would not say what the network was trained with.
pub fn merges_from_tokenizer_json(file: &[u8]) -> Result<String, WordsError> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Pair {
        Split((String, String)),
        Joined(String),
    }
    #[derive(serde::Deserialize)]
    struct Model {
        vocab: HashMap<String, u32>,
        merges: Vec<Pair>,
    }
    #[derive(serde::Deserialize)]
    struct File {
        model: Model,
    }
    let wrong = |why: String| WordsError::File { file: "tokenizer.json", why };
    let File { model } =
        serde_json::from_slice(file).map_err(|e| wrong(format!("it is no byte-pair tokenizer: {e}")))?;
    let pair = |p: Pair| match p {
        Pair::Split(pair) => Some(pair),
        Pair::Joined(text) => text.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())),
    };
    let merges: Option<Vec<_>> = model.merges.into_iter().map(pair).collect();
    let merges = merges.ok_or_else(|| wrong("a merge is two pieces with a space between".into()))?;
    for (id, piece) in pieces(&merges).chain([START.into(), END.into()]).enumerate() {
        let found = model.vocab.get(&piece);
        if found.is_none_or(|f| *f as usize != id) {
            let found = found.map_or("nothing".to_owned(), u32::to_string);
            return Err(wrong(format!("CLIP numbers the piece {:?} {id}, this file says {found}", short(&piece))));
        }
    }
    Ok(format!("{VERSION}\n") + &merges.iter().map(|(a, b)| format!("{a} {b}\n")).collect::<String>())
}

/// All pieces but the two special ones, in the order of their ids.
fn pieces(merges: &[(String, String)]) -> impl Iterator<Item = String> {
    let bytes = || {
        let shown = |b: &u32| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        // Bytes that cannot be seen borrow letters from beyond Latin-1.
        let hidden = (0..256).filter(move |b| !shown(b)).enumerate().map(|(i, _)| 256 + i as u32);
        (0..256).filter(move |b| shown(b)).chain(hidden).filter_map(char::from_u32)
    };
    bytes()
        .map(String::from)
        .chain(bytes().map(|c| format!("{c}</w>")))
        .chain(merges.iter().map(|(a, b)| format!("{a}{b}")).collect::<Vec<_>>())
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
