//! What became of the tensors of a file.

use super::WeightsError;
use std::fmt;

/// What became of a file's tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// Parameters that were filled, by their path in the module.
    pub loaded: Vec<String>,
    /// Numbers in them.
    pub numbers: usize,
    /// Parameters that the file does not have; they keep their value.
    pub missing: Vec<String>,
    /// Tensors that nobody asked for.
    pub unexpected: Vec<String>,
    /// Parameters whose tensor had another size: path, shape in the file, shape in the module.
    pub reshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Tensors that were left unused on purpose, and why.
    pub passed_over: Vec<(String, String)>,
}

impl Loaded {
    /// The error of a strict reader.
    pub(super) fn mismatch(&self, misshapen: &[String]) -> WeightsError {
        let first = misshapen
            .first()
            .cloned()
            .or(self.missing.first().map(|n| format!("{n} is missing")))
            .or(self.unexpected.first().map(|n| format!("{n} is not expected")))
            .unwrap_or_default();
        WeightsError::Mismatch {
            missing: self.missing.len(),
            unexpected: self.unexpected.len(),
            misshapen: misshapen.len(),
            first,
        }
    }
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors loaded ({} numbers)", self.loaded.len(), self.numbers)?;
        for (what, names) in [("missing", &self.missing), ("unexpected", &self.unexpected)] {
            if !names.is_empty() {
                write!(f, "\n{} {what}: {}", names.len(), some(names.iter().map(String::as_str)))?;
            }
        }
        for (path, from, to) in &self.reshaped {
            write!(f, "\nresized: {path} from {from:?} to {to:?}")?;
        }
        let mut reasons: Vec<&str> = self.passed_over.iter().map(|(_, why)| why.as_str()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        for why in reasons {
            let names: Vec<&str> = self.passed_over.iter().filter(|(_, w)| w == why).map(|(n, _)| n.as_str()).collect();
            write!(f, "\n{} passed over ({why}): {}", names.len(), some(names.iter().copied()))?;
        }
        Ok(())
    }
}

/// The first few of many names.
fn some<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let (total, shown) = (names.len(), 4);
    let listed = names.take(shown).collect::<Vec<_>>().join(", ");
    if total > shown { format!("{listed}, and {} more", total - shown) } else { listed }
}
