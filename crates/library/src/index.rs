//! One space's vectors, ready to be scanned: a segment on disk, and a tail in memory.
//!
//! Everything in here is derived. The segment holds what was there when it was written; what came
//! since lies in the tail; what went since, or was replaced, is marked dead.

use std::path::Path;

use domain::{Digest, Space};
use rusqlite::{Connection, TransactionBehavior};

use crate::rows::{Bits, Corrupt, Rows};
use crate::scan::Part;
use crate::segment::{self, Label, Segment, WriteError};
use crate::spaces::{self, Kept};
use crate::store;

/// One space's vectors.
pub(crate) struct Index {
    pub space: Space,
    id: Digest,
    row: i64,
    segment: Option<Segment>,
    segment_dead: Bits,
    tail: Rows,
    tail_dead: Bits,
    /// Everything up to this sequence number is in here.
    seen: i64,
    /// So many rows out of order make a new segment worth its writing.
    seal_at: usize,
}

/// A tail worth writing down. Each seal rewrites everything, so the tail has to be a good part of
/// it for the work to stay in proportion.
const SEAL_TAIL: usize = 4096;

impl Index {
    /// Nothing yet.
    fn new(kept: &Kept) -> Self {
        let width = kept.space.rows * kept.space.dim;
        Self {
            space: kept.space.clone(),
            id: kept.space.id(),
            row: kept.row,
            segment: None,
            segment_dead: Bits::default(),
            tail: Rows::new(width),
            tail_dead: Bits::default(),
            seen: -1,
            seal_at: SEAL_TAIL,
        }
    }

    /// From the segment, if there is a good one, and the database; `trouble` hears why a segment
    /// that should be there could not be used.
    pub fn load(
        conn: &Connection,
        dir: Option<&Path>,
        library: [u8; 16],
        kept: &Kept,
        trouble: &mut dyn FnMut(String),
    ) -> rusqlite::Result<Self> {
        let mut index = Self::new(kept);
        if let (Some(dir), Some(stamp)) = (dir, kept.stamp) {
            match Segment::open(&segment::path_in(dir, &index.id), &kept.space) {
                Ok(s) if s.label.library != library => trouble("it belongs to another library".into()),
                Ok(s) if s.label.stamp != stamp => trouble("it is not the one that was written last".into()),
                Ok(s) if s.label.sequence < kept.gone_floor => trouble("it is too old".into()),
                Ok(s) => {
                    index.seen = s.label.sequence;
                    index.segment = Some(s);
                }
                Err(why) => trouble(why),
            }
            // One that should be there and is not is made at once, however small.
            if index.segment.is_none() {
                index.seal_at = 0;
            }
        }
        index.catch_up(conn)?;
        Ok(index)
    }

    /// From the database alone.
    pub fn load_without_segment(conn: &Connection, kept: &Kept) -> rusqlite::Result<Self> {
        let mut index = Self::new(kept);
        if kept.stamp.is_some() {
            index.seal_at = 0;
        }
        index.catch_up(conn)?;
        Ok(index)
    }

    /// Whether the database has moved on.
    pub fn is_behind(&self, conn: &Connection) -> rusqlite::Result<bool> {
        Ok(store::sequence(conn)? != self.seen)
    }

    /// Takes in what came and went since the last look. False if that cannot be known any more,
    /// and everything has to be read again.
    pub fn catch_up(&mut self, conn: &Connection) -> rusqlite::Result<bool> {
        // One transaction: one moment of the database.
        let tx = conn.unchecked_transaction()?;
        let now = store::sequence(&tx)?;
        let Some(kept) = spaces::by_id(&tx, &self.id)? else {
            return Ok(false);
        };
        if now < self.seen || kept.row != self.row || (self.seen >= 0 && self.seen < kept.gone_floor) {
            return Ok(false);
        }
        if self.seen >= 0 {
            let mut statement = tx.prepare_cached("SELECT item FROM gone WHERE space = ?1 AND seq > ?2")?;
            for item in statement.query_map([self.row, self.seen], |r| r.get(0))? {
                self.bury(item?);
            }
        }
        let mut statement = tx.prepare_cached(
            "SELECT v.item, i.kind, v.data FROM vectors v JOIN items i ON i.id = v.item
             WHERE v.space = ?1 AND v.seq > ?2 ORDER BY v.item",
        )?;
        let mut rows = statement.query([self.row, self.seen])?;
        while let Some(r) = rows.next()? {
            let values = store::floats_from(r.get_ref(2)?, 2)?;
            if values.len() != self.space.rows * self.space.dim {
                return Err(rusqlite::Error::FromSqlConversionFailure(
                    2,
                    rusqlite::types::Type::Blob,
                    format!(
                        "a vector has {} numbers, the space has {}",
                        values.len(),
                        self.space.rows * self.space.dim
                    )
                    .into(),
                ));
            }
            let item = r.get(0)?;
            self.bury(item);
            self.tail.push(item, r.get(1)?, &values);
        }
        self.seen = now;
        Ok(true)
    }

    fn bury(&mut self, item: i64) {
        if let Some(row) = self.tail.forget(item) {
            self.tail_dead.set(row);
        }
        if let Some(row) = self.segment.as_ref().and_then(|s| s.view().ids.binary_search(&item).ok()) {
            self.segment_dead.set(row);
        }
    }

    /// The tables to be scanned.
    pub fn parts(&self) -> Vec<Part<'_>> {
        let segment = self.segment.as_ref().map(|s| Part { view: s.view(), dead: &self.segment_dead });
        segment.into_iter().chain([Part { view: self.tail.view(), dead: &self.tail_dead }]).collect()
    }

    /// Where an item's vector lies: which of [`Index::parts`], which row.
    pub fn find(&self, item: i64) -> Option<(usize, usize)> {
        let tail = usize::from(self.segment.is_some());
        if let Some(row) = self.tail.find(item) {
            return Some((tail, row));
        }
        let row = self.segment.as_ref()?.view().ids.binary_search(&item).ok()?;
        (!self.segment_dead.get(row)).then_some((0, row))
    }

    /// Items with a vector.
    pub fn live(&self) -> usize {
        self.parts().iter().map(|p| p.view.len() - p.dead.count()).sum()
    }

    /// Items in the segment file, dead ones too, and its bytes; `None` without one.
    pub fn sealed(&self) -> Option<(usize, u64)> {
        self.segment.as_ref().map(|s| (s.view().len(), s.len_bytes()))
    }

    /// Whether so much has changed that the segment should be written anew.
    pub fn wants_seal(&self) -> bool {
        let sealed = self.segment.as_ref().map_or(0, |s| s.view().len());
        self.stale() > self.seal_at.max(if self.seal_at == 0 { 0 } else { sealed / 4 })
    }

    /// A try has failed: the next one waits until there is twice as much to gain.
    pub fn put_off_seal(&mut self) {
        self.seal_at = SEAL_TAIL.max(2 * self.stale());
    }

    fn stale(&self) -> usize {
        self.tail.view().len() + self.segment_dead.count()
    }

    /// Whether the segment on disk lacks anything.
    pub fn is_sealed(&self) -> bool {
        self.segment.is_some() && self.stale() == 0
    }

    /// Reads every row of floats once: is each what was written?
    pub fn check_floats(&self) -> Result<(), Corrupt> {
        for part in self.parts() {
            (0..part.view.len()).try_for_each(|row| part.view.floats(row).map(|_| ()))?;
        }
        Ok(())
    }

    /// Writes a segment of all that is in here, and goes on with it. The caller holds the
    /// library's lock.
    pub fn seal(&mut self, conn: &Connection, dir: &Path, library: [u8; 16]) -> Result<(), SealError> {
        let path = segment::path_in(dir, &self.id);
        std::fs::create_dir_all(dir.join("segments")).map_err(WriteError::Io)?;
        let stamp: i64 = conn.query_row("SELECT random()", [], |r| r.get(0))?;
        let label = Label { library, space: self.id, stamp, sequence: self.seen };
        {
            let parts = self.parts();
            let mut rows: Vec<(i64, usize, usize)> = Vec::with_capacity(self.live());
            for (p, part) in parts.iter().enumerate() {
                let ids = part.view.ids.iter().enumerate();
                rows.extend(ids.filter(|(r, _)| !part.dead.get(*r)).map(|(r, id)| (*id, p, r)));
            }
            rows.sort_unstable();
            let count = rows.len();
            let rows = rows.into_iter().map(|(id, p, r)| Ok((id, parts[p].view.kinds[r], parts[p].view.floats(r)?)));
            segment::write(&path, &label, &self.space, count, rows)?;
        }
        // The file is in place; now the database says that it is the one. In between a kill
        // leaves a file that nobody believes, and the next one to open builds it again.
        let tx = rusqlite::Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
        tx.execute("UPDATE spaces SET stamp = ?2, gone_floor = ?3 WHERE id = ?1", [self.row, stamp, self.seen])?;
        tx.execute("DELETE FROM gone WHERE space = ?1 AND seq <= ?2", [self.row, self.seen])?;
        tx.commit()?;
        let segment = Segment::open(&path, &self.space).map_err(SealError::Reopen)?;
        let width = self.space.rows * self.space.dim;
        self.segment = Some(segment);
        self.segment_dead = Bits::default();
        self.tail = Rows::new(width);
        self.tail_dead = Bits::default();
        self.seal_at = SEAL_TAIL;
        Ok(())
    }
}

/// Why a segment could not be written. Nothing is lost by it but speed at the next start.
#[derive(Debug)]
pub(crate) enum SealError {
    Write(WriteError),
    Database(rusqlite::Error),
    Reopen(String),
}

impl From<WriteError> for SealError {
    fn from(e: WriteError) -> Self {
        SealError::Write(e)
    }
}

impl From<rusqlite::Error> for SealError {
    fn from(e: rusqlite::Error) -> Self {
        SealError::Database(e)
    }
}

impl std::fmt::Display for SealError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SealError::Write(WriteError::Io(e)) => write!(f, "{e}"),
            SealError::Write(WriteError::Corrupt) => f.write_str("the old one is damaged"),
            SealError::Database(e) => write!(f, "{e}"),
            SealError::Reopen(why) => write!(f, "written, but {why}"),
        }
    }
}
