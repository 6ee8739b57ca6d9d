//! A set becomes files: clips, pictures, and the lists that say what they are.
//!
//! Under the root lie, for each split,
//! - `<split>/<name>.mp4|jpg|png`: the items; half of the stills are JPEG, half PNG;
//! - `gallery.<split>.jsonl`: a [`domain::GalleryEntry`] per item;
//! - `triplets.<split>.jsonl`: a [`domain::Triplet`] per question;
//! - `scenes.<split>.jsonl`: what was drawn, so that a second run knows which files are still right.
//!
//! Every file appears whole or not at all, the gallery and the triplets last: where they are, the set is complete.

use crate::draw::draw;
use crate::world::{Named, Set};
use domain::{GalleryEntry, Split};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Pixels across in written files.
pub const WIDTH: u32 = 320;
/// Pixels down in written files.
pub const HEIGHT: u32 = 240;

/// Counts up whenever the same scene is drawn differently: files of an older drawing are redrawn.
const DRAWING: u32 = 1;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Items of the splits asked for.
    pub items: usize,
    /// How many of them are clips.
    pub clips: usize,
    /// Files that were there already, and right.
    pub kept: usize,
    /// Bytes of all items.
    pub bytes: u64,
    /// Questions about them.
    pub triplets: usize,
}

/// A set that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file system said no.
    #[error("cannot write {path}: {source}; choose a folder that can be written and has room")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A picture or clip could not be made.
    #[error("cannot write {path}: {source}")]
    Media {
        /// The file.
        path: PathBuf,
        /// Why.
        source: media::Error,
    },
}

/// Where an item lies, relative to the root.
pub fn path_of(item: &Named) -> String {
    let end = match (item.scene.is_clip(), item.scene.seed % 2) {
        (true, _) => "mp4",
        (false, 0) => "jpg",
        (false, _) => "png",
    };
    format!("{}/{}.{end}", item.split, item.name)
}

/// Writes the items, galleries and triplets of these splits under a folder, on all cores.
///
/// `progress` is told how many items are done and how many there are; it is called from this thread.
/// May be killed and run again: complete files of the same scenes are kept, and files that an
/// earlier, other set left under this set's lists are removed.
pub fn write(
    set: &Set,
    root: &Path,
    splits: &[Split],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Report, WriteError> {
    let items: Vec<&Named> = set.items.iter().filter(|i| splits.contains(&i.split)).collect();
    for split in splits {
        prepare(set, root, *split)?;
    }
    let mut report = Report { items: items.len(), ..Report::default() };
    // In batches, because progress is told from one thread; large enough that cores rarely wait.
    let mut done = 0;
    for batch in items.chunks(16 * rayon::current_num_threads().max(1)) {
        let written: Vec<_> = batch.par_iter().map(|item| write_item(item, root)).collect::<Result<_, _>>()?;
        for (item, (kept, bytes)) in batch.iter().zip(written) {
            report.clips += usize::from(item.scene.is_clip());
            report.kept += usize::from(kept);
            report.bytes += bytes;
        }
        done += batch.len();
        progress(done, items.len());
    }
    for split in splits {
        let triplets: Vec<_> = set.triplets.iter().filter(|t| t.split == Some(*split)).collect();
        report.triplets += triplets.len();
        let gallery: Vec<_> = items
            .iter()
            .filter(|i| i.split == *split)
            .map(|i| GalleryEntry {
                name: i.name.clone(),
                path: path_of(i),
                caption: Some(i.caption.clone()),
                split: Some(i.split),
                region: None,
            })
            .collect();
        write_lines(&root.join(format!("triplets.{split}.jsonl")), &triplets)?;
        write_lines(&root.join(format!("gallery.{split}.jsonl")), &gallery)?;
    }
    Ok(report)
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Drawn {
    drawing: u32,
    #[serde(flatten)]
    item: Named,
}

/// Makes the folder, removes what is not of this set, and notes what will be drawn.
fn prepare(set: &Set, root: &Path, split: Split) -> Result<(), WriteError> {
    let folder = root.join(split.to_string());
    std::fs::create_dir_all(&folder).map_err(|source| WriteError::Io { path: folder.clone(), source })?;
    let record = root.join(format!("scenes.{split}.jsonl"));
    // A record that cannot be read vouches for nothing: then everything is drawn again.
    let before: HashMap<String, Drawn> = std::fs::read_to_string(&record)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| serde_json::from_str::<Drawn>(line).ok())
        .map(|drawn| (path_of(&drawn.item), drawn))
        .collect();
    let items: Vec<&Named> = set.items.iter().filter(|i| i.split == split).collect();
    let same = |item: &Named| {
        before.get(&path_of(item)).is_some_and(|old| old.drawing == DRAWING && old.item.scene == item.scene)
    };
    let paths: HashSet<String> = items.iter().map(|i| path_of(i)).collect();
    let stale = items.iter().filter(|i| !same(i)).map(|i| path_of(i));
    let gone =
        before.iter().filter(|(path, old)| !paths.contains(*path) && old.item.split == split && plain(&old.item.name));
    for path in stale.chain(gone.map(|(path, _)| path.clone())) {
        remove(&root.join(path))?;
    }
    for list in ["gallery", "triplets"] {
        remove(&root.join(format!("{list}.{split}.jsonl")))?;
    }
    let drawn: Vec<_> = items.iter().map(|item| Drawn { drawing: DRAWING, item: (*item).clone() }).collect();
    write_lines(&record, &drawn)
}

/// Whether a name from a record stays within its folder.
fn plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn remove(path: &Path) -> Result<(), WriteError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(WriteError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Whether the file was there already, and its size.
fn write_item(item: &Named, root: &Path) -> Result<(bool, u64), WriteError> {
    let path = root.join(path_of(item));
    if let Ok(found) = std::fs::metadata(&path)
        && found.len() > 0
    {
        return Ok((true, found.len()));
    }
    let failed = |source| WriteError::Media { path: path.clone(), source };
    let scene = &item.scene;
    if scene.is_clip() {
        let mut clip = media::Mp4Writer::create(&path, WIDTH, HEIGHT, f64::from(scene.fps())).map_err(failed)?;
        for i in 0..scene.frames() {
            clip.push(&draw(scene, i as f32 / scene.fps(), WIDTH, HEIGHT)).map_err(failed)?;
        }
        clip.finish().map_err(failed)?;
    } else {
        let frame = draw(scene, 0.0, WIDTH, HEIGHT);
        match path.extension().and_then(|e| e.to_str()) {
            Some("jpg") => media::write_jpeg(&path, &frame, 90).map_err(failed)?,
            _ => media::write_png(&path, &frame).map_err(failed)?,
        }
    }
    let size = std::fs::metadata(&path).map_err(|source| WriteError::Io { path: path.clone(), source })?.len();
    Ok((false, size))
}

/// One JSON object a line; under a temporary name first.
fn write_lines<T: serde::Serialize>(path: &Path, rows: &[T]) -> Result<(), WriteError> {
    let partial = path.with_extension("jsonl.part");
    let whole = || -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(std::fs::File::create(&partial)?);
        for row in rows {
            serde_json::to_writer(&mut out, row)?;
            out.write_all(b"\n")?;
        }
        out.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        std::fs::rename(&partial, path)
    };
    whole().map_err(|source| WriteError::Io { path: path.to_owned(), source })
}
