//! CIRR's two files, and the rules of its server.

use std::collections::{HashMap, HashSet};

use super::{Sheet, Submission, answered};
use crate::{Benchmark, Error, Result, Run};

/// The pairs of the test part.
const PAIRS: usize = 4_148;
/// Names in each answer of the first file.
const FIRST: usize = 50;
/// Names in each answer of the second.
const AMONG: usize = 3;
/// The server takes no larger file.
const MAX_BYTES: usize = 5_000_000;

pub fn write(exam: &Benchmark, run: &Run) -> Result<Vec<Submission>> {
    let all = file(exam, run, "cirr_recall.json", "recall", |q, a| {
        let names = a.items.iter().map(|(name, _)| name.as_str());
        names.filter(|name| *name != q.reference).take(FIRST).collect()
    })?;
    let among = file(exam, run, "cirr_recall_subset.json", "recall_subset", |q, a| {
        a.among.iter().map(String::as_str).filter(|name| *name != q.reference).take(AMONG).collect()
    })?;
    Ok(vec![all, among])
}

fn file<'a>(
    exam: &'a Benchmark,
    run: &'a Run,
    name: &'static str,
    metric: &str,
    names: impl Fn(&'a domain::Triplet, &'a crate::Answers) -> Vec<&'a str>,
) -> Result<Submission> {
    let json = |value: &dyn Fn() -> serde_json::Result<String>| {
        value().map_err(|e| Error::Unwritable { fault: format!("{name} cannot be written: {e}") })
    };
    let mut text = format!("{{\"version\":\"rc2\",\"metric\":\"{metric}\"");
    for (q, answers) in answered(exam, run, name)? {
        let (key, list) = (json(&|| serde_json::to_string(&q.id))?, names(q, answers));
        text.push_str(&format!(",{key}:{}", json(&|| serde_json::to_string(&list))?));
    }
    text.push('}');
    Ok(Submission { name, text })
}

/// Which of the two files it is; faults go into the sheet.
pub fn check(sheet: &mut Sheet, bytes: usize) -> &'static str {
    let text = |value: Option<serde_json::Value>| value.and_then(|v| v.as_str().map(str::to_owned));
    if bytes > MAX_BYTES {
        sheet.fault(format!("it is {bytes} bytes long, the server takes {MAX_BYTES}"));
    }
    let (version, metric) = (text(sheet.take("version")), text(sheet.take("metric")));
    if version.as_deref() != Some("rc2") {
        sheet.fault(format!("`version` must be \"rc2\", got {:?}", version.unwrap_or_default()));
    }
    let (kind, count) = match metric.as_deref() {
        Some("recall") => ("CIRR recall", FIRST),
        Some("recall_subset") => ("CIRR recall_subset", AMONG),
        other => {
            let other = other.unwrap_or_default();
            sheet.fault(format!("`metric` must be \"recall\" or \"recall_subset\", got {other:?}"));
            return "CIRR";
        }
    };
    let exam = sheet.exam;
    match exam {
        Some(exam) => sheet.keys(&exam.queries.iter().map(|q| q.id.clone()).collect::<Vec<_>>()),
        None => {
            sheet.unchecked.push("that keys, names and look-alikes are the set's own, and that no reference is named");
            if sheet.pairs.len() != PAIRS {
                sheet.fault(format!("it answers {} questions, the test part has {PAIRS}", sheet.pairs.len()));
            }
            if let Some((key, _)) = sheet.pairs.iter().find(|(key, _)| key.parse::<u64>().is_err()) {
                let text = format!("the key {key:?} is not a pair id");
                sheet.fault(text);
            }
        }
    }
    let lists = sheet.lists::<String>(count, "names");
    let known: Option<HashSet<&str>> = exam.map(|e| e.gallery.iter().map(|g| g.name.as_str()).collect());
    let questions: HashMap<&str, &domain::Triplet> =
        exam.iter().flat_map(|e| &e.queries).map(|q| (q.id.as_str(), q)).collect();
    for (key, names) in lists {
        if let Some(name) = names.iter().find(|n| n.ends_with(".png") || n.contains('/')) {
            sheet.fault(format!("question {key} names {name:?}; names have no folder and no extension"));
        }
        if let Some(known) = &known
            && let Some(name) = names.iter().find(|n| !known.contains(n.as_str()))
        {
            sheet.fault(format!("question {key} names {name}, which is no picture of the split"));
        }
        let Some(q) = questions.get(key.as_str()) else { continue };
        if names.contains(&q.reference) {
            sheet.fault(format!("question {key} names its own reference {}", q.reference));
        }
        if kind == "CIRR recall_subset"
            && let Some(members) = &q.subset
            && let Some(name) = names.iter().find(|n| !members.contains(n))
        {
            sheet.fault(format!("question {key} names {name}, which is not one of its look-alikes"));
        }
    }
    kind
}
