//! A question with its right answers: what methods learn from and are marked on.

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
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Triplet {
    /// Its name; unique within the set.
    pub id: String,
    /// The reference's name in the gallery manifest.
    pub reference: String,
    /// The modification text.
    pub text: String,
    /// Names of all right answers; at least one.
    pub targets: Vec<String>,
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
}

/// One line of a gallery manifest: an item that may be an answer.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GalleryEntry {
    /// Its name, as triplets use it.
    pub name: String,
    /// Where it lies, relative to the manifest.
    pub path: String,
    /// What it shows, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Which part of the set it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}
