//! Which model a name means: the one inside the program, one that the user imported or pulled, one
//! that another tool brought into the shared cache, or a folder. Nobody is asked over a network.

use std::path::{Path, PathBuf};

use domain::Digest;
use hub::{Family, Hub, KNOWN, Known, Origin, Place, Record, Source, Store, known};

use crate::exit::{Exit, Failure, nearest};
use crate::folders;
use crate::paths::shown;

/// The name of the model inside the program.
pub const INSIDE: &str = "scenes-toy";

/// Everything that has a name.
pub struct Shelf {
    /// The shared cache, and the hub behind it.
    pub hub: Hub,
    /// The user's own names.
    pub store: Store,
}

/// What a name means.
#[derive(Clone, Debug, PartialEq)]
pub enum Meant {
    /// The one inside the program.
    Inside,
    /// A folder on this disk, or one checkpoint.
    Here {
        /// What it is called.
        name: String,
        /// Where its files are.
        folder: PathBuf,
    },
}

/// A model that is on this disk under a name.
pub struct Here {
    /// The name.
    pub name: String,
    /// Where its files are.
    pub folder: PathBuf,
    /// What was written down when it came, if it came through us.
    pub record: Option<Record>,
}

impl Shelf {
    /// As the environment says; opens nothing.
    pub fn open() -> Self {
        let env = |name: &str| std::env::var(name).ok();
        let place = Place::from_env(&env, &folders::home());
        Self { hub: Hub::new(place), store: Store { root: folders::data().join("models") } }
    }

    /// What was typed, as a model; what is known but not here is answered with how to bring it.
    pub fn find(&self, text: &str) -> Result<Meant, Failure> {
        if text.is_empty() || text == INSIDE {
            return Ok(Meant::Inside);
        }
        let path = Path::new(text);
        let is_path = text.contains(['/', '\\']) || text.starts_with('.');
        let as_folder = || Meant::Here { name: text.to_owned(), folder: path.to_owned() };
        if is_path && path.exists() {
            return Ok(as_folder());
        }
        if let Some(here) = self.named(text)? {
            return Ok(Meant::Here { name: here.name, folder: here.folder });
        }
        if let Some(known) = known(text) {
            return Err(self.absent(known));
        }
        if path.exists() {
            return Ok(as_folder());
        }
        let failure = Failure::new(Exit::Missing, format!("there is no model {text:?}: neither a name nor a folder"));
        let names: Vec<String> = KNOWN.iter().map(|k| k.name.to_owned()).chain(self.store.names()).collect();
        let failure = match nearest(text, names.iter().map(String::as_str)) {
            Some(meant) => failure.hint(format!("did you mean {meant:?}?")),
            None => failure,
        };
        Err(failure
            .hint("likebut model list prints all names")
            .hint("leave --model out to use the one inside the program"))
    }

    /// A name that is here: the user's own first, then what is known and in the cache.
    pub fn named(&self, name: &str) -> Result<Option<Here>, Failure> {
        let pulled = if name.contains('/') { self.pulled_from(name) } else { None };
        let name = pulled.as_deref().unwrap_or(name);
        let own = if hub::check_model(name).is_ok() { self.store.record(name)? } else { None };
        if let Some(record) = own {
            let folder = match &record.origin {
                Origin::Import { .. } => Some(self.store.folder(name)),
                Origin::Hub { repo, commit, .. } => {
                    let repo = hub::Repo::parse(repo)?;
                    self.hub.cache.snapshot(&repo, commit)
                }
            };
            // The cache may have been emptied, or moved: then it is as if it had never come.
            if let Some(folder) = folder {
                return Ok(Some(Here { name: name.to_owned(), folder, record: Some(record) }));
            }
        }
        let Some(known) = known(name) else { return Ok(None) };
        let found = self.hub.find(&Source::of(known)?);
        Ok(found.map(|(_, folder)| Here { name: known.name.to_owned(), folder, record: None }))
    }

    /// The name under which a repository was pulled.
    fn pulled_from(&self, repository: &str) -> Option<String> {
        self.store.names().into_iter().find(|name| {
            let record = self.store.record(name).ok().flatten();
            record.is_some_and(|r| matches!(&r.origin, Origin::Hub { repo, .. } if repo == repository))
        })
    }

    /// All that are here, sorted by name.
    pub fn here(&self) -> Vec<Here> {
        let mut names = self.store.names();
        names.extend(KNOWN.iter().map(|k| k.name.to_owned()));
        names.sort();
        names.dedup();
        names.iter().filter_map(|n| self.named(n).ok().flatten()).collect()
    }

    /// Folders of the shared cache that hold BERT's vocabulary, with which every BLIP-2 reads: Python's
    /// LAVIS brings it there.
    pub fn vocabularies(&self) -> Vec<PathBuf> {
        let repos = [
            "bert-base-uncased",
            "google-bert/bert-base-uncased",
            "Salesforce/blip2-itm-vit-g",
            "Salesforce/blip2-itm-vit-g-coco",
        ];
        let folders = repos.map(|r| self.hub.place.cache.join(format!("models--{}", r.replace('/', "--"))));
        let snapshots = folders.iter().flat_map(|f| std::fs::read_dir(f.join("snapshots")).into_iter().flatten());
        let mut found: Vec<PathBuf> = snapshots.flatten().map(|e| e.path()).collect();
        found.retain(|folder| folder.join("vocab.txt").is_file());
        found.sort();
        found
    }

    /// What a pull of this model that was stopped has left, in bytes.
    pub fn partial_bytes(&self, known: &Known) -> u64 {
        hub::Repo::parse(known.repo).map_or(0, |repo| self.hub.cache.partial_bytes(&repo))
    }

    fn absent(&self, known: &Known) -> Failure {
        let failure = Failure::new(Exit::Missing, format!("the model {} is not on this disk", known.name));
        let licence = known.licence.unwrap_or("its licence is shown first");
        let failure = match self.partial_bytes(known) {
            0 => failure.hint(format!("to bring it ({}, {licence}): likebut model pull {}", size(known), known.name)),
            n => failure.hint(format!(
                "a pull of it was stopped after {}; to go on: likebut model pull {}",
                decimal(n),
                known.name
            )),
        };
        match self.hub.place.offline {
            true => failure.hint("HF_HUB_OFFLINE forbids that now; a folder can be named instead: --model FOLDER"),
            false => failure.hint("if you have it in a folder: likebut model import FOLDER"),
        }
    }
}

/// A known model's size in words.
pub fn size(known: &Known) -> String {
    match known.size() {
        (bytes, true) => decimal(bytes),
        (bytes, false) => format!("at most about {}", decimal(bytes)),
    }
}

/// `299 MB`, `4.7 GB`: sizes as hubs print them.
pub fn decimal(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", value / 1e6),
        _ => format!("{:.1} GB", value / 1e9),
    }
}

/// The layout of a folder or a checkpoint that the user has, by what its configuration says of itself,
/// or the names of its tensors.
pub fn family_of(folder: &Path) -> Family {
    if folder.is_file() {
        let weights = nets::weights::Checkpoint::open(folder).ok();
        return match weights.and_then(|w| nets::Family::of(&w)) {
            Some(nets::Family::Blip2) => Family::Blip2,
            Some(nets::Family::Clip) => Family::Clip,
            Some(nets::Family::Siglip) => Family::Siglip,
            None => Family::Other,
        };
    }
    if folder.join("open_clip_config.json").exists() {
        return Family::OpenClip;
    }
    let text = media::whole(&folder.join("config.json"), 1 << 20).ok();
    let config: serde_json::Value = text.and_then(|t| serde_json::from_slice(&t).ok()).unwrap_or_default();
    match config["model_type"].as_str() {
        Some("clip") => Family::Clip,
        Some("blip-2") => Family::Blip2,
        Some("siglip" | "siglip2") => Family::Siglip,
        _ => Family::Other,
    }
}

/// A name in the store made from a path's last step or a repository's name.
pub fn name_from(path: &Path) -> String {
    let step = path.file_stem().filter(|_| path.is_file()).or(path.file_name()).unwrap_or_default();
    let text = step.to_string_lossy().to_lowercase();
    let clean: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' }).collect();
    clean.trim_matches(['-', '.', '_']).chars().take(64).collect()
}

/// The digest of a model's weights, which spaces carry. Files of the shared cache are named by theirs;
/// others are read.
pub fn digest<'a>(files: impl Iterator<Item = &'a Path>) -> Result<Digest, Failure> {
    let mut all = Vec::new();
    for file in files {
        let named = std::fs::read_link(file).ok();
        let named = named.and_then(|t| t.file_name()?.to_str()?.parse::<Digest>().ok());
        let fail = |e: std::io::Error| Failure::new(Exit::Missing, format!("{}: {e}", shown(file)));
        all.push(match named {
            Some(digest) => digest,
            None => Digest::of_reader(&mut std::fs::File::open(file).map_err(fail)?).map_err(fail)?,
        });
    }
    Ok(match all.as_slice() {
        [one] => *one,
        several => Digest::of(several.iter().map(Digest::to_string).collect::<String>().as_bytes()),
    })
}

/// A folder as a person reads it, where it may not exist.
pub fn place(folder: &Path) -> String {
    shown(&std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(dir: &Path) -> Shelf {
        let home = dir.display().to_string();
        let env = |name: &str| (name == "HF_HOME").then(|| home.clone());
        Shelf { hub: Hub::new(Place::from_env(&env, dir)), store: Store { root: dir.join("models") } }
    }

    #[test]
    fn a_name_means_one_thing() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = shelf(dir.path());
        for inside in ["", INSIDE] {
            assert_eq!(shelf.find(inside).unwrap(), Meant::Inside);
        }
        let folder = dir.path().join("My Clip");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("model.safetensors"), "x").unwrap();
        std::fs::write(folder.join("config.json"), "{\"model_type\":\"clip\"}").unwrap();
        assert_eq!(family_of(&folder), Family::Clip);
        let typed = folder.display().to_string();
        assert_eq!(shelf.find(&typed).unwrap(), Meant::Here { name: typed.clone(), folder: folder.clone() });
        assert_eq!(name_from(&folder), "my-clip");
        shelf.store.import("my-clip", &folder, &[], Family::Clip, false, &mut |_| {}).unwrap();
        let Meant::Here { folder, .. } = shelf.find("my-clip").unwrap() else { panic!("it is not inside") };
        assert!(folder.starts_with(dir.path().join("models")), "{folder:?}");
        assert_eq!(shelf.here().len(), 1);
        let failure = shelf.find("my-clap").unwrap_err();
        assert_eq!((failure.exit, failure.hints[0].as_str()), (Exit::Missing, "did you mean \"my-clip\"?"));
    }

    #[test]
    fn what_is_known_but_absent_says_how_to_bring_it() {
        let dir = tempfile::tempdir().unwrap();
        let failure = shelf(dir.path()).find("bge-vl-base").unwrap_err();
        assert_eq!(failure.exit, Exit::Missing);
        assert_eq!(failure.hints[0], "to bring it (299 MB, mit): likebut model pull bge-vl-base");
        let same = shelf(dir.path()).find("BAAI/BGE-VL-base").unwrap_err();
        assert_eq!(same.what, failure.what, "its repository is a name of it too");
        assert!(size(known("clip-l14").unwrap()).starts_with("at most about 1.7 GB"));
    }

    #[test]
    fn sizes_and_names_for_people() {
        assert_eq!(
            [0, 999, 12_345, 299_000_000, 4_690_000_000].map(decimal),
            ["0 B", "999 B", "12 kB", "299 MB", "4.7 GB"]
        );
        assert_eq!(name_from(Path::new("x/BGE-VL base (2)")), "bge-vl-base--2");
        assert_eq!(name_from(Path::new("/")), "");
    }
}
