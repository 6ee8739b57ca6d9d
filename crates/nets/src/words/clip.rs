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
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{Lowercase, NFC, NormalizerWrapper, Replace, replace::ReplacePattern};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::{PreTokenizerWrapper, sequence, split};
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{SplitDelimiterBehavior, Tokenizer, normalizers};

/// Merges that CLIP reads; files that list more are cut here.
pub const MERGES: usize = 49_152 - 2 * 256 - 2;
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
    /// As OpenAI's and OpenCLIP's `SimpleTokenizer`: [`cleaned`].
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

/// The merges that a vocabulary in two files or in a `tokenizer.json` lists, as `merges.txt` has
/// them; an error where the ids do not follow from them, because then `merges.txt` alone would not
/// say what the network was trained with.
pub fn merges_from_vocabulary(
    vocab: &std::collections::HashMap<String, u32>,
    merges: &[(String, String)],
) -> Result<String, WordsError> {
    let wrong = |why: String| WordsError::File { file: "tokenizer.json", why };
    let merges = &merges[..merges.len().min(MERGES)];
    for (id, piece) in pieces(merges).chain([START.into(), END.into()]).enumerate() {
        match vocab.get(&piece) {
            Some(found) if *found as usize == id => {}
            found => {
                return Err(wrong(format!(
                    "CLIP numbers the piece {:?} {id}, this vocabulary says {}; it is not CLIP's vocabulary",
                    short(&piece),
                    found.map_or("nothing".into(), u32::to_string)
                )));
            }
        }
    }
    Ok("#version: 0.2\n".to_owned() + &merges.iter().map(|(a, b)| format!("{a} {b}\n")).collect::<String>())
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

/// OpenCLIP's cleaning of a text: space of any kind and length becomes one space, none at the ends,
/// and lower case.
pub fn cleaned(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
