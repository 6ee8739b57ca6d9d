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
//! What a file says that would change the numbers and is not known here is refused by name: a model
//! that is nearly right is worse than none.

use crate::backbone::Config;
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

impl Published {
    /// From a folder; `weights` are those in it, for what its settings leave open.
    pub fn read(dir: &Path, weights: &weights::Checkpoint) -> Result<Self, PublishedError> {
        let config_json = dir.join("config.json");
        if config_json.is_file() {
            return hugging_face(dir, weights, &config_json);
        }
        let path = dir.join("open_clip_config.json");
        let json = settings(&path)?;
        let wrong = |why: String| PublishedError::Config { path: path.clone(), why };
        let config = clip::import::config_from_open_clip(&json).map_err(wrong)?;
        let view = open_clip_view(&json["preprocess_cfg"], config.image).map_err(wrong)?;
        let reading = Reading::Clip { longest: config.context, cleaning: Cleaning::OpenClip };
        Ok(Self { config: config.into(), reading, pieces: clip_pieces(dir)?, view })
    }
}

fn hugging_face(dir: &Path, weights: &weights::Checkpoint, path: &Path) -> Result<Published, PublishedError> {
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
            let pieces = file(&dir.join("vocab.txt"), MAX_PIECES_BYTES)?;
            (config.clone(), config.reading(), pieces)
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
    let fail = |why: String| PublishedError::Read { path: path.to_owned(), why };
    let size = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?.len();
    if size > most {
        return Err(fail(format!("it has {size} bytes, at most {most} are read")));
    }
    std::fs::read(path).map_err(|e| fail(e.to_string()))
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
        let read = || Published::read(&dir, &weights);
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
}
