//! A run on disk: weights, optimizer and step in one file, so that they can never disagree.

use crate::{AdamW, TrainError};
use burn::module::Module;
use nets::weights::Tensors;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a file under another name, then renames: whenever the program is killed, the old one is there
/// or the new one, whole. Makes the folder if need be.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let fail = |path: &Path, e: std::io::Error| TrainError::File { path: path.to_owned(), why: e.to_string() };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| fail(folder, e))?;
    }
    let mut tmp = path.as_os_str().to_owned();
    tmp.push(".tmp");
    let tmp = PathBuf::from(tmp);
    let mut file = std::fs::File::create(&tmp).map_err(|e| fail(&tmp, e))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| fail(&tmp, e))?;
    std::fs::rename(&tmp, path).map_err(|e| fail(path, e))
}

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

    /// Writes all of it; a kill leaves the old one or the new one.
    pub fn write<M: Module>(&self, step: usize, fingerprint: &str, net: &M, adam: &AdamW) -> Result<(), TrainError> {
        let mut all = Tensors::default();
        all.add("net", Tensors::of(net));
        all.add("first", adam.first.clone());
        all.add("second", adam.second.clone());
        // Step numbers stay exact in two f32 halves.
        all.map.insert("step".into(), (vec![2], vec![(step >> 16) as f32, (step & 0xffff) as f32]));
        let bytes = all.to_bytes(false)?;
        // The fingerprint never changes within a run, so its file is written once, and first.
        let named = self.named();
        if !std::fs::read(&named).is_ok_and(|old| old == fingerprint.as_bytes()) {
            replace(&named, fingerprint.as_bytes())?;
        }
        replace(&self.file, &bytes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use nets::layers::Linear;
    use std::io::Read;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_fingerprint_is_written_once_and_never_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let place = Checkpoint::at(dir.path(), "stage");
        let net = Linear::new(2, 2, 1.0, &nets::cpu());
        let write = |fingerprint: &str| place.write(1, fingerprint, &net, &AdamW::new(0.0, 0.0)).unwrap();
        write("of this run");
        let named = place.named();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        std::fs::File::options().write(true).open(&named).unwrap().set_modified(long_ago).unwrap();
        write("of this run");
        assert_eq!(std::fs::metadata(&named).unwrap().modified().unwrap(), long_ago, "it was there, and written again");
        // Another run's, whose checkpoint was removed: whoever holds the old file still reads all of it.
        let mut old = std::fs::File::open(&named).unwrap();
        write("of another");
        let mut text = String::new();
        old.read_to_string(&mut text).unwrap();
        assert_eq!(text, "of this run", "the old file was written over where it lay");
        assert!(place.read("of another").unwrap().is_some_and(|saved| saved.step == 1));
        assert!(matches!(place.read("of this run"), Err(TrainError::OtherRun { .. })));
    }
}
