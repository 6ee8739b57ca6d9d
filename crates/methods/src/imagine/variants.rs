//! The paper's ablations and sweeps, each a named change of the settings; and the choices that the
//! paper leaves open, so that each can be seen to matter or not.
//!
//! [`VARIANTS`] is what `likebut reproduce imagine` runs, in the order of its tables.
//! Printed values are the paper's, from its tables and its text; `None` where they stand only in a
//! picture.

use super::config::{
    Axis, Begin, Composition, ConfidenceInput, ConfidenceWidth, Config, Every, Followed, Fusion, Nearness, Pool,
    Schema, SchemaTarget, Selection, Space, Target, WordsFeature,
};
use crate::contrast::Classification;

/// One line of a table or one bar of a figure.
pub struct Variant {
    /// Its name: on the command line, in files.
    pub name: &'static str,
    /// Which table or figure of the paper it belongs to; `choices` for what the paper leaves open.
    pub exhibit: &'static str,
    /// Others that it belongs to as well: a setting's last value is often a table's row of its own.
    pub also: &'static [&'static str],
    /// What it changes, in a few words.
    pub about: &'static str,
    /// Printed: FashionIQ mean R@10 and R@50, WebVid-CoVR mean of R@1, 5, 10, 50, CIRR mean of seven.
    pub paper: [Option<f32>; 4],
    /// The change.
    pub set: fn(&mut Config),
    /// Whether it has as many prototypes as the backbone has query slots, besides.
    pub one_per_slot: bool,
}

const NONE: [Option<f32>; 4] = [None; 4];

const fn all(r10: f32, r50: f32, webvid: f32, cirr: f32) -> [Option<f32>; 4] {
    [Some(r10), Some(r50), Some(webvid), Some(cirr)]
}

const fn line(
    exhibit: &'static str,
    name: &'static str,
    about: &'static str,
    paper: [Option<f32>; 4],
    set: fn(&mut Config),
) -> Variant {
    Variant { name, exhibit, also: &[], about, paper, set, one_per_slot: false }
}

impl Variant {
    const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    const fn one_per_slot(self) -> Self {
        Self { one_per_slot: true, ..self }
    }
}

const FULL: [Option<f32>; 4] = all(59.09, 80.11, 85.63, 84.66);
const STATIC: [Option<f32>; 4] = all(57.31, 77.98, 83.72, 83.21);

/// All of them; the full method first.
pub const VARIANTS: &[Variant] = &[
    line("full", "full", "as the paper has it, but for the axis that prototypes follow along", FULL, |_| ()),
    // Table 4: which loss carries what.
    line("table 4", "only-classification", "no prototypes, no schema loss", all(54.98, 75.64, 80.47, 81.21), |c| {
        c.space = Space::Features;
        c.schema_weight = 0.0;
    }),
    line("table 4", "only-schema", "no prototypes, no classification loss", all(13.32, 28.53, 35.77, 35.93), |c| {
        c.space = Space::Features;
        c.classification_weight = 0.0;
    }),
    line("table 4", "without-classification", "no classification loss", all(18.78, 34.37, 47.00, 39.19), |c| {
        c.classification_weight = 0.0;
    }),
    line("table 4", "without-schema", "λ = 0: no schema loss", all(56.80, 77.59, 82.77, 82.04), |c| {
        c.schema_weight = 0.0;
    })
    .also(&["figure 6"]),
    line("table 4", "without-sic", "features stand for their own imagery", all(57.09, 78.03, 82.86, 82.21), |c| {
        c.space = Space::Features
    }),
    // Figure 3: schema-imagery construction.
    line("figure 3", "random-selection", "any k prototypes", NONE, |c| c.selection = Selection::Random),
    line("figure 3", "without-momentum", "μ = 0: the last batch alone", NONE, |c| c.momentum = 0.0).also(&["table 5"]),
    line("figure 3", "mean-pooling", "a plain mean of the k taken", NONE, |c| c.pool = Pool::Mean),
    line("figure 3", "without-top-k", "k = K: all prototypes", NONE, |c| c.selection = Selection::All)
        .also(&["figure 6"]),
    line("figure 3", "static", "μ = 1: prototypes stay as they begin", STATIC, |c| c.momentum = 1.0).also(&["table 5"]),
    // Figure 4: imagery-guided composition.
    line("figure 4", "addition", "f + m", [Some(57.55), Some(78.61), None, None], |c| {
        c.composition = Composition::Add;
    }),
    line("figure 4", "cross-attention", "f attends to prototypes", [None, None, None, Some(83.84)], |c| {
        c.composition = Composition::CrossAttention;
    }),
    line("figure 4", "without-scale", "shift only", [None, None, Some(84.63), None], |c| {
        c.composition = Composition::Shift;
    }),
    line("figure 4", "without-shift", "scale only", [None, None, Some(85.06), None], |c| {
        c.composition = Composition::Scale;
    }),
    // Figure 5: dual-space alignment. The text gives these as drops, absolute or not, and no values.
    line("figure 5", "without-imc", "the concrete feature alone (paper: 3.58 % lower on WebVid-CoVR)", NONE, |c| {
        c.composition = Composition::Concrete
    }),
    line(
        "figure 5",
        "altered-target",
        "imagery aligned with the concrete target (paper: 1.38 % lower on CIRR)",
        NONE,
        |c| {
            c.schema_target = SchemaTarget::Concrete;
        },
    ),
    line("figure 5", "euclidean", "distance instead of cosine (paper: 0.61 % lower on FashionIQ)", NONE, |c| {
        c.schema = Schema::Euclidean
    }),
    // Table 5: μ. 0 and 1 are figure 3's, 0.9 is the full method.
    line("table 5", "momentum-0.4", "μ = 0.4", all(57.18, 77.86, 83.73, 83.03), |c| c.momentum = 0.4),
    line("table 5", "momentum-0.5", "μ = 0.5", all(57.75, 78.51, 84.23, 83.76), |c| c.momentum = 0.5),
    line("table 5", "momentum-0.6", "μ = 0.6", all(58.38, 79.28, 84.94, 84.01), |c| c.momentum = 0.6),
    line("table 5", "momentum-0.8", "μ = 0.8", all(58.91, 79.91, 85.25, 84.49), |c| c.momentum = 0.8),
    // Figure 6: k and λ. 10 and 0.5 are the full method, k = 32 is figure 3's, λ = 0 is table 4's.
    line("figure 6", "top-1", "k = 1", NONE, |c| c.top_k = 1.min(c.prototypes)),
    line("figure 6", "top-5", "k = 5", NONE, |c| c.top_k = 5.min(c.prototypes)),
    line("figure 6", "top-15", "k = 15", NONE, |c| c.top_k = 15.min(c.prototypes)),
    line("figure 6", "top-20", "k = 20", NONE, |c| c.top_k = 20.min(c.prototypes)),
    line("figure 6", "schema-0.1", "λ = 0.1", NONE, |c| c.schema_weight = 0.1),
    line("figure 6", "schema-0.3", "λ = 0.3", NONE, |c| c.schema_weight = 0.3),
    line("figure 6", "schema-0.7", "λ = 0.7", NONE, |c| c.schema_weight = 0.7),
    line("figure 6", "schema-1", "λ = 1", NONE, |c| c.schema_weight = 1.0),
    // What the paper leaves open.
    line("choices", "axis-batch", "prototypes share themselves among the batch", NONE, |c| {
        c.follow_axis = Axis::Batch;
    }),
    line("choices", "to-the-letter", "the same with the one temperature that the paper mentions", NONE, |c| {
        let letter = Config::to_the_letter();
        (c.follow_axis, c.follow_temperature) = (letter.follow_axis, letter.follow_temperature);
    }),
    line("choices", "inner-product", "prototypes are as near as inner products say", NONE, |c| {
        c.follow_nearness = Nearness::InnerProduct;
    }),
    // What the next two are to be compared with, where the backbone's slots are fewer.
    line("choices", "one-per-slot", "as many prototypes as query slots", NONE, |_| ()).one_per_slot(),
    line("choices", "begin-slots", "and they begin as what the slots see", NONE, |c| c.begin = Begin::Slots)
        .one_per_slot(),
    line("choices", "begin-queries", "or as projected queries", NONE, |c| c.begin = Begin::Queries).one_per_slot(),
    line("choices", "begin-random", "prototypes begin anywhere", NONE, |c| c.begin = Begin::Random),
    line("choices", "follow-epoch", "libraries follow once an epoch", NONE, |c| c.follow_every = Every::Epoch),
    line("choices", "follow-both", "references and targets are followed", NONE, |c| c.followed = Followed::Both),
    line("choices", "not-renormalised", "prototypes keep their length", NONE, |c| c.renormalise = false),
    line("choices", "library-gradient", "the step's own share carries gradient", NONE, |c| c.library_gradient = true),
    line("choices", "fusion-fixed", "half picture, half words", NONE, |c| c.fusion = Fusion::Fixed),
    line("choices", "fusion-free", "two numbers without softmax", NONE, |c| c.fusion = Fusion::Free),
    line("choices", "fusion-gate", "weights from the imagery", NONE, |c| c.fusion = Fusion::Gate),
    line("choices", "confidence-of-imagery", "confidence reads m", NONE, |c| {
        c.confidence_input = ConfidenceInput::Imagery;
    }),
    line("choices", "confidence-of-modulation", "confidence reads γ and β", NONE, |c| {
        c.confidence_input = ConfidenceInput::Modulation;
    }),
    line("choices", "confidence-of-both", "confidence reads m and f", NONE, |c| {
        c.confidence_input = ConfidenceInput::ImageryAndFeature;
    }),
    line("choices", "confidence-each", "one confidence for each dimension", NONE, |c| {
        c.confidence_width = ConfidenceWidth::Each;
    }),
    line("choices", "without-residual", "cγ ⊙ f + cβ", NONE, |c| {
        c.residual = false;
        // From silence there would be nothing to begin with.
        c.silent_start = false;
    }),
    line("choices", "loud-start", "modulation starts at random", NONE, |c| c.silent_start = false),
    line("choices", "normalised", "the composed feature has length one", NONE, |c| c.normalise_composed = true),
    line("choices", "frozen-target", "targets stay as they were before", NONE, |c| c.target = Target::Frozen),
    line("choices", "stopped-target", "the schema loss leaves the target's side alone", NONE, |c| {
        c.schema_target_gradient = false;
    }),
    line("choices", "words-mean", "a text is the mean of its tokens", NONE, |c| c.words_feature = WordsFeature::Mean),
    line("choices", "symmetric", "both directions classified", NONE, |c| c.classification = Classification::Symmetric),
    // Whether the choice is imagery's or the loss's.
    line("choices", "symmetric-without-sic", "the same, and features stand for their own imagery", NONE, |c| {
        (c.classification, c.space) = (Classification::Symmetric, Space::Features);
    }),
    line("choices", "hn-nce", "hard negatives weigh more", NONE, |c| c.classification = Classification::HnNce),
    line("choices", "unmasked", "right answers of others count as wrong", NONE, |c| c.mask_duplicates = false),
];

/// The variant of this name.
pub fn variant(name: &str) -> Option<&'static Variant> {
    VARIANTS.iter().find(|v| v.name == name)
}
