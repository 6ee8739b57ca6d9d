//! The rules of an exam, as a value that is printed with every mark.

mod captions;
mod presets;

use domain::{Digest, Sampling};

use crate::Mark;
pub use captions::CaptionRule;
pub use presets::{PROTOCOLS, Preset, preset};

/// The rules of an exam.
///
/// Two marks may stand in one column only if their protocols are the same; [`Protocol::digest`]
/// says so in twelve letters.
/// What published code bases do is listed in [`PROTOCOLS`], by name and with its source.
///
/// ```
/// use benchmarks::Protocol;
/// let ours = Protocol::default();
/// let other = Protocol { drop_reference: false, ..ours.clone() };
/// assert_ne!(ours.digest(), other.digest());
/// assert!(other.to_string().contains("reference may be an answer"));
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// What people call it. A name is no rule: two protocols that differ in it alone are the same.
    pub name: String,

    // What is asked.
    /// What may be an answer.
    pub gallery: GalleryRule,
    /// How a question's captions become the modification text.
    pub captions: CaptionRule,
    /// Which frames of a clip are looked at in a question.
    pub query_frames: Frames,
    /// Which frames of a clip are looked at in the gallery.
    pub gallery_frames: Frames,
    /// How a model's many vectors of one item become one score.
    pub pooling: Pooling,

    // What counts.
    /// Whether the reference is taken out of the ranking before anything is counted.
    pub drop_reference: bool,
    /// Which right answers recall counts.
    pub right: RightRule,
    /// Which right answers recall within the look-alikes counts.
    pub subset_right: RightRule,
    /// Who comes first when scores are equal.
    pub ties: TieRule,

    // What is marked.
    /// The k of recall at k, rising.
    pub ks: Vec<usize>,
    /// The k of mean average precision at k, rising.
    pub map_ks: Vec<usize>,
    /// The k of normalised discounted cumulative gain at k, rising.
    pub ndcg_ks: Vec<usize>,
    /// Whether each question's look-alikes are marked among themselves too (CIRR's second recall).
    pub subset: bool,
    /// The k of recall within the look-alikes, rising.
    pub subset_ks: Vec<usize>,
    /// What is called an average.
    pub averages: Vec<Average>,
}

/// What may be an answer.
///
/// The most expensive misunderstanding of the field: FashionIQ's two galleries differ by three to
/// six points of recall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GalleryRule {
    /// All items that the set lists for the split.
    #[default]
    Listed,
    /// The items that questions of the split name: references and right answers (FashionIQ's "VAL split").
    Named,
    /// The right answers of all questions, and nothing else (WebVid-CoVR).
    Targets,
    /// Every file in the set's folder, listed or not.
    Folder,
    /// A list of its own for each question: the question's `candidates` (GeneCIS, EgoCVR).
    Own,
}

/// Which frames of a clip are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(from = "Option<Sampling>", into = "Option<Sampling>")]
pub enum Frames {
    /// As the model's manifest says. In JSON: `null`.
    #[default]
    AsModel,
    /// By this rule. In JSON: `"middle"`, `"uniform:15"`.
    Sampled(Sampling),
}

/// How a model's many vectors of one item (tokens, frames) become one score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// As the method does it.
    #[default]
    AsMethod,
    /// The vectors' mean.
    Mean,
    /// The best pair's similarity.
    Max,
}

/// Which right answers are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RightRule {
    /// A question is answered if any of its right answers is found.
    #[default]
    Any,
    /// Only the first right answer counts, whatever others there are.
    First,
    /// The share of the right answers that are found.
    Share,
}

/// Who comes first when two items score the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TieRule {
    /// Wrong answers come first: a method that scores everything alike earns nothing.
    #[default]
    Pessimistic,
    /// Right answers come first. Flattering; here to reproduce published numbers only.
    Optimistic,
    /// By name, whoever is right: the same order for every method, and blind to the answers.
    Name,
}

/// A mean of several marks that people quote as one number.
///
/// CIRR has two that are both called "Avg": the mean of all seven recalls, and the mean of R@5 and
/// R_subset@1.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Average {
    /// What it is called in our tables.
    pub name: String,
    /// The marks that it is the mean of.
    pub of: Vec<Mark>,
}

impl Default for Protocol {
    /// Our own: the reference is left out, ties count against the method, any right answer counts.
    fn default() -> Self {
        Self {
            name: "likebut".to_owned(),
            gallery: GalleryRule::default(),
            captions: CaptionRule::default(),
            query_frames: Frames::default(),
            gallery_frames: Frames::default(),
            pooling: Pooling::default(),
            drop_reference: true,
            right: RightRule::default(),
            subset_right: RightRule::default(),
            ties: TieRule::default(),
            ks: vec![1, 5, 10, 50],
            map_ks: vec![5, 10, 25, 50],
            ndcg_ks: Vec::new(),
            subset: true,
            subset_ks: vec![1, 2, 3],
            averages: Vec::new(),
        }
    }
}

impl Protocol {
    /// A digest of every rule (the name is not a rule).
    pub fn digest(&self) -> Digest {
        let nameless = Self { name: String::new(), ..self.clone() };
        let rules = serde_json::to_string(&nameless).expect("rules are plain values with text keys");
        Digest::of(format!("protocol 2: AP / min(targets, k)\0{rules}").as_bytes())
    }

    /// The deepest rank that any mark looks at.
    pub fn depth(&self) -> usize {
        self.ks.iter().chain(&self.map_ks).chain(&self.ndcg_ks).copied().max().unwrap_or(0)
    }

    /// The same rules without depths that a gallery of `items` does not have: the recall at 50 of
    /// 26 items would say nothing. Averages of what is gone go too.
    pub fn within(mut self, items: usize) -> Self {
        let deepest = items.saturating_sub(1);
        for ks in [&mut self.ks, &mut self.map_ks, &mut self.ndcg_ks] {
            ks.retain(|k| *k <= deepest);
        }
        let left = self.marks();
        self.averages.retain(|a| a.of.iter().all(|m| left.contains(m)));
        self
    }

    /// Every mark that is given, in the order of our tables. Ranks' mean and median come last.
    pub fn marks(&self) -> Vec<Mark> {
        let subset = if self.subset { &self.subset_ks[..] } else { &[] };
        let mut out: Vec<Mark> = self.ks.iter().map(|&k| Mark::Recall(k)).collect();
        out.extend(subset.iter().map(|&k| Mark::SubsetRecall(k)));
        out.extend(self.map_ks.iter().map(|&k| Mark::MeanAp(k)));
        out.extend(self.ndcg_ks.iter().map(|&k| Mark::Ndcg(k)));
        out.extend([Mark::MedianRank, Mark::MeanRank]);
        out
    }

    /// What is wrong with these rules, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        let lists =
            [("ks", &self.ks), ("map_ks", &self.map_ks), ("ndcg_ks", &self.ndcg_ks), ("subset_ks", &self.subset_ks)];
        for (name, ks) in lists {
            if ks.contains(&0) {
                return Some(format!("{name} holds 0, but ranks count from 1"));
            }
            if !ks.is_sorted_by(|a, b| a < b) {
                return Some(format!("{name} must rise without repeats, got {ks:?}"));
            }
        }
        if self.ks.is_empty() {
            return Some("ks is empty: name at least one k for recall at k".to_owned());
        }
        let known = self.marks();
        for Average { name, of } in &self.averages {
            if of.is_empty() {
                return Some(format!("average {name} is of nothing"));
            }
            if let Some(other) = of.iter().find(|m| !known.contains(m) || !m.is_share()) {
                return Some(format!("average {name} is of {other}, which is not a share that these rules mark"));
            }
        }
        None
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reference = match self.drop_reference {
            true => "reference left out",
            false => "reference may be an answer",
        };
        write!(f, "protocol {} ({}): ", self.name, self.digest().short())?;
        write!(f, "{}; {reference}; {}; {}; ", self.gallery, self.ties, self.right)?;
        if self.subset && self.subset_right != self.right {
            write!(f, "among look-alikes {}; ", self.subset_right)?;
        }
        f.write_str("AP over min(answers, k)")?;
        if self.captions != CaptionRule::AsGiven {
            write!(f, "; text: {}", self.captions)?;
        }
        if [self.query_frames, self.gallery_frames] != [Frames::AsModel; 2] {
            write!(f, "; frames: {} asked, {} in the gallery", self.query_frames, self.gallery_frames)?;
        }
        if self.pooling != Pooling::AsMethod {
            write!(f, "; pooling: {}", self.pooling)?;
        }
        for Average { name, of } in &self.averages {
            let of: Vec<String> = of.iter().map(Mark::to_string).collect();
            write!(f, "; {name} is the mean of {}", of.join(", "))?;
        }
        Ok(())
    }
}

impl std::fmt::Display for GalleryRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            GalleryRule::Listed => "gallery: all that the set lists",
            GalleryRule::Named => "gallery: references and right answers of the questions",
            GalleryRule::Targets => "gallery: the right answers of the questions",
            GalleryRule::Folder => "gallery: all that lies in the folder",
            GalleryRule::Own => "gallery: each question's own list",
        })
    }
}

impl std::fmt::Display for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Frames::AsModel => f.write_str("as the model does"),
            Frames::Sampled(s) => s.fmt(f),
        }
    }
}

impl std::fmt::Display for Pooling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Pooling::AsMethod => "as the method does",
            Pooling::Mean => "mean",
            Pooling::Max => "max",
        })
    }
}

impl std::fmt::Display for RightRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RightRule::Any => "any right answer in the first k is a hit",
            RightRule::First => "only the first right answer is a hit",
            RightRule::Share => "recall is the share of right answers in the first k",
        })
    }
}

impl std::fmt::Display for TieRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TieRule::Pessimistic => "ties go against the method",
            TieRule::Optimistic => "ties go its way",
            TieRule::Name => "ties go by name",
        })
    }
}

impl From<Option<Sampling>> for Frames {
    fn from(sampling: Option<Sampling>) -> Self {
        sampling.map_or(Frames::AsModel, Frames::Sampled)
    }
}

impl From<Frames> for Option<Sampling> {
    fn from(frames: Frames) -> Self {
        match frames {
            Frames::AsModel => None,
            Frames::Sampled(sampling) => Some(sampling),
        }
    }
}
