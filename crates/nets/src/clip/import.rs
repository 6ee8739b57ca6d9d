//! CLIP's weights under the names of others, both ways, and their configurations.
//!
//! | layout | who writes it |
//! |---|---|
//! | [`Layout::OpenClip`] | OpenAI's and OpenCLIP's checkpoints; OpenCLIP's `CustomTextCLIP` says `text.` before its words' tensors |
//! | [`Layout::HuggingFace`] | transformers' `CLIPModel`; BAAI's BGE-VL |
//!
//! Which name is which stands in [`names`](super::names), once.
//! What stands before all names (`module.`, `model.`, `clip.`) is found and left off.

use super::names::{OURS_OPENCLIP, TRANSFORMERS_OPENCLIP};
use super::{Clip, Config, End, Tower};
use crate::layers::Activation;
use crate::weights::{self, Checkpoint, Loaded, Names, Shelf, Source, Way, WeightsError, fill};
use burn::tensor::Device;
use serde_json::{Map, Value};
use std::path::Path;

/// A network of these sizes with the weights of a file, whosever names it has; see [`Found`].
pub fn load(c: &Config, file: &Checkpoint, device: &Device) -> Result<(Clip, Loaded), WeightsError> {
    let names: Vec<&str> = file.tensors().map(|(name, _)| name).collect();
    fill(Clip::new(c, device), file, &Found::of(&names)?.names(), device)
}

/// Whose names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// OpenAI's, which OpenCLIP kept.
    OpenClip,
    /// transformers'.
    HuggingFace,
}

/// Names as one file has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whose they are.
    pub layout: Layout,
    /// What stands before all of them.
    pub prefix: String,
    /// What stands before the names of the words' tensors in OpenCLIP's layout: nothing, or `text.`.
    text: &'static str,
}

impl Found {
    /// Whose names a file has; an error where they are no CLIP's.
    pub fn of(names: &[&str]) -> Result<Self, WeightsError> {
        let before = |end: &str| {
            names
                .iter()
                .find_map(|n| n.strip_suffix(end))
                .filter(|p| p.is_empty() || p.ends_with('.'))
                .map(str::to_owned)
        };
        if let Some(prefix) = before("vision_model.embeddings.class_embedding") {
            return Ok(Self { layout: Layout::HuggingFace, prefix, text: "" });
        }
        if let Some(prefix) = before("visual.class_embedding") {
            let custom = names.contains(&format!("{prefix}text.positional_embedding").as_str());
            return Ok(Self { layout: Layout::OpenClip, prefix, text: if custom { "text." } else { "" } });
        }
        Err(WeightsError::Refused(
            "these weights are no CLIP with a vision transformer: neither visual.class_embedding (OpenAI, OpenCLIP) \
             nor vision_model.embeddings.class_embedding (Hugging Face) is among them"
                .into(),
        ))
    }

    /// How this file's tensors become ours.
    pub fn names(&self) -> Names<'_> {
        Names::new(|path| self.source(path)).passing(|name| {
            let name = self.bare(name)?;
            match self.layout {
                Layout::OpenClip => TRANSFORMERS_OPENCLIP.why_right_only(name),
                Layout::HuggingFace => TRANSFORMERS_OPENCLIP.why_left_only(name),
            }
        })
    }

    /// Where one of our parameters, named by its path, comes from.
    pub fn source(&self, path: &str) -> Option<Source> {
        let source = OURS_OPENCLIP.left_from_right(path)?.through(&|name| match self.layout {
            Layout::OpenClip => Some(Source::of(name)),
            Layout::HuggingFace => TRANSFORMERS_OPENCLIP.right_from_left(name),
        });
        let source = source?.through(&|name| Some(Source::of(self.full(name))))?;
        // Some write this number as a list of one.
        Some(if path == "logit_scale" { source.reshaped() } else { source })
    }

    /// A name of the layout as this file has it.
    fn full(&self, name: &str) -> String {
        let text = if name.starts_with("visual.") || name == "logit_scale" { "" } else { self.text };
        format!("{}{text}{name}", self.prefix)
    }

    /// The other way: a name of this file as the layout has it.
    fn bare<'a>(&self, name: &'a str) -> Option<&'a str> {
        let name = name.strip_prefix(&self.prefix)?;
        Some(name.strip_prefix(self.text).unwrap_or(name))
    }
}

/// Writes a file in another layout's names, as safetensors, every bit the same; see
/// [`weights::convert`]. What stands before all names is left off.
pub fn convert(file: Checkpoint, into: Layout, to: &Path) -> Result<Loaded, WeightsError> {
    let names: Vec<&str> = file.tensors().map(|(name, _)| name).collect();
    let found = Found::of(&names)?;
    let way = match (found.layout, into) {
        (Layout::HuggingFace, Layout::OpenClip) => Way::Right(&TRANSFORMERS_OPENCLIP),
        (Layout::OpenClip, Layout::HuggingFace) => Way::Left(&TRANSFORMERS_OPENCLIP),
        _ => Way::Same,
    };
    let file = file.renamed(&|name| found.bare(name).unwrap_or(name).to_owned());
    weights::convert(&file, way, to)
}

/// The sizes that the tensors themselves have, where no configuration lies beside them (OpenAI's own
/// files); heads are 64 wide, as in everything OpenAI published, and the activation is QuickGELU.
pub fn config_from_shapes(found: &Found, shelf: &dyn Shelf) -> Result<Config, WeightsError> {
    let shape = |path: &str| -> Result<Vec<usize>, WeightsError> {
        let source = found.source(path).ok_or_else(|| WeightsError::Absent(path.to_owned()))?;
        let name = source.leaves()[0].to_owned();
        Ok(shelf.raw(&name).unwrap_or_else(|| Err(WeightsError::Absent(name.clone())))?.shape().to_vec())
    };
    let refused = |why: String| WeightsError::Refused(why);
    let axes = |path: &str, n: usize| {
        let s = shape(path)?;
        if s.len() == n { Ok(s) } else { Err(refused(format!("{path} has {} axes, not {n}", s.len()))) }
    };
    let layers = |tower: &str| {
        let first = |i: usize| found.source(&format!("{tower}.transformer.blocks.{i}.norm1.gamma"));
        (0..1024).take_while(|i| first(*i).is_some_and(|s| shelf.raw(s.leaves()[0]).is_some())).count()
    };
    let tower = |name: &str| -> Result<Tower, WeightsError> {
        let fc1 = axes(&format!("{name}.transformer.blocks.0.fc1.weight"), 2)?; // (mlp, D), as PyTorch has it
        Ok(Tower { width: fc1[1], layers: layers(name), heads: (fc1[1] / 64).max(1), mlp: fc1[0] })
    };
    let patch = axes("vision.patch_embed", 4)?[3];
    let grid = (axes("vision.pos_embed", 2)?[0].saturating_sub(1)).isqrt();
    let proj = axes("vision.proj", 2)?;
    let words = axes("text.token_embed", 2)?;
    let config = Config {
        image: grid.saturating_mul(patch),
        patch,
        vision: tower("vision")?,
        text: tower("text")?,
        vocab: words[0],
        context: axes("text.pos_embed", 2)?[0],
        embed: if found.layout == Layout::OpenClip { proj[1] } else { proj[0] },
        activation: Activation::QuickGelu,
        eps: 1e-5,
        end: End::Highest,
    };
    config.check().map_err(refused)?;
    Ok(config)
}

/// From transformers' `config.json` of a `CLIPModel`; what it leaves out has transformers' default.
pub fn config_from_hugging_face(json: &Value) -> Result<Config, String> {
    let part = |name: &str| {
        let empty = Map::new();
        let of = |key: String| json.get(key).and_then(Value::as_object).filter(|m| !m.is_empty()).cloned();
        of(format!("{name}_config")).or_else(|| of(format!("{name}_config_dict"))).unwrap_or(empty)
    };
    let (vision, text) = (part("vision"), part("text"));
    let tower = |m: &Map<String, Value>, width, mlp, heads| {
        Ok::<_, String>(Tower {
            width: size(m, "hidden_size", width)?,
            layers: size(m, "num_hidden_layers", 12)?,
            heads: size(m, "num_attention_heads", heads)?,
            mlp: size(m, "intermediate_size", mlp)?,
        })
    };
    let act = |m: &Map<String, Value>| activation(m.get("hidden_act"), Activation::QuickGelu);
    let eps = |m: &Map<String, Value>| number(m, "layer_norm_eps", 1e-5);
    if act(&vision)? != act(&text)? || eps(&vision)? != eps(&text)? {
        return Err("the two towers have different activations or norms; likebut reads CLIPs that have one".into());
    }
    if size(&vision, "num_channels", 3)? != 3 {
        return Err("pictures of other than 3 channels are not read".into());
    }
    let end = match size(&text, "eos_token_id", 49_407)? {
        2 => End::Highest,
        id => End::Id(u32::try_from(id).map_err(|_| format!("eos_token_id {id} is no id"))?),
    };
    let top = json.as_object().cloned().unwrap_or_default();
    let config = Config {
        image: size(&vision, "image_size", 224)?,
        patch: size(&vision, "patch_size", 32)?,
        vision: tower(&vision, 768, 3072, 12)?,
        text: tower(&text, 512, 2048, 8)?,
        vocab: size(&text, "vocab_size", 49_408)?,
        context: size(&text, "max_position_embeddings", 77)?,
        embed: size(&top, "projection_dim", 512)?,
        activation: act(&vision)?,
        eps: eps(&vision)?,
        end,
    };
    config.check()?;
    Ok(config)
}

/// From OpenCLIP's `open_clip_config.json`, or one of its model configurations.
pub fn config_from_open_clip(json: &Value) -> Result<Config, String> {
    let json = json.get("model_cfg").unwrap_or(json);
    let part = |key: &str| json.get(key).and_then(Value::as_object).cloned().ok_or(format!("it has no {key}"));
    let (vision, text) = (part("vision_cfg")?, part("text_cfg")?);
    // What is not known here may change what the network computes, and is refused by name.
    let known = |m: &Map<String, Value>, known: &[&str], plain: &[(&str, Value)]| {
        let strange = m.iter().find(|(k, v)| {
            let default = plain.iter().any(|(name, value)| name == k && value == *v);
            !(known.contains(&k.as_str()) || default)
        });
        strange.map_or(Ok(()), |(k, v)| Err(format!("likebut does not know the setting {k} = {v} of OpenCLIP's")))
    };
    let none = Value::Null;
    known(
        json.as_object().unwrap_or(&Map::new()),
        &["embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text", "init_logit_scale"],
        &[("init_logit_bias", none.clone()), ("multimodal_cfg", none.clone())],
    )?;
    known(
        &vision,
        &["image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio", "patch_dropout"],
        &[("timm_model_name", none.clone()), ("ls_init_value", none.clone()), ("pool_type", "tok".into())],
    )?;
    known(
        &text,
        &["context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"],
        &[("hf_model_name", none.clone()), ("ls_init_value", none), ("pool_type", "argmax".into())],
    )?;
    let mlp =
        |m: &Map<String, Value>, width: usize| Ok::<_, String>((width as f64 * number(m, "mlp_ratio", 4.0)?) as usize);
    let width = size(&vision, "width", 768)?;
    let words = size(&text, "width", 512)?;
    let top = json.as_object().cloned().unwrap_or_default();
    let quick = json.get("quick_gelu").and_then(Value::as_bool).unwrap_or(false);
    let config = Config {
        image: size(&vision, "image_size", 224)?,
        patch: size(&vision, "patch_size", 16)?,
        vision: Tower {
            width,
            layers: size(&vision, "layers", 12)?,
            heads: width / size(&vision, "head_width", 64)?.max(1),
            mlp: mlp(&vision, width)?,
        },
        text: Tower {
            width: words,
            layers: size(&text, "layers", 12)?,
            heads: size(&text, "heads", 8)?,
            mlp: mlp(&text, words)?,
        },
        vocab: size(&text, "vocab_size", 49_408)?,
        context: size(&text, "context_length", 77)?,
        embed: size(&top, "embed_dim", 512)?,
        activation: if quick { Activation::QuickGelu } else { Activation::Gelu },
        eps: 1e-5,
        end: End::Highest,
    };
    config.check()?;
    Ok(config)
}

/// A size by name, or its default.
pub(crate) fn size(m: &Map<String, Value>, name: &str, default: usize) -> Result<usize, String> {
    match m.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(v) => v.as_u64().and_then(|v| usize::try_from(v).ok()).ok_or(format!("{name} is {v}, not a size")),
    }
}

/// A number by name, or its default.
pub(crate) fn number(m: &Map<String, Value>, name: &str, default: f64) -> Result<f64, String> {
    match m.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(v) => v.as_f64().ok_or(format!("{name} is {v}, not a number")),
    }
}

/// transformers' name of an activation.
pub(crate) fn activation(name: Option<&Value>, default: Activation) -> Result<Activation, String> {
    match name.and_then(Value::as_str) {
        None => Ok(default),
        Some("quick_gelu") => Ok(Activation::QuickGelu),
        Some("gelu") => Ok(Activation::Gelu),
        Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Activation::GeluTanh),
        Some(other) => Err(format!("hidden_act is {other:?}; known are quick_gelu, gelu and gelu_pytorch_tanh")),
    }
}
