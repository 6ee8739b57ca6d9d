//! Figures 7 and 8: questions that SIC decides, what was answered with and without it, and where the
//! prototypes looked.

use std::collections::HashMap;

use domain::{Change, MediaRef, Sampling};
use media::{Frame, Limits};
use methods::{Model, Seen, imagine};
use scenes::{Named, World};
use train::reproduce::{COMPARED, Runs};

use crate::exit::Failure;
use crate::heat;
use crate::page::Maps;

/// Cases that are shown.
const SHOWN: usize = 8;
/// Cases whose maps are shown.
const MAPPED: usize = 3;

/// A question that the full method answers and the one without prototypes does not.
pub struct Case {
    /// What is asked about.
    pub reference: Shown,
    /// The words.
    pub words: String,
    /// The right answer's name.
    pub target: String,
    /// Its rank without prototypes, the middle one over seeds.
    pub rank_without: usize,
    /// The full method's first answers.
    pub full: Vec<Shown>,
    /// Those of the method without prototypes.
    pub without: Vec<Shown>,
    /// What the full method imagined, of the first cases.
    pub maps: Option<Maps>,
}

/// A scene as the page shows it.
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Its middle, small.
    pub jpeg: Vec<u8>,
    /// Whether it is a right answer.
    pub is_right: bool,
}

/// Questions, implied ones where they are told apart, that the full method gets right with every seed and the one without
/// prototypes with none, the plainest first.
pub fn cases(runs: &Runs) -> Result<Vec<Case>, Failure> {
    let of = |name: &str, i: usize| -> Vec<usize> {
        runs.outcomes.iter().filter(|o| o.variant == name).map(|o| o.ranks[i]).collect()
    };
    let [with, less] = COMPARED;
    let told_apart = runs.questions.iter().any(|q| q.change.is_some());
    let asked = runs.questions.iter().enumerate().filter(|(_, q)| !told_apart || q.change == Some(Change::Implied));
    let mut chosen: Vec<(usize, usize)> = asked
        .filter_map(|(i, _)| {
            let (full, mut without) = (of(with, i), of(less, i));
            without.sort_unstable();
            let clear = !full.is_empty() && full.iter().all(|r| *r == 1) && without.first().is_some_and(|r| *r > 1);
            clear.then(|| (without[without.len() / 2], i))
        })
        .collect();
    chosen.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    chosen.truncate(SHOWN);
    if chosen.is_empty() {
        return Ok(Vec::new());
    }

    let drawn = World { train: runs.course.train, val: 0, test: runs.course.test, ..World::shipped() };
    let set = runs.files.is_empty().then(|| scenes::build(&drawn));
    let items = set.iter().flat_map(|s| &s.items);
    let named: HashMap<&str, &Named> = items.map(|i| (i.name.as_str(), i)).collect();
    let picture = |name: &str| match runs.files.get(name) {
        Some(file) => read(file),
        None => named.get(name).map(|item| draw(item)),
    };
    let seen = |model: &Model, name: &str| -> Option<Seen> {
        match runs.files.get(name) {
            Some(file) => search::see(&model.manifest, file, &Limits::default()).ok(),
            None => Some(train::see(&named.get(name)?.scene, &model.manifest.view, model.manifest.sampling)),
        }
    };
    let model = runs.full.as_ref().map(|folder| Model::open(folder, &nets::cpu())).transpose()?;
    let first = |name: &str, i: usize| -> &[usize] {
        let of = runs.outcomes.iter().find(|o| o.variant == name);
        of.and_then(|o| o.best.get(i)).map_or(&[], Vec::as_slice)
    };
    let mut out = Vec::new();
    for (n, (rank_without, i)) in chosen.into_iter().enumerate() {
        let q = &runs.questions[i];
        let shown = |name: &str| Shown {
            name: name.to_owned(),
            jpeg: picture(name).and_then(|f| media::jpeg_bytes(&f, 80).ok()).unwrap_or_default(),
            is_right: q.targets.iter().any(|t| t == name),
        };
        let answers = |variant: &str| first(variant, i).iter().map(|at| shown(&runs.gallery[*at])).collect();
        let mut maps = None;
        if let (Some(model), true) = (&model, n < MAPPED)
            && let Some(seen) = seen(model, &q.reference)
        {
            let made = imagine::explain(model, &seen, &q.text).map_err(search::SearchError::from)?;
            maps = Some(heat::maps(&made, &seen));
        }
        out.push(Case {
            reference: shown(&q.reference),
            words: q.text.clone(),
            target: q.targets.first().cloned().unwrap_or_default(),
            rank_without,
            full: answers(with),
            without: answers(less),
            maps,
        });
    }
    Ok(out)
}

/// A scene's middle, small.
fn draw(item: &Named) -> Frame {
    let middle = item.scene.frames() as f32 / item.scene.fps() / 2.0;
    scenes::draw(&item.scene, middle, 192, 144)
}

/// The same of a file; nothing where it cannot be read any more.
fn read(file: &MediaRef) -> Option<Frame> {
    let clip = media::open(&file.path, &Limits::default()).and_then(|m| m.sample(&Sampling::Middle, file.span)).ok()?;
    clip.frames.first().map(|f| media::thumb(f, 192))
}
