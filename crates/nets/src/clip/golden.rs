//! CLIP part by part against transformers and OpenCLIP: random weights under their own names, and
//! what they make of the same pictures and texts (`fixtures/golden/clip.py`).

use super::import::{Found, Layout, config_from_hugging_face, config_from_open_clip, config_from_shapes, convert};
use super::names::{OURS_OPENCLIP, TRANSFORMERS_OPENCLIP};
use super::*;
use crate::layers::{Numbers, normalise};
use crate::weights::{Checkpoint, Dtype, Raw, Shelf, Tensors, WeightsError, fill, floats};
use crate::words::Words;
use burn::tensor::{Int, TensorData};
use std::path::PathBuf;

/// What is allowed between f32 here and f32 there, for numbers of about one.
const MOST: f32 = 2e-5;
const COSINE: f64 = 0.99999;

pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/clip").join(name)
}

pub fn json(name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

/// Inputs and outputs of a reference.
pub struct Golden(Checkpoint);

impl Golden {
    pub fn open(name: &str) -> Self {
        Self(Checkpoint::open(&path(name)).unwrap())
    }

    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape = self.0.entry(name).unwrap_or_else(|| panic!("no golden {name}")).shape.clone();
        Tensor::from_data(TensorData::new(self.0.floats(name).unwrap(), shape), &crate::cpu())
    }

    pub fn words(&self) -> Words {
        let ids: Tensor<2> = self.tensor("ids");
        let [b, t] = ids.dims();
        let ids: Vec<i32> = floats(ids).into_iter().map(|v| v as i32).collect();
        Words { ids: Tensor::<1, Int>::from_data(ids.as_slice(), &crate::cpu()).reshape([b, t]), lens: vec![t; b] }
    }

    /// Ours equals theirs, number by number and in direction.
    pub fn same<const D: usize>(&self, name: &str, ours: Tensor<D>) {
        let theirs = self.tensor::<D>(name);
        assert_eq!(ours.dims(), theirs.dims(), "{name}");
        let (a, b) = (floats(ours), floats(theirs));
        let scale = b.iter().fold(1f32, |m, v| m.max(v.abs()));
        let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= MOST * scale, "{name}: off by {worst} of {scale}");
        assert!(cosine(&a, &b) >= COSINE, "{name}: cosine {}", cosine(&a, &b));
    }
}

pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn read(name: &str, config: &Config) -> Clip {
    let device = crate::cpu();
    let file = Checkpoint::open(&path(name)).unwrap();
    let names: Vec<&str> = file.tensors().map(|(n, _)| n).collect();
    let found = Found::of(&names).unwrap();
    let (net, report) = fill(Clip::new(config, &device), &file, &found.names(), &device).unwrap();
    assert!(report.unexpected.is_empty() && report.missing.is_empty(), "{report}");
    net
}

fn row(x: Tensor<3>, i: usize) -> Tensor<2> {
    let [n, _, d] = x.dims();
    x.slice([0..n, i..i + 1, 0..d]).reshape([n, d])
}

#[test]
fn frozen_towers_see_and_say_nearly_the_same() {
    let config = config_from_hugging_face(&json("hugging-face.json")).unwrap();
    let golden = Golden::open("hugging-face-golden.safetensors");
    for (numbers, least) in [(Numbers::Bf16, 0.9995), (Numbers::Int8, 0.999)] {
        let mut net = read("hugging-face.safetensors", &config);
        net.vision.transformer.pack(numbers);
        net.text.transformer.pack_later(numbers);
        let seen = normalise(net.vision.forward(golden.tensor("pixels")));
        let said = normalise(net.text.forward(&golden.words(), None));
        for (name, ours) in [("image_embeds", seen), ("text_embeds", said)] {
            let near = cosine(&floats(ours), &floats(golden.tensor::<2>(name)));
            println!("{name} in {numbers:?}: cosine {near:.6}");
            assert!(near >= least, "{name} in {numbers:?}: cosine {near}");
        }
    }
}

#[test]
fn every_part_is_that_of_transformers() {
    let config = config_from_hugging_face(&json("hugging-face.json")).unwrap();
    assert_eq!((config.embed, config.end, config.vision.heads), (10, End::Id(250), 3));
    let (net, golden) = (read("hugging-face.safetensors", &config), Golden::open("hugging-face-golden.safetensors"));

    let embedded = net.vision.embed(golden.tensor("pixels"));
    golden.same("vision_model.embeddings", embedded.clone());
    let mut x = net.vision.norm_pre.forward(embedded);
    golden.same("vision_model.pre_layrnorm", x.clone());
    for (i, block) in net.vision.transformer.blocks.iter().enumerate() {
        x = net.vision.transformer.step(block, x);
        golden.same(&format!("vision_model.encoder.layers.{i}"), x.clone());
    }
    let seen = net.vision.forward(golden.tensor("pixels"));
    golden.same("vision_model.post_layernorm", net.vision.norm_post.forward(row(x, 0)));
    golden.same("visual_projection", seen.clone());
    golden.same("image_embeds", normalise(seen.clone()));

    let words = golden.words();
    let embedded = net.text.embed(&words);
    golden.same("text_model.embeddings.token_embedding", embedded.clone());
    let mut x = embedded + net.text.pos_embed.val().unsqueeze::<3>();
    for (i, block) in net.text.transformer.blocks.iter().enumerate() {
        x = net.text.transformer.step(block, x);
        golden.same(&format!("text_model.encoder.layers.{i}"), x.clone());
    }
    let said = net.text.forward(&words, None);
    golden.same("text_model.final_layer_norm", net.text.norm.forward(x));
    golden.same("text_projection", said.clone());
    golden.same("text_embeds", normalise(said.clone()));
    let likeness = normalise(seen).matmul(normalise(said).transpose());
    let scale: f32 = net.logit_scale.val().exp().into_scalar();
    golden.same("logits_per_image", likeness * scale);

    let slots = Slots { at: vec![1..3; 3], vectors: golden.tensor("vectors") };
    golden.same("injected", net.text.forward(&words, Some(&slots)));
}

#[test]
fn every_part_is_that_of_open_clip() {
    let config = config_from_open_clip(&json("open-clip.json")).unwrap();
    assert_eq!((config.vision.heads, config.vision.mlp, config.end), (2, 60, End::Highest));
    let (net, golden) = (read("open-clip.safetensors", &config), Golden::open("open-clip-golden.safetensors"));

    let mut x = net.vision.norm_pre.forward(net.vision.embed(golden.tensor("pixels")));
    golden.same("visual.ln_pre", x.clone());
    for (i, block) in net.vision.transformer.blocks.iter().enumerate() {
        x = net.vision.transformer.step(block, x);
        golden.same(&format!("visual.transformer.resblocks.{i}"), x.clone());
    }
    golden.same("visual.ln_post", net.vision.norm_post.forward(x));
    let seen = net.vision.forward(golden.tensor("pixels"));
    golden.same("image_features", seen.clone());

    let words = golden.words();
    let said = net.text.forward(&words, None);
    golden.same("token_embedding", net.text.embed(&words));
    let mut x = net.text.start(&words, None);
    for (i, block) in net.text.transformer.blocks.iter().enumerate() {
        x = net.text.transformer.step(block, x);
        golden.same(&format!("transformer.resblocks.{i}"), x.clone());
    }
    golden.same("ln_final", net.text.norm.forward(x));
    golden.same("text_features", said.clone());
    let likeness = normalise(seen).matmul(normalise(said).transpose());
    let scale: f32 = net.logit_scale.val().exp().into_scalar();
    golden.same("logits_per_image", likeness * scale);
}

/// Tensors in memory, as a shelf to read from; as bf16 where a file would be.
struct Kept(Vec<(String, Dtype, Vec<usize>, Vec<u8>)>);

impl Kept {
    fn new(from: impl Iterator<Item = (String, Vec<usize>, Vec<f32>)>, half: bool) -> Self {
        let bytes = |v: Vec<f32>| {
            if half {
                (Dtype::BF16, v.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect())
            } else {
                (Dtype::F32, v.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
        };
        Self(from.map(|(n, s, v)| (n, s, bytes(v))).map(|(n, s, (d, b))| (n, d, s, b)).collect())
    }
}

impl Shelf for Kept {
    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|t| t.0.as_str()).collect()
    }
    fn raw(&self, name: &str) -> Option<Result<Raw<'_>, WeightsError>> {
        let (_, dtype, shape, bytes) = self.0.iter().find(|t| t.0 == name)?;
        Some(Raw::new(*dtype, shape.clone(), bytes).map_err(WeightsError::Unreadable))
    }
}

fn all(file: &Checkpoint) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    file.tensors().map(|(n, e)| (n.to_owned(), e.shape.clone(), file.floats(n).unwrap())).collect()
}

#[test]
fn weights_kept_as_bf16_say_almost_the_same() {
    let config = config_from_hugging_face(&json("hugging-face.json")).unwrap();
    let (golden, device) = (Golden::open("hugging-face-golden.safetensors"), crate::cpu());
    let file = Checkpoint::open(&path("hugging-face.safetensors")).unwrap();
    let kept = Kept::new(all(&file).into_iter(), true);
    let found = Found::of(&kept.names()).unwrap();
    let (net, _) = fill(Clip::new(&config, &device), &kept, &found.names(), &device).unwrap();
    for (ours, name) in [
        (net.vision.forward(golden.tensor("pixels")), "visual_projection"),
        (net.text.forward(&golden.words(), None), "text_projection"),
    ] {
        let close = cosine(&floats(ours), &floats(golden.tensor::<2>(name)));
        assert!((0.9995..1.0 - 1e-9).contains(&close), "{name}: cosine {close}");
    }
}

/// The names of a file in another layout.
fn names_in(layout: Layout, own: Layout, file: &Checkpoint) -> std::collections::BTreeSet<String> {
    let names = file.tensors().map(|(n, _)| n);
    match (own, layout) {
        _ if own == layout => names.map(str::to_owned).collect(),
        (_, Layout::OpenClip) => names.filter_map(|n| TRANSFORMERS_OPENCLIP.right_name(n)).collect(),
        (_, Layout::HuggingFace) => names.flat_map(|n| TRANSFORMERS_OPENCLIP.left_names(n)).collect(),
    }
}

#[test]
fn names_go_there_and_back_and_across_without_a_bit_lost() {
    let device = crate::cpu();
    for (name, layout, config) in [
        ("hugging-face", Layout::HuggingFace, config_from_hugging_face(&json("hugging-face.json")).unwrap()),
        ("open-clip", Layout::OpenClip, config_from_open_clip(&json("open-clip.json")).unwrap()),
    ] {
        let file = Checkpoint::open(&path(&format!("{name}.safetensors"))).unwrap();
        let ours = Tensors::of(&read(&format!("{name}.safetensors"), &config));
        let other = if layout == Layout::OpenClip { Layout::HuggingFace } else { Layout::OpenClip };
        let write = |into: Layout, prefix: &str| {
            let source = |name: &str| match into {
                Layout::OpenClip => OURS_OPENCLIP.right_from_left(name),
                Layout::HuggingFace => {
                    TRANSFORMERS_OPENCLIP.left_from_right(name)?.through(&|n| OURS_OPENCLIP.right_from_left(n))
                }
            };
            let one = |name: String| {
                let raw = source(&name).unwrap_or_else(|| panic!("{name}")).read(&ours, None).unwrap();
                (format!("{prefix}{name}"), raw.shape().to_vec(), raw.floats().unwrap())
            };
            names_in(into, layout, &file).into_iter().map(one).collect::<Vec<_>>()
        };
        assert_eq!(write(layout, ""), all(&file), "{name}: there and back");
        // Across, behind a prefix, and home again.
        let across = Kept::new(write(other, "module.").into_iter(), false);
        let found = Found::of(&across.names()).unwrap();
        assert_eq!((found.layout, found.prefix.as_str()), (other, "module."));
        let (net, _) = fill(Clip::new(&config, &device), &across, &found.names(), &device).unwrap();
        assert_eq!(Tensors::of(&net), ours, "{name}: across");
        // A file of the other's names, from a file behind a prefix, its words apart from its eye.
        let dir = std::env::temp_dir();
        let to = dir.join(format!("likebut-across-{}-{name}.safetensors", std::process::id()));
        let odd = |n: &str| match n {
            _ if layout == Layout::HuggingFace => format!("model.{n}"),
            "logit_scale" => n.to_owned(),
            _ if n.starts_with("visual.") => n.to_owned(),
            _ => format!("text.{n}"),
        };
        let odd = Checkpoint::open(&path(&format!("{name}.safetensors"))).unwrap().renamed(&odd);
        convert(odd, other, &to).unwrap();
        let made = Checkpoint::open(&to).unwrap();
        std::fs::remove_file(&to).unwrap();
        assert_eq!(all(&made), write(other, ""), "{name}: converted");
    }
}

#[test]
fn sizes_are_read_off_the_tensors_where_nothing_else_says_them() {
    let file = Checkpoint::open(&path("open-clip.safetensors")).unwrap();
    let names: Vec<&str> = file.tensors().map(|(n, _)| n).collect();
    let config = config_from_shapes(&Found::of(&names).unwrap(), &file).unwrap();
    let stated = config_from_open_clip(&json("open-clip.json")).unwrap();
    assert_eq!((config.image, config.patch, config.embed, config.vocab), (28, 7, 10, 300));
    assert_eq!((config.vision.layers, config.vision.mlp, config.text), (3, 60, Tower { heads: 1, ..stated.text }));
}

#[test]
fn what_is_no_clip_is_refused_with_the_reason() {
    let says = Found::of(&["visual.conv1.weight", "visual.layer1.0.conv1.weight"]).unwrap_err().to_string();
    assert!(says.contains("vision transformer"), "{says}");
    let mut json = json("open-clip.json");
    json["model_cfg"]["vision_cfg"]["attentional_pool"] = true.into();
    assert!(config_from_open_clip(&json).unwrap_err().contains("attentional_pool"));
    json["model_cfg"]["vision_cfg"] = serde_json::json!({"layers": [3, 4, 6, 3], "width": 64, "image_size": 224});
    assert!(config_from_open_clip(&json).unwrap_err().contains("layers"));
    let act = serde_json::json!({"vision_config": {"hidden_act": "relu"}});
    assert!(config_from_hugging_face(&act).unwrap_err().contains("relu"));
}
