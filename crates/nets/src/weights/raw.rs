//! One tensor as it lies in a file: a number type, a shape, strides, and bytes that nobody copied.
//!
//! Cutting, turning and joining move no number until somebody asks for the bytes or for f32.

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::Dtype;
use std::borrow::Cow;

/// A tensor in the bytes of a file.
#[derive(Clone, Debug)]
pub struct Raw<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    /// In elements; as long as the shape.
    strides: Vec<usize>,
    /// From the first element on; holds every element that shape and strides reach.
    bytes: Cow<'a, [u8]>,
}

/// Rows and columns of the tile that is turned at once: 32 · 32 f32 lie in the nearest cache.
const TILE: usize = 32;

impl<'a> Raw<'a> {
    /// A tensor whose elements lie one after the other, row-major; the bytes are exactly these.
    pub fn new(dtype: Dtype, shape: Vec<usize>, bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, String> {
        let bytes = bytes.into();
        let bits = product(&shape).and_then(|n| n.checked_mul(dtype.bitsize()));
        if bits.is_none_or(|bits| !bits.is_multiple_of(8) || bits / 8 != bytes.len()) {
            return Err(format!("{dtype} of shape {shape:?} does not fill {} bytes", bytes.len()));
        }
        let strides = row_major(&shape);
        Ok(Self { dtype, shape, strides, bytes })
    }

    /// A tensor whose elements lie `strides` apart, in elements, the first at the first byte.
    /// An error if it reaches past the bytes, or repeats elements until it is larger than they are.
    pub fn strided(dtype: Dtype, shape: Vec<usize>, strides: Vec<usize>, bytes: &'a [u8]) -> Result<Self, String> {
        let fault =
            || format!("{dtype} of shape {shape:?} and strides {strides:?} reaches beyond its {} bytes", bytes.len());
        let count = product(&shape).ok_or_else(fault)?;
        if shape.len() != strides.len() {
            return Err(fault());
        }
        let reach = shape.iter().zip(&strides).try_fold(0usize, |sum, (n, stride)| {
            n.saturating_sub(1).checked_mul(*stride).and_then(|far| sum.checked_add(far))
        });
        let size = whole_bytes(dtype).ok_or_else(fault)?;
        let held = bytes.len() / size;
        // `count` first: an expanded tensor would be allocated at a size that no file paid for.
        if count > held || (count > 0 && reach.is_none_or(|far| far >= held)) {
            return Err(fault());
        }
        let strides = if count == 0 { row_major(&shape) } else { strides };
        Ok(Self { dtype, shape, strides, bytes: Cow::Borrowed(bytes) })
    }

    /// What its numbers are.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether its numbers are some that weights are made of.
    pub fn are_floats(&self) -> bool {
        matches!(self.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64)
    }

    /// Its numbers, row-major; `None` if they are none that weights are made of.
    pub fn floats(&self) -> Option<Vec<f32>> {
        Some(match self.dtype {
            Dtype::F32 => self.gather(f32::from_le_bytes),
            Dtype::F16 => self.gather(|b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => self.gather(|b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F64 => self.gather(|b| f64::from_le_bytes(b) as f32),
            _ => return None,
        })
    }

    /// Its bytes, row-major; copied only if they lie otherwise.
    pub fn into_bytes(self) -> Cow<'a, [u8]> {
        if let Some(used) = self.dense_bytes() {
            return match self.bytes {
                Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..used]),
                Cow::Owned(mut bytes) => {
                    bytes.truncate(used);
                    Cow::Owned(bytes)
                }
            };
        }
        Cow::Owned(match whole_bytes(self.dtype) {
            Some(1) => self.gather(|b: [u8; 1]| b).into_flattened(),
            Some(2) => self.gather(|b: [u8; 2]| b).into_flattened(),
            Some(4) => self.gather(|b: [u8; 4]| b).into_flattened(),
            Some(8) => self.gather(|b: [u8; 8]| b).into_flattened(),
            // Numbers of less than a byte are dense by construction.
            _ => Vec::new(),
        })
    }

    /// (a, b) → (b, a).
    pub fn transposed(mut self) -> Result<Self, String> {
        self.of_axes(2)?;
        self.whole()?;
        self.shape.reverse();
        self.strides.reverse();
        Ok(self)
    }

    /// Some of the rows: of the first axis.
    pub fn rows(mut self, from: usize, to: usize) -> Result<Self, String> {
        let size = self.whole()?;
        let n = *self.shape.first().ok_or("a single number has no rows")?;
        if from > to || to > n {
            return Err(format!("rows {from} to {to} of {n}"));
        }
        let skipped = from.saturating_mul(self.strides[0]).saturating_mul(size).min(self.bytes.len());
        self.shape[0] = to - from;
        self.bytes = match self.bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[skipped..]),
            Cow::Owned(mut bytes) => Cow::Owned(bytes.split_off(skipped)),
        };
        Ok(self)
    }

    /// The `index`-th of so many equal parts of its rows.
    pub fn part(self, index: usize, parts: usize) -> Result<Self, String> {
        let n = *self.shape.first().ok_or("a single number has no parts")?;
        if parts == 0 || index >= parts || !n.is_multiple_of(parts) {
            return Err(format!("{n} rows do not fall into {parts} parts"));
        }
        let each = n / parts;
        self.rows(index * each, (index + 1) * each)
    }

    /// The same numbers in another shape.
    pub fn reshaped(self, shape: Vec<usize>) -> Result<Self, String> {
        if product(&shape) != product(&self.shape) {
            return Err(format!("shape {:?} cannot become {shape:?}", self.shape));
        }
        let dtype = self.dtype;
        Self::new(dtype, shape, self.into_bytes())
    }

    /// One below the other, along the first axis.
    pub fn joined(parts: Vec<Self>) -> Result<Self, String> {
        let first = parts.first().ok_or("nothing to join")?;
        let (dtype, mut shape) = (first.dtype, first.shape.clone());
        let rows = parts.iter().try_fold(0usize, |sum, part| {
            let fits = part.dtype == dtype && !shape.is_empty() && part.shape.get(1..) == shape.get(1..);
            if fits { sum.checked_add(part.shape[0]) } else { None }
        });
        let shapes = || parts.iter().map(|p| format!("{} {:?}", p.dtype, p.shape)).collect::<Vec<_>>().join(", ");
        // Before the shape is touched: what is a single number has no rows to set.
        let rows = rows.ok_or_else(|| format!("cannot be joined: {}", shapes()))?;
        shape[0] = rows;
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&part.into_bytes());
        }
        Self::new(dtype, shape, bytes)
    }

    /// Zeros of its type and shape.
    pub fn zeros_like(&self) -> Result<Raw<'static>, String> {
        let count = product(&self.shape).ok_or("too many numbers")?;
        Raw::new(self.dtype, self.shape.clone(), vec![0; count * self.dtype.bitsize() / 8])
    }

    /// How many bytes it has, if they lie one after the other, row-major.
    pub(super) fn dense_bytes(&self) -> Option<usize> {
        self.dense().then(|| product(&self.shape).unwrap_or(0) * self.dtype.bitsize() / 8)
    }

    fn of_axes(&self, axes: usize) -> Result<(), String> {
        if self.shape.len() == axes { Ok(()) } else { Err(format!("shape {:?} has not {axes} axes", self.shape)) }
    }

    /// Bytes of a number; an error where one is less than a byte.
    fn whole(&self) -> Result<usize, String> {
        whole_bytes(self.dtype).ok_or_else(|| format!("{} cannot be cut or turned", self.dtype))
    }

    fn dense(&self) -> bool {
        let usual = row_major(&self.shape);
        self.shape.iter().zip(self.strides.iter().zip(&usual)).all(|(n, (a, b))| *n <= 1 || a == b)
    }

    /// All elements, row-major, each from its bytes.
    fn gather<const N: usize, T: Copy + Default + Send>(&self, one: impl Fn([u8; N]) -> T + Sync) -> Vec<T> {
        let cells = self.bytes.as_chunks::<N>().0;
        let count = product(&self.shape).unwrap_or(0);
        if self.dense() {
            return cells[..count].par_iter().with_min_len(1 << 16).map(|c| one(*c)).collect();
        }
        // The last two axes are turned tile by tile; those before them are counted through.
        let axes = self.shape.len();
        let (columns, along) = (self.shape[axes - 1], self.strides[axes - 1]);
        let first_of_row = |row: usize| {
            let mut rest = row;
            (0..axes - 1).rev().fold(0, |at, axis| {
                let i = rest % self.shape[axis];
                rest /= self.shape[axis];
                at + i * self.strides[axis]
            })
        };
        let mut out = vec![T::default(); count];
        out.par_chunks_mut((columns * TILE).max(1)).enumerate().for_each(|(tile, out)| {
            let rows = out.len() / columns;
            let firsts: Vec<usize> = (0..rows).map(|i| first_of_row(tile * TILE + i)).collect();
            for from in (0..columns).step_by(TILE) {
                for (out, first) in out.chunks_exact_mut(columns).zip(&firsts) {
                    for (column, out) in out.iter_mut().enumerate().skip(from).take(TILE) {
                        *out = one(cells[first + column * along]);
                    }
                }
            }
        });
        out
    }
}

/// How many elements; `None` if no machine could count them.
pub(super) fn product(shape: &[usize]) -> Option<usize> {
    // A zero hides an overflow from a plain product, and the strides would then overflow.
    let most = shape.iter().try_fold(1usize, |n, axis| n.checked_mul((*axis).max(1)))?;
    Some(if shape.contains(&0) { 0 } else { most })
}

fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i].max(1));
    }
    strides
}

fn whole_bytes(dtype: Dtype) -> Option<usize> {
    dtype.bitsize().is_multiple_of(8).then(|| dtype.bitsize() / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(shape: &[usize]) -> Vec<u8> {
        (0..shape.iter().product::<usize>()).flat_map(|i| (i as f32).to_le_bytes()).collect()
    }

    #[test]
    fn cut_turned_and_joined_like_plain_loops() {
        for (r, c) in [(1, 1), (3, 5), (33, 65), (64, 32), (100, 1)] {
            let bytes = counting(&[r, c]);
            let raw = || Raw::new(Dtype::F32, vec![r, c], &bytes[..]).unwrap();
            let turned = raw().transposed().unwrap();
            assert_eq!(turned.shape(), [c, r]);
            let slow: Vec<f32> = (0..c).flat_map(|j| (0..r).map(move |i| (i * c + j) as f32)).collect();
            assert_eq!(turned.floats().unwrap(), slow);
            let bytes_of = |f: &[f32]| f.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
            assert_eq!(turned.clone().into_bytes().to_vec(), bytes_of(&slow));
            let twice = turned.transposed().unwrap();
            assert_eq!(twice.floats(), raw().floats());
            let halves = vec![raw().rows(0, r / 2).unwrap(), raw().rows(r / 2, r).unwrap()];
            assert_eq!(Raw::joined(halves).unwrap().into_bytes(), &bytes[..]);
        }
        // Four axes, the first and the last swapped, by strides.
        let bytes = counting(&[2, 3, 4, 5]);
        let raw = Raw::strided(Dtype::F32, vec![5, 3, 4, 2], vec![1, 20, 5, 60], &bytes).unwrap();
        let mut slow = Vec::new();
        for d in 0..5 {
            for b in 0..3 {
                for c in 0..4 {
                    for a in 0..2 {
                        slow.push((a * 60 + b * 20 + c * 5 + d) as f32);
                    }
                }
            }
        }
        assert_eq!(raw.floats().unwrap(), slow);
        let third = Raw::new(Dtype::F32, vec![6, 20], &bytes[..]).unwrap().part(1, 3).unwrap();
        assert_eq!((third.shape(), third.floats().unwrap()[0]), (&[2, 20][..], 40.0));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let bytes = counting(&[12]);
        let strided = |shape: &[usize], strides: &[usize]| {
            Raw::strided(Dtype::F32, shape.to_vec(), strides.to_vec(), &bytes).is_ok()
        };
        assert!(strided(&[3, 4], &[4, 1]) && strided(&[4, 3], &[1, 4]) && strided(&[2], &[11]));
        assert!(strided(&[], &[]) && strided(&[0, 9], &[9, 1]) && strided(&[3, 4], &[0, 1]));
        assert!(!strided(&[3, 5], &[4, 1]) && !strided(&[2], &[12]) && !strided(&[13], &[0]));
        assert!(!strided(&[usize::MAX, 2], &[0, 0]) && !strided(&[2, 2], &[usize::MAX, 1]) && !strided(&[2], &[1, 1]));
        assert!(!strided(&[0, usize::MAX, usize::MAX], &[1, 1, 1]));
        let whole = || Raw::new(Dtype::F32, vec![3, 4], &bytes[..]).unwrap();
        assert!(Raw::new(Dtype::F32, vec![3, 5], &bytes[..]).is_err());
        assert!(whole().part(0, 2).is_err() && whole().part(3, 3).is_err() && whole().rows(2, 4).is_err());
        assert!(whole().reshaped(vec![7]).is_err() && whole().reshaped(vec![12]).unwrap().transposed().is_err());
        assert!(Raw::joined(vec![]).is_err());
        let single = || Raw::new(Dtype::F32, vec![], &bytes[..4]).unwrap();
        assert!(Raw::joined(vec![single(), single()]).is_err() && Raw::joined(vec![whole(), single()]).is_err());
        assert!(Raw::joined(vec![whole(), whole().transposed().unwrap()]).is_err());
        assert!(Raw::new(Dtype::I64, vec![6], &bytes[..]).unwrap().floats().is_none());
    }
}
