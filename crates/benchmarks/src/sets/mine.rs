//! Your own questions, in whatever you have: JSONL, CSV, COCO-like JSON, or a WebDataset archive.
//!
//! ```text
//! triplets.jsonl   {"id"?, "reference", "text", "target" or "targets": […], "negatives"?: […], "change"?, "slice"?}
//! triplets.csv     reference,text,target  or  targets (separated by |); id, negatives, change, slice if you like
//! triplets.json    {"images": [{"id", "file_name"}], "annotations": [{"id"?, "reference_id", "target_id" or "target_ids", "text"}]}
//! shard.tar        key.ref.jpg, key.tgt.jpg, key.json {"text"}; other targets are key.tgt1.jpg …
//! ```
//!
//! Names are paths from the file's folder, and the gallery is all that is named: references, right
//! answers and negatives. A `gallery.jsonl` beside the file (see [`super::triplets`]) says otherwise:
//! then names are its names.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use domain::{Change, GalleryEntry, Triplet};
use serde::Deserialize;

use super::csv::Csv;
use super::files::{at, entry, read_json};
use super::triplets::{at_column, check_path, read_gallery, read_lines};
use super::{Opened, words};
use crate::{Benchmark, Error, LeftOut, Protocol, Result};

/// Reads a file of questions by its ending. An archive is unpacked into `unpack`.
///
/// # Errors
///
/// An ending that is none of the four, and every fault of the file, with its place.
pub fn open(file: &Path, unpack: &Path, protocol: &Protocol) -> Result<Opened> {
    let root = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let mut read = match ending.as_str() {
        "jsonl" | "ndjson" => of_jsonl(file)?,
        "csv" => of_csv(file)?,
        "json" => of_coco(file)?,
        "tar" => of_tar(file, unpack)?,
        _ => {
            let fault = format!("{ending:?} is no ending of a file of questions; known are jsonl, csv, json and tar");
            return Err(at(file, 1, fault));
        }
    };
    let root = read.root.take().unwrap_or(root);
    let manifest = root.join("gallery.jsonl");
    let gallery = match (read.gallery.take(), manifest.is_file()) {
        (Some(gallery), _) => gallery,
        (None, true) => read_gallery(&manifest, None)?,
        (None, false) => read.named()?,
    };
    let mut ids = HashSet::new();
    let mut queries = Vec::with_capacity(read.asked.len());
    let known: HashSet<&str> = gallery.iter().map(|g| g.name.as_str()).collect();
    for (i, Asked { place, asked }) in read.asked.into_iter().enumerate() {
        let id = asked.id.clone().unwrap_or_else(|| i.to_string());
        let says = |fault: String| Err(place.fault(file, fault));
        if !ids.insert(id.clone()) {
            return says(format!("the id {id} comes twice"));
        }
        if asked.text.trim().is_empty() || asked.text.len() > domain::MAX_WORDS_BYTES {
            return says("`text` is empty or far too long; say in a sentence what should be different".to_owned());
        }
        let mut once = HashSet::new();
        let targets: Vec<String> =
            asked.target.iter().chain(&asked.targets).filter(|t| once.insert(*t)).cloned().collect();
        if targets.is_empty() {
            return says("it has neither `target` nor `targets`; give at least one right answer".to_owned());
        }
        if let Some(unknown) = targets.iter().chain([&asked.reference]).find(|n| !known.contains(n.as_str())) {
            return says(format!("it names {unknown}, which the gallery does not hold"));
        }
        let (text, wordings) = words(protocol, &[&asked.text], &HashMap::new());
        queries.push(Triplet {
            id,
            reference: asked.reference,
            text,
            wordings,
            targets,
            change: asked.change,
            slice: asked.slice,
            ..Default::default()
        });
    }
    let name = file.file_name().map_or_else(|| file.display().to_string(), |n| n.to_string_lossy().into_owned());
    let files = vec![(file.to_owned(), queries.len())];
    let exam = Benchmark {
        name,
        gallery,
        references: Vec::new(),
        queries,
        root,
        protocol: protocol.clone(),
        hidden: false,
        left_out: LeftOut::default(),
    };
    exam.check()?;
    Ok(Opened { exams: vec![exam], files, notes: Vec::new() })
}

/// What a file holds, before it is checked.
#[derive(Default)]
struct Found {
    asked: Vec<Asked>,
    gallery: Option<Vec<GalleryEntry>>,
    root: Option<PathBuf>,
}

struct Asked {
    place: Place,
    asked: Question,
}

/// Where in the file something stands.
#[derive(Clone, Copy)]
enum Place {
    Line(usize),
    Entry(usize),
}

impl Place {
    fn fault(self, file: &Path, fault: String) -> Error {
        match self {
            Place::Line(line) => at(file, line, fault),
            Place::Entry(index) => entry(file, index, fault),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Question {
    #[serde(default)]
    id: Option<String>,
    reference: String,
    text: String,
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    negatives: Vec<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "people's files have it; nothing is marked by it yet")]
    group: Option<String>,
    #[serde(default)]
    change: Option<Change>,
    #[serde(default)]
    slice: Option<String>,
}

impl Found {
    /// A gallery of all that is named.
    fn named(&self) -> Result<Vec<GalleryEntry>> {
        let (mut once, mut out) = (HashSet::new(), Vec::new());
        for Asked { place, asked } in &self.asked {
            let names = [Some(&asked.reference), asked.target.as_ref()].into_iter().flatten();
            for name in names.chain(&asked.targets).chain(&asked.negatives) {
                check_path(name).map_err(|f| place.fault(Path::new("the questions"), f))?;
                if once.insert(name.as_str()) {
                    out.push(GalleryEntry { name: name.clone(), path: name.clone(), ..Default::default() });
                }
            }
        }
        Ok(out)
    }
}

fn of_jsonl(file: &Path) -> Result<Found> {
    let asked = read_lines(file, |line, text| {
        let asked = serde_json::from_str(text).map_err(at_column)?;
        Ok(Asked { place: Place::Line(line), asked })
    })?;
    Ok(Found { asked, ..Found::default() })
}

fn of_csv(file: &Path) -> Result<Found> {
    let mut csv = Csv::open(file)?;
    let (reference, text) = (csv.column("reference")?, csv.column("text")?);
    let target = csv.find("targets").map_or_else(|| csv.column("target"), Ok)?;
    let [id, negatives, change, slice] = ["id", "negatives", "change", "slice"].map(|c| csv.find(c));
    let list = |text: &str| text.split('|').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect();
    let mut found = Found::default();
    while let Some(row) = csv.row()? {
        let optional = |c: Option<usize>| c.map(|c| row.fields[c].clone()).filter(|t| !t.is_empty());
        let change = match optional(change).as_deref() {
            None => None,
            Some("explicit") => Some(Change::Explicit),
            Some("implied") => Some(Change::Implied),
            Some(other) => {
                return Err(at(file, row.line, format!("`change` is explicit or implied, not {other:?}")));
            }
        };
        found.asked.push(Asked {
            place: Place::Line(row.line),
            asked: Question {
                id: optional(id),
                reference: row.fields[reference].clone(),
                text: row.fields[text].clone(),
                targets: list(&row.fields[target]),
                negatives: list(&optional(negatives).unwrap_or_default()),
                change,
                slice: optional(slice),
                ..Question::default()
            },
        });
    }
    Ok(found)
}

/// COCO's numbers are numbers, other people's are texts.
#[derive(Deserialize, PartialEq, Eq, Hash, Clone)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Id::Number(n) => n.fmt(f),
            Id::Text(t) => f.write_str(t),
        }
    }
}

#[derive(Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    #[serde(alias = "triplets")]
    annotations: Vec<CocoTriplet>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: Id,
    file_name: String,
    #[serde(default)]
    caption: Option<String>,
}

#[derive(Deserialize)]
struct CocoTriplet {
    #[serde(default)]
    id: Option<Id>,
    #[serde(alias = "reference_image_id", alias = "image_id")]
    reference_id: Id,
    #[serde(default, alias = "target_image_id")]
    target_id: Option<Id>,
    #[serde(default, alias = "target_image_ids")]
    target_ids: Vec<Id>,
    #[serde(alias = "caption")]
    text: String,
}

fn of_coco(file: &Path) -> Result<Found> {
    let Coco { images, annotations } = read_json(file)?;
    let mut gallery = Vec::with_capacity(images.len());
    for (i, image) in images.iter().enumerate() {
        check_path(&image.file_name).map_err(|f| entry(file, i, f))?;
        gallery.push(GalleryEntry {
            name: image.id.to_string(),
            path: image.file_name.clone(),
            caption: image.caption.clone(),
            ..Default::default()
        });
    }
    let asked = annotations.into_iter().enumerate().map(|(i, a)| Asked {
        place: Place::Entry(i),
        asked: Question {
            id: a.id.map(|id| id.to_string()),
            reference: a.reference_id.to_string(),
            text: a.text,
            targets: a.target_id.iter().chain(&a.target_ids).map(Id::to_string).collect(),
            ..Question::default()
        },
    });
    Ok(Found { asked: asked.collect(), gallery: Some(gallery), root: None })
}

/// More of an archive is not read.
const MAX_TAR_FILES: usize = 5_000_000;
/// A larger JSON within an archive is refused.
const MAX_TAR_JSON: u64 = 1 << 20;

#[derive(Deserialize)]
struct Sample {
    #[serde(alias = "caption", alias = "instruction")]
    text: String,
    #[serde(default)]
    id: Option<Id>,
}

/// A WebDataset archive: files that share what stands before the first dot are one sample.
fn of_tar(file: &Path, unpack: &Path) -> Result<Found> {
    let io = |source| Error::Io { path: file.to_owned(), source };
    let mut tar = BufReader::new(File::open(file).map_err(io)?);
    std::fs::create_dir_all(unpack).map_err(|source| Error::Io { path: unpack.to_owned(), source })?;
    // Which archive lies there whole: of another one, files of the same names and sizes are other files.
    let about = tar.get_ref().metadata().map_err(io)?;
    let of = format!("{}\n{}\n{:?}\n", file.display(), about.len(), about.modified().ok());
    let whole = unpack.join(".archive");
    let unpacked = std::fs::read_to_string(&whole).is_ok_and(|old| old == of);
    if !unpacked
        && let Err(e) = std::fs::remove_file(&whole)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(Error::Io { path: whole, source: e });
    }
    #[derive(Default)]
    struct Whole {
        reference: Option<String>,
        targets: Vec<String>,
        sample: Option<Sample>,
    }
    let mut samples: BTreeMap<String, (usize, Whole)> = BTreeMap::new();
    for index in 0.. {
        let says = |fault: String| entry(file, index, fault);
        let Some((name, size)) = tar_header(&mut tar).map_err(&says)? else { break };
        if index > MAX_TAR_FILES {
            return Err(says(format!("more than {MAX_TAR_FILES} files; split the archive")));
        }
        let mut body = (&mut tar).take(size);
        if let Some(name) = name {
            check_path(&name).map_err(&says)?;
            let base = name.rsplit('/').next().unwrap_or_default();
            let Some((stem, kind)) = base.split_once('.') else {
                return Err(says(format!(
                    "{name} has no ending; a sample's files are key.ref.jpg, key.tgt.jpg, key.json"
                )));
            };
            let key = format!("{}{stem}", &name[..name.len() - base.len()]);
            let next = samples.len();
            let (_, whole) = samples.entry(key).or_insert_with(|| (next, Whole::default()));
            if kind == "json" {
                if size > MAX_TAR_JSON {
                    return Err(says(format!("{name} is larger than {MAX_TAR_JSON} bytes")));
                }
                let mut text = Vec::new();
                body.read_to_end(&mut text).map_err(io)?;
                whole.sample = Some(serde_json::from_slice(&text).map_err(|e| says(format!("{name}: {e}")))?);
            } else if kind.starts_with("ref.") || kind.starts_with("tgt") {
                let to = unpack.join(&name);
                let io = |source| Error::Io { path: to.clone(), source };
                if let Some(folder) = to.parent() {
                    std::fs::create_dir_all(folder).map_err(io)?;
                }
                // What an earlier run unpacked whole is not written again.
                if unpacked && std::fs::metadata(&to).is_ok_and(|m| m.len() == size) {
                    std::io::copy(&mut body, &mut std::io::sink()).map_err(io)?;
                } else {
                    let mut out = File::create(&to).map_err(io)?;
                    let copied = std::io::copy(&mut body, &mut out).map_err(io)?;
                    if copied < size {
                        return Err(says(format!(
                            "{name} is cut off after {copied} of {size} bytes; is the archive whole?"
                        )));
                    }
                }
                match kind.starts_with("ref.") {
                    true => whole.reference = Some(name),
                    false => whole.targets.push(name),
                }
            }
        }
        std::io::copy(&mut body, &mut std::io::sink()).map_err(io)?;
        let padding = (512 - size % 512) % 512;
        std::io::copy(&mut (&mut tar).take(padding), &mut std::io::sink()).map_err(io)?;
    }
    std::fs::write(&whole, &of).map_err(|source| Error::Io { path: whole, source })?;
    let mut ordered: Vec<_> = samples.into_iter().collect();
    ordered.sort_by_key(|(_, (place, _))| *place);
    let root = unpack.canonicalize().unwrap_or_else(|_| unpack.to_owned());
    let mut found = Found { root: Some(root), ..Found::default() };
    for (i, (key, (_, whole))) in ordered.into_iter().enumerate() {
        let lacks = |what: &str| entry(file, i, format!("the sample {key} has no {what}"));
        let Sample { text, id } = whole.sample.ok_or_else(|| lacks("key.json"))?;
        let reference = whole.reference.ok_or_else(|| lacks("key.ref.… picture"))?;
        let asked = Question {
            id: Some(id.map_or_else(|| key.clone(), |id| id.to_string())),
            reference,
            text,
            targets: whole.targets,
            ..Question::default()
        };
        found.asked.push(Asked { place: Place::Entry(i), asked });
    }
    Ok(found)
}

/// The next header of a POSIX archive: a regular file's name and size; no name for anything else,
/// whose body is to be passed over. Names longer than a header (GNU's `L`, POSIX's `x`) are read.
fn tar_header(tar: &mut impl Read) -> std::result::Result<Option<(Option<String>, u64)>, String> {
    let mut long: Option<String> = None;
    for _ in 0..8 {
        let mut block = [0u8; 512];
        let mut got = 0;
        while got < block.len() {
            match tar.read(&mut block[got..]).map_err(|e| e.to_string())? {
                0 => break,
                n => got += n,
            }
        }
        if got == 0 || block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        if got < block.len() {
            return Err("the archive ends within a header; is it whole?".to_owned());
        }
        let sum: u64 =
            block.iter().enumerate().map(|(i, b)| u64::from(if (148..156).contains(&i) { b' ' } else { *b })).sum();
        if octal(&block[148..156]) != Some(sum) {
            return Err("a header's checksum is wrong; this is no tar archive, or a broken one".to_owned());
        }
        let size = octal(&block[124..136]).ok_or("a header's size is no number")?;
        let text = |bytes: &[u8]| {
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            String::from_utf8(bytes[..end].to_vec()).map_err(|_| "a name is not UTF-8".to_owned())
        };
        match block[156] {
            b'L' | b'x' => {
                if size > 1 << 16 {
                    return Err("a name is longer than 64 KiB".to_owned());
                }
                let mut body = vec![0u8; (size as usize).div_ceil(512) * 512];
                tar.read_exact(&mut body).map_err(|e| e.to_string())?;
                body.truncate(size as usize);
                let said = text(&body)?;
                long = match block[156] {
                    b'L' => Some(said),
                    _ => said.lines().find_map(|l| l.split_once(" path=").map(|(_, p)| p.to_owned())).or(long),
                };
            }
            kind => {
                let (name, prefix) = (text(&block[..100])?, text(&block[345..500])?);
                let name = match (long, block[257..262] == *b"ustar" && !prefix.is_empty()) {
                    (Some(long), _) => long,
                    (None, true) => format!("{prefix}/{name}"),
                    (None, false) => name,
                };
                let name = name.trim_start_matches("./").to_owned();
                let size = if kind == b'5' || kind == b'2' || kind == b'1' { 0 } else { size };
                return Ok(Some(((kind == b'0' || kind == 0).then_some(name), size)));
            }
        }
    }
    Err("too many headers for one file".to_owned())
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let text = text.trim_matches(['\0', ' ']);
    u64::from_str_radix(if text.is_empty() { "0" } else { text }, 8).ok()
}
