//! Answer sheets for the servers that keep their right answers, and their rules, held before anything
//! is sent: a server that refuses a file often counts the attempt.
//!
//! | server | file | keys | each answer |
//! |---|---|---|---|
//! | CIRR | `cirr_recall.json` | `version`, `metric`, all 4,148 pair ids | 50 names |
//! | CIRR | `cirr_recall_subset.json` | the same | 3 names of the five look-alikes |
//! | CIRCO | `circo_test.json` | `0` to `799` | 50 picture numbers |

mod circo;
mod cirr;

use std::path::Path;

use serde_json::Value;

use crate::foreign::{Object, from_json, read_text};
use crate::{Benchmark, Error, Result, Run};

/// A larger file is not read: the largest that any of the servers takes is far smaller.
const MAX_BYTES: u64 = 1 << 26;
/// Faults after so many are counted, not listed.
const MAX_FAULTS: usize = 100;

/// Who marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// CIRR's test part: cirr.cecs.anu.edu.au.
    Cirr,
    /// CIRCO's test part: circo.micc.unifi.it.
    Circo,
}

/// One file to be handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// What to call it.
    pub name: &'static str,
    /// What is in it.
    pub text: String,
}

/// A file that keeps the rules, in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Which file of which server it is.
    pub kind: &'static str,
    /// How many questions it answers.
    pub queries: usize,
    /// What could not be looked at, because the set's own files were not given.
    pub unchecked: Vec<&'static str>,
}

impl Server {
    /// The server that marks this exam, known by the first word of its name; `None` if there is none.
    pub fn of(exam: &Benchmark) -> Option<Self> {
        match exam.name.split(['/', ':', '-', ' ']).next() {
            Some("cirr") => Some(Server::Cirr),
            Some("circo") => Some(Server::Circo),
            _ => None,
        }
    }

    /// Writes a run as the server wants it, and checks it as [`check`] would.
    ///
    /// # Errors
    ///
    /// Answers that are missing or too few, and everything that the server's rules forbid.
    pub fn files(self, exam: &Benchmark, run: &Run) -> Result<Vec<Submission>> {
        let files = match self {
            Server::Cirr => cirr::write(exam, run)?,
            Server::Circo => circo::write(exam, run)?,
        };
        for file in &files {
            check_text(Path::new(file.name), &file.text, Some(exam))?;
        }
        Ok(files)
    }
}

/// Checks a file that was made anywhere, against the server's published rules and, where the set's
/// own questions are given, against those.
///
/// # Errors
///
/// [`Error::Submission`] with all that is wrong; a file that is not JSON, with line and column.
pub fn check(path: &Path, exam: Option<&Benchmark>) -> Result<Checked> {
    let text = read_text(path, MAX_BYTES)?;
    check_text(path, &text, exam)
}

fn check_text(path: &Path, text: &str, exam: Option<&Benchmark>) -> Result<Checked> {
    let Object(pairs) = from_json::<Object<Value>>(path, text)?;
    let mut sheet = Sheet { exam, pairs, faults: Vec::new(), more: 0, unchecked: Vec::new() };
    let of_cirr = sheet.pairs.iter().any(|(key, _)| matches!(key.as_str(), "version" | "metric"));
    let kind = if of_cirr { cirr::check(&mut sheet, text.len()) } else { circo::check(&mut sheet) };
    let queries = sheet.pairs.len();
    let Sheet { mut faults, more, unchecked, .. } = sheet;
    if more > 0 {
        faults.push(format!("{more} more faults of these kinds"));
    }
    match faults.is_empty() {
        true => Ok(Checked { kind, queries, unchecked }),
        false => Err(Error::Submission { file: path.display().to_string(), faults }),
    }
}

/// A file under examination.
struct Sheet<'a> {
    exam: Option<&'a Benchmark>,
    pairs: Vec<(String, Value)>,
    faults: Vec<String>,
    more: usize,
    unchecked: Vec<&'static str>,
}

impl Sheet<'_> {
    fn fault(&mut self, text: String) {
        match self.faults.len() < MAX_FAULTS {
            true => self.faults.push(text),
            false => self.more += 1,
        }
    }

    /// Takes a key that is no question out, with its value.
    fn take(&mut self, key: &str) -> Option<Value> {
        let at = self.pairs.iter().position(|(k, _)| k == key)?;
        Some(self.pairs.remove(at).1)
    }

    /// Keys must be exactly those of the set: names what is missing and what is too much.
    fn keys(&mut self, wanted: &[String]) {
        use std::collections::HashSet;
        let got: HashSet<&str> = self.pairs.iter().map(|(k, _)| k.as_str()).collect();
        let known: HashSet<&str> = wanted.iter().map(String::as_str).collect();
        let missing: Vec<&String> = wanted.iter().filter(|k| !got.contains(k.as_str())).collect();
        let extra: Vec<&str> = self.pairs.iter().map(|(k, _)| k.as_str()).filter(|k| !known.contains(k)).collect();
        let mut faults = Vec::new();
        if let Some(first) = missing.first() {
            faults.push(format!("{} of {} questions have no answer, first {first}", missing.len(), wanted.len()));
        }
        if let Some(first) = extra.first() {
            faults.push(format!("{} keys are no questions of the set, first {first:?}", extra.len()));
        }
        faults.into_iter().for_each(|f| self.fault(f));
    }

    /// Each answer as a list of `T`, of exactly `count` different entries.
    fn lists<T: serde::de::DeserializeOwned + std::hash::Hash + Eq + Clone + std::fmt::Display>(
        &mut self,
        count: usize,
        what: &str,
    ) -> Vec<(String, Vec<T>)> {
        let mut out = Vec::new();
        for (key, value) in std::mem::take(&mut self.pairs) {
            match serde_json::from_value::<Vec<T>>(value.clone()) {
                Ok(list) => {
                    if list.len() != count {
                        self.fault(format!("question {key} has {} answers, not {count}", list.len()));
                    }
                    let mut seen = std::collections::HashSet::new();
                    if let Some(twice) = list.iter().find(|x| !seen.insert((*x).clone())) {
                        self.fault(format!("question {key} names {twice} twice"));
                    }
                    out.push((key.clone(), list));
                }
                Err(_) => {
                    let start: String = value.to_string().chars().take(40).collect();
                    self.fault(format!("question {key} is {start}, not a list of {what}"));
                }
            }
            self.pairs.push((key, value));
        }
        out
    }
}

/// A run's answers to each question, in the exam's order; the first question without any is named.
fn answered<'a>(
    exam: &'a Benchmark,
    run: &'a Run,
    file: &str,
) -> Result<Vec<(&'a domain::Triplet, &'a crate::Answers)>> {
    let by_query: std::collections::HashMap<&str, &crate::Answers> =
        run.answers.iter().map(|a| (a.query.as_str(), a)).collect();
    let pair = |q: &'a domain::Triplet| {
        let missing = || Error::Submission {
            file: file.to_owned(),
            faults: vec![format!("the run has no answer to question {}", q.id)],
        };
        by_query.get(q.id.as_str()).map(|a| (q, *a)).ok_or_else(missing)
    };
    exam.queries.iter().map(pair).collect()
}
