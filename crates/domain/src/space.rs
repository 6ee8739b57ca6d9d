//! Where vectors may be compared.

use crate::Digest;

/// Two vectors may be compared only when everything that made them is the same: the model, its
/// weights, what it was shown (the view), which frames (the sampling), and the shape.
///
/// A CLIP-L query against a CLIP-g index fails loudly; a centre-cropped query against a padded
/// index loses one to three points of recall in silence. Both are refused here, by name.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Space {
    /// The encoder's name, such as `blip2-toy`.
    pub model: String,
    /// Digest of the weights.
    pub weights: Digest,
    /// The view in words, such as `squash 112 bicubic clip`.
    pub view: String,
    /// The sampling in words, such as `uniform:2`.
    pub sampling: String,
    /// Vectors per item: 1 when pooled, 32 for unpooled query tokens.
    pub rows: usize,
    /// Length of each vector.
    pub dim: usize,
}

/// Two spaces that differ, and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("vectors of different spaces may not be compared: {field} is {left} on one side and {right} on the other")]
pub struct SpaceMismatch {
    /// What differs.
    pub field: &'static str,
    /// The first side's value.
    pub left: String,
    /// The second side's value.
    pub right: String,
}

impl Space {
    /// One digest of all fields: the name of a space on disk.
    pub fn id(&self) -> Digest {
        let Space { model, weights, view, sampling, rows, dim } = self;
        Digest::of(format!("{model}\0{weights}\0{view}\0{sampling}\0{rows}\0{dim}").as_bytes())
    }

    /// Fails, naming both sides, unless the two are the same.
    pub fn same_as(&self, other: &Space) -> Result<(), SpaceMismatch> {
        let pairs = [
            ("the model", self.model.clone(), other.model.clone()),
            ("the weights' digest", self.weights.short(), other.weights.short()),
            ("the view", self.view.clone(), other.view.clone()),
            ("the sampling", self.sampling.clone(), other.sampling.clone()),
            ("vectors per item", self.rows.to_string(), other.rows.to_string()),
            ("the length", self.dim.to_string(), other.dim.to_string()),
        ];
        match pairs.into_iter().find(|(_, l, r)| l != r) {
            Some((field, left, right)) => Err(SpaceMismatch { field, left, right }),
            // Short digests could in principle agree where the whole ones do not.
            None if self.weights != other.weights => Err(SpaceMismatch {
                field: "the weights' digest",
                left: self.weights.to_string(),
                right: other.weights.to_string(),
            }),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Space { model, view, sampling, rows, dim, .. } = self;
        write!(f, "{model} ({}) · {view} · {sampling} · {rows}×{dim}", self.weights.short())
    }
}
