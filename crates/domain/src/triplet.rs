//! A question with its right answers: what methods learn from and are marked on.

use std::collections::BTreeMap;

/// Which part of a data set something belongs to; the parts share no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To learn from.
    Train,
    /// To choose settings on.
    Val,
    /// To be marked on; never to choose anything on.
    Test,
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        })
    }
}

/// What kind of thing the words ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// The words name what is to be seen: "make the ball red".
    Explicit,
    /// The words name an idea that is never drawn as such: "as a birthday party".
    Implied,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Change::Explicit => "explicit",
            Change::Implied => "implied",
        })
    }
}

/// A reference, a modification text and the right answers, by the names of the gallery:
/// one line of our JSONL triplet format.
///
/// ```
/// let asked = domain::Triplet {
///     id: "q1".into(), reference: "red ball".into(), text: "make it blue".into(),
///     targets: vec!["blue ball".into()], ..Default::default()
/// };
/// assert!(asked.candidates.is_none(), "any item of the gallery may be the answer");
/// ```
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Triplet {
    /// Its name; unique within the set.
    pub id: String,
    /// The reference's name in the gallery manifest.
    pub reference: String,
    /// The modification text.
    pub text: String,
    /// Other wordings of the same question: whoever asks composes `text` and each of these, and
    /// averages what comes out (FashionIQ's two captions in both orders).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wordings: Vec<String>,
    /// Names of all right answers, the main one first (CIRCO's recall counts that one only); at
    /// least one, unless the benchmark keeps its answers to itself.
    pub targets: Vec<String>,
    /// How right each answer is, where the set grades them (CIRR's soft targets); 1 is wholly right,
    /// what is not named is 0, and below 0 an annotator said that it is wrong.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grades: BTreeMap<String, f64>,
    /// The only items that may be answers to this question (GeneCIS's small galleries, EgoCVR's local
    /// ones): the rest of the gallery is taken out of the ranking before anything is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<String>>,
    /// A small set of look-alikes to be told apart (CIRR's "subset"), the first target included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<Vec<String>>,
    /// Which part of the set it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// What kind of thing the words ask for, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// What exactly is changed (`colour`, `count`, `concept`…), to slice results by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// What the question needs of whoever answers it (CIRCO's `negation`, `cardinality`…): a question
    /// may have several, and is marked under each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aspects: Vec<String>,
    /// How well the words fit each frame of the target, where the set measured it (WebVid-CoVR's
    /// `scores`); CoVR-2 weighs the frames of the clips that it learns from by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frame_scores: Vec<f32>,
}

/// One line of a gallery manifest: an item that may be an answer.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GalleryEntry {
    /// Its name, as triplets use it.
    pub name: String,
    /// Where it lies, relative to the manifest.
    pub path: String,
    /// What it shows, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// The part of the picture that is meant, in pixels: left, top, width, height (GeneCIS's objects).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<[f64; 4]>,
    /// Which part of the set it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}
