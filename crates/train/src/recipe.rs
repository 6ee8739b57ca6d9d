//! A recipe: everything that a run depends on, as a short TOML file.

use crate::compose::{self, Head, Learns};
use crate::pretrain;
use domain::Sampling;
use methods::covr2;
use methods::imagine::{Begin, Config as Imagine};
use nets::blip2;
use std::path::{Path, PathBuf};

const MAX_BYTES: u64 = 1 << 20;

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
    /// D, the dimension of the shared space and so of the prototypes; the preset's where absent, because
    /// every item of a library keeps a vector of this length, and a preset's fits its other sizes. The paper
    /// has 256; 768 is the Q-Former's own width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed: Option<usize>,
    /// Which frames of a clip, references and targets alike; as many as the backbone has positions
    /// for where absent, because a drawn clip can differ from its reference in what moves and when, which
    /// one frame does not show. The papers take one, `middle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<Sampling>,
    /// In what linear layers multiply while training; weights, sums and marks are f32 either way.
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// Settings of IMAGINE's head.
    #[serde(default)]
    pub head: Imagine,
    /// Settings of CoVR-2; where given, it is trained instead of IMAGINE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covr2: Option<covr2::Config>,
    /// What to learn from.
    pub world: WorldSettings,
    /// Captions with coarser patches, before the captions proper: most is learnt there, far cheaper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coarse: Option<Coarse>,
    /// Captions first.
    pub pretrain: pretrain::Settings,
    /// Then triplets.
    #[serde(alias = "compose")]
    pub imagine: compose::Settings,
}

/// In what linear layers multiply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Factors rounded to bf16, forward and backward; faster where the processor multiplies them.
    Bf16,
}

impl From<Precision> for nets::layers::Precision {
    fn from(p: Precision) -> Self {
        match p {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

/// Whether a backbone of so many queries has what the prototypes begin as.
pub(crate) fn begins(head: &Imagine, queries: usize) -> Result<(), RecipeError> {
    match matches!(head.begin, Begin::Slots | Begin::Queries) && head.prototypes != queries {
        true => Err(RecipeError::Wrong(format!(
            "prototypes that begin as slots or queries are as many as those: {queries}, not {}",
            head.prototypes
        ))),
        false => Ok(()),
    }
}

/// Refuses to train the head alone of a method that has none.
pub(crate) fn headless(stage: &compose::Settings, covr2: bool) -> Result<(), RecipeError> {
    match stage.learns == Learns::Head && covr2 {
        true => Err(RecipeError::Wrong("CoVR-2 has no head of its own; learns = \"head\" leaves nothing".into())),
        false => Ok(()),
    }
}

/// A recipe's text. None is near a megabyte, so more is not read.
pub fn text(path: &Path) -> Result<String, RecipeError> {
    media::whole_text(path, MAX_BYTES).map_err(|e| RecipeError::Read { path: path.to_owned(), why: e.to_string() })
}

pub(crate) fn is_default(p: &Precision) -> bool {
    *p == Precision::default()
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

/// A recipe of any kind from its text; an error names the line.
pub(crate) fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, RecipeError> {
    toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        // What was typed stands in it.
        let what: String = e.message().chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect();
        RecipeError::Wrong(format!("line {line}: {what}"))
    })
}

impl Recipe {
    /// From a file.
    pub fn open(path: &Path) -> Result<Self, RecipeError> {
        Self::parse(&text(path)?)
    }

    /// From its text.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let recipe: Self = parsed(text)?;
        recipe.head.check().map_err(RecipeError::Wrong)?;
        if let Some(c) = &recipe.covr2 {
            c.check().map_err(RecipeError::Wrong)?;
        }
        let config = recipe.config()?;
        if let Some(patch) = recipe.coarse.as_ref().map(|c| c.patch)
            && (patch == 0 || !patch.is_multiple_of(config.patch) || !config.image.is_multiple_of(patch))
        {
            let (own, image) = (config.patch, config.image);
            return Err(RecipeError::Wrong(format!(
                "coarse patches of {patch} pixels: a multiple of the backbone's {own} that divides its {image} is needed"
            )));
        }
        let (head, stage) = (&recipe.head, &recipe.imagine);
        if recipe.covr2.is_none() {
            begins(head, config.queries)?;
        }
        stage.check().map_err(RecipeError::Wrong)?;
        headless(stage, recipe.covr2.is_some())?;
        for captions in recipe.coarse.iter().map(|c| &c.pretrain).chain([&recipe.pretrain]) {
            compose::pace(captions.rate, captions.decay).map_err(RecipeError::Wrong)?;
        }
        if recipe.world.train < recipe.pretrain.families.max(recipe.imagine.families) {
            return Err(RecipeError::Wrong(format!(
                "a batch takes more families than the world has ({})",
                recipe.world.train
            )));
        }
        Ok(recipe)
    }

    /// Which method is trained, and its settings.
    pub fn method(&self) -> Head {
        match &self.covr2 {
            Some(c) => Head::Covr2(c.clone()),
            None => Head::Imagine(self.head.clone()),
        }
    }

    /// Everything that the result of a stage depends on; an earlier stage knows nothing of a later one.
    pub fn fingerprint(&self, stage: Stage) -> Result<String, RecipeError> {
        let Self { seed, backbone, world, coarse, pretrain, embed, frames, precision, .. } = self;
        let value_of = |value: serde_json::Value| match stage {
            Stage::Coarse | Stage::Pretrain if !is_default(precision) => serde_json::json!([value, precision]),
            _ => value,
        };
        // Recipes that leave these to the preset keep the fingerprints that they had before there was a choice.
        let more = (embed.is_some() || frames.is_some()).then_some((embed, frames));
        let value = match (stage, more) {
            (Stage::Coarse, None) => serde_json::to_value((seed, backbone, world, coarse)),
            (Stage::Coarse, Some(more)) => serde_json::to_value((seed, backbone, world, coarse, more)),
            (Stage::Pretrain, None) => serde_json::to_value((seed, backbone, world, coarse, pretrain)),
            (Stage::Pretrain, Some(more)) => serde_json::to_value((seed, backbone, world, coarse, pretrain, more)),
            (Stage::Imagine, _) => serde_json::to_value(self),
        };
        value.and_then(|v| serde_json::to_string_pretty(&value_of(v))).map_err(|e| RecipeError::Wrong(e.to_string()))
    }

    /// The backbone's sizes.
    pub fn config(&self) -> Result<blip2::Config, RecipeError> {
        let preset = blip2::Config::preset(&self.backbone).ok_or_else(|| {
            let known: Vec<&str> = blip2::PRESETS.iter().map(|(n, _)| *n).collect();
            RecipeError::Wrong(format!("unknown backbone {:?}; known are {}", self.backbone, known.join(", ")))
        })?;
        let config = blip2::Config { embed: self.embed.unwrap_or(preset.embed), ..preset };
        config.check().map_err(RecipeError::Wrong)?;
        Ok(config)
    }
}
