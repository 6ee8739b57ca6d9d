//! CIRCO's file, and the rules of its server.

use std::collections::HashSet;

use super::{Sheet, Submission, answered};
use crate::{Benchmark, Error, Result, Run};

/// The questions of the test part.
const QUERIES: usize = 800;
/// Pictures in each answer.
const FIRST: usize = 50;

pub fn write(exam: &Benchmark, run: &Run) -> Result<Vec<Submission>> {
    const NAME: &str = "circo_test.json";
    let mut faults = Vec::new();
    let mut parts = Vec::with_capacity(exam.queries.len());
    for (q, answers) in answered(exam, run, NAME)? {
        let mut numbers = Vec::with_capacity(FIRST);
        for (name, _) in answers.items.iter().take(FIRST) {
            match number(name) {
                Some(n) => numbers.push(n.to_string()),
                None => faults.push(format!("question {}: {name:?} is not a picture's number", q.id)),
            }
        }
        parts.push(format!("{}:[{}]", serde_json::Value::from(q.id.as_str()), numbers.join(",")));
    }
    match faults.is_empty() {
        true => Ok(vec![Submission { name: NAME, text: format!("{{{}}}", parts.join(",")) }]),
        false => Err(Error::Submission { file: NAME.to_owned(), faults }),
    }
}

/// Faults go into the sheet.
pub fn check(sheet: &mut Sheet) -> &'static str {
    let exam = sheet.exam;
    match exam {
        Some(exam) => sheet.keys(&exam.queries.iter().map(|q| q.id.clone()).collect::<Vec<_>>()),
        None => {
            sheet.unchecked.push("that the numbers are pictures of COCO's unlabeled part");
            sheet.keys(&(0..QUERIES).map(|i| i.to_string()).collect::<Vec<_>>());
        }
    }
    let lists = sheet.lists::<u64>(FIRST, "whole numbers");
    if let Some(exam) = exam {
        let known: HashSet<u64> = exam.gallery.iter().filter_map(|g| number(&g.name)).collect();
        for (key, numbers) in lists {
            if let Some(n) = numbers.iter().find(|n| !known.contains(n)) {
                sheet.fault(format!("question {key} names {n}, which is no picture of the gallery"));
            }
        }
    }
    "CIRCO"
}

/// `355099`, `000000355099` and `000000355099.jpg` are one picture.
fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jpg").unwrap_or(name);
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}
