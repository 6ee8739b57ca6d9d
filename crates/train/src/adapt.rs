//! Adapter mode: the backbone stays as it is and every feature is made once; only IMAGINE's libraries,
//! fusion and modulation learn, in minutes on a CPU.
//!
//! Here nothing is known of networks: [`Fixed`] holds vectors, whoever made them. BLIP-2 composes
//! reference and words itself; for families that do not (CLIP, imported embeddings) the concrete
//! feature is half of each, [`Fixed::sums`].

use crate::compose::{Rows, Settings, diversity, first_share, followed};
use crate::questions::{Asked, also_right, described};
use crate::run::{Step, Task};
use burn::module::Module;
use burn::tensor::Tensor;
use methods::imagine::{Begin, Config, Features, Followed, Imagine, apart, hear, loss, query};
use methods::{Model, imagine};
use nets::Device;
use nets::layers::normalise;
use nets::weights::floats;
use scenes::Rng;

use crate::TrainError;
use crate::tokens::Tokens;
use nets::blip2::{Words, pool};

/// Features that never change.
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    /// What each item shows.
    pub items: Rows,
    /// What each question's words say.
    pub words: Rows,
    /// Both, composed: one row a question.
    pub composed: Rows,
}

/// Features that do not fit together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("these features do not fit together: {0}")]
pub struct Misfit(pub String);

impl Fixed {
    /// Vectors from anywhere: items (N, `dim`) and words (Q, `dim`), with the concrete feature of each
    /// question half its reference and half its words. `asked` says which reference a question has.
    pub fn sums(items: Vec<f32>, words: Vec<f32>, dim: usize, asked: &[Asked]) -> Result<Self, Misfit> {
        let whole = |what: &str, values: &[f32]| match dim > 0 && values.len().is_multiple_of(dim) {
            true if values.iter().all(|v| v.is_finite()) => Ok(values.len() / dim),
            true => Err(Misfit(format!("{what} hold numbers that are not finite"))),
            false => Err(Misfit(format!("{what} are {} numbers, which are no rows of {dim}", values.len()))),
        };
        let (n, q) = (whole("items", &items)?, whole("words", &words)?);
        if q != asked.len() {
            return Err(Misfit(format!("there are {} questions and words of {q}", asked.len())));
        }
        let mut composed = Vec::with_capacity(q * dim);
        for a in asked {
            let (Some(v), Some(x)) = (items.chunks_exact(dim).nth(a.reference), words.chunks_exact(dim).nth(a.row))
            else {
                return Err(Misfit(format!("question {} asks about item {} of {n}", a.id, a.reference)));
            };
            composed.extend(v.iter().zip(x).map(|(v, x)| 0.5 * (v + x)));
        }
        let rows = |values| Rows::new(values, dim);
        Ok(Self { items: rows(items), words: rows(words), composed: rows(composed) })
    }

    /// What a model's backbone makes of a split; `None` if it was stopped.
    pub fn of(
        model: &Model,
        tokens: &Tokens,
        asked: &[Asked],
        c: &imagine::Config,
        tell: &dyn Fn(usize, usize),
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Self>, TrainError> {
        c.fits(&model.manifest.backbone)?;
        let e = model.manifest.backbone.embed();
        let shown = |items: &[usize]| match model.backbone.blip2() {
            Ok(net) => pool(net.image_tokens(&tokens.sight(net, items, &model.device))),
            Err(_) => tokens.looked(&model.backbone, items, &model.device).0,
        };
        let heard = |references: &[usize], words: &Words| match model.backbone.blip2() {
            Ok(net) => {
                let (_, x, f) = hear(net, &tokens.sight(net, references, &model.device), words, c);
                (x, f)
            }
            Err(_) => {
                let (seen, features) = tokens.looked(&model.backbone, references, &model.device);
                apart(seen, features, model.backbone.text_features(words), c)
            }
        };
        let total = tokens.items() + asked.len();
        let mut items = Vec::new();
        let all: Vec<usize> = (0..tokens.items()).collect();
        for chunk in all.chunks(64) {
            if stop() {
                return Ok(None);
            }
            items.extend(floats(shown(chunk)));
            tell(items.len() / e, total);
        }
        let (mut words, mut composed) = (Vec::new(), Vec::new());
        for chunk in asked.chunks(64) {
            if stop() {
                return Ok(None);
            }
            let references: Vec<usize> = chunk.iter().map(|a| a.reference).collect();
            let rows: Vec<Vec<i32>> = chunk.iter().map(|a| a.words.clone()).collect();
            let (x, f) = heard(&references, &model.words.pad(&rows, &model.device));
            words.extend(floats(x));
            composed.extend(floats(f));
            tell(tokens.items() + words.len() / e, total);
        }
        let rows = |values| Rows::new(values, e);
        Ok(Some(Self { items: rows(items), words: rows(words), composed: rows(composed) }))
    }

    fn take(&self, asked: &[&Asked], device: &Device) -> Features {
        Features {
            reference: self.items.take(asked.iter().map(|a| a.reference), device),
            words: self.words.take(asked.iter().map(|a| a.row), device),
            composed: self.composed.take(asked.iter().map(|a| a.row), device),
            target: self.items.take(asked.iter().map(|a| a.targets[0]), device),
        }
    }

    /// Unit vectors of some questions, as the head composes them.
    pub fn queries(&self, head: &Imagine, c: &Config, asked: &[Asked], device: &Device) -> Rows {
        let mut out = Vec::new();
        for chunk in asked.chunks(256) {
            let f = self.take(&chunk.iter().collect::<Vec<_>>(), device);
            out.extend(floats(query(head, c, f.reference, f.words, f.composed).detach()));
        }
        Rows::new(out, self.items.dim())
    }

    /// Unit vectors of the items.
    pub fn gallery(&self, device: &Device) -> Rows {
        let all = self.items.take(0..self.items.len(), device);
        Rows::new(floats(normalise(all)), self.items.dim())
    }
}

/// The stage, on features.
pub struct Adapt<'a> {
    /// Its settings.
    pub settings: &'a Settings,
    /// To learn from.
    pub features: &'a Fixed,
    /// Questions, by family.
    pub questions: &'a [Vec<Asked>],
    /// To watch on.
    pub val_features: &'a Fixed,
    /// Questions to watch on.
    pub val_questions: &'a [Asked],
    /// Names of the items.
    pub names: &'a [String],
    /// Seed of all choices.
    pub seed: u64,
    /// Where gradients live.
    pub device: Device,
    /// IMAGINE's settings.
    pub head: Config,
}

impl Adapt<'_> {
    /// The head with its libraries begun. Features have no slots, so all beginnings but `random` are
    /// from samples.
    pub fn begin(&self, head: Imagine) -> Imagine {
        if self.head.begin == Begin::Random {
            return head;
        }
        let mut rng = Rng::keyed(self.seed, &[5, 0]);
        let all: Vec<&Asked> = self.questions.iter().flatten().collect();
        let some: Vec<&Asked> = (0..self.head.prototypes * 4).map(|_| all[rng.below(all.len())]).collect();
        let f = self.features.take(&some, &self.device);
        Imagine {
            picture_library: head.picture_library.begin(f.reference),
            words_library: head.words_library.begin(f.words),
            ..head
        }
    }

    fn batch(&self, step: usize) -> Vec<&Asked> {
        self.settings.batches(self.seed).at(step, self.questions)
    }
}

impl Task for Adapt<'_> {
    type Net = Imagine;

    fn name(&self) -> &'static str {
        "adapt"
    }

    fn trains(&self, name: &str) -> bool {
        !name.contains("library.")
    }

    fn step(&self, net: &Imagine, step: usize) -> Step {
        let asked = self.batch(step);
        let f = self.features.take(&asked, &self.device);
        let mut v = f.reference.clone();
        if self.head.followed == Followed::Both {
            v = Tensor::cat(vec![v, f.target.clone()], 0);
        }
        let carry = vec![v, f.words.clone()];
        let l = loss(net, f, Some(also_right(&asked, &self.device)), &self.head);
        let marks = vec![
            ("classification", l.classification),
            ("schema", l.schema),
            ("confidence", l.confidence),
            ("first", l.first),
            ("spread", l.spread),
        ];
        if !l.total.is_tracked() {
            // A variant whose loss no part of the head can change: there is nothing to learn here.
            let marks = marks.into_iter().map(|(n, t)| (n, floats(t)[0])).collect();
            return Step { loss: floats(l.total)[0], marks, grads: Default::default(), carry };
        }
        Step::back(self, net, l.total, marks, carry)
    }

    fn after(&self, net: Imagine, step: usize, carry: Vec<Tensor<2>>) -> Imagine {
        followed(net, &self.head, self.settings.batches(self.seed).ends_epoch(step, self.questions), carry)
    }

    fn describe(&self, step: usize) -> serde_json::Value {
        described(&self.batch(step), self.names)
    }

    fn validate(&self, net: &Imagine) -> Vec<(&'static str, f32)> {
        // Without a graph: one lives until something runs backward.
        let (net, plain) = (net.valid(), self.device.clone().inner());
        let gallery = self.val_features.gallery(&plain);
        let queries = self.val_features.queries(&net, &self.head, self.val_questions, &plain);
        let mut marks = vec![("val_r1", first_share(&queries, &gallery, self.val_questions))];
        let last: Vec<&Asked> = self.val_questions.iter().rev().take(64).collect();
        let f = self.val_features.take(&last, &plain);
        marks.extend(diversity(&net, &self.head, f.reference, f.words));
        marks
    }
}
