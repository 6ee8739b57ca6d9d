//! The file of one space's vectors: memory-mapped, checksummed, written once, never changed.
//!
//! Layout, little-endian, every section starting at a multiple of 64 bytes:
//!
//! ```text
//! header 256 B   magic "LIKEBSEG", version, library id, space id, stamp, sequence, count,
//!                rows, dim, a CRC-32 for each section, and one of the header itself
//! ids     i64    item ids, ascending
//! kinds   u8
//! scales, errs, norms   f32   what a row of codes stands for (see `quantise`)
//! sums    u32    CRC-32 of each row of floats
//! codes   i8     rows padded with zeros to a multiple of 64
//! floats  f32
//! ```
//!
//! Everything but the floats is checked when the file is opened (the scan reads it all anyway);
//! each row of floats is checked when it is used. So no score ever comes from a damaged byte.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use domain::{Digest, Space};

use crate::quantise::{quantise, stride};
use crate::rows::{Corrupt, View};

#[cfg(target_endian = "big")]
compile_error!("segments are memory-mapped as little-endian numbers");

const MAGIC: &[u8; 8] = b"LIKEBSEG";
const VERSION: u32 = 1;
const HEADER: usize = 256;
/// Sections, in file order.
const SECTIONS: usize = 8;

/// What the database must say of a segment for it to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// The library that it was made of.
    pub library: [u8; 16],
    /// The space.
    pub space: Digest,
    /// A random number, new for each file: a restored old database does not know it.
    pub stamp: i64,
    /// Everything up to this sequence number is in it.
    pub sequence: i64,
}

/// An open segment.
pub(crate) struct Segment {
    map: memmap2::Mmap,
    places: Places,
    pub label: Label,
}

/// Where the sections lie.
#[derive(Clone, Copy)]
struct Places {
    width: usize,
    starts: [usize; SECTIONS],
    lens: [usize; SECTIONS],
    total: usize,
}

impl Places {
    /// `None` if the file would be larger than addresses are.
    fn new(count: usize, width: usize) -> Option<Self> {
        let four = count.checked_mul(4)?;
        let lens = [
            count.checked_mul(8)?,
            count,
            four,
            four,
            four,
            four,
            count.checked_mul(stride(width))?,
            four.checked_mul(width)?,
        ];
        let mut starts = [0; SECTIONS];
        let mut at = HEADER;
        for (start, len) in starts.iter_mut().zip(lens) {
            *start = at;
            at = at.checked_add(len)?.checked_next_multiple_of(64)?;
        }
        Some(Self { width, starts, lens, total: at })
    }
}

/// Where the segment of a space lies.
pub(crate) fn path_in(dir: &Path, space: &Digest) -> PathBuf {
    dir.join("segments").join(format!("{space}.seg"))
}

impl Segment {
    /// Opens and checks a file; the error says in words why it cannot be used.
    pub fn open(path: &Path, space: &Space) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => "it is missing".to_owned(),
            _ => format!("it cannot be opened: {e}"),
        })?;
        // SAFETY: a mapped file must not shrink or change under us. Segments are written under
        // another name, synced, and put in place by rename; nothing in this crate opens one for
        // writing afterwards. A foreign program that rewrites one in place can spoil answers no
        // more than the checksums allow, and that it truncates one is outside the contract of
        // the folder.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| format!("it cannot be mapped: {e}"))?;
        let header: [u8; HEADER] = *map
            .first_chunk()
            .ok_or_else(|| format!("it is {} bytes long, the header alone is {HEADER}", map.len()))?;
        if &header[..8] != MAGIC {
            return Err("it is no segment".into());
        }
        let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap_or_default());
        let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
        if u32_at(8) != VERSION {
            return Err(format!("it has version {}, this program reads {VERSION}", u32_at(8)));
        }
        if u32_at(HEADER - 4) != crc32fast::hash(&header[..HEADER - 4]) {
            return Err("the header's checksum is wrong".into());
        }
        let label = Label {
            library: header[16..32].try_into().unwrap_or_default(),
            space: Digest(header[32..64].try_into().unwrap_or_default()),
            stamp: u64_at(64) as i64,
            sequence: u64_at(72) as i64,
        };
        if label.space != space.id() || (u32_at(88), u32_at(92)) != (space.rows as u32, space.dim as u32) {
            return Err("it belongs to another space".into());
        }
        let count = usize::try_from(u64_at(80)).map_err(|_| "it is too large for this machine".to_owned())?;
        let places = Places::new(count, space.rows * space.dim).filter(|p| p.total == map.len());
        let places =
            places.ok_or_else(|| format!("it is {} bytes long, which does not fit {count} items", map.len()))?;
        let segment = Self { map, places, label };
        for section in 0..SECTIONS - 1 {
            if u32_at(96 + 4 * section) != crc32fast::hash(segment.bytes(section)) {
                return Err(format!("the checksum of section {section} is wrong"));
            }
        }
        if !segment.view().ids.is_sorted_by(|a, b| a < b) {
            return Err("its item ids do not ascend".into());
        }
        Ok(segment)
    }

    fn bytes(&self, section: usize) -> &[u8] {
        let start = self.places.starts[section];
        &self.map[start..start + self.places.lens[section]]
    }

    /// The vectors.
    pub fn view(&self) -> View<'_> {
        View {
            width: self.places.width,
            stride: stride(self.places.width),
            ids: bytemuck::cast_slice(self.bytes(0)),
            kinds: self.bytes(1),
            scales: bytemuck::cast_slice(self.bytes(2)),
            errs: bytemuck::cast_slice(self.bytes(3)),
            norms: bytemuck::cast_slice(self.bytes(4)),
            sums: Some(bytemuck::cast_slice(self.bytes(5))),
            codes: bytemuck::cast_slice(self.bytes(6)),
            floats: bytemuck::cast_slice(self.bytes(7)),
        }
    }

    /// Bytes on disk.
    pub fn len_bytes(&self) -> u64 {
        self.map.len() as u64
    }
}

/// Why a segment could not be written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The file system refused.
    Io(std::io::Error),
    /// The rows that it should be made of are damaged.
    Corrupt,
}

impl From<std::io::Error> for WriteError {
    fn from(e: std::io::Error) -> Self {
        WriteError::Io(e)
    }
}

impl From<Corrupt> for WriteError {
    fn from(_: Corrupt) -> Self {
        WriteError::Corrupt
    }
}

/// Writes a segment of the rows `(id, kind, values)`, ids ascending, and puts it in place: after a
/// crash there is the old file or the new one, whole.
pub(crate) fn write<'a>(
    path: &Path,
    label: &Label,
    space: &Space,
    count: usize,
    rows: impl Iterator<Item = Result<(i64, u8, &'a [f32]), Corrupt>>,
) -> Result<(), WriteError> {
    let temporary = path.with_extension("seg.tmp");
    let result = write_temporary(&temporary, label, space, count, rows)
        .and_then(|()| Ok(std::fs::rename(&temporary, path)?))
        .and_then(|()| Ok(sync_dir(path.parent().unwrap_or(Path::new(".")))?));
    if result.is_err() {
        // What cannot be finished is not left lying about; that it cannot be removed either
        // changes nothing, for the next writer truncates it.
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

fn write_temporary<'a>(
    temporary: &Path,
    label: &Label,
    space: &Space,
    count: usize,
    rows: impl Iterator<Item = Result<(i64, u8, &'a [f32]), Corrupt>>,
) -> Result<(), WriteError> {
    let width = space.rows * space.dim;
    let places = Places::new(count, width)
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::FileTooLarge, "too many vectors for one segment"))?;
    let mut file = File::create(temporary)?;
    file.set_len(places.total as u64)?;
    // The two large sections grow side by side, each through a handle of its own; the small ones
    // wait in memory.
    let stream = |section: usize| -> std::io::Result<BufWriter<File>> {
        let mut handle = File::options().write(true).open(temporary)?;
        handle.seek(SeekFrom::Start(places.starts[section] as u64))?;
        Ok(BufWriter::with_capacity(1 << 20, handle))
    };
    let (mut codes_out, mut floats_out) = (stream(6)?, stream(7)?);
    let mut small: [Vec<u8>; 6] = std::array::from_fn(|s| Vec::with_capacity(places.lens[s]));
    let mut codes_sum = crc32fast::Hasher::new();
    let mut codes = vec![0i8; stride(width)];
    let mut written = 0;
    for row in rows {
        let (id, kind, values) = row?;
        let meaning = quantise(values, &mut codes);
        let floats: &[u8] = bytemuck::cast_slice(values);
        small[0].extend(id.to_le_bytes());
        small[1].push(kind);
        small[2].extend(meaning.scale.to_le_bytes());
        small[3].extend(meaning.err.to_le_bytes());
        small[4].extend(meaning.norm.to_le_bytes());
        small[5].extend(crc32fast::hash(floats).to_le_bytes());
        codes_sum.update(bytemuck::cast_slice(&codes));
        codes_out.write_all(bytemuck::cast_slice(&codes))?;
        floats_out.write_all(floats)?;
        written += 1;
    }
    debug_assert_eq!(written, count);
    codes_out.flush()?;
    floats_out.flush()?;

    let mut header = Vec::with_capacity(HEADER);
    header.extend(MAGIC);
    header.extend(VERSION.to_le_bytes());
    header.extend([0; 4]);
    header.extend(label.library);
    header.extend(label.space.0);
    header.extend(label.stamp.to_le_bytes());
    header.extend(label.sequence.to_le_bytes());
    header.extend((count as u64).to_le_bytes());
    header.extend((space.rows as u32).to_le_bytes());
    header.extend((space.dim as u32).to_le_bytes());
    small.iter().for_each(|s| header.extend(crc32fast::hash(s).to_le_bytes()));
    header.extend(codes_sum.finalize().to_le_bytes());
    header.resize(HEADER - 4, 0);
    header.extend(crc32fast::hash(&header).to_le_bytes());
    for (section, bytes) in small.iter().enumerate() {
        file.seek(SeekFrom::Start(places.starts[section] as u64))?;
        file.write_all(bytes)?;
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header)?;
    file.sync_all()?;
    Ok(())
}

/// Makes a rename in this folder durable. Only Unix can, and only Unix needs it.
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}
