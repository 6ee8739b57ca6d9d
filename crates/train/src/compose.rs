//! Composition training: a reference and a modification text where their target lies.
//!
//! The vision transformer is frozen, as in the papers, so the batches are made of its [`Tokens`].
//! The Q-Former, its query tokens, the two projections and the method's head learn by gradient;
//! IMAGINE's prototype libraries follow with momentum.
//!
//! A batch is worth what it can be compared with, so a large one must not be cut into small ones. It
//! runs through the network in chunks all the same (`chunk`): first without gradients, to know all
//! features; then the loss over the whole batch says where each feature should go; then each chunk
//! once more, with gradients, towards there (GradCache, Gao et al. 2021). The gradients are those of
//! the whole batch; the memory is that of a chunk, the time half as much again.

use crate::TrainError;
use crate::adamw::Grads;
use crate::questions::{Asked, Batches, also_right, described};
use crate::run::{Pauses, Plan, Step, Task};
use crate::tokens::Tokens;
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use methods::covr2;
use methods::imagine::{self, Begin, Every, Followed, Imagine, Target, hear, query, say};
use methods::{Gallery, Model};
use nets::Device;
use nets::blip2::{Blip2, Sight, Words, pool};
use nets::layers::{Precision, normalise};
use nets::weights::floats;
use rayon::prelude::*;
use scenes::Rng;
use std::collections::BTreeMap;
use std::path::Path;

/// What learns by gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learns {
    /// Q-Former, query tokens, projections and the head, as in the papers.
    #[default]
    QFormer,
    /// The head alone, on features that never change: adapter mode, minutes on a CPU.
    Head,
}

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
    /// Triplets that run through the network at once, 0 for all; less needs less memory and changes
    /// nothing but rounding.
    #[serde(default, skip_serializing_if = "is_default")]
    pub chunk: usize,
    /// What learns by gradient.
    #[serde(default, skip_serializing_if = "is_default")]
    pub learns: Learns,
    /// Frames of each clip that a step looks at, drawn anew each time from those that the sampling rule takes; 0
    /// for all of them. IMAGINE speaks of "randomly sampled frames" and not of how many; its siblings' code
    /// takes one. Marks are given on all that the rule takes, so that they hang on no draw.
    #[serde(default, skip_serializing_if = "is_default")]
    pub random_frames: usize,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether anything could be learnt at this rate, with this weight decay.
pub fn pace(rate: f64, decay: f32) -> Result<(), String> {
    match () {
        () if !(rate > 0.0 && rate.is_finite()) => Err(format!("rate is {rate}; a number above 0 is needed")),
        () if !(decay >= 0.0 && decay.is_finite()) => {
            Err(format!("decay is {decay}; a number of at least 0 is needed"))
        }
        () => Ok(()),
    }
}

impl Settings {
    /// How batches are made.
    pub fn batches(&self, seed: u64) -> Batches {
        Batches { families: self.families, triplets: self.triplets, seed }
    }

    /// Whether a run could follow them.
    pub fn check(&self) -> Result<(), String> {
        if self.families.saturating_mul(self.triplets) < 2 {
            return Err("a batch of one has nothing to be told from, and would draw all prototypes to one point: \
                        families times triplets is at least 2"
                .into());
        }
        if self.learns == Learns::Head && self.random_frames > 0 {
            return Err("learns = \"head\" looks at every item once, before the first step: random_frames would have \
                        nothing to draw from; leave it out, or let the Q-Former learn"
                .into());
        }
        pace(self.rate, self.decay)
    }

    /// How the loop runs: one rise and fall of the rate.
    pub fn plan<'a>(&self, precision: Precision, pauses: Pauses, dir: &'a Path) -> Plan<'a> {
        Plan {
            steps: self.steps,
            restarts: Vec::new(),
            rate: self.rate,
            warmup: self.warmup,
            decay: self.decay,
            precision,
            pauses,
            dir,
        }
    }
}

/// Which method is trained, and its settings.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// IMAGINE.
    Imagine(imagine::Config),
    /// CoVR-2, which has no head of its own.
    Covr2(covr2::Config),
}

impl Head {
    /// The method's name.
    pub fn name(&self) -> &'static str {
        match self {
            Head::Imagine(_) => "imagine",
            Head::Covr2(_) => "covr2",
        }
    }

    /// Who makes the target's feature.
    pub fn target(&self) -> Target {
        match self {
            Head::Imagine(c) => c.target,
            Head::Covr2(c) => c.target,
        }
    }
}

/// What is trained.
#[derive(Module, Debug)]
pub struct Net {
    /// The backbone; its vision transformer stays as it is.
    pub backbone: Blip2,
    /// IMAGINE's head.
    pub imagine: Option<Imagine>,
}

/// Features of items that never change, one row each: targets as they were before training.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    values: Vec<f32>,
    dim: usize,
}

impl Rows {
    /// From rows of `dim` numbers.
    pub fn new(values: Vec<f32>, dim: usize) -> Self {
        Self { values, dim }
    }

    /// Some of them (B, D).
    pub fn take(&self, rows: impl Iterator<Item = usize>, device: &Device) -> Tensor<2> {
        let values: Vec<f32> = rows.flat_map(|r| self.values[r * self.dim..][..self.dim].iter().copied()).collect();
        let b = values.len() / self.dim.max(1);
        Tensor::<1>::from_data(TensorData::new(values, [b * self.dim]), device).reshape([b, self.dim])
    }

    /// All of them, one after the other.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Targets as they were before training, where they stay so.
#[derive(Clone, Debug, Default)]
pub struct Frozen {
    /// Of every item, all its frames looked at together (N, E), as a gallery looks at them.
    pub items: Rows,
    /// Of every question's target, its frames looked at one by one and weighted by how well the words fit each;
    /// empty where the set does not say how well.
    asked: Rows, // (A, E)
}

impl Frozen {
    /// What the targets of some questions show (B, E).
    pub fn targets(&self, asked: &[&Asked], device: &Device) -> Tensor<2> {
        match self.asked.is_empty() {
            true => self.items.take(asked.iter().map(|a| a.targets[0]), device),
            false => self.asked.take(asked.iter().map(|a| a.row), device),
        }
    }
}

/// The stage.
pub struct Compose<'a> {
    /// Its settings.
    pub settings: &'a Settings,
    /// Words, view.
    pub model: &'a Model,
    /// What the items show.
    pub tokens: &'a Tokens,
    /// Their names.
    pub names: Vec<String>,
    /// Questions, by family.
    pub questions: Vec<Vec<Asked>>,
    /// The same for the validation split.
    pub val_tokens: &'a Tokens,
    /// Validation questions.
    pub val_questions: Vec<Asked>,
    /// Targets as they were before training, where they stay so: to learn from, and to watch on.
    pub frozen: Option<(Frozen, Frozen)>,
    /// What the items' captions say, where the loss asks for it.
    pub captions: Option<Rows>,
    /// Seed of all choices.
    pub seed: u64,
    /// Where gradients live.
    pub device: Device,
    /// Which method, and its settings.
    pub head: Head,
}

impl Net {
    /// A head around a backbone, its prototype libraries begun as its settings say.
    pub fn begin(task: &Compose<'_>, backbone: Blip2, head: Option<Imagine>) -> Self {
        let (Head::Imagine(c), Some(head)) = (&task.head, head) else { return Self { backbone, imagine: None } };
        if c.begin == Begin::Random {
            return Self { backbone, imagine: Some(head) };
        }
        let mut rng = Rng::keyed(task.seed, &[5, 0]);
        let all: Vec<&Asked> = task.questions.iter().flatten().collect();
        let some: Vec<&Asked> = (0..c.prototypes * 4).map(|_| all[rng.below(all.len())]).collect();
        let references: Vec<usize> = some.iter().map(|a| a.reference).collect();
        // As many at once as a step takes, which is what there is memory for.
        let at_once = if task.settings.chunk == 0 { some.len() } else { task.settings.chunk };
        let look = |chunk: &[usize]| {
            backbone.image_tokens(&task.tokens.sight(&backbone, chunk, &task.device)).detach() // (n, Q, E)
        };
        let seen = Tensor::cat(references.chunks(at_once).map(look).collect(), 0); // (N, Q, E)
        let read = |chunk: &[&Asked]| say(&backbone, &task.words(chunk, &task.device), c).detach();
        let said = Tensor::cat(some.chunks(at_once).map(read).collect(), 0); // (N, E)
        let [n, q, e] = seen.dims();
        let slots = |proj: &nets::layers::Linear| {
            let queries = backbone.qformer.query_tokens.val().detach();
            let d = queries.dims()[2];
            proj.forward(queries.reshape([q, d])).detach()
        };
        let (pictures, words) = match c.begin {
            Begin::Queries => (slots(&backbone.vision_proj), slots(&backbone.text_proj)),
            Begin::Slots => (seen.sum_dim(0).reshape([q, e]) / n as f64, said),
            // Anywhere has left above.
            Begin::Samples | Begin::Random => (pool(seen), said),
        };
        let imagine = Imagine {
            picture_library: head.picture_library.begin(pictures),
            words_library: head.words_library.begin(words),
            ..head
        };
        Self { backbone, imagine: Some(imagine) }
    }
}

/// What of a question is looked at.
#[derive(Clone, Copy)]
enum Side {
    Reference,
    Target,
}

impl Compose<'_> {
    fn words(&self, asked: &[&Asked], device: &Device) -> Words {
        let rows: Vec<Vec<i32>> = asked.iter().map(|a| a.words.clone()).collect();
        self.model.words.pad(&rows, device)
    }

    /// What of a batch carries gradients into the backbone, each (B, D): for IMAGINE reference, words and
    /// composed, for CoVR-2 composed; then the target, where the network that learns makes it.
    fn features(&self, net: &Net, asked: &[&Asked], step: usize, device: &Device) -> Vec<Tensor<2>> {
        let sight = self.sight(net, asked, step, Side::Reference, device);
        let words = self.words(asked, device);
        let mut out = match &self.head {
            Head::Imagine(c) => {
                let (reference, said, composed) = hear(&net.backbone, &sight, &words, c);
                vec![reference, said, composed]
            }
            Head::Covr2(_) => vec![pool(net.backbone.composed_tokens(&sight, &words))],
        };
        if self.frozen.is_none() {
            let sight = self.sight(net, asked, step, Side::Target, device);
            out.push(pool(net.backbone.image_tokens(&sight)));
        }
        out
    }

    /// What the references or the targets of some questions show in this step.
    fn sight(&self, net: &Net, asked: &[&Asked], step: usize, side: Side, device: &Device) -> Sight {
        let item = |a: &Asked| match side {
            Side::Reference => a.reference,
            Side::Target => a.targets[0],
        };
        if self.settings.random_frames == 0 {
            let items: Vec<usize> = asked.iter().map(|a| item(a)).collect();
            return self.tokens.sight(&net.backbone, &items, device);
        }
        // By what is looked at, not by when: a batch in chunks, gone through twice, sees the same.
        let draw = |a: &&Asked| (item(a), Rng::keyed(self.seed, &[6, step as u64, a.row as u64, side as u64]));
        self.tokens.glimpse(&net.backbone, asked.iter().map(draw), self.settings.random_frames, device)
    }

    /// The loss of a whole batch's features, what is worth watching, and what prototypes follow.
    fn loss(
        &self,
        net: &Net,
        asked: &[&Asked],
        features: Vec<Tensor<2>>,
    ) -> (Tensor<1>, Vec<(&'static str, Tensor<1>)>, Vec<Tensor<2>>) {
        let same = Some(also_right(asked, &self.device));
        let mut features = features.into_iter();
        let mut next = || features.next().unwrap_or_else(|| Tensor::zeros([asked.len(), 1], &self.device));
        match (&self.head, &net.imagine) {
            (Head::Imagine(c), Some(head)) => {
                let (reference, words, composed) = (next(), next(), next());
                let target = match &self.frozen {
                    Some((frozen, _)) => frozen.targets(asked, &self.device),
                    None => next(),
                };
                let mut followed = reference.clone().detach();
                if c.followed == Followed::Both {
                    followed = Tensor::cat(vec![followed, target.clone().detach()], 0);
                }
                let carry = vec![followed, words.clone().detach()];
                let l = imagine::loss(head, imagine::Features { reference, words, composed, target }, same, c);
                let marks = vec![
                    ("classification", l.classification),
                    ("schema", l.schema),
                    ("confidence", l.confidence),
                    ("first", l.first),
                    ("spread", l.spread),
                ];
                (l.total, marks, carry)
            }
            (Head::Covr2(c), _) => {
                let composed = next();
                let target = match &self.frozen {
                    Some((frozen, _)) => frozen.targets(asked, &self.device),
                    None => next(),
                };
                let caption = self.captions.as_ref();
                let caption = caption.map(|rows| rows.take(asked.iter().map(|a| a.targets[0]), &self.device));
                let l = covr2::loss(covr2::Features { composed, target, caption }, same, c);
                (l.total, vec![("first", l.first)], Vec::new())
            }
            (Head::Imagine(_), None) => unreachable!("a net for IMAGINE is begun with its head"),
        }
    }

    fn batch(&self, step: usize) -> Vec<&Asked> {
        self.settings.batches(self.seed).at(step, &self.questions)
    }

    /// Two passes: the loss of the whole batch, the graph of a chunk.
    fn in_chunks(&self, net: &Net, asked: &[&Asked], step: usize) -> Step {
        let chunks: Vec<&[&Asked]> = asked.chunks(self.settings.chunk).collect();
        let mut parts: Vec<Vec<Tensor<2>>> = Vec::new();
        // A graph lives until something runs backward: the first pass must not make one.
        let (still, plain) = (net.valid(), self.device.clone().inner());
        for chunk in &chunks {
            for (i, f) in self.features(&still, chunk, step, &plain).into_iter().enumerate() {
                if parts.len() <= i {
                    parts.push(Vec::new());
                }
                parts[i].push(f);
            }
        }
        let leaf = |p| Tensor::from_data(Tensor::cat(p, 0).into_data(), &self.device).require_grad();
        let leaves: Vec<Tensor<2>> = parts.into_iter().map(leaf).collect();
        let (total, marks, carry) = self.loss(net, asked, leaves.clone());
        let back = total.backward();
        let trains = |n: &str| self.trains(n);
        let mut grads = Grads::of(net, &back, &trains);
        let wanted: Vec<Option<Rows>> =
            leaves.iter().map(|leaf| leaf.grad(&back).map(|g| Rows::new(floats(g), leaf.dims()[1]))).collect();
        drop(back);
        let mut at = 0;
        for chunk in &chunks {
            let rows = at..at + chunk.len();
            at = rows.end;
            // The sum of feature · its gradient has the loss' gradient.
            let towards = self
                .features(net, chunk, step, &self.device)
                .into_iter()
                .zip(&wanted)
                .filter_map(|(f, g)| Some((f * g.as_ref()?.take(rows.clone(), &self.device)).sum()))
                .reduce(|a, b| a + b);
            if let Some(towards) = towards {
                grads.add(Grads::of(net, &towards.backward(), &trains));
            }
        }
        Step {
            loss: floats(total)[0],
            marks: marks.into_iter().map(|(n, t)| (n, floats(t)[0])).collect(),
            grads,
            carry,
        }
    }
}

impl Task for Compose<'_> {
    type Net = Net;

    fn name(&self) -> &'static str {
        self.head.name()
    }

    fn trains(&self, name: &str) -> bool {
        let mut frozen =
            vec!["backbone.vit.", "backbone.ln_vision.", "imagine.picture_library.", "imagine.words_library."];
        if self.frozen.is_some() {
            // The gallery's side keeps them, and both sides share them.
            frozen.push("backbone.frame_positions");
        }
        !frozen.iter().any(|f| name.starts_with(f))
    }

    fn step(&self, net: &Net, step: usize) -> Step {
        let asked = self.batch(step);
        if (1..asked.len()).contains(&self.settings.chunk) {
            return self.in_chunks(net, &asked, step);
        }
        let features = self.features(net, &asked, step, &self.device);
        let (total, marks, carry) = self.loss(net, &asked, features);
        Step::back(self, net, total, marks, carry)
    }

    fn after(&self, net: Net, step: usize, carry: Vec<Tensor<2>>) -> Net {
        let epoch = self.settings.batches(self.seed).ends_epoch(step, &self.questions);
        let Net { backbone, imagine } = net;
        let imagine = match &self.head {
            Head::Imagine(c) => imagine.map(|head| followed(head, c, epoch, carry)),
            Head::Covr2(_) => imagine,
        };
        Net { backbone, imagine }
    }

    fn describe(&self, step: usize) -> serde_json::Value {
        described(&self.batch(step), &self.names)
    }

    fn validate(&self, net: &Net) -> Vec<(&'static str, f32)> {
        let frozen = self.frozen.as_ref().map(|f| &f.1);
        let gallery = self.gallery(net, self.val_tokens, frozen);
        let (queries, heard) = self.queries(net, self.val_tokens, &self.val_questions);
        let mut marks = vec![("val_r1", first_share(&queries, &gallery, &self.val_questions))];
        if let (Head::Imagine(c), Some(head), Some((v, x))) = (&self.head, &net.imagine, heard) {
            marks.extend(diversity(&head.valid(), c, v, x));
        }
        marks
    }
}

impl Compose<'_> {
    /// Unit vectors of all items of a split, one after the other.
    pub fn gallery(&self, net: &Net, tokens: &Tokens, frozen: Option<&Frozen>) -> Rows {
        let (net, device) = (net.valid(), self.device.clone().inner());
        let e = self.model.manifest.backbone.embed();
        let all: Vec<usize> = (0..tokens.items()).collect();
        let mut out = Vec::new();
        for chunk in all.chunks(64) {
            let features = match frozen {
                Some(frozen) => frozen.items.take(chunk.iter().copied(), &device),
                None => pool(net.backbone.image_tokens(&tokens.sight(&net.backbone, chunk, &device))),
            };
            out.extend(floats(normalise(features)));
        }
        Rows::new(out, e)
    }

    /// Unit vectors of some questions, one after the other; and of the last of them what the
    /// libraries are asked for: references and words.
    pub fn queries(&self, net: &Net, tokens: &Tokens, asked: &[Asked]) -> (Rows, Option<(Tensor<2>, Tensor<2>)>) {
        let (net, device) = (net.valid(), self.device.clone().inner());
        let mut out = Vec::new();
        let mut last = None;
        for chunk in asked.chunks(64) {
            let chunk: Vec<&Asked> = chunk.iter().collect();
            let references: Vec<usize> = chunk.iter().map(|a| a.reference).collect();
            let sight = tokens.sight(&net.backbone, &references, &device);
            let words = self.words(&chunk, &device);
            let queries = match (&self.head, &net.imagine) {
                (Head::Imagine(c), Some(head)) => {
                    let (v, x, f) = hear(&net.backbone, &sight, &words, c);
                    last = Some((v.clone(), x.clone()));
                    query(head, c, v, x, f)
                }
                _ => normalise(pool(net.backbone.composed_tokens(&sight, &words))),
            };
            out.extend(floats(queries));
        }
        (Rows::new(out, self.model.manifest.backbone.embed()), last)
    }
}

/// The libraries after a step, as often as they follow.
pub fn followed(head: Imagine, c: &imagine::Config, ends_epoch: bool, carry: Vec<Tensor<2>>) -> Imagine {
    let mut carry = carry.into_iter();
    let (Some(v), Some(x)) = (carry.next(), carry.next()) else { return head };
    if c.follow_every == Every::Epoch && !ends_epoch {
        return head;
    }
    Imagine {
        picture_library: head.picture_library.follow(v, c),
        words_library: head.words_library.follow(x, c),
        ..head
    }
}

/// Whether the libraries still say different things, and to whom.
pub fn diversity(head: &Imagine, c: &imagine::Config, v: Tensor<2>, x: Tensor<2>) -> [(&'static str, f32); 4] {
    [
        ("likeness", head.picture_library.likeness()),
        ("likeness_words", head.words_library.likeness()),
        ("usage", head.picture_library.usage(v, c)),
        ("usage_words", head.words_library.usage(x, c)),
    ]
}

/// Share of questions whose best item, the reference left out, is right.
pub fn first_share(queries: &Rows, gallery: &Rows, asked: &[Asked]) -> f32 {
    let e = gallery.dim.max(1);
    let items = gallery.values.len() / e;
    let right = queries
        .values
        .par_chunks(e)
        .zip(asked)
        .filter(|(q, a)| {
            let score = |i: usize| q.iter().zip(&gallery.values[i * e..]).map(|(a, b)| a * b).sum::<f32>();
            let best =
                (0..items).filter(|i| *i != a.reference).map(|i| (i, score(i))).max_by(|a, b| a.1.total_cmp(&b.1));
            best.is_some_and(|b| a.targets.contains(&b.0))
        })
        .count();
    right as f32 / asked.len().max(1) as f32
}

/// Targets as `gallery` makes them, not scaled to length one: of all items, and of `asked`, the questions of
/// the set in the order of their rows, where any of them says how well its words fit the frames.
pub fn frozen(model: &Model, gallery: &Gallery, tokens: &Tokens, asked: &[Asked]) -> Result<Frozen, TrainError> {
    let (net, e) = (model.backbone.blip2()?, model.manifest.backbone.embed());
    let all: Vec<usize> = (0..tokens.items()).collect();
    let mut items = Vec::new();
    for chunk in all.chunks(64) {
        let sight = tokens.sight(net, chunk, &model.device);
        items.extend(floats(pool(gallery.image_tokens(&sight))));
    }
    let mut own = Vec::new();
    if asked.iter().any(|a| !a.frame_scores.is_empty()) {
        let mut by_target: BTreeMap<usize, Vec<&Asked>> = BTreeMap::new();
        asked.iter().for_each(|a| by_target.entry(a.targets[0]).or_default().push(a));
        own = vec![0.0; asked.len() * e];
        for (target, about) in by_target {
            let frames = gallery.image_tokens(&tokens.one_by_one(net, target, &model.device)); // (F, Q, E)
            for a in about {
                let shown = covr2::pool_frames(frames.clone(), Some(&a.frame_scores)).unsqueeze(); // (1, Q, E)
                own[a.row * e..][..e].copy_from_slice(&floats(pool(shown)));
            }
        }
    }
    Ok(Frozen { items: Rows::new(items, e), asked: Rows::new(own, e) })
}

/// What the items' captions say to the network as it is: (N, E).
pub fn caption_rows(model: &Model, captions: &[String]) -> Result<Rows, TrainError> {
    let net = model.backbone.blip2()?;
    let mut out = Vec::new();
    for chunk in captions.chunks(64) {
        let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
        out.extend(floats(net.text(&model.words.batch(&chunk, &model.device))));
    }
    Ok(Rows::new(out, model.manifest.backbone.embed()))
}
