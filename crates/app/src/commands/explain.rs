//! `likebut explain`: what IMAGINE imagined for a question, and what that changed.

use std::path::Path;

use domain::{Embedding, MediaRef, Probe, Query};
use library::Library;
use media::Limits;
use methods::Seen;
use methods::imagine::{self, Explanation, Used};
use search::Found;
use serde_json::json;

use super::find::{item, meant, words};
use crate::answers;
use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::heat;
use crate::hits::{self, ranked};
use crate::models;
use crate::page::{PageModel, Step};
use crate::paths::{shown, text};

/// A question, what was imagined for it, and both rankings.
struct Explained {
    query: Query,
    seen: Seen,
    made: Explanation,
    with: Vec<Found>,
    without: Vec<Found>,
    of: usize,
}

/// Asks with and without imagery, and shows both and what stands between.
pub fn run(typed: &cli::Explain, context: &Context) -> Result<Exit, Failure> {
    let (id, outside) = meant(&typed.reference)?;
    let mut query = Query {
        reference: outside.unwrap_or_else(|| MediaRef::file("")),
        words: words(&typed.words)?,
        not: None,
        strength: None,
    };
    query.check().map_err(Failure::usage)?;
    let library = Library::open(context.settings.library())?;
    if let Some(id) = id {
        query.reference = item(&library, id)?.media;
    }
    let engine = models::asking_with("imagine", &context.settings, library)?;
    let limits = Limits { max_pixels: context.settings.max_pixels(), ..Limits::default() };
    let model = engine.method.model();
    let seen = search::see(&model.manifest, &query.reference, &limits)?;
    let made = imagine::explain(model, &seen, &query.words).map_err(search::SearchError::from)?;
    let near = |vector: &[f32]| {
        let probe = Probe::single("composed", engine.method.space().clone(), Embedding::single(vector.to_vec()));
        search::nearest(&engine, &[probe], &query.reference, context.settings.limit(), false)
    };
    let ((with, of), (without, _)) = (near(&made.with)?, near(&made.without)?);
    let e = Explained { query, seen, made, with, without, of };

    if let Some(file) = &typed.page {
        std::fs::write(file, page(&engine.library, &e, &limits).render())
            .map_err(|e| Failure::from(e).about(format!("cannot write the page {}", shown(file))))?;
        context.say(format!("wrote {}", shown(file)));
    }
    if let Some(folder) = &typed.png {
        let count = pictures(folder, &e)?;
        context.say(format!("wrote {count} pictures into {}", shown(folder)));
    }
    if typed.json {
        print_json(numbers(&e))?;
    } else {
        print(lines(&e, context))?;
    }
    Ok(Exit::Ok)
}

/// Of one library; the largest share first.
fn of(e: &Explanation, library: imagine::Library) -> Vec<&Used> {
    e.used.iter().filter(|u| u.library == library).collect()
}

fn numbers(e: &Explained) -> serde_json::Value {
    let hits =
        |found: &[Found]| -> Vec<_> { found.iter().enumerate().map(|(i, found)| hits::json(i + 1, found)).collect() };
    let used = |library| -> Vec<_> {
        let all = of(&e.made, library).into_iter();
        all.map(|u| json!({"prototype": u.index + 1, "weight": u.weight, "map": u.map})).collect()
    };
    let m = &e.made;
    json!({
        "query": {"reference": text(&e.query.reference.path), "span": e.query.reference.span, "words": e.query.words},
        "confidence": m.confidence, "scaled": m.scaled, "shifted": m.shifted, "cosine_without": m.kept,
        "shares": {"picture": m.shares[0], "words": m.shares[1]},
        "frames": m.frames, "patches_along_side": m.side,
        "prototypes": {"picture": used(imagine::Library::Pictures), "words": used(imagine::Library::Words)},
        "map_likeness": {
            "picture": heat::likeness(&of(m, imagine::Library::Pictures)),
            "words": heat::likeness(&of(m, imagine::Library::Words)),
        },
        "of": e.of,
        "with": hits(&e.with),
        "without": hits(&e.without),
    })
}

fn lines(e: &Explained, context: &Context) -> String {
    let paint = &context.paint;
    let mut out = String::new();
    for (name, value) in heat::facts(&e.made) {
        out.push_str(&format!("{name}: {value}\n"));
    }
    for library in [imagine::Library::Pictures, imagine::Library::Words] {
        let of = of(&e.made, library);
        let each: Vec<String> = of.iter().map(|u| format!("{} {:.0} %", u.index + 1, 100.0 * u.weight)).collect();
        let what = if library == imagine::Library::Pictures { "picture" } else { "words" };
        if !each.is_empty() {
            out.push_str(&format!("{what} prototypes taken: {}\n", each.join(", ")));
        }
    }
    for (title, found) in [("with imagery", &e.with), ("without imagery", &e.without)] {
        out.push_str(&format!("\n{}\n", paint.bold(title)));
        out.push_str(&hits::lines(&ranked(found), paint, &|_| false));
    }
    out
}

/// Frames and maps as PNG; how many were written.
fn pictures(folder: &Path, e: &Explained) -> Result<usize, Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|e| Failure::from(e).about(format!("cannot make the folder {}", shown(folder))))?;
    let frames = ("frames.png".to_owned(), heat::row(&e.seen.frames));
    let maps = heat::rows(&e.made).into_iter().map(|r| {
        let name = r.name.replace(" prototypes ", "-").replace(" prototype ", "-");
        (format!("{name}.png"), heat::map(e.made.side, &e.seen, &r.map))
    });
    let mut count = 0;
    for (name, frame) in std::iter::once(frames).chain(maps) {
        let path = folder.join(name);
        media::write_png(&path, &frame).map_err(|e| Failure::new(Exit::Failed, format!("{}: {e}", shown(&path))))?;
        count += 1;
    }
    Ok(count)
}

fn page(library: &Library, e: &Explained, limits: &Limits) -> PageModel {
    let question = |found: &[Found], kind: &str| {
        let reference = answers::outsider(&e.query.reference, limits);
        let mut q = answers::question(library, reference, &e.query.words, None, &ranked(found), None);
        q.kind = Some(kind.to_owned());
        q
    };
    let again = "likebut explain … --png FOLDER --json".to_owned();
    PageModel {
        title: "What was imagined".to_owned(),
        lead: format!(
            "The same question of {} items, with imagery and with the concrete feature alone, and what stands between the two.",
            e.of
        ),
        marks: None,
        questions: vec![question(&e.with, "with imagery"), question(&e.without, "without imagery")],
        maps: Some(heat::maps(&e.made, &e.seen)),
        next: vec![
            Step { what: "The numbers and the pictures".to_owned(), command: again },
            Step { what: "Every ablation of the paper".to_owned(), command: "likebut reproduce imagine --quick".to_owned() },
        ],
        notes: vec![
            "Without imagery means this model at confidence zero; the paper's baseline without SIC is a model of its own, which \
             likebut reproduce imagine trains."
                .to_owned(),
            format!("likebut {}", env!("CARGO_PKG_VERSION")),
        ],
    }
}
