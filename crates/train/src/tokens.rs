//! What the vision transformer said of every frame, kept as f16: it is frozen, so it is asked once.
//! Of a BLIP-2 that is all its tokens, of families that see one frame at a time one feature.
//!
//! On disk the numbers lie in one plain file beside a description of what they are; the file is
//! memory-mapped, so that a world larger than memory can be learnt from, and a run that is killed
//! while it is being written goes on where the last whole batch ended.

use crate::TrainError;
use crate::data::Source;
use burn::tensor::{Tensor, TensorData};
use domain::Digest;
use half::f16;
use memmap2::Mmap;
use methods::Model;
use nets::blip2::{Blip2, Frames, Sight};
use nets::weights::{Tensors, floats};
use nets::{Backbone, Device};
use rayon::prelude::*;
use scenes::Rng;
use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::path::Path;

/// Frames that run through the vision transformer together. A file that is gone on with is cut to a
/// multiple of it, so that every frame is computed in the same company whatever happened before.
const TOGETHER: usize = 64;

enum Store {
    Memory(Vec<f16>),
    Disk(Mmap),
}

/// Vision tokens of all items of a split.
pub struct Tokens {
    store: Store,
    /// Numbers per frame.
    frame: usize,
    tokens: usize,
    frames: Vec<Range<usize>>,
    key: Option<Digest>,
}

impl Tokens {
    /// Runs every frame through the vision transformer once. `None` if it was stopped.
    pub fn in_memory(
        model: &Model,
        source: &dyn Source,
        tell: &dyn Fn(usize, usize),
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Self>, TrainError> {
        let (mut this, total) = Self::plan(model, source)?;
        let mut values = Vec::new();
        values.reserve_exact(total * this.frame);
        for from in (0..total).step_by(TOGETHER) {
            if stop() {
                return Ok(None);
            }
            let until = total.min(from + TOGETHER);
            values.par_extend(see(model, &source.show(from..until)?)?);
            tell(until, total);
        }
        this.store = Store::Memory(values);
        Ok(Some(this))
    }

    /// How many bytes [`Tokens::on_disk`] will take for these items.
    pub fn bytes(model: &Model, source: &dyn Source) -> Result<u64, TrainError> {
        let frames: usize = source.frames().iter().sum();
        Ok((frames * model.manifest.backbone.seen().iter().product::<usize>() * 2) as u64)
    }

    /// The same in the file `path`, or what lies there already if it is of these items and this
    /// network. `None` if it was stopped; what was written stays for the next time.
    pub fn on_disk(
        path: &Path,
        model: &Model,
        source: &dyn Source,
        tell: &dyn Fn(usize, usize),
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Self>, TrainError> {
        let fail = |path: &Path, e: std::io::Error| TrainError::File { path: path.to_owned(), why: e.to_string() };
        let (mut this, total) = Self::plan(model, source)?;
        let about = path.with_extension("json");
        let key = key(model, source)?;
        this.key = Some(key);
        let description = format!(
            "{:#}\n",
            serde_json::json!({
                "format": 1, "key": key, "numbers": "f16, little-endian", "frames": total,
                "tokens": this.tokens, "width": this.frame / this.tokens,
            })
        );
        let ours = std::fs::read_to_string(&about).is_ok_and(|old| old == description);
        let batch = (TOGETHER * this.frame * 2) as u64;
        let whole = (total * this.frame * 2) as u64;
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(!ours)
            .open(path)
            .map_err(|e| fail(path, e))?;
        let have = file.metadata().map_err(|e| fail(path, e))?.len();
        if !ours {
            std::fs::write(&about, &description).map_err(|e| fail(&about, e))?;
        }
        let keep = if have >= whole { whole } else { have - have % batch };
        file.set_len(keep).map_err(|e| fail(path, e))?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(|e| fail(path, e))?;
        let done = if keep == whole { total } else { (keep / batch) as usize * TOGETHER };
        for from in (done..total).step_by(TOGETHER) {
            if stop() {
                return Ok(None);
            }
            let until = total.min(from + TOGETHER);
            let bytes: Vec<u8> =
                see(model, &source.show(from..until)?)?.into_iter().flat_map(f16::to_le_bytes).collect();
            file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(|e| fail(path, e))?;
            tell(until, total);
        }
        if total == 0 {
            return Ok(Some(this));
        }
        let file = File::open(path).map_err(|e| fail(path, e))?;
        // SAFETY: the map is read-only and of a file in this run's own folder; if someone else cuts it
        // while the run goes on, the run ends with a bus error and loses nothing that was saved.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| fail(path, e))?;
        this.store = Store::Disk(map);
        Ok(Some(this))
    }

    /// What some items show, as the Q-Former reads it.
    pub fn sight(&self, net: &Blip2, items: &[usize], device: &Device) -> Sight {
        self.sight_of(net, items.iter().map(|item| self.frames[*item].clone().collect()), device)
    }

    /// The same of `n` frames of each item, or of all where it has no more, drawn by the generator that comes
    /// with it; they stay in time's order.
    pub fn glimpse(&self, net: &Blip2, items: impl Iterator<Item = (usize, Rng)>, n: usize, device: &Device) -> Sight {
        let some = items.map(|(item, mut rng)| {
            let mut frames: Vec<usize> = self.frames[item].clone().collect();
            rng.shuffle(&mut frames);
            frames.truncate(n);
            frames.sort_unstable();
            frames
        });
        self.sight_of(net, some, device)
    }

    fn sight_of(&self, net: &Blip2, items: impl Iterator<Item = Vec<usize>>, device: &Device) -> Sight {
        let (wanted, frames) = chosen(items);
        self.look(net, &wanted, frames, device)
    }

    /// What each frame of an item shows alone: as many pictures as it has frames.
    pub fn one_by_one(&self, net: &Blip2, item: usize, device: &Device) -> Sight {
        let wanted: Vec<usize> = self.frames[item].clone().collect();
        let of = (0..wanted.len()).map(|i| vec![i]).collect();
        self.look(net, &wanted, Frames { of }, device)
    }

    /// What some items show to a backbone that sees one frame at a time: [`nets::Backbone::looked`].
    pub fn looked(&self, backbone: &Backbone, items: &[usize], device: &Device) -> (Tensor<2>, Tensor<2>) {
        let (wanted, frames) = chosen(items.iter().map(|item| self.frames[*item].clone().collect()));
        backbone.looked(self.gathered(&wanted, device), &frames)
    }

    fn look(&self, net: &Blip2, wanted: &[usize], of: Frames, device: &Device) -> Sight {
        net.sight(self.gathered(wanted, device), &of)
    }

    /// What was kept of some frames (N, T, W).
    fn gathered(&self, wanted: &[usize], device: &Device) -> Tensor<3> {
        let mut out = vec![0.0f32; wanted.len() * self.frame];
        out.par_chunks_mut(self.frame).zip(wanted).for_each(|(out, frame)| match &self.store {
            Store::Memory(values) => {
                let from = &values[frame * self.frame..][..self.frame];
                out.iter_mut().zip(from).for_each(|(o, v)| *o = v.to_f32());
            }
            Store::Disk(map) => {
                let from = map[frame * self.frame * 2..][..self.frame * 2].chunks_exact(2);
                out.iter_mut().zip(from).for_each(|(o, b)| *o = f16::from_le_bytes([b[0], b[1]]).to_f32());
            }
        });
        let tokens = Tensor::<1>::from_data(TensorData::new(out, [wanted.len() * self.frame]), device);
        tokens.reshape([wanted.len(), self.tokens, self.frame / self.tokens])
    }

    /// Digest of all that they depend on: items, network and view; of those on disk only.
    pub fn key(&self) -> Option<Digest> {
        self.key
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.frames.len()
    }

    /// Where everything will lie, and how many frames there are.
    fn plan(model: &Model, source: &dyn Source) -> Result<(Self, usize), TrainError> {
        let [tokens, width] = model.manifest.backbone.seen();
        let mut at = 0;
        let frames = source.frames().into_iter().map(|n| {
            at += n;
            at - n..at
        });
        let frames = frames.collect();
        Ok((Self { store: Store::Memory(Vec::new()), frame: tokens * width, tokens, frames, key: None }, at))
    }
}

/// Frames of several items one after the other, and which are whose.
fn chosen(items: impl Iterator<Item = Vec<usize>>) -> (Vec<usize>, Frames) {
    let (mut of, mut wanted) = (Vec::new(), Vec::new());
    for frames in items {
        of.push((wanted.len()..wanted.len() + frames.len()).collect());
        wanted.extend(frames);
    }
    (wanted, Frames { of })
}

fn see(model: &Model, frames: &[Cow<'_, media::Frame>]) -> Result<Vec<f16>, TrainError> {
    let frames: Vec<&media::Frame> = frames.iter().map(AsRef::as_ref).collect();
    let seen = model.backbone.see(model.manifest.view.tensor(&frames, &model.device));
    Ok(floats(seen).into_par_iter().map(f16::from_f32).collect())
}

/// Which items, seen by which network, through which view.
fn key(model: &Model, source: &dyn Source) -> Result<Digest, TrainError> {
    let mut vit = Tensors::default();
    let mut text = format!("tokens 1\0{}\0{}", model.manifest.view, model.manifest.sampling);
    match model.backbone.blip2() {
        Ok(net) => {
            vit.add("vit", Tensors::of(&net.vit));
            vit.add("ln_vision", Tensors::of(&net.ln_vision));
        }
        // Its weights never change here.
        Err(_) => text.push_str(&format!("\0{}", model.manifest.weights)),
    }
    for (name, (_, values)) in &vit.map {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        text.push_str(&format!("\0{name}\0{}", Digest::of(&bytes)));
    }
    source.stamps().iter().for_each(|stamp| text.push_str(&format!("\0{stamp}")));
    Ok(Digest::of(text.as_bytes()))
}
