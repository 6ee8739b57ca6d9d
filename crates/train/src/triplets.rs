//! The stage that every recipe ends with: a model, questions, and what came of them.
//!
//! Vision tokens never change here, whatever learns ([`Learns`]); drawn scenes and sets on disk differ in
//! where they take them from, and in nothing else.

use crate::TrainError;
use crate::adapt::{Adapt, Fixed};
use crate::compose::{self, Compose, Head, Learns, Net, Settings};
use crate::questions::Asked;
use crate::recipe::Precision;
use crate::run::{Ended, Pauses, Progress, train};
use crate::tokens::Tokens;
use methods::imagine::{Imagine, Target};
use methods::{Gallery, Model};
use nets::blip2::Blip2;
use nets::weights::Tensors;
use std::path::Path;

/// What is learnt from, what is watched on, and how.
pub struct Lesson<'a> {
    /// How long, how large a batch, what learns.
    pub settings: &'a Settings,
    /// Which method.
    pub head: Head,
    /// In what linear layers multiply.
    pub precision: Precision,
    /// Seed of weights, batches and order.
    pub seed: u64,
    /// What the items show.
    pub tokens: &'a Tokens,
    /// Their names.
    pub names: Vec<String>,
    /// What they are, in words, where the loss asks for it.
    pub captions: Option<Vec<String>>,
    /// Questions, by family; their rows count them in this order.
    pub questions: Vec<Vec<Asked>>,
    /// What the items show that are watched on.
    pub val_tokens: &'a Tokens,
    /// The questions that are watched on, in the order of their rows.
    pub val_questions: Vec<Asked>,
}

/// Where checkpoints and the journal lie, and how often one is written and the other told how well it does.
pub struct Place<'a> {
    /// The run's folder.
    pub dir: &'a Path,
    /// Everything that the result depends on.
    pub fingerprint: String,
    /// How often both happen.
    pub pauses: Pauses,
}

impl Lesson<'_> {
    /// Teaches a model its method; one that has a head for it goes on with that. Where it was stopped, the
    /// model comes back as it was.
    pub fn learn(
        self,
        mut model: Model,
        place: &Place<'_>,
        tell: &mut dyn FnMut(Progress),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(Model, Ended), TrainError> {
        let cpu = nets::cpu();
        let device = cpu.clone().autodiff();
        let s = self.settings;
        let plan = s.plan(self.precision.into(), place.pauses, place.dir);
        // What is drawn here must not depend on what was drawn before, which a resumed run leaves out.
        let reseed = || {
            device.seed(self.seed + 1);
            cpu.seed(self.seed + 1);
        };
        let embed = model.manifest.backbone.embed();
        let has = model.imagine.as_ref().map(Tensors::of);
        let head_of = |c: &methods::imagine::Config| -> Result<Imagine, TrainError> {
            let new = Imagine::new(c, embed, &device);
            Ok(match &has {
                Some(has) => has.fill(new, &device)?,
                None => new,
            })
        };

        if let (Learns::Head, Head::Imagine(c)) = (s.learns, &self.head) {
            let fixed = |tokens: &Tokens, asked: &[Asked], tell: &mut dyn FnMut(Progress)| {
                let tell = std::cell::RefCell::new(tell);
                let say = |done: usize, total: usize| {
                    let line = String::new();
                    tell.borrow_mut()(Progress {
                        stage: "features",
                        done: done.min(total),
                        total,
                        line,
                        notice: false,
                    });
                };
                Fixed::of(&model, tokens, asked, c, &say, &|| stop())
            };
            let flat = self.questions.concat();
            let Some(features) = fixed(self.tokens, &flat, tell)? else { return Ok((model, Ended::Stopped(0))) };
            let Some(val_features) = fixed(self.val_tokens, &self.val_questions, tell)? else {
                return Ok((model, Ended::Stopped(0)));
            };
            let task = Adapt {
                settings: s,
                features: &features,
                questions: &self.questions,
                val_features: &val_features,
                val_questions: &self.val_questions,
                names: &self.names,
                seed: self.seed,
                device: device.clone(),
                head: c.clone(),
            };
            reseed();
            let net = head_of(c)?;
            let net = if has.is_some() { net } else { task.begin(net) };
            let (net, ended) = train(&task, net, &plan, &place.fingerprint, tell, stop)?;
            if ended == Ended::Done {
                taught(&mut model, &net, c)?;
            }
            return Ok((model, ended));
        }

        // On the plain device: it learns no more.
        let gallery = match self.head.target() {
            Target::Frozen => Some(match model.gallery.take() {
                Some(gallery) => gallery,
                None => Gallery::of(model.backbone.blip2()?),
            }),
            Target::Online => None,
        };
        let captions = self.captions.map(|said| compose::caption_rows(&model, &said)).transpose()?;
        let frozen = match &gallery {
            Some(g) => {
                let of = |tokens: &Tokens, asked: &[Asked]| compose::frozen(&model, g, tokens, asked);
                Some((of(self.tokens, &self.questions.concat())?, of(self.val_tokens, &self.val_questions)?))
            }
            None => None,
        };
        let config = model.manifest.backbone.blip2()?.clone();
        let backbone = Tensors::of(model.backbone.blip2()?).fill(Blip2::new(&config, &device), &device)?;
        let task = Compose {
            settings: s,
            model: &model,
            tokens: self.tokens,
            names: self.names,
            questions: self.questions,
            val_tokens: self.val_tokens,
            val_questions: self.val_questions,
            frozen,
            captions,
            seed: self.seed,
            device: device.clone(),
            head: self.head,
        };
        reseed();
        let head = match &task.head {
            Head::Imagine(c) => Some(head_of(c)?),
            Head::Covr2(_) => None,
        };
        let net = match has.is_some() {
            true => Net { backbone, imagine: head },
            false => Net::begin(&task, backbone, head),
        };
        let (net, ended) = train(&task, net, &plan, &place.fingerprint, tell, stop)?;
        let method = task.head;
        if ended == Ended::Done {
            let learnt = Tensors::of(&net.backbone);
            model.backbone = nets::Backbone::new(&model.manifest.backbone, &cpu).filled(&learnt, &cpu)?;
            if let (Some(head), Head::Imagine(c)) = (&net.imagine, &method) {
                taught(&mut model, head, c)?;
            }
            model.gallery = gallery;
        }
        Ok((model, ended))
    }
}

/// Puts a trained head into its model.
fn taught(model: &mut Model, head: &Imagine, c: &methods::imagine::Config) -> Result<(), TrainError> {
    let blank = Imagine::new(c, model.manifest.backbone.embed(), &model.device);
    model.imagine = Some(Tensors::of(head).fill(blank, &model.device)?);
    model.manifest.imagine = Some(c.clone());
    Ok(())
}
