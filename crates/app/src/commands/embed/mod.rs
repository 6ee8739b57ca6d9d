//! `likebut embed`: files, words and questions become vectors, by the same method as in `add` and `find`.

mod write;

use std::collections::BTreeMap;

use domain::{Embedding, MAX_WORDS_BYTES, Probe, Query, Sim, Space};
use media::Limits;
use methods::{Asked, Method, Seen, blend};
use search::{Budget, Out, Stages};
use serde_json::{Value, json};

use crate::cli::{self, Input};
use crate::commands::find::reference;
use crate::context::{Context, print_json};
use crate::exit::{Exit, Failure};
use crate::interrupt;
use crate::models;
use crate::paint::printable;
use crate::paths::shown;
use crate::progress::{Progress, thousands};
use write::{Format, Writer};

/// A row, or why there is none.
type Row = Result<Embedding, String>;

/// Reads and encodes side by side; one row per input, in order.
pub fn run(typed: &cli::Embed, context: &Context) -> Result<Exit, Failure> {
    let format = typed.out.as_deref().map(Format::of).transpose()?;
    let inputs = &typed.inputs.0;
    let maker = Maker::new(typed, context)?;
    let space = maker.method.space().clone();
    let mut writer = match (&typed.out, format) {
        (Some(out), Some(format)) => Some(Writer::new(out, format, &space, inputs)?),
        _ => None,
    };
    for input in inputs {
        if let Input::Text(words) | Input::Question { words, .. } = input {
            models::tell_of_cut(maker.method.model(), words, context);
        }
    }
    let mut rows: Vec<Value> = Vec::new();
    let mut failed = 0;
    let mut progress = Progress::new("encoding", "inputs", inputs.len() as u64, context.quiet);
    let mut done = 0;
    let mut take = |row: Row| -> Result<(), Failure> {
        let input = &inputs[done];
        if let Err(reason) = &row {
            failed += 1;
            progress.finish();
            eprintln!("{} {}: {}", context.paint_err.notice("left out:"), named(input), printable(reason));
        }
        match &mut writer {
            Some(writer) => writer.row(row.as_ref().ok())?,
            None => rows.push(told(input, &row, space.rows)),
        }
        done += 1;
        progress.set(done as u64);
        Ok(())
    };
    maker.all(inputs, context.settings.batch(), &mut take)?;
    progress.finish();
    if done < inputs.len() {
        context.say("stopped; nothing was written");
        return Ok(Exit::Interrupted);
    }
    match (writer, &typed.out) {
        (Some(writer), Some(out)) => {
            writer.finish()?;
            let n = thousands(inputs.len() as u64);
            context.say(format!("wrote {}: {n} rows of {}, {space}", shown(out), space.rows * space.dim));
            if failed > 0 {
                context.say(format!("{} of them are NaN: their inputs could not be read", thousands(failed)));
            }
        }
        _ => print_json(json!({
            "model": space.model, "method": maker.method.name(), "space": space, "space_id": space.id().to_string(),
            "rows": rows,
        }))?,
    }
    Ok(if failed > 0 { Exit::Skipped } else { Exit::Ok })
}

/// What makes rows of inputs.
struct Maker {
    method: Box<dyn Method>,
    limits: Limits,
    memory: Budget,
    not: Option<String>,
    strength: Option<f32>,
}

/// An input that was read: what is still to be encoded.
enum Read<'a> {
    File(Seen),
    Text(&'a str),
    Question(Seen, &'a str),
}

impl Maker {
    fn new(typed: &cli::Embed, context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        settings.method().map(models::known).transpose()?;
        let method = models::chosen(settings)?;
        let has_text = typed.inputs.0.iter().any(|i| matches!(i, Input::Text(_)));
        if has_text && let Err(e) = method.model().space().same_as(method.space()) {
            let what = format!("the method {} keeps items where words alone cannot be compared: {e}", method.name());
            return Err(Failure::usage(what).hint("for --text choose another: --method sum"));
        }
        let limits = Limits { max_pixels: settings.max_pixels(), ..Limits::default() };
        Ok(Self {
            method,
            limits,
            memory: Budget::new(search::MEMORY),
            not: typed.not.clone(),
            strength: settings.strength(),
        })
    }

    /// One row per input, in order, until someone asks to stop. What cannot be read is a reason; what
    /// fails otherwise ends the command.
    fn all(
        &self,
        inputs: &[Input],
        batch: usize,
        take: &mut dyn FnMut(Row) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let read = |i: usize| (i, self.read(&inputs[i]));
        let encode = |batch: Vec<(usize, Read<'_>)>| self.rows(&batch);
        let mut next = 0..inputs.len();
        let mut pending: Vec<(usize, Read<'_>)> = Vec::new();
        // Rows that are waiting for one before them.
        let mut rows: BTreeMap<usize, Row> = BTreeMap::new();
        let mut taken = 0;
        std::thread::scope(|scope| {
            let readers = rayon::current_num_threads();
            let mut stages = Stages::start(scope, readers, batch, |_| 1, read, encode)?;
            loop {
                while !interrupt::requested()
                    && stages.room()
                    && let Some(i) = next.next()
                {
                    stages.read(i);
                }
                match stages.wait() {
                    Out::Read((i, Ok(read))) => pending.push((i, read)),
                    Out::Read((i, Err(reason))) => drop(rows.insert(i, Err(reason))),
                    Out::Made(made) => rows.extend(made?),
                    Out::Waiting => (),
                    Out::Idle if interrupt::requested() || pending.is_empty() => return Ok(()),
                    Out::Idle => stages.encode(std::mem::take(&mut pending)),
                }
                if pending.len() >= batch {
                    stages.encode(std::mem::take(&mut pending));
                }
                while let Some(row) = rows.remove(&taken) {
                    take(row)?;
                    taken += 1;
                }
            }
        })
    }

    /// The rows of some inputs, each with its number.
    fn rows(&self, batch: &[(usize, Read<'_>)]) -> Result<Vec<(usize, Row)>, Failure> {
        let (mut files, mut texts, mut questions) = (Vec::new(), Vec::new(), Vec::new());
        for (i, read) in batch {
            match read {
                Read::File(file) => files.push((*i, file)),
                Read::Text(text) => texts.push((*i, *text)),
                Read::Question(reference, words) => questions.push((*i, reference, *words)),
            }
        }
        let seen: Vec<&Seen> = files.iter().map(|(_, s)| *s).collect();
        let vectors = self.method.embed(&seen).map_err(Failure::usage)?;
        let mut rows: Vec<(usize, Row)> = files.iter().zip(vectors).map(|((i, _), v)| (*i, Ok(v))).collect();
        let words: Vec<&str> = texts.iter().map(|(_, text)| *text).collect();
        rows.extend(texts.iter().zip(self.method.model().say(&words)).map(|((i, _), v)| (*i, Ok(v))));
        for (i, reference, words) in questions {
            let plain = Asked::new(reference, words);
            let asked = Asked { not: self.not.as_deref(), strength: self.strength, ..plain };
            let probe = blend::compose(self.method.as_ref(), &[asked]).map_err(Failure::usage)?.into_iter().next();
            let nothing = || Err("the method made nothing of it".into());
            rows.push((i, probe.map_or_else(nothing, |p| folded(p, self.method.space()))));
        }
        Ok(rows)
    }

    fn read<'a>(&self, input: &'a Input) -> Result<Read<'a>, String> {
        let see = |file: &str| {
            let media = reference(file).map_err(|f| f.what)?;
            search::see_within(&self.memory, &self.method.model().manifest, &media, &self.limits).map_err(|e| match e {
                search::SearchError::Reference { source, .. } => source.to_string(),
                other => other.to_string(),
            })
        };
        match input {
            Input::File(file) => see(file).map(Read::File),
            Input::Text(text) if text.trim().is_empty() => Err("the words are empty".into()),
            Input::Text(text) if text.len() > MAX_WORDS_BYTES => {
                Err(format!("the words are {} bytes long, at most {MAX_WORDS_BYTES} are read", text.len()))
            }
            Input::Text(text) => Ok(Read::Text(text)),
            Input::Question { reference: file, words } => {
                let query =
                    Query { strength: self.strength, ..Query::new(domain::MediaRef::file(file), words.clone()) };
                if self.method.name() != "picture" {
                    query.check().map_err(|e| e.to_string())?;
                }
                see(file).map(|seen| Read::Question(seen, words))
            }
        }
    }
}

/// A probe as the one vector that a plain scan by inner product would take; not every probe is one.
fn folded(probe: Probe, space: &Space) -> Row {
    let plain = probe.terms.iter().all(|t| t.sim == Sim::Dot && t.space == *space);
    let weights = probe.expr.linear(probe.terms.len()).filter(|_| plain);
    let (Some(weights), Some(first)) = (weights, probe.terms.first()) else {
        return Err("the method scores this question by more than one vector".into());
    };
    let mut sum = Embedding { dim: first.query.dim, values: vec![0.0; first.query.values.len()] };
    for (term, weight) in probe.terms.iter().zip(weights) {
        sum.values.iter_mut().zip(&term.query.values).for_each(|(s, v)| *s += weight * v);
    }
    Ok(sum)
}

fn named(input: &Input) -> String {
    let short = |text: &str| printable(&text.chars().take(60).collect::<String>());
    match input {
        Input::File(file) => printable(file),
        Input::Text(text) => format!("{:?}", short(text)),
        Input::Question { reference, words } => format!("{} {:?}", printable(reference), short(words)),
    }
}

/// An input with its row, for JSON.
fn told(input: &Input, row: &Row, rows: usize) -> Value {
    let mut value = match input {
        Input::File(file) => json!({"file": file}),
        Input::Text(text) => json!({"text": text}),
        Input::Question { reference, words } => json!({"reference": reference, "words": words}),
    };
    match row {
        // One vector is a list of numbers, several are a list of lists.
        Ok(e) if rows == 1 => value["vector"] = json!(e.values),
        Ok(e) => value["vector"] = json!(e.iter().collect::<Vec<_>>()),
        Err(reason) => {
            value["vector"] = Value::Null;
            value["reason"] = json!(reason);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Digest, Expr, Term};

    #[test]
    fn a_question_is_one_vector_where_its_score_is_linear() {
        let space = Space {
            model: "m".into(),
            weights: Digest::of(b""),
            view: "v".into(),
            sampling: "middle".into(),
            rows: 1,
            dim: 2,
        };
        let term = |values: &[f32]| Term {
            name: "t",
            space: space.clone(),
            query: Embedding::single(values.to_vec()),
            sim: Sim::Dot,
        };
        let terms = vec![term(&[1.0, 0.0]), term(&[0.0, 1.0])];
        let but = Expr::Sum(vec![(1.0, Expr::Term(0)), (-0.5, Expr::Term(1))]);
        assert_eq!(folded(Probe { terms: terms.clone(), expr: but }, &space).unwrap().values, [1.0, -0.5]);
        let product = Expr::Product(Box::new(Expr::Term(0)), Box::new(Expr::Term(1)));
        assert!(folded(Probe { terms, expr: product }, &space).is_err());
    }
}
