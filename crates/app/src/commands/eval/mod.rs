//! `likebut eval`: mark methods, or vectors that were made elsewhere, on sets of questions.

mod regions;
mod report;
pub mod sets;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use benchmarks::sets::presence;
use benchmarks::{Benchmark, Report};
use library::Library;
use methods::{METHODS, Model};
use search::{Engine, Vectors};
use serde_json::{Value, json};
use train::exam;

use crate::cli;
use crate::commands::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::interrupt;
use crate::models;
use crate::paths::shown;
use crate::progress::Progress;

/// What imported vectors are called in tables.
const IMPORTED: &str = "imported";

/// Asks everything of every method, exam by exam, and prints the marks.
pub fn run(typed: &cli::Eval, context: &Context) -> Result<Exit, Failure> {
    let names: Vec<&str> = match typed.methods.is_empty() {
        true => METHODS.iter().map(|m| m.name).collect(),
        false => typed.methods.iter().map(String::as_str).collect(),
    };
    names.iter().try_for_each(|name| models::known(name).map(drop))?;
    let exams = sets::chosen(typed, context)?;
    let marked = match &typed.embeddings {
        Some(gallery) => Imported::read(gallery, typed)?.marks(exams, typed.strict, context)?,
        None => by_methods(&names, exams, typed, context)?,
    };
    let Some(Marked { exams, model }) = marked else {
        context.say("stopped; nothing was marked");
        return Ok(Exit::Interrupted);
    };
    if let (Some(file), Some(model)) = (&typed.report, &model) {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let again = format!("likebut {}", args.join(" "));
        let pages: Vec<String> =
            exams.iter().map(|(_, r)| report::markdown(r, &model.manifest, std::slice::from_ref(&again))).collect();
        std::fs::write(file, pages.join("\n"))
            .map_err(|e| Failure::from(e).about(format!("cannot write the report {}", shown(file))))?;
        context.say(format!("wrote {}", shown(file)));
    }
    let whole = exams.iter().all(|(e, _)| e.left_out.gallery.is_empty() && e.left_out.queries.is_empty());
    if typed.json {
        print_json(in_json(&exams, model.as_deref()))?;
    } else {
        for (_, reports) in &exams {
            for (name, report) in reports {
                print(format!("{}\n{report}\n", context.paint.bold(name)))?;
            }
        }
        print(means(&exams))?;
    }
    exams.iter().for_each(|(exam, _)| sets::say_bounds(exam, context));
    Ok(if whole { Exit::Ok } else { Exit::Skipped })
}

/// Every exam with its reports, and the model that sat it, if it was one of ours.
struct Marked<'n> {
    exams: Vec<(Benchmark, Vec<(&'n str, Report)>)>,
    model: Option<Arc<Model>>,
}

fn by_methods<'n>(
    names: &[&'n str],
    exams: Vec<Benchmark>,
    typed: &cli::Eval,
    context: &Context,
) -> Result<Option<Marked<'n>>, Failure> {
    let model = models::open(&context.settings)?;
    let mut marked = Vec::new();
    for mut exam in exams {
        sets::leave_out_missing(&mut exam, typed.strict, context)?;
        let _crops = regions::cut(&mut exam, typed.cache.as_deref(), typed.strict, context)?;
        let library = match &typed.cache {
            Some(folder) => Library::open_or_create(folder.join(exam.name.replace('/', "-")))?,
            None => Library::in_memory()?,
        };
        let Some((_, reports)) = marks(names, &model, library, &mut exam, typed.strict, context)? else {
            return Ok(None);
        };
        marked.push((exam, reports));
    }
    Ok(Some(Marked { exams: marked, model: Some(model) }))
}

/// Marks every method; the library comes back with the gallery in it. `None` if it was stopped.
///
/// What cannot be read is left out of the exam by name; `strict` refuses instead.
pub fn marks<'n>(
    names: &[&'n str],
    model: &Arc<Model>,
    mut library: Library,
    benchmark: &mut Benchmark,
    strict: bool,
    context: &Context,
) -> Result<Option<(Library, Vec<(&'n str, Report)>)>, Failure> {
    let mut reports = Vec::new();
    // What the model sees of a reference is the same for every method: it is read once.
    let mut references = None;
    for name in names {
        let mut engine = Engine::new(models::method(name, model)?, library)?;
        let mut progress = Progress::new("indexing", "files", benchmark.gallery.len() as u64, context.quiet);
        let mut tell = |done: usize, _: usize| progress.set(done as u64);
        let added = exam::gallery(&mut engine, benchmark, &mut tell, &interrupt::requested)?;
        drop(progress);
        if added.stopped {
            return Ok(None);
        }
        let unread = unread(&added.failed, benchmark);
        sets::leave_out(benchmark, &unread, strict, context)?;
        if references.is_none() {
            let (read, unread) = read(&engine, benchmark, context);
            sets::leave_out(benchmark, &unread, strict, context)?;
            references = Some(read);
        }
        let mut progress = Progress::new("asking", "questions", benchmark.queries.len() as u64, context.quiet);
        let mut tell = |done: usize, _: usize| progress.set(done as u64);
        if let Some(references) = &references {
            reports.push((*name, exam::sit(&engine, benchmark, references, &mut tell)?));
        }
        drop(progress);
        if interrupt::requested() {
            return Ok(None);
        }
        library = engine.library;
    }
    Ok(Some((library, reports)))
}

/// The items whose files could not be taken in, by name and reason.
fn unread(failed: &[library::Failure], benchmark: &Benchmark) -> Vec<(String, String)> {
    let reasons: HashMap<&Path, &str> = failed.iter().map(|f| (f.path.as_path(), f.reason.as_str())).collect();
    if reasons.is_empty() {
        return Vec::new();
    }
    let reason = |path: &Path| reasons.get(path).map(|r| (*r).to_owned());
    let of = |g: &domain::GalleryEntry| {
        let path = benchmark.path_of(g);
        let found = reason(&path).or_else(|| reason(&path.canonicalize().ok()?))?;
        Some((g.name.clone(), found))
    };
    benchmark.gallery.iter().filter_map(of).collect()
}

/// Reads every reference once, on all cores; those that cannot be read by name and reason.
fn read(engine: &Engine, benchmark: &Benchmark, context: &Context) -> (exam::References, Vec<(String, String)>) {
    let progress = Mutex::new(Progress::new("reading", "references", 0, context.quiet));
    let tell = |done: usize, total: usize| {
        // A poisoned bar is still a bar.
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.set_total(total as u64);
        progress.set(done as u64);
    };
    exam::references(engine, benchmark, &tell)
}

/// Vectors of gallery and questions that were made elsewhere.
struct Imported<'t> {
    typed: &'t cli::Eval,
    /// A file's, read once for all exams; a folder is read exam by exam.
    gallery: Option<Vectors>,
    questions: Vectors,
}

impl<'t> Imported<'t> {
    fn read(gallery: &Path, typed: &'t cli::Eval) -> Result<Self, Failure> {
        let scaled = |v: Vectors| if typed.normalise { v.normalised() } else { v };
        let questions = typed.queries.as_deref().unwrap_or(gallery);
        let questions = Vectors::read(questions).map(scaled)?;
        let gallery = match gallery.is_dir() {
            true => None,
            false => Some(Vectors::read(gallery).map(scaled)?),
        };
        Ok(Self { typed, gallery, questions })
    }

    fn marks(
        &self,
        exams: Vec<Benchmark>,
        strict: bool,
        context: &Context,
    ) -> Result<Option<Marked<'static>>, Failure> {
        let mut marked = Vec::new();
        for mut exam in exams {
            let of_folder;
            let gallery = match &self.gallery {
                Some(gallery) => gallery,
                None => {
                    let names: Vec<String> = exam.gallery.iter().map(|g| g.name.clone()).collect();
                    let folder = self.typed.embeddings.as_deref().unwrap_or(Path::new("."));
                    let read = Vectors::read_folder(folder, &names)?.0;
                    of_folder = if self.typed.normalise { read.normalised() } else { read };
                    &of_folder
                }
            };
            if gallery.dim != self.questions.dim {
                let (a, b) = (gallery.dim, self.questions.dim);
                return Err(Failure::usage(format!(
                    "the gallery's vectors are {a} long, the questions' {b}; both must come from one model"
                )));
            }
            self.without_vectors(&mut exam, gallery, strict, context)?;
            let mut library = Library::in_memory()?;
            let names: Vec<&str> = exam.gallery.iter().map(|g| g.name.as_str()).collect();
            let mut progress = Progress::new("keeping", "vectors", names.len() as u64, context.quiet);
            let items = gallery.keep(&mut library, &names, &mut |done, _| progress.set(done as u64))?;
            drop(progress);
            let mut marker = exam.marker()?;
            let mut progress = Progress::new("asking", "questions", exam.queries.len() as u64, context.quiet);
            let mut tell = |done: usize, _: usize| progress.set(done as u64);
            exam::ask_imported(
                &library,
                &items,
                &exam,
                gallery,
                &self.questions,
                &mut |q, scores| Ok(marker.add_scores(&q.id, scores)?),
                &mut tell,
            )?;
            drop(progress);
            if interrupt::requested() {
                return Ok(None);
            }
            let report = marker.finish(Default::default())?;
            marked.push((exam, vec![(IMPORTED, report)]));
        }
        Ok(Some(Marked { exams: marked, model: None }))
    }

    /// Items and questions without a vector are left out by name.
    fn without_vectors(
        &self,
        exam: &mut Benchmark,
        gallery: &Vectors,
        strict: bool,
        context: &Context,
    ) -> Result<(), Failure> {
        let (items, asked) = (gallery.by_name(), self.questions.by_name());
        // References need none: the question's own vector stands for reference and words.
        let lacking = exam.gallery.iter().filter(|g| !items.contains_key(g.name.as_str()));
        let lacking: Vec<_> = lacking.map(|g| (g.name.clone(), "no vector".to_owned())).collect();
        let unasked: Vec<String> =
            exam.queries.iter().filter(|q| !asked.contains_key(q.id.as_str())).map(|q| q.id.clone()).collect();
        if strict && !unasked.is_empty() {
            return Err(Failure::new(
                Exit::Missing,
                format!("{} of {} questions have no vector, first {}", unasked.len(), exam.queries.len(), unasked[0]),
            ));
        }
        exam.queries.retain(|q| asked.contains_key(q.id.as_str()));
        exam.left_out.queries.extend(unasked);
        if strict {
            sets::leave_out(exam, &lacking, strict, context)?;
        }
        presence::leave_out_of_gallery(exam, lacking.iter().map(|(name, _)| name.clone()).collect());
        sets::say_left_out(&lacking, exam, context);
        exam.check()?;
        Ok(())
    }
}

/// Every exam with its reports and bounds; the reports of a single exam also stand at the top.
fn in_json(exams: &[(Benchmark, Vec<(&str, Report)>)], model: Option<&Model>) -> Value {
    let reports = |reports: &[(&str, Report)]| -> Value {
        let of =
            |(name, report): &(&str, Report)| ((*name).to_owned(), serde_json::to_value(report).unwrap_or_default());
        Value::Object(reports.iter().map(of).collect())
    };
    let each: Vec<Value> = exams
        .iter()
        .map(|(exam, of)| {
            let bounds: serde_json::Map<_, _> =
                of.iter().map(|(name, report)| ((*name).to_owned(), sets::bounds(exam, report))).collect();
            json!({"exam": exam.name, "left_out": exam.left_out, "bounds": bounds, "reports": reports(of)})
        })
        .collect();
    let mut out = json!({
        "model": model.map_or(IMPORTED, |m| m.manifest.name.as_str()),
        "weights": model.map(|m| m.manifest.weights),
        "exams": each,
    });
    if let [(_, of)] = exams {
        out["reports"] = reports(of);
    }
    out
}

/// The mean of each recall over the parts of one set, as FashionIQ and GeneCIS are quoted.
fn means(exams: &[(Benchmark, Vec<(&str, Report)>)]) -> String {
    let mut out = String::new();
    let Some((first, reports)) = exams.first() else { return out };
    let set = |exam: &Benchmark| exam.name.split('/').next().unwrap_or_default().to_owned();
    if exams.len() < 2 || exams.iter().any(|(e, _)| set(e) != set(first)) {
        return out;
    }
    for (m, (name, report)) in reports.iter().enumerate() {
        let ks = report.all.recall.iter().map(|r| r.k);
        let cells: Vec<String> = ks
            .filter_map(|k| {
                let each: Option<Vec<f64>> =
                    exams.iter().map(|(_, r)| Some(r.get(m)?.1.all.recall_at(k)?.value)).collect();
                let each = each?;
                Some(format!("R@{k} {:.2}", 100.0 * each.iter().sum::<f64>() / each.len() as f64))
            })
            .collect();
        out.push_str(&format!("{name}: mean of {} parts of {}: {}\n", exams.len(), set(first), cells.join(" · ")));
    }
    out
}
