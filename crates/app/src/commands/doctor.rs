//! `likebut doctor`: what this machine and this installation can do.

use library::Library;
use serde_json::json;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::machine;
use crate::paint::printable;
use crate::paths::shown;
use crate::progress::{bytes, thousands};
use crate::shelf::Shelf;

/// One thing that was looked at.
struct Finding {
    /// What it is.
    name: &'static str,
    /// Whether all is well with it.
    ok: bool,
    /// What was found.
    found: String,
    /// What that means, where it is not plain.
    meaning: Option<String>,
}

/// Looks at everything and says what was found; what is missing is no failure of the doctor.
pub fn run(typed: &cli::Doctor, context: &Context) -> Result<Exit, Failure> {
    let findings = [version(), processor(), memory(), ffmpeg(), model(context), models(), library(context)];
    if typed.json {
        let findings: Vec<_> = findings
            .iter()
            .map(|f| json!({"name": f.name, "ok": f.ok, "found": f.found, "meaning": f.meaning}))
            .collect();
        print_json(json!({ "findings": findings }))?;
        return Ok(Exit::Ok);
    }
    let mut out = String::new();
    for f in &findings {
        let mark = if f.ok { context.paint.good("✔") } else { context.paint.notice("!") };
        out.push_str(&format!("{mark} {:<10} {}\n", f.name, printable(&f.found)));
        if let Some(meaning) = &f.meaning {
            out.push_str(&format!("             {}\n", context.paint.dim(&printable(meaning))));
        }
    }
    print(out)?;
    Ok(Exit::Ok)
}

fn version() -> Finding {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    Finding {
        name: "likebut",
        ok: true,
        found: format!("{} · {os} {arch} · {build}", env!("CARGO_PKG_VERSION")),
        meaning: cfg!(debug_assertions).then(|| "a release build is several times faster".to_owned()),
    }
}

/// What was asked of the processor, whether that is granted, and what it has.
fn processor() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let name = "processor";
    let granted = machine::check_wish().and_then(|()| Ok(library::scan_path()?));
    match granted {
        Ok(scans) => Finding {
            name,
            ok: true,
            found: format!(
                "{cores} cores for us · scans with {scans} · multiplies with {}",
                nets::CpuPath::chosen().name()
            ),
            meaning: Some(match machine::wish() {
                Some(wish) => {
                    format!("LIKEBUT_CPU={wish} asked for that; this processor has {}", machine::instructions())
                }
                None => {
                    let best = format!("the best of what this processor has: {}", machine::instructions());
                    machine::passed_over().map_or(best.clone(), |why| format!("{best}; {why}"))
                }
            }),
        },
        Err(refused) => Finding {
            name,
            ok: false,
            found: format!("{cores} cores for us · {}", refused.what),
            meaning: Some(format!(
                "no command that scans or multiplies starts like this; {}",
                refused.hints.join("; ")
            )),
        },
    }
}

fn memory() -> Finding {
    match nets::room() {
        Some(nets::Room { total, free }) => {
            let ok = free >= 1 << 30;
            Finding {
                name: "memory",
                ok,
                found: format!("{} free of {}", bytes(free), bytes(total)),
                meaning: (!ok).then(|| "adding large files may not fit; --batch 4 --jobs 1 needs least".to_owned()),
            }
        }
        None => Finding { name: "memory", ok: true, found: "not known on this system".to_owned(), meaning: None },
    }
}

fn ffmpeg() -> Finding {
    match media::ffmpeg() {
        Some(path) => Finding { name: "ffmpeg", ok: true, found: shown(&path), meaning: None },
        None => Finding {
            name: "ffmpeg",
            ok: false,
            found: "not found".to_owned(),
            meaning: Some(
                "MP4 and MOV with H.264 need none; other clips (HEVC, VP9, AV1, MKV, WebM, AVI) are left out \
                 until an ffmpeg with its ffprobe is on the PATH"
                    .to_owned(),
            ),
        },
    }
}

/// The model is looked at, not loaded: that may take a minute and gigabytes.
fn model(context: &Context) -> Finding {
    let name = "model";
    let looked = nets::device(context.settings.device())
        .map_err(|e| Failure::new(Exit::Missing, e))
        .and_then(|_| Shelf::open().find(context.settings.model()))
        .and_then(|meant| crate::models::look(&meant));
    match looked {
        Ok(look) => {
            let needed = 4 * look.numbers;
            let small = nets::room().is_some_and(|room| needed > room.free);
            let drawn = || "on photographs and films its answers are poor; models for them: likebut model list";
            Finding {
                name,
                ok: !small,
                found: format!(
                    "{} · {} · {} numbers, {} in memory · {}",
                    look.name,
                    look.family,
                    thousands(look.numbers),
                    bytes(needed),
                    look.about
                ),
                meaning: match small {
                    true => Some("it is larger than the memory that is free; choose a smaller one".to_owned()),
                    false => look.drawn_only.then(|| drawn().to_owned()),
                },
            }
        }
        Err(failure) => Finding { name, ok: false, found: failure.what, meaning: failure.hints.into_iter().next() },
    }
}

fn models() -> Finding {
    let shelf = Shelf::open();
    let here = shelf.here();
    let offline = if shelf.hub.place.offline { "; HF_HUB_OFFLINE forbids bringing more" } else { "" };
    let names: Vec<&str> = here.iter().map(|m| m.name.as_str()).collect();
    Finding {
        name: "models",
        ok: true,
        found: match names.is_empty() {
            true => format!("none on this disk beside the one inside the program{offline}"),
            false => format!("{} on this disk: {}{offline}", names.len(), names.join(", ")),
        },
        meaning: names
            .is_empty()
            .then(|| "likebut model pull NAME brings one; likebut model list names them".to_owned()),
    }
}

fn library(context: &Context) -> Finding {
    let folder = context.settings.library();
    let name = "library";
    let looked = Library::open(&folder).and_then(|library| library.stats());
    match looked {
        Ok(stats) => Finding {
            name,
            ok: true,
            found: format!(
                "{} · {} items, {} left out",
                shown(&folder),
                thousands((stats.pictures + stats.clips) as u64),
                thousands(stats.failures as u64)
            ),
            meaning: None,
        },
        Err(library::Error::NotALibrary(_)) => Finding {
            name,
            ok: true,
            found: format!("none yet in {}", shown(&folder)),
            meaning: Some("likebut add FOLDER makes one".to_owned()),
        },
        Err(e) => Finding { name, ok: false, found: e.to_string(), meaning: None },
    }
}
