//! What a weights file holds, from its bytes alone: nothing is copied, run, or allocated beyond lists of names.

use super::{Raw, WeightsError};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::ops::Range;

/// One tensor of a file: what it is and where it lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What its numbers are.
    pub dtype: Dtype,
    /// Its axes.
    pub shape: Vec<usize>,
    /// In elements, where they are not row-major.
    pub(super) strides: Option<Vec<usize>>,
    /// Its bytes in the file, from its first element on.
    pub(super) at: Range<usize>,
    /// In which of the checkpoint's files.
    pub(super) file: usize,
}

impl Entry {
    /// Itself, in the bytes of its file.
    pub(super) fn raw<'a>(&self, file: &'a [u8]) -> Result<Raw<'a>, WeightsError> {
        let bytes =
            file.get(self.at.clone()).ok_or_else(|| WeightsError::Unreadable("a file became shorter".into()))?;
        let raw = match &self.strides {
            None => Raw::new(self.dtype, self.shape.clone(), bytes),
            Some(strides) => Raw::strided(self.dtype, self.shape.clone(), strides.clone(), bytes),
        };
        raw.map_err(WeightsError::Unreadable)
    }
}

/// All of a file.
#[derive(Debug, Default, PartialEq)]
pub struct Contents {
    /// By name.
    pub tensors: BTreeMap<String, Entry>,
    /// What was seen and is not a usable tensor, and why.
    pub aside: Vec<(String, String)>,
    /// What the file says about itself.
    pub about: BTreeMap<String, String>,
}

/// What a safetensors file holds.
pub fn entries(bytes: &[u8]) -> Result<Contents, WeightsError> {
    let unreadable = |e: safetensors::SafeTensorError| WeightsError::Unreadable(e.to_string());
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
    let start = 8 + header;
    let entry = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let at = start + info.data_offsets.0..start + info.data_offsets.1;
        (name, Entry { dtype: info.dtype, shape: info.shape.clone(), strides: None, at, file: 0 })
    };
    Ok(Contents {
        tensors: metadata.tensors().into_iter().map(entry).collect(),
        aside: Vec::new(),
        about: metadata.metadata().clone().unwrap_or_default().into_iter().collect(),
    })
}
