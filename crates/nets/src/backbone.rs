//! One backbone of any family: pictures and words in, unit vectors of one space out.
//!
//! A method that needs more than vectors (the Q-Former's queries, CLIP's pseudo-words) asks for its
//! family by name and is told which one it got.

use crate::blip2::{self, Blip2};
use crate::clip::{self, Clip};
use crate::layers::{Numbers, normalise};
use crate::siglip::{self, Siglip};
use crate::weights::{Checkpoint, Loaded, Names, Shelf, Tensors, WeightsError, fill, floats};
use crate::words::{Cleaning, Reading, Words};
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Which frames, of those run through a network, belong to which item.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    /// For each item the indices of its frames, in time's order; at least one each.
    pub of: Vec<Vec<usize>>,
}

/// A family of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A vision transformer and a Q-Former.
    Blip2,
    /// Two towers.
    Clip,
    /// Two towers, taught pair by pair.
    Siglip,
}

impl Family {
    /// As manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blip2 => "blip2",
            Self::Clip => "clip",
            Self::Siglip => "siglip",
        }
    }

    /// Whose weights these are, by the names of their tensors; `None` if nobody's that is known here.
    pub fn of(weights: &Checkpoint) -> Option<Self> {
        let any = |found: &dyn Fn(&str) -> bool| weights.tensors().any(|(name, _)| found(name));
        // The eyes of BLIP-2 and CLIP have one name in transformers, so the Q-Former is asked first.
        if any(&|n| n.starts_with("Qformer.") || n.starts_with("qformer.")) {
            return Some(Self::Blip2);
        }
        if any(&|n| n.ends_with("vision_model.head.probe")) {
            return Some(Self::Siglip);
        }
        let names: Vec<&str> = weights.tensors().map(|(name, _)| name).collect();
        clip::import::Found::of(&names).ok().map(|_| Self::Clip)
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Blip2 => "BLIP-2",
            Self::Clip => "CLIP",
            Self::Siglip => "SigLIP",
        })
    }
}

/// A model of one family where another is needed.
#[derive(Debug, thiserror::Error)]
#[error(
    "this needs a {needed} backbone, the model's is {found}; choose a method that runs on {found}, or another model"
)]
pub struct FamilyError {
    /// What is needed.
    pub needed: Family,
    /// What the model is.
    pub found: Family,
}

/// The sizes of a backbone. In a manifest the family is the field `family`; without one it is
/// BLIP-2, which was there first.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    /// BLIP-2.
    Blip2(blip2::Config),
    /// CLIP.
    Clip(clip::Config),
    /// SigLIP.
    Siglip(siglip::Config),
}

impl Config {
    /// A preset of any family by name.
    pub fn preset(name: &str) -> Option<Self> {
        blip2::Config::preset(name)
            .map(Self::Blip2)
            .or_else(|| clip::Config::preset(name).map(Self::Clip))
            .or_else(|| siglip::Config::preset(name).map(Self::Siglip))
    }

    /// The names of all presets.
    pub fn presets() -> Vec<&'static str> {
        let names = |list: &mut dyn Iterator<Item = &'static str>| list.collect::<Vec<_>>();
        [
            names(&mut blip2::PRESETS.iter().map(|p| p.0)),
            names(&mut clip::PRESETS.iter().map(|p| p.0)),
            names(&mut siglip::PRESETS.iter().map(|p| p.0)),
        ]
        .concat()
    }

    /// The family.
    pub fn family(&self) -> Family {
        match self {
            Self::Blip2(_) => Family::Blip2,
            Self::Clip(_) => Family::Clip,
            Self::Siglip(_) => Family::Siglip,
        }
    }

    /// The sizes of a BLIP-2.
    pub fn blip2(&self) -> Result<&blip2::Config, FamilyError> {
        match self {
            Self::Blip2(c) => Ok(c),
            other => Err(FamilyError { needed: Family::Blip2, found: other.family() }),
        }
    }

    /// What [`Backbone::see`] keeps of a frame: so many tokens, each of so many numbers.
    pub fn seen(&self) -> [usize; 2] {
        match self {
            Self::Blip2(c) => [c.tokens(), c.vit_width],
            Self::Clip(_) | Self::Siglip(_) => [1, self.embed()],
        }
    }

    /// Side of the picture, pixels.
    pub fn image(&self) -> usize {
        match self {
            Self::Blip2(c) => c.image,
            Self::Clip(c) => c.image,
            Self::Siglip(c) => c.image,
        }
    }

    /// Dimension of the space.
    pub fn embed(&self) -> usize {
        match self {
            Self::Blip2(c) => c.embed,
            Self::Clip(c) => c.embed,
            Self::Siglip(c) => c.vision.width,
        }
    }

    /// Pieces the network knows.
    pub fn vocab(&self) -> usize {
        match self {
            Self::Blip2(c) => c.vocab,
            Self::Clip(c) => c.vocab,
            Self::Siglip(c) => c.vocab,
        }
    }

    /// Frames of a clip whose order it can tell; 1 where a clip's frames are a bag.
    pub fn frames(&self) -> usize {
        match self {
            Self::Blip2(c) => c.frame_positions.max(1),
            _ => 1,
        }
    }

    /// Longest text that it can read, in tokens.
    pub fn positions(&self) -> usize {
        match self {
            Self::Blip2(c) => c.positions,
            Self::Clip(c) => c.context,
            Self::Siglip(c) => c.context,
        }
    }

    /// How its words are read where nothing else is said.
    pub fn reading(&self) -> Reading {
        match self {
            Self::Blip2(c) => Reading::WordPiece { longest: c.positions.min(64) },
            Self::Clip(c) => Reading::Clip { longest: c.context, cleaning: Cleaning::Transformers },
            Self::Siglip(c) => Reading::Json { longest: c.context, pad: 0, lowercase: true },
        }
    }

    /// Whether the sizes fit together; the message says which do not.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Blip2(c) => c.check(),
            Self::Clip(c) => c.check(),
            Self::Siglip(c) => c.check(),
        }
    }
}

impl From<blip2::Config> for Config {
    fn from(c: blip2::Config) -> Self {
        Self::Blip2(c)
    }
}

impl From<clip::Config> for Config {
    fn from(c: clip::Config) -> Self {
        Self::Clip(c)
    }
}

impl From<siglip::Config> for Config {
    fn from(c: siglip::Config) -> Self {
        Self::Siglip(c)
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Named<'a, C> {
            family: &'static str,
            #[serde(flatten)]
            sizes: &'a C,
        }
        let family = self.family().name();
        match self {
            Self::Blip2(c) => c.serialize(serializer),
            Self::Clip(sizes) => Named { family, sizes }.serialize(serializer),
            Self::Siglip(sizes) => Named { family, sizes }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = serde_json::Map::deserialize(deserializer)?;
        let family = map.remove("family");
        let sizes = serde_json::Value::Object(map);
        let wrong = |e: serde_json::Error| de::Error::custom(e);
        match family.as_ref().map(|f| f.as_str().unwrap_or_default()) {
            None | Some("blip2") => serde_json::from_value(sizes).map(Self::Blip2).map_err(wrong),
            Some("clip") => serde_json::from_value(sizes).map(Self::Clip).map_err(wrong),
            Some("siglip") => serde_json::from_value(sizes).map(Self::Siglip).map_err(wrong),
            Some(other) => {
                Err(de::Error::custom(format!("unknown family {other:?} of networks; known are blip2, clip, siglip")))
            }
        }
    }
}

/// A network of any family.
#[derive(Clone, Debug)]
pub enum Backbone {
    /// BLIP-2.
    Blip2(Box<Blip2>),
    /// CLIP.
    Clip(Box<Clip>),
    /// SigLIP.
    Siglip(Box<Siglip>),
}

impl From<Blip2> for Backbone {
    fn from(net: Blip2) -> Self {
        Self::Blip2(Box::new(net))
    }
}

impl From<Clip> for Backbone {
    fn from(net: Clip) -> Self {
        Self::Clip(Box::new(net))
    }
}

impl From<Siglip> for Backbone {
    fn from(net: Siglip) -> Self {
        Self::Siglip(Box::new(net))
    }
}

impl Backbone {
    /// Weights drawn at random.
    pub fn new(c: &Config, device: &Device) -> Self {
        match c {
            Config::Blip2(c) => Blip2::new(c, device).into(),
            Config::Clip(c) => Clip::new(c, device).into(),
            Config::Siglip(c) => Siglip::new(c, device).into(),
        }
    }

    /// A network of these sizes with somebody's weights, and what became of each of their tensors.
    pub fn read(c: &Config, from: &Checkpoint, device: &Device) -> Result<(Self, Loaded), WeightsError> {
        Ok(match c {
            Config::Blip2(c) => {
                let (net, report) = blip2::import::load(c, from, device)?;
                (net.into(), report)
            }
            Config::Clip(c) => {
                let (net, report) = clip::import::load(c, from, device)?;
                (net.into(), report)
            }
            Config::Siglip(c) => {
                let (net, report) = siglip::import::load(c, from, device)?;
                (net.into(), report)
            }
        })
    }

    /// Packs the weights of the towers' layers, which never change again and are not saved any more;
    /// on the CPU only, elsewhere nothing happens. The last projections stay as they are.
    /// A tower that reads words alone is packed when it first does: whoever adds pictures has none.
    pub fn pack(&mut self, numbers: Numbers) {
        match self {
            Self::Blip2(net) => {
                net.vit.pack(numbers);
                net.qformer.pack(numbers);
            }
            Self::Clip(net) => {
                net.vision.pack(numbers);
                net.text.transformer.pack_later(numbers);
            }
            Self::Siglip(net) => {
                net.vision.pack(numbers);
                net.text.transformer.pack_later(numbers);
            }
        }
    }

    /// The family.
    pub fn family(&self) -> Family {
        match self {
            Self::Blip2(_) => Family::Blip2,
            Self::Clip(_) => Family::Clip,
            Self::Siglip(_) => Family::Siglip,
        }
    }

    /// The network, where it is a BLIP-2.
    pub fn blip2(&self) -> Result<&Blip2, FamilyError> {
        match self {
            Self::Blip2(net) => Ok(net),
            other => Err(FamilyError { needed: Family::Blip2, found: other.family() }),
        }
    }

    /// The network, where it is a CLIP.
    pub fn clip(&self) -> Result<&Clip, FamilyError> {
        match self {
            Self::Clip(net) => Ok(net),
            other => Err(FamilyError { needed: Family::Clip, found: other.family() }),
        }
    }

    /// What items show, from the pixels of their frames (N, 3, S, S): unit vectors (B, E).
    ///
    /// BLIP-2 reads an item's frames together; CLIP and SigLIP see one at a time, and the mean of
    /// the frames' unit vectors stands for the item.
    /// The pixels may come in pieces, frame after frame: each goes through the vision tower, where the memory
    /// is needed, before the next one is asked for.
    pub fn pictures(&self, pixels: &mut dyn Iterator<Item = Tensor<4>>, frames: &Frames) -> Tensor<2> {
        self.looked(joined(pixels.map(|some| self.see(some))), frames).0
    }

    /// The same as [`Backbone::pictures`], before the last scaling to length one: the mean of the
    /// frames' features as the network makes them. BGE-VL adds these.
    pub fn picture_features(&self, pixels: &mut dyn Iterator<Item = Tensor<4>>, frames: &Frames) -> Tensor<2> {
        self.looked(joined(pixels.map(|some| self.see(some))), frames).1
    }

    /// What the vision tower keeps of frames (N, 3, S, S), each seen by itself: (N, T, W), with T and W as
    /// [`Config::seen`] says. BLIP-2 keeps its tokens, the others one feature.
    pub fn see(&self, pixels: Tensor<4>) -> Tensor<3> {
        let one = |x: Tensor<2>| {
            let [n, e] = x.dims();
            x.reshape([n, 1, e])
        };
        match self {
            Self::Blip2(net) => net.see(pixels),
            Self::Clip(net) => one(net.vision.forward(pixels)),
            Self::Siglip(net) => one(net.vision.forward(pixels)),
        }
    }

    /// Both [`Backbone::pictures`] and [`Backbone::picture_features`], from what was kept of the frames (N, T, W).
    pub fn looked(&self, seen: Tensor<3>, frames: &Frames) -> (Tensor<2>, Tensor<2>) {
        match self {
            Self::Blip2(net) => {
                let pictures = normalise(blip2::pool(net.image_tokens(&net.sight(seen, frames))));
                (pictures.clone(), pictures)
            }
            Self::Clip(_) | Self::Siglip(_) => {
                let [n, _, e] = seen.dims();
                let each = seen.reshape([n, e]);
                (normalise(mean(normalise(each.clone()), frames)), mean(each, frames))
            }
        }
    }

    /// What texts say: unit vectors (B, E).
    pub fn text(&self, words: &Words) -> Tensor<2> {
        normalise(self.text_features(words))
    }

    /// The same before the scaling to length one; BLIP-2's are scaled already.
    pub fn text_features(&self, words: &Words) -> Tensor<2> {
        match self {
            Self::Blip2(net) => net.text(words),
            Self::Clip(net) => net.text.forward(words, None),
            Self::Siglip(net) => net.text.forward(words),
        }
    }

    /// What a cosine is multiplied by, and what is then added, before it is read as a likeness;
    /// absent where the weights do not say.
    pub fn logit(&self) -> Option<(f32, f32)> {
        let one = |t: Tensor<1>| floats(t).first().copied().unwrap_or_default();
        match self {
            Self::Blip2(_) => None,
            Self::Clip(net) => Some((one(net.logit_scale.val()).exp(), 0.0)),
            Self::Siglip(net) => Some((one(net.logit_scale.val()).exp(), one(net.logit_bias.val()))),
        }
    }

    /// All parameters, named by their path.
    pub fn tensors(&self) -> Tensors {
        match self {
            Self::Blip2(net) => Tensors::of(net.as_ref()),
            Self::Clip(net) => Tensors::of(net.as_ref()),
            Self::Siglip(net) => Tensors::of(net.as_ref()),
        }
    }

    /// The network with these values; every parameter must be there, in its shape.
    pub fn filled(self, from: &Tensors, device: &Device) -> Result<Self, WeightsError> {
        self.filled_from(from, &Names::same(), device)
    }

    /// The same from wherever tensors lie, one at a time: nothing is in memory twice.
    pub fn filled_from(self, from: &dyn Shelf, names: &Names, device: &Device) -> Result<Self, WeightsError> {
        Ok(match self {
            Self::Blip2(net) => fill(*net, from, names, device)?.0.into(),
            Self::Clip(net) => fill(*net, from, names, device)?.0.into(),
            Self::Siglip(net) => fill(*net, from, names, device)?.0.into(),
        })
    }
}

/// What was made piece by piece, in one: (N₁, …), (N₂, …), … → (N₁ + N₂ + …, …). One piece is not copied.
pub fn joined<const D: usize>(pieces: impl Iterator<Item = Tensor<D>>) -> Tensor<D> {
    let mut pieces: Vec<Tensor<D>> = pieces.collect();
    match pieces.len() {
        1 => pieces.remove(0),
        _ => Tensor::cat(pieces, 0),
    }
}

/// The mean over each item's frames: x (N, E) → (B, E).
fn mean(x: Tensor<2>, frames: &Frames) -> Tensor<2> {
    let (n, device) = (x.dims()[0], x.device());
    let b = frames.of.len();
    if b == n && frames.of.iter().enumerate().all(|(i, f)| f == &[i]) {
        return x;
    }
    let parts = frames.of.iter().map(|own| {
        let own: Vec<i32> = own.iter().map(|i| *i as i32).collect();
        x.clone().select(0, Tensor::<1, Int>::from_data(own.as_slice(), &device)).mean_dim(0) // (1, E)
    });
    Tensor::cat(parts.collect(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_without_a_family_is_blip2_and_the_others_say_theirs() {
        for name in Config::presets() {
            let config = Config::preset(name).unwrap();
            config.check().unwrap();
            let json = serde_json::to_value(&config).unwrap();
            assert_eq!(json.get("family").is_some(), config.family() != Family::Blip2);
            assert_eq!(serde_json::from_value::<Config>(json).unwrap(), config, "{name}");
        }
        let bare = serde_json::to_value(blip2::Config::toy()).unwrap();
        assert_eq!(serde_json::to_value(Config::from(blip2::Config::toy())).unwrap(), bare);
        let refused = |json: &str| serde_json::from_str::<Config>(json).unwrap_err().to_string();
        assert!(refused(r#"{"family": "eva"}"#).contains("known are blip2, clip, siglip"));
        assert!(refused(r#"{"family": "clip", "image": 224}"#).contains("missing field"));
    }

    #[test]
    fn a_clip_of_frames_is_the_mean_of_its_frames() {
        let device = crate::cpu();
        device.seed(3);
        for name in ["clip-tiny", "siglip-tiny"] {
            let net = Backbone::new(&Config::preset(name).unwrap(), &device);
            let pixels = Tensor::<4>::random([3, 3, 28, 28], burn::tensor::Distribution::Normal(0.0, 1.0), &device);
            let whole = || std::iter::once(pixels.clone());
            let each = net.pictures(&mut whole(), &Frames { of: vec![vec![0], vec![1], vec![2]] });
            let both = net.pictures(&mut whole(), &Frames { of: vec![vec![1], vec![0, 2]] });
            let e = each.dims()[1];
            let sum = each.clone().slice([0..1, 0..e]) + each.clone().slice([2..3, 0..e]);
            let gap = |a: Tensor<2>, b: Tensor<2>| (a - b).abs().max().into_scalar::<f32>();
            assert!(gap(both.clone().slice([0..1, 0..e]), each.slice([1..2, 0..e])) < 1e-5, "{name}");
            assert!(gap(both.slice([1..2, 0..e]), normalise(sum)) < 1e-5, "{name}");
        }
    }

    #[test]
    fn a_family_that_is_not_there_is_named() {
        let net = Backbone::new(&clip::Config::tiny().into(), &crate::cpu());
        let says = net.blip2().unwrap_err().to_string();
        assert!(says.contains("BLIP-2") && says.contains("CLIP"), "{says}");
    }
}
