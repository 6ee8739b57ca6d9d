//! The paper's tables and figures again, on scenes or on a set that lies here: every variant of IMAGINE
//! trained with several seeds and marked, and what came out put side by side.
//!
//! Each run of a variant leaves one small file with every question's rank; what is there already is
//! not trained again, so that hours of work survive a stop, and every number of the report can be
//! computed anew.
//! Marks are given by `benchmarks` on all test scenes, or on the split of a set that papers mark; nothing is
//! chosen by them.

mod cost;
mod summary;

pub use cost::{Cost, cost};
pub use summary::{Group, Line, Spread, Summary, averaged, printed, summary};

use crate::TrainError;
use crate::adapt::{Adapt, Fixed};
use crate::compose::{self, Compose, Head, Learns, Net, Rows, Settings};
use crate::data::{Drawn, Source};
use crate::filed::{Filed, digest_of};
use crate::pretrain::families;
use crate::questions::{Asked, questions};
use crate::recipe::Precision;
use crate::run::{Ended, Plan, Progress, Task, train};
use crate::tokens::Tokens;
use benchmarks::bootstrap::Bootstrap;
use benchmarks::sets::Set;
use benchmarks::{Benchmark, GalleryRule, Protocol};
use burn::module::Module as _;
use domain::{Digest, GalleryEntry, MediaRef, Split, Triplet};
use methods::imagine::{Config, Imagine, VARIANTS, Variant};
use methods::{Gallery, Model};
use nets::blip2::Blip2;
use nets::weights::Tensors;
use scenes::World;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// What is learnt from and marked on.
#[derive(Clone, Copy)]
pub enum Data<'a> {
    /// The world that is shipped: learnt from its train families, marked on its test families.
    Scenes,
    /// A set on disk: learnt from its train split, marked on the one that papers mark.
    Set(&'static Set, &'a Path),
}

impl Data<'_> {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Data::Scenes => "scenes",
            Data::Set(set, _) => set.name,
        }
    }
}

/// How the variants are trained and marked.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Course {
    /// Families to learn from; of a set, groups of as many questions as a batch takes of a family.
    pub train: usize,
    /// Families to be marked on; a set is asked whole.
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
    /// The data's name.
    pub data: &'static str,
    /// How.
    pub course: Course,
    /// The model that every variant began from.
    pub model: String,
    /// Its weights.
    pub model_weights: Digest,
    /// The exam's questions, in its order.
    pub questions: Vec<Triplet>,
    /// What each of them weighs in a mean: one, but where a set's mean is over exams of different sizes.
    pub weights: Vec<f64>,
    /// Names of the galleries' items.
    pub gallery: Vec<String>,
    /// Where each item lies, if it is a file.
    pub files: HashMap<String, MediaRef>,
    /// Files and questions that were left out, with the reason.
    pub broken: Vec<(String, String)>,
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
    exams: Vec<Part>,
    asked: Digest,
    files: HashMap<String, MediaRef>,
    broken: Vec<(String, String)>,
}

/// An exam: which of all items that are marked on are its gallery, and which of all questions are its own.
struct Part {
    benchmark: Benchmark,
    gallery: Range<usize>,
    questions: Range<usize>,
}

/// Trains and marks every variant that `wanted` names (all if it is empty); `None` if it was stopped.
pub fn imagine(
    dir: &Path,
    model: &Model,
    course: &Course,
    data: Data<'_>,
    wanted: &[String],
    tell: &mut (dyn FnMut(Progress) + Send),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Runs>, TrainError> {
    let tell = Mutex::new(tell);
    let report = |stage: &'static str, done: usize, total: usize, line: String| {
        if let Ok(mut tell) = tell.lock() {
            tell(Progress { stage, done, total, line, notice: false });
        }
    };
    let fail = |path: &Path, e: std::io::Error| TrainError::File { path: path.to_owned(), why: e.to_string() };
    let runs = dir.join("runs");
    std::fs::create_dir_all(&runs).map_err(|e| fail(&runs, e))?;
    let world = match data {
        Data::Scenes => on_scenes(dir, model, course, &report, stop)?,
        Data::Set(set, root) => on_set(dir, model, course, (set, root), &report, stop)?,
    };
    let Some(world) = world else { return Ok(None) };
    if world.ask.len() < course.training.families {
        return Err(TrainError::Few { need: course.training.families, of: data.name().into(), have: world.ask.len() });
    }
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
        let key = key(model, course, &c, seed, &world);
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
    let mean = world.test_ask.len() as f64 / world.exams.len().max(1) as f64;
    let weigh = |p: &Part| std::iter::repeat_n(mean / p.questions.len().max(1) as f64, p.questions.len());
    Ok(Some(Runs {
        data: data.name(),
        course: Course { train: world.ask.len().min(course.train), ..course.clone() },
        model: model.manifest.name.clone(),
        model_weights: model.manifest.weights,
        asked: world.asked,
        weights: world.exams.iter().flat_map(weigh).collect(),
        gallery: world.exams.iter().flat_map(|p| p.benchmark.gallery.iter().map(|g| g.name.clone())).collect(),
        questions: world.exams.into_iter().flat_map(|p| p.benchmark.queries).collect(),
        files: world.files,
        broken: world.broken,
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
        let parts: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
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
fn key(model: &Model, course: &Course, c: &Config, seed: u64, world: &Prepared) -> Digest {
    let what = serde_json::json!({
        "format": 2, "weights": model.manifest.weights, "training": course.training, "precision": course.precision,
        "head": c, "seed": seed,
        "train": course.train, "asked": world.asked, "rules": world.exams.first().map(|p| p.benchmark.protocol.digest()),
    });
    Digest::of(what.to_string().as_bytes())
}

/// Says where things are: stage, done, of, a line.
type Report<'a> = &'a (dyn Fn(&'static str, usize, usize, String) + Sync);

/// Tokens of both parts, on disk in the run's folder; `None` if it was stopped.
fn tokens(
    dir: &Path,
    model: &Model,
    (learn, test): (&dyn Source, &dyn Source),
    report: Report<'_>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<(Tokens, Tokens)>, TrainError> {
    let place = dir.join("tokens");
    std::fs::create_dir_all(&place).map_err(|e| TrainError::File { path: place.clone(), why: e.to_string() })?;
    let size = Tokens::bytes(model, learn)? + Tokens::bytes(model, test)?;
    report("encode", 0, 1, format!("{:.2} GB of vision tokens in {}", size as f64 / 1e9, place.display()));
    let of = |source: &dyn Source, name: &str| {
        let tell = |d, t| report("encode", d, t, String::new());
        Tokens::on_disk(&place.join(name), model, source, &tell, &|| stop())
    };
    let Some(learn) = of(learn, "train.f16")? else { return Ok(None) };
    let Some(test) = of(test, "test.f16")? else { return Ok(None) };
    Ok(Some((learn, test)))
}

fn on_scenes(
    dir: &Path,
    model: &Model,
    course: &Course,
    report: Report<'_>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Prepared>, TrainError> {
    let set = scenes::build(&World { train: course.train, val: 0, test: course.test, ..World::shipped() });
    let manifest = &model.manifest;
    let draw =
        |split| Drawn::new(&set, split, &manifest.view, manifest.sampling, &|d, t| report("draw", d, t, String::new()));
    let (learn, test) = (draw(Split::Train), draw(Split::Test));
    let Some((learn_tokens, test_tokens)) = tokens(dir, model, (&learn, &test), report, stop)? else {
        return Ok(None);
    };
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
    let mut by_id: HashMap<&str, &Triplet> = set.triplets.iter().map(|t| (t.id.as_str(), t)).collect();
    let queries: Vec<Triplet> = asked.iter().filter_map(|a| by_id.remove(a.id.as_str()).cloned()).collect();
    let protocol = Protocol::default().within(gallery.len());
    let benchmark = Benchmark::new("scenes", gallery, queries, protocol)?;
    Ok(Some(Prepared {
        learn_tokens,
        test_tokens,
        ask: ask(&learn),
        names: learn.items.iter().map(|i| i.name.clone()).collect(),
        asked: benchmark.digest(),
        exams: vec![Part { gallery: 0..benchmark.gallery.len(), questions: 0..asked.len(), benchmark }],
        test_ask: asked,
        files: HashMap::new(),
        broken: Vec::new(),
    }))
}

/// A set that lies here. A batch is made of groups of questions that stand one after the other in the
/// set's file, where those about look-alikes often do; each question is asked in its first wording.
fn on_set(
    dir: &Path,
    model: &Model,
    course: &Course,
    (set, root): (&'static Set, &Path),
    report: Report<'_>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Prepared>, TrainError> {
    let usual = set.usual();
    let marked = set.splits.first().copied().unwrap_or(Split::Test);
    // Whom nobody asks about is nothing to learn from.
    let learnt = Protocol { gallery: GalleryRule::Named, ..usual.clone() };
    let look = |split: Split, protocol: &Protocol| -> Result<Option<Filed>, TrainError> {
        let exams = set.open(root, split, protocol)?.exams;
        let tell = |d: usize, t: usize| {
            if d.is_multiple_of(64) || d == t {
                report("look", d, t, split.to_string());
            }
        };
        Filed::look(exams, &model.manifest, &dir.join(format!("looked.{split}.json")), &tell, stop)
    };
    let Some(learn) = look(Split::Train, &learnt)? else { return Ok(None) };
    let Some(test) = look(marked, &usual)? else { return Ok(None) };
    let Some((learn_tokens, test_tokens)) = tokens(dir, model, (&learn, &test), report, stop)? else {
        return Ok(None);
    };
    let mut groups: Vec<Vec<Asked>> =
        learn.questions(model).chunks(course.training.triplets.max(1)).map(<[Asked]>::to_vec).collect();
    scenes::Rng::keyed(0, &[6]).shuffle(&mut groups);
    groups.truncate(course.train);
    groups.iter_mut().flatten().enumerate().for_each(|(row, a)| a.row = row);
    let test_ask = test.questions(model);
    let (asked, files) = (digest_of(test.exams.iter().map(|e| &e.benchmark)), test.files());
    let mut from = 0;
    let part = |e: crate::filed::Exam| {
        from += e.benchmark.queries.len();
        Part { gallery: e.gallery, questions: from - e.benchmark.queries.len()..from, benchmark: e.benchmark }
    };
    Ok(Some(Prepared {
        learn_tokens,
        test_tokens,
        names: learn.names(),
        ask: groups,
        test_ask,
        asked,
        files,
        broken: learn.left_out.into_iter().chain(test.left_out).collect(),
        exams: test.exams.into_iter().map(part).collect(),
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
        restarts: Vec::new(),
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
            let of = |t: &Tokens, asked: &[Asked]| compose::frozen(model, &Gallery::of(backbone), t, asked);
            Some((of(&world.learn_tokens, &world.ask.concat())?, of(&world.test_tokens, &world.test_ask)?))
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

/// What a question scores with each item of its gallery.
fn scores<'s>(query: &'s [f32], gallery: &'s Rows, of: &Range<usize>) -> impl Iterator<Item = f32> + 's {
    let e = gallery.dim().max(1);
    let rows = gallery.values()[of.start * e..of.end * e].chunks_exact(e);
    rows.map(move |g| g.iter().zip(query).map(|(a, b)| a * b).sum())
}

/// The first few answers to every question, its reference left out, as places in all galleries together.
fn best(world: &Prepared, queries: &Rows, gallery: &Rows) -> Vec<Vec<usize>> {
    let e = gallery.dim().max(1);
    let mut before = 0;
    let mut out = Vec::new();
    for part in &world.exams {
        for i in part.questions.clone() {
            let query = &queries.values()[i * e..][..e];
            let reference = world.test_ask[i].reference;
            let mut scored: Vec<(f32, usize)> =
                scores(query, gallery, &part.gallery).enumerate().map(|(at, s)| (s, at)).collect();
            scored.retain(|(_, at)| part.gallery.start + at != reference);
            scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            out.push(scored.into_iter().take(KEPT).map(|(_, at)| before + at).collect());
        }
        before += part.gallery.len();
    }
    out
}

/// Every question's rank, by its exam's own rules.
fn ranks(world: &Prepared, queries: &Rows, gallery: &Rows) -> Result<Vec<usize>, TrainError> {
    let e = gallery.dim().max(1);
    let mut out = Vec::new();
    for part in &world.exams {
        let mut marker = part.benchmark.marker()?;
        for i in part.questions.clone() {
            let scores: Vec<f32> = scores(&queries.values()[i * e..][..e], gallery, &part.gallery).collect();
            marker.add_scores(&world.test_ask[i].id, &scores)?;
        }
        // The intervals of one run are not read; those over seeds and questions are made from its ranks.
        let report = marker.finish(Bootstrap { resamples: 1, ..Bootstrap::default() })?;
        out.extend(report.ranks.iter().map(|r| r.rank.unwrap_or(usize::MAX)));
    }
    Ok(out)
}
