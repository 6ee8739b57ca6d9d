//! A recipe, followed from world to weights.

use crate::adapt::{Adapt, Fixed};
use crate::checkpoint::replace;
use crate::compose::{self, Compose, Head, Learns};
use crate::data::Drawn;
use crate::pretrain::{self, Pretrain, families};
use crate::questions::{Asked, questions};
use crate::run::{Ended, Plan, Progress, TrainError, train};
use crate::tokens::Tokens;
use crate::{Recipe, Stage};
use domain::{Digest, Split};
use methods::imagine::{Imagine, Target};
use methods::{Gallery, Model};
use nets::blip2::{self, Blip2, Config};
use nets::weights::Tensors;
use nets::words::vocab_from_texts;
use scenes::World;
use std::path::Path;
use std::sync::Mutex;

/// Where everything of a run lies.
pub struct Run<'a> {
    /// Checkpoints, journals, models.
    pub dir: &'a Path,
    /// Stop after this stage.
    pub until: Stage,
    /// Updates between two checkpoints.
    pub checkpoint_every: usize,
    /// Updates between two looks at the validation split.
    pub validate_every: usize,
    /// A model whose backbone, view and words the run begins with, instead of random weights; the recipe's
    /// coarse stage, which only shortens the way there, is then left out.
    pub from: Option<&'a Model>,
}

impl Run<'_> {
    /// Everything that the result of a stage depends on.
    fn fingerprint(&self, recipe: &Recipe, stage: Stage) -> Result<String, TrainError> {
        let own = recipe.fingerprint(stage)?;
        Ok(match self.from {
            Some(m) => format!("{own}\nfrom {}", m.manifest.weights),
            None => own,
        })
    }

    /// Where the run began, for those who ask what came out of it.
    fn origin(&self) -> serde_json::Value {
        self.from.map_or(
            serde_json::Value::Null,
            |m| serde_json::json!({"model": m.manifest.name, "weights": m.manifest.weights}),
        )
    }
}

/// Follows a recipe; what is already done in the folder is not done again.
///
/// Leaves `pretrained/` and `model/`, two model folders, in the run's folder.
pub fn follow(
    recipe: &Recipe,
    run: &Run<'_>,
    tell: &mut (dyn FnMut(Progress) + Send),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Ended, TrainError> {
    let config = recipe.config()?;
    let cpu = nets::cpu();
    let device = cpu.clone().autodiff();
    device.seed(recipe.seed);
    cpu.seed(recipe.seed);

    let world = World { seed: recipe.world.seed, train: recipe.world.train, val: recipe.world.val, ..World::shipped() };
    let set = scenes::build(&world);
    let learnt = || set.items.iter().filter(|i| i.split == Split::Train);
    let texts: Vec<String> = learnt()
        .flat_map(|i| i.scene.captions(recipe.seed, 4))
        .chain(set.triplets.iter().filter(|t| t.split == Some(Split::Train)).map(|t| t.text.clone()))
        .collect();
    let mut model = match run.from {
        Some(from) => {
            let has = from.manifest.backbone.blip2()?;
            if *has != config {
                let (name, wants) = (from.manifest.name.clone(), recipe.backbone.clone());
                return Err(TrainError::OtherSizes { name, wants, differ: differing(has, &config) });
            }
            from.headless(&recipe.name, &recipe.about)?
        }
        None => {
            let vocab = vocab_from_texts(texts.iter().map(String::as_str), config.vocab);
            Model::new(&recipe.name, &recipe.about, config.clone(), None, vocab, &cpu)?
        }
    };
    if let Some(frames) = recipe.frames {
        model.manifest.sampling = frames;
    }
    let mut record = Record::new(recipe, run, &set, model.pieces())?;
    record.write(run.dir)?;

    let shared = Mutex::new(tell);
    let say = |progress: Progress| {
        if let Ok(mut tell) = shared.lock() {
            tell(progress);
        }
    };
    let report = |stage: &'static str, done: usize, total: usize, line: String| {
        say(Progress { stage, done: done.min(total), total, line, notice: false });
    };
    let draw = |split: Split| {
        Drawn::new(&set, split, &model.manifest.view, model.manifest.sampling, &|d, t| {
            report("draw", d, t, split.to_string())
        })
    };
    let (learn, val) = (draw(Split::Train), draw(Split::Val));
    let ranges = families(&learn);

    // First stage: captions.
    let pretrained = run.dir.join("pretrained");
    let plan = |steps, restarts, rate, warmup, decay| Plan {
        steps,
        restarts,
        rate,
        warmup,
        decay,
        precision: recipe.precision.into(),
        validate_every: run.validate_every,
        checkpoint_every: run.checkpoint_every,
        dir: run.dir,
    };
    let captions = |name: &'static str, stage: Stage, s: &pretrain::Settings, net: pretrain::Net| {
        let task = Pretrain {
            name,
            settings: s,
            model: &model,
            train: &learn,
            val: &val,
            families: ranges.clone(),
            seed: recipe.seed,
            device: device.clone(),
        };
        let plan = plan(s.steps, s.restarts.clone(), s.rate, s.warmup, s.decay);
        let tell = &mut |p: Progress| say(p);
        train(&task, net, &plan, &run.fingerprint(recipe, stage)?, tell, stop)
    };
    let fresh = |config: &Config| pretrain::Net::new(Blip2::new(config, &device), config.width, config.vocab, &device);
    let net = match (run.from, &recipe.coarse) {
        (Some(from), _) => {
            let backbone = Tensors::of(from.backbone.blip2()?).fill(Blip2::new(&config, &device), &device)?;
            pretrain::Net { backbone, ..fresh(&config) }
        }
        (None, None) => fresh(&config),
        (None, Some(c)) => {
            let coarse = Config { patch: c.patch, ..config.clone() };
            let (net, ended) = captions("coarse", Stage::Coarse, &c.pretrain, fresh(&coarse))?;
            if ended != Ended::Done {
                return Ok(ended);
            }
            let weights = Tensors::of(&net.backbone).to_bytes(false)?;
            record.stage("coarse", serde_json::json!({"weights": Digest::of(&weights)}));
            record.write(run.dir)?;
            let backbone = blip2::finer(&net.backbone, &coarse, &config, &device)?;
            pretrain::Net { backbone, ..net }
        }
    };
    if run.until == Stage::Coarse {
        return Ok(Ended::Done);
    }
    let (net, ended) = captions("pretrain", Stage::Pretrain, &recipe.pretrain, net)?;
    if ended != Ended::Done {
        return Ok(ended);
    }
    let trained = Tensors::of(&net.backbone);
    model.backbone = model.backbone.filled(&trained, &cpu)?;
    model.manifest.made = made(recipe, run, "pretrain")?;
    let saved = model.save(&pretrained, true)?;
    record.stage("pretrain", serde_json::json!({"weights": saved.weights}));
    record.write(run.dir)?;
    if run.until == Stage::Pretrain {
        return Ok(Ended::Done);
    }

    // Second stage: triplets, on tokens that never change.
    let size = Tokens::bytes(&model, &learn)? + Tokens::bytes(&model, &val)?;
    let place = run.dir.join("tokens");
    std::fs::create_dir_all(&place).map_err(|e| TrainError::File { path: place.clone(), why: e.to_string() })?;
    say(Progress::notice(
        "encode",
        format!("the vision tokens take {:.1} MB in {}", size as f64 / 1e6, place.display()),
    ));
    let tokens = |drawn: &Drawn, name: &str| {
        let tell = |d, t| report("encode", d, t, String::new());
        Tokens::on_disk(&place.join(name), &model, drawn, &tell, &|| stop())
    };
    let (Some(learn_tokens), Some(val_tokens)) = (tokens(&learn, "train.f16")?, tokens(&val, "val.f16")?) else {
        return Ok(Ended::Stopped(0));
    };
    record.value["tokens"] = serde_json::json!({"train": learn_tokens.key(), "val": val_tokens.key()});
    record.write(run.dir)?;
    let s = &recipe.imagine;
    let plan = plan(s.steps, Vec::new(), s.rate, s.warmup, s.decay);
    let ask = questions(&set, &learn, &ranges, &model);
    s.batches(recipe.seed).check("the drawn world", &ask)?;
    let val_ask: Vec<_> = questions(&set, &val, &families(&val), &model).into_iter().flatten().collect();
    let names: Vec<String> = learn.items.iter().map(|i| i.name.clone()).collect();
    let fingerprint = run.fingerprint(recipe, Stage::Imagine)?;
    // The head's draws must not depend on whether the first stage was run or read.
    let reseed = || {
        device.seed(recipe.seed + 1);
        cpu.seed(recipe.seed + 1);
    };
    let mut forward = |p: Progress| say(p);
    let head = recipe.method();

    if let (Learns::Head, Head::Imagine(c)) = (s.learns, &head) {
        let fixed = |tokens: &Tokens, asked: &[Asked]| {
            Fixed::of(&model, tokens, asked, c, &|d, t| report("features", d, t, String::new()), &|| stop())
        };
        let flat: Vec<_> = ask.iter().flatten().cloned().collect();
        let (Some(features), Some(val_features)) = (fixed(&learn_tokens, &flat)?, fixed(&val_tokens, &val_ask)?) else {
            return Ok(Ended::Stopped(0));
        };
        let task = Adapt {
            settings: s,
            features: &features,
            questions: &ask,
            val_features: &val_features,
            val_questions: &val_ask,
            names: &names,
            seed: recipe.seed,
            device: device.clone(),
            head: c.clone(),
        };
        reseed();
        let net = task.begin(Imagine::new(c, config.embed, &device));
        let (net, ended) = train(&task, net, &plan, &fingerprint, &mut forward, stop)?;
        if ended == Ended::Done {
            finish(recipe, run, &mut record, model, Some(&net), None)?;
        }
        return Ok(ended);
    }

    // On the plain device: it learns no more.
    let gallery = match head.target() {
        Target::Frozen => Some(Gallery::of(model.backbone.blip2()?)),
        Target::Online => None,
    };
    let captions = match &head {
        Head::Covr2(c) if c.caption_weight > 0.0 => {
            let said: Vec<String> = learn.items.iter().map(|i| i.caption.clone()).collect();
            Some(compose::caption_rows(&model, &said)?)
        }
        _ => None,
    };
    let frozen = match &gallery {
        Some(g) => {
            let of = |tokens: &Tokens, asked: &[Asked]| compose::frozen(&model, g, tokens, asked);
            Some((of(&learn_tokens, &ask.concat())?, of(&val_tokens, &val_ask)?))
        }
        None => None,
    };
    let task = Compose {
        settings: s,
        model: &model,
        tokens: &learn_tokens,
        names,
        questions: ask,
        val_tokens: &val_tokens,
        val_questions: val_ask,
        frozen,
        captions,
        seed: recipe.seed,
        device: device.clone(),
        head,
    };
    let backbone = trained.fill(Blip2::new(&config, &device), &device)?;
    reseed();
    let head = match &task.head {
        Head::Imagine(c) => Some(Imagine::new(c, config.embed, &device)),
        Head::Covr2(_) => None,
    };
    let net = compose::Net::begin(&task, backbone, head);
    let (net, ended) = train(&task, net, &plan, &fingerprint, &mut forward, stop)?;
    if ended == Ended::Done {
        let backbone = Tensors::of(&net.backbone);
        model.backbone = nets::Backbone::new(&model.manifest.backbone, &cpu).filled(&backbone, &cpu)?;
        finish(recipe, run, &mut record, model, net.imagine.as_ref(), gallery)?;
    }
    Ok(ended)
}

/// The names of the sizes that two backbones do not share.
fn differing(a: &Config, b: &Config) -> String {
    let (a, b) = (serde_json::json!(a), serde_json::json!(b));
    let names = a.as_object().into_iter().flatten();
    let differ: Vec<String> =
        names.filter(|(n, v)| b[*n] != **v).map(|(n, v)| format!("{n} {v} instead of {}", b[n])).collect();
    differ.join(", ")
}

/// Writes the trained model beside what it was made of.
fn finish(
    recipe: &Recipe,
    run: &Run<'_>,
    record: &mut Record,
    mut model: Model,
    head: Option<&Imagine>,
    gallery: Option<Gallery>,
) -> Result<(), TrainError> {
    if let (Some(head), Head::Imagine(c)) = (head, recipe.method()) {
        let blank = Imagine::new(&c, model.manifest.backbone.embed(), &model.device);
        model.imagine = Some(Tensors::of(head).fill(blank, &model.device)?);
        model.manifest.imagine = Some(c);
    }
    model.gallery = gallery;
    model.manifest.made = made(recipe, run, recipe.method().name())?;
    let saved = model.save(&run.dir.join("model"), true)?;
    record.stage(recipe.method().name(), serde_json::json!({"weights": saved.weights}));
    record.write(run.dir)
}

/// `run.json`: what a run is made of and what came out, every part by its digest.
struct Record {
    value: serde_json::Value,
}

impl Record {
    fn new(recipe: &Recipe, run: &Run<'_>, set: &scenes::Set, vocab: &[u8]) -> Result<Self, TrainError> {
        let text = recipe.fingerprint(Stage::Imagine)?;
        let asked = |split: Split| {
            let triplets = set.triplets.iter().filter(|t| t.split == Some(split));
            let lines: Vec<String> = triplets.map(|t| serde_json::json!(t).to_string()).collect();
            let items: Vec<String> =
                set.items.iter().filter(|i| i.split == split).map(|i| format!("{} {}", i.name, i.caption)).collect();
            serde_json::json!({
                "items": items.len(), "items_digest": Digest::of(items.join("\n").as_bytes()),
                "questions": lines.len(), "questions_digest": Digest::of(lines.join("\n").as_bytes()),
            })
        };
        let recipe_value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let mut value = serde_json::json!({
            "format": 1,
            "program": env!("CARGO_PKG_VERSION"),
            "recipe": recipe_value,
            "recipe_digest": Digest::of(text.as_bytes()),
            "data": {"train": asked(Split::Train), "val": asked(Split::Val)},
            "vocabulary_digest": Digest::of(vocab),
            "machine": machine(),
            "stages": {},
        });
        if run.from.is_some() {
            value["from"] = run.origin();
        }
        Ok(Self { value })
    }

    fn stage(&mut self, name: &str, what: serde_json::Value) {
        self.value["stages"][name] = what;
    }

    fn write(&self, dir: &Path) -> Result<(), TrainError> {
        replace(&dir.join("run.json"), format!("{:#}\n", self.value).as_bytes())
    }
}

/// What a run is computed with, as far as it shows in the last bits of its sums.
pub fn machine() -> serde_json::Value {
    serde_json::json!({
        "system": std::env::consts::OS, "processor": std::env::consts::ARCH,
        "instructions": nets::instructions(), "threads": rayon::current_num_threads(),
    })
}

fn made(recipe: &Recipe, run: &Run<'_>, stage: &str) -> Result<serde_json::Value, TrainError> {
    let text = recipe.fingerprint(Stage::Imagine)?;
    let recipe_value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let mut value = serde_json::json!({
        "stage": stage,
        "recipe": recipe_value,
        "recipe_digest": Digest::of(text.as_bytes()),
        "program": env!("CARGO_PKG_VERSION"),
    });
    if run.from.is_some() {
        value["from"] = run.origin();
    }
    Ok(value)
}
