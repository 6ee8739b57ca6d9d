//! What a method answered, and the files that other tools read it from: TREC runs and judgements,
//! and the `{question: {item: score}}` of ranx and pytrec_eval.
//!
//! ```text
//! q1 Q0 blue-ball 1 0.91 imagine        a run: question, Q0, item, rank, score, whose
//! q1 0 blue-ball 1                      judgements (qrels): question, 0, item, how right
//! ```
//!
//! As `trec_eval` does, what is read is ordered by score and not by the rank column.
//! Equal scores are then put in order by the protocol's rule.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::foreign::{Object, each_line, from_json, read_text};
use crate::{Benchmark, Error, Ranking, Report, Result, ranking};

/// What stands for the reference where judgements name none.
const NO_REFERENCE: &str = "(no reference)";

/// More lines or pairs than this are refused: four thousand questions over a whole gallery of two
/// thousand are fewer.
pub const MAX_PAIRS: usize = 10_000_000;
/// A longer line is refused.
const MAX_LINE_BYTES: usize = 1 << 16;
/// A longer JSON file is refused.
pub const MAX_JSON_BYTES: u64 = 1 << 28;

/// A method's answers to the questions of an exam.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Whose answers these are.
    pub name: String,
    /// One per question.
    pub answers: Vec<Answers>,
}

/// What was answered to one question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// The question's id.
    pub query: String,
    /// Items and their scores, best first; higher is better.
    pub items: Vec<(String, f64)>,
    /// The question's look-alikes, best first, where they were asked for; they may stand deeper
    /// than `items` goes.
    pub among: Vec<String>,
}

/// Which items are right, and how right: more than 0 is right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Qrels {
    /// Per question, items and how right they are.
    pub queries: Vec<(String, Vec<(String, i64)>)>,
}

impl Run {
    /// Keeps one question's answers as the protocol wants them: without what it takes out, at most
    /// `depth` of them, and the order of the question's look-alikes.
    ///
    /// `ordered` is the gallery, best first.
    pub fn keep<'a>(
        &mut self,
        exam: &Benchmark,
        query: &domain::Triplet,
        ordered: impl IntoIterator<Item = (&'a str, f64)>,
        depth: usize,
    ) {
        let candidates: Option<HashSet<&str>> =
            query.candidates.as_ref().map(|c| c.iter().map(String::as_str).collect());
        let subset: HashSet<&str> = query.subset.iter().flatten().map(String::as_str).collect();
        let mut kept = Answers { query: query.id.clone(), ..Answers::default() };
        for (name, score) in ordered {
            let dropped = exam.protocol.drop_reference && name == query.reference;
            if dropped || candidates.as_ref().is_some_and(|c| !c.contains(name)) {
                continue;
            }
            if kept.items.len() < depth {
                kept.items.push((name.to_owned(), score));
            }
            if subset.contains(name) {
                kept.among.push(name.to_owned());
            }
            if kept.items.len() >= depth && kept.among.len() >= subset.len() {
                break;
            }
        }
        self.answers.push(kept);
    }

    /// The same from the scores of the whole gallery, in the gallery's order; equals go by the
    /// protocol's rule for ties, so that what is kept is what was marked.
    ///
    /// # Errors
    ///
    /// A score that is not a number.
    pub fn keep_scores(
        &mut self,
        exam: &Benchmark,
        query: &domain::Triplet,
        scores: &[f32],
        depth: usize,
    ) -> Result<()> {
        let named = exam.gallery.iter().map(|g| g.name.as_str()).zip(scores.iter().copied());
        let mut named: Vec<(&str, f32)> = named.collect();
        // Deep in a large gallery nobody looks: only what may be kept is put in order. Equals of the
        // last one stay, for the rule to choose from, and look-alikes stay wherever they stand.
        let enough = depth.saturating_add(1);
        if let Some((_, &mut (_, least), _)) =
            (enough < named.len()).then(|| named.select_nth_unstable_by(enough, |a, b| ranking::high_first(a.1, b.1)))
        {
            let members: HashSet<&str> = query.subset.iter().flatten().map(String::as_str).collect();
            let few = query.candidates.is_none();
            named.retain(|(name, score)| !few || *score >= least || score.is_nan() || members.contains(name));
        }
        ranking::order(&mut named, &query.targets, exam.protocol.ties)?;
        self.keep(exam, query, named.into_iter().map(|(name, score)| (name, f64::from(score))), depth);
        Ok(())
    }

    /// Reads a TREC run, or JSON where the file begins with `{`.
    ///
    /// # Errors
    ///
    /// What is not in the format, with file and line; an item that a question names twice; a score
    /// that is not a finite number; more than [`MAX_PAIRS`].
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        if begins_with_brace(path)? {
            let Object(queries) = from_json::<Object<Object<f64>>>(path, &read_text(path, MAX_JSON_BYTES)?)?;
            let answers = queries.into_iter().map(|(query, Object(items))| Answers { query, items, among: Vec::new() });
            return Ok(Self { name, answers: answers.map(sorted).collect() });
        }
        let mut this = Self { name, answers: Vec::new() };
        let mut pairs = Pairs::default();
        each_line(path, MAX_LINE_BYTES, |_, text| {
            let fields: Vec<&str> = text.split_ascii_whitespace().collect();
            let [query, _, item, _, score, tag] = fields[..] else {
                return Err(format!("{} columns where a run has six: question Q0 item rank score name", fields.len()));
            };
            let score: f64 = score.parse().map_err(|_| format!("the score {score:?} is not a number"))?;
            if !score.is_finite() {
                return Err(format!("the score {score} is not finite; it cannot be ordered"));
            }
            if this.answers.is_empty() {
                this.name = tag.to_owned();
            }
            let at = pairs.add(query, item, &mut this.answers, |query| Answers { query, ..Answers::default() })?;
            this.answers[at].items.push((item.to_owned(), score));
            Ok(())
        })?;
        this.answers = this.answers.into_iter().map(sorted).collect();
        Ok(this)
    }

    /// As a TREC run.
    ///
    /// # Errors
    ///
    /// A name with a space in it, which the format cannot hold; [`Run::to_json`] can.
    pub fn to_trec(&self) -> Result<String> {
        let mut out = String::new();
        let tag: String = self.name.split_whitespace().collect::<Vec<_>>().join("-");
        let tag = if tag.is_empty() { "run" } else { &tag };
        for Answers { query, items, .. } in &self.answers {
            unspaced(query)?;
            for (rank, (item, score)) in items.iter().enumerate() {
                let _ = writeln!(out, "{query} Q0 {} {} {score} {tag}", unspaced(item)?, rank + 1);
            }
        }
        Ok(out)
    }

    /// As `{question: {item: score}}`.
    pub fn to_json(&self) -> String {
        let pairs = self.answers.iter().map(|a| (&a.query, a.items.iter().map(|(item, score)| (item, *score))));
        json_of(pairs, |score: f64| score.to_string())
    }

    /// Marks the answers under the exam's protocol, equal scores ordered by its rule for ties.
    pub fn mark(&self, exam: &Benchmark) -> Result<Report> {
        let questions: HashMap<&str, &domain::Triplet> = exam.queries.iter().map(|q| (q.id.as_str(), q)).collect();
        let mut marker = exam.marker()?;
        for Answers { query, items, .. } in &self.answers {
            let mut scores: Vec<(&str, f64)> = items.iter().map(|(item, score)| (item.as_str(), *score)).collect();
            let targets = questions.get(query.as_str()).map(|q| q.targets.as_slice()).unwrap_or_default();
            ranking::order(&mut scores, targets, exam.protocol.ties)?;
            marker.add(query, scores.into_iter().map(|(name, _)| name))?;
        }
        marker.finish(Default::default())
    }

    /// The answers as answer sheets, in the order that they stand in.
    pub fn rankings(&self) -> Vec<Ranking> {
        let ranking = |a: &Answers| Ranking::new(a.query.clone(), a.items.iter().map(|(item, _)| item.clone()));
        self.answers.iter().map(ranking).collect()
    }
}

impl Qrels {
    /// An exam without media, to mark a run by judgements alone: its gallery is everything that
    /// either names, and no question has a reference.
    ///
    /// # Errors
    ///
    /// A question without any right answer.
    pub fn exam(&self, name: &str, run: &Run, protocol: crate::Protocol) -> Result<Benchmark> {
        let mut names = std::collections::BTreeSet::new();
        names.extend(self.queries.iter().flat_map(|(_, items)| items).map(|(item, _)| item.as_str()));
        names.extend(run.answers.iter().flat_map(|a| &a.items).map(|(item, _)| item.as_str()));
        let gallery = names.iter().map(|n| domain::GalleryEntry { name: (*n).to_owned(), ..Default::default() });
        let question = |(id, items): &(String, Vec<(String, i64)>)| {
            // The most right first: it is the one that counts where only one does.
            let mut right: Vec<&(String, i64)> = items.iter().filter(|(_, right)| *right > 0).collect();
            right.sort_by_key(|(_, right)| -right);
            domain::Triplet {
                id: id.clone(),
                reference: NO_REFERENCE.to_owned(),
                targets: right.into_iter().map(|(item, _)| item.clone()).collect(),
                ..Default::default()
            }
        };
        let exam = Benchmark {
            name: name.to_owned(),
            gallery: gallery.collect(),
            references: vec![domain::GalleryEntry { name: NO_REFERENCE.to_owned(), ..Default::default() }],
            queries: self.queries.iter().map(question).collect(),
            root: Default::default(),
            protocol,
            hidden: false,
            left_out: Default::default(),
        };
        exam.check()?;
        Ok(exam)
    }

    /// The right answers of an exam, each worth 1.
    pub fn of(exam: &Benchmark) -> Self {
        let right = |q: &domain::Triplet| (q.id.clone(), q.targets.iter().map(|t| (t.clone(), 1)).collect());
        Self { queries: exam.queries.iter().map(right).collect() }
    }

    /// Reads TREC judgements, or JSON where the file begins with `{`. Errors as [`Run::read`].
    pub fn read(path: &Path) -> Result<Self> {
        if begins_with_brace(path)? {
            let Object(queries) = from_json::<Object<Object<i64>>>(path, &read_text(path, MAX_JSON_BYTES)?)?;
            return Ok(Self { queries: queries.into_iter().map(|(query, Object(items))| (query, items)).collect() });
        }
        let mut this = Self::default();
        let mut pairs = Pairs::default();
        each_line(path, MAX_LINE_BYTES, |_, text| {
            let fields: Vec<&str> = text.split_ascii_whitespace().collect();
            let [query, _, item, right] = fields[..] else {
                return Err(format!("{} columns where judgements have four: question 0 item relevance", fields.len()));
            };
            let right: i64 = right.parse().map_err(|_| format!("the relevance {right:?} is not a whole number"))?;
            let at = pairs.add(query, item, &mut this.queries, |query| (query, Vec::new()))?;
            this.queries[at].1.push((item.to_owned(), right));
            Ok(())
        })?;
        Ok(this)
    }

    /// As TREC judgements. Errors as [`Run::to_trec`].
    pub fn to_trec(&self) -> Result<String> {
        let mut out = String::new();
        for (query, items) in &self.queries {
            unspaced(query)?;
            for (item, right) in items {
                let _ = writeln!(out, "{query} 0 {} {right}", unspaced(item)?);
            }
        }
        Ok(out)
    }

    /// As `{question: {item: relevance}}`.
    pub fn to_json(&self) -> String {
        json_of(self.queries.iter().map(|(q, items)| (q, items.iter().map(|(i, r)| (i, *r)))), |r: i64| r.to_string())
    }
}

/// Finds a question's place, and refuses an item that it names twice.
#[derive(Default)]
struct Pairs {
    places: HashMap<String, usize>,
    seen: HashSet<(usize, u64)>,
    names: HashMap<String, u64>,
}

impl Pairs {
    fn add<T>(
        &mut self,
        query: &str,
        item: &str,
        list: &mut Vec<T>,
        new: impl FnOnce(String) -> T,
    ) -> std::result::Result<usize, String> {
        if self.seen.len() == MAX_PAIRS {
            return Err(format!("more than {MAX_PAIRS} lines; cut the run at a smaller depth"));
        }
        let at = match self.places.get(query) {
            Some(at) => *at,
            None => {
                list.push(new(query.to_owned()));
                self.places.insert(query.to_owned(), list.len() - 1);
                list.len() - 1
            }
        };
        let name = match self.names.get(item) {
            Some(name) => *name,
            None => {
                let next = self.names.len() as u64;
                self.names.insert(item.to_owned(), next);
                next
            }
        };
        match self.seen.insert((at, name)) {
            true => Ok(at),
            false => Err(format!("question {query} names {item} twice")),
        }
    }
}

/// Best first; equals stay as they stood, for the protocol to order.
fn sorted(mut answers: Answers) -> Answers {
    answers.items.sort_by(|a, b| b.1.total_cmp(&a.1));
    answers
}

fn begins_with_brace(path: &Path) -> Result<bool> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut first = [0u8; 64];
    let mut file = std::fs::File::open(path).map_err(io)?;
    let n = std::io::Read::read(&mut file, &mut first).map_err(io)?;
    let text = String::from_utf8_lossy(&first[..n]);
    Ok(text.trim_start_matches('\u{feff}').trim_start().starts_with('{'))
}

fn unspaced(name: &str) -> Result<&str> {
    match name.is_empty() || name.contains(char::is_whitespace) {
        true => Err(Error::Unwritable {
            fault: format!(
                "the name {name:?} is empty or has a space in it, which TREC's columns cannot hold; write JSON"
            ),
        }),
        false => Ok(name),
    }
}

/// One question per line.
fn json_of<'a, V: Copy>(
    queries: impl Iterator<Item = (&'a String, impl Iterator<Item = (&'a String, V)>)>,
    number: impl Fn(V) -> String,
) -> String {
    let text = |s: &String| serde_json::Value::from(s.as_str()).to_string();
    let line = |(query, items): (&String, _)| {
        let items: Vec<String> =
            Iterator::map(items, |(item, v): (&String, V)| format!("{}:{}", text(item), number(v))).collect();
        format!("{}:{{{}}}", text(query), items.join(","))
    };
    let lines: Vec<String> = queries.map(|(q, items)| line((q, items))).collect();
    format!("{{{}}}\n", lines.join(",\n"))
}
