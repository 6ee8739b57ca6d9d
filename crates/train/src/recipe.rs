//! A recipe: everything that a run depends on, as a short TOML file.

use crate::{imagine, pretrain};
use methods::imagine::Config as Imagine;
use nets::blip2;
use std::path::PathBuf;

/// A training run, from world to weights.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The name of the model that comes out.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
    /// Seed of weights, batches and order.
    pub seed: u64,
    /// A preset of the backbone.
    pub backbone: String,
    /// Settings of IMAGINE's head.
    #[serde(default)]
    pub head: Imagine,
    /// What to learn from.
    pub world: WorldSettings,
    /// Captions first.
    pub pretrain: pretrain::Settings,
    /// Then triplets.
    pub imagine: imagine::Settings,
}

/// The drawn world to learn from.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldSettings {
    /// Seed of the scenes.
    pub seed: u64,
    /// Families to learn from.
    pub train: usize,
    /// Families to watch on.
    pub val: usize,
}

/// Which part of a recipe is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Captions.
    Pretrain,
    /// Triplets.
    Imagine,
}

/// A recipe that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// Not readable.
    #[error("cannot read the recipe {path}: {why}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Not a recipe.
    #[error("the recipe is wrong: {0}")]
    Wrong(String),
}

impl Recipe {
    /// From a file.
    pub fn open(path: &std::path::Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| RecipeError::Read { path: path.to_owned(), why: e.to_string() })?;
        Self::parse(&text)
    }

    /// From its text.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let recipe: Self =
            toml::from_str(text).map_err(|e| RecipeError::Wrong(e.to_string().trim().replace('\n', " ")))?;
        recipe.head.check().map_err(RecipeError::Wrong)?;
        recipe.config()?;
        if recipe.world.train < recipe.pretrain.families.max(recipe.imagine.families) {
            return Err(RecipeError::Wrong(format!(
                "a batch takes more families than the world has ({})",
                recipe.world.train
            )));
        }
        Ok(recipe)
    }

    /// Everything that the result of a stage depends on; the first stage knows nothing of the second.
    pub fn fingerprint(&self, stage: Stage) -> Result<String, RecipeError> {
        let Self { seed, backbone, world, pretrain, .. } = self;
        let value = match stage {
            Stage::Pretrain => serde_json::to_value((seed, backbone, world, pretrain)),
            Stage::Imagine => serde_json::to_value(self),
        };
        value.and_then(|v| serde_json::to_string_pretty(&v)).map_err(|e| RecipeError::Wrong(e.to_string()))
    }

    /// The backbone's sizes.
    pub fn config(&self) -> Result<blip2::Config, RecipeError> {
        blip2::Config::preset(&self.backbone).ok_or_else(|| {
            let known: Vec<&str> = blip2::PRESETS.iter().map(|(n, _)| *n).collect();
            RecipeError::Wrong(format!("unknown backbone {:?}; known are {}", self.backbone, known.join(", ")))
        })
    }
}
