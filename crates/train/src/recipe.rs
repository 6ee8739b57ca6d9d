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
    /// Captions with coarser patches, before the captions proper: most is learnt there, far cheaper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coarse: Option<Coarse>,
    /// Captions first.
    pub pretrain: pretrain::Settings,
    /// Then triplets.
    pub imagine: imagine::Settings,
}

/// A first stage with coarser patches; see [`blip2::finer`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coarse {
    /// Side of its patches, pixels; a multiple of the backbone's.
    pub patch: usize,
    /// As in the captions proper.
    pub pretrain: pretrain::Settings,
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
    /// Captions, coarsely.
    Coarse,
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
        let config = recipe.config()?;
        if let Some(patch) = recipe.coarse.as_ref().map(|c| c.patch)
            && (patch == 0 || !patch.is_multiple_of(config.patch) || !config.image.is_multiple_of(patch))
        {
            let (own, image) = (config.patch, config.image);
            return Err(RecipeError::Wrong(format!(
                "coarse patches of {patch} pixels: a multiple of the backbone's {own} that divides its {image} is needed"
            )));
        }
        if recipe.world.train < recipe.pretrain.families.max(recipe.imagine.families) {
            return Err(RecipeError::Wrong(format!(
                "a batch takes more families than the world has ({})",
                recipe.world.train
            )));
        }
        Ok(recipe)
    }

    /// Everything that the result of a stage depends on; an earlier stage knows nothing of a later one.
    pub fn fingerprint(&self, stage: Stage) -> Result<String, RecipeError> {
        let Self { seed, backbone, world, coarse, pretrain, .. } = self;
        let value = match stage {
            Stage::Coarse => serde_json::to_value((seed, backbone, world, coarse)),
            Stage::Pretrain => serde_json::to_value((seed, backbone, world, coarse, pretrain)),
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
