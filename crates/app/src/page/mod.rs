//! A page of answers in one file: everything inside it, nothing fetched, nothing sent.
//!
//! [`PageModel`] says what is to be shown; [`PageModel::render`] makes the HTML. Whatever comes
//! from outside (words, file names, captions) is escaped, and a content-security policy lets the
//! page run only its own script and style, by their digests, and load nothing but `data:` addresses.

mod html;
pub mod maps;

use benchmarks::escape;
pub use maps::{Maps, Used};

use crate::terminal::base64;

const INDEX: &str = include_str!("index.html");
const TOKENS: &str = include_str!("tokens.css");
const STYLE: &str = concat!(include_str!("page.css"), include_str!("maps.css"));
const SCRIPT: &str = include_str!("page.js");

/// What a page shows, from top to bottom.
#[derive(Clone, Debug, Default)]
pub struct PageModel {
    /// The heading.
    pub title: String,
    /// One or two sentences below it.
    pub lead: String,
    /// How good the methods are, where that is known.
    pub marks: Option<MarksTable>,
    /// What was asked and what came back.
    pub questions: Vec<Question>,
    /// What a method imagined, where that is shown.
    pub maps: Option<Maps>,
    /// How to go on.
    pub next: Vec<Step>,
    /// Protocol, model, machine: what the figures rest on.
    pub notes: Vec<String>,
}

/// Recalls with intervals, per method, in groups of questions.
#[derive(Clone, Debug)]
pub struct MarksTable {
    /// What is measured, on what.
    pub caption: String,
    /// The columns: `R@1`, `R@5`.
    pub columns: Vec<String>,
    /// Groups of questions, such as explicit and implied ones.
    pub groups: Vec<MarksGroup>,
}

/// The marks on one group of questions.
#[derive(Clone, Debug)]
pub struct MarksGroup {
    /// Its name, with how many questions it has.
    pub name: String,
    /// A row per method: its name and one interval per column.
    pub methods: Vec<(String, Vec<Interval>)>,
}

/// A share and the interval that it lies in, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The share that was measured.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// One question and its answers.
#[derive(Clone, Debug)]
pub struct Question {
    /// What the wanted one is like.
    pub reference: Picture,
    /// What should be different.
    pub words: String,
    /// What it should not show.
    pub not: Option<String>,
    /// What kind of question it is, to filter by: `explicit`, `implied`.
    pub kind: Option<String>,
    /// The answers, best first.
    pub hits: Vec<Answer>,
    /// At which rank the first right answer stands, where that is known.
    pub found_at: Option<usize>,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its place among all answers, from 1.
    pub rank: usize,
    /// What it looks like.
    pub picture: Picture,
    /// Its score; comparable within one question only.
    pub score: f32,
    /// Whether it is right, where that is known.
    pub right: Option<bool>,
}

/// Something to be looked at.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// Their type: `image/jpeg`, `video/mp4`.
    pub mime: &'static str,
    /// What it shows, for those who do not see it.
    pub alt: String,
    /// Its name, short.
    pub name: String,
    /// Where it lies.
    pub place: String,
}

/// Something that the reader can do next.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it does.
    pub what: String,
    /// The command.
    pub command: String,
}

impl PageModel {
    /// The page as HTML.
    pub fn render(&self) -> String {
        let hash = |text: &str| format!("'sha256-{}'", base64(&domain::Digest::of(text.as_bytes()).0));
        let mut nav = String::new();
        for (there, id, name) in [
            (self.marks.is_some(), "marks", "Marks"),
            (!self.questions.is_empty(), "questions", "Questions"),
            (self.maps.is_some(), "maps", "What was imagined"),
            (!self.next.is_empty(), "next", "How to go on"),
        ] {
            if there {
                nav.push_str(&format!("<a href=\"#{id}\">{name}</a>"));
            }
        }
        let notes: String = self.notes.iter().map(|note| format!("<li>{}</li>", escape(note))).collect();
        fill(&[
            ("style_hashes", &format!("{} {}", hash(TOKENS), hash(STYLE))),
            ("script_hash", &hash(SCRIPT)),
            ("tokens", TOKENS),
            ("style", STYLE),
            ("script", SCRIPT),
            ("title", &escape(&self.title)),
            ("lead", &escape(&self.lead)),
            ("nav", &nav),
            ("marks", &self.marks.as_ref().map(html::marks).unwrap_or_default()),
            ("questions", &html::questions(&self.questions)),
            ("maps", &self.maps.as_ref().map(maps::section).unwrap_or_default()),
            ("next", &html::next(&self.next)),
            ("notes", &format!("<ul>{notes}</ul>")),
        ])
    }
}

/// The template with its `{{holes}}` filled, in one pass: what is filled in is never read again,
/// so that words like `{{script}}` in a question stay words.
fn fill(values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = INDEX;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        out.push_str(values.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value));
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests;
