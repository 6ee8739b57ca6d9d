//! The rules of an exam, as a value that is printed with every mark.

use domain::Digest;

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

impl std::fmt::Display for TieRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TieRule::Pessimistic => "ties go against the method",
            TieRule::Optimistic => "ties go its way",
            TieRule::Name => "ties go by name",
        })
    }
}

/// The rules of an exam.
///
/// Two marks may be compared only if their protocols are the same; [`Protocol::digest`] says so
/// in twelve letters.
///
/// With several right answers, *recall at k* counts a question as answered if **any** of them is
/// among the first k, and *average precision at k* is divided by `min(right answers, k)`, as CIRCO
/// does it.
///
/// ```
/// use benchmarks::Protocol;
/// let ours = Protocol::default();
/// let other = Protocol { drop_reference: false, ..ours.clone() };
/// assert_ne!(ours.digest(), other.digest());
/// assert!(other.to_string().contains("reference may be an answer"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// What people call it.
    pub name: String,
    /// Whether the reference is taken out of the ranking before anything is counted.
    pub drop_reference: bool,
    /// Who comes first when scores are equal.
    pub ties: TieRule,
    /// The k of recall at k, rising.
    pub ks: Vec<usize>,
    /// The k of mean average precision at k, rising.
    pub map_ks: Vec<usize>,
    /// Whether each question's look-alikes are marked among themselves too (CIRR's second recall).
    pub subset: bool,
    /// The k of recall within the look-alikes, rising.
    pub subset_ks: Vec<usize>,
}

impl Default for Protocol {
    /// Our own: the reference is left out, ties count against the method.
    fn default() -> Self {
        Self {
            name: "likebut".to_owned(),
            drop_reference: true,
            ties: TieRule::Pessimistic,
            ks: vec![1, 5, 10, 50],
            map_ks: vec![5, 10, 25, 50],
            subset: true,
            subset_ks: vec![1, 2, 3],
        }
    }
}

impl Protocol {
    /// A digest of every rule (the name is not a rule).
    pub fn digest(&self) -> Digest {
        let Protocol { name: _, drop_reference, ties, ks, map_ks, subset, subset_ks } = self;
        Digest::of(
            format!(
                "protocol 1: any target counts; AP / min(targets, k)\0{drop_reference}\0{ties:?}\
                 \0{ks:?}\0{map_ks:?}\0{subset}\0{subset_ks:?}"
            )
            .as_bytes(),
        )
    }

    /// The deepest rank that any mark looks at.
    pub fn depth(&self) -> usize {
        self.ks.iter().chain(&self.map_ks).copied().max().unwrap_or(0)
    }

    /// What is wrong with these rules, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        for (name, ks) in [("ks", &self.ks), ("map_ks", &self.map_ks), ("subset_ks", &self.subset_ks)] {
            if ks.contains(&0) {
                return Some(format!("{name} holds 0, but ranks count from 1"));
            }
            if !ks.is_sorted_by(|a, b| a < b) {
                return Some(format!("{name} must rise without repeats, got {ks:?}"));
            }
        }
        self.ks.is_empty().then(|| "ks is empty: name at least one k for recall at k".to_owned())
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reference = match self.drop_reference {
            true => "reference left out",
            false => "reference may be an answer",
        };
        write!(
            f,
            "protocol {} ({}): {reference}; {}; any right answer in the first k is a hit; AP over min(answers, k)",
            self.name,
            self.digest().short(),
            self.ties
        )
    }
}
