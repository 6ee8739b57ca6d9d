//! Weights as they lie on somebody's disk: opened in place, listed, and read one tensor at a time.

use super::stored::{self, Contents, Entry};
use super::{Raw, Shelf, WeightsError, torch};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A checkpoint: one file or several, never read whole.
///
/// What a file is, its first bytes say, not its name: safetensors, or a zip of PyTorch's.
/// A folder is looked through for the names that are usual, an index of shards first.
pub struct Checkpoint {
    files: Vec<Arc<Held>>,
    tensors: BTreeMap<String, Entry>,
    aside: Vec<(String, String)>,
    about: BTreeMap<String, String>,
}

/// A file of it.
struct Held {
    path: PathBuf,
    bytes: Bytes,
}

enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    fn all(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// What a folder of weights is looked through for, the best first.
const USUAL: &[&str] = &[
    "model.safetensors.index.json",
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
];

/// Wrappers that a training leaves before every name: of several devices, of a compiler.
const WRAPPERS: &[&str] = &["module.", "_orig_mod."];

/// An index lists names; no model has as many as this allows.
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// Tensors smaller than this stay in memory after use: giving pages back costs more than they do.
const MIN_RELEASED_BYTES: usize = 1 << 20;

impl Checkpoint {
    /// Opens a file, a folder, or an index of shards (`….index.json`).
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        if path.is_dir() {
            return Self::open(&found_in(path)?);
        }
        if path.extension().is_some_and(|e| e == "json") {
            return Self::open_shards(path);
        }
        let bytes = mapped(path)?;
        Self::of(vec![(path.to_owned(), bytes)])
    }

    /// From bytes in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, WeightsError> {
        Self::of(vec![(PathBuf::new(), Bytes::Owned(bytes))])
    }

    /// Adds the tensors of another, their names behind `prefix`; of those that are here already, none.
    ///
    /// LAVIS keeps the vision transformer of its pretrained model in a file of its own.
    pub fn beside(mut self, other: Self, prefix: &str) -> Self {
        let first = self.files.len();
        for (name, entry) in other.tensors {
            self.tensors
                .entry(format!("{prefix}{name}"))
                .or_insert_with(|| Entry { file: first + entry.file, ..entry });
        }
        self.files.extend(other.files);
        self.aside.extend(other.aside);
        self
    }

    /// The same tensors under other names; where two would have one, the first stays.
    pub fn renamed(mut self, name: &dyn Fn(&str) -> String) -> Self {
        let mut tensors = BTreeMap::new();
        for (old, entry) in self.tensors {
            tensors.entry(name(&old)).or_insert(entry);
        }
        self.tensors = tensors;
        self
    }

    /// Every name, with what it is.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.tensors.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// One of them; `None` if it is not there.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.tensors.get(name)
    }

    /// One of them as f32, row-major.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let raw = self.raw(name).unwrap_or_else(|| Err(WeightsError::Absent(name.to_owned())))?;
        let dtype = raw.dtype();
        raw.floats().ok_or_else(|| WeightsError::Type { name: name.to_owned(), dtype: dtype.to_string() })
    }

    /// What was seen in the files and is not among the tensors, and why.
    pub fn aside(&self) -> &[(String, String)] {
        &self.aside
    }

    /// What the files say about themselves.
    pub fn about(&self) -> &BTreeMap<String, String> {
        &self.about
    }

    /// The files, in the order in which they were read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|held| held.path.as_path())
    }

    /// The bytes of all its files together.
    pub fn bytes(&self) -> usize {
        self.files.iter().map(|held| held.bytes.all().len()).sum()
    }

    fn open_shards(index: &Path) -> Result<Self, WeightsError> {
        let wrong = |why: String| WeightsError::Unreadable(format!("{}: {why}", index.display()));
        #[derive(serde::Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let text = media::whole(index, MAX_INDEX_BYTES).map_err(|e| fault(index, &e))?;
        let Index { weight_map } = serde_json::from_slice(&text)
            .map_err(|e| wrong(format!("not an index of shards, which has a weight_map of names to files: {e}")))?;
        let mut shards: Vec<&String> = weight_map.values().collect();
        shards.sort_unstable();
        shards.dedup();
        let folder = index.parent().unwrap_or(Path::new(""));
        let mut files = Vec::new();
        for shard in &shards {
            // A shard lies beside its index: whoever wrote the index must not choose what we open.
            let plain = Path::new(shard.as_str()).file_name().is_some_and(|name| name == shard.as_str());
            if !plain {
                return Err(wrong(format!("the shard {shard:?} is not a plain file name")));
            }
            let path = folder.join(shard);
            let bytes = mapped(&path)?;
            files.push((path, bytes));
        }
        let whole = Self::of(files)?;
        for (name, shard) in &weight_map {
            match whole.tensors.get(name) {
                Some(entry) if shards.get(entry.file).is_some_and(|s| *s == shard) => {}
                _ => return Err(wrong(format!("{name} should be in {shard}, and is not"))),
            }
        }
        Ok(whole)
    }

    fn of(files: Vec<(PathBuf, Bytes)>) -> Result<Self, WeightsError> {
        let mut whole = Self { files: Vec::new(), tensors: BTreeMap::new(), aside: Vec::new(), about: BTreeMap::new() };
        for (path, bytes) in files {
            let Contents { tensors, aside, about } =
                contents(bytes.all()).map_err(|e| if path.as_os_str().is_empty() { e } else { e.in_file(&path) })?;
            let file = whole.files.len();
            for (name, entry) in tensors {
                if whole.tensors.contains_key(&name) {
                    let why = format!("{name} is in two shards");
                    return Err(WeightsError::Unreadable(why).in_file(&path));
                }
                whole.tensors.insert(name, Entry { file, ..entry });
            }
            whole.aside.extend(aside);
            whole.about.extend(about);
            whole.files.push(Arc::new(Held { path, bytes }));
        }
        whole.unwrap_names();
        Ok(whole)
    }

    /// What trains on several devices puts its own name before all others'.
    fn unwrap_names(&mut self) {
        while let Some(wrapper) =
            WRAPPERS.iter().find(|w| !self.tensors.is_empty() && self.tensors.keys().all(|name| name.starts_with(**w)))
        {
            let bare = |(name, entry): (String, Entry)| (name[wrapper.len()..].to_owned(), entry);
            self.tensors = std::mem::take(&mut self.tensors).into_iter().map(bare).collect();
            self.about.entry("prefix".into()).or_default().push_str(wrapper);
        }
    }
}

impl Shelf for Checkpoint {
    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn raw(&self, name: &str) -> Option<Result<Raw<'_>, WeightsError>> {
        let entry = self.tensors.get(name)?;
        Some(entry.raw(self.files[entry.file].bytes.all()))
    }

    /// Gives the pages of a large tensor back, so that a loaded network does not stand in memory
    /// beside its file.
    fn release(&self, name: &str) {
        let Some(entry) = self.tensors.get(name) else { return };
        let at = &entry.at;
        if at.len() < MIN_RELEASED_BYTES {
            return;
        }
        #[cfg(unix)]
        if let Bytes::Mapped(map) = &self.files[entry.file].bytes {
            // SAFETY: the map is of a file and read-only, so a page that is dropped is read again,
            // with the same bytes, when it is next touched; nothing that is borrowed changes.
            let dropped = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, at.start, at.len()) };
            // A system that does not want the advice keeps the pages, which is slower at worst.
            drop(dropped);
        }
    }

    fn later(&self, names: &[&str]) -> Option<Box<dyn Shelf + Send + Sync>> {
        let entry = |name: &&str| Some(((*name).to_owned(), self.tensors.get(*name)?.clone()));
        let tensors: BTreeMap<_, _> = names.iter().filter_map(entry).collect();
        let mapped = |entry: &Entry| matches!(self.files[entry.file].bytes, Bytes::Mapped(_));
        let (aside, about) = (Vec::new(), BTreeMap::new());
        tensors.values().all(mapped).then(|| Box::new(Self { files: self.files.clone(), tensors, aside, about }) as _)
    }
}

/// Which file of a folder to open.
fn found_in(folder: &Path) -> Result<PathBuf, WeightsError> {
    if let Some(usual) = USUAL.iter().map(|name| folder.join(name)).find(|path| path.is_file()) {
        return Ok(usual);
    }
    let mut there: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|e| fault(folder, &e))?
        .filter_map(|item| Some(item.ok()?.path()))
        .filter(|path| {
            path.extension().is_some_and(|e| ["safetensors", "pth", "pt", "ckpt", "bin"].iter().any(|k| e == *k))
        })
        .collect();
    // What only completes another file is not what is meant.
    if there.len() > 1 {
        there.retain(|path| path.file_name().is_none_or(|name| name != crate::blip2::import::EYE));
    }
    there.sort();
    let refused = |why: String| WeightsError::Refused(format!("{}: {why}", folder.display()));
    match there.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(refused("no weights here; expected model.safetensors, an index of shards, or one .safetensors, .pth, .pt, .ckpt or .bin file".into())),
        many => {
            let names: Vec<_> = many.iter().filter_map(|p| p.file_name()?.to_str()).take(5).collect();
            Err(refused(format!("{} weights files ({} …); name the one that is meant", many.len(), names.join(", "))))
        }
    }
}

/// What the bytes hold, whatever they are.
fn contents(bytes: &[u8]) -> Result<Contents, WeightsError> {
    let refused = |why: &str| Err(WeightsError::Refused(why.to_owned()));
    let starts = |what: &[u8]| bytes.starts_with(what);
    if starts(b"version https://git-lfs") {
        return refused("this is a note of Git LFS in the place of the file; run `git lfs pull` where it came from");
    }
    if starts(b"<") {
        return refused(
            "this is a web page in the place of the file; open its address in a browser to see what it says",
        );
    }
    if starts(b"GGUF") {
        return refused("this is a GGUF file of a language model; take the safetensors of the same model");
    }
    if torch::knows(bytes) { torch::contents(bytes) } else { stored::entries(bytes) }
}

fn mapped(path: &Path) -> Result<Bytes, WeightsError> {
    let file = File::open(path).map_err(|e| fault(path, &e))?;
    // An empty file cannot be mapped everywhere.
    if file.metadata().map_err(|e| fault(path, &e))?.len() == 0 {
        return Ok(Bytes::Owned(Vec::new()));
    }
    // SAFETY: a mapped file must not shrink or change under us. Weights are written once, under
    // another name, and renamed into place; whoever rewrites one while it is being read gets numbers
    // of both, which no reader could prevent, and every offset was checked against the mapped length.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| fault(path, &e))?;
    Ok(Bytes::Mapped(map))
}

fn fault(path: &Path, e: &std::io::Error) -> WeightsError {
    WeightsError::File { path: path.to_owned(), why: e.to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::{Names, Source, Tensors, fill};
    use super::*;
    use crate::blip2::{Blip2, Config};
    use burn::module::Module;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("likebut-checkpoint-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_module_is_filled_from_a_mapped_file_and_the_report_says_what_was_done() {
        let device = crate::cpu();
        let net = Blip2::new(&Config::tiny(), &device);
        let mut all = Tensors::default();
        all.add("backbone", Tensors::of(&net));
        all.map.insert("head.gain".into(), (vec![], vec![1.5]));
        let dir = folder("fill");
        std::fs::write(dir.join("some.safetensors"), all.to_bytes(false).unwrap()).unwrap();
        let read = Checkpoint::open(&dir).unwrap();
        assert_eq!(read.tensors().len(), all.map.len());
        assert_eq!(read.entry("backbone.qformer.query_tokens").unwrap().shape, [1, 4, 16]);
        assert_eq!(read.floats("head.gain").unwrap(), [1.5]);
        assert!(matches!(read.floats("head.loss"), Err(WeightsError::Absent(_))));
        let empty = || Blip2::new(&Config::tiny(), &device);
        let (filled, report) = fill(empty(), &read, &Names::under("backbone"), &device).unwrap();
        assert_eq!(Tensors::of(&filled), Tensors::of(&net));
        assert_eq!((report.loaded.len(), report.numbers), (all.map.len() - 1, net.num_params()));
        assert_eq!(report.passed_over, [("head.gain".to_owned(), "another part's".to_owned())]);
        // Names that are not there, and a tensor that nobody asks for.
        let lacking = || Names::new(|path| (path != "ln_vision.beta").then(|| Source::of(format!("backbone.{path}"))));
        let refused = fill(empty(), &read, &lacking(), &device).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("1 tensors missing, 2 unexpected"), "{refused}");
        let (_, report) = fill(empty(), &read, &lacking().lenient(), &device).unwrap();
        assert_eq!((report.missing, report.unexpected.len()), (vec!["ln_vision.beta".to_owned()], 2));
        // Another picture size: refused, unless somebody knows how to resize.
        let larger = || Blip2::new(&Config { image: 42, ..Config::tiny() }, &device);
        let names = || Names::under("backbone");
        let refused = fill(larger(), &read, &names(), &device).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("vit.pos_embed is [1, 5, 16], the network needs [1, 10, 16]"), "{refused}");
        let twice = names().resizing(|m| Some(m.values.repeat(2)));
        let (_, report) = fill(larger(), &read, &twice, &device).unwrap();
        assert_eq!(report.reshaped, [("vit.pos_embed".to_owned(), vec![1, 5, 16], vec![1, 10, 16])]);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn large_weights_of_a_file_stay_there_until_they_are_wanted() {
        let device = crate::cpu();
        let config = Config { vocab: 5000, ..Config::tiny() }; // · 16 numbers
        let all = Tensors::of(&Blip2::new(&config, &device));
        let dir = folder("later");
        let path = dir.join("some.safetensors");
        let bytes = all.to_bytes(true).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let filled = |from: &Checkpoint, device: &burn::tensor::Device| {
            fill(Blip2::new(&config, device), from, &Names::same(), device).unwrap()
        };
        let (net, report) = filled(&Checkpoint::open(&path).unwrap(), &device);
        assert_eq!((report.loaded.len(), report.numbers), (all.map.len(), net.num_params()));
        assert!(net.qformer.query_tokens.is_initialized() && !net.qformer.word_embeddings.is_initialized());
        // The file has been closed by its name, and is still held by what will be read.
        std::fs::remove_file(&path).unwrap();
        let (now, _) = filled(&Checkpoint::from_bytes(bytes.clone()).unwrap(), &device);
        assert!(now.qformer.word_embeddings.is_initialized(), "what is in memory already is not kept twice");
        assert!(Tensors::of(&net) == Tensors::of(&now) && net.qformer.word_embeddings.is_initialized());
        // Who trains wants all of them, with gradients; and what does not fit is refused before it is wanted.
        std::fs::write(&path, &bytes).unwrap();
        let (trained, _) = filled(&Checkpoint::open(&path).unwrap(), &device.clone().autodiff());
        assert!(
            trained.qformer.word_embeddings.is_initialized() && trained.qformer.word_embeddings.val().is_require_grad()
        );
        let other = Blip2::new(&Config { vocab: 5001, ..Config::tiny() }, &device);
        let refused = fill(other, &Checkpoint::open(&path).unwrap(), &Names::same(), &device).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("word_embeddings is [5000, 16]"), "{refused}");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn shards_are_opened_together_and_an_index_cannot_point_elsewhere() {
        let tensors = |name: &str, v: f32| {
            Tensors { map: [(name.to_owned(), (vec![2], vec![v; 2]))].into() }.to_bytes(false).unwrap()
        };
        let dir = folder("shards");
        std::fs::write(dir.join("a.safetensors"), tensors("x", 1.0)).unwrap();
        std::fs::write(dir.join("b.safetensors"), tensors("y", 2.0)).unwrap();
        let index = dir.join("model.safetensors.index.json");
        let open = |map: &str| {
            std::fs::write(&index, format!("{{\"weight_map\": {map}}}")).unwrap();
            Checkpoint::open(&dir).map_err(|e| e.to_string())
        };
        let read = open(r#"{"x": "a.safetensors", "y": "b.safetensors"}"#).unwrap();
        assert_eq!((read.floats("x").unwrap(), read.floats("y").unwrap()), (vec![1.0; 2], vec![2.0; 2]));
        for (bad, why) in [
            (r#"{"x": "b.safetensors", "y": "b.safetensors"}"#, "x should be in b.safetensors"),
            (r#"{"x": "../a.safetensors"}"#, "not a plain file name"),
            (r#"{"x": "/etc/passwd"}"#, "not a plain file name"),
            (r#"{"x": ""}"#, "not a plain file name"),
            (r#"{"x": "c.safetensors"}"#, "c.safetensors"),
            ("[]", "not an index of shards"),
        ] {
            let said = open(bad).map(|_| ()).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
        std::fs::remove_file(index).unwrap();
        let said = Checkpoint::open(&dir).map(|_| ()).unwrap_err().to_string();
        assert!(said.contains("2 weights files (a.safetensors, b.safetensors"), "{said}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
