//! GeneCIS: four tasks, each question with a small gallery of its own.
//!
//! ```text
//! genecis/focus_attribute.json      [{"reference": {…}, "target": {…}, "gallery": [{…}, …], "condition": "colour"}, …]
//! genecis/change_attribute.json     an item is {"image_id", "instance_bbox": [left, top, width, height]} of Visual Genome
//! genecis/focus_object.json         an item is {"val_image_id"} of COCO 2017's validation part
//! genecis/change_object.json
//! VG_100K/<id>.jpg, VG_100K_2/…     or VG_100K_all/…
//! val2017/000000NNNNNN.jpg          or coco/val2017/…
//! ```
//!
//! In the authors' order the right answer comes first, so that a method which scores everything alike
//! would get all right under an order that keeps ties as they lie; ours go against the method.
//! An attribute item is the part of the picture around the object ([`GalleryEntry::region`]).

use std::collections::{HashMap, HashSet};
use std::path::Path;

use domain::{GalleryEntry, Split, Triplet};
use serde::Deserialize;

use super::files::{Folders, entry, needed, read_json};
use super::{Opened, Parts, Set, noted, words};
use crate::{Protocol, Result};

/// The set.
pub const SET: Set = Set {
    name: "genecis",
    about: "GeneCIS: focus on or change an attribute or an object; ten to fifteen candidates each",
    parts: &TASKS,
    splits: &[Split::Test],
    protocol: "genecis",
    layout: &["genecis/TASK.json", "VG_100K/ID.jpg, VG_100K_2/ID.jpg", "val2017/000000NNNNNN.jpg"],
    counts: &[(Split::Test, "focus_object", 1960, 0), (Split::Test, "change_object", 1960, 0)],
    open,
};

const TASKS: [&str; 4] = ["focus_attribute", "change_attribute", "focus_object", "change_object"];

#[derive(Deserialize)]
struct Question {
    reference: Item,
    target: Item,
    gallery: Vec<Item>,
    condition: String,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    image_id: Option<u64>,
    #[serde(default)]
    val_image_id: Option<u64>,
    #[serde(default)]
    instance_bbox: Option<[f64; 4]>,
}

fn open(root: &Path, split: Split, protocol: &Protocol) -> Result<Opened> {
    let genome = Folders::new(
        root,
        &["VG_100K", "VG_100K_2", "VG_100K_all", "visual_genome/VG_100K", "visual_genome/VG_100K_2", "VG/VG_100K"],
    );
    let coco = Folders::new(root, &["val2017", "coco/val2017", "COCO/val2017", "coco2017/val2017"]);
    let mut opened = Opened::default();
    for part in TASKS {
        let file = needed("genecis", root, &["genecis/", "", "annotations/"].map(|p| format!("{p}{part}.json")))?;
        let questions: Vec<Question> = read_json(&file)?;
        opened.files.push((file.clone(), questions.len()));
        let usual = usual_length(&questions);

        let (mut listed, mut known): (Vec<GalleryEntry>, HashSet<String>) = Default::default();
        let (mut queries, mut odd, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
        for (i, q) in questions.iter().enumerate() {
            let id = format!("{part}-{i}");
            let mut named = |item: &Item| -> Result<String> {
                let found = of_item(item, &genome, &coco, split).map_err(|f| entry(&file, i, f))?;
                let name = found.name.clone();
                if known.insert(name.clone()) {
                    listed.push(found);
                }
                Ok(name)
            };
            if q.gallery.len() != usual {
                odd.push(id);
                continue;
            }
            let (reference, target) = (named(&q.reference)?, named(&q.target)?);
            let mut candidates = vec![target.clone()];
            for item in &q.gallery {
                let name = named(item)?;
                match candidates.contains(&name) {
                    true => repeats.push(id.clone()),
                    false => candidates.push(name),
                }
            }
            let (text, wordings) = words(protocol, &[&q.condition], &Default::default());
            queries.push(Triplet {
                id,
                reference,
                text,
                wordings,
                targets: vec![target],
                candidates: Some(candidates),
                split: Some(split),
                slice: Some(part.to_owned()),
                ..Default::default()
            });
        }
        noted(
            &mut opened.notes,
            &odd,
            &format!(
                "of {part} have a gallery of another length than {usual} and are left out, as the authors' code does"
            ),
        );
        noted(&mut opened.notes, &repeats, &format!("of {part} name a candidate twice; it is counted once"));
        let root = root.to_owned();
        let mut exam = Parts { set: "genecis", part, split, root, listed, queries, hidden: false }.exam(protocol)?;
        exam.left_out.queries.extend(odd);
        opened.exams.push(exam);
    }
    Ok(opened)
}

/// The length that most galleries have.
fn usual_length(questions: &[Question]) -> usize {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    questions.iter().for_each(|q| *counts.entry(q.gallery.len()).or_default() += 1);
    counts.into_iter().max_by_key(|&(length, count)| (count, std::cmp::Reverse(length))).map_or(0, |(length, _)| length)
}

fn of_item(item: &Item, genome: &Folders, coco: &Folders, split: Split) -> std::result::Result<GalleryEntry, String> {
    let split = Some(split);
    match (item.val_image_id, item.image_id) {
        (Some(id), _) => {
            let path = coco.place(&format!("{id:012}"), &["jpg", "png"]);
            Ok(GalleryEntry { name: id.to_string(), path, split, ..Default::default() })
        }
        (None, Some(id)) => {
            let Some(region) = item.instance_bbox else {
                return Err(format!("image {id} has no `instance_bbox`; attribute tasks are about objects"));
            };
            let [left, top, width, height] = region;
            if region.iter().any(|v| !v.is_finite() || v.abs() > 1e6) || width <= 0.0 || height <= 0.0 {
                return Err(format!("image {id}: {region:?} is no box of left, top, width and height"));
            }
            let path = genome.place(&id.to_string(), &["jpg", "png"]);
            let name = format!("{id}@{left},{top},{width},{height}");
            Ok(GalleryEntry { name, path, region: Some(region), split, ..Default::default() })
        }
        (None, None) => Err("an item needs `val_image_id`, or `image_id` and `instance_bbox`".to_owned()),
    }
}
