//! WebVid-CoVR: pairs of clips with similar captions, and the words that tell them apart.
//!
//! ```text
//! annotation/webvid-covr/webvid8m-covr_test.csv     txt1, txt2, edit, pth1, pth2, scores, … (others are ignored)
//! annotation/webvid-covr/webvid8m-covr_val.csv
//! annotation/webvid-covr/webvid2m-covr_train.csv    437 MB, needed for training only
//! WebVid/8M/train/<pth>.mp4                         val and test; train lies in WebVid/2M/train
//! WebVid/8M/blip2-vid-embs-large-all/<pth>.pth      or embeddings instead of clips
//! ```
//!
//! `scores` says how well the words fit each of up to fifteen frames of the target, `[0.31, 0.28]`; the column
//! may be missing.
//!
//! The gallery of the 2,556 test questions is their 2,556 targets and nothing else; references are no
//! answers. WebVid was withdrawn in February 2024: whoever has no copy asks with embeddings.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use domain::{GalleryEntry, Split, Triplet};

use super::csv::{Csv, python_list};
use super::files::{Folders, at, needed, safe};
use super::{Opened, Parts, Set, noted, words};
use crate::{Protocol, Result};

/// The set.
pub const SET: Set = Set {
    name: "webvid-covr",
    about: "WebVid-CoVR: clips by what sets two captions apart; 2,556 test questions",
    parts: &[],
    splits: &[Split::Test, Split::Val, Split::Train],
    protocol: "covr-webvid",
    layout: &[
        "annotation/webvid-covr/webvid8m-covr_test.csv, …_val.csv, webvid2m-covr_train.csv",
        "WebVid/8M/train/PTH.mp4, WebVid/2M/train/PTH.mp4, or embeddings of them",
    ],
    counts: &[(Split::Test, "", 2556, 2556)],
    open,
};

/// Clips and what stands in for them.
const CLIPS: &[&str] = &["mp4", "webm", "mkv", "mov"];

fn open(root: &Path, split: Split, protocol: &Protocol) -> Result<Opened> {
    let (file, size) = match split {
        Split::Train => ("webvid2m-covr_train.csv", "2M"),
        Split::Val => ("webvid8m-covr_val.csv", "8M"),
        Split::Test => ("webvid8m-covr_test.csv", "8M"),
    };
    let places =
        ["annotation/webvid-covr/", "annotation/", "", "WebVid-CoVR/annotation/"].map(|p| format!("{p}{file}"));
    let path = needed("webvid-covr", root, &places)?;
    let mut csv = Csv::open(&path)?;
    let (first, second, edit) = (csv.column("pth1")?, csv.column("pth2")?, csv.column("edit")?);
    let (caption, scores) = (csv.find("txt2"), csv.find("scores"));
    let folders = Folders::new(
        root,
        &[
            &format!("WebVid/{size}/train"),
            &format!("datasets/WebVid/{size}/train"),
            &format!("{size}/train"),
            &format!("videos/{size}"),
            &format!("WebVid-CoVR/videos/{size}"),
        ],
    );

    let (mut listed, mut known): (Vec<GalleryEntry>, HashMap<String, usize>) = Default::default();
    let (mut queries, mut twice, mut unscored, mut asked) = (Vec::new(), Vec::new(), Vec::new(), HashSet::new());
    while let Some(row) = csv.row()? {
        for (column, words) in [(first, None), (second, caption)] {
            let name = &row.fields[column];
            safe(name).map_err(|f| at(&path, row.line, f))?;
            let caption = words.map(|c| row.fields[c].clone());
            if let Some(at) = known.get(name) {
                // Only as an answer is a clip described; it may have been asked about before.
                let entry: &mut GalleryEntry = &mut listed[*at];
                entry.caption = entry.caption.take().or(caption);
            } else {
                known.insert(name.clone(), listed.len());
                let path = folders.place(name, CLIPS);
                listed.push(GalleryEntry {
                    name: name.clone(),
                    path,
                    caption,
                    split: Some(split),
                    ..Default::default()
                });
            }
        }
        let id = queries.len().to_string();
        if !asked.insert(row.fields[second].clone()) {
            twice.push(id.clone());
        }
        let frame_scores = scores.map(|c| numbers(&row.fields[c]));
        if frame_scores == Some(None) {
            unscored.push(id.clone());
        }
        let (text, wordings) = words(protocol, &[&row.fields[edit]], &Default::default());
        queries.push(Triplet {
            id,
            reference: row.fields[first].clone(),
            text,
            wordings,
            targets: vec![row.fields[second].clone()],
            split: Some(split),
            frame_scores: frame_scores.flatten().unwrap_or_default(),
            ..Default::default()
        });
    }
    let mut opened = Opened { files: vec![(path, queries.len())], ..Opened::default() };
    noted(&mut opened.notes, &unscored, "have `scores` that are no list of numbers, and count as having none");
    if split == Split::Test {
        noted(&mut opened.notes, &twice, "share their target with another, which the authors' own list rules out");
    }
    let root = root.to_owned();
    opened
        .exams
        .push(Parts { set: "webvid-covr", part: "", split, root, listed, queries, hidden: false }.exam(protocol)?);
    Ok(opened)
}

/// A list of numbers as Python prints it.
fn numbers(text: &str) -> Option<Vec<f32>> {
    python_list(text).ok()?.iter().map(|n| n.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_scores_are_read_or_said_to_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        let rows = "edit,pth1,pth2,scores\nin red,a,b,\"[0.5, -0.25]\"\nin blue,a,c,[]\nin grey,a,d,\"[0.5, x]\"\n";
        std::fs::write(dir.path().join("webvid2m-covr_train.csv"), rows).unwrap();
        let opened = open(dir.path(), Split::Train, &SET.usual()).unwrap();
        let scores: Vec<&[f32]> = opened.exams[0].queries.iter().map(|q| &q.frame_scores[..]).collect();
        assert_eq!(scores, [&[0.5, -0.25][..], &[], &[]]);
        assert!(
            opened.notes.iter().any(|n| n.contains("1 questions have `scores`") && n.ends_with(": 2")),
            "{:?}",
            opened.notes
        );
    }
}
