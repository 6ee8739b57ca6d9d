//! The first river: a file becomes frames, frames become features, features are kept.
//!
//! Reading, encoding and keeping go on side by side ([`Stages`]): what was read is gathered into
//! batches of so many frames, a batch is encoded together and kept in one durable transaction.
//! What cannot be read is kept too, as a failure with its reason, so that
//! *found = indexed + unchanged + failed* always holds.

use crate::stages::{Budget, MEMORY, Out, Share, Stages};
use crate::{Engine, SearchError};
use domain::{Digest, Embedding, Kind, MediaRef, Sampling};
use library::{Failure, Info, Library, NewItem};
use media::{Limits, Media};
use methods::{Method, MethodError, Seen};
use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// How files are taken in.
#[derive(Clone, Debug)]
pub struct Options {
    /// What one file may cost.
    pub limits: Limits,
    /// Frames (a picture is one) that are encoded together. A kill costs three times as many at most,
    /// and the files that are being read.
    pub batch: usize,
    /// Files that are read at one time.
    pub readers: usize,
    /// Bytes that files and their decoded frames may take in all while they are read; a file that needs more
    /// ([`Media::bytes`]) is read alone.
    pub memory: u64,
    /// Longer side of the thumbnails, pixels.
    pub thumbnail: u32,
    /// Try files again that failed before and have not changed. Those that a disk, the time, a limit or a missing
    /// ffmpeg failed are tried again anyway.
    pub retry: bool,
    /// Folders whose vanished files leave the library.
    pub roots: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            batch: 64,
            readers: rayon::current_num_threads(),
            memory: MEMORY,
            thumbnail: 256,
            retry: false,
            roots: Vec::new(),
        }
    }
}

/// What happens on the way.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// So many of so many files are dealt with.
    Progress {
        /// Dealt with.
        done: usize,
        /// Found.
        total: usize,
    },
    /// A file could not be taken in.
    Failed {
        /// Which.
        path: &'a Path,
        /// Why.
        reason: &'a str,
    },
}

/// What became of the files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Added {
    /// Files looked at.
    pub found: usize,
    /// New or changed, now kept.
    pub indexed: usize,
    /// Already kept, not touched.
    pub unchanged: usize,
    /// Known by their content, kept under their new path. Part of `indexed`.
    pub moved: usize,
    /// Gone from the roots, and so from the library.
    pub removed: usize,
    /// Could not be taken in; with reasons.
    pub failed: Vec<Failure>,
    /// Those of them whose item stays as it is, since nothing says that the file has changed. The library does
    /// not remember them as failures.
    pub stay: HashSet<PathBuf>,
    /// Whether someone asked to stop before all was done.
    pub stopped: bool,
    /// Why the vector files could not be written in the end. Nothing is lost by it, and the next start is slower.
    pub unsealed: Option<String>,
}

impl Added {
    /// Files dealt with.
    fn done(&self) -> usize {
        self.indexed + self.unchanged + self.failed.len()
    }
}

/// What became of a file that was read.
enum Fate {
    Keep(Box<Kept>),
    Failed(Failure),
    /// Someone asked to stop before it was read whole: nothing is known of it.
    Dropped,
}

struct Kept {
    item: NewItem,
    seen: Seen,
}

/// What is known of a file without reading it.
struct Stamp {
    size: u64,
    mtime_ns: i64,
}

/// Takes files in; those already kept and unchanged are not read.
///
/// Where `stop` says so, what was read and not yet encoded is dropped; what is being encoded is kept.
pub fn add(
    engine: &mut Engine,
    files: &[PathBuf],
    options: &Options,
    tell: &mut dyn FnMut(Event<'_>),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Added, SearchError> {
    let failed_before = engine.library.failures()?.into_iter().map(|f| (f.path.clone(), f)).collect();
    let added = Added { found: files.len(), ..Added::default() };
    let Engine { method, library } = engine;
    let method = method.as_ref();
    let mut intake = Intake { method, library, options, failed_before, added, failures: Vec::new(), tell };
    intake.flow(files, stop)?;
    let mut added = intake.added;
    added.stopped = added.done() < added.found;
    if !added.stopped {
        added.removed = forget_vanished(engine, files, &options.roots)?;
        // Everything is kept by now, and has to be accounted for.
        added.unsealed = engine.library.seal().err().map(|e| e.to_string());
    }
    Ok(added)
}

/// Where the caller's thread stands: it plans what is read, and keeps what was made.
struct Intake<'a> {
    method: &'a dyn Method,
    library: &'a mut Library,
    options: &'a Options,
    failed_before: HashMap<PathBuf, Failure>,
    added: Added,
    /// To be written with the next batch.
    failures: Vec<Failure>,
    tell: &'a mut dyn FnMut(Event<'_>),
}

/// What the encoder makes of a batch.
type Made = Result<(Vec<Kept>, Vec<Embedding>), MethodError>;

impl Intake<'_> {
    /// All files through all stages, or as many as until it is stopped.
    fn flow(&mut self, files: &[PathBuf], stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SearchError> {
        let (method, options) = (self.method, self.options);
        let budget = Budget::new(options.memory);
        let read = |(path, stamp): (&Path, Stamp)| read(path, &stamp, method, options, &budget, stop);
        let frames = |fate: &Fate| match fate {
            Fate::Keep(kept) => kept.seen.frames.len(),
            Fate::Failed(_) | Fate::Dropped => 0,
        };
        let encode = |batch: Vec<Kept>| -> Made {
            if stop() {
                return Ok((Vec::new(), Vec::new()));
            }
            let vectors = method.embed(&batch.iter().map(|k| &k.seen).collect::<Vec<_>>())?;
            Ok((batch, vectors))
        };
        let mut files = files.iter();
        let (mut pending, mut waiting) = (Vec::new(), 0);
        std::thread::scope(|scope| {
            let mut stages = Stages::start(scope, options.readers, options.batch, frames, read, encode)
                .map_err(SearchError::Threads)?;
            loop {
                let mut none_left = false;
                while !stop() && stages.room() && !none_left {
                    match files.next() {
                        Some(path) => {
                            if let Some(stamp) = self.plan(path)? {
                                stages.read((path, stamp));
                            }
                        }
                        None => none_left = true,
                    }
                }
                match stages.wait() {
                    Out::Read(fate) => {
                        if !stop()
                            && let Some(kept) = self.sift(fate)?
                        {
                            waiting += kept.seen.frames.len();
                            pending.push(kept);
                            if waiting >= options.batch {
                                stages.encode(std::mem::take(&mut pending));
                                waiting = 0;
                            }
                        }
                    }
                    Out::Made(made) => self.keep(made?)?,
                    Out::Waiting => (),
                    Out::Idle if stop() || pending.is_empty() => return self.remember_failures(),
                    Out::Idle => {
                        stages.encode(std::mem::take(&mut pending));
                        waiting = 0;
                    }
                }
            }
        })
    }

    /// Whether a file must be read, from what the library knows of it.
    fn plan(&mut self, path: &Path) -> Result<Option<Stamp>, SearchError> {
        let stamp = match stamp(path) {
            Ok(stamp) => stamp,
            Err(e) => {
                self.failed(failure(path, &Stamp { size: 0, mtime_ns: 0 }, "io", e.to_string()), None)?;
                return Ok(None);
            }
        };
        if let Some(known) = self.library.known(path)?
            && (known.size, known.mtime_ns) == (stamp.size, stamp.mtime_ns)
            && self.library.embedding(known.id, self.method.space())?.is_some()
        {
            self.added.unchanged += 1;
            self.progress();
            return Ok(None);
        }
        let before = self.failed_before.get(path).filter(|old| !self.options.retry && is_final(&old.code));
        if let Some(old) = before.filter(|old| (old.size, old.mtime_ns) == (stamp.size, stamp.mtime_ns)) {
            let old = old.clone();
            self.account(old);
            return Ok(None);
        }
        Ok(Some(stamp))
    }

    /// What of that which was read is to be encoded: not what failed, nor what was merely moved.
    fn sift(&mut self, fate: Fate) -> Result<Option<Kept>, SearchError> {
        let kept = match fate {
            Fate::Keep(kept) => *kept,
            Fate::Failed(failure) => {
                let stamp = Stamp { size: failure.size, mtime_ns: failure.mtime_ns };
                self.failed(failure, Some(&stamp))?;
                return Ok(None);
            }
            Fate::Dropped => return Ok(None),
        };
        // The same bytes under a path that is gone: the file was moved, nothing is encoded again.
        let path = &kept.item.media.path;
        let gone = self
            .library
            .by_digest(&kept.item.digest)?
            .into_iter()
            .find(|old| old.media.span.is_none() && old.media.path != *path && is_gone(&old.media.path));
        match gone {
            Some(old) if self.library.embedding(old.id, self.method.space())?.is_some() => {
                self.library.moved(old.id, path, kept.item.mtime_ns)?;
                (self.added.moved, self.added.indexed) = (self.added.moved + 1, self.added.indexed + 1);
                self.progress();
                Ok(None)
            }
            _ => Ok(Some(kept)),
        }
    }

    /// Keeps a batch in one transaction.
    fn keep(&mut self, (batch, vectors): (Vec<Kept>, Vec<Embedding>)) -> Result<(), SearchError> {
        let space = self.method.space().id();
        let with_vector = |(mut kept, vector): (Kept, Embedding)| {
            kept.item.vectors.push((space, vector));
            kept.item
        };
        let items: Vec<NewItem> = batch.into_iter().zip(vectors).map(with_vector).collect();
        self.added.indexed += self.library.put(&items)?.len();
        self.remember_failures()?;
        self.progress();
        Ok(())
    }

    /// Accounts for a file that could not be taken in; with its stamp, where that could be read.
    fn failed(&mut self, failure: Failure, stamp: Option<&Stamp>) -> Result<(), SearchError> {
        if self.holds(&failure.path, stamp)? {
            self.added.stay.insert(failure.path.clone());
        } else {
            self.failures.push(failure.clone());
        }
        self.account(failure);
        Ok(())
    }

    /// The same, of one that the library remembers already.
    fn account(&mut self, failure: Failure) {
        (self.tell)(Event::Failed { path: &failure.path, reason: &failure.reason });
        self.added.failed.push(failure);
        self.progress();
    }

    /// Whether something is kept of a file, and nothing says that it is no longer true: a missing ffmpeg, a
    /// lower limit or a disk that does not answer speak of the machine and the settings, not of the file, and
    /// what goes, goes for every model.
    fn holds(&self, path: &Path, stamp: Option<&Stamp>) -> Result<bool, SearchError> {
        let Some(known) = self.library.known(path)? else { return Ok(false) };
        let changed = stamp.is_some_and(|now| (known.size, known.mtime_ns) != (now.size, now.mtime_ns));
        Ok(!changed && !is_gone(path))
    }

    fn remember_failures(&mut self) -> Result<(), SearchError> {
        if !self.failures.is_empty() {
            self.library.fail(&std::mem::take(&mut self.failures))?;
        }
        Ok(())
    }

    fn progress(&mut self) {
        (self.tell)(Event::Progress { done: self.added.done(), total: self.added.found });
    }
}

/// Whether a failure of this kind comes again for as long as the file is the same. One that a disk, the time or a
/// program that is not installed is to blame for may be over by the next run, and limits are set anew by each.
fn is_final(code: &str) -> bool {
    !matches!(code, "io" | "timeout" | "too_large" | "needs_ffmpeg")
}

/// Whether there is no such file. A folder that may not be entered, or a disk that does not answer, does not say so.
fn is_gone(path: &Path) -> bool {
    match path.try_exists() {
        Ok(there) => !there,
        Err(e) => e.kind() == ErrorKind::NotADirectory,
    }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let meta = std::fs::metadata(path)?;
    let mtime = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Stamp { size: meta.len(), mtime_ns: mtime.as_nanos() as i64 })
}

fn failure(path: &Path, stamp: &Stamp, code: &str, reason: String) -> Failure {
    Failure { path: path.to_owned(), size: stamp.size, mtime_ns: stamp.mtime_ns, code: code.into(), reason, at_ms: 0 }
}

/// Reads one file: decoded, seen, with its digest and thumbnail; or why not.
fn read(
    path: &Path,
    stamp: &Stamp,
    method: &dyn Method,
    options: &Options,
    budget: &Budget,
    stop: &(dyn Fn() -> bool + Sync),
) -> Fate {
    // It was handed out before, perhaps, and has waited for a reader.
    if stop() {
        return Fate::Dropped;
    }
    let seen = || -> media::Result<_> {
        let (m, _share) = open(path, &options.limits, &method.model().manifest.sampling, budget)?;
        Ok((see(&m, method, options)?, m.info().clone()))
    };
    // The digest is made last, since what is too large or broken needs none; and when the frames have gone, as the
    // others may be waiting for their memory.
    match seen().and_then(|seen| Ok((seen, digest(path, &options.limits, stop)?))) {
        Ok((((seen, thumbnail), i), digest)) => {
            let clip = i.kind == Kind::Clip;
            let info = Info {
                width: i.width,
                height: i.height,
                duration_secs: i.duration_secs,
                frames: clip.then_some(i.frames as u64),
                fps: i.fps,
                codec: Some(i.codec),
            };
            let item = NewItem {
                size: stamp.size,
                mtime_ns: stamp.mtime_ns,
                info,
                thumbnail,
                ..NewItem::new(MediaRef::file(path), i.kind, digest)
            };
            Fate::Keep(Box::new(Kept { item, seen }))
        }
        Err(_) if stop() => Fate::Dropped,
        Err(e) => Fate::Failed(failure(path, stamp, e.code(), e.to_string())),
    }
}

/// A file whose bytes come more slowly than this is given up, in bytes a second: a hundredth of what a disk gives
/// to one reader, as there may be many.
const SLOWEST: f64 = 1e6;

/// The digest of a file's bytes.
fn digest(path: &Path, limits: &Limits, stop: &(dyn Fn() -> bool + Sync)) -> media::Result<Digest> {
    let io = |source| media::Error::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let secs = (limits.max_secs + size as f64 / SLOWEST).clamp(0.0, 1e6);
    let mut pieces = Pieces { file, left: limits.max_bytes, end: Instant::now() + Duration::from_secs_f64(secs), stop };
    Digest::of_reader(&mut pieces).map_err(|e| match e.kind() {
        ErrorKind::TimedOut => media::Error::Timeout(format!("not read within {secs:.0} seconds")),
        ErrorKind::FileTooLarge => media::Error::TooLarge("it grew beyond what is read while it was read".to_owned()),
        _ => io(e),
    })
}

/// Reads until there is too much of it, it takes too long, or someone asks to stop.
struct Pieces<'a, R> {
    file: R,
    left: u64,
    end: Instant,
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl<R: Read> Read for Pieces<'_, R> {
    fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        if (self.stop)() {
            return Err(std::io::Error::other("asked to stop"));
        }
        if Instant::now() >= self.end {
            return Err(ErrorKind::TimedOut.into());
        }
        let n = self.file.read(piece)?;
        self.left = self.left.checked_sub(n as u64).ok_or(ErrorKind::FileTooLarge)?;
        Ok(n)
    }
}

/// Opens a file within a budget: memory for what is read of it is found before it is read, and memory for its
/// frames before they are decoded. The share is to be kept as long as the frames are.
pub(crate) fn open<'b>(
    path: &Path,
    limits: &Limits,
    sampling: &Sampling,
    budget: &'b Budget,
) -> media::Result<(Media, Share<'b>)> {
    let mut wanted = media::bytes_to_open(path, limits)?;
    loop {
        let mut share = budget.take(wanted);
        let media = media::open(path, limits)?;
        let whole = media.bytes(sampling);
        if share.resize(whole) {
            return Ok((media, share));
        }
        // Nobody waits with something in hand. It is read again then, most likely out of the system's cache.
        wanted = wanted.max(whole);
    }
}

/// The frames as the model sees them, and a thumbnail.
fn see(m: &Media, method: &dyn Method, options: &Options) -> media::Result<(Seen, Option<Vec<u8>>)> {
    let manifest = &method.model().manifest;
    let clip = m.sample(&manifest.sampling, None)?;
    let thumb = clip
        .frames
        .get(clip.frames.len() / 2)
        .map(|f| media::jpeg_bytes(&media::thumb(f, options.thumbnail), 85))
        .transpose()?;
    let frames = clip.frames.iter().map(|f| manifest.view.look(f)).collect();
    Ok((Seen { frames }, thumb))
}

/// Items under the roots whose file is neither listed nor on the disk leave the library; failures of files that are
/// gone are forgotten. Returns how many items left.
fn forget_vanished(engine: &mut Engine, files: &[PathBuf], roots: &[PathBuf]) -> Result<usize, SearchError> {
    let listed: HashSet<&PathBuf> = files.iter().collect();
    let mut gone = Vec::new();
    for root in roots {
        for (id, path) in engine.library.under(root)? {
            if !listed.contains(&path) && is_gone(&path) {
                gone.push(id);
            }
        }
    }
    let under = |path: &Path| roots.iter().any(|root| path.starts_with(root));
    let failures = engine.library.failures()?.into_iter().map(|f| f.path);
    let forgiven: Vec<PathBuf> = failures.filter(|path| under(path) && is_gone(path)).collect();
    // Where there is nothing to do, nothing is written.
    if !forgiven.is_empty() {
        engine.library.forgive(&forgiven)?;
    }
    Ok(if gone.is_empty() { 0 } else { engine.library.remove(&gone)? })
}

/// Sets captions by path; paths that are not kept are passed over. Returns how many were set.
pub fn caption_all<'a>(
    engine: &mut Engine,
    captions: impl Iterator<Item = (&'a Path, &'a str)>,
) -> Result<usize, SearchError> {
    let mut set = 0;
    for (path, caption) in captions {
        if let Some(known) = engine.library.known(path)? {
            engine.library.set_caption(known.id, Some(caption))?;
            set += 1;
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::Frame;
    use methods::{METHODS, Model};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// A toy of this name over a library.
    fn engine(name: &str, library: Library) -> Engine {
        let vocab = nets::words::vocab_from_texts(["a picture"].into_iter(), 768);
        let model = Model::new(name, "", nets::blip2::Config::toy(), None, vocab, &nets::cpu()).unwrap();
        Engine::new((METHODS[0].make)(Arc::new(model)).unwrap(), library).unwrap()
    }

    /// Adds these files, with nobody to stop it.
    fn add_all(engine: &mut Engine, files: &[PathBuf], options: &Options) -> Added {
        let added = add(engine, files, options, &mut |_| (), &|| false).unwrap();
        assert_eq!(added.found, added.indexed + added.unchanged + added.failed.len());
        assert!(engine.library.verify(true).unwrap().is_ok(), "kept and failed at once");
        added
    }

    /// Pictures with these names, no two alike.
    fn pictures(dir: &Path, names: &[&str]) -> Vec<PathBuf> {
        std::fs::create_dir_all(dir).unwrap();
        let write = |(i, name): (usize, &&str)| {
            let path = dir.join(name);
            media::write_png(&path, &Frame::filled(40, 30, [i as u8 * 9, 80, 7])).unwrap();
            path
        };
        names.iter().enumerate().map(write).collect()
    }

    #[test]
    fn what_is_kept_stays_where_the_file_is_not_to_blame() {
        let dir = tempfile::tempdir().unwrap();
        let files = pictures(&dir.path().join("in"), &["a.png", "b.png", "c.png"]);
        let mut one = engine("one", Library::in_memory().unwrap());
        assert_eq!(add_all(&mut one, &files, &Options::default()).indexed, 3);
        let ids: Vec<_> = files.iter().map(|f| one.library.known(f).unwrap().unwrap().id).collect();
        one.library.set_caption(ids[0], Some("mine")).unwrap();
        let space = one.method.space().clone();

        // Another model, which looks at fewer pixels.
        let mut two = engine("two", one.library);
        let limits = Limits { max_pixels: 100, ..Limits::default() };
        let added = add_all(&mut two, &files, &Options { limits, ..Options::default() });
        assert_eq!((added.failed.len(), added.stay.len()), (3, 3));
        assert_eq!(two.library.failures().unwrap(), []);
        assert_eq!(two.library.item(ids[0]).unwrap().unwrap().caption.as_deref(), Some("mine"));
        assert!(ids.iter().all(|id| two.library.embedding(*id, &space).unwrap().is_some()));

        // A file that has changed, and one that is gone.
        std::fs::write(&files[0], "a text").unwrap();
        std::fs::remove_file(&files[1]).unwrap();
        let added = add_all(&mut two, &files, &Options::default());
        assert_eq!((added.failed.len(), added.stay.len(), added.indexed), (2, 0, 1));
        assert_eq!(two.library.len().unwrap(), 1);
        let failed: Vec<PathBuf> = two.library.failures().unwrap().into_iter().map(|f| f.path).collect();
        assert_eq!(failed, files[..2]);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_does_not_answer_says_nothing_of_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("in");
        let files = pictures(&folder, &["a.png"]);
        let mut engine = engine("one", Library::in_memory().unwrap());
        add_all(&mut engine, &files, &Options::default());
        // A link to itself: for whoever may read everything, too, the system cannot say what lies behind it.
        std::fs::rename(&folder, dir.path().join("away")).unwrap();
        std::os::unix::fs::symlink(&folder, &folder).unwrap();
        let added = add_all(&mut engine, &files, &Options::default());
        assert_eq!((added.failed.len(), added.stay.len()), (1, 1));
        // Nor has it vanished from a folder that was walked, nor been moved to where its bytes lie too.
        let roots = vec![dir.path().to_owned()];
        let copy = [dir.path().join("away/a.png")];
        let added = add_all(&mut engine, &copy, &Options { roots, ..Options::default() });
        assert_eq!((added.removed, added.moved, added.indexed), (0, 0, 1));
        assert!(engine.library.known(&files[0]).unwrap().is_some());
        // Now it has.
        std::fs::remove_file(&folder).unwrap();
        let roots = vec![dir.path().to_owned()];
        assert_eq!(add_all(&mut engine, &copy, &Options { roots, ..Options::default() }).removed, 1);
    }

    #[test]
    fn vector_files_that_cannot_be_written_cost_nothing_that_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let files = pictures(&dir.path().join("in"), &["a.png", "b.png"]);
        let library = dir.path().join("library");
        let mut engine = engine("one", Library::create(&library).unwrap());
        std::fs::remove_dir(library.join("segments")).unwrap();
        std::fs::write(library.join("segments"), "in the way").unwrap();
        let added = add(&mut engine, &files, &Options::default(), &mut |_| (), &|| false).unwrap();
        assert_eq!((added.indexed, added.unsealed.is_some()), (2, true), "{added:?}");
        std::fs::remove_file(library.join("segments")).unwrap();
        std::fs::create_dir(library.join("segments")).unwrap();
        let added = add(&mut engine, &files, &Options::default(), &mut |_| (), &|| false).unwrap();
        assert_eq!((added.unchanged, added.unsealed), (2, None));
    }

    #[test]
    fn a_failure_is_written_when_it_was_tried_and_forgotten_when_its_file_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let files = ["a.png", "b.png"].map(|name| dir.path().join(name));
        files.iter().for_each(|path| std::fs::write(path, "broken").unwrap());
        let options = Options { roots: vec![dir.path().to_owned()], ..Options::default() };
        let mut engine = engine("one", Library::in_memory().unwrap());
        add_all(&mut engine, &files, &options);
        let before = engine.library.failures().unwrap();
        std::thread::sleep(Duration::from_millis(5));
        let added = add_all(&mut engine, &files, &options);
        assert_eq!((added.failed, engine.library.failures().unwrap()), (before.clone(), before.clone()));
        let added = add_all(&mut engine, &files, &Options { retry: true, ..options.clone() });
        assert!(added.failed.len() == 2 && engine.library.failures().unwrap()[0].at_ms > before[0].at_ms);

        std::fs::remove_file(&files[0]).unwrap();
        add_all(&mut engine, &files[1..], &Options { roots: vec![dir.path().join("elsewhere")], ..Options::default() });
        assert_eq!(engine.library.failures().unwrap().len(), 2, "of this folder nothing was asked");
        add_all(&mut engine, &files[1..], &options);
        let left: Vec<PathBuf> = engine.library.failures().unwrap().into_iter().map(|f| f.path).collect();
        assert_eq!(left, files[1..]);
    }

    #[test]
    fn what_the_file_is_not_to_blame_for_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let files = pictures(dir.path(), &["a.png"]);
        let now = stamp(&files[0]).unwrap();
        for (code, again) in [("io", 1), ("timeout", 1), ("needs_ffmpeg", 1), ("too_large", 1), ("corrupt", 0)] {
            let mut engine = engine("one", Library::in_memory().unwrap());
            engine.library.fail(&[failure(&files[0], &now, code, "it was so".into())]).unwrap();
            let added = add_all(&mut engine, &files, &Options::default());
            assert_eq!((added.indexed, added.failed.len()), (again, 1 - again), "{code}");
            let retried = add_all(&mut engine, &files, &Options { retry: true, ..Options::default() });
            assert_eq!(retried.failed, [], "{code}");
        }
    }

    #[test]
    fn bytes_are_read_until_there_are_too_many_or_it_takes_too_long_or_someone_asks_to_stop() {
        let later = || Instant::now() + Duration::from_secs(60);
        // Never ends by itself.
        let read = |left: u64, end: Instant, stop: &(dyn Fn() -> bool + Sync)| {
            let mut pieces = Pieces { file: std::io::repeat(7), left, end, stop };
            Digest::of_reader(&mut pieces).unwrap_err().kind()
        };
        assert_eq!(read(1 << 20, later(), &|| false), ErrorKind::FileTooLarge);
        assert_eq!(read(u64::MAX, Instant::now() + Duration::from_millis(20), &|| false), ErrorKind::TimedOut);
        let asked = AtomicUsize::new(0);
        assert_eq!(read(u64::MAX, later(), &|| asked.fetch_add(1, SeqCst) > 9), ErrorKind::Other);
        let mut whole = Pieces { file: &b"a picture"[..], left: 9, end: later(), stop: &|| false };
        assert_eq!(Digest::of_reader(&mut whole).unwrap(), Digest::of(b"a picture"));
    }

    #[test]
    fn what_was_not_read_before_someone_asked_to_stop_has_not_failed() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = pictures(dir.path(), &["a.png", "b.png", "c.png", "d.png"]);
        files.extend((0..20).map(|i| dir.path().join(format!("{i}.jpg"))));
        files[4..].iter().for_each(|path| std::fs::write(path, "broken").unwrap());
        let mut engine = engine("one", Library::in_memory().unwrap());
        let stamp = stamp(&files[5]).unwrap();
        let (options, budget) = (Options { batch: 1, readers: 1, ..Options::default() }, Budget::new(MEMORY));
        let fate =
            |stop: &(dyn Fn() -> bool + Sync)| read(&files[5], &stamp, engine.method.as_ref(), &options, &budget, stop);
        assert!(matches!(fate(&|| false), Fate::Failed(_)) && matches!(fate(&|| true), Fate::Dropped));
        // As soon as the first is kept.
        let kept = AtomicUsize::new(0);
        let mut tell = |event: Event<'_>| {
            if let Event::Progress { done, .. } = event {
                kept.store(done, SeqCst);
            }
        };
        let added = add(&mut engine, &files, &options, &mut tell, &|| kept.load(SeqCst) > 0).unwrap();
        assert!(added.stopped && added.failed.is_empty() && added.indexed > 0, "{added:?}");
        assert_eq!((engine.library.failures().unwrap(), engine.library.len().unwrap()), (vec![], added.indexed));
    }

    #[test]
    fn memory_is_found_before_a_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        media::write_png(&path, &Frame::filled(40, 30, [9; 3])).unwrap();
        let limits = Limits::default();
        let budget = Budget::new(1 << 20);
        let size = |path: &Path| {
            let (media, share) = open(path, &limits, &Sampling::Middle, &budget).unwrap();
            // Twice the file, three bytes a pixel, and as many again beside them.
            let file = std::fs::metadata(path).unwrap().len();
            let pixels = u64::from(media.info().width * media.info().height);
            assert_eq!(share.bytes(), (2 * file + 6 * pixels).min(1 << 20));
            media.info().width
        };
        assert_eq!(size(&path), 40);
        let all = budget.take(u64::MAX);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| size(&path));
            std::thread::sleep(std::time::Duration::from_millis(100));
            // What it comes to hold is what lies there when there is room, so it has not read before.
            media::write_png(&path, &Frame::filled(50, 30, [9; 3])).unwrap();
            drop(all);
            assert_eq!(reader.join().unwrap(), 50);
        });
        // One that needs more than there is gets all of it.
        media::write_png(&path, &Frame::filled(900, 900, [9; 3])).unwrap();
        assert_eq!(size(&path), 900);
    }

    #[test]
    fn files_that_find_no_more_room_wait_with_empty_hands() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        // Noise, so that the file is as large as its pixels: 324 kB twice over, and as much for decoding.
        let rgb = (0..300 * 180 * 3u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        media::write_png(&path, &Frame { width: 300, height: 180, rgb }).unwrap();
        let (limits, budget) = (Limits::default(), Budget::new(700_000));
        let first = budget.take(60_000);
        std::thread::scope(|scope| {
            let reader = || open(&path, &limits, &Sampling::Middle, &budget).unwrap().1.bytes();
            let readers = [scope.spawn(reader), scope.spawn(reader)];
            std::thread::sleep(std::time::Duration::from_millis(50));
            // There was room for a file and not for its pixels; whoever kept the one would wait for ever for both.
            drop(first);
            for reader in readers {
                assert!((600_000..=700_000).contains(&reader.join().unwrap()));
            }
        });
    }
}
