//! The names of marks: which one a number is.

/// Which mark a number is; written as papers write it: `R@10`, `R_subset@1`, `mAP@5`, `nDCG@10`.
///
/// ```
/// use benchmarks::Mark;
/// assert_eq!(Mark::Recall(10).to_string(), "R@10");
/// assert_eq!("mAP@5".parse(), Ok(Mark::MeanAp(5)));
/// assert!("R@0".parse::<Mark>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// Recall at k.
    Recall(usize),
    /// Recall at k among the question's look-alikes alone.
    SubsetRecall(usize),
    /// Mean average precision at k.
    MeanAp(usize),
    /// Normalised discounted cumulative gain at k.
    Ndcg(usize),
    /// The middle of the best right answers' ranks.
    MedianRank,
    /// The mean of the best right answers' ranks.
    MeanRank,
}

impl Mark {
    /// Whether a larger number is a better one.
    pub fn more_is_better(self) -> bool {
        !matches!(self, Mark::MedianRank | Mark::MeanRank)
    }

    /// Whether it is a share, from 0 to 1, which people read as per cent.
    pub fn is_share(self) -> bool {
        self.more_is_better()
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Mark::Recall(k) => write!(f, "R@{k}"),
            Mark::SubsetRecall(k) => write!(f, "R_subset@{k}"),
            Mark::MeanAp(k) => write!(f, "mAP@{k}"),
            Mark::Ndcg(k) => write!(f, "nDCG@{k}"),
            Mark::MedianRank => f.write_str("median rank"),
            Mark::MeanRank => f.write_str("mean rank"),
        }
    }
}

impl std::str::FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "unknown mark {text:?}; write R@k, R_subset@k, mAP@k, nDCG@k (k at least 1), median rank or mean rank"
            )
        };
        match text {
            "median rank" => return Ok(Mark::MedianRank),
            "mean rank" => return Ok(Mark::MeanRank),
            _ => {}
        }
        let (name, k) = text.split_once('@').ok_or_else(bad)?;
        let k = k.parse().ok().filter(|k| *k > 0).ok_or_else(bad)?;
        match name {
            "R" => Ok(Mark::Recall(k)),
            "R_subset" => Ok(Mark::SubsetRecall(k)),
            "mAP" => Ok(Mark::MeanAp(k)),
            "nDCG" => Ok(Mark::Ndcg(k)),
            _ => Err(bad()),
        }
    }
}

impl serde::Serialize for Mark {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Mark {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
