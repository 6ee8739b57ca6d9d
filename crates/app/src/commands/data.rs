//! `likebut data`: what sets are known, and what of one is here.

use std::collections::HashSet;

use benchmarks::sets::presence::{self, Presence};
use benchmarks::sets::{SETS, Set};
use benchmarks::{Benchmark, PROTOCOLS, Protocol};
use domain::{Sampling, Split};
use media::Limits;
use rayon::prelude::*;
use serde_json::json;

use crate::cli::DataAction;
use crate::commands::eval::sets;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::paths::{shown, text};
use crate::progress::thousands;

/// Lists or checks.
pub fn run(action: &DataAction, context: &Context) -> Result<Exit, Failure> {
    match action {
        DataAction::List { json } => list(*json),
        DataAction::Check { set, root, split, protocol, names, deep, json } => {
            let set = sets::known(set)?;
            let split = split.map_or(set.splits[0], Split::from);
            let protocol = protocol.as_deref().map(sets::rules).transpose()?.unwrap_or_else(|| set.usual());
            let opened = sets::open(set, root, split, Some(&protocol))?;
            let looked: Vec<Looked> =
                opened.exams.into_iter().map(|exam| look(exam, *deep)).collect::<Result<_, _>>()?;
            let gone: Vec<String> = looked.iter().flat_map(|l| l.presence.unusable()).collect();
            if let Some(file) = names {
                sets::write_names(file, &gone)?;
                context.say(format!("wrote {} names into {}", gone.len(), shown(file)));
            }
            if *json {
                let exams: Vec<_> = looked.iter().map(Looked::json).collect();
                let files: Vec<_> = opened
                    .files
                    .iter()
                    .map(|(path, entries)| json!({"path": text(path), "entries": entries}))
                    .collect();
                print_json(json!({
                    "set": set.name, "split": split, "protocol": protocol.name, "files": files,
                    "notes": opened.notes, "exams": exams,
                }))?;
            } else {
                print(format!("{} · {split} · {}\n", set.name, protocol))?;
                for (path, entries) in &opened.files {
                    print(format!("  {}: {} entries\n", shown(path), thousands(*entries as u64)))?;
                }
                for looked in &looked {
                    print(looked.text(set, split, &protocol))?;
                }
                sets::say_notes(&opened.notes, context);
                if !gone.is_empty() && names.is_none() {
                    context.say("for all names: --names FILE, or --json");
                }
            }
            Ok(if gone.is_empty() { Exit::Ok } else { Exit::Skipped })
        }
    }
}

fn list(in_json: bool) -> Result<Exit, Failure> {
    if in_json {
        let sets: Vec<_> = SETS
            .iter()
            .map(|s| {
                json!({"name": s.name, "about": s.about, "parts": s.parts, "splits": s.splits, "protocol": s.protocol, "layout": s.layout})
            })
            .collect();
        let protocols: Vec<_> = PROTOCOLS
            .iter()
            .map(|p| json!({"name": p.name, "set": p.set, "about": p.about, "source": p.source, "rules": p.protocol()}))
            .collect();
        print_json(json!({"sets": sets, "protocols": protocols}))?;
        return Ok(Exit::Ok);
    }
    for set in SETS {
        print(format!("{}: {}\n", set.name, set.about))?;
        for line in set.layout {
            print(format!("    {line}\n"))?;
        }
        for p in PROTOCOLS.iter().filter(|p| p.set == set.name || (p.set.is_empty() && p.name == set.protocol)) {
            let usual = if p.name == set.protocol { " (usual)" } else { "" };
            print(format!("  --protocol {}{usual}: {}\n", p.name, p.about))?;
        }
    }
    Ok(Exit::Ok)
}

/// An exam, and what of it is here.
struct Looked {
    presence: Presence,
    /// What would be left.
    rest: Benchmark,
    questions: usize,
    gallery: usize,
}

fn look(exam: Benchmark, deep: bool) -> Result<Looked, Failure> {
    let mut presence = presence::look(&exam);
    if deep {
        let gone: HashSet<String> = presence.unusable().into_iter().collect();
        let items: Vec<_> = exam.gallery.iter().chain(&exam.references).filter(|g| !gone.contains(&g.name)).collect();
        let unread: Vec<(String, String)> = items
            .par_iter()
            .filter_map(|item| {
                let read = media::open(&exam.path_of(item), &Limits::default())
                    .and_then(|m| m.sample(&Sampling::Middle, None));
                read.err().map(|e| (item.name.clone(), e.to_string()))
            })
            .collect();
        presence.broken.extend(unread);
    }
    let (questions, gallery) = (exam.queries.len(), exam.gallery.len());
    let mut rest = exam;
    presence::leave_out(&mut rest, presence.unusable());
    Ok(Looked { presence, rest, questions, gallery })
}

impl Looked {
    fn text(&self, set: &Set, split: Split, protocol: &Protocol) -> String {
        const SHOWN: usize = 5;
        let n = |n: usize| thousands(n as u64);
        let part = self.rest.name.split('/').nth(1).filter(|p| set.parts.contains(p)).unwrap_or_default();
        let published = match set.published(split, part) {
            Some((q, g)) if q != self.questions => format!("; published are {} questions over {}", n(q), n(g)),
            Some((_, g)) if protocol.name == set.protocol && g > 0 && g != self.gallery => {
                format!("; published is a gallery of {}", n(g))
            }
            Some(_) => " (as published)".to_owned(),
            None => String::new(),
        };
        let Presence { of, missing, broken } = &self.presence;
        let here = of - missing.len() - broken.len();
        let mut out = format!(
            "{}: {} questions over {} items{published}\n  media: {} of {} are here, {} missing, {} broken\n",
            self.rest.name,
            n(self.questions),
            n(self.gallery),
            n(here),
            n(*of),
            n(missing.len()),
            n(broken.len())
        );
        if let Some(line) = sets::bounds_line(&self.rest) {
            out.push_str(&format!("  {line}\n"));
        }
        for name in missing.iter().take(SHOWN) {
            out.push_str(&format!("  missing: {name}\n"));
        }
        for (name, reason) in broken.iter().take(SHOWN) {
            out.push_str(&format!("  broken: {name}: {reason}\n"));
        }
        out
    }

    fn json(&self) -> serde_json::Value {
        let asked = self.rest.queries.len();
        let (low, high) = self.rest.left_out.bounds(0.5, asked);
        json!({
            "exam": self.rest.name, "questions": self.questions, "gallery": self.gallery,
            "presence": self.presence, "questions_left_out": self.rest.left_out.queries,
            "share_left_out": self.rest.left_out.share(asked), "bounds_of_a_half": [low, high],
        })
    }
}
