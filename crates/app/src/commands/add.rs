//! `likebut add`: put pictures and clips into the library.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use library::Library;
use media::{Container, Limits};
use search::{Added, Event, Options};
use serde_json::json;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::interrupt;
use crate::models;
use crate::paint::printable;
use crate::paths::{place, quoted, shown, text};
use crate::progress::{Progress, thousands};
use crate::walk::{Found, walk};

/// No more failures than this are listed one by one of those that the library remembers; `status` lists them all.
const LISTED: usize = 200;

/// What is to be looked at.
struct Meant {
    /// Files that are, or by their name claim to be, pictures or clips; and those that were named.
    files: Vec<PathBuf>,
    /// How many others lie beside them.
    others: usize,
    /// What could not be read, with reasons.
    failed: Vec<(PathBuf, String)>,
    /// Folders whose vanished files leave the library.
    roots: Vec<PathBuf>,
}

/// Walks, indexes, and accounts for every file that was found.
pub fn run(typed: &cli::Add, context: &Context) -> Result<Exit, Failure> {
    let meant = meant(&typed.paths);
    if meant.files.is_empty()
        && let Some((path, reason)) = meant.failed.first()
    {
        return Err(Failure::usage(format!("{}: {reason}", shown(path))));
    }
    if typed.dry_run {
        return list(&meant, typed.json, context);
    }
    let folder = context.settings.library();
    let mut engine = models::filling(&context.settings, Library::open_or_create(&folder)?)?;
    let options = Options {
        limits: Limits { max_pixels: context.settings.max_pixels(), ..Limits::default() },
        batch: context.settings.batch(),
        retry: typed.retry,
        roots: meant.roots.clone(),
        ..Options::default()
    };
    let mut progress = Progress::new("indexing", "files", meant.files.len() as u64, context.quiet);
    let mut tell = |event: Event<'_>| {
        if let Event::Progress { done, .. } = event {
            progress.set(done as u64);
        }
    };
    let mut added = search::add(&mut engine, &meant.files, &options, &mut tell, &interrupt::requested)?;
    progress.finish();
    let Failed { told, remembered } = failed(&meant, &mut added);
    let left_out = told.len() + remembered.len();
    let found = meant.files.len() + meant.failed.len();
    let drawn_only = engine.method.model().manifest.drawn_only;
    if typed.json {
        let failed: Vec<_> = told
            .iter()
            .chain(&remembered)
            .map(|(path, reason)| json!({"path": text(path), "reason": reason}))
            .collect();
        print_json(json!({
            "found": found,
            "indexed": added.indexed,
            "moved": added.moved,
            "unchanged": added.unchanged,
            "removed": added.removed,
            "failed": failed,
            "other_files": meant.others,
            "stopped": added.stopped,
            "library": text(&folder),
        }))?;
    } else {
        print(summary(&meant, &added, found, left_out, context))?;
    }
    tell_failures(&told, &remembered, context);
    if let Some(reason) = &added.unsealed {
        context.say(format!(
            "{} the vector file could not be written: {}; nothing is lost, and it is made again at the next start",
            context.paint_err.notice("warning:"),
            printable(reason)
        ));
    }
    if drawn_only && added.indexed > added.moved {
        context.say(context.paint_err.notice(
            "notice: the model inside this program has seen drawn scenes only: on photographs and films its answers are \
             poor. A model for photographs: likebut model list",
        ));
    }
    if added.stopped {
        let typed: Vec<String> = std::env::args_os().skip(1).map(|argument| quoted(&argument)).collect();
        context.say(format!("stopped; everything up to here is kept. To go on: likebut {}", typed.join(" ")));
        return Ok(Exit::Interrupted);
    }
    Ok(if left_out == 0 { Exit::Ok } else { Exit::Skipped })
}

/// What was left out, with reasons.
struct Failed {
    /// Said this once: what could not be walked, and what could not be read and stays as it was.
    told: Vec<(PathBuf, String)>,
    /// Remembered by the library.
    remembered: Vec<(PathBuf, String)>,
}

fn failed(meant: &Meant, added: &mut Added) -> Failed {
    let (stay, go): (Vec<_>, Vec<_>) =
        std::mem::take(&mut added.failed).into_iter().partition(|f| added.stay.contains(&f.path));
    let stay = stay.into_iter().map(|f| (f.path, format!("{}; what the library holds of it stays", f.reason)));
    let remembered = go.into_iter().map(|f| (f.path, f.reason)).collect();
    Failed { told: meant.failed.iter().cloned().chain(stay).collect(), remembered }
}

fn summary(meant: &Meant, added: &Added, found: usize, failed: usize, context: &Context) -> String {
    let n = |n: usize| thousands(n as u64);
    let paint = &context.paint;
    let mut out = format!(
        "found {} = {} indexed + {} unchanged + {} left out",
        n(found),
        paint.good(&n(added.indexed)),
        n(added.unchanged),
        if failed > 0 { paint.bad(&n(failed)) } else { n(failed) },
    );
    let waiting = found - added.indexed - added.unchanged - failed;
    if waiting > 0 {
        out.push_str(&format!(" + {} not yet looked at", n(waiting)));
    }
    let asides = [
        (added.moved, "of them known from another place"),
        (added.removed, "gone from disk and so from the library"),
        (meant.others, "other files beside them"),
    ];
    for (count, what) in asides.into_iter().filter(|(count, _)| *count > 0) {
        out.push_str(&paint.dim(&format!("  ({} {what})", n(count))));
    }
    out + "\n"
}

fn tell_failures(told: &[(PathBuf, String)], remembered: &[(PathBuf, String)], context: &Context) {
    let mut err = std::io::stderr().lock();
    for (path, reason) in told.iter().chain(remembered.iter().take(LISTED)) {
        // Nobody listening is no reason to stop.
        let _ = writeln!(err, "{} {}: {}", context.paint_err.notice("left out:"), shown(path), printable(reason));
    }
    if remembered.len() > LISTED {
        let _ = writeln!(err, "and {} more: likebut status --failed", thousands((remembered.len() - LISTED) as u64));
    }
}

fn list(meant: &Meant, json: bool, context: &Context) -> Result<Exit, Failure> {
    if json {
        let failed: Vec<_> =
            meant.failed.iter().map(|(path, reason)| json!({"path": text(path), "reason": reason})).collect();
        let files: Vec<_> = meant.files.iter().map(|path| text(path)).collect();
        print_json(json!({"dry_run": true, "files": files, "failed": failed, "other_files": meant.others}))?;
    } else {
        print(meant.files.iter().map(|p| shown(p) + "\n").collect::<String>())?;
        tell_failures(&meant.failed, &[], context);
        context.say(format!("{} files would be looked at", thousands(meant.files.len() as u64)));
    }
    Ok(if meant.failed.is_empty() { Exit::Ok } else { Exit::Skipped })
}

fn meant(paths: &[PathBuf]) -> Meant {
    let Found { files, failed, hidden } = walk(paths);
    let named: HashSet<PathBuf> = paths.iter().map(|p| place(p)).collect();
    let found = files.len();
    let files: Vec<PathBuf> = files.into_iter().filter(|f| named.contains(f) || is_candidate(f)).collect();
    // A folder that cannot be walked says nothing about what vanished from it.
    let walked = |root: &PathBuf| root.is_dir() && !hidden.iter().any(|path| path.starts_with(root));
    let roots = paths.iter().filter_map(|p| p.canonicalize().ok()).filter(walked).collect();
    Meant { others: found - files.len(), files, failed, roots }
}

/// Endings that claim a picture or a clip; where one is claimed, a file that is none is a failure
/// worth telling, not just another file.
const ENDINGS: &[&str] = &[
    "jpg", "jpeg", "jpe", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "heif", "mp4", "m4v", "mov",
    "3gp", "mkv", "webm", "avi", "ogv", "flv", "mpg", "mpeg", "vob", "m2ts", "mts", "wmv", "asf", "y4m", "h264",
];

fn is_candidate(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    if ending.is_some_and(|e| ENDINGS.contains(&e.as_str())) {
        return true;
    }
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|f| f.take(media::SNIFF_BYTES as u64).read_to_end(&mut head));
    // What cannot even be read might be anything: it is looked at, and fails with its reason.
    read.is_err() || !matches!(media::sniff(&head), Container::Text | Container::Unknown | Container::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_name_or_by_content_and_others_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let png = media::png_bytes(&media::Frame::filled(2, 2, [9; 3])).unwrap();
        for (name, bytes) in [("a.jpg", b"text".as_slice()), ("b", &png), ("readme.md", b"text"), ("c.rs", b"fn")] {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let names = |meant: &Meant| -> Vec<String> {
            meant.files.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        let all = meant(&[dir.path().to_owned()]);
        assert_eq!((names(&all), all.others, all.roots.len()), (vec!["a.jpg".into(), "b".into()], 2, 1));
        let named = meant(&[dir.path().join("readme.md")]);
        assert_eq!((names(&named), named.roots.len()), (vec!["readme.md".into()], 0));
    }
}
