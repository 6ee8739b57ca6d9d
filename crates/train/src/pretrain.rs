//! Pre-training: a picture and its caption at one place.
//!
//! Two losses teach the backbone:
//! - *contrastive* (BLIP-2's ITC): among the captions of a batch each item finds its own, and each
//!   caption its item. Batches hold several items of one family, look-alikes that differ in one
//!   thing, so that details must be read.
//! - *tagging*: from what the queries saw, which words does the caption have? It stands where BLIP-2
//!   has image-grounded text generation; predicting the words as a set is far cheaper than in
//!   order and teaches the same things to be seen.
//!
//! BLIP-2's matching loss is left out: the composed path is trained by the second stage.

use crate::data::{Drawn, groups_at};
use crate::run::{Step, Task};
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData, activation};
use methods::{Model, Seen, sight};
use nets::Device;
use nets::blip2::{Blip2, pool};
use nets::layers::{Linear, normalise};
use nets::weights::floats;
use nets::words::SPECIAL;
use scenes::Rng;

/// Settings of this stage.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Updates; with `restarts`, those of the first fall of the rate.
    pub steps: usize,
    /// Updates of each further rise and fall of the rate, after the first; none where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<usize>,
    /// Families in a batch.
    pub families: usize,
    /// Items taken of each.
    pub items: usize,
    /// Peak learning rate.
    pub rate: f64,
    /// Updates until the peak.
    pub warmup: usize,
    /// Weight decay.
    pub decay: f32,
    /// Weight of the tagging loss.
    pub tags: f32,
}

/// What is trained: the backbone, and two parts that are dropped afterwards.
#[derive(Module, Debug)]
pub struct Net {
    /// Kept.
    pub backbone: Blip2,
    /// (1): the contrastive loss's sharpness, as a logarithm.
    pub sharpness: Param<Tensor<1>>,
    /// What was seen → words.
    pub tags: Linear,
}

impl Net {
    /// Around a backbone.
    pub fn new(backbone: Blip2, width: usize, vocab: usize, device: &Device) -> Self {
        let tags = Linear::new(width, vocab, (1.0 / width as f64).sqrt(), device);
        // Most words are absent: starting there saves the first hundred steps.
        let tags = Linear { bias: Param::from_tensor(Tensor::full([vocab], -3.0, device)), ..tags };
        Self { backbone, sharpness: Param::from_tensor(Tensor::full([1], (1.0f32 / 0.07).ln(), device)), tags }
    }
}

/// The stage.
pub struct Pretrain<'a> {
    /// Its name in files and on screen.
    pub name: &'static str,
    /// Its settings.
    pub settings: &'a Settings,
    /// View, words, device.
    pub model: &'a Model,
    /// To learn from; items of a family lie together.
    pub train: &'a Drawn,
    /// To watch on.
    pub val: &'a Drawn,
    /// Where each family begins and ends in `train`.
    pub families: Vec<std::ops::Range<usize>>,
    /// Seed of all choices.
    pub seed: u64,
    /// Where gradients live.
    pub device: Device,
}

/// Ranges of items whose names share what stands before the last `/` or `-`: a family.
pub fn families(drawn: &Drawn) -> Vec<std::ops::Range<usize>> {
    let family = |i: usize| {
        let name = &drawn.items[i].name;
        name.rsplit_once(['/', '-']).map_or(name.as_str(), |(f, _)| f)
    };
    let mut out: Vec<std::ops::Range<usize>> = Vec::new();
    for i in 0..drawn.items.len() {
        match out.last_mut() {
            Some(range) if family(range.start) == family(i) => range.end = i + 1,
            _ => out.push(i..i + 1),
        }
    }
    out
}

impl Pretrain<'_> {
    fn batch(&self, step: usize) -> (Vec<usize>, Vec<String>) {
        let mut rng = Rng::keyed(self.seed, &[2, step as u64]);
        let mut items = Vec::new();
        for family in groups_at(step, self.settings.families, self.families.len(), self.seed) {
            let mut members: Vec<usize> = self.families[family].clone().collect();
            rng.shuffle(&mut members);
            items.extend(members.into_iter().take(self.settings.items));
        }
        let captions = items
            .iter()
            .map(|i| self.train.items[*i].scene.captions(rng.next(), 1).pop().unwrap_or_default())
            .collect();
        (items, captions)
    }
}

impl Task for Pretrain<'_> {
    type Net = Net;

    fn name(&self) -> &'static str {
        self.name
    }

    fn trains(&self, _name: &str) -> bool {
        true
    }

    fn step(&self, net: &Net, step: usize) -> Step {
        let (items, captions) = self.batch(step);
        let seen: Vec<&Seen> = items.iter().map(|i| &self.train.seen[*i]).collect();
        let rows: Vec<Vec<i32>> = captions.iter().map(|c| self.model.words.ids(c)).collect();
        let sight = sight(&net.backbone, &self.model.manifest.view, &seen, &self.device);
        let looked = net.backbone.qformer.look(&sight); // (B, Q, D)
        let b = items.len();

        let pictures = normalise(pool(normalise(net.backbone.vision_proj.forward(looked.clone())))); // (B, E)
        let texts = net.backbone.text(&self.model.words.pad(&rows, &self.device)); // (B, E)
        let sharpness = net.sharpness.val().clamp(0.0, 100f64.ln()).exp().reshape([1, 1]);
        let logits = pictures.matmul(texts.transpose()) * sharpness; // (B, B)
        let own: Vec<i32> = (0..b as i32).collect();
        let own = Tensor::<1, Int>::from_data(own.as_slice(), &self.device).reshape([b, 1]);
        let first = logits.clone().detach().argmax(1).equal(own.clone()).float().mean();
        let towards = |l: Tensor<2>| -activation::log_softmax(l, 1).gather(1, own.clone()).mean();
        let contrastive = (towards(logits.clone()) + towards(logits.transpose())) / 2.0;

        let tagging = self.tagging(net, looked, &rows);
        let total = contrastive.clone() + tagging.clone() * self.settings.tags;
        let marks = vec![("contrastive", contrastive), ("tagging", tagging), ("first", first)];
        Step::back(self, net, total, marks, Vec::new())
    }

    fn describe(&self, step: usize) -> serde_json::Value {
        let (items, captions) = self.batch(step);
        let of = |(i, c): (&usize, &String)| serde_json::json!({"item": self.train.items[*i].name, "caption": c});
        items.iter().zip(&captions).map(of).collect()
    }

    fn validate(&self, net: &Net) -> Vec<(&'static str, f32)> {
        // Without a graph: one lives until something runs backward.
        let (backbone, plain) = (net.backbone.valid(), self.device.clone().inner());
        let n = self.val.items.len().min(1000);
        let mut pictures = Vec::new();
        let mut texts = Vec::new();
        for chunk in (0..n).collect::<Vec<_>>().chunks(50) {
            let seen: Vec<&Seen> = chunk.iter().map(|i| &self.val.seen[*i]).collect();
            let sight = sight(&backbone, &self.model.manifest.view, &seen, &plain);
            pictures.extend(floats(normalise(pool(backbone.image_tokens(&sight)))));
            let captions: Vec<&str> = chunk.iter().map(|i| self.val.items[*i].caption.as_str()).collect();
            texts.extend(floats(backbone.text(&self.model.words.batch(&captions, &plain))));
        }
        let e = pictures.len() / n.max(1);
        let matrix = |v: Vec<f32>| Tensor::<1>::from_data(TensorData::new(v, [n * e]), &plain).reshape([n, e]);
        let scores = floats(matrix(texts).matmul(matrix(pictures).transpose()));
        let first = (0..n)
            .filter(|i| {
                let row = &scores[i * n..][..n];
                row.iter().enumerate().all(|(j, s)| j == *i || *s < row[*i])
            })
            .count();
        vec![("val_caption_r1", first as f32 / n.max(1) as f32)]
    }
}

impl Pretrain<'_> {
    /// Binary cross-entropy over the vocabulary, summed over words and divided by a caption's usual
    /// length, so that its size is that of a loss per word said.
    fn tagging(&self, net: &Net, looked: Tensor<3>, rows: &[Vec<i32>]) -> Tensor<1> {
        const WORDS_PER_CAPTION: f64 = 20.0;
        let [b, _, d] = looked.dims();
        let logits = net.tags.forward(looked.mean_dim(1).reshape([b, d])); // (B, V)
        let vocab = logits.dims()[1];
        let mut said = vec![0.0f32; b * vocab];
        for (i, row) in rows.iter().enumerate() {
            for id in row.iter().map(|id| *id as usize).filter(|id| *id >= SPECIAL.len() && *id < vocab) {
                said[i * vocab + id] = 1.0;
            }
        }
        let said = Tensor::<1>::from_data(TensorData::new(said, [b * vocab]), &self.device).reshape([b, vocab]);
        // log(1 + e^z) - z·y, written so that it cannot overflow.
        let soft = (-logits.clone().abs()).exp().log1p() + logits.clone().clamp_min(0.0);
        (soft - logits * said).sum() / (b as f64 * WORDS_PER_CAPTION)
    }
}
