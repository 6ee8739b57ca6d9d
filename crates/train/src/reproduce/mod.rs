//! The paper's tables and figures again, on scenes: every variant of IMAGINE trained with several
//! seeds and marked, and what came out put side by side.
//!
//! Each run of a variant leaves one small file with every question's rank; what is there already is
//! not trained again, so that hours of work survive a stop, and every number of the report can be
//! computed anew.
//! Marks are given by `benchmarks` on all test scenes; nothing is chosen by them.

mod cost;
mod summary;

pub use cost::{Cost, cost};
pub use summary::{Group, Line, Spread, Summary, summary};

use crate::TrainError;
use crate::adapt::{Adapt, Fixed};
use crate::compose::{self, Compose, Head, Learns, Net, Rows, Settings};
use crate::data::Drawn;
use crate::pretrain::families;
use crate::questions::{Asked, questions};
use crate::recipe::Precision;
use crate::run::{Ended, Plan, Progress, Task, train};
use crate::tokens::Tokens;
use benchmarks::bootstrap::Bootstrap;
use benchmarks::{Benchmark, Protocol};
use burn::module::Module as _;
use domain::{Digest, GalleryEntry, Split, Triplet};
use methods::imagine::{Config, Imagine, VARIANTS, Variant};
use methods::{Gallery, Model};
use nets::blip2::Blip2;
use nets::weights::Tensors;
use scenes::World;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// How the variants are trained and marked.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Course {
    /// Families to learn from.
    pub train: usize,
    /// Families to be marked on.
    pub test: usize,
    /// One run of each variant for each.
    pub seeds: Vec<u64>,
    /// How long, how large a batch, what learns.
    pub training: Settings,
    /// In what linear layers multiply.
    pub precision: Precision,
    /// The full method; variants change it.
    pub head: Config,
}

impl Course {
    /// The Q-Former learns, as in the paper: hours on two cores.
    pub fn full() -> Self {
        let training = Settings {
            steps: 300,
            families: 16,
            triplets: 4,
            rate: 5e-4,
            warmup: 30,
            decay: 0.05,
            chunk: 0,
            learns: Learns::QFormer,
        };
        let head = Config::default();
        Self { train: 1500, test: 230, seeds: vec![1, 2, 3], training, precision: Precision::Bf16, head }
    }

    /// Adapter mode: the head alone learns, on features made once; minutes.
    pub fn quick() -> Self {
        let full = Self::full();
        let training =
            Settings { steps: 150, families: 32, rate: 1e-3, warmup: 15, learns: Learns::Head, ..full.training };
        Self { train: 300, test: 60, training, ..full }
    }

    /// Whether this variant can be run in this course; a sentence says why not.
    pub fn can(&self, variant: &Variant, queries: usize) -> Result<(), String> {
        use methods::imagine::{Begin, WordsFeature};
        let c = self.settings(variant);
        let fixed = self.training.learns == Learns::Head;
        if fixed && matches!(c.begin, Begin::Slots | Begin::Queries) {
            return Err("features that are made once have no slots".into());
        }
        if matches!(c.begin, Begin::Slots | Begin::Queries) && queries != c.prototypes {
            return Err(format!("the backbone has {queries} queries for {} prototypes", c.prototypes));
        }
        if fixed && c.words_feature != WordsFeature::Cls {
            return Err("features that are made once are made in one way".into());
        }
        c.check()
    }

    fn settings(&self, variant: &Variant) -> Config {
        let mut c = self.head.clone();
        (variant.set)(&mut c);
        c
    }
}

/// One run of one variant.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// Digest of all that it depends on.
    pub key: Digest,
    /// Which variant.
    pub variant: String,
    /// Which seed.
    pub seed: u64,
    /// Training, seconds; of this machine, under whatever load it had.
    pub secs: f64,
    /// What the journal said last, such as the libraries' likeness and usage.
    pub last: Vec<(String, f32)>,
    /// The best right answer's rank of every question, in the exam's order.
    pub ranks: Vec<usize>,
    /// The first few answers to every question, as places in the gallery; of the variants that
    /// Figure 7 compares, and absent in runs from before it was drawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub best: Vec<Vec<usize>>,
}

/// The variants whose answers are shown side by side (Figure 7).
pub const COMPARED: [&str; 2] = ["full", "without-sic"];
/// Answers that are kept of each question.
const KEPT: usize = 5;

/// Everything that was run, with the questions that were asked.
pub struct Runs {
    /// How.
    pub course: Course,
    /// The model that every variant began from.
    pub model: String,
    /// Its weights.
    pub weights: Digest,
    /// The exam's questions, in its order.
    pub questions: Vec<Triplet>,
    /// Names of the gallery's items.
    pub gallery: Vec<String>,
    /// The questions' and answers' digest.
    pub asked: Digest,
    /// Every run, variant by variant.
    pub outcomes: Vec<Outcome>,
    /// Variants that were left out, with the reason.
    pub left_out: Vec<(&'static str, String)>,
    /// The full method as its first seed left it, if that run was made here (Figure 8).
    pub full: Option<PathBuf>,
}

/// The parts that all runs share.
struct Prepared {
    learn_tokens: Tokens,
    test_tokens: Tokens,
    ask: Vec<Vec<Asked>>,
    test_ask: Vec<Asked>,
    names: Vec<String>,
    benchmark: Benchmark,
}

/// Trains and marks every variant that `wanted` names (all if it is empty); `None` if it was stopped.
pub fn imagine(
    dir: &Path,
    model: &Model,
    course: &Course,
    wanted: &[String],
    tell: &mut (dyn FnMut(Progress) + Send),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Runs>, TrainError> {
    let tell = Mutex::new(tell);
    let report = |stage: &'static str, done: usize, total: usize, line: String| {
        if let Ok(mut tell) = tell.lock() {
            tell(Progress { stage, done, total, line });
        }
    };
    let fail = |path: &Path, e: std::io::Error| TrainError::File { path: path.to_owned(), why: e.to_string() };
    let runs = dir.join("runs");
    std::fs::create_dir_all(&runs).map_err(|e| fail(&runs, e))?;
    let Some(world) = prepare(dir, model, course, &report, stop)? else { return Ok(None) };
    let fixed = match course.training.learns {
        Learns::QFormer => None,
        Learns::Head => {
            let tell = |d, t| report("features", d, t, String::new());
            let of =
                |tokens: &Tokens, asked: &[Asked]| Fixed::of(model, tokens, asked, &course.head, &tell, &|| stop());
            let flat: Vec<Asked> = world.ask.iter().flatten().cloned().collect();
            let Some(learn) = of(&world.learn_tokens, &flat)? else { return Ok(None) };
            let Some(test) = of(&world.test_tokens, &world.test_ask)? else { return Ok(None) };
            Some((learn, test))
        }
    };

    let queries = model.manifest.backbone.blip2()?.queries;
    let (mut todo, mut left_out) = (Vec::new(), Vec::new());
    for variant in VARIANTS.iter().filter(|v| wanted.is_empty() || wanted.iter().any(|w| w == v.name)) {
        match course.can(variant, queries) {
            Ok(()) => todo.extend(course.seeds.iter().map(|seed| (variant, *seed))),
            Err(why) => left_out.push((variant.name, why)),
        }
    }
    let full = dir.join("full");
    let ended = AtomicUsize::new(0);
    let one = |i: usize, stop: &(dyn Fn() -> bool + Sync)| -> Result<Option<Outcome>, TrainError> {
        let (variant, seed) = todo[i];
        let path = runs.join(format!("{}-{seed}.json", variant.name));
        let c = course.settings(variant);
        let key = key(model, course, &c, seed, &world.benchmark);
        let old = std::fs::read(&path).ok().and_then(|b| serde_json::from_slice::<Outcome>(&b).ok());
        let outcome = match old.filter(|o| o.key == key) {
            Some(outcome) => outcome,
            None => {
                let tell = &mut |p: Progress| {
                    let line = format!("{} {seed}: {}/{} {}", variant.name, p.done, p.total, p.line);
                    report("run", ended.load(Ordering::Relaxed), todo.len(), line);
                };
                let place = runs.join(format!("{}-{seed}", variant.name));
                let shown = variant.name == "full" && course.seeds.first() == Some(&seed);
                let keep = shown.then_some(full.as_path());
                let Some((secs, last, queries, gallery)) =
                    run(&place, model, course, c, seed, &world, fixed.as_ref(), &key, keep, tell, stop)?
                else {
                    return Ok(None);
                };
                let ranks = ranks(&world, &queries, &gallery)?;
                let best = match COMPARED.contains(&variant.name) {
                    true => best(&world, &queries, &gallery),
                    false => Vec::new(),
                };
                let outcome = Outcome { key, variant: variant.name.into(), seed, secs, last, ranks, best };
                let text = serde_json::to_string(&outcome).unwrap_or_default();
                let tmp = path.with_extension("tmp");
                std::fs::write(&tmp, text).and_then(|()| std::fs::rename(&tmp, &path)).map_err(|e| fail(&path, e))?;
                // Its marks are kept; its checkpoint would only fill the disk.
                std::fs::remove_dir_all(&place).map_err(|e| fail(&place, e))?;
                outcome
            }
        };
        let done = 1 + ended.fetch_add(1, Ordering::Relaxed);
        report("run", done, todo.len(), format!("{} {seed}", variant.name));
        Ok(Some(outcome))
    };
    let Some(outcomes) = side_by_side(todo.len(), &one, stop)? else { return Ok(None) };
    Ok(Some(Runs {
        course: course.clone(),
        model: model.manifest.name.clone(),
        weights: model.manifest.weights,
        asked: world.benchmark.digest(),
        gallery: world.benchmark.gallery.into_iter().map(|g| g.name).collect(),
        questions: world.benchmark.queries,
        outcomes,
        left_out,
        full: full.join("manifest.json").exists().then_some(full),
    }))
}

/// Runs at once, at most. A step of this size does not fill several threads: two runs of one thread
/// each end sooner than two of two threads, one after the other. Each takes some 2 GB.
const AT_ONCE: usize = 4;

/// What `one` gives for 0, 1, … `n`, several at once, each with its share of the threads; `None` if it
/// was stopped. The first failure stops the others.
fn side_by_side<T: Send>(
    n: usize,
    one: &(dyn Fn(usize, &(dyn Fn() -> bool + Sync)) -> Result<Option<T>, TrainError> + Sync),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Vec<T>>, TrainError> {
    let threads = rayon::current_num_threads();
    let workers = threads.min(AT_ONCE).min(n.max(1));
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let enough = || stop() || failed.load(Ordering::Relaxed);
    let work = || -> Result<Vec<(usize, Option<T>)>, TrainError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads / workers).build();
        let pool = pool.map_err(|e| TrainError::Threads(e.to_string()))?;
        let mut made = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= n {
                return Ok(made);
            }
            let value = pool.install(|| one(i, &enough)).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            let stopped = value.is_none();
            made.push((i, value));
            if stopped {
                return Ok(made);
            }
        }
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..workers).map(|_| scope.spawn(&work)).collect();
        parts.into_iter().map(|p| p.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut all = Vec::with_capacity(n);
    for part in parts {
        all.extend(part?);
    }
    all.sort_by_key(|(i, _)| *i);
    Ok(all.into_iter().map(|(_, value)| value).collect())
}

/// The device's random numbers are the process's: whoever draws weights from a seed draws them alone.
static DRAWING: Mutex<()> = Mutex::new(());

/// `net` drawn from the seed, to its last parameter.
fn drawn<N: burn::module::Module>(device: &burn::tensor::Device, seed: u64, net: impl FnOnce() -> N) -> N {
    let _alone = DRAWING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    device.seed(seed);
    let net = net();
    // A parameter is drawn when it is first read.
    drop(Tensors::of(&net));
    net
}

/// Everything that a run's ranks depend on.
fn key(model: &Model, course: &Course, c: &Config, seed: u64, benchmark: &Benchmark) -> Digest {
    let what = serde_json::json!({
        "format": 2, "weights": model.manifest.weights, "training": course.training, "precision": course.precision,
        "head": c, "seed": seed,
        "train": course.train, "asked": benchmark.digest(), "rules": benchmark.protocol.digest(),
    });
    Digest::of(what.to_string().as_bytes())
}

fn prepare(
    dir: &Path,
    model: &Model,
    course: &Course,
    report: &(dyn Fn(&'static str, usize, usize, String) + Sync),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Prepared>, TrainError> {
    let set = scenes::build(&World { train: course.train, val: 0, test: course.test, ..World::shipped() });
    let manifest = &model.manifest;
    let draw =
        |split| Drawn::new(&set, split, &manifest.view, manifest.sampling, &|d, t| report("draw", d, t, String::new()));
    let (learn, test) = (draw(Split::Train), draw(Split::Test));
    let place = dir.join("tokens");
    std::fs::create_dir_all(&place).map_err(|e| TrainError::File { path: place.clone(), why: e.to_string() })?;
    let size = Tokens::bytes(model, &learn)? + Tokens::bytes(model, &test)?;
    report("encode", 0, 1, format!("{:.2} GB of vision tokens in {}", size as f64 / 1e9, place.display()));
    let tokens = |drawn: &Drawn, name: &str| {
        let tell = |d, t| report("encode", d, t, String::new());
        Tokens::on_disk(&place.join(name), model, drawn, &tell, &|| stop())
    };
    let Some(learn_tokens) = tokens(&learn, "train.f16")? else { return Ok(None) };
    let Some(test_tokens) = tokens(&test, "test.f16")? else { return Ok(None) };
    let ask = |drawn: &Drawn| questions(&set, drawn, &families(drawn), model);
    let entry = |i: &scenes::Named| GalleryEntry {
        name: i.name.clone(),
        path: String::new(),
        caption: Some(i.caption.clone()),
        split: Some(Split::Test),
        region: None,
    };
    let gallery: Vec<GalleryEntry> = test.items.iter().map(entry).collect();
    let asked: Vec<Asked> = ask(&test).into_iter().flatten().collect();
    let mut by_id: std::collections::HashMap<&str, &Triplet> =
        set.triplets.iter().map(|t| (t.id.as_str(), t)).collect();
    let queries: Vec<Triplet> = asked.iter().filter_map(|a| by_id.remove(a.id.as_str()).cloned()).collect();
    let protocol = Protocol::default().within(gallery.len());
    let benchmark = Benchmark::new("scenes", gallery, queries, protocol)?;
    Ok(Some(Prepared {
        learn_tokens,
        test_tokens,
        ask: ask(&learn),
        test_ask: asked,
        names: learn.items.iter().map(|i| i.name.clone()).collect(),
        benchmark,
    }))
}

/// Trains one variant with one seed: seconds, the last journal entry, and both sides of the exam.
fn run(
    place: &Path,
    model: &Model,
    course: &Course,
    c: Config,
    seed: u64,
    world: &Prepared,
    fixed: Option<&(Fixed, Fixed)>,
    key: &Digest,
    keep: Option<&Path>,
    tell: &mut dyn FnMut(Progress),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<(f64, Vec<(String, f32)>, Rows, Rows)>, TrainError> {
    let s = &course.training;
    let plan = Plan {
        steps: s.steps,
        rate: s.rate,
        warmup: s.warmup,
        decay: s.decay,
        precision: course.precision.into(),
        validate_every: 0,
        checkpoint_every: 100,
        dir: place,
    };
    let device = nets::cpu().autodiff();
    let began = Instant::now();
    let named = |marks: Vec<(&'static str, f32)>| marks.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
    let embed = model.manifest.backbone.embed();
    if let Some((learn, test)) = fixed {
        let task = Adapt {
            settings: s,
            features: learn,
            questions: &world.ask,
            val_features: test,
            val_questions: &world.test_ask,
            names: &world.names,
            seed,
            device: device.clone(),
            head: c.clone(),
        };
        let net = drawn(&device, seed, || task.begin(Imagine::new(&c, embed, &device)));
        let (net, ended) = train(&task, net, &plan, &key.to_string(), tell, stop)?;
        let secs = began.elapsed().as_secs_f64();
        if let (Some(keep), Ended::Done) = (keep, ended) {
            kept(keep, model, None, &net, &c)?;
        }
        let queries = test.queries(&net, &c, &world.test_ask, &device);
        let marks = named(task.validate(&net));
        return Ok((ended == Ended::Done).then(|| (secs, marks, queries, test.gallery(&device))));
    }
    let backbone = model.backbone.blip2()?;
    let frozen = match c.target {
        methods::imagine::Target::Online => None,
        methods::imagine::Target::Frozen => {
            let rows = |t: &Tokens| compose::frozen_rows(model, &Gallery::of(backbone), t);
            Some((rows(&world.learn_tokens)?, rows(&world.test_tokens)?))
        }
    };
    let task = Compose {
        settings: s,
        model,
        tokens: &world.learn_tokens,
        names: world.names.clone(),
        questions: world.ask.clone(),
        val_tokens: &world.test_tokens,
        val_questions: world.test_ask.clone(),
        frozen,
        captions: None,
        seed,
        device: device.clone(),
        head: Head::Imagine(c.clone()),
    };
    let config = model.manifest.backbone.blip2()?;
    let own = Tensors::of(backbone).fill(Blip2::new(config, &device), &device)?;
    let net = drawn(&device, seed, || Net::begin(&task, own, Some(Imagine::new(&c, embed, &device))));
    let (net, ended) = train(&task, net, &plan, &key.to_string(), tell, stop)?;
    let secs = began.elapsed().as_secs_f64();
    if ended != Ended::Done {
        return Ok(None);
    }
    if let (Some(keep), Some(head)) = (keep, &net.imagine) {
        kept(keep, model, Some(&net.backbone), head, &c)?;
    }
    let gallery = task.gallery(&net, &world.test_tokens, task.frozen.as_ref().map(|f| &f.1));
    let (queries, heard) = task.queries(&net, &world.test_tokens, &world.test_ask);
    let marks = match (&net.imagine, heard) {
        (Some(head), Some((v, x))) => named(compose::diversity(&head.valid(), &c, v, x).to_vec()),
        _ => Vec::new(),
    };
    Ok(Some((secs, marks, queries, gallery)))
}

/// Writes a trained head, and the backbone if that learnt too, as a model folder.
fn kept(dir: &Path, model: &Model, learnt: Option<&Blip2>, head: &Imagine, c: &Config) -> Result<(), TrainError> {
    let cpu = nets::cpu();
    model.save(dir, true)?;
    let mut own = Model::open(dir, &cpu)?;
    if let Some(learnt) = learnt {
        own.backbone = own.backbone.filled(&Tensors::of(learnt), &cpu)?;
    }
    own.imagine = Some(Tensors::of(head).fill(Imagine::new(c, own.manifest.backbone.embed(), &cpu), &cpu)?);
    own.manifest.imagine = Some(c.clone());
    own.save(dir, true)?;
    Ok(())
}

/// The first few answers to every question, its reference left out.
fn best(world: &Prepared, queries: &Rows, gallery: &Rows) -> Vec<Vec<usize>> {
    let e = gallery.dim().max(1);
    let of = |asked: &Asked, query: &[f32]| {
        let mut scored: Vec<(f32, usize)> = gallery
            .values()
            .chunks_exact(e)
            .map(|g| g.iter().zip(query).map(|(a, b)| a * b).sum())
            .enumerate()
            .map(|(i, s)| (s, i))
            .filter(|(_, i)| *i != asked.reference)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.into_iter().take(KEPT).map(|(_, i)| i).collect()
    };
    world.test_ask.iter().zip(queries.values().chunks_exact(e)).map(|(a, q)| of(a, q)).collect()
}

/// Every question's rank, by the exam's own rules.
fn ranks(world: &Prepared, queries: &Rows, gallery: &Rows) -> Result<Vec<usize>, TrainError> {
    let e = gallery.dim().max(1);
    let mut marker = world.benchmark.marker()?;
    for (asked, query) in world.test_ask.iter().zip(queries.values().chunks_exact(e)) {
        let scores: Vec<f32> =
            gallery.values().chunks_exact(e).map(|g| g.iter().zip(query).map(|(a, b)| a * b).sum()).collect();
        marker.add_scores(&asked.id, &scores)?;
    }
    // The intervals of one run are not read; those over seeds and questions are made from its ranks.
    let report = marker.finish(Bootstrap { resamples: 1, ..Bootstrap::default() })?;
    Ok(report.ranks.iter().map(|r| r.rank.unwrap_or(usize::MAX)).collect())
}
