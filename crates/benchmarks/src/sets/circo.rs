//! CIRCO: 1,020 questions with several right answers each, over all of COCO's unlabelled pictures.
//!
//! ```text
//! annotations/val.json                                        220 questions with answers and aspects
//! annotations/test.json                                       800 without: the answers are on a server
//! COCO2017_unlabeled/annotations/image_info_unlabeled2017.json     the gallery: 123,403 pictures
//! COCO2017_unlabeled/unlabeled2017/000000271520.jpg
//! ```
//!
//! An item is named by COCO's number without zeros in front, as the server wants it.

use std::collections::HashSet;
use std::path::Path;

use domain::{GalleryEntry, Split, Triplet};
use serde::Deserialize;

use super::files::{Folders, entry, needed, one_of, read_json, safe, stems_in};
use super::{Opened, Parts, Set, noted, words};
use crate::{Error, Protocol, Result};

/// The set.
pub const SET: Set = Set {
    name: "circo",
    about: "CIRCO: several right answers each among 123,403 pictures; its test answers are on a server",
    parts: &[],
    splits: &[Split::Val, Split::Test],
    protocol: "circo",
    layout: &[
        "annotations/val.json, test.json",
        "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json",
        "COCO2017_unlabeled/unlabeled2017/000000NNNNNN.jpg",
    ],
    counts: &[(Split::Val, "", 220, 123_403), (Split::Test, "", 800, 123_403)],
    open,
};

#[derive(Deserialize)]
struct Question {
    id: u64,
    reference_img_id: u64,
    #[serde(default)]
    target_img_id: Option<u64>,
    relative_caption: String,
    #[serde(default)]
    gt_img_ids: Vec<u64>,
    #[serde(default)]
    semantic_aspects: Vec<String>,
}

#[derive(Deserialize)]
struct Info {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

fn open(root: &Path, split: Split, protocol: &Protocol) -> Result<Opened> {
    let file = format!("annotations/{split}.json");
    let annotations = needed("circo", root, &[file.clone(), format!("CIRCO/{file}"), format!("circo/{file}")])?;
    let questions: Vec<Question> = read_json(&annotations)?;
    let mut opened = Opened { files: vec![(annotations.clone(), questions.len())], ..Opened::default() };

    let info = "annotations/image_info_unlabeled2017.json";
    let folders = Folders::new(root, &["COCO2017_unlabeled/unlabeled2017", "unlabeled2017", "images/unlabeled2017"]);
    let pictures = folders.first();
    let (mut listed, mut known) = (Vec::new(), HashSet::new());
    let list = match one_of(root, &[format!("COCO2017_unlabeled/{info}"), info.to_owned()]) {
        Some(list) => {
            let Info { images } = read_json(&list)?;
            opened.files.push((list.clone(), images.len()));
            for (i, image) in images.into_iter().enumerate() {
                safe(&image.file_name).map_err(|f| entry(&list, i, f))?;
                if !known.insert(image.id) {
                    return Err(entry(&list, i, format!("image {} is listed twice", image.id)));
                }
                let path = format!("{pictures}/{}", image.file_name);
                listed.push(GalleryEntry {
                    name: image.id.to_string(),
                    path,
                    split: Some(split),
                    ..Default::default()
                });
            }
            list
        }
        None if root.join(pictures).is_dir() => {
            let folder = root.join(pictures);
            for stem in stems_in(&folder)? {
                let Ok(id) = stem.parse::<u64>() else { continue };
                known.insert(id);
                let path = format!("{pictures}/{stem}.jpg");
                listed.push(GalleryEntry { name: id.to_string(), path, split: Some(split), ..Default::default() });
            }
            opened.notes.push(format!(
                "{info} is not here: the gallery is the {} pictures of the folder, not the 123,403 of COCO's list",
                listed.len()
            ));
            folder
        }
        None => {
            return Err(Error::NotThere {
                set: "circo",
                root: root.to_owned(),
                file: format!("COCO2017_unlabeled/{info}"),
                places: format!("COCO2017_unlabeled/{info}, {info}; COCO's list is the gallery"),
            });
        }
    };

    let hidden = questions.iter().all(|q| q.target_img_id.is_none());
    let (mut queries, mut ids) = (Vec::with_capacity(questions.len()), HashSet::new());
    let mut gone = Vec::new();
    for (i, q) in questions.iter().enumerate() {
        let says = |fault: String| Err(entry(&annotations, i, fault));
        if !ids.insert(q.id) {
            return says(format!("id {} comes twice", q.id));
        }
        if q.target_img_id.is_none() && !hidden {
            return says("it has no `target_img_id`, but other entries have".to_owned());
        }
        if let Some(unknown) =
            [q.reference_img_id].iter().chain(&q.target_img_id).chain(&q.gt_img_ids).find(|id| !known.contains(id))
        {
            // Where the folder stands in for the list, what it lacks is missing, not unknown.
            if list.is_file() {
                return says(format!("it names picture {unknown}, which {} does not list", list.display()));
            }
            gone.push(q.id.to_string());
            continue;
        }
        // The one first target leads; CIRCO's recall counts only that.
        let mut targets: Vec<String> = q.target_img_id.iter().map(u64::to_string).collect();
        targets
            .extend(q.gt_img_ids.iter().map(u64::to_string).filter(|t| Some(t) != targets.first()).collect::<Vec<_>>());
        if targets.iter().collect::<HashSet<_>>().len() != targets.len() {
            return says("it names a right answer twice".to_owned());
        }
        let (text, wordings) = words(protocol, &[&q.relative_caption], &Default::default());
        queries.push(Triplet {
            id: q.id.to_string(),
            reference: q.reference_img_id.to_string(),
            text,
            wordings,
            targets,
            split: Some(split),
            aspects: q.semantic_aspects.clone(),
            ..Default::default()
        });
    }
    noted(&mut opened.notes, &gone, "name pictures that the folder lacks and are left out");
    if hidden {
        opened.notes.push("the right answers of this part are on the authors' server: hand in a submission".to_owned());
    }
    let root = root.to_owned();
    let mut exam = Parts { set: "circo", part: "", split, root, listed, queries, hidden }.exam(protocol)?;
    exam.left_out.queries.extend(gone);
    opened.exams.push(exam);
    Ok(opened)
}
