//! `likebut demo`: the whole of likebut on a world of its own, for someone with nothing.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Instant;

use benchmarks::{Benchmark, Report};
use domain::{ItemId, MediaRef, Query, Split, Triplet};
use library::Library;
use media::Limits;
use scenes::World;
use search::Engine;
use serde_json::json;

use crate::answers;
use crate::cli;
use crate::commands::{eval, scenes as drawing};
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::hits::{self, Ranked};
use crate::models;
use crate::page::{Interval, MarksGroup, MarksTable, PageModel, Question, Step};
use crate::paths::{shown, text};
use crate::progress::{duration, thousands};
use crate::terminal;

/// The method that is shown; the others are what it is measured against.
const SHOWN: &str = "imagine";
/// What is marked: it and what it must beat. `likebut eval` marks every method.
const MARKED: [&str; 4] = ["imagine", "sum", "words", "picture"];
/// Questions of each kind that are asked before the reader's eyes.
const ASKED: usize = 4;
/// Answers shown to each.
const HITS: usize = 6;
/// The depths of recall that are printed.
const KS: [usize; 3] = [1, 5, 10];

/// Draws, indexes, marks, asks, writes the page, and says how to go on.
pub fn run(typed: &cli::Demo, context: &Context) -> Result<Exit, Failure> {
    let began = Instant::now();
    std::fs::create_dir_all(&typed.out)
        .map_err(|e| Failure::from(e).about(format!("cannot make the folder {}", typed.out.display())))?;
    let out = typed.out.canonicalize()?;
    let (world, folder) = (out.join("world"), out.join("library"));

    context.say(format!("drawing a world in {}", shown(&world)));
    let drawn = drawing::write(&World::shipped(), &world, &[Split::Test], context)?;
    let mut benchmark = eval::sets::drawn(&world, Split::Test, benchmarks::Protocol::default())?;

    context.say(format!("indexing {} pictures and {} clips", drawn.items - drawn.clips, drawn.clips));
    let model = models::open(&context.settings)?;
    let library = Library::open_or_create(&folder)?;
    let Some((library, reports)) =
        eval::marks(&MARKED, &model, library, &mut benchmark, true, &mut eval::Keep::nothing(), context)?
    else {
        context.say(format!("stopped; to go on: likebut demo --out {}", shown(&out)));
        return Ok(Exit::Interrupted);
    };
    let mut engine = Engine::new(models::method(SHOWN, &model)?, library)?;
    caption(&mut engine.library, &benchmark)?;

    let ranks = reports.iter().find(|(name, _)| *name == SHOWN).map(|(_, report)| ranks(report)).unwrap_or_default();
    let mut questions = Vec::new();
    for triplet in chosen(&benchmark.queries) {
        questions.push(ask(
            &engine,
            &benchmark,
            triplet,
            ranks.get(triplet.id.as_str()).copied(),
            typed.json,
            context,
        )?);
    }
    if !typed.json {
        print(table(&reports, context))?;
    }
    let page = out.join("demo.html");
    if !typed.no_page {
        let model = page_model(&engine, &benchmark, &reports, questions, &folder);
        std::fs::write(&page, model.render())
            .map_err(|e| Failure::from(e).about(format!("cannot write the page {}", page.display())))?;
    }
    if typed.json {
        print_json(json!({
            "world": text(&world), "library": text(&folder), "page": (!typed.no_page).then(|| text(&page)),
            "items": benchmark.gallery.len(), "questions": benchmark.queries.len(),
            "seconds": began.elapsed().as_secs_f64(), "marks": marks_json(&reports),
        }))?;
        return Ok(Exit::Ok);
    }
    let paint = &context.paint_err;
    context.say(format!("\nall this took {}\n", duration(began.elapsed())));
    if !typed.no_page {
        context.say(format!("{}  {}", paint.bold("look at the answers:"), shown(&page)));
    }
    for step in steps(&folder) {
        context.say(format!("{}  {}", paint.bold(&format!("{}:", step.what.to_lowercase())), step.command));
    }
    Ok(Exit::Ok)
}

/// The gallery's captions, for alternative texts.
fn caption(library: &mut Library, benchmark: &Benchmark) -> Result<(), Failure> {
    for entry in &benchmark.gallery {
        if let Some(known) = library.known(&benchmark.path_of(entry))?
            && library.item(known.id)?.is_some_and(|item| item.caption != entry.caption)
        {
            library.set_caption(known.id, entry.caption.as_deref())?;
        }
    }
    Ok(())
}

/// Some questions of each kind, each about something else, chosen by where they stand in the set
/// and not by how they went.
fn chosen(queries: &[Triplet]) -> Vec<&Triplet> {
    let mut out = Vec::new();
    for change in [domain::Change::Explicit, domain::Change::Implied] {
        let of_kind: Vec<&Triplet> = queries.iter().filter(|q| q.change == Some(change)).collect();
        let mut taken = HashSet::new();
        let start = of_kind.len() / 7;
        let spread = (0..of_kind.len()).map(|i| of_kind[(start + i * 37) % of_kind.len()]);
        out.extend(spread.filter(|q| taken.insert((q.slice.as_deref(), q.change))).take(ASKED));
        if taken.len() < ASKED {
            let more = of_kind.iter().step_by((of_kind.len() / ASKED).max(1)).copied();
            let missing = ASKED - taken.len().min(ASKED);
            let more: Vec<&Triplet> =
                more.filter(|q| !out.iter().any(|o: &&Triplet| o.id == q.id)).take(missing).collect();
            out.extend(more);
        }
    }
    out
}

/// Asks one question through the same door as `likebut find`, shows what came back with its marks.
fn ask(
    engine: &Engine,
    benchmark: &Benchmark,
    triplet: &Triplet,
    rank: Option<usize>,
    silent: bool,
    context: &Context,
) -> Result<Question, Failure> {
    let path_of = |name: &str| benchmark.gallery.iter().find(|g| g.name == name).map(|g| benchmark.path_of(g));
    let reference = path_of(&triplet.reference).unwrap_or_default();
    let mut right: HashSet<ItemId> = HashSet::new();
    for path in triplet.targets.iter().filter_map(|name| path_of(name)) {
        right.extend(engine.library.known(&path)?.map(|known| known.id));
    }
    let is_right = |id: ItemId| right.contains(&id);
    let query = Query::new(MediaRef::file(&reference), triplet.text.clone());
    // The right one is shown even where it stands further down: that is what was missed.
    let depth = HITS.max(rank.unwrap_or(0)).min(benchmark.gallery.len());
    let answer = search::find(engine, &query, depth, false, &Limits::default())?;
    let mut found = hits::ranked(&answer.hits);
    let late = found.split_off(HITS.min(found.len()));
    if !found.iter().any(|(_, f)| is_right(f.item.id)) {
        found.extend(late.into_iter().find(|(_, f)| is_right(f.item.id)));
    }
    if !silent {
        show(engine, &reference, triplet, &found, &is_right, rank, context)?;
    }
    let picture = match engine.library.known(&reference)? {
        Some(known) => engine.library.item(known.id)?.map(|item| answers::picture(&engine.library, &item)),
        None => None,
    };
    let picture = picture.unwrap_or_else(|| answers::outsider(&query.reference, &Limits::default()));
    let question = answers::question(&engine.library, picture, &triplet.text, None, &found, Some(&is_right));
    Ok(Question { kind: triplet.change.map(|c| c.to_string()), found_at: rank, ..question })
}

fn show(
    engine: &Engine,
    reference: &Path,
    triplet: &Triplet,
    found: &[Ranked],
    is_right: &dyn Fn(ItemId) -> bool,
    rank: Option<usize>,
    context: &Context,
) -> Result<(), Failure> {
    let paint = &context.paint;
    let kind = triplet.change.map(|c| c.to_string()).unwrap_or_default();
    let outcome = match rank {
        Some(rank) if rank <= HITS => paint.good(&format!("right one at {rank}")),
        Some(rank) => paint.bad(&format!("right one at {rank}")),
        None => String::new(),
    };
    print(format!(
        "\nlike {}, but {}   {}  {outcome}\n",
        shown(reference),
        paint.bold(&crate::paint::printable(hits::after_but(&triplet.text))),
        paint.dim(&kind)
    ))?;
    let env = |name: &str| std::env::var(name).ok();
    if let Some(protocol) = terminal::detect(context.settings.pictures(), std::io::stdout().is_terminal(), &env) {
        let columns = terminal_size::terminal_size().map_or(80, |(w, _)| usize::from(w.0));
        print(hits::row_of_pictures(&engine.library, found, protocol, columns))?;
    }
    print(hits::lines(found, paint, is_right))
}

/// At which rank the first right answer to each question stands.
fn ranks(report: &Report) -> HashMap<&str, usize> {
    report.ranks.iter().filter_map(|r| Some((r.query.as_str(), r.rank?))).collect()
}

/// Recall per kind of question, method and depth.
fn marks_json(reports: &[(&str, Report)]) -> serde_json::Value {
    let mut out = serde_json::Map::new();
    for (name, report) in reports {
        let kinds = report.by_change.iter().map(|(kind, marks)| {
            let recall: serde_json::Map<_, _> =
                marks.recall.iter().map(|r| (format!("R@{}", r.k), json!(r.mark))).collect();
            (kind.clone(), json!({"questions": marks.queries, "recall": recall}))
        });
        out.insert((*name).to_owned(), kinds.collect::<serde_json::Map<_, _>>().into());
    }
    out.into()
}

/// The marks for the terminal: a block per kind of question.
fn table(reports: &[(&str, Report)], context: &Context) -> String {
    let table = marks_table(reports);
    let mut out = format!("\n{}\n", context.paint.bold(&table.caption));
    for group in &table.groups {
        let columns: String = table.columns.iter().map(|c| format!("{c:<20}")).collect();
        out.push_str(&format!("\n{}\n", context.paint.dim(format!("{:<30}{columns}", group.name).trim_end())));
        for (method, cells) in &group.methods {
            let cells: String = cells
                .iter()
                .map(|c| {
                    let [value, low, high] = [c.value, c.low, c.high].map(|x| x * 100.0);
                    format!("{:<20}", format!("{value:5.1}  ({low:.1}–{high:.1})"))
                })
                .collect();
            let line = format!("{method:<30}{cells}");
            let line = line.trim_end();
            out.push_str(&if method == SHOWN { context.paint.bold(line) } else { line.to_owned() });
            out.push('\n');
        }
    }
    out
}

fn marks_table(reports: &[(&str, Report)]) -> MarksTable {
    let mut groups = Vec::new();
    let kinds =
        reports.first().map(|(_, r)| r.by_change.iter().map(|(k, m)| (k.clone(), m.queries)).collect::<Vec<_>>());
    for (kind, queries) in kinds.unwrap_or_default() {
        let methods = reports.iter().filter_map(|(name, report)| {
            let marks = report.by_change.get(&kind)?;
            let cells = KS.iter().filter_map(|k| marks.recall_at(*k));
            let cells = cells.map(|e| Interval { value: e.value, low: e.low, high: e.high }).collect();
            Some(((*name).to_owned(), cells))
        });
        groups.push(MarksGroup {
            name: format!("{kind}, {} questions", thousands(queries as u64)),
            methods: methods.collect(),
        });
    }
    let gallery = reports.first().map_or(0, |(_, r)| r.gallery) as u64;
    MarksTable {
        caption: format!(
            "How often (%) a right answer is among the first k of {} scenes, with 95 % intervals",
            thousands(gallery)
        ),
        columns: KS.iter().map(|k| format!("R@{k}")).collect(),
        groups,
    }
}

fn steps(library: &Path) -> Vec<Step> {
    let step = |what: &str, command: String| Step { what: what.to_owned(), command };
    vec![
        step("Ask this library", format!("likebut find '#1' \"in winter\" --library {}", shown(library))),
        step("Put your own files into another", "likebut add ~/Pictures ~/Movies".to_owned()),
        step("See what this machine can do", "likebut doctor".to_owned()),
    ]
}

fn page_model(
    engine: &Engine,
    benchmark: &Benchmark,
    reports: &[(&str, Report)],
    questions: Vec<Question>,
    library: &Path,
) -> PageModel {
    let manifest = &engine.method.model().manifest;
    let mut notes = vec![
        "Explicit questions name what is to be seen; implied ones name an idea that is never drawn as such, so that what \
         it looks like must have been learnt."
            .to_owned(),
        "The questions above were chosen by their place in the set, not by how they went.".to_owned(),
        format!("Model {} ({}): {}", manifest.name, manifest.weights.short(), manifest.about),
    ];
    if let Some((_, report)) = reports.first() {
        notes.push(format!(
            "Protocol {}, rules {}: the reference {} the ranking; questions {}, of which any right answer counts.",
            report.protocol.name,
            report.rules.short(),
            if report.protocol.drop_reference { "is left out of" } else { "stays in" },
            report.asked.short(),
        ));
    }
    if manifest.drawn_only {
        notes.push("This model has seen drawn scenes only. For photographs: `likebut model list`.".to_owned());
    }
    notes.push(format!("likebut {}", env!("CARGO_PKG_VERSION")));
    PageModel {
        title: "Like this, but …".to_owned(),
        lead: format!(
            "Each question is a picture or a clip and a few words: the answer is like the picture, except for what the \
             words change. These were asked of {} drawn scenes that the model had never seen.",
            thousands(benchmark.gallery.len() as u64)
        ),
        marks: Some(marks_table(reports)),
        questions,
        maps: None,
        next: steps(library),
        notes,
    }
}
