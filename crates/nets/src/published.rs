//! A published model as it lies in somebody's folder: what its files say about its sizes, its view
//! and its words.
//!
//! | file | whose | says |
//! |---|---|---|
//! | `config.json` | Hugging Face | family and sizes |
//! | `open_clip_config.json` | OpenCLIP | sizes and view; read where the other is missing |
//! | `preprocessor_config.json`, or `image_processor` in `processor_config.json` | Hugging Face | the view |
//! | `merges.txt`, `tokenizer.json`, `bpe_simple_vocab_16e6.txt.gz` | either | CLIP's words, the first that is there |
//! | `vocab.txt` | Hugging Face | BLIP-2's words |
//! | `tokenizer.json` | Hugging Face | SigLIP 2's words |
//!
//! A file that lies alone (LAVIS' `.pth`, CoVR-2's `.ckpt`, OpenAI's `.pt`) says its sizes by the shapes
//! of its tensors; its view is the one that its makers' code has.
//!
//! What a file says that would change the numbers and is not known here is refused by name: a model
//! that is nearly right is worse than none.

use crate::backbone::{Config, Family};
use crate::view::{CLIP_MEAN, CLIP_STD, Filter, Fit, View};
use crate::words::{Cleaning, Reading, WordsError, merges_from_bytes, merges_from_tokenizer_json};
use crate::{blip2, clip, siglip, weights};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a folder says about itself, weights aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Family and sizes.
    pub config: Config,
    /// How its words are read.
    pub reading: Reading,
    /// The file that [`Reading::file`] names, as a folder of ours keeps it.
    pub pieces: Vec<u8>,
    /// What it wants to see.
    pub view: View,
}

/// A folder that is no published model that is known here.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// A file is missing or cannot be read.
    #[error("cannot read {path}: {why}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file says what is not known here.
    #[error("{path} does not describe a model that likebut runs: {why}")]
    Config {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Its words cannot be read.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// Its weights are of another family.
    #[error(transparent)]
    Weights(#[from] weights::WeightsError),
}

/// Larger settings are none.
const MAX_SETTINGS_BYTES: u64 = 16 << 20;
/// The largest vocabulary, Gemma's, has 34 MB.
const MAX_PIECES_BYTES: u64 = 128 << 20;

/// Where a model's words may be.
#[derive(Clone, Copy, Debug)]
struct Places<'a> {
    /// Beside the weights.
    beside: &'a Path,
    /// Elsewhere on this disk.
    elsewhere: &'a [PathBuf],
}

impl Published {
    /// From a folder, or from a file that says what it is by itself; `weights` are those in it.
    /// BERT's vocabulary, which is one for all BLIP-2s, is also looked for `elsewhere`.
    pub fn read(place: &Path, weights: &weights::Checkpoint, elsewhere: &[PathBuf]) -> Result<Self, PublishedError> {
        let beside = match place.is_dir() {
            true => place,
            false => place.parent().unwrap_or(Path::new("")),
        };
        let places = Places { beside, elsewhere };
        let family = Family::of(weights);
        // LAVIS writes no settings: what lies beside its files is somebody else's.
        let lavis = family == Some(Family::Blip2) && weights.tensors().any(|(n, _)| n.starts_with("Qformer."));
        let (newer, older) = (beside.join("config.json"), beside.join("open_clip_config.json"));
        match family {
            _ if newer.is_file() && !lavis => hugging_face(places, weights, &newer),
            _ if older.is_file() && !lavis => open_clip(beside, &older),
            Some(Family::Blip2) => blip2_alone(places, weights),
            Some(Family::Clip) if weights.entry("input_resolution").is_some() => openai_alone(beside, weights),
            // Sizes could be read off the shapes, but not which activation is between them.
            _ => Err(PublishedError::Read {
                path: beside.join("config.json"),
                why: "neither it nor open_clip_config.json lies beside the weights, and their tensors alone do not \
                      say what is to be done with them; copy the whole folder that they were published in"
                    .into(),
            }),
        }
    }
}

/// A BLIP-2 without settings: LAVIS', and what was trained with its code.
fn blip2_alone(places: Places, weights: &weights::Checkpoint) -> Result<Published, PublishedError> {
    let config = blip2::import::config_of(weights)?;
    let (path, pieces) = bert_pieces(places)?;
    let lines = String::from_utf8_lossy(&pieces).lines().count();
    // [DEC] is added by code, not by the file.
    if !(config.vocab.saturating_sub(1)..=config.vocab).contains(&lines) {
        let (needed, most) = (config.vocab.saturating_sub(1), config.vocab);
        let why = format!("it has {lines} pieces, these weights were trained with {needed} or {most}: {BERT}");
        return Err(PublishedError::Read { path, why });
    }
    let view = View::squash(config.image as u32);
    let config = Config::from(config);
    Ok(Published { reading: config.reading(), config, pieces, view })
}

/// OpenAI's own archive of a CLIP.
fn openai_alone(dir: &Path, weights: &weights::Checkpoint) -> Result<Published, PublishedError> {
    let names: Vec<&str> = weights.tensors().map(|(name, _)| name).collect();
    let config = clip::import::config_from_shapes(&clip::import::Found::of(&names)?, weights)?;
    let reading = Reading::Clip { longest: config.context, cleaning: Cleaning::OpenClip };
    let view = View::centre_crop(config.image as u32);
    Ok(Published { config: config.into(), reading, pieces: clip_pieces(dir)?, view })
}

/// What is to be done where BLIP-2's words are missing.
const BERT: &str = "BLIP-2 reads words with BERT's vocabulary, vocab.txt of google-bert/bert-base-uncased (30,522 \
                    pieces, 232 kB); put that file beside the weights";

fn bert_pieces(places: Places) -> Result<(PathBuf, Vec<u8>), PublishedError> {
    let folders = [places.beside].into_iter().chain(places.elsewhere.iter().map(PathBuf::as_path));
    match folders.map(|dir| dir.join("vocab.txt")).find(|path| path.is_file()) {
        Some(path) => file(&path, MAX_PIECES_BYTES).map(|pieces| (path, pieces)),
        None => Err(PublishedError::Read {
            path: places.beside.join("vocab.txt"),
            why: format!("it is not there, nor in the shared cache of the hub; {BERT}"),
        }),
    }
}

/// Settings as OpenCLIP writes them.
fn open_clip(dir: &Path, path: &Path) -> Result<Published, PublishedError> {
    let json = settings(path)?;
    let wrong = |why: String| PublishedError::Config { path: path.to_owned(), why };
    let config = clip::import::config_from_open_clip(&json).map_err(wrong)?;
    let view = open_clip_view(&json["preprocess_cfg"], config.image).map_err(wrong)?;
    let reading = Reading::Clip { longest: config.context, cleaning: Cleaning::OpenClip };
    Ok(Published { config: config.into(), reading, pieces: clip_pieces(dir)?, view })
}

/// Settings as transformers writes them.
fn hugging_face(places: Places, weights: &weights::Checkpoint, path: &Path) -> Result<Published, PublishedError> {
    let dir = places.beside;
    let json = settings(path)?;
    let wrong = |why: String| PublishedError::Config { path: path.to_owned(), why };
    let (config, reading, pieces): (Config, _, _) = match json["model_type"].as_str().unwrap_or_default() {
        "clip" => {
            let config = clip::import::config_from_hugging_face(&json).map_err(wrong)?;
            let reading = Reading::Clip { longest: config.context, cleaning: Cleaning::Transformers };
            (config.into(), reading, clip_pieces(dir)?)
        }
        "siglip" => {
            let config = siglip::import::config_from_hugging_face(&json).map_err(wrong)?;
            // The first SigLIP's words lose their punctuation before they are cut, which we do not do.
            if config.vocab < 100_000 {
                return Err(wrong("it is a SigLIP of the first kind; likebut reads the words of SigLIP 2".into()));
            }
            let reading = Reading::Json { longest: config.context, pad: 0, lowercase: true };
            let pieces = file(&dir.join("tokenizer.json"), MAX_PIECES_BYTES)?;
            (config.into(), reading, pieces)
        }
        "blip-2" => {
            // Its settings say less than its tensors do.
            let config = Config::from(blip2::import::config_of(weights)?);
            (config.clone(), config.reading(), bert_pieces(places)?.1)
        }
        other => return Err(wrong(format!("its model_type is {other:?}; known are clip, siglip and blip-2"))),
    };
    let (path, processor) = processor(dir)?;
    let view = hugging_face_view(&processor, config.image());
    let view = view.map_err(|why| PublishedError::Config { path, why })?;
    Ok(Published { config, reading, pieces, view })
}

/// CLIP's merges, from the first file that has them.
fn clip_pieces(dir: &Path) -> Result<Vec<u8>, PublishedError> {
    for name in ["merges.txt", "bpe_simple_vocab_16e6.txt", "bpe_simple_vocab_16e6.txt.gz"] {
        let path = dir.join(name);
        if path.is_file() {
            return Ok(merges_from_bytes(&file(&path, MAX_PIECES_BYTES)?)?.into_bytes());
        }
    }
    let path = dir.join("tokenizer.json");
    if path.is_file() {
        return Ok(merges_from_tokenizer_json(&file(&path, MAX_PIECES_BYTES)?)?.into_bytes());
    }
    let why = "CLIP's words need merges.txt or tokenizer.json; OpenCLIP's own list, bpe_simple_vocab_16e6.txt.gz, \
               may be put beside the weights";
    Err(PublishedError::Read { path: dir.to_owned(), why: why.into() })
}

fn processor(dir: &Path) -> Result<(PathBuf, Value), PublishedError> {
    let path = dir.join("preprocessor_config.json");
    let newer = dir.join("processor_config.json");
    if !path.is_file() && newer.is_file() {
        let json = settings(&newer)?;
        return Ok((newer, json["image_processor"].clone()));
    }
    settings(&path).map(|json| (path, json))
}

fn settings(path: &Path) -> Result<Value, PublishedError> {
    let bytes = file(path, MAX_SETTINGS_BYTES)?;
    serde_json::from_slice(&bytes).map_err(|e| PublishedError::Config { path: path.to_owned(), why: e.to_string() })
}

fn file(path: &Path, most: u64) -> Result<Vec<u8>, PublishedError> {
    media::whole(path, most).map_err(|e| PublishedError::Read { path: path.to_owned(), why: e.to_string() })
}

/// The view that one of transformers' image processors describes.
fn hugging_face_view(json: &Value, image: usize) -> Result<View, String> {
    let on = |key: &str, default: bool| json[key].as_bool().unwrap_or(default);
    if !(on("do_resize", true) && on("do_rescale", true) && on("do_normalize", true)) {
        return Err("its pictures are not resized, scaled and normalised".into());
    }
    if let Some(factor) = json["rescale_factor"].as_f64().filter(|f| (f * 255.0 - 1.0).abs() > 1e-6) {
        return Err(format!("its pictures are scaled by {factor}, not by 1/255"));
    }
    let filter = match json["resample"].as_u64() {
        Some(2) => Filter::Bilinear,
        Some(3) | None => Filter::Bicubic,
        Some(other) => return Err(format!("it mixes pixels by Pillow's filter {other}; known are 2 and 3")),
    };
    let side = image as u64;
    let square = |v: &Value| v.as_u64() == Some(side) || v["height"] == side && v["width"] == side;
    let size = &json["size"];
    let fit = if on("do_center_crop", !json["crop_size"].is_null()) {
        if !(size.as_u64() == Some(side) || size["shortest_edge"] == side) || !square(&json["crop_size"]) {
            return Err(format!("it resizes to {size} and crops to {}, the network reads {side}", json["crop_size"]));
        }
        Fit::CentreCrop
    } else {
        if !square(size) {
            return Err(format!("it resizes to {size}, the network reads {side}"));
        }
        Fit::Squash
    };
    let view = View {
        size: image as u32,
        fit,
        filter,
        mean: colours(&json["image_mean"], CLIP_MEAN)?,
        std: colours(&json["image_std"], CLIP_STD)?,
    };
    view.check()?;
    Ok(view)
}

/// The view that OpenCLIP's `preprocess_cfg` describes; what it leaves out is OpenAI's.
fn open_clip_view(json: &Value, image: usize) -> Result<View, String> {
    let filter = match json["interpolation"].as_str().unwrap_or("bicubic") {
        "bicubic" => Filter::Bicubic,
        "bilinear" => Filter::Bilinear,
        other => return Err(format!("its interpolation is {other:?}; known are bicubic and bilinear")),
    };
    let fit = match json["resize_mode"].as_str().unwrap_or("shortest") {
        "shortest" => Fit::CentreCrop,
        "squash" => Fit::Squash,
        other => return Err(format!("its resize_mode is {other:?}; known are shortest and squash")),
    };
    let (mean, std) = (colours(&json["mean"], CLIP_MEAN)?, colours(&json["std"], CLIP_STD)?);
    let view = View { size: image as u32, fit, filter, mean, std };
    view.check()?;
    Ok(view)
}

fn colours(json: &Value, default: [f32; 3]) -> Result<[f32; 3], String> {
    match json.as_array().map(Vec::as_slice) {
        None => Ok(default),
        Some([r, g, b]) => {
            let number = |v: &Value| v.as_f64().map(|v| v as f32).ok_or(format!("{v} is no number"));
            Ok([number(r)?, number(g)?, number(b)?])
        }
        Some(other) => Err(format!("a mean or deviation has three numbers, found {}", other.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_view_is_what_the_processor_says_and_nothing_near_it() {
        let clip = json!({"crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true,
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
            "resample": 3, "size": 224});
        assert_eq!(hugging_face_view(&clip, 224), Ok(View::centre_crop(224)));
        let newer = json!({"crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 224}, "resample": 3});
        assert_eq!(hugging_face_view(&newer, 224), Ok(View::centre_crop(224)));
        let blip = json!({"do_resize": true, "size": {"height": 364, "width": 364}, "resample": 3});
        assert_eq!(hugging_face_view(&blip, 364), Ok(View::squash(364)));
        let siglip = json!({"size": {"height": 256, "width": 256}, "resample": 2, "rescale_factor": 0.00392156862745098,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]});
        let view = hugging_face_view(&siglip, 256).unwrap();
        assert_eq!((view.fit, view.filter, view.mean), (Fit::Squash, Filter::Bilinear, [0.5; 3]));
        for (key, value, says) in [
            ("resample", json!(1), "filter 1"),
            ("size", json!({"shortest_edge": 256}), "crops to"),
            ("do_normalize", json!(false), "normalised"),
            ("rescale_factor", json!(1.0), "1/255"),
            ("image_std", json!([0.0, 1.0, 1.0]), "deviation"),
            ("image_mean", json!([0.5]), "three numbers"),
        ] {
            let mut odd = clip.clone();
            odd[key] = value;
            let error = hugging_face_view(&odd, 224).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(open_clip_view(&Value::Null, 224), Ok(View::centre_crop(224)));
        assert!(open_clip_view(&json!({"resize_mode": "longest"}), 224).unwrap_err().contains("longest"));
    }

    #[test]
    fn a_folder_says_what_it_lacks() {
        let dir = std::env::temp_dir().join(format!("likebut-published-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let weights = weights::Checkpoint::open(&clip::golden::path("open-clip.safetensors")).unwrap();
        let read = || Published::read(&dir, &weights, &[]);
        assert!(read().unwrap_err().to_string().contains("open_clip_config.json"));
        std::fs::copy(clip::golden::path("open-clip.json"), dir.join("open_clip_config.json")).unwrap();
        assert!(read().unwrap_err().to_string().contains("merges.txt"));
        std::fs::write(dir.join("merges.txt"), "#version: 0.2\nt h\nth e</w>\n").unwrap();
        let found = read().unwrap();
        assert_eq!((found.config.image(), found.reading.longest(), &found.view), (28, 12, &View::centre_crop(28)));
        // A Hugging Face configuration beside it is the one that is read.
        std::fs::copy(clip::golden::path("hugging-face.json"), dir.join("config.json")).unwrap();
        assert!(read().unwrap_err().to_string().contains("preprocessor_config.json"));
        let processor = json!({"image_processor": {"crop_size": 28, "size": {"shortest_edge": 28}, "resample": 3}});
        std::fs::write(dir.join("processor_config.json"), processor.to_string()).unwrap();
        assert_eq!(read().unwrap().config.embed(), 10);
        std::fs::write(dir.join("config.json"), r#"{"model_type": "flava"}"#).unwrap();
        assert!(read().unwrap_err().to_string().contains("flava"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_alone_says_what_it_is_by_its_tensors() {
        let dir = std::env::temp_dir().join(format!("likebut-alone-{}", std::process::id()));
        let cache = dir.join("cache");
        std::fs::create_dir_all(&cache).unwrap();
        let golden = |name: &str| clip::golden::path("../checkpoints").join(name);
        let file = dir.join("lavis.pth");
        std::fs::copy(golden("lavis.pth"), &file).unwrap();
        // Another model's settings beside it are another model's.
        std::fs::write(dir.join("config.json"), r#"{"model_type": "clip"}"#).unwrap();
        let weights = weights::Checkpoint::open(&file).unwrap();
        assert_eq!(Family::of(&weights), Some(Family::Blip2));
        let read = || Published::read(&file, &weights, std::slice::from_ref(&cache));
        let says = read().unwrap_err().to_string();
        assert!(says.contains("bert-base-uncased") && says.contains("beside the weights"), "{says}");
        let vocab = |n: usize| (0..n).map(|i| format!("piece{i}\n")).collect::<String>();
        std::fs::write(cache.join("vocab.txt"), vocab(22)).unwrap();
        assert!(read().unwrap_err().to_string().contains("it has 22 pieces, these weights were trained with 23 or 24"));
        std::fs::write(cache.join("vocab.txt"), vocab(23)).unwrap();
        let found = read().unwrap();
        assert_eq!((found.view, found.reading), (View::squash(28), Reading::WordPiece { longest: 16 }));
        assert_eq!(found.config.blip2().unwrap().ln_vision_eps, 1e-5, "LAVIS'");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
