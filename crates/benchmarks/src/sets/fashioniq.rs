//! FashionIQ: dresses, shirts and tops, two captions for each pair.
//!
//! ```text
//! captions/cap.dress.val.json          [{"target", "candidate", "captions": [a, b]}, …]
//! image_splits/split.dress.val.json    ["B009PMCJLW", …]
//! images/B009PMCJLW.png                or .jpg, or images/dress/…, resized_image/dress/…
//! correction_dict_dress.json           HUD's and its siblings' word list, if it is there
//! ```
//!
//! The expensive trap is the gallery: the split file lists 3,817 dresses, of which the questions name
//! 2,628, and papers of both kinds stand in one table ([`GalleryRule::Listed`] and
//! [`GalleryRule::Named`]).
//!
//! [`GalleryRule::Listed`]: crate::GalleryRule::Listed
//! [`GalleryRule::Named`]: crate::GalleryRule::Named

use std::collections::HashSet;
use std::path::Path;

use domain::{GalleryEntry, Split, Triplet};
use serde::Deserialize;

use super::files::{Folders, PICTURES, corrections, entry, needed, read_json, safe};
use super::{Opened, Parts, Set, noted, words};
use crate::{Protocol, Result};

/// The set.
pub const SET: Set = Set {
    name: "fashioniq",
    about: "FashionIQ: garments by two relative captions each; three categories",
    parts: &CATEGORIES,
    splits: &[Split::Val, Split::Test, Split::Train],
    protocol: "covr-fashioniq",
    layout: &["captions/cap.CATEGORY.SPLIT.json", "image_splits/split.CATEGORY.SPLIT.json", "images/ID.png or .jpg"],
    counts: &[
        (Split::Val, "dress", 2017, 3817),
        (Split::Val, "shirt", 2038, 6346),
        (Split::Val, "toptee", 1961, 5373),
        (Split::Train, "dress", 5985, 11452),
        (Split::Train, "shirt", 5988, 19036),
        (Split::Train, "toptee", 6027, 16121),
        (Split::Test, "dress", 2024, 3818),
        (Split::Test, "shirt", 2038, 6346),
        (Split::Test, "toptee", 2056, 5374),
    ],
    open,
};

const CATEGORIES: [&str; 3] = ["dress", "shirt", "toptee"];

#[derive(Deserialize)]
struct Pair {
    candidate: String,
    #[serde(default)]
    target: Option<String>,
    captions: Vec<String>,
}

fn open(root: &Path, split: Split, protocol: &Protocol) -> Result<Opened> {
    let mut opened = Opened::default();
    for part in CATEGORIES {
        let places = |kind: &str| {
            let file = format!("{}.{part}.{split}.json", if kind == "captions" { "cap" } else { "split" });
            vec![format!("{kind}/{file}"), format!("annotation/fashion-iq/{file}"), file]
        };
        let captions = needed("fashioniq", root, &places("captions"))?;
        let list = needed("fashioniq", root, &places("image_splits"))?;
        let pairs: Vec<Pair> = read_json(&captions)?;
        let names: Vec<String> = read_json(&list)?;
        opened.files.extend([(captions.clone(), pairs.len()), (list.clone(), names.len())]);

        let by_part = ["images", "resized_image", "image_data"].map(|f| format!("{f}/{part}"));
        let mut folders = vec!["images", "resized_image", part];
        folders.extend(by_part.iter().map(String::as_str));
        let folders = Folders::new(root, &folders);
        let mut listed = Vec::with_capacity(names.len());
        let mut known = HashSet::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            safe(name).map_err(|f| entry(&list, i, f))?;
            if !known.insert(name.as_str()) {
                return Err(entry(&list, i, format!("{name} is listed twice; the split would count it twice")));
            }
            let path = folders.place(name, PICTURES);
            listed.push(GalleryEntry { name: name.clone(), path, split: Some(split), ..Default::default() });
        }

        let list_of_words = corrections(
            root,
            &["", "captions/", "correction_dict/"].map(|f| format!("{f}correction_dict_{part}.json")),
        )?;
        let hidden = pairs.iter().all(|p| p.target.is_none());
        let (mut queries, mut silent) = (Vec::with_capacity(pairs.len()), Vec::new());
        for (i, pair) in pairs.iter().enumerate() {
            let says = |fault: String| Err(entry(&captions, i, fault));
            for name in [Some(&pair.candidate), pair.target.as_ref()].into_iter().flatten() {
                if !known.contains(name.as_str()) {
                    return says(format!("it names {name}, which {} does not list", list.display()));
                }
            }
            if pair.target.is_none() && !hidden {
                return says("it has no `target`, but other entries have".to_owned());
            }
            if pair.captions.is_empty() || pair.captions.len() > 8 {
                return says(format!("it has {} captions; expected two", pair.captions.len()));
            }
            let id = format!("{part}-{i}");
            if pair.captions.iter().any(|c| c.trim().is_empty()) {
                silent.push(id.clone());
            }
            let captions: Vec<&str> = pair.captions.iter().map(String::as_str).collect();
            let (text, wordings) = words(protocol, &captions, &list_of_words);
            queries.push(Triplet {
                id,
                reference: pair.candidate.clone(),
                text,
                wordings,
                targets: pair.target.iter().cloned().collect(),
                split: Some(split),
                slice: Some(part.to_owned()),
                ..Default::default()
            });
        }
        noted(&mut opened.notes, &silent, "have an empty caption of their two; they are asked with what is there");
        if hidden {
            opened.notes.push(format!("{part}: the right answers of this part were never published"));
        }
        if list_of_words.is_empty() && protocol.captions == crate::CaptionRule::AndCorrected {
            opened.notes.push(format!("{part}: correction_dict_{part}.json is not here; no word was put right"));
        }
        let root = root.to_owned();
        opened.exams.push(Parts { set: "fashioniq", part, split, root, listed, queries, hidden }.exam(protocol)?);
    }
    Ok(opened)
}
