//! Where a tensor comes from: which foreign ones, and what is done with them on the way.
//!
//! Networks agree on their numbers and disagree on how these are kept: three projections fused into
//! one, a matrix turned round, a table with an axis more.
//! A [`Source`] says so as a value, so that one evaluator serves loading and converting, and
//! nothing but the one tensor is in memory.

use super::{Raw, WeightsError};

/// Tensors by name, in bytes that somebody keeps: a checkpoint, or our own.
pub trait Shelf {
    /// Every name.
    fn names(&self) -> Vec<&str>;
    /// One of them, uncopied; `None` if it is not there.
    fn raw(&self, name: &str) -> Option<Result<Raw<'_>, WeightsError>>;
    /// Says that this one was used, and may leave memory.
    fn release(&self, _name: &str) {}
    /// These alone, for whoever reads them later; `None` where they are in memory already.
    fn later(&self, _names: &[&str]) -> Option<Box<dyn Shelf + Send + Sync>> {
        None
    }
}

/// Where a tensor comes from.
///
/// ```
/// use nets::weights::Source;
/// // A fused (3 · D, D) projection of PyTorch's as our (D, D) key.
/// let key = Source::of("attn.qkv.weight").part(1, 3).transposed();
/// assert_eq!(key.leaves(), ["attn.qkv.weight"]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A foreign tensor, as it is.
    Tensor(String),
    /// (a, b) → (b, a).
    Transposed(Box<Source>),
    /// The `index`-th of `parts` equal parts of the rows.
    Part {
        /// Of this.
        of: Box<Source>,
        /// Which, from 0.
        index: usize,
        /// Of how many.
        parts: usize,
    },
    /// Rows `from` to before `to`.
    Rows {
        /// Of this.
        of: Box<Source>,
        /// The first.
        from: usize,
        /// The first that is not.
        to: usize,
    },
    /// One below the other, along the first axis.
    Joined(Vec<Source>),
    /// Zeros of that shape.
    ZerosLike(Box<Source>),
    /// (a, b, …) → (a, b · …).
    Flat(Box<Source>),
    /// (D, 3 · p · p) → (D, 3, p, p): the pixels of a square patch, channels first.
    Patch(Box<Source>),
    /// (…) → (1, …).
    Led(Box<Source>),
    /// (1, …) → (…).
    Bare(Box<Source>),
    /// Whatever shape is asked for, if the count of numbers agrees.
    Reshaped(Box<Source>),
}

impl Source {
    /// A foreign tensor, as it is.
    pub fn of(name: impl Into<String>) -> Self {
        Self::Tensor(name.into())
    }

    /// (a, b) → (b, a): our [`Linear`](crate::layers::Linear) keeps (in, out), PyTorch (out, in).
    pub fn transposed(self) -> Self {
        Self::Transposed(Box::new(self))
    }

    /// The `index`-th of `parts` equal parts of the rows.
    pub fn part(self, index: usize, parts: usize) -> Self {
        Self::Part { of: Box::new(self), index, parts }
    }

    /// Rows `from` to before `to`.
    pub fn rows(self, from: usize, to: usize) -> Self {
        Self::Rows { of: Box::new(self), from, to }
    }

    /// One below the other, along the first axis.
    pub fn joined(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::Joined(parts.into_iter().collect())
    }

    /// Zeros of this one's shape.
    pub fn zeros_like(self) -> Self {
        Self::ZerosLike(Box::new(self))
    }

    /// (a, b, …) → (a, b · …): a convolution whose stride is its kernel, as a matrix.
    pub fn flat(self) -> Self {
        Self::Flat(Box::new(self))
    }

    /// (…) → (1, …).
    pub fn led(self) -> Self {
        Self::Led(Box::new(self))
    }

    /// (1, …) → (…).
    pub fn bare(self) -> Self {
        Self::Bare(Box::new(self))
    }

    /// Takes the shape of the parameter that it fills, if the count of numbers agrees.
    pub fn reshaped(self) -> Self {
        Self::Reshaped(Box::new(self))
    }

    /// The names it needs, in order.
    pub fn leaves(&self) -> Vec<&str> {
        match self {
            Self::Tensor(name) => vec![name],
            Self::Joined(all) => all.iter().flat_map(Self::leaves).collect(),
            Self::Transposed(of)
            | Self::Part { of, .. }
            | Self::Rows { of, .. }
            | Self::ZerosLike(of)
            | Self::Flat(of)
            | Self::Patch(of)
            | Self::Led(of)
            | Self::Bare(of)
            | Self::Reshaped(of) => of.leaves(),
        }
    }

    /// The same, each name replaced by where that comes from in turn; `None` if one comes from nowhere.
    pub fn through(self, names: &dyn Fn(&str) -> Option<Source>) -> Option<Self> {
        let go = |of: Box<Self>| Some(Box::new(of.through(names)?));
        Some(match self {
            Self::Tensor(name) => names(&name)?,
            Self::Joined(all) => {
                Self::Joined(all.into_iter().map(|one| one.through(names)).collect::<Option<Vec<_>>>()?)
            }
            Self::Transposed(of) => Self::Transposed(go(of)?),
            Self::Part { of, index, parts } => Self::Part { of: go(of)?, index, parts },
            Self::Rows { of, from, to } => Self::Rows { of: go(of)?, from, to },
            Self::ZerosLike(of) => Self::ZerosLike(go(of)?),
            Self::Flat(of) => Self::Flat(go(of)?),
            Self::Patch(of) => Self::Patch(go(of)?),
            Self::Led(of) => Self::Led(go(of)?),
            Self::Bare(of) => Self::Bare(go(of)?),
            Self::Reshaped(of) => Self::Reshaped(go(of)?),
        })
    }

    /// Does it; `want` is the shape that is asked for, where there is one.
    pub fn read<'a>(&self, shelf: &'a dyn Shelf, want: Option<&[usize]>) -> Result<Raw<'a>, WeightsError> {
        let name = || self.leaves().join(", ");
        let named = |why: String| WeightsError::Unreadable(format!("tensor {}: {why}", name()));
        let read = |of: &Self| of.read(shelf, want);
        match self {
            Self::Tensor(name) => shelf.raw(name).unwrap_or_else(|| Err(WeightsError::Absent(name.clone()))),
            Self::Transposed(of) => read(of)?.transposed().map_err(named),
            Self::Part { of, index, parts } => read(of)?.part(*index, *parts).map_err(named),
            Self::Rows { of, from, to } => read(of)?.rows(*from, *to).map_err(named),
            Self::Joined(all) => Raw::joined(all.iter().map(read).collect::<Result<_, _>>()?).map_err(named),
            Self::ZerosLike(of) => read(of)?.zeros_like().map_err(named),
            Self::Flat(of) => {
                let raw = read(of)?;
                let shape = match raw.shape() {
                    [first, rest @ ..] => vec![*first, rest.iter().product()],
                    [] => vec![1, 1],
                };
                raw.reshaped(shape).map_err(named)
            }
            Self::Patch(of) => {
                let raw = read(of)?;
                match *raw.shape() {
                    [width, pixels] if pixels == 3 * (pixels / 3).isqrt().pow(2) => {
                        let side = (pixels / 3).isqrt();
                        raw.reshaped(vec![width, 3, side, side]).map_err(named)
                    }
                    _ => Err(named(format!("shape {:?} is not of square patches of three channels", raw.shape()))),
                }
            }
            Self::Led(of) => {
                let raw = read(of)?;
                let shape = std::iter::once(1).chain(raw.shape().iter().copied()).collect();
                raw.reshaped(shape).map_err(named)
            }
            Self::Bare(of) => {
                let raw = read(of)?;
                match raw.shape() {
                    [1, rest @ ..] => {
                        let shape = rest.to_vec();
                        raw.reshaped(shape).map_err(named)
                    }
                    shape => Err(named(format!("shape {shape:?} has no first axis of one"))),
                }
            }
            Self::Reshaped(of) => {
                let raw = read(of)?;
                match want {
                    Some(shape) => raw.reshaped(shape.to_vec()).map_err(named),
                    None => Ok(raw),
                }
            }
        }
    }
}
