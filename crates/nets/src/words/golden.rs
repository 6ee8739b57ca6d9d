//! Ten thousand strings of a generator against transformers, OpenCLIP and BERT: the same ids.
//!
//! `fixtures/golden/words.py` has the generator's twin, and says what the strings are made of.

use super::*;
use crate::words::{Cleaning, merges_from_bytes};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

#[derive(serde::Deserialize)]
struct Golden {
    count: usize,
    chunk: usize,
    seed: u64,
    longest: usize,
    ranges: Vec<[u32; 2]>,
    atoms: Vec<String>,
    /// Strings that ftfy takes for text decoded wrongly; OpenCLIP's cleaning mends them, ours does not.
    mended: Vec<usize>,
    ids: std::collections::BTreeMap<String, Ids>,
}

#[derive(serde::Deserialize)]
struct Ids {
    digests: Vec<String>,
    cut: usize,
}

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/words").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// splitmix64
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

fn strings(g: &Golden) -> Vec<String> {
    let mut rng = Rng(g.seed);
    (0..g.count)
        .map(|i| {
            let length = if i % 50 == 0 { rng.below(300) } else { rng.below(16) };
            let wild = rng.below(3) == 0;
            let mut range = g.ranges[rng.below(g.ranges.len())];
            let mut text = String::new();
            for _ in 0..length {
                if wild {
                    range = g.ranges[rng.below(g.ranges.len())];
                }
                if rng.below(4) == 0 {
                    text += &g.atoms[rng.below(g.atoms.len())];
                } else {
                    text.push(char::from_u32(range[0] + rng.below(range[1] as usize) as u32).unwrap());
                }
            }
            text
        })
        .collect()
}

fn check(g: &Golden, name: &str, words: &Tokenizer, skip: &[usize]) {
    let want = &g.ids[name];
    let texts = strings(g);
    let mut cut = 0;
    let wrong: Vec<usize> = want
        .digests
        .iter()
        .enumerate()
        .filter(|(chunk, digest)| {
            let mut sha = Sha256::new();
            for i in (chunk * g.chunk..(chunk + 1) * g.chunk).filter(|i| !skip.contains(i)) {
                let read = words.encode(&texts[i]);
                cut += read.cut;
                sha.update(read.ids.iter().map(i32::to_string).collect::<Vec<_>>().join(" ") + "\n");
            }
            let found: String = sha.finalize().iter().map(|b| format!("{b:02x}")).collect();
            found[..16] != **digest
        })
        .map(|(chunk, _)| chunk)
        .collect();
    assert!(wrong.is_empty(), "{name}: other ids in the hundreds {wrong:?} of {}", want.digests.len());
    assert_eq!(cut, want.cut, "{name}: tokens that did not fit");
}

#[test]
fn ten_thousand_strings_have_the_references_ids() {
    let g: Golden = serde_json::from_slice(&fixture("digests.json")).unwrap();
    assert!(g.count >= 10_000 && g.mended.len() * 100 < g.count);
    let clip = |cleaning, file: &[u8]| Tokenizer::new(&Reading::Clip { longest: g.longest, cleaning }, file).unwrap();
    let own = fixture("merges.txt");
    check(&g, "made-up, transformers", &clip(Cleaning::Transformers, &own), &[]);
    check(&g, "made-up, open-clip", &clip(Cleaning::OpenClip, &own), &g.mended);
    let bert = String::from_utf8(fixture("vocab.txt")).unwrap();
    check(&g, "made-up, bert", &Tokenizer::word_piece(&bert, g.longest).unwrap(), &[]);

    let real =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/weights/bpe_simple_vocab_16e6.txt.gz");
    match std::fs::read(&real) {
        Ok(bytes) => {
            let merges = merges_from_bytes(&bytes).unwrap();
            let (theirs, openai) =
                (clip(Cleaning::Transformers, merges.as_bytes()), clip(Cleaning::OpenClip, merges.as_bytes()));
            assert_eq!(theirs.pieces(), 49_408);
            check(&g, "clip, transformers", &theirs, &[]);
            check(&g, "clip, open-clip", &openai, &g.mended);
            // The best known ids of all.
            assert_eq!(openai.ids("a photo of a cat"), [49406, 320, 1125, 539, 320, 2368, 49407]);
        }
        Err(_) => eprintln!("skipped: CLIP's own merges are not at {}", real.display()),
    }
}
