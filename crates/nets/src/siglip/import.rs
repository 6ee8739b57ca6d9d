//! SigLIP's weights under transformers' names (`SiglipModel`, which holds SigLIP 2's fixed
//! resolutions too), and its configuration.

use super::{Config, Siglip};
use crate::clip::Tower;
use crate::clip::import::{activation, number, size};
use crate::layers::Activation;
use crate::weights::{Checkpoint, Loaded, Names, Source, WeightsError, fill};
use burn::tensor::Device;
use serde_json::{Map, Value};

/// A network of these sizes with the weights of a file.
pub fn load(c: &Config, file: &Checkpoint, device: &Device) -> Result<(Siglip, Loaded), WeightsError> {
    fill(Siglip::new(c, device), file, &names(), device)
}

/// How the tensors of a `SiglipModel` become ours.
pub fn names() -> Names<'static> {
    Names::new(source).passing(|name| name.ends_with("position_ids").then_some("follows from the sizes"))
}

/// Where one of our parameters, named by its path, comes from.
pub fn source(path: &str) -> Option<Source> {
    let t = |name: &str| Source::of(name);
    Some(match path {
        "vision.patch_embed.weight" => t("vision_model.embeddings.patch_embedding.weight").flat().transposed(),
        "vision.patch_embed.bias" => t("vision_model.embeddings.patch_embedding.bias"),
        "vision.pos_embed" => t("vision_model.embeddings.position_embedding.weight"),
        "text.token_embed" => t("text_model.embeddings.token_embedding.weight"),
        "text.pos_embed" => t("text_model.embeddings.position_embedding.weight"),
        "text.head.weight" => t("text_model.head.weight").transposed(),
        "text.head.bias" => t("text_model.head.bias"),
        "logit_scale" => t("logit_scale").reshaped(),
        "logit_bias" => t("logit_bias").reshaped(),
        _ => return head(path).or_else(|| last_norm(path)).or_else(|| in_block(path)),
    })
}

fn head(path: &str) -> Option<Source> {
    let at = |name: &str| Source::of(format!("vision_model.head.{name}"));
    let part = path.strip_prefix("vision.head.")?;
    let fused = |part: &str, i: usize| match part {
        "weight" => at("attention.in_proj_weight").part(i, 3).transposed(),
        _ => at("attention.in_proj_bias").part(i, 3),
    };
    Some(match part.split_once('.') {
        None => at("probe").reshaped(),
        Some(("query", end)) => fused(end, 0),
        Some(("key", end)) => fused(end, 1),
        Some(("value", end)) => fused(end, 2),
        Some(("proj", "weight")) => at("attention.out_proj.weight").transposed(),
        Some(("proj", _)) => at("attention.out_proj.bias"),
        Some(("norm", "gamma")) => at("layernorm.weight"),
        Some(("norm", _)) => at("layernorm.bias"),
        Some((linear, "weight")) => at(&format!("mlp.{linear}.weight")).transposed(),
        Some((linear, end)) => at(&format!("mlp.{linear}.{end}")),
    })
}

fn last_norm(path: &str) -> Option<Source> {
    let (which, end) = norm(path)?;
    match which {
        "vision.norm" => Some(Source::of(format!("vision_model.post_layernorm.{end}"))),
        "text.norm" => Some(Source::of(format!("text_model.final_layer_norm.{end}"))),
        _ => None,
    }
}

fn in_block(path: &str) -> Option<Source> {
    let (tower, index, part) = block(path)?;
    hugging_face_block(part, &|name| Source::of(format!("{tower}_model.encoder.layers.{index}.{name}")))
}

/// A block's parameter, from the names that transformers gives CLIP's blocks too.
fn hugging_face_block(part: &str, at: &dyn Fn(&str) -> Source) -> Option<Source> {
    let qkv = |end: &str| Source::joined(["q", "k", "v"].map(|p| at(&format!("self_attn.{p}_proj.{end}"))));
    Some(match part {
        "norm1.gamma" => at("layer_norm1.weight"),
        "norm1.beta" => at("layer_norm1.bias"),
        "qkv.weight" => qkv("weight").transposed(),
        "qkv.bias" => qkv("bias"),
        "proj.weight" => at("self_attn.out_proj.weight").transposed(),
        "proj.bias" => at("self_attn.out_proj.bias"),
        "norm2.gamma" => at("layer_norm2.weight"),
        "norm2.beta" => at("layer_norm2.bias"),
        "fc1.weight" => at("mlp.fc1.weight").transposed(),
        "fc1.bias" => at("mlp.fc1.bias"),
        "fc2.weight" => at("mlp.fc2.weight").transposed(),
        "fc2.bias" => at("mlp.fc2.bias"),
        _ => return None,
    })
}

/// `….gamma` or `….beta` → what stands before it, and PyTorch's `weight` or `bias`; blocks left out.
fn norm(path: &str) -> Option<(&str, &'static str)> {
    let (before, end) = path.rsplit_once('.')?;
    match end {
        _ if before.contains(".blocks.") => None,
        "gamma" => Some((before, "weight")),
        "beta" => Some((before, "bias")),
        _ => None,
    }
}

/// `vision.transformer.blocks.3.norm1.gamma` → (`vision`, `3`, `norm1.gamma`).
fn block(path: &str) -> Option<(&str, &str, &str)> {
    let (tower, rest) = path.split_once(".transformer.blocks.")?;
    let (index, part) = rest.split_once('.')?;
    Some((tower, index, part))
}

/// From transformers' `config.json` of a `SiglipModel`; what it leaves out has transformers' default.
pub fn config_from_hugging_face(json: &Value) -> Result<Config, String> {
    let part = |name: &str| json.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let (vision, text) = (part("vision_config"), part("text_config"));
    if vision.get("vision_use_head").and_then(Value::as_bool) == Some(false) {
        return Err(
            "it has no pooling head (vision_use_head is false): it is a language model's eye, not a SigLIP".into()
        );
    }
    let tower = |m: &Map<String, Value>| {
        Ok::<_, String>(Tower {
            width: size(m, "hidden_size", 768)?,
            layers: size(m, "num_hidden_layers", 12)?,
            heads: size(m, "num_attention_heads", 12)?,
            mlp: size(m, "intermediate_size", 3072)?,
        })
    };
    let act = |m: &Map<String, Value>| activation(m.get("hidden_act"), Activation::GeluTanh);
    let eps = |m: &Map<String, Value>| number(m, "layer_norm_eps", 1e-6);
    if act(&vision)? != act(&text)? || eps(&vision)? != eps(&text)? {
        return Err("the two towers have different activations or norms; likebut reads SigLIPs that have one".into());
    }
    let config = Config {
        image: size(&vision, "image_size", 224)?,
        patch: size(&vision, "patch_size", 16)?,
        vision: tower(&vision)?,
        text: tower(&text)?,
        vocab: size(&text, "vocab_size", 32_000)?,
        context: size(&text, "max_position_embeddings", 64)?,
        activation: act(&vision)?,
        eps: eps(&vision)?,
    };
    let projection = size(&text, "projection_size", config.text.width)?;
    if projection != config.vision.width {
        return Err(format!("words end in {projection} dimensions, pictures in {}", config.vision.width));
    }
    config.check()?;
    Ok(config)
}
