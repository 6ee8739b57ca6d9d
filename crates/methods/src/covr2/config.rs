//! CoVR-2's settings.

use crate::contrast::{BETA, Classification};
use crate::imagine::Target;

/// CoVR-2's settings; the defaults are its release's.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The loss. HN-NCE as its authors mean it; `hn-nce-reference` for parity with released weights.
    pub classification: Classification,
    /// How much hardness counts.
    pub beta: f32,
    /// τ.
    pub temperature: f32,
    /// Who makes the target's feature: the Q-Former as it was before training.
    pub target: Target,
    /// Weight of the loss against the target's caption, the rest being for the target itself; 0.5
    /// where captions are given (WebVid-CoVR), 0 where not.
    pub caption_weight: f32,
    /// Whether a target that is right for another query of the batch too is left out of its negatives.
    /// The reference does not; see [`crate::imagine::Config::mask_duplicates`].
    pub mask_duplicates: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            classification: Classification::HnNce,
            beta: BETA,
            temperature: 0.07,
            target: Target::Frozen,
            caption_weight: 0.0,
            mask_duplicates: true,
        }
    }
}

impl Config {
    /// Whether the settings can be meant; the message says which cannot.
    pub fn check(&self) -> Result<(), String> {
        let within = |x: f32, most: f32| (0.0..=most).contains(&x);
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(format!("covr2: temperature is above 0; got {}", self.temperature));
        }
        if !within(self.beta, 16.0) || !within(self.caption_weight, 1.0) {
            return Err("covr2: beta is from 0 to 16, caption_weight from 0 to 1".into());
        }
        Ok(())
    }
}
