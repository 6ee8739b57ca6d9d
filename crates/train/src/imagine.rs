//! Composition training: a reference and a modification text where their target lies.
//!
//! The vision transformer is frozen, as in the paper, so every frame runs through it once, before
//! the first step; what is kept is its tokens, as f16.
//! The Q-Former, its query tokens, the two projections and IMAGINE's head learn by gradient; the
//! prototype libraries follow with momentum.

use crate::data::{Drawn, groups_at};
use crate::run::{Step, Task};
use burn::module::Module;
use burn::tensor::{Bool, Tensor, TensorData};
use half::f16;
use methods::Model;
use methods::imagine::{Features, Imagine, Prototypes, hear, loss, query};
use nets::Device;
use nets::blip2::{Blip2, Frames, Sight, Words, pool};
use nets::layers::normalise;
use nets::weights::floats;
use rayon::prelude::*;
use scenes::Rng;
use std::ops::Range;

/// Settings of this stage.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Updates.
    pub steps: usize,
    /// Families in a batch.
    pub families: usize,
    /// Triplets taken of each.
    pub triplets: usize,
    /// Peak learning rate.
    pub rate: f64,
    /// Updates until the peak.
    pub warmup: usize,
    /// Weight decay.
    pub decay: f32,
}

/// What is trained.
#[derive(Module, Debug)]
pub struct Net {
    /// The backbone; its vision transformer stays as it is.
    pub backbone: Blip2,
    /// IMAGINE's head.
    pub imagine: Imagine,
}

/// A question as indices.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Item.
    pub reference: usize,
    /// Token ids of the words.
    pub words: Vec<i32>,
    /// Items that are right; the first is the target.
    pub targets: Vec<usize>,
}

/// Vision tokens of all items of a split.
pub struct Tokens {
    values: Vec<f16>,
    /// Numbers per frame.
    frame: usize,
    tokens: usize,
    frames: Vec<Range<usize>>,
}

impl Tokens {
    /// Runs every frame through the vision transformer once; nothing where it was stopped, or where
    /// the model is no BLIP-2.
    pub fn new(model: &Model, drawn: &Drawn, tell: &dyn Fn(usize, usize), stop: &dyn Fn() -> bool) -> Option<Self> {
        let (config, net) = (model.manifest.backbone.blip2().ok()?, model.backbone.blip2().ok()?);
        let (tokens, frame) = (config.tokens(), config.tokens() * config.vit_width);
        let mut frames = Vec::new();
        let mut values = Vec::new();
        let mut at = 0;
        for seen in &drawn.seen {
            frames.push(at..at + seen.frames.len());
            at += seen.frames.len();
        }
        let flat: Vec<&media::Frame> = drawn.seen.iter().flat_map(|s| &s.frames).collect();
        values.reserve_exact(flat.len() * frame);
        for (i, chunk) in flat.chunks(64).enumerate() {
            if stop() {
                return None;
            }
            let seen = net.see(model.manifest.view.tensor(chunk, &model.device));
            values.par_extend(floats(seen).into_par_iter().map(f16::from_f32));
            tell((i + 1) * 64, flat.len());
        }
        Some(Self { values, frame, tokens, frames })
    }

    /// What some items show, as the Q-Former reads it.
    fn sight(&self, net: &Blip2, items: &[usize], device: &Device) -> Sight {
        let mut of = Vec::new();
        let mut wanted = Vec::new();
        for item in items {
            let range = self.frames[*item].clone();
            of.push((wanted.len()..wanted.len() + range.len()).collect());
            wanted.extend(range);
        }
        let mut out = vec![0.0f32; wanted.len() * self.frame];
        out.par_chunks_mut(self.frame).zip(&wanted).for_each(|(out, frame)| {
            let from = &self.values[frame * self.frame..][..self.frame];
            out.iter_mut().zip(from).for_each(|(o, v)| *o = v.to_f32());
        });
        let tokens = Tensor::<1>::from_data(TensorData::new(out, [wanted.len() * self.frame]), device);
        net.sight(tokens.reshape([wanted.len(), self.tokens, self.frame / self.tokens]), &Frames { of })
    }
}

/// The stage.
pub struct Compose<'a> {
    /// Its settings.
    pub settings: &'a Settings,
    /// Words, view, head settings.
    pub model: &'a Model,
    /// What the items show.
    pub tokens: &'a Tokens,
    /// Questions, by family.
    pub questions: Vec<Vec<Asked>>,
    /// The same for the validation split.
    pub val_tokens: &'a Tokens,
    /// Validation questions.
    pub val_questions: Vec<Asked>,
    /// Validation items.
    pub val_items: usize,
    /// Seed of all choices.
    pub seed: u64,
    /// Where gradients live.
    pub device: Device,
    /// Head settings.
    pub head: methods::imagine::Config,
}

impl Net {
    /// A head around a backbone, its prototype libraries begun from real features.
    pub fn begin(task: &Compose<'_>, backbone: Blip2, head: Imagine) -> Self {
        let k = task.head.prototypes;
        let mut rng = Rng::keyed(task.seed, &[5, 0]);
        let all: Vec<&Asked> = task.questions.iter().flatten().collect();
        let some: Vec<&Asked> = (0..k * 4).map(|_| all[rng.below(all.len())]).collect();
        let (v, x) = task.plain_features(&backbone, &some);
        let begin = |p: Prototypes, f: Tensor<2>| p.begin(f.detach());
        Self {
            imagine: Imagine {
                picture_library: begin(head.picture_library, v),
                words_library: begin(head.words_library, x),
                ..head
            },
            backbone,
        }
    }
}

impl Compose<'_> {
    fn words(&self, asked: &[&Asked]) -> Words {
        let rows: Vec<Vec<i32>> = asked.iter().map(|a| a.words.clone()).collect();
        self.model.words.pad(&rows, &self.device)
    }

    fn plain_features(&self, net: &Blip2, asked: &[&Asked]) -> (Tensor<2>, Tensor<2>) {
        let references: Vec<usize> = asked.iter().map(|a| a.reference).collect();
        let sight = self.tokens.sight(net, &references, &self.device);
        (pool(net.image_tokens(&sight)), net.text(&self.words(asked)))
    }

    fn query(&self, net: &Net, tokens: &Tokens, asked: &[&Asked]) -> (Tensor<2>, Tensor<2>, Tensor<2>) {
        let references: Vec<usize> = asked.iter().map(|a| a.reference).collect();
        let sight = tokens.sight(&net.backbone, &references, &self.device);
        let words = self.words(asked);
        hear(&net.backbone, &sight, &words)
    }

    fn batch(&self, step: usize) -> Vec<&Asked> {
        let mut rng = Rng::keyed(self.seed, &[3, step as u64]);
        let mut out = Vec::new();
        for family in groups_at(step, self.settings.families, self.questions.len(), self.seed ^ 0x51) {
            let mut members: Vec<&Asked> = self.questions[family].iter().collect();
            rng.shuffle(&mut members);
            out.extend(members.into_iter().take(self.settings.triplets));
        }
        out
    }
}

impl Task for Compose<'_> {
    type Net = Net;

    fn name(&self) -> &'static str {
        "imagine"
    }

    fn trains(&self, name: &str) -> bool {
        let frozen = ["backbone.vit.", "backbone.ln_vision.", "imagine.picture_library.", "imagine.words_library."];
        !frozen.iter().any(|f| name.starts_with(f))
    }

    fn step(&self, net: &Net, step: usize) -> Step {
        let asked = self.batch(step);
        let (reference, words, composed) = self.query(net, self.tokens, &asked);
        let targets: Vec<usize> = asked.iter().map(|a| a.targets[0]).collect();
        let sight = self.tokens.sight(&net.backbone, &targets, &self.device);
        let target = pool(net.backbone.image_tokens(&sight));
        // A target that is also right for another query is not its negative.
        let b = asked.len();
        let same: Vec<bool> = asked
            .iter()
            .enumerate()
            .flat_map(|(i, a)| targets.iter().enumerate().map(move |(j, t)| i != j && a.targets.contains(t)))
            .collect();
        let same = Tensor::<1, Bool>::from_data(TensorData::new(same, [b * b]), &self.device).reshape([b, b]);
        let carry = vec![reference.clone().detach(), words.clone().detach()];
        let losses = loss(&net.imagine, Features { reference, words, composed, target }, Some(same), &self.head);
        Step {
            total: losses.total,
            marks: vec![
                ("classification", losses.classification),
                ("schema", losses.schema),
                ("confidence", losses.confidence),
                ("first", losses.first),
            ],
            carry,
        }
    }

    fn after(&self, net: Net, carry: Vec<Tensor<2>>) -> Net {
        let mut carry = carry.into_iter();
        let (Some(v), Some(x)) = (carry.next(), carry.next()) else { return net };
        let Net { backbone, imagine } = net;
        let imagine = Imagine {
            picture_library: imagine.picture_library.follow(v, &self.head),
            words_library: imagine.words_library.follow(x, &self.head),
            ..imagine
        };
        Net { backbone, imagine }
    }

    fn validate(&self, net: &Net) -> Vec<(&'static str, f32)> {
        let mut gallery = Vec::new();
        for chunk in (0..self.val_items).collect::<Vec<_>>().chunks(64) {
            let sight = self.val_tokens.sight(&net.backbone, chunk, &self.device);
            gallery.extend(floats(normalise(pool(net.backbone.image_tokens(&sight))).detach()));
        }
        let e = gallery.len() / self.val_items.max(1);
        let mut first = 0;
        for chunk in self.val_questions.chunks(64) {
            let asked: Vec<&Asked> = chunk.iter().collect();
            let (v, x, f) = self.query(net, self.val_tokens, &asked);
            let queries = floats(query(&net.imagine, &self.head, v, x, f).detach());
            first += queries
                .par_chunks(e)
                .zip(&asked)
                .filter(|(q, a)| {
                    let score = |i: usize| q.iter().zip(&gallery[i * e..]).map(|(a, b)| a * b).sum::<f32>();
                    let best = (0..self.val_items)
                        .filter(|i| *i != a.reference)
                        .max_by(|a, b| score(*a).total_cmp(&score(*b)));
                    best.is_some_and(|b| a.targets.contains(&b))
                })
                .count();
        }
        vec![
            ("val_r1", first as f32 / self.val_questions.len().max(1) as f32),
            ("likeness", net.imagine.picture_library.likeness()),
            ("likeness_words", net.imagine.words_library.likeness()),
        ]
    }
}

/// The questions of a split as indices, by family of the reference.
pub fn questions(set: &scenes::Set, drawn: &Drawn, families: &[Range<usize>], model: &Model) -> Vec<Vec<Asked>> {
    let mut family_of = vec![0; drawn.items.len()];
    for (f, range) in families.iter().enumerate() {
        family_of[range.clone()].fill(f);
    }
    let mut out = vec![Vec::new(); families.len()];
    for t in &set.triplets {
        let Some(reference) = drawn.index.get(&t.reference) else { continue };
        let targets: Vec<usize> = t.targets.iter().filter_map(|n| drawn.index.get(n)).copied().collect();
        if !targets.is_empty() {
            out[family_of[*reference]].push(Asked { reference: *reference, words: model.words.ids(&t.text), targets });
        }
    }
    out.retain(|f: &Vec<Asked>| !f.is_empty());
    out
}
