//! A model on disk: a backbone, its view, its words, and the heads that methods trained on it.
//!
//! A model is a folder of three files: `manifest.json` (what it is, what it wants to see, how it was
//! made), `model.safetensors` (f16 at rest), and what its words are read with: `vocab.txt` for
//! BLIP-2, `merges.txt` for CLIP, `tokenizer.json` for SigLIP ([`Reading::file`]).
//! The embedded default is such a folder, built into the binary.

use crate::imagine::{self, Imagine};
use burn::module::Module;
use burn::tensor::Tensor;
use domain::{Digest, Embedding, Sampling, Space};
use media::Frame;
use nets::blip2::{self, Blip2, QFormer, Sight};
use nets::layers::{Linear, Numbers};
use nets::published::Published;
use nets::view::View;
use nets::weights::{Checkpoint, Loaded, Names, Tensors, WeightsError, fill, floats};
use nets::words::{Reading, Tokenizer, WordsError};
use nets::{Backbone, Config, Device, FamilyError, Frames, layers};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The version of the folder's layout that this program reads and writes.
pub const FORMAT: u32 = 1;
/// Weights larger than this are no model that this program knows; refused before they are read.
const MAX_BYTES: u64 = 16 << 30;
/// The same for what stands beside them: a manifest, a list of words.
const MAX_BESIDE_BYTES: u64 = 64 << 20;

/// Frames of a clip that a published model sees; their features are averaged.
const PUBLISHED_FRAMES: usize = 8;

/// Most frames that go through a network at one time, where nobody says otherwise.
const BATCH: usize = 64;

/// A model that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of the folder cannot be read.
    #[error(
        "cannot read {path}: {why}; a model is a folder with manifest.json, model.safetensors and the file of its words"
    )]
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
    /// The weights are not there any more as they were.
    #[error("a model that was frozen to run in {0:?} can neither be saved nor trained; open it again without that")]
    Frozen(Numbers),
    /// The model is of another family than the method needs.
    #[error("the method {method} cannot run on the model {model}: {source}")]
    Family {
        /// The method asked for.
        method: &'static str,
        /// The model's name.
        model: String,
        /// Which family is needed, and which it is.
        source: FamilyError,
    },
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
    /// Family and sizes of the backbone.
    pub backbone: Config,
    /// How its words are read; the family's own way where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Reading>,
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

/// The gallery's side of a model whose query side was trained towards targets that stayed as they
/// were (CoVR-2): the Q-Former and the projection from before.
#[derive(Module, Debug)]
pub struct Gallery {
    /// Looks at items.
    pub qformer: QFormer,
    /// Into the space.
    pub vision_proj: Linear,
}

impl Gallery {
    /// As the backbone is now.
    pub fn of(net: &Blip2) -> Self {
        Self { qformer: net.qformer.clone(), vision_proj: net.vision_proj.clone() }
    }

    /// What each item shows: unit vectors of its queries (B, Q, E).
    pub fn image_tokens(&self, sight: &Sight) -> Tensor<3> {
        layers::normalise(self.vision_proj.forward(self.qformer.look(sight)))
    }
}

/// A model, ready to run.
#[derive(Debug)]
pub struct Model {
    /// What it is.
    pub manifest: Manifest,
    /// The network.
    pub backbone: Backbone,
    /// IMAGINE's head.
    pub imagine: Option<Imagine>,
    /// What makes the gallery's vectors, where that is not the backbone itself.
    pub gallery: Option<Gallery>,
    /// Text to ids.
    pub words: Tokenizer,
    /// Where it runs.
    pub device: Device,
    /// The file that `words` was made from.
    pieces: Vec<u8>,
    /// As which numbers the weights were packed, where they were.
    frozen: Option<Numbers>,
    /// Most frames that go through the network at one time.
    batch: usize,
}

impl Manifest {
    /// Of a folder; the weights are not looked at.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        parsed(&read(&dir.join("manifest.json"))?)
    }

    /// From its bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        parsed(bytes)
    }

    /// How its words are read.
    pub fn reading(&self) -> Reading {
        self.words.clone().unwrap_or_else(|| self.backbone.reading())
    }

    /// Whether its parts fit together; the message says which do not.
    fn check(&self) -> Result<(), ModelError> {
        self.backbone.check().map_err(ModelError::Manifest)?;
        self.view.check().map_err(ModelError::Manifest)?;
        if self.view.size as usize != self.backbone.image() {
            return Err(ModelError::Manifest(format!(
                "the view makes pictures of {} pixels, the network reads {}",
                self.view.size,
                self.backbone.image()
            )));
        }
        let (longest, positions) = (self.reading().longest(), self.backbone.positions());
        if longest > positions {
            return Err(ModelError::Manifest(format!(
                "texts may have {longest} tokens, the network has places for {positions}"
            )));
        }
        Ok(())
    }

    /// The tokenizer from its file.
    fn tokenizer(&self, file: &[u8]) -> Result<Tokenizer, ModelError> {
        let reading = self.reading();
        let words = Tokenizer::new(&reading, file)?;
        if words.pieces() > self.backbone.vocab() {
            return Err(ModelError::Manifest(format!(
                "{} has {} pieces, the network knows {}",
                reading.file(),
                words.pieces(),
                self.backbone.vocab()
            )));
        }
        Ok(words)
    }
}

impl Model {
    /// A new model with random weights; `pieces` is the file that its words are read with.
    pub fn new(
        name: &str,
        about: &str,
        config: impl Into<Config>,
        imagine: Option<imagine::Config>,
        pieces: impl Into<Vec<u8>>,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let (config, pieces) = (config.into(), pieces.into());
        let manifest = Manifest {
            format: FORMAT,
            name: name.into(),
            about: about.into(),
            drawn_only: true,
            view: View::squash(config.image() as u32),
            sampling: Sampling::Uniform(config.frames()),
            imagine: imagine.clone(),
            weights: Digest::of(b""),
            made: serde_json::Value::Null,
            words: None,
            backbone: config,
        };
        manifest.check()?;
        let words = manifest.tokenizer(&pieces)?;
        let head = imagine.map(|c| Imagine::new(&c, manifest.backbone.embed(), device));
        let backbone = Backbone::new(&manifest.backbone, device);
        Ok(Self {
            manifest,
            backbone,
            imagine: head,
            gallery: None,
            words,
            device: device.clone(),
            pieces,
            frozen: None,
            batch: BATCH,
        })
    }

    /// The same network, view and words under another name and without a head: where further training begins.
    pub fn headless(&self, name: &str, about: &str) -> Result<Self, ModelError> {
        if let Some(numbers) = self.frozen {
            return Err(ModelError::Frozen(numbers));
        }
        let manifest = Manifest {
            name: name.into(),
            about: about.into(),
            imagine: None,
            made: serde_json::Value::Null,
            ..self.manifest.clone()
        };
        let words = manifest.tokenizer(&self.pieces)?;
        Ok(Self {
            manifest,
            backbone: self.backbone.clone(),
            imagine: None,
            gallery: None,
            words,
            device: self.device.clone(),
            pieces: self.pieces.clone(),
            frozen: None,
            batch: BATCH,
        })
    }

    /// The file that its words are read with.
    pub fn pieces(&self) -> &[u8] {
        &self.pieces
    }

    /// A published model as it lies in somebody's folder: what its files say ([`Published::read`]), its
    /// weights, and their digest, which spaces carry. Also what became of each of its tensors.
    pub fn published(
        name: &str,
        about: &str,
        published: Published,
        weights: &Checkpoint,
        digest: Digest,
        device: &Device,
    ) -> Result<(Self, Loaded), ModelError> {
        let Published { config, reading, pieces, view } = published;
        let manifest = Manifest {
            format: FORMAT,
            name: name.into(),
            about: about.into(),
            drawn_only: false,
            view,
            sampling: Sampling::Uniform(PUBLISHED_FRAMES),
            imagine: None,
            weights: digest,
            made: serde_json::Value::Null,
            words: Some(reading),
            backbone: config,
        };
        manifest.check()?;
        let words = manifest.tokenizer(&pieces)?;
        let (backbone, report) = Backbone::read(&manifest.backbone, weights, device)?;
        Ok((
            Self {
                manifest,
                backbone,
                imagine: None,
                gallery: None,
                words,
                device: device.clone(),
                pieces,
                frozen: None,
                batch: BATCH,
            },
            report,
        ))
    }

    /// From a folder. The weights stay on disk, and are read from there one tensor at a time.
    pub fn open(dir: &Path, device: &Device) -> Result<Self, ModelError> {
        let manifest = Manifest::open(dir)?;
        let path = dir.join("model.safetensors");
        let fail = |e: std::io::Error| ModelError::Read { path: path.clone(), why: e.to_string() };
        plausible(&path)?;
        let found = Digest::of_reader(&mut std::fs::File::open(&path).map_err(fail)?).map_err(fail)?;
        let pieces = read(&dir.join(manifest.reading().file()))?;
        Self::of(manifest, found, &Checkpoint::open(&path)?, pieces, device)
    }

    /// From the contents of the three files; `pieces` is the one that [`Reading::file`] names.
    pub fn from_parts(manifest: &[u8], weights: &[u8], pieces: &[u8], device: &Device) -> Result<Self, ModelError> {
        let found = Digest::of(weights);
        Self::of(parsed(manifest)?, found, &Checkpoint::from_bytes(weights.to_vec())?, pieces.to_vec(), device)
    }

    /// Weights whose digest was `found`.
    fn of(
        manifest: Manifest,
        found: Digest,
        weights: &Checkpoint,
        pieces: Vec<u8>,
        device: &Device,
    ) -> Result<Self, ModelError> {
        if found != manifest.weights {
            return Err(ModelError::Digest { expected: manifest.weights.short(), found: found.short() });
        }
        manifest.check()?;
        let words = manifest.tokenizer(&pieces)?;
        let backbone =
            Backbone::new(&manifest.backbone, device).filled_from(weights, &Names::under("backbone"), device)?;
        let imagine = match &manifest.imagine {
            Some(c) => {
                c.check().map_err(ModelError::Manifest)?;
                let head = Imagine::new(c, manifest.backbone.embed(), device);
                Some(fill(head, weights, &Names::under("imagine"), device)?.0)
            }
            None => None,
        };
        let gallery = match weights.tensors().any(|(name, _)| name.starts_with("gallery.")) {
            false => None,
            true => {
                let family = |source| ModelError::Family { method: "covr2", model: manifest.name.clone(), source };
                let gallery = Gallery::of(backbone.blip2().map_err(family)?);
                Some(fill(gallery, weights, &Names::under("gallery"), device)?.0)
            }
        };
        let device = device.clone();
        Ok(Self { manifest, backbone, imagine, gallery, words, device, pieces, frozen: None, batch: BATCH })
    }

    /// Packs the weights of the backbone, which never change again, as numbers of this kind. Its space
    /// stays the same: the vectors are as near as [`Numbers`] says.
    pub fn pack(&mut self, numbers: Numbers) {
        self.backbone.pack(numbers);
        if let Some(gallery) = &mut self.gallery {
            gallery.qformer.pack(numbers);
        }
        self.frozen = Some(numbers);
    }

    /// Lets no more than so many frames through the vision tower at one time. A clip may have thousands, and each
    /// is seen by itself: what comes out is the same to the bit, and what is needed on the way is bounded.
    pub fn set_batch(&mut self, frames: usize) {
        self.batch = frames.max(1);
    }

    /// Writes the folder; the weights as f16, or as f32 for going on exactly.
    pub fn save(&self, dir: &Path, half: bool) -> Result<Manifest, ModelError> {
        let mut all = Tensors::default();
        if let Some(numbers) = self.frozen {
            return Err(ModelError::Frozen(numbers));
        }
        all.add("backbone", self.backbone.tensors());
        if let Some(head) = &self.imagine {
            all.add("imagine", Tensors::of(head));
        }
        if let Some(gallery) = &self.gallery {
            all.add("gallery", Tensors::of(gallery));
        }
        let bytes = all.to_bytes(half)?;
        let manifest = Manifest { weights: Digest::of(&bytes), ..self.manifest.clone() };
        let json = serde_json::to_string_pretty(&manifest).map_err(|e| ModelError::Manifest(e.to_string()))? + "\n";
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |e: std::io::Error| ModelError::Write { path, why: e.to_string() }
        };
        std::fs::create_dir_all(dir).map_err(fail(dir))?;
        let pieces = self.words.reading().file();
        for (name, data) in
            [(pieces, self.pieces.as_slice()), ("model.safetensors", &bytes), ("manifest.json", json.as_bytes())]
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
            dim: self.manifest.backbone.embed(),
        }
    }

    /// What a BLIP-2 sees of some items; another family is an error.
    pub fn sight(&self, seen: &[&Seen]) -> Result<Sight, FamilyError> {
        let net = self.backbone.blip2()?;
        let (pixels, frames) = self.pixels(seen);
        Ok(net.sight(nets::joined(pixels.map(|some| net.see(some))), &frames))
    }

    /// What items show, as unit vectors and as the network makes them, each (B, E), for one look.
    pub fn looked(&self, seen: &[&Seen]) -> (Tensor<2>, Tensor<2>) {
        let (pixels, frames) = self.pixels(seen);
        self.backbone.looked(nets::joined(pixels.map(|some| self.backbone.see(some))), &frames)
    }

    /// The gallery side: one unit vector per item.
    pub fn embed(&self, seen: &[&Seen]) -> Vec<Embedding> {
        if seen.is_empty() {
            return Vec::new();
        }
        nets::together(|| {
            if let (Some(gallery), Ok(sight)) = (&self.gallery, self.sight(seen)) {
                return rows(layers::normalise(blip2::pool(gallery.image_tokens(&sight))));
            }
            let (mut pixels, frames) = self.pixels(seen);
            rows(self.backbone.pictures(&mut pixels, &frames))
        })
    }

    /// All frames of some items, as many at one time as may go through the network.
    pub(crate) fn pixels<'a>(&'a self, seen: &[&'a Seen]) -> (impl Iterator<Item = Tensor<4>> + use<'a>, Frames) {
        pixels(&self.manifest.view, seen, self.batch, &self.device)
    }

    /// The other side: one unit vector per text.
    pub fn say(&self, texts: &[&str]) -> Vec<Embedding> {
        if texts.is_empty() {
            return Vec::new();
        }
        nets::together(|| rows(self.backbone.text(&self.words.batch(texts, &self.device))))
    }

    /// Reference and text, their features added as the network makes them, then scaled to length
    /// one: what BGE-VL was trained for.
    pub fn added(&self, seen: &[&Seen], texts: &[&str]) -> Vec<Embedding> {
        if seen.is_empty() || seen.len() != texts.len() {
            return Vec::new();
        }
        nets::together(|| {
            let (mut pixels, frames) = self.pixels(seen);
            let words = self.words.batch(texts, &self.device);
            let sum = self.backbone.picture_features(&mut pixels, &frames) + self.backbone.text_features(&words);
            rows(layers::normalise(sum))
        })
    }
}

/// Frames, through the vision transformer, item by item; training calls this with the network that
/// it is changing, which remembers all of them anyway, everyone else calls [`Model::sight`].
pub fn sight(net: &Blip2, view: &View, seen: &[&Seen], device: &Device) -> Sight {
    let (pixels, frames) = pixels(view, seen, usize::MAX, device);
    net.sight(nets::joined(pixels.map(|all| net.see(all))), &frames)
}

/// All frames of some items as pixels (N, 3, S, S), no more than `most` at one time and each time about as
/// many, and which are whose.
///
/// What is named twice (many questions about one reference) is there once.
fn pixels<'a>(
    view: &'a View,
    seen: &[&'a Seen],
    most: usize,
    device: &'a Device,
) -> (impl Iterator<Item = Tensor<4>> + use<'a>, Frames) {
    let mut flat: Vec<&'a Frame> = Vec::new();
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
    let times = flat.len().div_ceil(most).max(1);
    let pieces = (0..times).map(move |i| {
        let edge = |i: usize| flat.len() * i / times;
        view.tensor(&flat[edge(i)..edge(i + 1)], device)
    });
    (pieces, Frames { of })
}

/// Refuses what cannot be a model's weights: what is too large, and what is no file and so may never end.
fn plausible(path: &Path) -> Result<(), ModelError> {
    let fail = |why: String| ModelError::Read { path: path.to_owned(), why };
    let meta = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?;
    match meta.len() {
        _ if !meta.is_file() => Err(fail("it is not a file".into())),
        size if size > MAX_BYTES => Err(fail(format!("it has {size} bytes, at most {MAX_BYTES} are read"))),
        _ => Ok(()),
    }
}

/// A file beside the weights, whole.
fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    media::whole(path, MAX_BESIDE_BYTES).map_err(|e| ModelError::Read { path: path.to_owned(), why: e.to_string() })
}

/// A manifest from its bytes; the layout's version is looked at before anything else.
fn parsed(manifest: &[u8]) -> Result<Manifest, ModelError> {
    let bad = |e: serde_json::Error| ModelError::Manifest(e.to_string());
    let value: serde_json::Value = serde_json::from_slice(manifest).map_err(bad)?;
    match value["format"].as_u64() {
        Some(f) if f == u64::from(FORMAT) => {}
        Some(f) => return Err(ModelError::Format { found: f as u32 }),
        None => return Err(ModelError::Manifest("it has no format number".into())),
    }
    serde_json::from_value(value).map_err(bad)
}

/// The rows of a matrix (B, E), each an embedding.
pub fn rows(t: Tensor<2>) -> Vec<Embedding> {
    let dim = t.dims()[1];
    floats(t).chunks_exact(dim).map(|r| Embedding::single(r.to_vec())).collect()
}
