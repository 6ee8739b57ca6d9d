//! The library itself: made, opened, filled, emptied, asked about its items.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use domain::{Digest, Embedding, ItemId, Space};
use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, Result};
use crate::index::Index;
use crate::item::{Failure, Item, Known, NewItem};
use crate::spaces::{self, Kept};
use crate::store::FORMAT_VERSION;
use crate::{kernel, segment, store};

const DATABASE: &str = "library.db";
const MANIFEST: &str = "MANIFEST.json";
const LOCK: &str = "library.lock";

/// A folder of remembered pictures and clips. See the [crate] for what it promises.
///
/// One value may be shared between threads; several processes may read at once while one writes.
/// The first call that writes takes the library's lock, and holds it until the value is dropped.
pub struct Library {
    dir: Option<PathBuf>,
    id: [u8; 16],
    conn: Mutex<Connection>,
    indexes: Mutex<BTreeMap<Digest, Arc<RwLock<Index>>>>,
    lock: Mutex<Option<File>>,
    notes: Mutex<Vec<String>>,
    pub(crate) path: kernel::Path,
}

/// What [`MANIFEST`] holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct Manifest {
    format: String,
    format_version: u32,
    #[serde(default)]
    spaces: Vec<Space>,
}

/// A thread that panicked while it held one of our locks has left nothing half-done in it.
pub(crate) fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Library {
    /// Makes a library in a folder, which may exist but holds no library yet.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        std::fs::create_dir_all(dir.join("segments")).map_err(Error::io(dir))?;
        let mut conn = connect(dir, true)?;
        // Two that start at once must not both find nothing and both make it.
        let lock = lock_soon(dir)?.ok_or_else(|| Error::Busy(dir.to_owned()))?;
        if is_made(&conn).map_err(Error::sqlite("looking for a library", dir))? {
            return Err(Error::AlreadyThere(dir.to_owned()));
        }
        store::create(&mut conn).map_err(Error::sqlite("making the library", dir))?;
        let library = Self::from(conn, Some(dir.to_owned()))?;
        library.write_manifest()?;
        segment::sync_dir(dir).map_err(Error::io(dir))?;
        drop(lock);
        Ok(library)
    }

    /// Opens the library in a folder.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        // The manifest is asked first: a future version's database may not even be SQLite.
        let kept = std::fs::read(dir.join(MANIFEST)).ok();
        let parse = |bytes: &Vec<u8>| serde_json::from_slice::<Manifest>(bytes).ok();
        let read = kept.as_ref().and_then(parse);
        if let Some(m) = &read
            && m.format_version != FORMAT_VERSION
        {
            return Err(Error::FormatVersion { found: m.format_version, expected: FORMAT_VERSION });
        }
        match std::fs::metadata(dir.join(DATABASE)) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && kept.is_some() => {
                return Err(Error::Damaged(format!("{DATABASE} is missing in {}", dir.display())));
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound || e.kind() == std::io::ErrorKind::NotADirectory => {
                return Err(Error::NotALibrary(dir.to_owned()));
            }
            Err(e) => return Err(Error::io(dir)(e)),
        }
        let conn = connect(dir, false)?;
        let wrap = || Error::sqlite("opening the library", dir);
        if !is_made(&conn).map_err(wrap())? {
            return Err(Error::NotALibrary(dir.to_owned()));
        }
        let library = Self::from(conn, Some(dir.to_owned()))?;
        // Whoever holds the lock may be making this library, and about to write the manifest. And a folder that may
        // only be read can still be asked.
        if read.is_none()
            && let Ok(Some(_lock)) = lock_file(dir)
            && std::fs::read(dir.join(MANIFEST)).ok().as_ref().and_then(parse).is_none()
            && library.write_manifest().is_ok()
        {
            library.note("the manifest was missing or unreadable; written anew".into());
        }
        Ok(library)
    }

    /// Opens the library in a folder, or makes one. A making that was killed is begun again.
    pub fn open_or_create(dir: impl AsRef<Path>) -> Result<Self> {
        match Self::open(dir.as_ref()) {
            Err(Error::NotALibrary(_)) => match Self::create(dir.as_ref()) {
                // Somebody else was faster.
                Err(Error::AlreadyThere(_)) => Self::open(dir),
                made => made,
            },
            opened => opened,
        }
    }

    /// A library that is forgotten when it is dropped.
    pub fn in_memory() -> Result<Self> {
        let wrap = || Error::sqlite("making a library in memory", Path::new(":memory:"));
        let mut conn = Connection::open_in_memory().map_err(wrap())?;
        store::configure(&conn).map_err(wrap())?;
        store::create(&mut conn).map_err(wrap())?;
        Self::from(conn, None)
    }

    fn from(conn: Connection, dir: Option<PathBuf>) -> Result<Self> {
        let path = kernel::chosen()?;
        let here = dir.clone().unwrap_or_default();
        let id = store::library_id(&conn).map_err(Error::sqlite("opening the library", &here))?;
        let no_indexes = Mutex::new(BTreeMap::new());
        let notes = Mutex::new(Vec::new());
        Ok(Self { dir, id, conn: Mutex::new(conn), indexes: no_indexes, lock: Mutex::new(None), notes, path })
    }

    /// The folder; `None` in memory.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// What was found out of order and put right since the library was opened, in words.
    pub fn notes(&self) -> Vec<String> {
        held(&self.notes).clone()
    }

    pub(crate) fn note(&self, what: String) {
        held(&self.notes).push(what);
    }

    // ---- spaces ------------------------------------------------------------------------------

    /// Makes a space the library's, or checks that it is.
    ///
    /// `canary` is the encoder's answer to a fixed input of its own. The first time both are kept.
    /// Later the space must be the one kept for this model and number of rows, and the canary must
    /// agree: weights, view or number type that differ in secret are caught at the door.
    pub fn bind(&mut self, space: &Space, canary: &Embedding) -> Result<()> {
        spaces::check_shape(space)?;
        spaces::check_vector(space, canary, &|| "the canary".into())?;
        let kept = self.kept()?;
        if let Some(same) = kept.iter().find(|k| k.space == *space) {
            return spaces::check_canary(same, canary);
        }
        let rivals: Vec<Kept> =
            kept.into_iter().filter(|k| k.space.model == space.model && k.space.rows == space.rows).collect();
        if !rivals.is_empty() {
            return Err(spaces::differs(&rivals, space));
        }
        self.take_lock()?;
        self.write("binding a space", |conn| spaces::insert(conn, space, canary))?;
        self.write_manifest()
    }

    /// Checks that a space is kept here and that the encoder is the one that filled it, without
    /// writing anything: what a search does first.
    pub fn check(&self, space: &Space, canary: &Embedding) -> Result<()> {
        spaces::check_canary(&self.kept_space(space)?, canary)
    }

    /// Forgets a space and all its vectors; whether it was kept. Items stay.
    pub fn unbind(&mut self, space: &Digest) -> Result<bool> {
        self.take_lock()?;
        let was = self.write("forgetting a space", |conn| {
            let Some(kept) = spaces::by_id(conn, space)? else {
                return Ok(false);
            };
            store::next_sequence(conn)?;
            conn.execute("DELETE FROM vectors WHERE space = ?1", [kept.row])?;
            conn.execute("DELETE FROM gone WHERE space = ?1", [kept.row])?;
            conn.execute("DELETE FROM spaces WHERE id = ?1", [kept.row])?;
            Ok(true)
        })?;
        held(&self.indexes).remove(space);
        if let Some(dir) = &self.dir {
            // Derived, and no one believes it any more: whether it can be removed changes nothing.
            let _ = std::fs::remove_file(segment::path_in(dir, space));
        }
        self.write_manifest()?;
        Ok(was)
    }

    /// The spaces that are kept, the oldest first.
    pub fn spaces(&self) -> Result<Vec<Space>> {
        Ok(self.kept()?.into_iter().map(|k| k.space).collect())
    }

    pub(crate) fn kept(&self) -> Result<Vec<Kept>> {
        self.read("reading the spaces", spaces::all)
    }

    /// The kept space, or an error that names both sides.
    pub(crate) fn kept_space(&self, space: &Space) -> Result<Kept> {
        let id = space.id();
        match self.read("reading the spaces", |conn| spaces::by_id(conn, &id))? {
            Some(kept) if kept.space == *space => Ok(kept),
            _ => Err(spaces::differs(&self.kept()?, space)),
        }
    }

    // ---- keeping -----------------------------------------------------------------------------

    /// Keeps a batch: one durable transaction, all or nothing. When this returns the batch is on
    /// disk. An item from a place that is known keeps its number; if its content changed, what was
    /// made of the old content goes, else vectors of other spaces stay.
    pub fn put(&mut self, batch: &[NewItem]) -> Result<Vec<ItemId>> {
        let kept: BTreeMap<Digest, Kept> = self.kept()?.into_iter().map(|k| (k.space.id(), k)).collect();
        for item in batch {
            let whose = || item.media.to_string();
            for (space, embedding) in &item.vectors {
                let Some(kept) = kept.get(space) else {
                    return Err(Error::Vector {
                        what: whose(),
                        problem: format!(
                            "a vector of space {} came, which was not bound; bind it first",
                            space.short()
                        ),
                    });
                };
                spaces::check_vector(&kept.space, embedding, &whose)?;
            }
            storable(item.size, &item.media)?;
            storable(item.info.frames.unwrap_or(0), &item.media)?;
        }
        self.take_lock()?;
        self.write("keeping items", |conn| {
            let seq = store::next_sequence(conn)?;
            let row_of = |space: &Digest| kept.get(space).map(|k| k.row);
            batch.iter().map(|item| store::put(conn, seq, item, &row_of)).collect()
        })
    }

    /// Remembers files that could not be kept. What was kept of them before goes.
    pub fn fail(&mut self, failures: &[Failure]) -> Result<()> {
        for f in failures {
            storable(f.size, &f.path.display())?;
        }
        self.take_lock()?;
        self.write("remembering failures", |conn| {
            let seq = store::next_sequence(conn)?;
            failures.iter().try_for_each(|f| store::fail(conn, seq, f))
        })
    }

    /// Files that could not be kept, by path.
    pub fn failures(&self) -> Result<Vec<Failure>> {
        self.read("reading failures", store::failures)
    }

    /// Forgets failures (the files are gone, say); how many there were.
    pub fn forgive(&mut self, paths: &[PathBuf]) -> Result<usize> {
        self.take_lock()?;
        self.write("forgetting failures", |conn| {
            paths.iter().try_fold(0, |count, path| Ok(count + usize::from(store::forgive(conn, path)?)))
        })
    }

    /// Forgets items; how many there were. Numbers that are not there are passed over.
    pub fn remove(&mut self, ids: &[ItemId]) -> Result<usize> {
        self.take_lock()?;
        self.write("removing items", |conn| {
            let seq = store::next_sequence(conn)?;
            let mut count = 0;
            for id in ids {
                count += usize::from(store::remove(conn, seq, *id)?);
            }
            Ok(count)
        })
    }

    /// The item's file lies elsewhere now; its content, number and vectors stay. What was kept
    /// from the new place before goes.
    pub fn moved(&mut self, id: ItemId, new_path: &Path, mtime_ns: i64) -> Result<()> {
        self.take_lock()?;
        let there = self.write("moving an item", |conn| {
            let Some(item) = store::item(conn, id)? else {
                return Ok(false);
            };
            let seq = store::next_sequence(conn)?;
            for other in store::ids_at(conn, new_path)? {
                let same_span = store::item(conn, other)?.is_some_and(|o| o.media.span == item.media.span);
                if other != id && same_span {
                    store::remove(conn, seq, other)?;
                }
            }
            store::moved(conn, id, new_path, mtime_ns)
        })?;
        if there { Ok(()) } else { Err(Error::UnknownItem(id)) }
    }

    /// Says in words what an item shows; `None` takes the words away.
    pub fn set_caption(&mut self, id: ItemId, caption: Option<&str>) -> Result<()> {
        self.take_lock()?;
        let there = self.write("writing a caption", |conn| store::set_caption(conn, id, caption))?;
        if there { Ok(()) } else { Err(Error::UnknownItem(id)) }
    }

    // ---- items -------------------------------------------------------------------------------

    /// What is known of the file at this path, if anything is kept from it.
    pub fn known(&self, path: &Path) -> Result<Option<Known>> {
        self.read("looking up a file", |conn| store::known(conn, path))
    }

    /// The items kept from a file: one for the whole and one for each span.
    pub fn ids_at(&self, path: &Path) -> Result<Vec<ItemId>> {
        self.read("looking up a file", |conn| store::ids_at(conn, path))
    }

    /// The items with this content, the oldest first.
    pub fn by_digest(&self, digest: &Digest) -> Result<Vec<Item>> {
        self.read("looking up content", |conn| store::by_digest(conn, digest))
    }

    /// The items at or below a folder (or of a file), by number.
    pub fn under(&self, root: &Path) -> Result<Vec<(ItemId, PathBuf)>> {
        self.read("listing a folder", |conn| store::under(conn, root))
    }

    /// One item.
    pub fn item(&self, id: ItemId) -> Result<Option<Item>> {
        self.read("reading an item", |conn| store::item(conn, id))
    }

    /// A page of items by number: those after `after`, at most `limit`.
    pub fn items_after(&self, after: Option<ItemId>, limit: usize) -> Result<Vec<Item>> {
        self.read("listing items", |conn| store::items_after(conn, after, limit))
    }

    /// All items by number, read in pages as they are asked for.
    pub fn items(&self) -> impl Iterator<Item = Result<Item>> {
        let mut after = None;
        let mut page = Vec::new().into_iter();
        let mut done = false;
        std::iter::from_fn(move || {
            if page.len() == 0 && !done {
                match self.items_after(after, 512) {
                    Ok(next) => page = next.into_iter(),
                    Err(e) => {
                        done = true;
                        return Some(Err(e));
                    }
                }
            }
            let item: Option<Item> = page.next();
            done |= item.is_none();
            after = item.as_ref().map(|i| i.id);
            item.map(Ok)
        })
    }

    /// How many items there are.
    pub fn len(&self) -> Result<usize> {
        let count: i64 =
            self.read("counting items", |conn| conn.query_row("SELECT count(*) FROM items", [], |r| r.get(0)))?;
        Ok(count.max(0) as usize)
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// An item's small JPEG.
    pub fn thumbnail(&self, id: ItemId) -> Result<Option<Vec<u8>>> {
        self.read("reading a thumbnail", |conn| store::thumbnail(conn, id))
    }

    /// An item's vectors in a space, as they were given.
    pub fn embedding(&self, id: ItemId, space: &Space) -> Result<Option<Embedding>> {
        let kept = self.kept_space(space)?;
        let values = self.read("reading a vector", |conn| store::vector(conn, id, kept.row))?;
        Ok(values.map(|values| Embedding { dim: space.dim, values }))
    }

    // ---- derived -----------------------------------------------------------------------------

    /// Writes what is derived to disk, so that the next start is fast. Worth calling at the end of
    /// a long addition; nothing is lost if it is not.
    pub fn seal(&mut self) -> Result<()> {
        self.take_lock()?;
        for kept in self.kept()? {
            let index = self.ready(&kept.space)?;
            let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
            if !index.is_sealed() {
                self.seal_index(&mut index)?;
            }
        }
        Ok(())
    }

    /// Makes everything derived anew from the database.
    pub fn rebuild(&mut self) -> Result<()> {
        self.take_lock()?;
        for kept in self.kept()? {
            self.reload(&kept)?;
            if let Some(index) = held(&self.indexes).get(&kept.space.id()).cloned() {
                self.seal_index(&mut index.write().unwrap_or_else(PoisonError::into_inner))?;
            }
        }
        self.write_manifest()
    }

    /// The index of a space, up to date with the database.
    pub(crate) fn ready(&self, space: &Space) -> Result<Arc<RwLock<Index>>> {
        let kept = self.kept_space(space)?;
        let id = space.id();
        let mut indexes = held(&self.indexes);
        let found = indexes.get(&id).cloned();
        let index = match found {
            Some(index) => index,
            None => {
                let mut trouble = |why| {
                    self.note(format!(
                        "the vector file of [{space}] could not be used: {why}; made anew from the database"
                    ));
                };
                let index =
                    self.read("reading vectors", |conn| Index::load(conn, self.dir(), self.id, &kept, &mut trouble))?;
                let index = Arc::new(RwLock::new(index));
                indexes.insert(id, index.clone());
                index
            }
        };
        drop(indexes);
        let shared = index.read().unwrap_or_else(PoisonError::into_inner);
        let behind = self.read("reading vectors", |conn| shared.is_behind(conn))?;
        let wants_seal = shared.wants_seal() && self.dir.is_some();
        drop(shared);
        if behind || wants_seal {
            let mut own = index.write().unwrap_or_else(PoisonError::into_inner);
            if !self.read("reading vectors", |conn| own.catch_up(conn))? {
                drop(own);
                return self.reload(&kept);
            }
            self.try_seal(&mut own);
        }
        Ok(index)
    }

    /// Reads a space's vectors from the database alone, whatever was known of them before.
    pub(crate) fn reload(&self, kept: &Kept) -> Result<Arc<RwLock<Index>>> {
        let fresh = self.read("reading vectors", |conn| Index::load_without_segment(conn, kept))?;
        let index = Arc::new(RwLock::new(fresh));
        held(&self.indexes).insert(kept.space.id(), index.clone());
        Ok(index)
    }

    /// Seals if it is worth it and nobody else writes. That it fails is said, and costs only time.
    pub(crate) fn try_seal(&self, index: &mut Index) {
        if !index.wants_seal() {
            return;
        }
        let Some(dir) = &self.dir else { return };
        let brief = if held(&self.lock).is_some() { None } else { lock_file(dir).ok().flatten() };
        if brief.is_none() && held(&self.lock).is_none() {
            return;
        }
        if let Err(e) = self.seal_index(index) {
            index.put_off_seal();
            self.note(format!("the vector file of [{}] could not be written: {e}", index.space));
        }
    }

    fn seal_index(&self, index: &mut Index) -> Result<()> {
        use crate::index::SealError;
        use crate::segment::WriteError;
        let Some(dir) = &self.dir else { return Ok(()) };
        let doing = "writing a vector file";
        let write = |index: &mut Index| index.seal(&held(&self.conn), dir, self.id);
        let result = match write(index) {
            // The old file must not become the new one: the truth is elsewhere.
            Err(SealError::Write(WriteError::Corrupt)) => {
                self.note(format!("the vector file of [{}] was damaged; made anew from the database", index.space));
                let kept = self.kept_space(&index.space)?;
                *index = self.read("reading vectors", |conn| Index::load_without_segment(conn, &kept))?;
                write(index)
            }
            other => other,
        };
        result.map_err(|e| match e {
            SealError::Database(e) => Error::sqlite(doing, dir)(e),
            SealError::Write(WriteError::Io(e)) if e.kind() == std::io::ErrorKind::StorageFull => Error::Full { doing },
            SealError::Write(WriteError::Io(e)) => Error::io(&dir.join("segments"))(e),
            other => Error::Damaged(format!("while {doing}: {other}")),
        })
    }

    // ---- plumbing ----------------------------------------------------------------------------

    /// Refuses to let the database grow beyond this many bytes (rounded to its pages); `None`
    /// takes the limit away. What would not fit fails with [`Error::Full`], as on a full disk.
    pub fn limit_bytes(&mut self, bytes: Option<u64>) -> Result<()> {
        let wrap = self.wrap("setting a limit");
        let conn = held(&self.conn);
        let page: i64 = conn.query_row("PRAGMA page_size", [], |r| r.get(0)).map_err(&wrap)?;
        let pages = bytes.map_or(i64::from(u32::MAX) - 1, |b| (b / page.max(1) as u64).clamp(1, 1 << 31) as i64);
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).map_err(wrap)
    }

    fn wrap(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> Error {
        Error::sqlite(doing, self.dir.as_deref().unwrap_or(Path::new("memory")))
    }

    pub(crate) fn read<T>(&self, doing: &'static str, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        f(&held(&self.conn)).map_err(self.wrap(doing))
    }

    /// One durable transaction; an error takes all of it back.
    fn write<T>(&self, doing: &'static str, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let wrap = self.wrap(doing);
        let mut conn = held(&self.conn);
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&wrap)?;
        let out = f(&tx).map_err(&wrap)?;
        tx.commit().map_err(wrap)?;
        Ok(out)
    }

    /// From now on this value is the one that writes.
    fn take_lock(&self) -> Result<()> {
        let mut lock = held(&self.lock);
        if let (None, Some(dir)) = (&*lock, &self.dir) {
            *lock = Some(lock_soon(dir)?.ok_or_else(|| Error::Busy(dir.clone()))?);
        }
        Ok(())
    }

    fn write_manifest(&self) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let manifest =
            Manifest { format: "likebut library".into(), format_version: FORMAT_VERSION, spaces: self.spaces()? };
        let mut text = serde_json::to_string_pretty(&manifest)
            .map_err(|e| Error::io(&dir.join(MANIFEST))(std::io::Error::other(e)))?;
        text.push('\n');
        let (path, temporary) = (dir.join(MANIFEST), dir.join("MANIFEST.json.tmp"));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&temporary)?;
            std::io::Write::write_all(&mut file, text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            segment::sync_dir(dir)
        };
        write().map_err(Error::io(&path))
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("dir", &self.dir).finish_non_exhaustive()
    }
}

fn connect(dir: &Path, create: bool) -> Result<Connection> {
    use rusqlite::OpenFlags as F;
    let wrap = || Error::sqlite("opening the library", dir);
    let mut flags = F::SQLITE_OPEN_READ_WRITE | F::SQLITE_OPEN_NO_MUTEX;
    flags.set(F::SQLITE_OPEN_CREATE, create);
    let conn = Connection::open_with_flags(dir.join(DATABASE), flags).map_err(wrap())?;
    store::configure(&conn).map_err(wrap())?;
    // SQLite keeps version and owner in the file's header; both are read before any table is.
    let pragma = |name: &str| conn.query_row(&format!("PRAGMA {name}"), [], |r| r.get::<_, i64>(0)).map_err(wrap());
    let (owner, version) = (pragma("application_id")?, pragma("user_version")?);
    if owner == store::APPLICATION_ID && version != i64::from(FORMAT_VERSION) {
        return Err(Error::FormatVersion { found: version.clamp(0, u32::MAX.into()) as u32, expected: FORMAT_VERSION });
    }
    if owner != store::APPLICATION_ID && (owner != 0 || is_made(&conn).map_err(wrap())?) {
        return Err(Error::Damaged(format!("{} is another program's database", dir.join(DATABASE).display())));
    }
    Ok(conn)
}

/// Whether the tables are there; a making that was killed leaves an empty database.
fn is_made(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("SELECT count(*) > 0 FROM sqlite_schema", [], |r| r.get(0))
}

/// The lock, if nobody else holds it for longer than a moment. A process that we start ourselves (ffmpeg)
/// holds what we hold until it has become another program, also what we have let go of meanwhile.
fn lock_soon(dir: &Path) -> Result<Option<File>> {
    for _ in 0..20 {
        if let Some(lock) = lock_file(dir)? {
            return Ok(Some(lock));
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    lock_file(dir)
}

/// The lock, if nobody else holds it.
fn lock_file(dir: &Path) -> Result<Option<File>> {
    let path = dir.join(LOCK);
    let file = File::options().create(true).write(true).truncate(false).open(&path).map_err(Error::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(Error::io(&path)(e)),
    }
}

/// SQLite's integers end at 2⁶³.
fn storable(number: u64, whose: &dyn std::fmt::Display) -> Result<()> {
    if i64::try_from(number).is_ok() {
        return Ok(());
    }
    Err(Error::Range(format!("{whose}: {number} is larger than any file or clip can be")))
}
