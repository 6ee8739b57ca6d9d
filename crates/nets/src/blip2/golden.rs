//! Every part against the reference implementations, on tiny random weights under their own names.
//!
//! `fixtures/golden/blip2.py` wrote the weights and what each part of transformers' and of LAVIS' BLIP-2
//! makes of the same inputs.

use super::*;
use crate::layers::Numbers;
use crate::weights::{Checkpoint, Loaded, Tensors, floats};
use burn::tensor::TensorData;
use half::bf16;
use safetensors::{Dtype, tensor::TensorView};

macro_rules! golden {
    ($name:literal) => {
        include_bytes!(concat!("../../../../fixtures/golden/", $name, ".safetensors")).as_slice()
    };
}

/// The sizes in `blip2.py`.
fn config(ln_vision_eps: f64, text_head: bool) -> Config {
    Config {
        image: 42,
        patch: 14,
        vit_family: Family::Eva,
        vit_width: 32,
        vit_depth: 2,
        vit_heads: 4,
        vit_mlp: 48,
        ln_vision_eps,
        frame_positions: 0,
        width: 24,
        layers: 3,
        heads: 3,
        mlp: 40,
        cross_every: 2,
        queries: 5,
        vocab: 64,
        positions: 12,
        embed: 16,
        itm: true,
        text_head,
    }
}

/// How far a tensor is from what it should be.
#[derive(Clone, Copy)]
struct Gap {
    cosine: f64,
    worst: f32,
}

/// Recorded values, and how exact one must be.
struct Golden {
    values: Tensors,
    device: Device,
    cosine: f64,
    worst: f32,
}

impl Golden {
    fn read(bytes: &[u8], cosine: f64, worst: f32) -> Self {
        Self { values: Tensors::from_bytes(bytes).unwrap(), device: crate::cpu(), cosine, worst }
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let (shape, values) = &self.values.map[name];
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), &self.device)
    }

    fn words(&self) -> Words {
        let lens = self.tensor::<2>("mask").sum_dim(1);
        Words { ids: self.tensor::<2>("ids").int(), lens: floats(lens).into_iter().map(|n| n as usize).collect() }
    }

    fn gap<const D: usize>(&self, name: &str, got: Tensor<D>) -> Gap {
        let (shape, want) = &self.values.map[name];
        assert_eq!(&got.dims().to_vec(), shape, "{name}");
        let got = floats(got);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let cosine = dot(&got, want) / (dot(&got, &got) * dot(want, want)).sqrt();
        let worst = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        Gap { cosine, worst }
    }

    fn check<const D: usize>(&self, name: &str, got: Tensor<D>) {
        let Gap { cosine, worst } = self.gap(name, got);
        println!("{name}: cosine {cosine:.8}, off by at most {worst:.1e}");
        assert!(cosine >= self.cosine, "{name}: cosine {cosine}, expected at least {}", self.cosine);
        assert!(worst <= self.worst, "{name}: off by {worst}, expected at most {}", self.worst);
    }
}

fn sight(net: &Blip2, seen: Tensor<3>, of: Vec<Vec<usize>>) -> Sight {
    net.sight(seen, &Frames { of })
}

/// Everything that transformers' class does, part by part.
fn check_hf(net: &Blip2, golden: &Golden) {
    let pixels = golden.tensor::<4>("pixels");
    let mut x = net.vit.embed(pixels.clone());
    golden.check("vit.embed", x.clone());
    for (i, block) in net.vit.blocks.iter().enumerate() {
        x = block.forward(x);
        golden.check(&format!("vit.{i}"), x.clone());
    }
    golden.check("quiet", net.ln_vision.forward(x * 0.003));
    let seen = net.see(pixels);
    golden.check("seen", seen.clone());
    let one = sight(net, seen.clone(), vec![vec![0], vec![1], vec![2]]);
    let clip = sight(net, seen, vec![vec![0, 1, 2]]);
    let words = golden.words();
    for (call, text, sight) in [
        ("look", None, Some(&one)),
        ("read", Some(&words), None),
        ("compose", Some(&words), Some(&one)),
        ("clip", None, Some(&clip)),
    ] {
        for (i, x) in net.qformer.steps(text, sight).into_iter().enumerate() {
            golden.check(&format!("{call}.{i}"), x);
        }
    }
    golden.check("clip_tokens", net.image_tokens(&clip));
    check_whole(net, golden, &one, &words);
}

/// What both implementations give in the end.
fn check_whole(net: &Blip2, golden: &Golden, sight: &Sight, words: &Words) {
    let (images, texts) = (net.image_tokens(sight), net.text(words));
    golden.check("image_tokens", images.clone());
    golden.check("text", texts.clone());
    golden.check("composed_tokens", net.composed_tokens(sight, words));
    golden.check("itm", net.matching(sight, words).unwrap());
    golden.check("itc", likeness(images, texts));
}

#[test]
fn transformers_part_by_part() {
    let golden = Golden::read(golden!("blip2-hf.values"), 0.999_99, 2e-5);
    let (net, report) = load(golden!("blip2-hf.weights").to_vec(), config(1e-6, false));
    assert!(report.missing.is_empty() && report.unexpected.is_empty(), "{report}");
    check_hf(&net, &golden);
}

#[test]
fn transformers_from_weights_kept_in_sixteen_bits() {
    let weights = Tensors::from_bytes(golden!("blip2-hf.weights")).unwrap();
    let halved: Vec<(String, Vec<usize>, Vec<u8>)> = weights
        .map
        .into_iter()
        .map(|(name, (shape, values))| {
            (name, shape, values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect())
        })
        .collect();
    let views = halved.iter().map(|(n, s, b)| (n, TensorView::new(Dtype::BF16, s.clone(), b).unwrap()));
    let file = safetensors::serialize(views, None).unwrap();
    let golden = Golden::read(golden!("blip2-hf.values"), 0.9995, 0.2);
    check_hf(&load(file, config(1e-6, false)).0, &golden);
}

#[test]
fn transformers_with_frozen_weights() {
    for (numbers, cosine) in [(Numbers::Bf16, 0.9995), (Numbers::Int8, 0.999)] {
        let golden = Golden::read(golden!("blip2-hf.values"), cosine, 0.2);
        let mut net = crate::Backbone::from(load(golden!("blip2-hf.weights").to_vec(), config(1e-6, false)).0);
        net.pack(numbers);
        check_hf(net.blip2().unwrap(), &golden);
    }
}

#[test]
fn lavis_as_it_is_described() {
    let golden = Golden::read(golden!("blip2-lavis.values"), 0.999_99, 2e-5);
    let open = |eps| load(golden!("blip2-lavis.weights").to_vec(), config(eps, true));
    let (net, report) = open(1e-5);
    assert!(report.missing.is_empty() && report.unexpected.is_empty(), "{report}");
    let (pixels, words) = (golden.tensor::<4>("pixels"), golden.words());
    golden.check("vit", net.vit.forward(pixels.clone()));
    let seen = net.see(pixels.clone());
    golden.check("seen", seen.clone());
    let one = sight(&net, seen, vec![vec![0], vec![1], vec![2]]);
    golden.check("look", net.qformer.look(&one));
    golden.check("read", net.qformer.read(&words));
    golden.check("compose", net.qformer.compose(&one, &words));
    golden.check("words", net.word_logits(net.qformer.read(&words)).unwrap());
    check_whole(&net, &golden, &one, &words);
    let quiet = |net: &Blip2| net.ln_vision.forward(net.vit.forward(pixels.clone()) * 0.003);
    golden.check("quiet", quiet(&net));
    let other = golden.gap("quiet", quiet(&open(1e-6).0)).worst;
    assert!(other > 0.01, "with transformers' eps off by {other} only: the eps has no effect");
}

#[test]
fn lavis_smaller_vision_transformer() {
    let golden = Golden::read(golden!("blip2-vitl.values"), 0.999_99, 2e-5);
    let c = Config { vit_family: Family::Clip, ..config(1e-5, false) };
    // LAVIS' Q-Former behind it: a checkpoint without one is refused.
    let mut whole = Tensors::from_bytes(golden!("blip2-vitl.weights")).unwrap();
    let rest = Checkpoint::from_bytes(golden!("blip2-lavis.weights").to_vec()).unwrap();
    for (name, entry) in rest.tensors().filter(|(n, _)| !n.starts_with("visual_encoder") && !n.ends_with("_ids")) {
        whole.map.insert(name.to_owned(), (entry.shape.clone(), rest.floats(name).unwrap()));
    }
    let vit = load(whole.to_bytes(false).unwrap(), c).0.vit;
    let pixels = golden.tensor::<4>("pixels");
    golden.check("embed", vit.embed(pixels.clone()));
    golden.check("vit", vit.forward(pixels));
}

#[test]
fn positions_are_resized_as_torch_does_it() {
    let golden = Golden::read(golden!("positions.values"), 0.999_99, 1e-5);
    let mut checked = 0;
    for (name, (shape, _)) in golden.values.map.iter().filter(|(name, _)| name.contains('.')) {
        let (old, rest) = name.split_once('.').unwrap();
        let corners = if rest.ends_with("free") { Corners::Free } else { Corners::Aligned };
        let got = resize_positions(&golden.values.map[old].1, 6, shape[1], corners).unwrap();
        golden.check(name, Tensor::<3>::from_data(TensorData::new(got, shape.clone()), &golden.device));
        checked += 1;
    }
    assert_eq!(checked, 14);
}

/// A network from a file of foreign names, by the rules that users' files are read by.
fn load(file: Vec<u8>, config: Config) -> (Blip2, Loaded) {
    import::load(&config, &Checkpoint::from_bytes(file).unwrap(), &crate::cpu()).unwrap()
}
