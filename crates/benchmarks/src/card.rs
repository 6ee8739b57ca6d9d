//! A result card: what was asked of whom by which rules, with digests of everything that a mark hangs on,
//! so that the result can be run again and every digest that differs can be named.

use std::collections::BTreeMap;
use std::path::Path;

use domain::Digest;

use crate::foreign::{from_json, read_text};
use crate::{Benchmark, Error, LeftOut, Protocol, Report, Result};

/// The version of the format that is written.
const VERSION: u32 = 1;
/// A larger card is not read.
const MAX_BYTES: u64 = 1 << 26;

/// A result, and how to get it again.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The format's version.
    pub card: u32,
    /// The program that made it, with its version.
    pub program: String,
    /// The machine, in a line; never compared.
    pub machine: String,
    /// What was asked for.
    pub ask: Ask,
    /// The model that answered; `None` where vectors came from elsewhere.
    pub model: Option<CardModel>,
    /// What came of it.
    pub exams: Vec<CardExam>,
}

/// What was asked for, as it was typed.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ask {
    /// A folder of our own format.
    pub set: Option<String>,
    /// Published sets.
    pub bench: Vec<String>,
    /// Where they lie.
    pub root: Option<String>,
    /// Somebody's own questions.
    pub mine: Option<String>,
    /// The rules' name, if one was given.
    pub protocol: Option<String>,
    /// The part, if one was given.
    pub split: Option<String>,
    /// The methods.
    pub methods: Vec<String>,
    /// Vectors of the gallery from elsewhere.
    pub embeddings: Option<String>,
    /// Vectors of the questions from elsewhere.
    pub queries: Option<String>,
    /// Whether those were scaled to length one.
    pub normalise: bool,
    /// Whether a set of which anything is missing was to be refused.
    pub strict: bool,
    /// Runs that were made elsewhere.
    pub run: Vec<String>,
    /// Judgements that it was marked against.
    pub qrels: Option<String>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardModel {
    /// Its name.
    pub name: String,
    /// Its weights.
    pub weights: Digest,
}

/// One exam's results.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardExam {
    /// Its name.
    pub exam: String,
    /// What was asked and what was right.
    pub asked: Digest,
    /// The rules.
    pub protocol: Protocol,
    /// The rules' digest.
    pub rules: Digest,
    /// The bytes of all media, or vectors, in the gallery's order; `None` where they were not looked at.
    pub media: Option<Digest>,
    /// What it had to do without.
    pub left_out: LeftOut,
    /// Each method's outcome.
    pub methods: BTreeMap<String, CardMarks>,
}

/// One method's outcome.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardMarks {
    /// Every question's ranks.
    pub ranks: Digest,
    /// The marks over all questions.
    pub marks: BTreeMap<String, f64>,
}

/// Something that is not as the card says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Differs {
    /// What.
    pub what: String,
    /// What the card says.
    pub card: String,
    /// What is now.
    pub now: String,
}

impl Card {
    /// A card without exams yet.
    pub fn new(program: String, machine: String, ask: Ask, model: Option<CardModel>) -> Self {
        Self { card: VERSION, program, machine, ask, model, exams: Vec::new() }
    }

    /// Adds an exam's reports.
    pub fn add(&mut self, exam: &Benchmark, media: Option<Digest>, reports: &[(String, Report)]) {
        let marks = |report: &Report| CardMarks {
            ranks: report.ranks_digest(),
            marks: report
                .protocol
                .marks()
                .into_iter()
                .filter_map(|m| Some((m.to_string(), report.all.get(m)?.value)))
                .chain(report.all.averages.iter().map(|(name, e)| (name.clone(), e.value)))
                .collect(),
        };
        self.exams.push(CardExam {
            exam: exam.name.clone(),
            asked: exam.digest(),
            protocol: exam.protocol.clone(),
            rules: exam.protocol.digest(),
            media,
            left_out: exam.left_out.clone(),
            methods: reports.iter().map(|(name, report)| (name.clone(), marks(report))).collect(),
        });
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a card holds only numbers, texts and text-keyed maps");
        format!("{text}\n")
    }

    /// Reads a card.
    ///
    /// # Errors
    ///
    /// What is not a card, with line and column; a card of another version; one that contradicts itself.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, MAX_BYTES)?;
        let fault = |fault: String| Error::Line { path: path.to_owned(), line: 1, fault };
        // The version first: what a later one holds, this one need not know.
        #[derive(serde::Deserialize)]
        struct Version {
            card: u32,
        }
        let Version { card } = from_json(path, &text)?;
        if card != VERSION {
            return Err(fault(format!("a card of version {card}; this program reads version {VERSION}")));
        }
        let this: Self = from_json(path, &text)?;
        for exam in &this.exams {
            if exam.protocol.digest() != exam.rules {
                let (says, is) = (exam.rules.short(), exam.protocol.digest().short());
                return Err(fault(format!("{}: its rules' digest is {is}, but the card says {says}", exam.exam)));
            }
        }
        Ok(this)
    }

    /// Everything in which a new card differs from this one; machine and program are no part of a result.
    pub fn differences(&self, now: &Card) -> Vec<Differs> {
        let mut out = Vec::new();
        let mut same = |what: &str, card: String, now: String| {
            if card != now {
                out.push(Differs { what: what.to_owned(), card, now });
            }
        };
        let none = || "none".to_owned();
        let model = |c: &Card, of: fn(&CardModel) -> String| c.model.as_ref().map_or_else(none, of);
        same("the model's name", model(self, |m| m.name.clone()), model(now, |m| m.name.clone()));
        same("the weights' digest", model(self, |m| m.weights.to_string()), model(now, |m| m.weights.to_string()));
        let names = |c: &Card| c.exams.iter().map(|e| e.exam.as_str()).collect::<Vec<_>>().join(", ");
        same("the exams", names(self), names(now));
        for was in &self.exams {
            let Some(is) = now.exams.iter().find(|e| e.exam == was.exam) else { continue };
            let mut same = |what: &str, a: String, b: String| same(&format!("{}: {what}", was.exam), a, b);
            same("the questions' digest", was.asked.to_string(), is.asked.to_string());
            same("the rules' digest", was.rules.to_string(), is.rules.to_string());
            let media = |e: &CardExam| e.media.map_or_else(none, |d| d.to_string());
            same("the media's digest", media(was), media(is));
            let left =
                |e: &CardExam| format!("{} items, {} questions", e.left_out.gallery.len(), e.left_out.queries.len());
            match was.left_out == is.left_out {
                true => {}
                false if left(was) == left(is) => same("what is left out", left(was), "as many others".to_owned()),
                false => same("what is left out", left(was), left(is)),
            }
            for (method, was) in &was.methods {
                let Some(is) = is.methods.get(method) else {
                    same(method, "marked".to_owned(), "not marked".to_owned());
                    continue;
                };
                same(&format!("{method}: the ranks' digest"), was.ranks.to_string(), is.ranks.to_string());
                for (mark, value) in &was.marks {
                    let now = is.marks.get(mark).map_or_else(none, f64::to_string);
                    same(&format!("{method}: {mark}"), value.to_string(), now);
                }
            }
        }
        out
    }
}

impl Report {
    /// A digest of every question's ranks: the same answers give the same digest on every machine.
    pub fn ranks_digest(&self) -> Digest {
        let mut text = String::from("ranks 1");
        for r in &self.ranks {
            text.push_str(&format!("\0{}\0{:?}\0{:?}", r.query, r.target_ranks, r.subset_rank));
        }
        Digest::of(text.as_bytes())
    }
}
