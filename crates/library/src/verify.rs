//! Is everything as it should be? And: what is in here, as text.

use std::fmt::Write as _;
use std::path::PathBuf;

use domain::{ItemId, Space};
use rusqlite::Connection;

use crate::error::Result;
use crate::library::Library;
use crate::spaces::Kept;
use crate::store::{self, FORMAT_VERSION};

/// Numbers about one space.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceStats {
    /// The space.
    pub space: Space,
    /// Items with a vector in it.
    pub vectors: usize,
    /// Items in its vector file, and bytes of it; `None` while there is no file.
    pub sealed: Option<(usize, u64)>,
}

/// Numbers about a library.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Pictures kept.
    pub pictures: usize,
    /// Clips kept.
    pub clips: usize,
    /// Files that could not be kept.
    pub failures: usize,
    /// Thumbnails kept.
    pub thumbnails: usize,
    /// Items with a caption.
    pub captions: usize,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Each space.
    pub spaces: Vec<SpaceStats>,
}

/// What [`Library::verify`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifyReport {
    /// Numbers of what is there.
    pub stats: Stats,
    /// What is wrong and was not put right, in words; empty is good.
    pub problems: Vec<String>,
    /// What was found out of order and put right since the library was opened.
    pub repaired: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Library {
    /// Numbers about the library.
    pub fn stats(&self) -> Result<Stats> {
        let count = |sql: &str| -> Result<usize> {
            let n: i64 = self.read("counting", |conn| conn.query_row(sql, [], |r| r.get(0)))?;
            Ok(n.max(0) as usize)
        };
        let mut spaces = Vec::new();
        for kept in self.kept()? {
            let index = self.ready(&kept.space)?;
            let index = index.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            spaces.push(SpaceStats { space: kept.space, vectors: index.live(), sealed: index.sealed() });
        }
        Ok(Stats {
            pictures: count("SELECT count(*) FROM items WHERE kind = 0")?,
            clips: count("SELECT count(*) FROM items WHERE kind = 1")?,
            failures: count("SELECT count(*) FROM failures")?,
            thumbnails: count("SELECT count(*) FROM thumbnails")?,
            captions: count("SELECT count(*) FROM items WHERE caption IS NOT NULL")?,
            database_bytes: count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")? as u64,
            spaces,
        })
    }

    /// Checks the database, and that what is derived agrees with it. `deep` reads every byte and
    /// compares every vector; otherwise counts and structure are checked.
    pub fn verify(&self, deep: bool) -> Result<VerifyReport> {
        let mut problems = self.read("checking the database", |conn| integrity(conn, deep))?;
        problems.extend(self.read("checking the database", orphans)?);
        for kept in self.kept()? {
            self.verify_space(&kept, deep, &mut problems)?;
        }
        Ok(VerifyReport { stats: self.stats()?, problems, repaired: self.notes() })
    }

    fn verify_space(&self, kept: &Kept, deep: bool, problems: &mut Vec<String>) -> Result<()> {
        let space = &kept.space;
        let index = self.ready(space)?;
        let index = index.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let truth: i64 = self.read("counting vectors", |conn| {
            conn.query_row("SELECT count(*) FROM vectors WHERE space = ?1", [kept.row], |r| r.get(0))
        })?;
        if truth != index.live() as i64 {
            problems.push(format!("[{space}]: {truth} vectors are kept, {} can be found", index.live()));
        }
        if !deep {
            return Ok(());
        }
        if index.check_floats().is_err() {
            problems.push(format!("[{space}]: the vector file is damaged; a rebuild makes it anew"));
            return Ok(());
        }
        let parts = index.parts();
        let mut different = 0;
        self.read("comparing vectors", |conn| {
            let mut statement = conn.prepare("SELECT item, data FROM vectors WHERE space = ?1")?;
            let mut rows = statement.query([kept.row])?;
            while let Some(r) = rows.next()? {
                let values = store::floats_from(r.get_ref(1)?, 1)?;
                let found = index.find(r.get(0)?).and_then(|(p, row)| parts[p].view.floats(row).ok());
                different += usize::from(found != Some(values.as_slice()));
            }
            Ok(())
        })?;
        if different > 0 {
            problems.push(format!(
                "[{space}]: {different} vectors differ from those that are kept; a rebuild makes them anew"
            ));
        }
        Ok(())
    }

    /// Items whose file is not where it was.
    pub fn missing_files(&self) -> Result<Vec<(ItemId, PathBuf)>> {
        let mut out = Vec::new();
        for item in self.items() {
            let item = item?;
            // Only "it is not there" counts: a folder that cannot be read says nothing.
            if matches!(item.media.path.try_exists(), Ok(false)) {
                out.push((item.id, item.media.path));
            }
        }
        Ok(out)
    }

    /// The whole library as text, for tests and for people.
    pub fn dump(&self) -> Result<String> {
        let mut out = format!("likebut library, format {FORMAT_VERSION}\n");
        let kept = self.kept()?;
        for k in &kept {
            let _ = writeln!(out, "space {} · canary {}", k.space, numbers(&k.canary));
        }
        for item in self.items() {
            let item = item?;
            let i = &item.info;
            let _ = write!(out, "item {} {} {}", item.id, item.kind, item.media);
            let _ = write!(
                out,
                " · {} · {} B · {} ns · {}×{}",
                item.digest.short(),
                item.size,
                item.mtime_ns,
                i.width,
                i.height
            );
            let _ = i.duration_secs.map(|d| write!(out, " · {d} s"));
            let _ = i.frames.map(|f| write!(out, " · {f} frames"));
            let _ = i.fps.map(|f| write!(out, " · {f} fps"));
            let _ = i.codec.as_ref().map(|c| write!(out, " · {c}"));
            out.push('\n');
            if let Some(caption) = &item.caption {
                let _ = writeln!(out, "  caption {caption:?}");
            }
            if let Some(jpeg) = self.thumbnail(item.id)? {
                let _ = writeln!(out, "  thumbnail {} B", jpeg.len());
            }
            for k in &kept {
                if let Some(v) = self.read("reading a vector", |conn| store::vector(conn, item.id, k.row))? {
                    let _ = writeln!(out, "  vector {} {}", k.space.model, numbers(&v));
                }
            }
        }
        for f in self.failures()? {
            let _ = writeln!(
                out,
                "failure {} · {} B · {} ns · {} · {}",
                f.path.display(),
                f.size,
                f.mtime_ns,
                f.code,
                f.reason
            );
        }
        Ok(out)
    }
}

/// The first few numbers, and how many there are.
fn numbers(values: &[f32]) -> String {
    let shown: Vec<String> = values.iter().take(4).map(|v| format!("{v:.3}")).collect();
    let more = if values.len() > 4 { format!(" … ({})", values.len()) } else { String::new() };
    format!("[{}{more}]", shown.join(" "))
}

/// What SQLite itself says; it says `ok` alone when all is well.
fn integrity(conn: &Connection, deep: bool) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare(if deep { "PRAGMA integrity_check" } else { "PRAGMA quick_check" })?;
    let lines: Vec<String> = statement.query_map([], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(if lines == ["ok"] { Vec::new() } else { lines.into_iter().map(|l| format!("database: {l}")).collect() })
}

/// Rows that belong to nothing, and paths that are kept and failed at once.
fn orphans(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let checks = [
        ("vectors of no item", "SELECT count(*) FROM vectors WHERE item NOT IN (SELECT id FROM items)"),
        ("vectors of no space", "SELECT count(*) FROM vectors WHERE space NOT IN (SELECT id FROM spaces)"),
        ("thumbnails of no item", "SELECT count(*) FROM thumbnails WHERE item NOT IN (SELECT id FROM items)"),
        ("files both kept and failed", "SELECT count(*) FROM failures WHERE path IN (SELECT path FROM items)"),
        (
            "vectors of a wrong length",
            "SELECT count(*) FROM vectors v JOIN spaces s ON s.id = v.space WHERE length(v.data) != 4 * s.rows * s.dim",
        ),
    ];
    let mut out = Vec::new();
    for (what, sql) in checks {
        let n: i64 = conn.query_row(sql, [], |r| r.get(0))?;
        if n > 0 {
            out.push(format!("database: {n} {what}"));
        }
    }
    Ok(out)
}
