//! What a repository holds, and which of it a family of models needs.
//!
//! Repositories hold the same weights several times over, in formats for other programs, and
//! programs besides. Fetched is what is read, nothing else: no code, no pickles of unknown make.

use serde::Deserialize;

use crate::digest::Digest;
use crate::error::Error;
use crate::known::Family;
use crate::name::{Repo, check_file, is_commit};

/// More files than this are no model.
const MAX_FILES: usize = 20_000;

/// The hub's answer about a repository at a revision.
#[derive(Debug, Deserialize)]
struct Told {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(default, rename = "cardData")]
    card: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default, rename = "blobId")]
    blob: Option<String>,
    #[serde(default)]
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

/// A repository at a commit.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) commit: String,
    /// As its page states it.
    pub(crate) licence: Option<String>,
    pub(crate) files: Vec<Listed>,
}

/// One file; the hub, or a mirror of it, may say no more than its name.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) size: Option<u64>,
    pub(crate) digest: Option<Digest>,
}

impl Listing {
    /// Reads the hub's answer; every name in it is checked before anyone sees it.
    pub(crate) fn read(repo: &Repo, host: &str, json: &[u8]) -> Result<Self, Error> {
        let bad = |got: String| Error::Server { host: host.to_owned(), what: format!("the listing of {repo}"), got };
        let told: Told = serde_json::from_slice(json).map_err(|e| bad(format!("what is no listing ({e})")))?;
        if !is_commit(&told.sha) {
            return Err(bad("a commit that is none".into()));
        }
        if told.siblings.len() > MAX_FILES {
            return Err(bad(format!("{} files, at most {MAX_FILES} are read", told.siblings.len())));
        }
        let licence = told.card.as_ref().and_then(|card| match &card["license"] {
            serde_json::Value::String(text) => Some(text.chars().take(100).collect()),
            _ => None,
        });
        let mut files = Vec::with_capacity(told.siblings.len());
        for file in told.siblings {
            check_file(repo, &file.rfilename)?;
            let (lfs_digest, lfs_size) = match file.lfs {
                Some(lfs) => (lfs.sha256, lfs.size),
                None => (None, None),
            };
            files.push(Listed {
                name: file.rfilename,
                size: lfs_size.or(file.size),
                digest: lfs_digest.or(file.blob).and_then(|d| Digest::parse(&d)),
            });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { commit: told.sha, licence, files })
    }

    /// The files that this family needs.
    pub(crate) fn wanted(&self, repo: &Repo, family: Family) -> Result<Vec<Listed>, Error> {
        let names: Vec<&str> = self.files.iter().map(|f| f.name.as_str()).collect();
        let chosen = choose(&names, family).map_err(|what| {
            let weights = |n: &&&str| WEIGHT_ENDINGS.iter().any(|e| n.ends_with(e));
            let mut has: Vec<&str> = names.iter().filter(weights).take(8).copied().collect();
            if has.is_empty() {
                has.push("no weights at all");
            }
            Error::Lacks { repo: repo.to_string(), what, has: has.join(", ") }
        })?;
        Ok(self.files.iter().filter(|f| chosen.contains(&f.name)).cloned().collect())
    }
}

/// What weights are called, ours and others'.
const WEIGHT_ENDINGS: &[&str] = &[".safetensors", ".bin", ".pth", ".pt", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx"];

/// Small files that say how the weights are to be read, by family.
fn companions(family: Family) -> &'static [&'static str] {
    const TOKENS: [&str; 4] =
        ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];
    match family {
        Family::Blip2 => &[
            "config.json",
            "preprocessor_config.json",
            "processor_config.json",
            "vocab.txt",
            TOKENS[0],
            TOKENS[1],
            TOKENS[2],
            TOKENS[3],
        ],
        Family::Clip | Family::OpenClip => &[
            "config.json",
            "open_clip_config.json",
            "preprocessor_config.json",
            "vocab.json",
            "merges.txt",
            TOKENS[0],
            TOKENS[1],
            TOKENS[2],
        ],
        Family::Siglip => &[
            "config.json",
            "open_clip_config.json",
            "preprocessor_config.json",
            "tokenizer.model",
            "spiece.model",
            TOKENS[0],
            TOKENS[1],
            TOKENS[2],
        ],
        Family::Other => &[
            "config.json",
            "manifest.json",
            "open_clip_config.json",
            "preprocessor_config.json",
            "processor_config.json",
            "vocab.txt",
            "vocab.json",
            "merges.txt",
            "tokenizer.model",
            "spiece.model",
            TOKENS[0],
            TOKENS[1],
            TOKENS[2],
            TOKENS[3],
        ],
    }
}

/// The names to fetch out of all names, or what is missing.
pub(crate) fn choose(names: &[&str], family: Family) -> Result<Vec<String>, String> {
    let has = |name: &str| names.contains(&name);
    let one = |name: &str| has(name).then(|| vec![name.to_owned()]);
    let plain = || one("model.safetensors").or_else(|| shards(names));
    let open = || one("open_clip_model.safetensors").or_else(|| one("open_clip_pytorch_model.safetensors"));
    let is_open = family == Family::OpenClip && has("open_clip_config.json") && open().is_some();
    let weights = if is_open { open() } else { plain().or_else(open) };
    // Beside OpenCLIP's own, these describe the picture half to another library.
    let others = |name: &&&str| is_open && matches!(**name, "config.json" | "preprocessor_config.json");
    let companions = companions(family).iter().filter(|n| has(n) && !others(n));
    let mut out: Vec<String> = companions.map(|n| (*n).to_owned()).collect();
    if !["config.json", "open_clip_config.json", "manifest.json"].iter().any(|n| has(n)) {
        return Err("config.json".into());
    }
    // Last, a checkpoint of another make, if there is exactly one.
    let lonely = |ending: &str| {
        let mut found = names.iter().filter(|n| !n.contains('/') && n.ends_with(ending));
        found.next().filter(|_| found.next().is_none()).map(|n| vec![(*n).to_owned()])
    };
    let weights = weights.or_else(|| lonely(".safetensors")).or_else(|| lonely(".pth"));
    out.extend(weights.ok_or("weights as safetensors (or one .pth)")?);
    Ok(out)
}

/// `model-00001-of-00003.safetensors` … all of them, with their index.
fn shards(names: &[&str]) -> Option<Vec<String>> {
    let index = "model.safetensors.index.json";
    let of = names.iter().find_map(|n| {
        n.strip_prefix("model-00001-of-")?.strip_suffix(".safetensors")?.parse::<usize>().ok().filter(|n| *n <= 1000)
    })?;
    let all: Vec<String> = (1..=of).map(|i| format!("model-{i:05}-of-{of:05}.safetensors")).collect();
    let whole = names.contains(&index) && all.iter().all(|n| names.contains(&n.as_str()));
    whole.then(|| [vec![index.to_owned()], all].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo() -> Repo {
        Repo::parse("a/b").unwrap()
    }

    #[test]
    fn only_what_is_read_is_fetched() {
        let bge = [
            ".gitattributes",
            "LICENSE",
            "README.md",
            "assets/x.png",
            "config.json",
            "merges.txt",
            "model.safetensors",
            "modeling_MMRet_CLIP.py",
            "preprocessor_config.json",
            "tokenizer.json",
            "vocab.json",
        ];
        assert_eq!(
            choose(&bge, Family::Clip).unwrap(),
            [
                "config.json",
                "preprocessor_config.json",
                "vocab.json",
                "merges.txt",
                "tokenizer.json",
                "model.safetensors"
            ]
        );
        // The plain file of such a repository is the picture half only.
        let timm = [
            "config.json",
            "model.safetensors",
            "open_clip_config.json",
            "open_clip_model.safetensors",
            "pytorch_model.bin",
        ];
        assert!(choose(&timm, Family::OpenClip).unwrap().contains(&"open_clip_model.safetensors".to_owned()));
        assert_eq!(choose(&timm, Family::OpenClip).unwrap(), ["open_clip_config.json", "open_clip_model.safetensors"]);
        let sharded = [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        ];
        assert_eq!(choose(&sharded, Family::Blip2).unwrap().len(), 4);
        assert!(
            choose(&sharded[..2], Family::Blip2).unwrap().contains(&"model-00001-of-00002.safetensors".to_owned()),
            "the only file of its kind is all there is to try"
        );
        assert_eq!(choose(&["config.json", "x.pth"], Family::Blip2).unwrap(), ["config.json", "x.pth"]);
        for lacking in
            [&["config.json", "pytorch_model.bin"][..], &["model.safetensors"], &["config.json", "a.pth", "b.pth"], &[]]
        {
            assert!(choose(lacking, Family::Blip2).is_err(), "{lacking:?}");
        }
    }

    #[test]
    fn the_listing_is_read_and_not_trusted() {
        let commit = "c".repeat(40);
        let sha = "0".repeat(64);
        let json = format!(
            r#"{{"sha":"{commit}","cardData":{{"license":"mit"}},"siblings":[
              {{"rfilename":"model.safetensors","size":130,"blobId":"{commit}","lfs":{{"sha256":"{sha}","size":1000,"pointerSize":130}}}},
              {{"rfilename":"config.json","size":7,"blobId":"{commit}"}}, {{"rfilename":"x.bin"}}],"more":[1,2]}}"#
        );
        let listing = Listing::read(&repo(), "hub", json.as_bytes()).unwrap();
        assert_eq!((listing.licence.as_deref(), listing.files.len()), (Some("mit"), 3));
        let wanted = listing.wanted(&repo(), Family::Clip).unwrap();
        assert_eq!(
            wanted.iter().map(|f| (f.name.as_str(), f.size)).collect::<Vec<_>>(),
            [("config.json", Some(7)), ("model.safetensors", Some(1000))]
        );
        assert!(
            matches!(wanted[1].digest, Some(Digest::Sha256(_))) && matches!(wanted[0].digest, Some(Digest::Git(_)))
        );
        for bad in [
            String::new(),
            "[]".into(),
            r#"{"sha":"main","siblings":[]}"#.into(),
            format!(r#"{{"sha":"{commit}","siblings":[{{"rfilename":"../../.bashrc"}}]}}"#),
            format!(r#"{{"sha":"{commit}","siblings":[{{"rfilename":"/etc/passwd"}}]}}"#),
            format!(r#"{{"sha":"{commit}","siblings":[{{"rfilename":"a","size":-1}}]}}"#),
            "[".repeat(100_000),
        ] {
            assert!(Listing::read(&repo(), "hub", bad.as_bytes()).is_err(), "{}", &bad[..bad.len().min(90)]);
        }
    }
}
