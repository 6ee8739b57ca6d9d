//! How fast models are on this machine: measured when that is asked for, kept, shown.
//!
//! ```text
//! speeds.json   {"format": 1, "machines": {MACHINE: {NAME: {"place", "pictures_per_sec", …}}}}
//! ```
//!
//! A number holds for one machine, one way to compute and one place of the weights; where one of them
//! is another, it is not shown.

use std::path::PathBuf;
use std::time::Instant;

use domain::Embedding;
use media::Frame;
use methods::{Model, Seen};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::folders;
use crate::settings::Settings;
use crate::shelf::Meant;

/// The version of the file.
const FORMAT: u64 = 1;
/// A file that is larger is not ours.
const MAX_BYTES: u64 = 1 << 20;
/// So long something is done again and again; a first time that takes longer is enough.
const ENOUGH_SECS: f64 = 1.0;
/// So many at once at most.
const MOST: usize = 16;
/// What is read: as long as people's wishes are.
const TEXT: &str = "the same one, but red, and on a table by the window";

/// How fast a model is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Pictures that became vectors, decoding and resizing left out.
    pub pictures_per_sec: f64,
    /// Texts that became vectors.
    pub texts_per_sec: f64,
    /// From the disk to ready.
    pub load_secs: f64,
}

/// What was measured so far.
pub struct Speeds {
    path: PathBuf,
    machine: String,
    all: Value,
}

impl Speeds {
    /// From the user's folder. What cannot be read counts for nothing: it can be measured again.
    pub fn open(settings: &Settings) -> Self {
        let path = folders::data().join("speeds.json");
        let small = std::fs::metadata(&path).is_ok_and(|m| m.len() <= MAX_BYTES);
        let text = if small { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
        let all: Value = serde_json::from_slice(&text).unwrap_or_default();
        let all = if all["format"] == FORMAT { all } else { json!({"format": FORMAT, "machines": {}}) };
        Self { path, machine: machine(settings), all }
    }

    /// Of a model, if it was measured here and lies where it lay.
    pub fn of(&self, name: &str, meant: &Meant) -> Option<Speed> {
        let kept = &self.all["machines"][&self.machine][name];
        let number = |key: &str| kept[key].as_f64().filter(|n| n.is_finite() && *n > 0.0);
        (kept["place"].as_str()? == place(meant)).then_some(())?;
        Some(Speed {
            pictures_per_sec: number("pictures_per_sec")?,
            texts_per_sec: number("texts_per_sec")?,
            load_secs: number("load_secs")?,
        })
    }

    /// Keeps one.
    pub fn note(&mut self, name: &str, meant: &Meant, speed: &Speed) -> Result<(), Failure> {
        let mut kept = speed.json();
        kept["place"] = place(meant).into();
        self.all["machines"][&self.machine][name] = kept;
        let fail = |e: std::io::Error| Failure::from(e).about(format!("cannot write {}", self.path.display()));
        std::fs::create_dir_all(folders::data()).map_err(fail)?;
        let new = self.path.with_added_extension("new");
        std::fs::write(&new, format!("{:#}\n", self.all)).map_err(fail)?;
        std::fs::rename(&new, &self.path).map_err(fail)
    }
}

impl Speed {
    /// Of a model that took so long to load.
    pub fn measured(model: &Model, load_secs: f64) -> Self {
        let side = model.manifest.view.size;
        let seen = Seen { frames: vec![Frame::filled(side, side, [120, 100, 80])] };
        let pictures = |n: usize| model.embed(&vec![&seen; n]);
        let texts = |n: usize| model.say(&vec![TEXT; n]);
        Self { pictures_per_sec: rate(&pictures), texts_per_sec: rate(&texts), load_secs }
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        let round = |n: f64| (n * 1000.0).round() / 1000.0;
        json!({"pictures_per_sec": round(self.pictures_per_sec), "texts_per_sec": round(self.texts_per_sec),
               "load_secs": round(self.load_secs.max(0.001))})
    }
}

/// How many a second.
fn rate(once: &dyn Fn(usize) -> Vec<Embedding>) -> f64 {
    let timed = |n: usize| {
        let begun = Instant::now();
        let made = once(n).len();
        (made as f64, begun.elapsed().as_secs_f64().max(1e-6))
    };
    // The first time brings weights and memory to where they are needed.
    let (made, first) = timed(1);
    if first > 4.0 * ENOUGH_SECS {
        return made / first;
    }
    let (mut made, mut secs) = timed(1);
    let n = ((ENOUGH_SECS / 4.0 / secs) as usize).clamp(1, MOST);
    if n > 1 {
        (made, secs) = (0.0, 0.0);
    }
    while secs < ENOUGH_SECS {
        let (more, took) = timed(n);
        (made, secs) = (made + more, secs + took);
    }
    made / secs
}

/// Processor, cores, and the instructions or the device that compute.
pub fn machine(settings: &Settings) -> String {
    let way = match settings.device() {
        "cpu" => nets::instructions(),
        other => other,
    };
    format!("{}, {way}", crate::machine::machine())
}

fn place(meant: &Meant) -> String {
    match meant {
        Meant::Inside => concat!("inside likebut ", env!("CARGO_PKG_VERSION")).to_owned(),
        Meant::Here { folder, .. } => crate::paths::place(folder).display().to_string(),
    }
}
