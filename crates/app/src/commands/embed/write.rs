//! Vectors as a file that other programs read: NumPy's, or safetensors; row by row, f32.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use domain::{Embedding, Space};
use serde_json::json;

use crate::cli::Input;
use crate::exit::Failure;
use crate::paths::shown;

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// One array and nothing else.
    Npy,
    /// The array `vectors`, with the space and the inputs beside it.
    Safetensors,
}

impl Format {
    /// By the name's ending.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        match path.extension().and_then(|e| e.to_str()).map(str::to_lowercase).as_deref() {
            Some("npy") => Ok(Self::Npy),
            Some("safetensors") => Ok(Self::Safetensors),
            _ => Err(Failure::usage(format!("{} ends in neither .npy nor .safetensors", shown(path)))
                .hint("--out vectors.npy is read by numpy.load, --out vectors.safetensors tells the space too")),
        }
    }
}

/// A file that is being written under another name until it is whole.
pub struct Writer {
    out: Option<BufWriter<File>>,
    path: PathBuf,
    new: PathBuf,
    /// Numbers in a row.
    width: usize,
}

impl Writer {
    /// Begins a file of one row per input: (N, D), or (N, R, D) where an item has several vectors.
    pub fn new(path: &Path, format: Format, space: &Space, inputs: &[Input]) -> Result<Self, Failure> {
        let new = path.with_added_extension("tmp");
        let width = space.rows * space.dim;
        let shape = match space.rows {
            1 => vec![inputs.len(), space.dim],
            rows => vec![inputs.len(), rows, space.dim],
        };
        let head = match format {
            Format::Npy => npy_head(&shape),
            Format::Safetensors => safetensors_head(&shape, space, inputs),
        };
        let fail = |e: std::io::Error| Failure::from(e).about(format!("cannot write {}", shown(path)));
        let mut out = BufWriter::new(File::create(&new).map_err(fail)?);
        out.write_all(&head).map_err(fail)?;
        Ok(Self { out: Some(out), path: path.to_owned(), new, width })
    }

    /// The next row; NaN where there is none, so that the others stay where they belong.
    pub fn row(&mut self, row: Option<&Embedding>) -> Result<(), Failure> {
        let Some(out) = &mut self.out else { return Ok(()) };
        let mut bytes = Vec::with_capacity(4 * self.width);
        match row.filter(|r| r.values.len() == self.width) {
            Some(row) => row.values.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
            None => (0..self.width).for_each(|_| bytes.extend(f32::NAN.to_le_bytes())),
        }
        out.write_all(&bytes).map_err(|e| Failure::from(e).about(format!("cannot write {}", shown(&self.path))))
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> Result<(), Failure> {
        let done = match self.out.take() {
            Some(mut out) => out.flush().and_then(|()| std::fs::rename(&self.new, &self.path)),
            None => Ok(()),
        };
        done.map_err(|e| Failure::from(e).about(format!("cannot write {}", shown(&self.path))))
    }
}

/// What was begun and not finished is taken away.
impl Drop for Writer {
    fn drop(&mut self) {
        if self.out.take().is_some() {
            let _ = std::fs::remove_file(&self.new);
        }
    }
}

/// NumPy's header, version 1.0: the data begins at a multiple of 64 bytes.
fn npy_head(shape: &[usize]) -> Vec<u8> {
    let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape.join(", "));
    let fixed = 10;
    while !(fixed + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    // A shape of three numbers cannot be longer than 64 KiB.
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text.as_bytes());
    out
}

fn safetensors_head(shape: &[usize], space: &Space, inputs: &[Input]) -> Vec<u8> {
    let name = |input: &Input| match input {
        Input::File(file) => json!({"file": file}),
        Input::Text(text) => json!({"text": text}),
        Input::Question { reference, words } => json!({"reference": reference, "words": words}),
    };
    let bytes = 4 * shape.iter().product::<usize>();
    let about = json!({
        "inputs": json!(inputs.iter().map(name).collect::<Vec<_>>()).to_string(),
        "model": space.model, "weights": space.weights.to_string(), "space": space.to_string(),
        "space_id": space.id().to_string(), "made_by": concat!("likebut ", env!("CARGO_PKG_VERSION")),
    });
    let vectors = json!({"dtype": "F32", "shape": shape, "data_offsets": [0, bytes]});
    let mut text = json!({"__metadata__": about, "vectors": vectors}).to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_aligned_and_say_the_shape() {
        for shape in [vec![0, 256], vec![123_456, 32, 256]] {
            let head = npy_head(&shape);
            assert!(head.len().is_multiple_of(64) && head.ends_with(b"\n"), "{shape:?}");
            let said = format!("'shape': ({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", "));
            assert!(String::from_utf8_lossy(&head).contains(&said), "{said}");
        }
    }

    #[test]
    fn only_endings_that_are_known() {
        assert_eq!(Format::of(Path::new("x.NPY")).unwrap(), Format::Npy);
        assert!(Format::of(Path::new("x.csv")).is_err() && Format::of(Path::new("npy")).is_err());
    }
}
