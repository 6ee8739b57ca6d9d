//! The paper's tables and figures again, on scenes or on a set that lies here: every variant of IMAGINE
//! trained with several seeds and marked, and what came out put side by side.
//!
//! Each run of a variant leaves one small file with every question's rank; what is there already is
//! not trained again, so that hours of work survive a stop, and every number of the report can be
//! computed anew.
//! Marks are given by `benchmarks` on all test scenes, or on the split of a set that papers mark; nothing is
//! chosen by them.

mod cost;
mod course;
mod summary;
mod together;

pub use cost::{Cost, Meter, cost};
pub(crate) use course::sampling as frames_of;
pub use course::{Course, averaged, printed, printed_of, protocol};
pub use summary::{Group, Line, Order, Spread, Summary, summary};

use crate::TrainError;
use crate::adapt::{Adapt, Fixed};
use crate::compose::{self, Compose, Head, Learns, Net, Rows};
use crate::data::{Drawn, Source};
use crate::filed::{Filed, digest_of, groups};
use crate::pretrain::families;
use crate::questions::{Asked, questions};
use crate::run::{Ended, Pauses, Progress, Task, train};
use crate::tokens::Tokens;
use benchmarks::bootstrap::Bootstrap;
use benchmarks::sets::Set;
use benchmarks::{Benchmark, GalleryRule, Mark, Protocol};
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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use together::{each, side_by_side};

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
    /// The same among the question's look-alikes, where it has some; of a set whose average is of that
    /// too, as CIRR's is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subset: Vec<Option<usize>>,
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
    /// The rules that they are marked by.
    pub protocol: Protocol,
    /// What the set's files leave to be said.
    pub notes: Vec<String>,
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
    digests: Digests,
    protocol: Protocol,
    notes: Vec<String>,
    files: HashMap<String, MediaRef>,
    broken: Vec<(String, String)>,
}

/// What the data were, as far as a run's ranks depend on it.
struct Digests {
    /// The exam's questions and answers.
    asked: Digest,
    /// What is learnt from. None on drawn scenes, whose train split follows from how many families it has.
    learnt: Option<Digest>,
    /// What the network saw of files, those that are learnt from and those that are marked on. Drawn scenes follow
    /// from their names.
    seen: Option<[Digest; 2]>,
    /// The rules.
    rules: Digest,
}

/// An exam: which of all items that are marked on are its gallery, and which of all questions are its own.
struct Part {
    benchmark: Benchmark,
    gallery: Range<usize>,
    questions: Range<usize>,
}

/// Trains and marks every variant that `wanted` names (all if it is empty); `None` if it was stopped.
/// A set is marked by [`protocol`], and the model sees those frames of a clip that it names.
pub fn imagine(
    dir: &Path,
    mut model: Model,
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
    let backbone = model.manifest.backbone.blip2()?.clone();
    if let Data::Set(set, _) = data
        && let Some(sampling) = course::sampling(&protocol(set))
    {
        model.manifest.sampling = sampling;
    }
    let model = &model;
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
    let course = &course.over(world.ask.len());
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

    let (mut todo, mut left_out) = (Vec::new(), Vec::new());
    for variant in VARIANTS.iter().filter(|v| wanted.is_empty() || wanted.iter().any(|w| w == v.name)) {
        match course.can(variant, backbone.queries) {
            Ok(()) => todo.extend(course.seeds.iter().map(|seed| (variant, *seed))),
            Err(why) => left_out.push((variant.name, why)),
        }
    }
    let keys = |variant: &Variant, seed: u64| {
        key(model.manifest.weights, course, &course.settings(variant, backbone.queries), seed, &world.digests)
    };
    let place_of = |variant: &Variant, seed: u64| runs.join(format!("{}-{seed}.json", variant.name));
    let kept = |path: &Path| std::fs::read(path).ok().and_then(|b| serde_json::from_slice::<Outcome>(&b).ok());
    // Hours of another course's work are not for this one to replace.
    let mut found = 0;
    for (variant, seed) in &todo {
        let path = place_of(variant, *seed);
        match kept(&path) {
            Some(outcome) if outcome.key != keys(variant, *seed) => return Err(TrainError::OtherCourse { path }),
            Some(_) => found += 1,
            None => {}
        }
    }
    let full = dir.join("full");
    let among_look_alikes = averaged(data.name()).iter().any(|m| matches!(m, Mark::SubsetRecall(_)));
    // What is kept stands in the count from the start, or the rest would seem as quick.
    let ended = AtomicUsize::new(found);
    let one = |i: usize, stop: &(dyn Fn() -> bool + Sync)| -> Result<Option<Outcome>, TrainError> {
        let (variant, seed) = todo[i];
        let (path, key) = (place_of(variant, seed), keys(variant, seed));
        if let Some(outcome) = kept(&path) {
            return Ok(Some(outcome));
        }
        let c = course.settings(variant, backbone.queries);
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
        let (ranks, mut subset) = ranks(&world.exams, &world.test_ask, &queries, &gallery)?;
        if !among_look_alikes {
            subset.clear();
        }
        let best = match COMPARED.contains(&variant.name) {
            true => best(&world, &queries, &gallery),
            false => Vec::new(),
        };
        let outcome = Outcome { key, variant: variant.name.into(), seed, secs, last, ranks, subset, best };
        let text = serde_json::to_string(&outcome).unwrap_or_default();
        let tmp = path.with_extension("tmp");
        std::fs::write(&tmp, text).and_then(|()| std::fs::rename(&tmp, &path)).map_err(|e| fail(&path, e))?;
        // Its marks are kept; its checkpoint would only fill the disk.
        std::fs::remove_dir_all(&place).map_err(|e| fail(&place, e))?;
        let done = 1 + ended.fetch_add(1, Ordering::Relaxed);
        report("run", done, todo.len(), format!("{} {seed}", variant.name));
        Ok(Some(outcome))
    };
    let Some(outcomes) = side_by_side(todo.len(), each(&backbone, &course.training), &one, stop)? else {
        return Ok(None);
    };
    let mean = world.test_ask.len() as f64 / world.exams.len().max(1) as f64;
    let weigh = |p: &Part| std::iter::repeat_n(mean / p.questions.len().max(1) as f64, p.questions.len());
    Ok(Some(Runs {
        data: data.name(),
        course: Course { train: world.ask.len().min(course.train), ..course.clone() },
        model: model.manifest.name.clone(),
        model_weights: model.manifest.weights,
        asked: world.digests.asked,
        protocol: world.protocol,
        notes: world.notes,
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

/// Everything that a run's ranks depend on. A run is found again by it, so what is new here must leave out
/// itself where older runs did not have it.
fn key(weights: Digest, course: &Course, c: &Config, seed: u64, of: &Digests) -> Digest {
    let mut what = serde_json::json!({
        "format": 2, "weights": weights, "training": course.training, "precision": course.precision,
        "head": c, "seed": seed, "train": course.train, "asked": of.asked, "rules": of.rules,
    });
    if let Some(learnt) = of.learnt {
        what["learnt"] = serde_json::json!(learnt);
    }
    if let Some(seen) = of.seen {
        what["seen"] = serde_json::json!(seen);
    }
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
    let benchmark = Benchmark::new("scenes", gallery, queries, protocol.clone())?;
    Ok(Some(Prepared {
        learn_tokens,
        test_tokens,
        ask: ask(&learn),
        names: learn.items.iter().map(|i| i.name.clone()).collect(),
        digests: Digests { asked: benchmark.digest(), learnt: None, seen: None, rules: protocol.digest() },
        protocol,
        notes: Vec::new(),
        exams: vec![Part { gallery: 0..benchmark.gallery.len(), questions: 0..asked.len(), benchmark }],
        test_ask: asked,
        files: HashMap::new(),
        broken: Vec::new(),
    }))
}

/// A set that lies here; each question is asked in its first wording.
fn on_set(
    dir: &Path,
    model: &Model,
    course: &Course,
    (set, root): (&'static Set, &Path),
    report: Report<'_>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Prepared>, TrainError> {
    let rules = protocol(set);
    let marked = set.splits.first().copied().unwrap_or(Split::Test);
    // Whom nobody asks about is nothing to learn from.
    let learnt = Protocol { gallery: GalleryRule::Named, ..rules.clone() };
    let mut notes = Vec::new();
    let mut look = |split: Split, protocol: &Protocol| -> Result<Option<Filed>, TrainError> {
        let opened = set.open(root, split, protocol)?;
        notes.extend(opened.notes.iter().map(|note| format!("{split}: {note}")));
        let tell = |d: usize, t: usize| {
            if d.is_multiple_of(64) || d == t {
                report("look", d, t, split.to_string());
            }
        };
        Filed::look(opened.exams, &model.manifest, &dir.join(format!("looked.{split}.json")), &tell, stop)
    };
    let Some(learn) = look(Split::Train, &learnt)? else { return Ok(None) };
    let Some(test) = look(marked, &rules)? else { return Ok(None) };
    let Some((learn_tokens, test_tokens)) = tokens(dir, model, (&learn, &test), report, stop)? else {
        return Ok(None);
    };
    let groups = groups(&learn.questions(model), course.training.triplets, course.train);
    let test_ask = test.questions(model);
    let digest = |filed: &Filed| digest_of(filed.exams.iter().map(|e| &e.benchmark));
    let seen = learn_tokens.key().zip(test_tokens.key()).map(|(learn, test)| [learn, test]);
    let digests = Digests { asked: digest(&test), learnt: Some(digest(&learn)), seen, rules: rules.digest() };
    let files = test.files();
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
        digests,
        protocol: rules,
        notes,
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
    let plan = s.plan(course.precision.into(), Pauses { checkpoint: 100, validate: 0 }, place);
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

/// Every question's rank by its exam's own rules, among all and among its look-alikes.
fn ranks(
    exams: &[Part],
    asked: &[Asked],
    queries: &Rows,
    gallery: &Rows,
) -> Result<(Vec<usize>, Vec<Option<usize>>), TrainError> {
    let e = gallery.dim().max(1);
    let mut out = (Vec::new(), Vec::new());
    for part in exams {
        let mut marker = part.benchmark.marker()?;
        for i in part.questions.clone() {
            let scores: Vec<f32> = scores(&queries.values()[i * e..][..e], gallery, &part.gallery).collect();
            marker.add_scores(&asked[i].id, &scores)?;
        }
        // The intervals of one run are not read; those over seeds and questions are made from its ranks.
        let report = marker.finish(Bootstrap { resamples: 1, ..Bootstrap::default() })?;
        out.extend(report.ranks.iter().map(|r| (r.rank.unwrap_or(usize::MAX), r.subset_rank)));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(hex: &str) -> Digest {
        hex.parse().expect("64 digits")
    }

    #[test]
    fn finished_runs_are_found_again_and_a_changed_set_is_not_taken_for_the_old() {
        let course = Course::full();
        let weights = digest("5097e2335e8ebca6594192747f25c8ff774df7fc9bdcaf0bc5b0abbe43d80853");
        let of = |learnt| Digests {
            asked: digest("881c1300dcf52a9f75f380de6f71d1e6fd7023ebe296823cb98cbf4e947aeb7d"),
            learnt,
            seen: None,
            rules: Protocol::default().within(2070).digest(),
        };
        let key = |name: &str, of: &Digests| {
            let variant = methods::imagine::variant(name).expect("a variant");
            key(weights, &course, &course.settings(variant, 16), 1, of)
        };
        // What lies in the files of the runs of results/imagine.md: whoever changes this trains them all again.
        for (name, was) in [
            ("full", "c18f667e8596b250dd76314a38f053f0e73933120cde8354b4a42c8eae638347"),
            ("without-sic", "3d037975137c8bd77bbdd920843a7666530962ae59a160dc06ecaf228435390a"),
            ("momentum-0.4", "3198e86bc08d696e564b6dc8ee49ed3d8e1f75285d8e1da0da1b6bb3e8cc4a58"),
        ] {
            assert_eq!(key(name, &of(None)), digest(was), "{name}");
        }
        let learnt = |what: &[u8]| key("full", &of(Some(Digest::of(what))));
        assert!(learnt(b"a") != learnt(b"b") && learnt(b"a") != key("full", &of(None)));
    }

    #[test]
    fn look_alikes_are_ranked_among_themselves() {
        let entry = |name: &str| GalleryEntry { name: name.into(), ..GalleryEntry::default() };
        let question = |id: &str, subset: Option<&[&str]>| Triplet {
            id: id.into(),
            reference: "a".into(),
            targets: vec!["b".into()],
            subset: subset.map(|s| s.iter().map(|n| (*n).into()).collect()),
            ..Triplet::default()
        };
        let names = ["a", "b", "c", "d", "e"];
        let queries = vec![question("x", Some(&["a", "b", "e"])), question("y", None)];
        let rules = Protocol { ks: vec![1], map_ks: Vec::new(), subset_ks: vec![1], ..Protocol::default() };
        let benchmark = Benchmark::new("cirr", names.map(entry).into(), queries, rules).expect("an exam");
        let asked = ["x", "y"].map(|id| Asked {
            id: id.into(),
            row: 0,
            reference: 0,
            words: Vec::new(),
            targets: vec![1],
            frame_scores: Vec::new(),
        });
        let exams = [Part { gallery: 0..5, questions: 0..2, benchmark }];
        // The reference is best and counts for nothing; c is before b, and no look-alike.
        let gallery = Rows::new(vec![0.9, 0.5, 0.7, 0.1, 0.2], 1);
        let both = ranks(&exams, &asked, &Rows::new(vec![1.0, -1.0], 1), &gallery).expect("ranks");
        assert_eq!(both, (vec![2, 3], vec![Some(1), None]));
    }
}
