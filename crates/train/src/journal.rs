//! What a run writes down as it goes: one JSON object per line, and the same for TensorBoard.

use crate::TrainError;
use crate::checkpoint::replace;
use crate::tensorboard::Events;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A stage's journal.
pub struct Journal {
    path: PathBuf,
    lines: File,
    events: Events,
}

impl Journal {
    /// Opens the journal of `stage`; lines of steps after `step`, from before a kill, are dropped.
    pub fn open(dir: &Path, stage: &str, step: usize) -> Result<Self, TrainError> {
        let path = dir.join(format!("{stage}.metrics.jsonl"));
        let fail = |path: &Path, e: std::io::Error| TrainError::File { path: path.to_owned(), why: e.to_string() };
        std::fs::create_dir_all(dir).map_err(|e| fail(dir, e))?;
        if let Ok(old) = std::fs::read_to_string(&path) {
            let kept: String = old
                .lines()
                .filter(|l| {
                    serde_json::from_str::<serde_json::Value>(l)
                        .is_ok_and(|v| v["step"].as_u64().is_some_and(|s| s as usize <= step))
                })
                .map(|l| format!("{l}\n"))
                .collect();
            // A kill here must not cost the lines that were kept.
            replace(&path, kept.as_bytes())?;
        }
        let lines = OpenOptions::new().create(true).append(true).open(&path).map_err(|e| fail(&path, e))?;
        let board = dir.join("tensorboard").join(stage);
        let events = Events::create(&board, step).map_err(|e| fail(&board, e))?;
        Ok(Self { path, lines, events })
    }

    /// One step's values.
    pub fn add(&mut self, step: usize, secs_per_step: f64, values: &[(&str, f32)]) -> Result<(), TrainError> {
        let mut line = serde_json::Map::new();
        line.insert("step".into(), step.into());
        line.insert("secs_per_step".into(), ((secs_per_step * 1e3).round() / 1e3).into());
        for (name, value) in values {
            line.insert((*name).into(), f64::from(*value).into());
        }
        let text = serde_json::Value::Object(line).to_string() + "\n";
        let fail = |e: std::io::Error| TrainError::File { path: self.path.clone(), why: e.to_string() };
        self.lines.write_all(text.as_bytes()).map_err(fail)?;
        self.events.add(step, values).map_err(fail)
    }
}
