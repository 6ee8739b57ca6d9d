//! The loop, top to bottom: a batch, a loss, a step back, an update; now and then a look at the
//! validation split and a checkpoint.

use crate::adamw::Grads;
use crate::{AdamW, Checkpoint, Journal, schedule};
use burn::module::Module;
use burn::tensor::Tensor;
use nets::layers::{Precision, with_precision};
use nets::weights::floats;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What one batch gives.
pub struct Step {
    /// What is minimised.
    pub loss: f32,
    /// What is worth watching, by name.
    pub marks: Vec<(&'static str, f32)>,
    /// Where it leads.
    pub grads: Grads,
    /// Features that the update after the step needs, such as those that prototypes follow.
    pub carry: Vec<Tensor<2>>,
}

impl Step {
    /// From a loss whose graph is there: one way back.
    pub fn back<T: Task>(
        task: &T,
        net: &T::Net,
        total: Tensor<1>,
        marks: Vec<(&'static str, Tensor<1>)>,
        carry: Vec<Tensor<2>>,
    ) -> Self {
        let grads = Grads::of(net, &total.backward(), &|n| task.trains(n));
        Self {
            loss: floats(total)[0],
            marks: marks.into_iter().map(|(n, t)| (n, floats(t)[0])).collect(),
            grads,
            carry,
        }
    }
}

/// A stage of training: what is trained, on what, towards what.
pub trait Task: Sync {
    /// What is trained.
    type Net: Module + Sync;
    /// Its name in files and on screen.
    fn name(&self) -> &'static str;
    /// Whether the parameter of this name is trained by gradient.
    fn trains(&self, name: &str) -> bool;
    /// The loss of the batch of this step.
    fn step(&self, net: &Self::Net, step: usize) -> Step;
    /// What changes without gradient, after the update of this step.
    fn after(&self, net: Self::Net, _step: usize, _carry: Vec<Tensor<2>>) -> Self::Net {
        net
    }
    /// What the batch of this step is made of, for someone who must find out why it went wrong.
    fn describe(&self, step: usize) -> serde_json::Value;
    /// Marks on the validation split.
    fn validate(&self, net: &Self::Net) -> Vec<(&'static str, f32)>;
}

/// How often a run pauses, in updates.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// Updates between two checkpoints; 0 only at the end.
    pub checkpoint: usize,
    /// Updates between two looks at what is watched on; 0 never.
    pub validate: usize,
}

/// How the loop runs.
pub struct Plan<'a> {
    /// Updates until the rate is down for the first time.
    pub steps: usize,
    /// Updates of each further rise and fall of it.
    pub restarts: Vec<usize>,
    /// Peak learning rate.
    pub rate: f64,
    /// Updates until the peak.
    pub warmup: usize,
    /// Weight decay.
    pub decay: f32,
    /// In what linear layers multiply, forward and backward.
    pub precision: Precision,
    /// How often it pauses.
    pub pauses: Pauses,
    /// Where checkpoints and the journal go.
    pub dir: &'a Path,
}

impl Plan<'_> {
    /// Updates in all.
    pub fn total(&self) -> usize {
        self.restarts.iter().fold(self.steps, |sum, more| sum.saturating_add(*more))
    }
}

/// Where a run is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The stage.
    pub stage: &'static str,
    /// Done.
    pub done: usize,
    /// Of.
    pub total: usize,
    /// A line for people: losses and marks.
    pub line: String,
    /// Whether the line stands for itself and should stay to be read, such as what the next hours take
    /// on disk; it counts nothing.
    pub notice: bool,
}

impl Progress {
    /// A line that stands for itself.
    pub fn notice(stage: &'static str, line: String) -> Self {
        Self { stage, done: 0, total: 0, line, notice: true }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps were made.
    Done,
    /// Someone asked it to stop; a checkpoint was written after this step.
    Stopped(usize),
}

/// A run that could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file.
    #[error("cannot write or read {path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The checkpoint is of another run.
    #[error("the checkpoint in {path} is of another run: {why}; train into another folder, or remove it")]
    OtherRun {
        /// Where.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// What was marked is of another course.
    #[error(
        "{path} is of another course: other settings, weights, questions or files; run into another folder with --out, \
         or remove it"
    )]
    OtherCourse {
        /// Where.
        path: PathBuf,
    },
    /// The loss is no number any more.
    #[error(
        "the loss of {stage} is {loss} at step {step}, its gradient's length {gradient}: the batch is in {path}, the \
         weights before it in the checkpoint beside it; lower the learning rate, or look at that batch"
    )]
    NotFinite {
        /// The stage.
        stage: &'static str,
        /// The step.
        step: usize,
        /// The loss.
        loss: f32,
        /// The length of its gradient.
        gradient: f32,
        /// Where the batch is described.
        path: PathBuf,
    },
    /// Less to learn from than a batch takes.
    #[error(
        "a batch takes {need} groups of questions; {of} has {have} that can be asked: less in a batch (`families`) or a larger set is needed"
    )]
    Few {
        /// Groups in a batch.
        need: usize,
        /// The data's name.
        of: String,
        /// Groups that are there.
        have: usize,
    },
    /// Threads.
    #[error("this machine gave no threads to train with: {0}")]
    Threads(String),
    /// Weights.
    #[error(transparent)]
    Weights(#[from] nets::weights::WeightsError),
    /// Patches.
    #[error(transparent)]
    Finer(#[from] nets::blip2::FinerError),
    /// Marks.
    #[error(transparent)]
    Marks(#[from] benchmarks::Error),
    /// The model to begin from has other sizes than the recipe's backbone.
    #[error(
        "the model {name} cannot be begun from: the recipe's backbone is {wants}, and this one has {differ}; name \
         the preset that the model was made with in the recipe, or begin from another model"
    )]
    OtherSizes {
        /// The model.
        name: String,
        /// The recipe's preset.
        wants: String,
        /// What is not the same.
        differ: String,
    },
    /// A model of another family.
    #[error(transparent)]
    Family(#[from] nets::FamilyError),
    /// A model.
    #[error(transparent)]
    Model(#[from] methods::ModelError),
    /// A recipe.
    #[error(transparent)]
    Recipe(#[from] crate::RecipeError),
}

/// Runs a stage from its last checkpoint, or from `net`, to its end or until `stop` says so.
///
/// `fingerprint` names everything that the result depends on; a checkpoint with another one is
/// refused.
pub fn train<T: Task>(
    task: &T,
    mut net: T::Net,
    plan: &Plan<'_>,
    fingerprint: &str,
    tell: &mut dyn FnMut(Progress),
    stop: &dyn Fn() -> bool,
) -> Result<(T::Net, Ended), TrainError> {
    let mut adam = AdamW::new(plan.decay, 1.0);
    let mut step = 0;
    let place = Checkpoint::at(plan.dir, task.name());
    if let Some(saved) = place.read(fingerprint)? {
        let device = net.devices().pop().unwrap_or_else(|| nets::cpu().autodiff());
        net = saved.net.fill(net, &device)?;
        (adam.first, adam.second, adam.steps) = (saved.first, saved.second, saved.step as u64);
        step = saved.step;
    }
    // Parameters are drawn when first read: read them in one order, whatever happens next.
    drop(nets::weights::Tensors::of(&net));
    let mut journal = Journal::open(plan.dir, task.name(), step)?;
    let began = Instant::now();
    let first = step;
    let total = plan.total();
    while step < total {
        if stop() {
            place.write(step, fingerprint, &net, &adam)?;
            return Ok((net, Ended::Stopped(step)));
        }
        let Step { loss, marks, grads, carry } =
            nets::together(|| with_precision(plan.precision, || task.step(&net, step)));
        let gradient = grads.length();
        if !loss.is_finite() || !gradient.is_finite() {
            place.write(step, fingerprint, &net, &adam)?;
            let path = plan.dir.join(format!("{}.bad-batch.json", task.name()));
            let marks: BTreeMap<_, _> = marks.iter().map(|(n, v)| (*n, v.to_string())).collect();
            let bad: Vec<&String> =
                grads.map.iter().filter(|(_, g)| g.iter().any(|v| !v.is_finite())).map(|g| g.0).collect();
            let text = serde_json::json!({
                "step": step, "loss": loss.to_string(), "marks": marks,
                "parameters_without_finite_gradient": bad, "batch": task.describe(step),
            });
            std::fs::write(&path, format!("{text:#}\n"))
                .map_err(|e| TrainError::File { path: path.clone(), why: e.to_string() })?;
            return Err(TrainError::NotFinite { stage: task.name(), step, loss, gradient, path });
        }
        let rate = plan.rate * schedule::share(step, plan.warmup, plan.steps, &plan.restarts);
        net = nets::together(|| task.after(adam.step(net, grads, rate as f32), step, carry));
        step += 1;

        let mut values = vec![("loss", loss), ("rate", rate as f32), ("gradient", gradient)];
        values.extend(marks);
        if plan.pauses.validate > 0 && (step.is_multiple_of(plan.pauses.validate) || step == total) {
            values.extend(nets::together(|| task.validate(&net)));
        }
        let secs = began.elapsed().as_secs_f64() / (step - first) as f64;
        journal.add(step, secs, &values)?;
        let line = values.iter().map(|(n, v)| format!("{n} {v:.4}")).collect::<Vec<_>>().join("  ");
        tell(Progress { stage: task.name(), done: step, total, line, notice: false });
        if (plan.pauses.checkpoint > 0 && step.is_multiple_of(plan.pauses.checkpoint)) || step == total {
            place.write(step, fingerprint, &net, &adam)?;
        }
    }
    Ok((net, Ended::Done))
}
