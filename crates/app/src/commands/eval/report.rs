//! Marks as a document: what made them, and pictures of what two methods answered differently.

use std::path::{Path, PathBuf};

use benchmarks::{Benchmark, Case, Paper, Picture, Report, Run, Side};
use domain::{MediaRef, Sampling};
use media::Limits;
use methods::Manifest;
use rayon::prelude::*;

use super::Sat;
use crate::context::Context;
use crate::exit::Failure;
use crate::paths::shown;
use crate::terminal::base64;

/// Answers that are shown per method.
pub const SHOWN: usize = 5;
/// Questions that are shown of either kind: won and lost.
const CASES: usize = 6;
/// The longer side of a picture, in pixels.
const PICTURE: u32 = 240;
/// The method that others are compared with, unless others are named.
const FIRST: &str = "imagine";

/// The forms that a report has, by the file's ending.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Html,
    Markdown,
    Csv,
    Json,
    Latex,
}

/// Refuses a file whose ending says no form, and makes its folder, before anything is computed.
pub fn check(file: &Path) -> Result<(), Failure> {
    form(file)?;
    let Some(folder) = file.parent() else { return Ok(()) };
    let about = |e| Failure::from(e).about(format!("cannot make the folder {}", shown(folder)));
    std::fs::create_dir_all(folder).map_err(about)
}

fn form(file: &Path) -> Result<Form, Failure> {
    match file.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "html" | "htm" => Ok(Form::Html),
        "md" => Ok(Form::Markdown),
        "csv" => Ok(Form::Csv),
        "json" => Ok(Form::Json),
        "tex" => Ok(Form::Latex),
        other => Err(Failure::usage(format!(
            "a report cannot be written as {other:?}; name the file .html, .md, .csv, .json or .tex"
        ))),
    }
}

/// Writes one file per exam; with several exams each file's name says which it is.
pub fn write(
    file: &Path,
    exams: &[Sat],
    compare: &[String],
    manifest: Option<&Manifest>,
    commands: &[String],
    context: &Context,
) -> Result<(), Failure> {
    let form = form(file)?;
    for sat in exams.iter().filter(|sat| !sat.reports.is_empty()) {
        let mut paper = paper(sat, compare, manifest, commands)?;
        if matches!(form, Form::Html | Form::Markdown) {
            paper.cases = cases(&sat.exam, &paper, &sat.runs, form == Form::Html);
        }
        let text = match form {
            Form::Html => paper.to_html(include_str!("../../page/tokens.css")),
            Form::Markdown => paper.to_markdown(),
            Form::Csv => paper.to_csv(),
            Form::Json => paper.to_json(),
            Form::Latex => paper.to_latex(),
        };
        let file = if exams.len() > 1 { of_exam(file, &sat.exam) } else { file.to_owned() };
        std::fs::write(&file, text)
            .map_err(|e| Failure::from(e).about(format!("cannot write the report {}", shown(&file))))?;
        context.say(format!("wrote {}", shown(&file)));
    }
    Ok(())
}

/// `marks.html` → `marks-fashioniq-dress-val.html`.
fn of_exam(file: &Path, exam: &Benchmark) -> PathBuf {
    let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let ending = file.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
    file.with_file_name(format!("{stem}-{}.{ending}", exam.name.replace(['/', '\\'], "-")))
}

fn paper(sat: &Sat, compare: &[String], manifest: Option<&Manifest>, commands: &[String]) -> Result<Paper, Failure> {
    // What is compared comes first.
    let place = |name: &str| match compare.iter().position(|c| c == name) {
        Some(at) => at,
        None if compare.is_empty() && name == FIRST => 0,
        None => compare.len() + 1,
    };
    let mut reports: Vec<(String, Report)> = sat.reports.clone();
    reports.sort_by_key(|(name, _)| place(name));
    let name = manifest.map_or("imported vectors", |m| m.name.as_str());
    let mut paper = Paper::new(format!("Marks of {name} on {}", sat.exam.name), reports)?;
    let mut fact = |name: &str, value: String| paper.facts.push((name.to_owned(), value));
    if let Some(m) = manifest {
        fact("Model", format!("{}, weights {}, {}", m.name, m.weights.short(), m.about));
        if let Some(recipe) = m.made["recipe_digest"].as_str() {
            let recipe: String = recipe.chars().take(12).collect();
            fact("Recipe", format!("{recipe}, seed {}", m.made["recipe"]["seed"]));
        }
        fact("View", m.view.to_string());
        fact("Sampling", m.sampling.to_string());
    }
    fact("Machine", crate::machine::machine());
    commands.iter().for_each(|c| fact("Command", c.clone()));
    Ok(paper)
}

/// The questions on which the first two methods differ most, some won and some lost by the first.
fn cases(exam: &Benchmark, paper: &Paper, runs: &[Run], with_pictures: bool) -> Vec<Case> {
    let [(left, l), (right, r), ..] = &paper.reports[..] else { return Vec::new() };
    let run = |name: &str| runs.iter().find(|run| run.name == name);
    let (Some(left_run), Some(right_run)) = (run(left), run(right)) else { return Vec::new() };
    // From rank 1 to 10 is as far as from 10 to 100.
    let depth = |rank: Option<usize>| (rank.unwrap_or(exam.gallery.len() + 1) as f64).ln();
    let mut order: Vec<(f64, usize)> =
        l.ranks.iter().zip(&r.ranks).enumerate().map(|(i, (l, r))| (depth(l.rank) - depth(r.rank), i)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let won = order.iter().filter(|(d, _)| *d < 0.0).take(CASES);
    let lost = order.iter().rev().filter(|(d, _)| *d > 0.0).take(CASES);
    let chosen: Vec<usize> = won.chain(lost).map(|(_, i)| *i).collect();

    let by_name: std::collections::HashMap<&str, &domain::GalleryEntry> =
        exam.gallery.iter().chain(&exam.references).map(|g| (g.name.as_str(), g)).collect();
    let picture = |name: &str| {
        let entry = by_name.get(name);
        let alt = entry.and_then(|g| g.caption.clone()).unwrap_or_else(|| name.to_owned());
        let src = entry.filter(|_| with_pictures).and_then(|g| picture(&exam.path_of(g))).unwrap_or_default();
        Picture { src, alt }
    };
    let case = |&i: &usize| {
        let q = &exam.queries[i];
        let side = |method: &str, run: &Run, report: &Report| {
            let answers = run.answers.iter().find(|a| a.query == q.id);
            let items = answers.iter().flat_map(|a| &a.items).take(SHOWN);
            let found = items.map(|(name, _)| (picture(name), q.targets.contains(name))).collect();
            Side { method: method.to_owned(), rank: report.ranks[i].rank, found }
        };
        let sides = vec![side(left, left_run, l), side(right, right_run, r)];
        Case { query: q.id.clone(), text: q.text.clone(), reference: picture(&q.reference), sides }
    };
    chosen.par_iter().map(case).collect()
}

/// The middle frame, small, as a `data:` address; `None` if it cannot be read.
fn picture(path: &Path) -> Option<String> {
    let media = MediaRef::parse(&path.to_string_lossy()).unwrap_or_else(|_| MediaRef::file(path));
    let media = if path.is_file() { MediaRef::file(path) } else { media };
    let file = media::open(&media.path, &Limits::default()).ok()?;
    let frame = file.sample(&Sampling::Middle, media.span).ok()?.frames.into_iter().next()?;
    let jpeg = media::jpeg_bytes(&media::thumb(&frame, PICTURE), 80).ok()?;
    Some(format!("data:image/jpeg;base64,{}", base64(&jpeg)))
}
