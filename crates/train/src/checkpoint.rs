//! A run on disk: weights, optimizer and step in one file, so that they can never disagree.

use crate::{AdamW, TrainError};
use burn::module::Module;
use nets::weights::Tensors;
use std::path::{Path, PathBuf};

/// Where a stage's checkpoint lies.
pub struct Checkpoint {
    dir: PathBuf,
    file: PathBuf,
}

/// A checkpoint that was read.
pub struct Saved {
    /// Updates made.
    pub step: usize,
    /// Parameters.
    pub net: Tensors,
    /// First moments.
    pub first: Tensors,
    /// Second moments.
    pub second: Tensors,
}

impl Checkpoint {
    /// The checkpoint of `stage` in `dir`.
    pub fn at(dir: &Path, stage: &str) -> Self {
        Self { dir: dir.to_owned(), file: dir.join(format!("{stage}.checkpoint.safetensors")) }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes all of it under another name, then renames: a kill leaves the old one or the new one.
    pub fn write<M: Module>(&self, step: usize, fingerprint: &str, net: &M, adam: &AdamW) -> Result<(), TrainError> {
        let mut all = Tensors::default();
        all.add("net", Tensors::of(net));
        all.add("first", adam.first.clone());
        all.add("second", adam.second.clone());
        // Step numbers stay exact in two f32 halves.
        all.map.insert("step".into(), (vec![2], vec![(step >> 16) as f32, (step & 0xffff) as f32]));
        let bytes = all.to_bytes(false)?;
        let fail = |path: &Path, e: std::io::Error| TrainError::File { path: path.to_owned(), why: e.to_string() };
        std::fs::create_dir_all(&self.dir).map_err(|e| fail(&self.dir, e))?;
        let tmp = self.file.with_extension("tmp");
        let named = self.named();
        let write = |path: &Path, data: &[u8]| -> Result<(), TrainError> {
            let mut file = std::fs::File::create(path).map_err(|e| fail(path, e))?;
            std::io::Write::write_all(&mut file, data).and_then(|()| file.sync_all()).map_err(|e| fail(path, e))
        };
        // The fingerprint never changes within a run, so its file may be written first.
        write(&named, fingerprint.as_bytes())?;
        write(&tmp, &bytes)?;
        std::fs::rename(&tmp, &self.file).map_err(|e| fail(&self.file, e))
    }

    fn named(&self) -> PathBuf {
        self.file.with_extension("fingerprint.json")
    }

    /// Reads it, if there is one and it is of this run.
    pub fn read(&self, fingerprint: &str) -> Result<Option<Saved>, TrainError> {
        let fail = |path: &Path, e: std::io::Error| TrainError::File { path: path.to_owned(), why: e.to_string() };
        let bytes = match std::fs::read(&self.file) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fail(&self.file, e)),
        };
        let named = self.named();
        let theirs = std::fs::read_to_string(&named).map_err(|e| fail(&named, e))?;
        let other = |why: &str| TrainError::OtherRun { path: self.dir.clone(), why: why.to_owned() };
        if theirs != fingerprint {
            return Err(other("its recipe, seed or starting weights differ"));
        }
        let all = Tensors::from_bytes(&bytes)?;
        let step = match all.map.get("step") {
            Some((_, halves)) if halves.len() == 2 => ((halves[0] as usize) << 16) + halves[1] as usize,
            _ => return Err(other("it does not say at which step it was made")),
        };
        Ok(Some(Saved { step, net: all.under("net"), first: all.under("first"), second: all.under("second") }))
    }
}
