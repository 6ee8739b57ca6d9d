//! A model on disk: a backbone, its view, its words, and the heads that methods trained on it.
//!
//! A model is a folder of three files: `manifest.json` (what it is, what it wants to see, how it was
//! made), `model.safetensors` (f16 at rest) and `vocab.txt`.
//! The embedded default is such a folder, built into the binary.

use crate::imagine::{self, Imagine};
use domain::{Digest, Embedding, Sampling, Space};
use media::Frame;
use nets::blip2::{self, Blip2, Frames, Sight};
use nets::view::View;
use nets::weights::{Tensors, WeightsError, floats};
use nets::words::{WordPieces, WordsError};
use nets::{Device, layers};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The version of the folder's layout that this program reads and writes.
pub const FORMAT: u32 = 1;
/// Files larger than this are no model that this program knows; refused before they are read.
const MAX_BYTES: u64 = 16 << 30;

/// A model that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of the folder cannot be read.
    #[error("cannot read {path}: {why}; a model is a folder with manifest.json, model.safetensors and vocab.txt")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {why}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The manifest is not one.
    #[error("the model's manifest is wrong: {0}")]
    Manifest(String),
    /// Another version of the layout.
    #[error(
        "this model's folder has layout {found}, this program reads {FORMAT}; use the likebut that made it, or convert it"
    )]
    Format {
        /// The version found.
        found: u32,
    },
    /// The weights are not those the manifest names.
    #[error(
        "the weights have digest {found}, the manifest says {expected}: one of the two files is not the other's; copy the model again"
    )]
    Digest {
        /// In the manifest.
        expected: String,
        /// Of the file.
        found: String,
    },
    /// The weights do not fit the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The vocabulary cannot be used.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// The model holds no head for this method.
    #[error("the model {model} holds no head for the method {method}; train one, or choose another method")]
    NoHead {
        /// The model's name.
        model: String,
        /// The method asked for.
        method: &'static str,
    },
}

/// What is written beside the weights.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The layout's version.
    pub format: u32,
    /// The model's name, which spaces carry.
    pub name: String,
    /// In a sentence: what it is good for, and what not.
    pub about: String,
    /// Whether it has only ever seen drawn scenes.
    pub drawn_only: bool,
    /// Sizes of the backbone.
    pub backbone: blip2::Config,
    /// What it wants to see.
    pub view: View,
    /// Which frames of a clip.
    pub sampling: Sampling,
    /// Settings of IMAGINE's head, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imagine: Option<imagine::Config>,
    /// Digest of `model.safetensors`.
    pub weights: Digest,
    /// How it was made: recipe, seed, data, steps, machine, numbers.
    #[serde(default)]
    pub made: serde_json::Value,
}

/// One item as the view saw it: its sampled frames, each at the view's size.
#[derive(Clone, Debug)]
pub struct Seen {
    /// In time's order; at least one.
    pub frames: Vec<Frame>,
}

/// A model, ready to run.
#[derive(Debug)]
pub struct Model {
    /// What it is.
    pub manifest: Manifest,
    /// The network.
    pub backbone: Blip2,
    /// IMAGINE's head.
    pub imagine: Option<Imagine>,
    /// Text to ids.
    pub words: WordPieces,
    /// Where it runs.
    pub device: Device,
    vocab: String,
}

impl Model {
    /// A new model with random weights.
    pub fn new(
        name: &str,
        about: &str,
        config: blip2::Config,
        imagine: Option<imagine::Config>,
        vocab: String,
        device: &Device,
    ) -> Result<Self, ModelError> {
        config.check().map_err(ModelError::Manifest)?;
        let words = WordPieces::from_vocab(&vocab, config.positions.min(64))?;
        let manifest = Manifest {
            format: FORMAT,
            name: name.into(),
            about: about.into(),
            drawn_only: true,
            view: View::squash(config.image as u32),
            sampling: Sampling::Uniform(config.frame_positions.max(1)),
            imagine: imagine.clone(),
            weights: Digest::of(b""),
            made: serde_json::Value::Null,
            backbone: config.clone(),
        };
        let head = imagine.map(|c| Imagine::new(&c, config.embed, device));
        Ok(Self {
            manifest,
            backbone: Blip2::new(&config, device),
            imagine: head,
            words,
            device: device.clone(),
            vocab,
        })
    }

    /// From a folder.
    pub fn open(dir: &Path, device: &Device) -> Result<Self, ModelError> {
        let read = |name: &str| {
            let path = dir.join(name);
            let fail = |why: String| ModelError::Read { path: path.clone(), why };
            let size = std::fs::metadata(&path).map_err(|e| fail(e.to_string()))?.len();
            if size > MAX_BYTES {
                return Err(fail(format!("it has {size} bytes, at most {MAX_BYTES} are read")));
            }
            std::fs::read(&path).map_err(|e| fail(e.to_string()))
        };
        Self::from_parts(&read("manifest.json")?, &read("model.safetensors")?, &read("vocab.txt")?, device)
    }

    /// From the contents of the three files.
    pub fn from_parts(manifest: &[u8], weights: &[u8], vocab: &[u8], device: &Device) -> Result<Self, ModelError> {
        let bad = |e: serde_json::Error| ModelError::Manifest(e.to_string());
        let value: serde_json::Value = serde_json::from_slice(manifest).map_err(bad)?;
        match value["format"].as_u64() {
            Some(f) if f == u64::from(FORMAT) => {}
            Some(f) => return Err(ModelError::Format { found: f as u32 }),
            None => return Err(ModelError::Manifest("it has no format number".into())),
        }
        let manifest: Manifest = serde_json::from_value(value).map_err(bad)?;
        let found = Digest::of(weights);
        if found != manifest.weights {
            return Err(ModelError::Digest { expected: manifest.weights.short(), found: found.short() });
        }
        manifest.backbone.check().map_err(ModelError::Manifest)?;
        manifest.view.check().map_err(ModelError::Manifest)?;
        let vocab =
            String::from_utf8(vocab.to_vec()).map_err(|_| ModelError::Manifest("vocab.txt is not UTF-8".into()))?;
        let words = WordPieces::from_vocab(&vocab, manifest.backbone.positions.min(64))?;
        if words.pieces() > manifest.backbone.vocab {
            return Err(ModelError::Manifest(format!(
                "vocab.txt has {} pieces, the network knows {}",
                words.pieces(),
                manifest.backbone.vocab
            )));
        }
        if manifest.view.size as usize != manifest.backbone.image {
            return Err(ModelError::Manifest(format!(
                "the view makes pictures of {} pixels, the network reads {}",
                manifest.view.size, manifest.backbone.image
            )));
        }
        let all = Tensors::from_bytes(weights)?;
        let backbone = all.under("backbone").fill(Blip2::new(&manifest.backbone, device), device)?;
        let imagine = match &manifest.imagine {
            Some(c) => {
                c.check().map_err(ModelError::Manifest)?;
                Some(all.under("imagine").fill(Imagine::new(c, manifest.backbone.embed, device), device)?)
            }
            None => None,
        };
        Ok(Self { manifest, backbone, imagine, words, device: device.clone(), vocab })
    }

    /// Writes the folder; the weights as f16, or as f32 for going on exactly.
    pub fn save(&self, dir: &Path, half: bool) -> Result<Manifest, ModelError> {
        let mut all = Tensors::default();
        all.add("backbone", Tensors::of(&self.backbone));
        if let Some(head) = &self.imagine {
            all.add("imagine", Tensors::of(head));
        }
        let bytes = all.to_bytes(half)?;
        let manifest = Manifest { weights: Digest::of(&bytes), ..self.manifest.clone() };
        let json = serde_json::to_string_pretty(&manifest).map_err(|e| ModelError::Manifest(e.to_string()))? + "\n";
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |e: std::io::Error| ModelError::Write { path, why: e.to_string() }
        };
        std::fs::create_dir_all(dir).map_err(fail(dir))?;
        for (name, data) in
            [("vocab.txt", self.vocab.as_bytes()), ("model.safetensors", &bytes), ("manifest.json", json.as_bytes())]
        {
            let (path, tmp) = (dir.join(name), dir.join(format!("{name}.tmp")));
            std::fs::write(&tmp, data).map_err(fail(&tmp))?;
            std::fs::rename(&tmp, &path).map_err(fail(&path))?;
        }
        Ok(manifest)
    }

    /// The space of its item vectors, under a given sampling.
    pub fn space(&self) -> Space {
        Space {
            model: self.manifest.name.clone(),
            weights: self.manifest.weights,
            view: self.manifest.view.to_string(),
            sampling: self.manifest.sampling.to_string(),
            rows: 1,
            dim: self.manifest.backbone.embed,
        }
    }

    /// What the backbone sees of some items.
    pub fn sight(&self, seen: &[&Seen]) -> Sight {
        sight(&self.backbone, &self.manifest.view, seen, &self.device)
    }

    /// The gallery side: one unit vector per item.
    pub fn embed(&self, seen: &[&Seen]) -> Vec<Embedding> {
        if seen.is_empty() {
            return Vec::new();
        }
        let sight = self.sight(seen);
        rows(layers::normalise(blip2::pool(self.backbone.image_tokens(&sight))))
    }
}

/// Frames, through the vision transformer, item by item; training calls this with the network that
/// it is changing, everyone else calls [`Model::sight`].
///
/// What is named twice (many questions about one reference) is run once.
pub fn sight(net: &Blip2, view: &View, seen: &[&Seen], device: &Device) -> Sight {
    let mut flat: Vec<&Frame> = Vec::new();
    let mut places: HashMap<*const Seen, Range<usize>> = HashMap::new();
    let of = seen
        .iter()
        .map(|s| {
            let place = places.entry(std::ptr::from_ref(*s)).or_insert_with(|| {
                let first = flat.len();
                flat.extend(&s.frames);
                first..flat.len()
            });
            place.clone().collect()
        })
        .collect();
    net.sight(net.see(view.tensor(&flat, device)), &Frames { of })
}

/// The rows of a matrix (B, E), each an embedding.
pub fn rows(t: burn::tensor::Tensor<2>) -> Vec<Embedding> {
    let dim = t.dims()[1];
    floats(t).chunks_exact(dim).map(|r| Embedding::single(r.to_vec())).collect()
}
