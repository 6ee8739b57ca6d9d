//! `likebut eval`: mark methods, or vectors that were made elsewhere, on sets of questions.

mod card;
mod regions;
mod report;
pub mod sets;
mod submit;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use benchmarks::sets::presence;
use benchmarks::{Benchmark, Protocol, Qrels, Report, Run};
use library::Library;
use methods::{METHODS, Model};
use search::{Engine, Vectors};
use serde_json::{Value, json};
use train::exam;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::interrupt;
use crate::models;
use crate::progress::Progress;

/// What imported vectors are called in tables.
const IMPORTED: &str = "imported";

pub use card::reproduce;

/// How deep runs for other tools go.
const RUN_DEPTH: usize = 1_000;

/// Asks everything of every method, exam by exam, and prints the marks.
pub fn run(typed: &cli::Eval, context: &Context) -> Result<Exit, Failure> {
    if let Some(file) = &typed.check_submission {
        let exams = if typed.bench.is_empty() { Vec::new() } else { sets::chosen(typed, true, context)? };
        return submit::check(file, exams.first(), typed.json);
    }
    typed.report.as_deref().map_or(Ok(()), report::check)?;
    let Some((exams, model)) = sit(typed, context)? else {
        context.say("stopped; nothing was marked");
        return Ok(Exit::Interrupted);
    };
    let manifest = model.as_deref().map(|m| &m.manifest);
    if let Some(file) = &typed.report {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let again = format!("likebut {}", args.join(" "));
        report::write(file, &exams, &typed.compare, manifest, &[again], context)?;
    }
    if let Some(file) = &typed.card {
        card::write(file, &card::of(typed, &exams, manifest), context)?;
    }
    for sat in &exams {
        if let Some(folder) = &typed.submit {
            sat.runs.iter().try_for_each(|run| submit::write(folder, &sat.exam, run, context))?;
        }
        if let Some(folder) = &typed.runs {
            submit::write_runs(folder, &sat.exam, &sat.runs, context)?;
        }
    }
    let comparisons = compared(&exams, &typed.compare)?;
    if typed.json {
        let mut value = in_json(&exams, model.as_deref());
        if !comparisons.is_empty() {
            value["comparisons"] = serde_json::to_value(&comparisons).unwrap_or_default();
        }
        print_json(value)?;
    } else {
        for (name, report) in exams.iter().flat_map(|sat| &sat.reports) {
            print(format!("{}\n{report}\n", context.paint.bold(name)))?;
        }
        for comparison in &comparisons {
            print(format!("{comparison}\n"))?;
        }
        print(means(&exams)?)?;
    }
    exams.iter().for_each(|sat| sets::say_bounds(&sat.exam, context));
    let left_out = |sat: &Sat| !sat.exam.left_out.gallery.is_empty() || !sat.exam.left_out.queries.is_empty();
    let whole = !exams.iter().any(left_out);
    Ok(if whole { Exit::Ok } else { Exit::Skipped })
}

/// An exam with what came of it.
pub struct Sat {
    /// The exam as it was sat, without what was left out.
    pub exam: Benchmark,
    /// Each method's marks; none where a server keeps the right answers.
    pub reports: Vec<(String, Report)>,
    /// Each method's first answers, where somebody wants them.
    pub runs: Vec<Run>,
    /// Files that were cut for the exam: reports show them and cards digest them, so they stay as
    /// long as it does.
    #[allow(dead_code, reason = "held, not read: the files leave with it")]
    pub crops: regions::Crops,
}

/// The exams that were sat, and the model that sat them, if it was one of ours.
type Marked = (Vec<Sat>, Option<Arc<Model>>);

/// Sits what was typed; `None` if it was stopped.
pub fn sit(typed: &cli::Eval, context: &Context) -> Result<Option<Marked>, Failure> {
    if !matches!(typed.compare.len(), 0 | 2) {
        return Err(Failure::usage("--compare takes two names, separated by a comma"));
    }
    if !typed.run.is_empty() {
        return by_runs(typed, context).map(Some);
    }
    let wanted = if typed.methods.is_empty() { &typed.compare } else { &typed.methods };
    let names: Vec<&str> = match wanted.is_empty() {
        true => METHODS.iter().map(|m| m.name).collect(),
        false => wanted.iter().map(String::as_str).collect(),
    };
    names.iter().try_for_each(|name| models::known(name).map(drop))?;
    if let Some(name) = typed.compare.iter().find(|c| !names.contains(&c.as_str())) {
        return Err(Failure::usage(format!("--compare names {name}, which is not among the methods")));
    }
    let handed_in = typed.submit.is_some() || typed.runs.is_some();
    let exams = sets::chosen(typed, handed_in, context)?;
    match &typed.embeddings {
        Some(gallery) => Imported::read(gallery, typed)?.marks(exams, typed.strict, context),
        None => by_methods(&names, exams, typed, context),
    }
}

/// How many answers of each question are kept for what was typed.
fn kept(typed: &cli::Eval) -> usize {
    let report = typed.report.as_ref().map_or(0, |_| report::SHOWN);
    let submit = typed.submit.as_ref().map_or(0, |_| submit::DEPTH);
    report.max(submit).max(typed.runs.as_ref().map_or(0, |_| RUN_DEPTH))
}

fn by_methods(
    names: &[&str],
    exams: Vec<Benchmark>,
    typed: &cli::Eval,
    context: &Context,
) -> Result<Option<Marked>, Failure> {
    let model = models::open(&context.settings)?;
    let mut marked = Vec::new();
    for mut exam in exams {
        sets::leave_out_missing(&mut exam, typed.strict, context)?;
        let crops = regions::cut(&mut exam, typed.cache.as_deref(), typed.strict, context)?;
        let library = match &typed.cache {
            Some(folder) => Library::open_or_create(folder.join(exam.name.replace('/', "-")))?,
            None => Library::in_memory()?,
        };
        let mut runs = Keep { depth: kept(typed), runs: Vec::new() };
        let Some((_, reports)) = marks(names, &model, library, &mut exam, typed.strict, &mut runs, context)? else {
            return Ok(None);
        };
        let reports = reports.into_iter().map(|(name, report)| (name.to_owned(), report)).collect();
        marked.push(Sat { exam, reports, runs: runs.runs, crops });
    }
    Ok(Some((marked, Some(model))))
}

/// Marks answers that were made elsewhere: TREC runs, or `{question: {item: score}}`.
fn by_runs(typed: &cli::Eval, context: &Context) -> Result<Marked, Failure> {
    let mut runs = typed.run.iter().map(|file| Ok(Run::read(file)?)).collect::<Result<Vec<_>, Failure>>()?;
    for i in 1..runs.len() {
        if runs[..i].iter().any(|r| r.name == runs[i].name) {
            runs[i].name = format!("{} ({})", runs[i].name, i + 1);
        }
    }
    let exams = match &typed.qrels {
        None => sets::chosen(typed, false, context)?,
        Some(file) => {
            let qrels = Qrels::read(file)?;
            let name = file.file_stem().map_or_else(Default::default, |s| s.to_string_lossy().into_owned());
            // Judgements know no references and no look-alikes, and their readers expect nDCG.
            let bare = Protocol { drop_reference: false, subset: false, ndcg_ks: vec![3, 10], ..Protocol::default() };
            let rules = typed.protocol.as_deref().map(sets::rules).transpose()?.unwrap_or(bare);
            let named = runs.iter().flat_map(|r| r.answers.iter()).cloned().collect();
            let mut exam = qrels.exam(&name, &Run { name: String::new(), answers: named }, rules)?;
            exam.protocol = exam.protocol.clone().within(exam.gallery.len());
            vec![exam]
        }
    };
    let [exam] = &exams[..] else {
        return Err(Failure::usage("a run answers one exam; name one with --bench SET:SPLIT, or give --qrels"));
    };
    let mark = |run: &Run| Ok((run.name.clone(), run.mark(exam)?));
    let reports = runs.iter().map(mark).collect::<Result<Vec<_>, Failure>>()?;
    Ok((vec![Sat { exam: exam.clone(), reports, runs, crops: Default::default() }], None))
}

/// What methods answered, as deep as somebody wants it.
pub struct Keep {
    /// Answers kept for each question; nothing is kept at 0.
    pub depth: usize,
    /// One per method.
    pub runs: Vec<Run>,
}

impl Keep {
    /// Keeps nothing.
    pub fn nothing() -> Self {
        Self { depth: 0, runs: Vec::new() }
    }
}

/// Takes each question's scores: marks them where the right answers are known, and keeps the first.
struct Taker<'e> {
    exam: &'e Benchmark,
    marker: Option<benchmarks::Marker<'e>>,
    run: Run,
    depth: usize,
}

impl<'e> Taker<'e> {
    fn new(exam: &'e Benchmark, name: &str, depth: usize) -> Result<Self, Failure> {
        let marker = if exam.hidden { None } else { Some(exam.marker()?) };
        Ok(Self { exam, marker, run: Run { name: name.to_owned(), ..Run::default() }, depth })
    }

    fn take(&mut self, q: &domain::Triplet, scores: &[f32]) -> Result<(), exam::ExamError> {
        if let Some(marker) = &mut self.marker {
            marker.add_scores(&q.id, scores)?;
        }
        if self.depth > 0 {
            self.run.keep_scores(self.exam, q, scores, self.depth)?;
        }
        Ok(())
    }

    fn done(self) -> Result<(Option<Report>, Run), Failure> {
        let report = self.marker.map(|m| m.finish(Default::default())).transpose()?;
        Ok((report, self.run))
    }
}

/// The two methods that were named, exam by exam.
fn compared(exams: &[Sat], names: &[String]) -> Result<Vec<benchmarks::Comparison>, Failure> {
    let [left, right] = names else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for sat in exams.iter().filter(|sat| !sat.reports.is_empty()) {
        let of = |name: &String| {
            let known = || sat.reports.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>().join(", ");
            let found = sat.reports.iter().find(|(n, _)| n == name).map(|(_, r)| r);
            found.ok_or_else(|| Failure::usage(format!("--compare names {name}; marked were {}", known())))
        };
        out.push(of(left)?.compare(of(right)?, (left, right))?);
    }
    Ok(out)
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
    keep: &mut Keep,
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
            let mut taker = Taker::new(benchmark, name, keep.depth)?;
            exam::ask(&engine, benchmark, references, &mut |q, scores| taker.take(q, scores), &mut tell)?;
            let (report, run) = taker.done()?;
            reports.extend(report.map(|report| (*name, report)));
            keep.runs.push(run);
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

    fn marks(&self, exams: Vec<Benchmark>, strict: bool, context: &Context) -> Result<Option<Marked>, Failure> {
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
            let mut taker = Taker::new(&exam, IMPORTED, kept(self.typed))?;
            let mut progress = Progress::new("asking", "questions", exam.queries.len() as u64, context.quiet);
            let mut tell = |done: usize, _: usize| progress.set(done as u64);
            let mut each = |q: &domain::Triplet, scores: &[f32]| taker.take(q, scores);
            exam::ask_imported(&library, &items, &exam, gallery, &self.questions, &mut each, &mut tell)?;
            drop(progress);
            if interrupt::requested() {
                return Ok(None);
            }
            let (report, run) = taker.done()?;
            let reports = report.map(|report| (IMPORTED.to_owned(), report)).into_iter().collect();
            marked.push(Sat { exam, reports, runs: vec![run], crops: Default::default() });
        }
        Ok(Some((marked, None)))
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
fn in_json(exams: &[Sat], model: Option<&Model>) -> Value {
    let reports = |reports: &[(String, Report)]| -> Value {
        let of = |(name, report): &(String, Report)| (name.clone(), serde_json::to_value(report).unwrap_or_default());
        Value::Object(reports.iter().map(of).collect())
    };
    let each: Vec<Value> = exams
        .iter()
        .map(|Sat { exam, reports: of, .. }| {
            let bounds: serde_json::Map<_, _> =
                of.iter().map(|(name, report)| (name.clone(), sets::bounds(exam, report))).collect();
            json!({"exam": exam.name, "left_out": exam.left_out, "bounds": bounds, "reports": reports(of)})
        })
        .collect();
    let mut out = json!({
        "model": model.map_or(IMPORTED, |m| m.manifest.name.as_str()),
        "weights": model.map(|m| m.manifest.weights),
        "exams": each,
    });
    if let [Sat { reports: of, .. }] = exams {
        out["reports"] = reports(of);
    }
    out
}

/// The mean of each mark over the parts of one set, as FashionIQ and GeneCIS are quoted.
fn means(exams: &[Sat]) -> Result<String, Failure> {
    let mut out = String::new();
    let Some(Sat { exam: first, reports, .. }) = exams.first() else { return Ok(out) };
    let set = |exam: &Benchmark| exam.name.split('/').next().unwrap_or_default().to_owned();
    if exams.len() < 2 || exams.iter().any(|sat| set(&sat.exam) != set(first)) {
        return Ok(out);
    }
    for (m, (name, _)) in reports.iter().enumerate() {
        let parts: Vec<Report> = exams.iter().filter_map(|sat| Some(sat.reports.get(m)?.1.clone())).collect();
        // Parts too small for a depth were marked without it, by rules of their own.
        let joint = match benchmarks::over_exams(&parts) {
            Ok(joint) => joint,
            Err(e) => {
                out.push_str(&format!("{name}: no mean over the parts of {}: {e}\n", set(first)));
                continue;
            }
        };
        let share = |j: &&benchmarks::Joint| j.mark != "mean rank";
        let cell = |j: &benchmarks::Joint| {
            let [v, l, h] = [j.mean.value, j.mean.low, j.mean.high].map(|x| 100.0 * x);
            format!("{} {v:.2} [{l:.1}, {h:.1}]", j.mark)
        };
        let cells: Vec<String> = joint.iter().filter(share).map(cell).collect();
        out.push_str(&format!("{name}: mean of {} parts of {}: {}\n", exams.len(), set(first), cells.join(" · ")));
    }
    Ok(out)
}
