//! For this crate's tests and benchmark: numbers that look random and are the same every time,
//! and the raw tables.

use std::sync::PoisonError;

use domain::Space;

use crate::library::Library;
use crate::{kernel, rows::View};

/// A small generator (xorshift64*), started by its seed; zero is no seed.
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A whole number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() >> 33) as usize % n.max(1)
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Near enough to a normal number: the sum of four uniform ones, scaled.
    pub fn normal(&mut self) -> f32 {
        (self.unit() + self.unit() + self.unit() + self.unit() - 2.0) * 1.732
    }

    /// A vector of length one.
    pub fn unit_vector(&mut self, dim: usize) -> Vec<f32> {
        let mut v: Vec<f32> = (0..dim).map(|_| self.normal()).collect();
        let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        v.iter_mut().for_each(|x| *x /= norm);
        v
    }
}

/// Hands the codes of a space's vector file to `f`: the bytes that a scan reads.
pub fn with_codes(library: &Library, space: &Space, f: &dyn Fn(&[i8]) -> usize) -> usize {
    with_view(library, space, &|view| f(view.codes))
}

/// Hands the floats of a space's vector file to `f`.
pub fn with_floats(library: &Library, space: &Space, f: &dyn Fn(&[f32]) -> usize) -> usize {
    with_view(library, space, &|view| f(view.floats))
}

fn with_view(library: &Library, space: &Space, f: &dyn Fn(&View) -> usize) -> usize {
    library.ready(space).map_or(0, |index| {
        let index = index.read().unwrap_or_else(PoisonError::into_inner);
        index.parts().first().map_or(0, |part| f(&part.view))
    })
}

/// The inner product that every final score is made of.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    kernel::dot_f32(kernel::chosen().unwrap_or(kernel::Path::Portable), a, b)
}
