//! The first river: a file becomes frames, frames become features, features are kept.
//!
//! Files go through in batches: all files of a batch are read and decoded side by side, encoded
//! together, and kept in one durable transaction.
//! What cannot be read is kept too, as a failure with its reason, so that
//! *found = indexed + unchanged + failed* always holds.

use crate::{Engine, SearchError};
use domain::{Digest, Kind, MediaRef};
use library::{Failure, Info, NewItem};
use media::Limits;
use methods::Seen;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// How files are taken in.
#[derive(Clone, Debug)]
pub struct Options {
    /// What one file may cost.
    pub limits: Limits,
    /// Files per batch, which is also what a kill can cost at most.
    pub batch: usize,
    /// Longer side of the thumbnails, pixels.
    pub thumbnail: u32,
    /// Try files again that failed before and have not changed.
    pub retry: bool,
    /// Folders whose vanished files leave the library.
    pub roots: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { limits: Limits::default(), batch: 64, thumbnail: 256, retry: false, roots: Vec::new() }
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
    /// Whether someone asked to stop before all was done.
    pub stopped: bool,
}

/// What is to be done with a file.
enum Fate {
    Keep(Box<Kept>),
    Unchanged,
    Failed(Failure),
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
pub fn add(
    engine: &mut Engine,
    files: &[PathBuf],
    options: &Options,
    tell: &mut dyn FnMut(Event<'_>),
    stop: &dyn Fn() -> bool,
) -> Result<Added, SearchError> {
    let mut added = Added { found: files.len(), ..Added::default() };
    let failed_before: HashMap<PathBuf, Failure> =
        engine.library.failures()?.into_iter().map(|f| (f.path.clone(), f)).collect();
    for chunk in files.chunks(options.batch.max(1)) {
        if stop() {
            added.stopped = true;
            break;
        }
        let plans =
            chunk.iter().map(|path| plan(engine, path, options, &failed_before)).collect::<Result<Vec<_>, _>>()?;
        let view = &engine.method.model().manifest.view;
        let sampling = engine.method.model().manifest.sampling;
        let fates: Vec<Fate> = chunk
            .par_iter()
            .zip(plans)
            .map(|(path, plan)| match plan {
                Plan::Done(fate) => fate,
                Plan::Read(stamp) => read(path, &stamp, options, |m| {
                    let clip = m.sample(&sampling, None)?;
                    let thumb = clip
                        .frames
                        .get(clip.frames.len() / 2)
                        .map(|f| media::jpeg_bytes(&media::thumb(f, options.thumbnail), 85));
                    let frames = clip.frames.iter().map(|f| view.look(f)).collect();
                    Ok((Seen { frames }, thumb.transpose()?))
                }),
            })
            .collect();
        keep(engine, chunk, fates, &mut added, tell)?;
        tell(Event::Progress { done: added.indexed + added.unchanged + added.failed.len(), total: files.len() });
    }
    if !added.stopped {
        added.removed = forget_vanished(engine, files, &options.roots)?;
        engine.library.seal()?;
    }
    Ok(added)
}

/// A reading plan, made from the database before the batch is decoded side by side.
enum Plan {
    Done(Fate),
    Read(Stamp),
}

fn plan(
    engine: &Engine,
    path: &Path,
    options: &Options,
    failed_before: &HashMap<PathBuf, Failure>,
) -> Result<Plan, SearchError> {
    let stamp = match stamp(path) {
        Ok(stamp) => stamp,
        Err(e) => {
            return Ok(Plan::Done(Fate::Failed(failure(path, &Stamp { size: 0, mtime_ns: 0 }, "io", e.to_string()))));
        }
    };
    if let Some(known) = engine.library.known(path)?
        && (known.size, known.mtime_ns) == (stamp.size, stamp.mtime_ns)
        && engine.library.embedding(known.id, engine.method.space())?.is_some()
    {
        return Ok(Plan::Done(Fate::Unchanged));
    }
    if let Some(old) = failed_before.get(path)
        && !options.retry
        && (old.size, old.mtime_ns) == (stamp.size, stamp.mtime_ns)
    {
        return Ok(Plan::Done(Fate::Failed(old.clone())));
    }
    Ok(Plan::Read(stamp))
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
    options: &Options,
    look: impl Fn(&media::Media) -> media::Result<(Seen, Option<Vec<u8>>)>,
) -> Fate {
    let digest = match std::fs::File::open(path).and_then(|mut f| Digest::of_reader(&mut f)) {
        Ok(digest) => digest,
        Err(e) => return Fate::Failed(failure(path, stamp, "io", e.to_string())),
    };
    let seen = media::open(path, &options.limits).and_then(|m| Ok((look(&m)?, m)));
    match seen {
        Ok(((seen, thumbnail), m)) => {
            let i = m.info();
            let clip = i.kind == Kind::Clip;
            let info = Info {
                width: i.width,
                height: i.height,
                duration_secs: i.duration_secs,
                frames: clip.then_some(i.frames as u64),
                fps: i.fps,
                codec: Some(i.codec.clone()),
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
        Err(e) => Fate::Failed(failure(path, stamp, e.code(), e.to_string())),
    }
}

/// Encodes what was read, looks for moved files, and keeps the batch in one transaction.
fn keep(
    engine: &mut Engine,
    paths: &[PathBuf],
    fates: Vec<Fate>,
    added: &mut Added,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<(), SearchError> {
    let space = engine.method.space().id();
    let mut fresh = Vec::new();
    let mut failures = Vec::new();
    for (path, fate) in paths.iter().zip(fates) {
        match fate {
            Fate::Unchanged => added.unchanged += 1,
            Fate::Failed(f) => {
                tell(Event::Failed { path, reason: &f.reason });
                failures.push(f);
            }
            Fate::Keep(kept) => {
                // The same bytes under a path that is gone: the file was moved, nothing is encoded again.
                let gone = engine
                    .library
                    .by_digest(&kept.item.digest)?
                    .into_iter()
                    .find(|old| old.media.span.is_none() && old.media.path != *path && !old.media.path.exists());
                match gone {
                    Some(old) if engine.library.embedding(old.id, engine.method.space())?.is_some() => {
                        engine.library.moved(old.id, path, kept.item.mtime_ns)?;
                        (added.moved, added.indexed) = (added.moved + 1, added.indexed + 1);
                    }
                    _ => fresh.push(*kept),
                }
            }
        }
    }
    let seen: Vec<&Seen> = fresh.iter().map(|k| &k.seen).collect();
    let vectors = engine.method.embed(&seen)?;
    let items: Vec<NewItem> = fresh
        .into_iter()
        .zip(vectors)
        .map(|(mut kept, vector)| {
            kept.item.vectors.push((space, vector));
            kept.item
        })
        .collect();
    added.indexed += engine.library.put(&items)?.len();
    engine.library.fail(&failures)?;
    added.failed.extend(failures);
    Ok(())
}

/// Items under the roots whose file is neither listed nor on the disk leave the library.
fn forget_vanished(engine: &mut Engine, files: &[PathBuf], roots: &[PathBuf]) -> Result<usize, SearchError> {
    let listed: HashSet<&PathBuf> = files.iter().collect();
    let mut gone = Vec::new();
    for root in roots {
        for (id, path) in engine.library.under(root)? {
            if !listed.contains(&path) && !path.exists() {
                gone.push(id);
            }
        }
    }
    Ok(engine.library.remove(&gone)?)
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
