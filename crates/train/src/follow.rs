//! A recipe, followed from world to weights.

use crate::data::Drawn;
use crate::imagine::{self, Compose, Tokens, questions};
use crate::pretrain::{self, Pretrain, families};
use crate::run::{Ended, Plan, Progress, TrainError, train};
use crate::{Recipe, Stage};
use domain::{Digest, Split};
use methods::Model;
use methods::imagine::Imagine;
use nets::blip2::{self, Blip2, Config};
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
    let vocab = vocab_from_texts(texts.iter().map(String::as_str), config.vocab);
    let mut model = Model::new(&recipe.name, &recipe.about, config.clone(), None, vocab.clone(), &cpu)?;

    let shared = Mutex::new(tell);
    let report = |stage: &'static str, done: usize, total: usize, line: String| {
        if let Ok(mut tell) = shared.lock() {
            tell(Progress { stage, done: done.min(total), total, line });
        }
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
    let plan = |steps, rate, warmup, decay| Plan {
        steps,
        rate,
        warmup,
        decay,
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
        let plan = plan(s.steps, s.rate, s.warmup, s.decay);
        let tell = &mut |p: Progress| report(p.stage, p.done, p.total, p.line);
        train(&task, net, &plan, &recipe.fingerprint(stage)?, tell, stop)
    };
    let fresh = |config: &Config| pretrain::Net::new(Blip2::new(config, &device), config.width, config.vocab, &device);
    let net = match &recipe.coarse {
        None => fresh(&config),
        Some(c) => {
            let coarse = Config { patch: c.patch, ..config.clone() };
            let (net, ended) = captions("coarse", Stage::Coarse, &c.pretrain, fresh(&coarse))?;
            if ended != Ended::Done {
                return Ok(ended);
            }
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
    let trained = nets::weights::Tensors::of(&net.backbone);
    model.backbone = model.backbone.filled(&trained, &cpu)?;
    model.manifest.made = made(recipe, "pretrain")?;
    model.save(&pretrained, true)?;
    if run.until == Stage::Pretrain {
        return Ok(Ended::Done);
    }

    // Second stage: triplets, on tokens that never change.
    let tokens = |drawn: &Drawn| Tokens::new(&model, drawn, &|d, t| report("encode", d, t, String::new()), &|| stop());
    let (Some(learn_tokens), Some(val_tokens)) = (tokens(&learn), tokens(&val)) else { return Ok(Ended::Stopped(0)) };
    let s = &recipe.imagine;
    let val_ranges = families(&val);
    let task = Compose {
        settings: s,
        model: &model,
        tokens: &learn_tokens,
        questions: questions(&set, &learn, &ranges, &model),
        val_tokens: &val_tokens,
        val_questions: questions(&set, &val, &val_ranges, &model).into_iter().flatten().collect(),
        val_items: val.items.len(),
        seed: recipe.seed,
        device: device.clone(),
        head: recipe.head.clone(),
    };
    let backbone = trained.fill(Blip2::new(&config, &device), &device)?;
    // The head's draws must not depend on whether the first stage was run or read.
    device.seed(recipe.seed + 1);
    cpu.seed(recipe.seed + 1);
    let net = imagine::Net::begin(&task, backbone, Imagine::new(&recipe.head, config.embed, &device));
    let plan = plan(s.steps, s.rate, s.warmup, s.decay);
    let (net, ended) = train(
        &task,
        net,
        &plan,
        &recipe.fingerprint(Stage::Imagine)?,
        &mut |p| report(p.stage, p.done, p.total, p.line),
        stop,
    )?;
    if ended != Ended::Done {
        return Ok(ended);
    }
    let mut whole = Model::new(&recipe.name, &recipe.about, config.clone(), Some(recipe.head.clone()), vocab, &cpu)?;
    whole.backbone = whole.backbone.filled(&nets::weights::Tensors::of(&net.backbone), &cpu)?;
    whole.imagine =
        Some(nets::weights::Tensors::of(&net.imagine).fill(Imagine::new(&recipe.head, config.embed, &cpu), &cpu)?);
    whole.manifest.made = made(recipe, "imagine")?;
    whole.save(&run.dir.join("model"), true)?;
    Ok(Ended::Done)
}

fn made(recipe: &Recipe, stage: &str) -> Result<serde_json::Value, TrainError> {
    let text = recipe.fingerprint(Stage::Imagine)?;
    let recipe_value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    Ok(serde_json::json!({
        "stage": stage,
        "recipe": recipe_value,
        "recipe_digest": Digest::of(text.as_bytes()),
        "program": env!("CARGO_PKG_VERSION"),
    }))
}
