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

/// Cases of each kind that are shown.
const SHOWN: usize = 4;
/// Cases whose maps are shown; where fewer are decided, others take their place.
const MAPPED: usize = 3;

/// What SIC decides, question by question.
#[derive(Default)]
pub struct Cases {
    /// Questions that were looked at: implied ones, where they are told apart.
    pub of: usize,
    /// Of those, what the full method answers with every seed and the one without prototypes with none.
    pub won: usize,
    /// And the other way round.
    pub lost: usize,
    /// Some of each.
    pub shown: Vec<Case>,
}

/// Which of the two answers a question.
#[derive(Clone, Copy)]
pub enum Decided {
    /// The full method alone.
    Won,
    /// The method without prototypes alone.
    Lost,
    /// Both; shown for what was imagined.
    Alike,
}

impl Decided {
    /// In a few words.
    pub fn told(self) -> &'static str {
        match self {
            Decided::Won => "with SIC alone",
            Decided::Lost => "without SIC alone",
            Decided::Alike => "both",
        }
    }
}

/// One question, and what the two answered.
pub struct Case {
    /// Who answers it.
    pub decided: Decided,
    /// What is asked about.
    pub reference: Shown,
    /// The words.
    pub words: String,
    /// The right answer's name.
    pub target: String,
    /// Its rank with and without prototypes, the middle one over seeds.
    pub ranks: [usize; 2],
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

/// Counts the questions that one of the two gets right with every seed and the other with none, and shows the plainest.
pub fn cases(runs: &Runs) -> Result<Cases, Failure> {
    let of = |name: &str, i: usize| -> Vec<usize> {
        runs.outcomes.iter().filter(|o| o.variant == name).map(|o| o.ranks[i]).collect()
    };
    let [with, less] = COMPARED;
    let told_apart = runs.questions.iter().any(|q| q.change.is_some());
    let asked = runs.questions.iter().enumerate().filter(|(_, q)| !told_apart || q.change == Some(Change::Implied));
    let mut counted = Cases::default();
    let (mut won, mut lost, mut alike) = (Vec::new(), Vec::new(), Vec::new());
    for (i, _) in asked {
        let spread = |name: &str| {
            let mut ranks = of(name, i);
            ranks.sort_unstable();
            Some((*ranks.first()?, *ranks.get(ranks.len() / 2)?, *ranks.last()?))
        };
        let (Some(full), Some(bare)) = (spread(with), spread(less)) else { continue };
        counted.of += 1;
        let ranks = [full.1, bare.1];
        match (full, bare) {
            ((_, _, 1), (2.., _, _)) => won.push((ranks, i)),
            ((2.., _, _), (_, _, 1)) => lost.push((ranks, i)),
            ((_, _, 1), (_, _, 1)) => alike.push((ranks, i)),
            _ => {}
        }
    }
    (counted.won, counted.lost) = (won.len(), lost.len());
    let mut chosen = Vec::new();
    for (decided, mut cases) in [(Decided::Won, won), (Decided::Lost, lost)] {
        // The plainest first.
        cases.sort_by_key(|(ranks, i)| (std::cmp::Reverse(ranks[0].max(ranks[1])), *i));
        chosen.extend(cases.into_iter().take(SHOWN).map(|case| (decided, case)));
    }
    let more = MAPPED.saturating_sub(chosen.len());
    chosen.extend(alike.into_iter().take(more).map(|case| (Decided::Alike, case)));
    if chosen.is_empty() {
        return Ok(counted);
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
    for (n, (decided, (ranks, i))) in chosen.into_iter().enumerate() {
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
        counted.shown.push(Case {
            decided,
            reference: shown(&q.reference),
            words: q.text.clone(),
            target: q.targets.first().cloned().unwrap_or_default(),
            ranks,
            full: answers(with),
            without: answers(less),
            maps,
        });
    }
    Ok(counted)
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
