//! The vectors of one space in scanning order, wherever they lie: on disk or in memory.

use std::collections::HashMap;

use domain::Kind;

use crate::quantise::{quantise, stride};

/// A kind as one byte, as the database and the segments have it.
pub(crate) fn code_from_kind(kind: Kind) -> u8 {
    match kind {
        Kind::Picture => 0,
        Kind::Clip => 1,
    }
}

/// A borrowed table of vectors, column by column.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub width: usize,
    pub stride: usize,
    pub ids: &'a [i64],
    pub kinds: &'a [u8],
    pub scales: &'a [f32],
    pub errs: &'a [f32],
    pub norms: &'a [f32],
    pub codes: &'a [i8],
    pub floats: &'a [f32],
    /// CRC-32 of each row of floats, where they come from a disk.
    pub sums: Option<&'a [u32]>,
}

/// A row on disk is not what was written there.
#[derive(Debug)]
pub(crate) struct Corrupt;

impl<'a> View<'a> {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The f32 vector of a row; checked, because the disk may have changed since it was opened.
    pub fn floats(&self, row: usize) -> Result<&'a [f32], Corrupt> {
        let values = &self.floats[row * self.width..(row + 1) * self.width];
        match self.sums {
            Some(sums) if sums[row] != crc32fast::hash(bytemuck::cast_slice(values)) => Err(Corrupt),
            _ => Ok(values),
        }
    }

    /// The codes of some rows.
    pub fn codes(&self, rows: std::ops::Range<usize>) -> &'a [i8] {
        &self.codes[rows.start * self.stride..rows.end * self.stride]
    }
}

/// A table of vectors in memory: what came since the segment was written.
pub(crate) struct Rows {
    width: usize,
    ids: Vec<i64>,
    kinds: Vec<u8>,
    scales: Vec<f32>,
    errs: Vec<f32>,
    norms: Vec<f32>,
    codes: Vec<i8>,
    floats: Vec<f32>,
    row_of: HashMap<i64, usize>,
}

impl Rows {
    pub fn new(width: usize) -> Self {
        Self {
            width,
            ids: Vec::new(),
            kinds: Vec::new(),
            scales: Vec::new(),
            errs: Vec::new(),
            norms: Vec::new(),
            codes: Vec::new(),
            floats: Vec::new(),
            row_of: HashMap::new(),
        }
    }

    /// Adds a row, which is from now on the item's.
    pub fn push(&mut self, id: i64, kind: u8, values: &[f32]) {
        debug_assert_eq!(values.len(), self.width);
        let at = self.codes.len();
        self.codes.resize(at + stride(self.width), 0);
        let row = quantise(values, &mut self.codes[at..]);
        self.row_of.insert(id, self.ids.len());
        self.ids.push(id);
        self.kinds.push(kind);
        self.scales.push(row.scale);
        self.errs.push(row.err);
        self.norms.push(row.norm);
        self.floats.extend_from_slice(values);
    }

    /// The item's row.
    pub fn find(&self, id: i64) -> Option<usize> {
        self.row_of.get(&id).copied()
    }

    /// The item has no row any more.
    pub fn forget(&mut self, id: i64) -> Option<usize> {
        self.row_of.remove(&id)
    }

    pub fn view(&self) -> View<'_> {
        View {
            width: self.width,
            stride: stride(self.width),
            ids: &self.ids,
            kinds: &self.kinds,
            scales: &self.scales,
            errs: &self.errs,
            norms: &self.norms,
            codes: &self.codes,
            floats: &self.floats,
            sums: None,
        }
    }
}

/// A set of row numbers.
#[derive(Clone, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    count: usize,
}

impl Bits {
    pub fn set(&mut self, at: usize) {
        if self.words.len() <= at / 64 {
            self.words.resize(at / 64 + 1, 0);
        }
        let word = &mut self.words[at / 64];
        self.count += usize::from(*word & (1 << (at % 64)) == 0);
        *word |= 1 << (at % 64);
    }

    pub fn get(&self, at: usize) -> bool {
        self.words.get(at / 64).is_some_and(|w| w & (1 << (at % 64)) != 0)
    }

    pub fn count(&self) -> usize {
        self.count
    }
}
