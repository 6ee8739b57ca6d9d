//! The truth: the tables of `library.db`, and the statements that read and write them.
//!
//! One sequence number per transaction, written beside every vector (`vectors.seq`) and every
//! vector that went (`gone.seq`), lets anything derived catch up by asking what came since.

use std::path::{Path, PathBuf};

use domain::{Digest, ItemId, MediaRef, Span};
use rusqlite::types::{ToSqlOutput, Type, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use crate::item::{Failure, Info, Item, Known, NewItem};
use crate::rows::code_from_kind;

type Sql<T> = rusqlite::Result<T>;

/// The version of everything on disk. Another version is refused, never guessed at.
pub const FORMAT_VERSION: u32 = 1;

/// "lbut": what `file` and SQLite show for a library, whatever its name.
pub(crate) const APPLICATION_ID: i64 = 0x6c62_7574;

const SCHEMA: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE spaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    model TEXT NOT NULL,
    weights BLOB NOT NULL,
    view TEXT NOT NULL,
    sampling TEXT NOT NULL,
    rows INTEGER NOT NULL,
    dim INTEGER NOT NULL,
    canary BLOB NOT NULL,             -- f32, little-endian: the encoder's answer to a fixed input
    stamp INTEGER,                    -- of the segment that was written last
    gone_floor INTEGER NOT NULL DEFAULT 0  -- older rows of `gone` have been dropped
);
CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- a number is never given twice
    path NOT NULL,                    -- text; a blob where the name is not Unicode
    span_start REAL, span_end REAL,   -- seconds
    kind INTEGER NOT NULL,            -- 0 picture, 1 clip
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL,
    duration_secs REAL, frames INTEGER, fps REAL, codec TEXT,
    caption TEXT,
    added_ms INTEGER NOT NULL
);
CREATE UNIQUE INDEX items_by_media ON items (path, ifnull(span_start, -1), ifnull(span_end, -1));
CREATE INDEX items_by_digest ON items (digest);
CREATE TABLE thumbnails (item INTEGER PRIMARY KEY, jpeg BLOB NOT NULL);
CREATE TABLE vectors (
    item INTEGER NOT NULL,
    space INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    data BLOB NOT NULL,               -- f32, little-endian, rows x dim
    UNIQUE (item, space)
);
CREATE INDEX vectors_by_seq ON vectors (space, seq);
CREATE TABLE gone (space INTEGER NOT NULL, seq INTEGER NOT NULL, item INTEGER NOT NULL);
CREATE INDEX gone_by_seq ON gone (space, seq);
CREATE TABLE failures (
    path PRIMARY KEY NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES ('library_id', randomblob(16)), ('sequence', 0);
";

/// Makes the tables, in one transaction: a kill leaves none or all.
pub(crate) fn create(conn: &mut Connection) -> Sql<()> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.execute_batch(SCHEMA)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", FORMAT_VERSION)?;
    tx.commit()
}

/// What every connection needs.
pub(crate) fn configure(conn: &Connection) -> Sql<()> {
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "full")?;
    // A damaged file is met with errors instead of wild reads, and no SQL in it is trusted.
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "trusted_schema", false)
}

pub(crate) fn library_id(conn: &Connection) -> Sql<[u8; 16]> {
    conn.query_row("SELECT value FROM meta WHERE key = 'library_id'", [], |r| r.get(0))
}

pub(crate) fn sequence(conn: &Connection) -> Sql<i64> {
    conn.prepare_cached("SELECT value FROM meta WHERE key = 'sequence'")?.query_row([], |r| r.get(0))
}

/// The next sequence number; taken once per writing transaction.
pub(crate) fn next_sequence(conn: &Connection) -> Sql<i64> {
    conn.prepare_cached("UPDATE meta SET value = value + 1 WHERE key = 'sequence' RETURNING value")?
        .query_row([], |r| r.get(0))
}

/// Keeps one item: its number is the old one if something was kept from the same place.
pub(crate) fn put(
    conn: &Connection,
    seq: i64,
    item: &NewItem,
    space_of: &dyn Fn(&Digest) -> Option<i64>,
) -> Sql<ItemId> {
    let kind = code_from_kind(item.kind);
    let path = SqlPath(&item.media.path);
    let (start, end) = (item.media.span.map(|s| s.start_secs), item.media.span.map(|s| s.end_secs));
    let Info { width, height, duration_secs, frames, fps, codec } = &item.info;
    let old: Option<(i64, [u8; 32], u8)> = conn
        .prepare_cached(
            "SELECT id, digest, kind FROM items
             WHERE path = ?1 AND ifnull(span_start, -1) = ifnull(?2, -1) AND ifnull(span_end, -1) = ifnull(?3, -1)",
        )?
        .query_row(params![path, start, end], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .optional()?;
    let id = match old {
        Some((id, digest, old_kind)) => {
            if digest != item.digest.0 {
                drop_vectors(conn, seq, id)?;
                conn.prepare_cached("DELETE FROM thumbnails WHERE item = ?1")?.execute([id])?;
            } else if old_kind != kind {
                // What is derived keeps the kind beside the vector, so it must look again.
                conn.prepare_cached("UPDATE vectors SET seq = ?2 WHERE item = ?1")?.execute([id, seq])?;
            }
            conn.prepare_cached(
                "UPDATE items SET kind = ?2, digest = ?3, size = ?4, mtime_ns = ?5, width = ?6, height = ?7,
                 duration_secs = ?8, frames = ?9, fps = ?10, codec = ?11, caption = ifnull(?12, caption) WHERE id = ?1",
            )?
            .execute(params![
                id,
                kind,
                item.digest.0,
                item.size as i64,
                item.mtime_ns,
                width,
                height,
                duration_secs,
                frames.map(|f| f as i64),
                fps,
                codec,
                item.caption
            ])?;
            id
        }
        None => {
            conn.prepare_cached(
                "INSERT INTO items (path, span_start, span_end, kind, digest, size, mtime_ns, width, height,
                 duration_secs, frames, fps, codec, caption, added_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?
            .execute(params![
                path,
                start,
                end,
                kind,
                item.digest.0,
                item.size as i64,
                item.mtime_ns,
                width,
                height,
                duration_secs,
                frames.map(|f| f as i64),
                fps,
                codec,
                item.caption,
                now_ms()
            ])?;
            conn.last_insert_rowid()
        }
    };
    if let Some(jpeg) = &item.thumbnail {
        conn.prepare_cached("INSERT OR REPLACE INTO thumbnails VALUES (?1, ?2)")?.execute(params![id, jpeg])?;
    }
    for (space, embedding) in &item.vectors {
        // The caller has checked that every space is bound.
        let Some(space) = space_of(space) else {
            continue;
        };
        conn.prepare_cached(
            "INSERT INTO vectors (item, space, seq, data) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (item, space) DO UPDATE SET seq = excluded.seq, data = excluded.data",
        )?
        .execute(params![id, space, seq, bytemuck::cast_slice::<f32, u8>(&embedding.values)])?;
    }
    conn.prepare_cached("DELETE FROM failures WHERE path = ?1")?.execute([path])?;
    Ok(ItemId(id))
}

fn drop_vectors(conn: &Connection, seq: i64, item: i64) -> Sql<()> {
    conn.prepare_cached("INSERT INTO gone SELECT space, ?2, item FROM vectors WHERE item = ?1")?
        .execute([item, seq])?;
    conn.prepare_cached("DELETE FROM vectors WHERE item = ?1")?.execute([item])?;
    Ok(())
}

/// Forgets an item; whether it was there.
pub(crate) fn remove(conn: &Connection, seq: i64, id: ItemId) -> Sql<bool> {
    drop_vectors(conn, seq, id.0)?;
    conn.prepare_cached("DELETE FROM thumbnails WHERE item = ?1")?.execute([id.0])?;
    Ok(conn.prepare_cached("DELETE FROM items WHERE id = ?1")?.execute([id.0])? > 0)
}

/// Remembers a failure, and forgets what was kept of the file before.
pub(crate) fn fail(conn: &Connection, seq: i64, failure: &Failure) -> Sql<()> {
    for id in ids_at(conn, &failure.path)? {
        remove(conn, seq, id)?;
    }
    conn.prepare_cached("INSERT OR REPLACE INTO failures VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        SqlPath(&failure.path),
        failure.size as i64,
        failure.mtime_ns,
        failure.code,
        failure.reason,
        now_ms()
    ])?;
    Ok(())
}

pub(crate) fn failures(conn: &Connection) -> Sql<Vec<Failure>> {
    conn.prepare_cached("SELECT path, size, mtime_ns, code, reason, at_ms FROM failures ORDER BY path")?
        .query_map([], |r| {
            Ok(Failure {
                path: path_from(r, 0)?,
                size: size_from(r, 1)?,
                mtime_ns: r.get(2)?,
                code: r.get(3)?,
                reason: r.get(4)?,
                at_ms: r.get(5)?,
            })
        })?
        .collect()
}

pub(crate) fn forgive(conn: &Connection, path: &Path) -> Sql<bool> {
    Ok(conn.prepare_cached("DELETE FROM failures WHERE path = ?1")?.execute([SqlPath(path)])? > 0)
}

pub(crate) fn ids_at(conn: &Connection, path: &Path) -> Sql<Vec<ItemId>> {
    conn.prepare_cached("SELECT id FROM items WHERE path = ?1 ORDER BY id")?
        .query_map([SqlPath(path)], |r| Ok(ItemId(r.get(0)?)))?
        .collect()
}

pub(crate) fn known(conn: &Connection, path: &Path) -> Sql<Option<Known>> {
    conn.prepare_cached(
        "SELECT id, size, mtime_ns, digest FROM items WHERE path = ?1 ORDER BY span_start IS NOT NULL, id LIMIT 1",
    )?
    .query_row([SqlPath(path)], |r| {
        Ok(Known { id: ItemId(r.get(0)?), size: size_from(r, 1)?, mtime_ns: r.get(2)?, digest: Digest(r.get(3)?) })
    })
    .optional()
}

const ITEM: &str = "SELECT id, path, span_start, span_end, kind, digest, size, mtime_ns, width, height,
    duration_secs, frames, fps, codec, caption, added_ms FROM items";

fn item_from(r: &Row) -> Sql<Item> {
    let span = match (r.get(2)?, r.get(3)?) {
        (Some(start_secs), Some(end_secs)) => Some(Span { start_secs, end_secs }),
        _ => None,
    };
    let kind = match r.get::<_, u8>(4)? {
        0 => domain::Kind::Picture,
        1 => domain::Kind::Clip,
        other => return Err(odd(4, Type::Integer, format!("kind {other}"))),
    };
    Ok(Item {
        id: ItemId(r.get(0)?),
        media: MediaRef { path: path_from(r, 1)?, span },
        kind,
        digest: Digest(r.get(5)?),
        size: size_from(r, 6)?,
        mtime_ns: r.get(7)?,
        info: Info {
            width: r.get(8)?,
            height: r.get(9)?,
            duration_secs: r.get(10)?,
            frames: r.get::<_, Option<i64>>(11)?.map(|f| f.max(0) as u64),
            fps: r.get(12)?,
            codec: r.get(13)?,
        },
        caption: r.get(14)?,
        added_ms: r.get(15)?,
    })
}

pub(crate) fn item(conn: &Connection, id: ItemId) -> Sql<Option<Item>> {
    conn.prepare_cached(&format!("{ITEM} WHERE id = ?1"))?.query_row([id.0], item_from).optional()
}

pub(crate) fn items_after(conn: &Connection, after: Option<ItemId>, limit: usize) -> Sql<Vec<Item>> {
    conn.prepare_cached(&format!("{ITEM} WHERE id > ?1 ORDER BY id LIMIT ?2"))?
        .query_map(params![after.map_or(i64::MIN, |i| i.0), i64::try_from(limit).unwrap_or(i64::MAX)], item_from)?
        .collect()
}

pub(crate) fn by_digest(conn: &Connection, digest: &Digest) -> Sql<Vec<Item>> {
    conn.prepare_cached(&format!("{ITEM} WHERE digest = ?1 ORDER BY id"))?.query_map([digest.0], item_from)?.collect()
}

/// Everything at or below a folder. Names are compared part by part, so `/a/b` holds `/a/b/c` and
/// not `/a/bc`.
pub(crate) fn under(conn: &Connection, root: &Path) -> Sql<Vec<(ItemId, PathBuf)>> {
    let mut statement = conn.prepare_cached("SELECT id, path FROM items ORDER BY id")?;
    let all = statement.query_map([], |r| Ok((ItemId(r.get(0)?), path_from(r, 1)?)))?;
    all.filter(|row| row.as_ref().map_or(true, |(_, path)| path.starts_with(root))).collect()
}

pub(crate) fn moved(conn: &Connection, id: ItemId, path: &Path, mtime_ns: i64) -> Sql<bool> {
    conn.prepare_cached("DELETE FROM failures WHERE path = ?1")?.execute([SqlPath(path)])?;
    Ok(conn.prepare_cached("UPDATE items SET path = ?2, mtime_ns = ?3 WHERE id = ?1")?.execute(params![
        id.0,
        SqlPath(path),
        mtime_ns
    ])? > 0)
}

pub(crate) fn set_caption(conn: &Connection, id: ItemId, caption: Option<&str>) -> Sql<bool> {
    Ok(conn.prepare_cached("UPDATE items SET caption = ?2 WHERE id = ?1")?.execute(params![id.0, caption])? > 0)
}

pub(crate) fn thumbnail(conn: &Connection, id: ItemId) -> Sql<Option<Vec<u8>>> {
    conn.prepare_cached("SELECT jpeg FROM thumbnails WHERE item = ?1")?.query_row([id.0], |r| r.get(0)).optional()
}

pub(crate) fn vector(conn: &Connection, id: ItemId, space: i64) -> Sql<Option<Vec<f32>>> {
    conn.prepare_cached("SELECT data FROM vectors WHERE item = ?1 AND space = ?2")?
        .query_row([id.0, space], |r| floats_from(r.get_ref(0)?, 0))
        .optional()
}

/// Whole numbers of f32, as they were written.
pub(crate) fn floats_from(value: ValueRef, column: usize) -> Sql<Vec<f32>> {
    match value.as_blob() {
        Ok(bytes) if bytes.len().is_multiple_of(4) => {
            Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
        }
        _ => Err(odd(column, Type::Blob, "a vector is no blob of 32-bit floats".into())),
    }
}

/// A path as SQLite keeps it: readable text where it is Unicode, its bytes where it is not.
pub(crate) struct SqlPath<'a>(pub &'a Path);

impl ToSql for SqlPath<'_> {
    fn to_sql(&self) -> Sql<ToSqlOutput<'_>> {
        match self.0.to_str() {
            Some(text) => text.to_sql(),
            None => Ok(ToSqlOutput::Owned(Value::Blob(self.0.as_os_str().as_encoded_bytes().to_vec()))),
        }
    }
}

pub(crate) fn path_from(r: &Row, column: usize) -> Sql<PathBuf> {
    match r.get_ref(column)? {
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(odd(column, Type::Text, "a path is not Unicode".into())),
        },
        ValueRef::Blob(bytes) => path_from_bytes(bytes).ok_or_else(|| odd(column, Type::Blob, "a path is odd".into())),
        other => Err(odd(column, other.data_type(), "a path is no text".into())),
    }
}

#[cfg(unix)]
fn path_from_bytes(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(std::ffi::OsStr::from_bytes(bytes).into())
}

/// Elsewhere names that are not Unicode cannot be read back from bytes without `unsafe`.
#[cfg(not(unix))]
fn path_from_bytes(_: &[u8]) -> Option<PathBuf> {
    None
}

fn size_from(r: &Row, column: usize) -> Sql<u64> {
    let size: i64 = r.get(column)?;
    u64::try_from(size).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, size))
}

fn odd(column: usize, kind: Type, what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, what.into())
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
