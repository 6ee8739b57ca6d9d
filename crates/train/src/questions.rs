//! Questions as a training step takes them: by family, so that a batch holds look-alikes.

use crate::data::groups_at;
use crate::{Drawn, RecipeError, TrainError};
use burn::tensor::{Bool, Tensor, TensorData};
use methods::Model;
use nets::Device;
use scenes::Rng;
use std::ops::Range;

/// A question as indices.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its name.
    pub id: String,
    /// Where it stands among all questions of its split, from 0.
    pub row: usize,
    /// Item.
    pub reference: usize,
    /// Token ids of the words.
    pub words: Vec<i32>,
    /// Items that are right; the first is the target.
    pub targets: Vec<usize>,
    /// How well the words fit each frame of the target, where the set says so.
    pub frame_scores: Vec<f32>,
}

/// How batches are made of families.
#[derive(Clone, Copy, Debug)]
pub struct Batches {
    /// Families in a batch.
    pub families: usize,
    /// Triplets taken of each.
    pub triplets: usize,
    /// Decides the order.
    pub seed: u64,
}

impl Batches {
    /// The batch of a step.
    pub fn at<'q>(&self, step: usize, questions: &'q [Vec<Asked>]) -> Vec<&'q Asked> {
        let mut rng = Rng::keyed(self.seed, &[3, step as u64]);
        let mut out = Vec::new();
        for family in groups_at(step, self.families, questions.len(), self.seed ^ 0x51) {
            let mut members: Vec<&Asked> = questions[family].iter().collect();
            rng.shuffle(&mut members);
            out.extend(members.into_iter().take(self.triplets));
        }
        out
    }

    /// Whether every step has what a batch takes, and at least two questions of it.
    ///
    /// # Errors
    ///
    /// [`TrainError::Few`] of the data that is called `of`; a recipe whose batches may be of one question.
    pub fn check(&self, of: &str, questions: &[Vec<Asked>]) -> Result<(), TrainError> {
        let (of, have) = (of.to_owned(), questions.len());
        if have < self.families {
            return Err(TrainError::Few { need: self.families, of, have });
        }
        // The batch of those families that have least.
        let mut sizes: Vec<usize> = questions.iter().map(|f| f.len().min(self.triplets)).collect();
        sizes.sort_unstable();
        if sizes.iter().take(self.families).sum::<usize>() < 2 {
            return Err(RecipeError::Wrong(format!(
                "a batch may be one question of {of} alone: it has nothing to be told from, and draws all prototypes to \
                 one point; take more families, or leave out those of a single question"
            ))
            .into());
        }
        Ok(())
    }

    /// Whether an epoch ends with this step.
    pub fn ends_epoch(&self, step: usize, questions: &[Vec<Asked>]) -> bool {
        (step + 1).is_multiple_of((questions.len() / self.families.max(1)).max(1))
    }
}

/// Which targets of a batch are right for other queries too: (B, B), queries in rows.
pub fn also_right(asked: &[&Asked], device: &Device) -> Tensor<2, Bool> {
    let b = asked.len();
    let same: Vec<bool> = asked
        .iter()
        .enumerate()
        .flat_map(|(i, a)| asked.iter().enumerate().map(move |(j, t)| i != j && a.targets.contains(&t.targets[0])))
        .collect();
    Tensor::<1, Bool>::from_data(TensorData::new(same, [b * b]), device).reshape([b, b])
}

/// A batch in words, for a report of what went wrong.
pub fn described(asked: &[&Asked], names: &[String]) -> serde_json::Value {
    let name = |i: &usize| names.get(*i).cloned().unwrap_or_default();
    asked
        .iter()
        .map(|a| {
            let targets: Vec<String> = a.targets.iter().map(name).collect();
            serde_json::json!({"question": a.id, "reference": name(&a.reference), "targets": targets, "words": a.words})
        })
        .collect()
}

/// The questions of a split as indices, by family of the reference.
pub fn questions(set: &scenes::Set, drawn: &Drawn, families: &[Range<usize>], model: &Model) -> Vec<Vec<Asked>> {
    let mut family_of = vec![0; drawn.items.len()];
    for (f, range) in families.iter().enumerate() {
        family_of[range.clone()].fill(f);
    }
    let mut out = vec![Vec::new(); families.len()];
    for t in &set.triplets {
        let Some(reference) = drawn.index.get(&t.reference) else { continue };
        let targets: Vec<usize> = t.targets.iter().filter_map(|n| drawn.index.get(n)).copied().collect();
        if !targets.is_empty() {
            let words = model.words.ids(&t.text);
            let (id, frame_scores) = (t.id.clone(), t.frame_scores.clone());
            out[family_of[*reference]].push(Asked { id, row: 0, reference: *reference, words, targets, frame_scores });
        }
    }
    out.retain(|f: &Vec<Asked>| !f.is_empty());
    out.iter_mut().flatten().enumerate().for_each(|(row, a)| a.row = row);
    out
}
