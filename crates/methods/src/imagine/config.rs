//! IMAGINE's settings; where the paper is silent, our choice and its reason.

/// What shares what in Eq. 1's softmax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Each prototype shares itself among the samples of the batch: what the paper's text implies.
    /// It is a mean shift, and on our scenes it drew all prototypes to one point within some
    /// hundred steps (mean pairwise cosine 1.00), after which imagery says nothing.
    Batch,
    /// Each sample shares itself among the prototypes: a soft k-means, in which prototypes compete
    /// and so stay apart.
    Prototypes,
}

/// IMAGINE's settings.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// K, prototypes in each library. Paper: as many as query tokens, 32.
    pub prototypes: usize,
    /// k, prototypes that a query takes. Stated: 10.
    pub top_k: usize,
    /// τ of the classification loss. Open; 0.07 as in the sibling code.
    pub temperature: f32,
    /// What shares what when prototypes follow the features. Open; see [`Axis`].
    pub follow_axis: Axis,
    /// τ of that softmax. Open; 0.02: features lie in a cone, and a softer sharing cannot tell them
    /// apart.
    pub follow_temperature: f32,
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
            follow_axis: Axis::Prototypes,
            follow_temperature: 0.02,
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
        let temperatures = [self.temperature, self.pool_temperature, self.follow_temperature];
        if temperatures.iter().any(|t| *t <= 0.0) || !(0.0..=1.0).contains(&self.momentum) {
            return Err("imagine: temperatures are above 0, momentum is from 0 to 1".into());
        }
        Ok(())
    }
}
