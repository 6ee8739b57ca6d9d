//! EgoCVR: clips of Ego4D by an instruction, among all clips or among those of the same video.
//!
//! ```text
//! annotation/egocvr/egocvr_annotations.csv            video_clip_id, target_clip_ids, instruction, …
//! annotation/egocvr/egocvr_data.csv                   clip_name, narration_text, video_uid: all clips
//! annotation/egocvr/egocvr_annotations_gallery.csv    the same and global_idx, local_idx, if it is there
//! data/clips_nooverlap_fullscale/<video>/<clip>.mp4   or clips_nooverlap_fullscale_256/…
//! ```
//!
//! A clip's name is its video, and from and to which second. The lists of the gallery file are row numbers
//! of the authors' embeddings, which we take to be those of `egocvr_data.csv` (inferred: the embeddings
//! were not published when we looked). Without that file the local gallery is all clips of the
//! reference's video, the global one all clips. The clip list names some clips twice, with two
//! narrations; here they are one.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use domain::{GalleryEntry, Split, Triplet};

use super::csv::{Csv, python_list};
use super::files::{Folders, at, needed, one_of, safe};
use super::{Opened, Parts, Set, noted, words};
use crate::{Protocol, Result};

/// The set.
pub const SET: Set = Set {
    name: "egocvr",
    about: "EgoCVR: what hands do in egocentric clips; 2,295 questions, a global and a local gallery",
    parts: &[],
    splits: &[Split::Test],
    protocol: "egocvr-global",
    layout: &[
        "annotation/egocvr/egocvr_annotations.csv, egocvr_data.csv",
        "annotation/egocvr/egocvr_annotations_gallery.csv",
        "data/clips_nooverlap_fullscale/VIDEO/CLIP.mp4",
    ],
    counts: &[(Split::Test, "", 2295, 10_666)],
    open,
};

fn open(root: &Path, split: Split, protocol: &Protocol) -> Result<Opened> {
    let local = protocol.name.ends_with("local");
    let places = |file: &str| ["annotation/egocvr/", "annotation/", ""].map(|p| format!("{p}{file}"));
    let lists = one_of(root, &places("egocvr_annotations_gallery.csv"));
    let annotations = match &lists {
        Some(lists) => lists.clone(),
        None => needed("egocvr", root, &places("egocvr_annotations.csv"))?,
    };
    let data = needed("egocvr", root, &places("egocvr_data.csv"))?;
    let folders = Folders::new(
        root,
        &["data/clips_nooverlap_fullscale", "data/clips_nooverlap_fullscale_256", "clips_nooverlap_fullscale", "data"],
    );

    let mut csv = Csv::open(&data)?;
    let (clip, video, told) = (csv.column("clip_name")?, csv.column("video_uid")?, csv.find("narration_text"));
    let (mut listed, mut known): (Vec<GalleryEntry>, HashSet<String>) = Default::default();
    let (mut rows, mut of_video): (Vec<String>, HashMap<String, Vec<String>>) = Default::default();
    while let Some(row) = csv.row()? {
        let (name, video) = (&row.fields[clip], &row.fields[video]);
        safe(name).and_then(|()| safe(video)).map_err(|f| at(&data, row.line, f))?;
        rows.push(name.clone());
        if known.insert(name.clone()) {
            of_video.entry(video.clone()).or_default().push(name.clone());
            let path = folders.place(&format!("{video}/{name}"), &["mp4", "mkv", "webm"]);
            let caption = told.map(|c| row.fields[c].clone());
            listed.push(GalleryEntry { name: name.clone(), path, caption, split: Some(split), ..Default::default() });
        }
    }

    let mut csv = Csv::open(&annotations)?;
    let (asked, right, instruction) =
        (csv.column("video_clip_id")?, csv.column("target_clip_ids")?, csv.column("instruction")?);
    let own = match lists {
        Some(_) => Some(csv.column(if local { "local_idx" } else { "global_idx" })?),
        None => None,
    };
    let (mut queries, mut selves, mut lone) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(row) = csv.row()? {
        let says = |fault: String| at(&annotations, row.line, fault);
        let reference = row.fields[asked].clone();
        let mut targets = python_list(&row.fields[right]).map_err(says)?;
        let mut once = HashSet::new();
        targets.retain(|t| once.insert(t.clone()));
        if let Some(unknown) = [&reference].into_iter().chain(&targets).find(|n| !known.contains(*n)) {
            return Err(says(format!("it names {unknown}, which {} does not list", data.display())));
        }
        let candidates = match own {
            Some(column) => {
                let mut once = HashSet::new();
                let mut names = Vec::new();
                for index in python_list(&row.fields[column]).map_err(says)? {
                    let name = index.parse().ok().and_then(|i: usize| rows.get(i));
                    let name = name.ok_or_else(|| says(format!("{index} is no row of {}", data.display())))?;
                    if once.insert(name.as_str()) {
                        names.push(name.clone());
                    }
                }
                Some(names)
            }
            None if local => reference.split('_').next().and_then(|video| of_video.get(video)).cloned(),
            None => None,
        };
        let id = queries.len().to_string();
        if targets.contains(&reference) {
            selves.push(id.clone());
        }
        if candidates.as_ref().is_some_and(|c| c.len() < 2) {
            lone.push(id.clone());
        }
        let candidates = candidates.map(|mut c| {
            let missing: Vec<_> = targets.iter().filter(|t| !c.contains(t)).cloned().collect();
            c.extend(missing);
            c
        });
        let (text, wordings) = words(protocol, &[&row.fields[instruction]], &Default::default());
        queries.push(Triplet {
            id,
            reference,
            text,
            wordings,
            targets,
            candidates,
            split: Some(split),
            ..Default::default()
        });
    }
    let mut opened = Opened { files: vec![(annotations, queries.len()), (data, rows.len())], ..Opened::default() };
    if own.is_none() {
        opened.notes.push(
            "egocvr_annotations_gallery.csv is not here: the galleries are all clips, or all of the same video"
                .to_owned(),
        );
    }
    noted(&mut opened.notes, &selves, "have their reference among the right answers");
    noted(&mut opened.notes, &lone, "have fewer than two candidates");
    let root = root.to_owned();
    opened.exams.push(Parts { set: "egocvr", part: "", split, root, listed, queries, hidden: false }.exam(protocol)?);
    Ok(opened)
}
