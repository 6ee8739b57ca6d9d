//! The directory of a zip: which stored entries lie where.
//!
//! PyTorch stores and never compresses, so that a tensor can be mapped; this reader knows no
//! decompression, and a bomb has nothing to expand.
//! Format: PKWARE APPNOTE 6.3, sections 4.3.7–4.3.16 and 4.5.3 (zip64).

use super::super::WeightsError;
use std::collections::BTreeMap;
use std::ops::Range;

/// The entries by name: where each one's bytes lie in the file, or how they are hidden.
pub struct Directory<'a>(BTreeMap<&'a str, Result<Range<usize>, &'static str>>);

impl<'a> Directory<'a> {
    /// Every name.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.keys().copied()
    }

    /// Where an entry's bytes lie; `None` if it is not there.
    ///
    /// # Errors
    /// If it is compressed or encrypted; PyTorch does that to its program texts only.
    pub fn at(&self, name: &str) -> Result<Option<Range<usize>>, WeightsError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Ok(at)) => Ok(Some(at.clone())),
            Some(Err(how)) => Err(WeightsError::Refused(format!(
                "entry {name:?} of this zip is {how}; PyTorch stores tensors as they are: save it again with torch.save"
            ))),
        }
    }
}

const END: &[u8; 4] = b"PK\x05\x06";
const END64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR64: &[u8; 4] = b"PK\x06\x07";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const LOCAL: &[u8; 4] = b"PK\x03\x04";

/// The end record, and the longest comment that may follow it.
const END_BYTES: usize = 22;
const MAX_COMMENT_BYTES: usize = 0xffff;

/// Reads the directory.
///
/// # Errors
/// A directory that contradicts itself, and anything that lies outside the file or over another entry.
pub fn directory(file: &[u8]) -> Result<Directory<'_>, WeightsError> {
    let (count, central) = central_directory(file).ok_or_else(|| damaged("its directory is not where its end says"))?;
    let mut rest = central;
    let mut found = BTreeMap::new();
    let mut spans = Vec::new();
    for _ in 0..count {
        let (entry, after) = entry(rest).ok_or_else(|| damaged("its directory ends in the middle of an entry"))?;
        rest = after;
        let name = std::str::from_utf8(entry.name).map_err(|_| damaged("an entry's name is not UTF-8"))?;
        let (header, span) = data(file, &entry).ok_or_else(|| damaged(&format!("entry {name:?} reaches beyond it")))?;
        let place = match entry {
            _ if entry.flags & 1 != 0 => Err("encrypted"),
            _ if entry.method != 0 => Err("compressed"),
            _ => Ok(span.clone()),
        };
        if found.insert(name, place).is_some() {
            return Err(damaged(&format!("entry {name:?} is there twice")));
        }
        spans.push(header..span.end);
    }
    // Entries that share bytes make a small file look large.
    spans.sort_unstable_by_key(|span| span.start);
    if spans.windows(2).any(|two| two[0].end > two[1].start) {
        return Err(damaged("its entries overlap"));
    }
    Ok(Directory(found))
}

fn damaged(why: &str) -> WeightsError {
    WeightsError::Unreadable(format!("a zip, but {why}"))
}

struct Entry<'a> {
    name: &'a [u8],
    flags: u16,
    method: u16,
    /// In the file, which is how large it is unless it is compressed.
    size: u64,
    /// Where its local header is.
    at: u64,
}

/// How many entries, and the bytes that list them.
fn central_directory(file: &[u8]) -> Option<(u64, &[u8])> {
    let last = file.len().checked_sub(END_BYTES)?;
    let end = (last.saturating_sub(MAX_COMMENT_BYTES)..=last).rev().find(|at| {
        let comment = u16_at(file, at + 20).map(usize::from);
        file[*at..].starts_with(END) && comment == Some(file.len() - at - END_BYTES)
    })?;
    let (mut count, mut size, mut start) =
        (u64::from(u16_at(file, end + 10)?), u64::from(u32_at(file, end + 12)?), u64::from(u32_at(file, end + 16)?));
    let locator = end.checked_sub(20).filter(|at| file[*at..].starts_with(LOCATOR64));
    if let Some(locator) = locator {
        let end64 = usize::try_from(u64_at(file, locator + 8)?).ok()?;
        if !file.get(end64..)?.starts_with(END64) {
            return None;
        }
        count = u64_at(file, end64.checked_add(32)?)?;
        size = u64_at(file, end64.checked_add(40)?)?;
        start = u64_at(file, end64.checked_add(48)?)?;
    }
    let (start, size) = (usize::try_from(start).ok()?, usize::try_from(size).ok()?);
    Some((count, file.get(start..start.checked_add(size)?)?))
}

/// The first entry of a directory, and the rest.
fn entry(central: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    if !central.starts_with(CENTRAL) {
        return None;
    }
    let length = |at: usize| u16_at(central, at).map(usize::from);
    let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
    let (extra_at, end) = (46 + name, 46 + name + extra + comment);
    let mut entry = Entry {
        name: central.get(46..extra_at)?,
        flags: u16_at(central, 8)?,
        method: u16_at(central, 10)?,
        size: u64::from(u32_at(central, 20)?),
        at: u64::from(u32_at(central, 42)?),
    };
    // Zip64: what does not fit in 32 bits stands in an extra field, in this order, and only then.
    let mut extras = central.get(extra_at..extra_at + extra)?;
    while let (Some(id), Some(length)) = (u16_at(extras, 0), u16_at(extras, 2)) {
        let end = 4 + usize::from(length);
        let mut field = extras.get(4..end)?;
        extras = &extras[end..];
        if id == 1 {
            let mut next = || {
                let value = u64_at(field, 0)?;
                field = &field[8..];
                Some(value)
            };
            if u32_at(central, 24)? == u32::MAX {
                next()?;
            }
            if entry.size == u64::from(u32::MAX) {
                entry.size = next()?;
            }
            if entry.at == u64::from(u32::MAX) {
                entry.at = next()?;
            }
        }
    }
    Some((entry, central.get(end..)?))
}

/// Where an entry's local header is, and where its bytes lie behind it: the header's name and extras
/// have lengths of their own.
fn data(file: &[u8], entry: &Entry) -> Option<(usize, Range<usize>)> {
    let at = usize::try_from(entry.at).ok()?;
    let header = file.get(at..)?;
    if !header.starts_with(LOCAL) {
        return None;
    }
    let (name, extra) = (usize::from(u16_at(header, 26)?), usize::from(u16_at(header, 28)?));
    let start = at.checked_add(30 + name + extra)?;
    let end = start.checked_add(usize::try_from(entry.size).ok()?)?;
    (end <= file.len()).then_some((at, start..end))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
