//! Vectors that were made elsewhere: read by name, and kept in a space like any other.
//!
//! ```text
//! vectors.npy           (N, D) or (N, R, D); names in vectors.txt or vectors.names.txt, one per line
//! vectors.csv           name,number,number,…   (a header is recognised and passed over)
//! vectors.jsonl         {"name": "a", "vector": [0.1, …]}   or "vectors": [[…], …]
//! vectors.safetensors   one tensor per name, or a single one with names as for .npy; .pth likewise
//! vectors.parquet       a column of lists of floats, and one of names; or names as for .npy
//! folder/NAME.npy       one file per item, or NAME.pth, as CoVR keeps them
//! ```
//!
//! Everything is checked before memory is asked for, and a number that is none is refused by name.

mod parquet;

pub use parquet::FOREIGN;

use crate::SearchError;
use domain::{Digest, Embedding, ItemId, Kind, MediaRef, Space};
use library::{Library, NewItem};
use nets::weights::Checkpoint;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Larger files of vectors are refused.
pub const MAX_BYTES: u64 = 16 << 30;
/// A longer line of text is refused.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// Named vectors, all of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// Whose they are; each once.
    pub names: Vec<String>,
    /// Vectors per name.
    pub rows: usize,
    /// Length of each vector.
    pub dim: usize,
    /// All numbers.
    pub values: Vec<f32>, // (N, R, D)
    /// Digest of names and numbers: what tells one import from another.
    pub digest: Digest,
}

/// A file of vectors that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct VectorsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, where, and how to mend it.
    pub fault: String,
}

impl Vectors {
    /// Reads a file by its ending.
    pub fn read(path: &Path) -> Result<Self, VectorsError> {
        let says = |fault: String| VectorsError { path: path.to_owned(), fault };
        let size = std::fs::metadata(path).map_err(|e| says(e.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(says(format!("larger than {} GiB; split it", MAX_BYTES >> 30)));
        }
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let (names, rows, dim, values) = match ending.as_str() {
            "npy" => {
                let (shape, values) = npy(path, size).map_err(says)?;
                let (n, rows, dim) = shape3(&shape).map_err(says)?;
                (names_beside(path, n).map_err(says)?, rows, dim, values)
            }
            "csv" => csv(path).map_err(says)?,
            "jsonl" => jsonl(path).map_err(says)?,
            "safetensors" | "pth" | "pt" => checkpoint(path).map_err(says)?,
            "parquet" => parquet::read(path).map_err(says)?,
            other => {
                return Err(says(format!(
                    "{other:?} is no ending of a file of vectors; known are npy, csv, jsonl, safetensors, pth and parquet"
                )));
            }
        };
        Self::new(names, rows, dim, values).map_err(says)
    }

    /// Reads one `.npy` or `.pth` per name from a folder; names without a file are returned beside.
    pub fn read_folder(folder: &Path, names: &[String]) -> Result<(Self, Vec<String>), VectorsError> {
        let (mut kept, mut missing, mut shape, mut values) = (Vec::new(), Vec::new(), None, Vec::new());
        for name in names {
            let places = ["npy", "pth", "safetensors"].map(|ending| folder.join(format!("{name}.{ending}")));
            let Some(path) = places.iter().find(|p| p.is_file()) else {
                missing.push(name.clone());
                continue;
            };
            let says = |fault: String| VectorsError { path: path.clone(), fault };
            let (own, numbers) = of_one(path).map_err(says)?;
            if *shape.get_or_insert(own) != own {
                return Err(says(format!("its shape is {own:?}, that of the others {:?}", shape.unwrap_or_default())));
            }
            kept.push(name.clone());
            values.extend(numbers);
        }
        let (rows, dim) = shape.unwrap_or((1, 1));
        let fault = |fault| VectorsError { path: folder.to_owned(), fault };
        Ok((Self::new(kept, rows, dim, values).map_err(fault)?, missing))
    }

    /// Vectors from their parts, checked: whole, finite, and no name twice.
    pub fn new(names: Vec<String>, rows: usize, dim: usize, values: Vec<f32>) -> Result<Self, String> {
        let width = rows * dim;
        if width == 0 || values.len() != names.len() * width {
            return Err(format!("{} numbers are not {} names of {rows} × {dim}", values.len(), names.len()));
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(format!("the vector of {} holds {}, which is no number", names[at / width], values[at]));
        }
        let mut once = HashSet::with_capacity(names.len());
        if let Some(twice) = names.iter().find(|n| !once.insert(n.as_str())) {
            return Err(format!("{twice} has two vectors; names must be unique"));
        }
        let mut bytes = names.join("\0").into_bytes();
        bytes.extend(format!("\0\0{rows}\0{dim}\0").as_bytes());
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        Ok(Self { digest: Digest::of(&bytes), names, rows, dim, values })
    }

    /// Each to length one, so that inner products are cosines.
    pub fn normalised(mut self) -> Self {
        for vector in self.values.chunks_exact_mut(self.dim.max(1)) {
            let length = vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            if length > 0.0 {
                vector.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
            }
        }
        self
    }

    /// The vectors of each name.
    pub fn by_name(&self) -> HashMap<&str, &[f32]> {
        self.names.iter().map(String::as_str).zip(self.values.chunks_exact(self.rows * self.dim)).collect()
    }

    /// The space that they live in: theirs alone, named by their digest.
    pub fn space(&self) -> Space {
        Space {
            model: "imported".to_owned(),
            weights: self.digest,
            view: "made elsewhere".to_owned(),
            sampling: "made elsewhere".to_owned(),
            rows: self.rows,
            dim: self.dim,
        }
    }

    /// Keeps the vectors of `names` in a library, in their order; a name without vectors is an error.
    pub fn keep(
        &self,
        library: &mut Library,
        names: &[&str],
        tell: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<ItemId>, SearchError> {
        const TOGETHER: usize = 4096;
        let (space, by_name) = (self.space(), self.by_name());
        let embedding = |values: &[f32]| Embedding { dim: self.dim, values: values.to_vec() };
        let canary = self.values.get(..self.rows * self.dim).unwrap_or_default();
        library.bind(&space, &embedding(canary))?;
        let mut ids = Vec::with_capacity(names.len());
        for chunk in names.chunks(TOGETHER) {
            let new = chunk
                .iter()
                .map(|name| {
                    let values = by_name.get(name).ok_or_else(|| SearchError::NotImported((*name).to_owned()))?;
                    Ok(NewItem::new(MediaRef::file(*name), Kind::Picture, Digest::of(name.as_bytes()))
                        .with_vector(&space, embedding(values)))
                })
                .collect::<Result<Vec<_>, SearchError>>()?;
            ids.extend(library.put(&new)?);
            tell(ids.len(), names.len());
        }
        Ok(ids)
    }
}

/// The longest name that one line of numbers may have: a path's.
const MAX_NAME_BYTES: u64 = 4 << 10;

type Named = (Vec<String>, usize, usize, Vec<f32>);

fn shape3(shape: &[usize]) -> Result<(usize, usize, usize), String> {
    match *shape {
        [n, dim] => Ok((n, 1, dim)),
        [n, rows, dim] => Ok((n, rows, dim)),
        _ => Err(format!("its shape is {shape:?}; expected (names, length) or (names, vectors, length)")),
    }
}

/// The names that stand beside a file, one per line.
fn names_beside(path: &Path, n: usize) -> Result<Vec<String>, String> {
    let places = [path.with_extension("txt"), path.with_extension("names.txt")];
    let Some(list) = places.iter().find(|p| p.is_file()) else {
        return Err(format!(
            "the names of its {n} lines are not beside it; write {}, one per line",
            places[0].display()
        ));
    };
    // No path is longer, so a list of more bytes is not one of these names.
    let most = (n as u64).saturating_mul(MAX_NAME_BYTES).max(MAX_NAME_BYTES);
    let text = media::whole_text(list, most).map_err(|e| format!("{}: {e}", list.display()))?;
    let names: Vec<String> = text.lines().map(|l| l.trim_end_matches('\r').to_owned()).collect();
    match names.len() == n {
        true => Ok(names),
        false => Err(format!("{} has {} names for {n} lines of numbers", list.display(), names.len())),
    }
}

/// NumPy's format, versions 1 to 3: little-endian numbers in C order.
fn npy(path: &Path, size: u64) -> Result<(Vec<usize>, Vec<f32>), String> {
    let mut file = BufReader::new(File::open(path).map_err(|e| e.to_string())?);
    let mut fixed = [0u8; 8];
    file.read_exact(&mut fixed).map_err(|_| "it ends within its first bytes".to_owned())?;
    if fixed[..6] != *b"\x93NUMPY" {
        return Err("it is no .npy file: the first bytes are others".to_owned());
    }
    let wide = fixed[6] >= 2;
    let mut length = [0u8; 4];
    file.read_exact(&mut length[..if wide { 4 } else { 2 }]).map_err(|e| e.to_string())?;
    let length = u32::from_le_bytes(length) as usize;
    if length > 1 << 16 {
        return Err(format!("its header is {length} bytes long"));
    }
    let mut header = vec![0u8; length];
    file.read_exact(&mut header).map_err(|_| "it ends within its header".to_owned())?;
    let header = String::from_utf8_lossy(&header).into_owned();
    let value = |key: &str| {
        let at = header.find(&format!("'{key}'")).ok_or_else(|| format!("its header has no {key}"))?;
        let rest = header[at + key.len() + 2..].trim_start().strip_prefix(':').unwrap_or_default();
        Ok::<&str, String>(rest.trim_start())
    };
    if !value("fortran_order")?.starts_with("False") {
        return Err("it lies in Fortran order; save numpy.ascontiguousarray(x)".to_owned());
    }
    let shape = value("shape")?;
    let shape = shape.strip_prefix('(').and_then(|s| s.split_once(')')).ok_or("its shape is no tuple")?.0;
    let shape: Vec<usize> = shape
        .split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(|s| s.parse().map_err(|_| format!("its shape holds {s:?}")))
        .collect::<Result<_, String>>()?;
    let kind = value("descr")?;
    let kind = kind.trim_start_matches('\'').split('\'').next().unwrap_or_default().to_owned();
    let each = match kind.as_str() {
        "<f8" | "<i8" => 8,
        "<f4" | "<i4" => 4,
        "<f2" | "<i2" => 2,
        "|u1" | "|i1" => 1,
        other => return Err(format!("it holds {other:?}; save float32: x.astype('float32')")),
    };
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).ok_or("its shape overflows")?;
    let data = size - (8 + if wide { 4 } else { 2 } + length as u64).min(size);
    if (count as u64).checked_mul(each) != Some(data) {
        return Err(format!(
            "its header promises {count} numbers of {each} bytes, but {data} bytes follow; is it whole?"
        ));
    }
    let mut values = Vec::with_capacity(count);
    let mut bytes = vec![0u8; 1 << 16];
    let mut left = data as usize;
    while left > 0 {
        let n = left.min(bytes.len());
        file.read_exact(&mut bytes[..n]).map_err(|e| e.to_string())?;
        left -= n;
        let bytes = &bytes[..n];
        macro_rules! numbers {
            ($t:ty, $n:expr) => {
                values
                    .extend(bytes.chunks_exact($n).map(|c| <$t>::from_le_bytes(c.try_into().unwrap_or([0; $n])) as f32))
            };
        }
        match kind.as_str() {
            "<f8" => numbers!(f64, 8),
            "<i8" => numbers!(i64, 8),
            "<f4" => numbers!(f32, 4),
            "<i4" => numbers!(i32, 4),
            "<i2" => numbers!(i16, 2),
            "<f2" => values.extend(bytes.chunks_exact(2).map(|c| half::f16::from_le_bytes([c[0], c[1]]).to_f32())),
            "|i1" => numbers!(i8, 1),
            _ => numbers!(u8, 1),
        }
    }
    Ok((shape, values))
}

/// Lines of a text file, with limits.
fn lines(path: &Path, each: &mut dyn FnMut(usize, &str) -> Result<(), String>) -> Result<(), String> {
    let mut reader = BufReader::new(File::open(path).map_err(|e| e.to_string())?);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let got = (&mut reader).take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut bytes).map_err(|e| e.to_string())?;
        if got == 0 {
            break;
        }
        if got as u64 > MAX_LINE_BYTES {
            return Err(format!("line {line} is longer than {MAX_LINE_BYTES} bytes"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| format!("line {line}: not UTF-8 text"))?.trim();
        let text = if line == 1 { text.trim_start_matches('\u{feff}') } else { text };
        if !text.is_empty() {
            each(line, text).map_err(|fault| format!("line {line}: {fault}"))?;
        }
    }
    Ok(())
}

fn csv(path: &Path) -> Result<Named, String> {
    let (mut names, mut values, mut dim) = (Vec::new(), Vec::new(), None);
    lines(path, &mut |line, text| {
        let (name, rest) = match text.strip_prefix('"').and_then(|t| t.split_once("\",")) {
            Some((name, rest)) => (name.replace("\"\"", "\""), rest),
            None => {
                let (name, rest) = text.split_once(',').ok_or("expected name,number,number,…")?;
                (name.to_owned(), rest)
            }
        };
        let before = values.len();
        for field in rest.split(',') {
            match field.trim().parse::<f32>() {
                Ok(v) => values.push(v),
                Err(_) if line == 1 => {
                    values.truncate(before);
                    return Ok(());
                }
                Err(_) => return Err(format!("{:?} is no number", field.chars().take(40).collect::<String>())),
            }
        }
        let got = values.len() - before;
        if *dim.get_or_insert(got) != got {
            return Err(format!("it has {got} numbers, the first line {}", dim.unwrap_or_default()));
        }
        names.push(name);
        Ok(())
    })?;
    Ok((names, 1, dim.ok_or("it holds no vectors")?, values))
}

fn jsonl(path: &Path) -> Result<Named, String> {
    #[derive(serde::Deserialize)]
    struct Line {
        #[serde(alias = "id")]
        name: String,
        #[serde(default, alias = "embedding")]
        vector: Option<Vec<f32>>,
        #[serde(default)]
        vectors: Option<Vec<Vec<f32>>>,
    }
    let (mut names, mut values, mut shape) = (Vec::new(), Vec::new(), None);
    lines(path, &mut |_, text| {
        let line: Line = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let rows = match (line.vector, line.vectors) {
            (Some(one), None) => vec![one],
            (None, Some(many)) => many,
            _ => return Err("expected either `vector` or `vectors`".to_owned()),
        };
        let own = (rows.len(), rows.first().map_or(0, Vec::len));
        if rows.iter().any(|r| r.len() != own.1) || *shape.get_or_insert(own) != own {
            return Err(format!("its vectors are {own:?}, the first line's {:?}", shape.unwrap_or_default()));
        }
        names.push(line.name);
        values.extend(rows.into_iter().flatten());
        Ok(())
    })?;
    let (rows, dim) = shape.ok_or("it holds no vectors")?;
    Ok((names, rows, dim, values))
}

/// A file that holds one item's vectors.
fn of_one(path: &Path) -> Result<((usize, usize), Vec<f32>), String> {
    if path.extension().is_some_and(|e| e == "npy") {
        let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
        let (shape, values) = npy(path, size)?;
        return Ok((rows_of(&shape)?, values));
    }
    let file = Checkpoint::open(path).map_err(|e| e.to_string())?;
    let mut tensors = file.tensors();
    match (tensors.next(), tensors.next()) {
        (Some((name, entry)), None) => Ok((rows_of(&entry.shape)?, file.floats(name).map_err(|e| e.to_string())?)),
        (None, _) => Err("it holds no tensor".to_owned()),
        _ => Err("it holds several tensors; one item's file holds one".to_owned()),
    }
}

/// Tensors by name, in safetensors or a PyTorch file: read in place, nothing in them is run.
fn checkpoint(path: &Path) -> Result<Named, String> {
    let file = Checkpoint::open(path).map_err(|e| e.to_string())?;
    let tensors: Vec<(&str, Vec<usize>)> = file.tensors().map(|(name, entry)| (name, entry.shape.clone())).collect();
    let floats = |name: &str| file.floats(name).map_err(|e| e.to_string());
    if let [(name, shape)] = tensors.as_slice()
        && shape.len() >= 2
    {
        let (n, rows, dim) = shape3(shape)?;
        return Ok((names_beside(path, n)?, rows, dim, floats(name)?));
    }
    let (mut names, mut values, mut shape) = (Vec::new(), Vec::new(), None);
    for (name, own) in &tensors {
        let own = rows_of(own).map_err(|fault| format!("the tensor {name}: {fault}"))?;
        if *shape.get_or_insert(own) != own {
            return Err(format!("the tensor {name} is {own:?}, the first {:?}", shape.unwrap_or_default()));
        }
        names.push((*name).to_owned());
        values.extend(floats(name)?);
    }
    let (rows, dim) = shape.ok_or("it holds no tensors")?;
    Ok((names, rows, dim, values))
}

/// One item's vectors: one, or several.
fn rows_of(shape: &[usize]) -> Result<(usize, usize), String> {
    match *shape {
        [dim] => Ok((1, dim)),
        [rows, dim] => Ok((rows, dim)),
        // Frames of tokens, as CoVR keeps clips: every token of every frame.
        [frames, tokens, dim] => Ok((frames * tokens, dim)),
        _ => Err(format!("its shape is {shape:?}; expected (D,), (R, D) or (frames, tokens, D)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(shape: &str, descr: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((header.len() as u16).to_le_bytes());
        out.extend(header.as_bytes());
        out.extend(data);
        out
    }

    #[test]
    fn the_same_vectors_come_out_of_every_format() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let want = Vectors::new(vec!["a".into(), "b,c".into()], 1, 2, vec![0.5, -1.0, 2.0, 3.0]).unwrap();
        let data: Vec<u8> = want.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(at("v.npy"), bytes_of("(2, 2)", "<f4", &data)).unwrap();
        std::fs::write(at("v.txt"), "a\nb,c\n").unwrap();
        std::fs::write(at("v.csv"), "name,x,y\na,0.5,-1\n\"b,c\",2,3\n").unwrap();
        std::fs::write(at("v.jsonl"), "{\"name\":\"a\",\"vector\":[0.5,-1]}\n{\"id\":\"b,c\",\"vectors\":[[2,3]]}\n")
            .unwrap();
        let views = want.names.iter().zip(data.chunks_exact(8)).map(|(n, d)| {
            (n.clone(), safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], d).unwrap())
        });
        let file = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
        std::fs::write(at("v.safetensors"), file).unwrap();
        for name in ["v.npy", "v.csv", "v.jsonl", "v.safetensors"] {
            assert_eq!(Vectors::read(&at(name)).unwrap(), want, "{name}");
        }
        std::fs::write(
            at("h.npy"),
            bytes_of(
                "(2, 1, 2)",
                "<f8",
                &want.values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect::<Vec<_>>(),
            ),
        )
        .unwrap();
        std::fs::copy(at("v.txt"), at("h.names.txt")).unwrap();
        assert_eq!(Vectors::read(&at("h.npy")).unwrap(), want);
        std::fs::create_dir(at("f")).unwrap();
        std::fs::write(at("f/a.npy"), bytes_of("(2,)", "<f4", &data[..8])).unwrap();
        let (some, missing) = Vectors::read_folder(&at("f"), &want.names).unwrap();
        assert_eq!((some.names.len(), missing), (1, vec!["b,c".to_owned()]));
        let unit = want.normalised();
        assert!((unit.values[2].powi(2) + unit.values[3].powi(2) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn bad_files_are_refused_with_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let refused = |name: &str, bytes: &[u8], part: &str| {
            std::fs::write(at(name), bytes).unwrap();
            let text = Vectors::read(&at(name)).expect_err(part).to_string();
            assert!(text.contains(part) && text.contains(name), "{text}");
        };
        refused("a.npy", b"nothing", "ends within");
        refused("a.npy", b"nothing at all", "no .npy file");
        refused("a.npy", &bytes_of("(2, 2)", "<f4", &[0; 12]), "is it whole");
        refused("a.npy", &bytes_of("(99999999999, 99999999999)", "<f4", &[]), "overflows");
        refused("a.npy", &bytes_of("(2, 2)", "<c8", &[]), "float32");
        refused("a.npy", &bytes_of("(1, 2)", "<f4", &[0; 8]), "not beside it");
        std::fs::write(at("a.txt"), "x\ny\n").unwrap();
        refused("a.npy", &bytes_of("(1, 2)", "<f4", &[0; 8]), "2 names for 1");
        refused("a.csv", b"name,x\na,1\nb,zz\n", "line 3");
        refused("a.csv", b"a,1\nb,1,2\n", "line 2");
        refused("a.csv", b"a,1\na,2\n", "two vectors");
        refused("a.csv", b"a,NaN\n", "no number");
        refused("a.csv", b"a,\xff\n", "not UTF-8");
        refused("a.jsonl", b"{\"name\":\"a\"}\n", "line 1");
        refused("a.safetensors", b"junk", "safetensors");
        refused("a.parquet", b"PAR1", "no Parquet");
        refused("a.bin", b"", "no ending");
    }

    #[test]
    fn spoilt_files_never_panic() {
        let dir = tempfile::tempdir().unwrap();
        let good = [
            ("v.npy", bytes_of("(2, 2)", "<f4", &[0; 16])),
            ("v.csv", b"name,x,y\na,0.5,-1\nb,2,3\n".to_vec()),
            ("v.jsonl", b"{\"name\":\"a\",\"vector\":[0.5,-1]}\n".to_vec()),
        ];
        std::fs::write(dir.path().join("v.txt"), "a\nb\n").unwrap();
        let mut seed = 5u64;
        let mut dice = |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % n
        };
        let mut refused = 0;
        for round in 0..600 {
            let (name, bytes) = &good[round % 3];
            let mut bytes = bytes.clone();
            for _ in 0..1 + dice(3) {
                let at = dice(bytes.len());
                match dice(3) {
                    0 => bytes[at] = dice(256) as u8,
                    1 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, b"0,9()'\n{"[dice(8)]),
                }
            }
            std::fs::write(dir.path().join(name), bytes).unwrap();
            refused += usize::from(Vectors::read(&dir.path().join(name)).is_err());
        }
        assert!(refused > 200, "{refused}");
    }
}
