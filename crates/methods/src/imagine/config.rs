//! IMAGINE's settings; where the paper is silent, our choice and its reason.

/// IMAGINE's settings.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// K, prototypes in each library. Paper: as many as query tokens, 32.
    pub prototypes: usize,
    /// k, prototypes that a query takes. Stated: 10.
    pub top_k: usize,
    /// τ of the batch softmax and of the classification loss. Open; 0.07 as in the sibling code.
    pub temperature: f32,
    /// τ of the weights among the k chosen. Open; 0.07: with cosines, larger means averaging.
    pub pool_temperature: f32,
    /// μ, how much of a prototype stays at each step. Stated: 0.9.
    pub momentum: f32,
    /// λ, the weight of the schema loss. Stated: 0.5.
    pub schema_weight: f32,
    /// Hidden width of the modulation network. Open.
    pub modulation_hidden: usize,
    /// Hidden width of the confidence network. Open.
    pub confidence_hidden: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prototypes: 32,
            top_k: 10,
            temperature: 0.07,
            pool_temperature: 0.07,
            momentum: 0.9,
            schema_weight: 0.5,
            modulation_hidden: 256,
            confidence_hidden: 64,
        }
    }
}

impl Config {
    /// Whether the settings can be meant; the message says which cannot.
    pub fn check(&self) -> Result<(), String> {
        let Self { prototypes, top_k, modulation_hidden, confidence_hidden, .. } = *self;
        if prototypes == 0 || prototypes > 1 << 16 || modulation_hidden.max(confidence_hidden) > 1 << 16 {
            return Err("imagine: prototypes and hidden widths are between 1 and 65,536".into());
        }
        if top_k == 0 || top_k > prototypes {
            return Err(format!("imagine: top_k is between 1 and the number of prototypes, {prototypes}; got {top_k}"));
        }
        if self.temperature <= 0.0 || self.pool_temperature <= 0.0 || !(0.0..=1.0).contains(&self.momentum) {
            return Err("imagine: temperatures are above 0, momentum is from 0 to 1".into());
        }
        Ok(())
    }
}
