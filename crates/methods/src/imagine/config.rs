//! IMAGINE's settings: what the paper states, and where it is silent, our choice and its reason.
//!
//! Each open choice is one setting here, so that none of them is a habit of the code; each
//! component that the paper takes away in its ablations is a value of one of them
//! (see [`VARIANTS`](super::VARIANTS)).
//! The defaults are what `models/scenes-toy` was made with; a manifest that lacks a newer setting
//! means its default.

use crate::contrast::Classification;

/// Where the libraries begin (P⁰). Open in the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Begin {
    /// Features of K training samples: real, diverse, and there for every family and every K.
    Samples,
    /// Prototype j is the mean over many samples of what query slot j saw; "the pre-trained
    /// diversity of the slots" in its plainest reading. Needs K = number of queries; a text has no
    /// slots, so words begin as with `samples`.
    Slots,
    /// The query tokens themselves, projected: no data needed. Needs K = number of queries.
    Queries,
    /// Random directions: far from all data, and so slow to become useful.
    Random,
}

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

/// How near a feature is to a prototype in Eq. 1. Open: the paper writes an inner product, and says neither of
/// them has length one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nearness {
    /// Their cosine, so that τ means the same whatever the lengths are.
    #[default]
    Cosine,
    /// Their inner product: long features weigh more.
    InnerProduct,
}

/// How often the libraries follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Every {
    /// After every update: Eq. 1–2 speak of a batch.
    Step,
    /// After the last update of every epoch: the paper calls its t "equivalent to the epoch count".
    Epoch,
}

/// Whose features the picture library follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Followed {
    /// References: "using the reference video to describe the process".
    References,
    /// References and targets, which share the library.
    Both,
}

/// What stands for a feature in the imagery space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Space {
    /// A mixture of prototypes: schema-imagery construction.
    Prototypes,
    /// The feature itself. The paper's "w/o SIC" keeps the schema loss, so something free of
    /// prototypes must take their place.
    Features,
}

/// Which prototypes a query takes (Eq. 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// The k nearest. Stated.
    Best,
    /// Any k, drawn from the feature's own bits, so that the same query draws the same.
    Random,
    /// All of them: without top-k filtering.
    All,
}

/// How those taken become one vector (Eq. 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// Weighted by their scores' softmax: the ablation speaks of "attention aggregation", and only
    /// so does the schema loss reach the encoder.
    Attention,
    /// Their plain mean.
    Mean,
}

/// Where the weights of picture and words imagery come from (Eq. 6). Open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fusion {
    /// Two learned numbers through a softmax: imagery stays inside the prototypes' hull.
    Softmax,
    /// One half each.
    Fixed,
    /// Two learned numbers as they are, from one half each.
    Free,
    /// A learned function of both imageries, through a softmax.
    Gate,
}

/// How imagery changes the composed feature (Eq. 8–11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Composition {
    /// Scaled and shifted. Stated.
    Modulate,
    /// Scaled only: without the shift.
    Scale,
    /// Shifted only: without the scale.
    Shift,
    /// f + m: element-wise addition.
    Add,
    /// f attends to the prototypes taken.
    CrossAttention,
    /// f as it is: without imagery-guided composition.
    Concrete,
}

/// What the confidence network reads (Eq. 9). Open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfidenceInput {
    /// `[m; γ; β]`: "the credibility of the scaled modulation" needs both, and the parameters add up.
    ImageryAndModulation,
    /// `[m]`
    Imagery,
    /// `[γ; β]`
    Modulation,
    /// `[m; f]`
    ImageryAndFeature,
}

/// How many confidences a query has (Eq. 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfidenceWidth {
    /// One: "element-wise multiplication with batch broadcasting".
    One,
    /// One for each of the D dimensions.
    Each,
}

/// What stands for a text. Open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WordsFeature {
    /// The first token's output, as ReTrack has it and as captions were learnt.
    Cls,
    /// The mean over the tokens that are not padding (HUD means padding in).
    Mean,
}

/// Who makes the target's feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The Q-Former that is being trained, as in the sibling code.
    #[default]
    Online,
    /// The Q-Former as it was before, computed once: CoVR-2. It stays in the model for the gallery.
    Frozen,
}

/// How far imagery is from the target's (Eq. 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schema {
    /// One minus the cosine. Stated.
    Cosine,
    /// The length of the difference.
    Euclidean,
}

/// What imagery is aligned with (Eq. 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchemaTarget {
    /// The target's imagery, by the same library. Stated.
    Imagery,
    /// The target's concrete feature: the paper's "altered imagery alignment target".
    Concrete,
}

/// What reference and words are together, before anything is imagined (Eq. 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Concrete {
    /// What the backbone makes of both, read together. Stated; BLIP-2 can.
    #[default]
    Composed,
    /// Half of each, as unit vectors: for families that see and read apart.
    Sum,
    /// Both, as the network makes them, added: as BGE-VL was trained.
    Added,
}

/// IMAGINE's settings.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// K, prototypes in each library. Paper: as many as query tokens, 32.
    pub prototypes: usize,
    /// Where they begin. Open; see [`Begin`].
    pub begin: Begin,
    /// What shares what when prototypes follow the features. Open; see [`Axis`].
    pub follow_axis: Axis,
    /// How near a feature is to a prototype there. Open; see [`Nearness`].
    #[serde(skip_serializing_if = "is_usual")]
    pub follow_nearness: Nearness,
    /// τ of that softmax. Open; 0.02: features lie in a cone, and a softer sharing cannot tell them
    /// apart.
    pub follow_temperature: f32,
    /// How often they follow. The paper contradicts itself; see [`Every`].
    pub follow_every: Every,
    /// Whose features the picture library follows. Open; see [`Followed`].
    pub followed: Followed,
    /// μ, how much of a prototype stays at each step. Stated: 0.9; 1 is static.
    pub momentum: f32,
    /// Whether a prototype is scaled to length one after each step. Open; true, so that imagery is a
    /// mean of unit vectors whatever μ is.
    pub renormalise: bool,
    /// Whether this step's own share of the prototypes carries gradient (Eq. 2 before the
    /// stop-gradient that the paper does not mention). Open; false: pooling carries enough.
    pub library_gradient: bool,
    /// What stands for a feature in the imagery space. Stated: prototypes.
    pub space: Space,
    /// Which prototypes a query takes. Stated: the best.
    pub selection: Selection,
    /// k, prototypes that a query takes. Stated: 10.
    pub top_k: usize,
    /// How those become one vector. See [`Pool`].
    pub pool: Pool,
    /// τ of the weights among the k chosen. Open; 0.07: with cosines, larger means averaging.
    pub pool_temperature: f32,
    /// Where the two imageries' weights come from. Open; see [`Fusion`].
    pub fusion: Fusion,
    /// How imagery changes the composed feature. Stated: scale and shift.
    pub composition: Composition,
    /// `(1 + cγ) ⊙ f` instead of `cγ ⊙ f`. Open; true, because without confidence the concrete feature
    /// must stand.
    pub residual: bool,
    /// Whether the modulation's last layer starts at zero. Open; true: training then starts from the
    /// concrete feature.
    pub silent_start: bool,
    /// Hidden width of the modulation network. Open; 256, the one hidden dimension that the paper states.
    pub modulation_hidden: usize,
    /// Hidden layers of the modulation network. Open; 1, the fewest with which it is more than a matrix.
    pub modulation_layers: usize,
    /// What the confidence network reads. Open; see [`ConfidenceInput`].
    pub confidence_input: ConfidenceInput,
    /// How many confidences it gives. Inferred: one.
    pub confidence_width: ConfidenceWidth,
    /// Hidden width of the confidence network. Open; 64, as it has one number to give, where the modulation
    /// has 2D.
    pub confidence_hidden: usize,
    /// What stands for a text. Open; see [`WordsFeature`].
    pub words_feature: WordsFeature,
    /// What reference and words are together. Stated: the Q-Former's composition; other families have none.
    #[serde(skip_serializing_if = "is_usual")]
    pub concrete: Concrete,
    /// Whether the composed feature has length one before it is modulated (ReTrack's has, CoVR-2's not). Open;
    /// false: a mean of unit vectors that disagree is short, which the shift β may then outweigh.
    #[serde(skip_serializing_if = "is_usual")]
    pub normalise_composed: bool,
    /// Who makes the target's feature. Open; see [`Target`].
    pub target: Target,
    /// How the right target is told from the batch's others (Eq. 12). Inferred: from the query's side.
    pub classification: Classification,
    /// Its weight; 0 takes it away (Table 4).
    pub classification_weight: f32,
    /// τ of the classification loss. Open; 0.07 as in the sibling code.
    pub temperature: f32,
    /// Whether a target that is right for another query of the batch too is left out of its
    /// negatives. The reference codes do not; true, because such a negative teaches what is wrong.
    pub mask_duplicates: bool,
    /// How far imagery is from the target's. Stated: cosine.
    pub schema: Schema,
    /// What imagery is aligned with. Stated: the target's imagery.
    pub schema_target: SchemaTarget,
    /// Whether the target's side of the schema loss carries gradient. Open; true, as the paper speaks of no
    /// stop, and the classification loss keeps both sides from one point.
    pub schema_target_gradient: bool,
    /// λ, the weight of the schema loss. Stated: 0.5.
    pub schema_weight: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prototypes: 32,
            begin: Begin::Samples,
            follow_axis: Axis::Prototypes,
            follow_nearness: Nearness::Cosine,
            follow_temperature: 0.02,
            follow_every: Every::Step,
            followed: Followed::References,
            momentum: 0.9,
            renormalise: true,
            library_gradient: false,
            space: Space::Prototypes,
            selection: Selection::Best,
            top_k: 10,
            pool: Pool::Attention,
            pool_temperature: 0.07,
            fusion: Fusion::Softmax,
            composition: Composition::Modulate,
            residual: true,
            silent_start: true,
            modulation_hidden: 256,
            modulation_layers: 1,
            confidence_input: ConfidenceInput::ImageryAndModulation,
            confidence_width: ConfidenceWidth::One,
            confidence_hidden: 64,
            words_feature: WordsFeature::Cls,
            concrete: Concrete::Composed,
            normalise_composed: false,
            target: Target::Online,
            classification: Classification::OneWay,
            classification_weight: 1.0,
            temperature: 0.07,
            mask_duplicates: true,
            schema: Schema::Cosine,
            schema_target: SchemaTarget::Imagery,
            schema_target_gradient: true,
            schema_weight: 0.5,
        }
    }
}

/// Settings that came later stand in no file that leaves them as they were: its digest stays.
fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Config {
    /// Whether a backbone makes all the features that these settings ask for.
    pub fn fits(&self, backbone: &nets::Config) -> Result<(), nets::FamilyError> {
        match self.concrete == Concrete::Composed || self.words_feature != WordsFeature::Cls {
            true => backbone.blip2().map(|_| ()),
            false => Ok(()),
        }
    }

    /// Networks large enough for the paper's 0.95 M added parameters at D = 256: which networks the
    /// authors drew cannot be told from the count, but these fit it.
    pub fn paper_sized() -> Self {
        Self { modulation_hidden: 512, modulation_layers: 2, confidence_hidden: 384, ..Self::default() }
    }

    /// The text's own words where they differ from what works here: prototypes share themselves among
    /// the batch, with the one temperature that the paper mentions.
    pub fn to_the_letter() -> Self {
        Self { follow_axis: Axis::Batch, follow_temperature: 0.07, ..Self::paper_sized() }
    }

    /// Parameters that gradients train at feature dimension `dim`; the libraries follow without.
    pub fn parameters(&self, dim: usize) -> usize {
        let layer = |inputs: usize, outputs: usize| inputs * outputs + outputs;
        let h = self.modulation_hidden;
        let modulation = layer(dim, h) + self.modulation_layers.saturating_sub(1) * layer(h, h) + layer(h, 2 * dim);
        let confidence = layer(self.confidence_inputs(dim), self.confidence_hidden)
            + layer(self.confidence_hidden, self.confidence_outputs(dim));
        let attention = if self.composition == Composition::CrossAttention { 4 * layer(dim, dim) } else { 0 };
        let gate = if self.fusion == Fusion::Gate { layer(2 * dim, 2) } else { 0 };
        modulation + confidence + attention + gate + 2
    }

    /// Width of what the confidence network reads.
    pub(super) fn confidence_inputs(&self, dim: usize) -> usize {
        match self.confidence_input {
            ConfidenceInput::ImageryAndModulation => 3 * dim,
            ConfidenceInput::Imagery => dim,
            ConfidenceInput::Modulation | ConfidenceInput::ImageryAndFeature => 2 * dim,
        }
    }

    /// Width of what it gives.
    pub(super) fn confidence_outputs(&self, dim: usize) -> usize {
        if self.confidence_width == ConfidenceWidth::One { 1 } else { dim }
    }

    /// Whether the settings can be meant; the message says which cannot.
    pub fn check(&self) -> Result<(), String> {
        let Self { prototypes, top_k, modulation_hidden, modulation_layers, confidence_hidden, .. } = *self;
        let widths = [prototypes, modulation_hidden, confidence_hidden];
        if widths.iter().any(|n| *n == 0 || *n > 1 << 16) || modulation_layers == 0 || modulation_layers > 16 {
            return Err(
                "imagine: prototypes and hidden widths are from 1 to 65,536, modulation_layers from 1 to 16".into()
            );
        }
        if top_k == 0 || top_k > prototypes {
            return Err(format!("imagine: top_k is between 1 and the number of prototypes, {prototypes}; got {top_k}"));
        }
        let above_zero = |t: f32| t.is_finite() && t > 0.0;
        if ![self.temperature, self.pool_temperature, self.follow_temperature].into_iter().all(above_zero)
            || !(0.0..=1.0).contains(&self.momentum)
        {
            return Err("imagine: temperatures are above 0, momentum is from 0 to 1".into());
        }
        let weights = [self.classification_weight, self.schema_weight];
        if weights.iter().any(|w| !w.is_finite() || *w < 0.0) || weights.iter().sum::<f32>() <= 0.0 {
            return Err("imagine: the two losses' weights are 0 or more, and not both 0".into());
        }
        if self.composition == Composition::CrossAttention && self.space == Space::Features {
            return Err("imagine: cross-attention looks at prototypes; it needs space = \"prototypes\"".into());
        }
        Ok(())
    }
}
