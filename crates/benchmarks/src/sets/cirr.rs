//! CIRR: photographs of NLVR2 in groups of six look-alikes.
//!
//! ```text
//! captions/cap.rc2.val.json            [{"pairid", "reference", "target_hard", "target_soft", "caption",
//!                                        "img_set": {"members": [six names], …}}, …]
//! image_splits/split.rc2.val.json      {"dev-244-0-img0": "./dev/dev-244-0-img0.png", …}
//! img_raw/dev/dev-244-0-img0.png       or images/dev/…, or dev/…; test1 and train likewise
//! ```
//!
//! The gallery is what the split file lists: 2,297 pictures of val, 2,315 of test1. Taking every picture
//! of the folder instead costs thirteen points of R@1, and half of those who asked had done that.
//! The test part's answers are on the authors' server.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use domain::{GalleryEntry, Split, Triplet};
use serde::Deserialize;

use super::files::{Folders, entry, needed, read_json, safe, stems_in};
use super::{Opened, Parts, Set, noted, words};
use crate::foreign::Object;
use crate::{GalleryRule, Protocol, Result, RightRule};

/// The set.
pub const SET: Set = Set {
    name: "cirr",
    about: "CIRR: photographs among six look-alikes; its test answers are on a server",
    parts: &[],
    splits: &[Split::Val, Split::Test, Split::Train],
    protocol: "cirr",
    layout: &["captions/cap.rc2.SPLIT.json", "image_splits/split.rc2.SPLIT.json", "img_raw/dev, test1, train"],
    counts: &[(Split::Val, "", 4181, 2297), (Split::Test, "", 4148, 2315), (Split::Train, "", 28225, 16939)],
    open,
};

#[derive(Deserialize)]
struct Pair {
    pairid: u64,
    reference: String,
    #[serde(default)]
    target_hard: Option<String>,
    #[serde(default)]
    target_soft: BTreeMap<String, f64>,
    caption: String,
    img_set: ImgSet,
}

#[derive(Deserialize)]
struct ImgSet {
    members: Vec<String>,
}

fn open(root: &Path, split: Split, protocol: &Protocol) -> Result<Opened> {
    let (part, folder) = match split {
        Split::Train => ("train", "train"),
        Split::Val => ("val", "dev"),
        Split::Test => ("test1", "test1"),
    };
    let places = |kind: &str, file: String| {
        vec![format!("{kind}/{file}"), format!("cirr/{kind}/{file}"), format!("annotation/cirr/{file}"), file]
    };
    let captions = needed("cirr", root, &places("captions", format!("cap.rc2.{part}.json")))?;
    let list = needed("cirr", root, &places("image_splits", format!("split.rc2.{part}.json")))?;
    let pairs: Vec<Pair> = read_json(&captions)?;
    let Object::<String>(names) = read_json(&list)?;
    let mut opened =
        Opened { files: vec![(captions.clone(), pairs.len()), (list.clone(), names.len())], ..Opened::default() };

    let mut bases = Folders::new(root, &["img_raw", "images"]).there;
    if root.join(folder).is_dir() {
        bases.push(".".to_owned());
    }
    let mut listed = Vec::with_capacity(names.len());
    let mut known = HashSet::with_capacity(names.len());
    for (i, (name, path)) in names.iter().enumerate() {
        let path = path.trim_start_matches("./");
        safe(name).and_then(|()| safe(path)).map_err(|f| entry(&list, i, f))?;
        known.insert(name.clone());
        let at = |base: &String| if base == "." { path.to_owned() } else { format!("{base}/{path}") };
        let there = bases.iter().map(at).find(|p| root.join(p).is_file());
        let path = there.unwrap_or_else(|| at(bases.first().unwrap_or(&"img_raw".to_owned())));
        listed.push(GalleryEntry { name: name.clone(), path, split: Some(split), ..Default::default() });
    }
    if protocol.gallery == GalleryRule::Folder {
        for base in &bases {
            let place = if base == "." { folder.to_owned() } else { format!("{base}/{folder}") };
            if root.join(&place).is_dir() {
                for stem in stems_in(&root.join(&place))? {
                    if known.insert(stem.clone()) {
                        let path = format!("{place}/{stem}.png");
                        listed.push(GalleryEntry { name: stem, path, split: Some(split), ..Default::default() });
                    }
                }
            }
        }
    }

    let hidden = pairs.iter().all(|p| p.target_hard.is_none());
    let (mut queries, mut silent, mut ids) = (Vec::with_capacity(pairs.len()), Vec::new(), HashSet::new());
    for (i, pair) in pairs.iter().enumerate() {
        let says = |fault: String| Err(entry(&captions, i, fault));
        if !ids.insert(pair.pairid) {
            return says(format!("pairid {} comes twice", pair.pairid));
        }
        let members = &pair.img_set.members;
        for name in members.iter().chain([&pair.reference]).chain(&pair.target_hard) {
            if !known.contains(name) {
                return says(format!("it names {name}, which {} does not list", list.display()));
            }
        }
        let Some(targets) = targets(pair, protocol, &known, hidden) else {
            return says("it has no `target_hard`, but other entries have".to_owned());
        };
        if let Some(target) = targets.first()
            && !members.contains(target)
        {
            return says(format!("its target {target} is not a member of its img_set"));
        }
        let id = pair.pairid.to_string();
        if pair.caption.trim().is_empty() {
            silent.push(id.clone());
        }
        let (text, wordings) = words(protocol, &[&pair.caption], &Default::default());
        queries.push(Triplet {
            id,
            reference: pair.reference.clone(),
            text,
            wordings,
            targets,
            grades: pair.target_soft.clone(),
            subset: Some(members.clone()),
            split: Some(split),
            ..Default::default()
        });
    }
    noted(&mut opened.notes, &silent, "have an empty caption; they are asked without words");
    if hidden {
        opened.notes.push("the right answers of this part are on the authors' server: hand in a submission".to_owned());
    }
    let root = root.to_owned();
    opened.exams.push(Parts { set: "cirr", part: "", split, root, listed, queries, hidden }.exam(protocol)?);
    Ok(opened)
}

/// The hard target; where the look-alikes are marked by soft targets, those that are as good too.
fn targets(pair: &Pair, protocol: &Protocol, known: &HashSet<String>, hidden: bool) -> Option<Vec<String>> {
    if hidden {
        return Some(Vec::new());
    }
    let mut out = vec![pair.target_hard.clone()?];
    if protocol.subset_right == RightRule::Any {
        let good = pair.target_soft.iter().filter(|(name, grade)| **grade >= 1.0 && known.contains(*name));
        out.extend(good.map(|(name, _)| name.clone()).filter(|n| Some(n) != pair.target_hard.as_ref()));
    }
    Some(out)
}
