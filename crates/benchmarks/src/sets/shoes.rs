//! Shoes: one relative caption for each pair of shoes of the Attribute Discovery set.
//!
//! ```text
//! dataset/relative_captions_shoes.json    [{"ImageName": target, "ReferenceImageName", "RelativeCaption"}, …]
//! dataset/train_im_names.txt              10,000 names
//! dataset/eval_im_names.txt               4,658 names: the gallery of the 1,761 evaluation questions
//! womens_clogs/0/img_womens_clogs_851.jpg or images/…, or attributedata/…
//! ```
//!
//! A question belongs to the part whose list holds its target. The published list has 27 questions, one of
//! them for evaluation, whose target is the reference itself: they are asked, and missed wherever
//! the reference is left out.

use std::collections::HashSet;
use std::path::Path;

use domain::{GalleryEntry, Split, Triplet};
use serde::Deserialize;

use super::files::{at, corrections, entry, needed, read_json, read_names, safe};
use super::{Opened, Parts, Set, noted, words};
use crate::{Protocol, Result};

/// The set.
pub const SET: Set = Set {
    name: "shoes",
    about: "Shoes: one relative caption each; 1,761 questions over 4,658 pictures",
    parts: &[],
    splits: &[Split::Test, Split::Train],
    protocol: "shoes",
    layout: &[
        "dataset/relative_captions_shoes.json",
        "dataset/eval_im_names.txt, train_im_names.txt",
        "womens_KIND/0 and /1/img_womens_KIND_N.jpg",
    ],
    counts: &[(Split::Test, "", 1761, 4658), (Split::Train, "", 8990, 10_000)],
    open,
};

#[derive(Deserialize)]
struct Pair {
    #[serde(rename = "ImageName")]
    target: String,
    #[serde(rename = "ReferenceImageName")]
    reference: String,
    #[serde(rename = "RelativeCaption")]
    caption: String,
}

fn open(root: &Path, split: Split, protocol: &Protocol) -> Result<Opened> {
    let file = if split == Split::Train { "train_im_names.txt" } else { "eval_im_names.txt" };
    let places = |file: &str| ["dataset/", "", "annotations/"].map(|p| format!("{p}{file}"));
    let captions = needed("shoes", root, &places("relative_captions_shoes.json"))?;
    let list = needed("shoes", root, &places(file))?;
    let pairs: Vec<Pair> = read_json(&captions)?;
    let names = read_names(&list)?;
    let mut opened =
        Opened { files: vec![(captions.clone(), pairs.len()), (list.clone(), names.len())], ..Opened::default() };

    let (mut listed, mut known) = (Vec::with_capacity(names.len()), HashSet::new());
    for (i, name) in names.into_iter().enumerate() {
        safe(&name).map_err(|f| at(&list, i + 1, f))?;
        if !known.insert(name.clone()) {
            return Err(at(&list, i + 1, format!("{name} is listed twice")));
        }
        let path = place(root, &name);
        listed.push(GalleryEntry { name, path, split: Some(split), ..Default::default() });
    }
    let words_list = corrections(root, &places("correction_dict_shoes.json"))?;
    let (mut queries, mut selves) = (Vec::new(), Vec::new());
    for (i, pair) in pairs.iter().enumerate() {
        match (known.contains(&pair.target), known.contains(&pair.reference)) {
            (false, false) => continue,
            (true, true) => {}
            _ => {
                let fault = format!("{} and {} stand in different parts", pair.target, pair.reference);
                return Err(entry(&captions, i, fault));
            }
        }
        let id = i.to_string();
        if pair.target == pair.reference {
            selves.push(id.clone());
        }
        let (text, wordings) = words(protocol, &[&pair.caption], &words_list);
        queries.push(Triplet {
            id,
            reference: pair.reference.clone(),
            text,
            wordings,
            targets: vec![pair.target.clone()],
            split: Some(split),
            ..Default::default()
        });
    }
    if protocol.drop_reference {
        noted(&mut opened.notes, &selves, "have their reference as the right answer; without it they are missed");
    }
    let root = root.to_owned();
    opened.exams.push(Parts { set: "shoes", part: "", split, root, listed, queries, hidden: false }.exam(protocol)?);
    Ok(opened)
}

/// `img_womens_clogs_851.jpg` lies in `womens_clogs/0` or `womens_clogs/1`.
fn place(root: &Path, name: &str) -> String {
    let kind = name.strip_prefix("img_").and_then(|n| n.rsplit_once('_')).map_or("", |(kind, _)| kind);
    let mut places = Vec::new();
    for base in ["", "images/", "attributedata/"] {
        places.extend(["0/", "1/", ""].map(|half| format!("{base}{kind}/{half}{name}")));
        places.push(format!("{base}{name}"));
    }
    let first = places[0].clone();
    places.into_iter().find(|p| root.join(p).is_file()).unwrap_or(first)
}
