//! A recipe, followed from world to weights.

use crate::checkpoint::replace;
use crate::compose::Head;
use crate::data::Drawn;
use crate::pretrain::{self, Pretrain, families};
use crate::questions::questions;
use crate::run::{Ended, Pauses, Plan, Progress, TrainError, train};
use crate::tokens::Tokens;
use crate::triplets::{Lesson, Place};
use crate::{Recipe, Stage};
use domain::{Digest, Split};
use methods::Model;
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
    /// How often it pauses.
    pub pauses: Pauses,
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
    let data = serde_json::json!({"train": asked(&set, Split::Train), "val": asked(&set, Split::Val)});
    let mut record = Record::new(&recipe.fingerprint(Stage::Imagine)?, data, model.pieces(), run.from);
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
        let plan = Plan {
            steps: s.steps,
            restarts: s.restarts.clone(),
            rate: s.rate,
            warmup: s.warmup,
            decay: s.decay,
            precision: recipe.precision.into(),
            pauses: run.pauses,
            dir: run.dir,
        };
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
    model.backbone = model.backbone.filled(&Tensors::of(&net.backbone), &cpu)?;
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
    let ask = questions(&set, &learn, &ranges, &model);
    recipe.imagine.batches(recipe.seed).check("the drawn world", &ask)?;
    let head = recipe.method();
    let said = matches!(&head, Head::Covr2(c) if c.caption_weight > 0.0);
    let lesson = Lesson {
        settings: &recipe.imagine,
        head,
        precision: recipe.precision,
        seed: recipe.seed,
        tokens: &learn_tokens,
        names: learn.items.iter().map(|i| i.name.clone()).collect(),
        captions: said.then(|| learn.items.iter().map(|i| i.caption.clone()).collect()),
        questions: ask,
        val_tokens: &val_tokens,
        val_questions: questions(&set, &val, &families(&val), &model).concat(),
    };
    let place = Place { dir: run.dir, fingerprint: run.fingerprint(recipe, Stage::Imagine)?, pauses: run.pauses };
    let (mut model, ended) = lesson.learn(model, &place, &mut |p| say(p), stop)?;
    if ended == Ended::Done {
        let method = recipe.method().name();
        model.manifest.made = made(recipe, run, method)?;
        let saved = model.save(&run.dir.join("model"), true)?;
        record.stage(method, serde_json::json!({"weights": saved.weights}));
        record.write(run.dir)?;
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

/// `run.json`: what a run is made of and what came out, every part by its digest.
pub struct Record {
    /// What stands in it.
    pub value: serde_json::Value,
}

impl Record {
    /// Of a recipe, as [`Recipe::fingerprint`] tells it, the questions by split, and where it begins.
    pub fn new(recipe: &str, data: serde_json::Value, vocab: &[u8], from: Option<&Model>) -> Self {
        let mut value = serde_json::json!({
            "format": 1,
            "program": env!("CARGO_PKG_VERSION"),
            "recipe": serde_json::from_str::<serde_json::Value>(recipe).unwrap_or_default(),
            "recipe_digest": Digest::of(recipe.as_bytes()),
            "data": data,
            "vocabulary_digest": Digest::of(vocab),
            "machine": machine(),
            "stages": {},
        });
        if let Some(from) = from {
            value["from"] = origin(from);
        }
        Self { value }
    }

    /// What came out of a stage.
    pub fn stage(&mut self, name: &str, what: serde_json::Value) {
        self.value["stages"][name] = what;
    }

    /// Refuses a folder in which a run lies that differs in one of these.
    pub fn refuses(&self, dir: &Path, parts: &[&str]) -> Result<(), TrainError> {
        let path = dir.join("run.json");
        let old = std::fs::read(&path).ok().and_then(|b| serde_json::from_slice::<serde_json::Value>(&b).ok());
        let differs = |old: &serde_json::Value| parts.iter().find(|part| old[**part] != self.value[**part]).copied();
        match old.as_ref().and_then(differs) {
            Some(part) => {
                Err(TrainError::OtherRun { path: dir.to_owned(), why: format!("{part} in run.json differs") })
            }
            None => Ok(()),
        }
    }

    /// Into the run's folder.
    pub fn write(&self, dir: &Path) -> Result<(), TrainError> {
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
    Ok(made_of(&recipe.fingerprint(Stage::Imagine)?, stage, run.from))
}

/// What a model's manifest says of how it was made: the recipe as [`Recipe::fingerprint`] tells it.
pub fn made_of(recipe: &str, stage: &str, from: Option<&Model>) -> serde_json::Value {
    let mut value = serde_json::json!({
        "stage": stage,
        "recipe": serde_json::from_str::<serde_json::Value>(recipe).unwrap_or_default(),
        "recipe_digest": Digest::of(recipe.as_bytes()),
        "program": env!("CARGO_PKG_VERSION"),
    });
    if let Some(from) = from {
        value["from"] = origin(from);
    }
    value
}

/// Where a run began, for those who ask what came out of it.
fn origin(from: &Model) -> serde_json::Value {
    serde_json::json!({"model": from.manifest.name, "weights": from.manifest.weights})
}

/// What of a drawn world is learnt from or watched on, by digest.
fn asked(set: &scenes::Set, split: Split) -> serde_json::Value {
    let triplets = set.triplets.iter().filter(|t| t.split == Some(split));
    let lines: Vec<String> = triplets.map(|t| serde_json::json!(t).to_string()).collect();
    let items: Vec<String> =
        set.items.iter().filter(|i| i.split == split).map(|i| format!("{} {}", i.name, i.caption)).collect();
    serde_json::json!({
        "items": items.len(), "items_digest": Digest::of(items.join("\n").as_bytes()),
        "questions": lines.len(), "questions_digest": Digest::of(lines.join("\n").as_bytes()),
    })
}
