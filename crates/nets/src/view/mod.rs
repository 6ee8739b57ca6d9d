//! What a network wants to see: a value that travels with the weights.
//!
//! A model trained on squashed pictures sees a centre-cropped one as something it has never met:
//! points of recall are lost without an error.
//! So the rule is data, written next to the weights and named in every [`domain::Space`].

mod kernels;
mod region;
mod resize;

pub use region::Region;
pub use resize::{Filter, resize};

use burn::tensor::{Device, Tensor};
use media::Frame;
use rayon::prelude::*;
use resize::{Axis, resample};

/// The mean and standard deviation that CLIP's pictures were scaled by; red, green, blue.
pub const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// See [`CLIP_MEAN`].
pub const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// How a picture is made square.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Both sides to the size, whatever the shape was: CoVR-2's rule, nothing is cut off.
    Squash,
    /// The shorter side to the size, then the middle: CLIP's rule.
    CentreCrop,
    /// Black beside the shorter side until the longer one is at most `ratio` times it, then as
    /// [`Fit::CentreCrop`]: the rule of CLIP4Cir and those after it (SPRC, HUD), with 1.25.
    /// Long pictures lose less at their ends.
    TargetPad {
        /// The longer side by the shorter one, at most; at least 1.
        ratio: f64,
    },
    /// Black beside the shorter side until both are equal: GeneCIS, behind [`Region::genecis`].
    PadSquare,
}

/// From a frame to the numbers a network reads.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Side of the square, pixels.
    pub size: u32,
    /// How a picture is made square.
    pub fit: Fit,
    /// How pixels are mixed, as Pillow does it; bicubic where a manifest says nothing.
    #[serde(default)]
    pub filter: Filter,
    /// Subtracted per channel, after scaling to 0…1.
    pub mean: [f32; 3],
    /// Divided by, per channel.
    pub std: [f32; 3],
}

impl View {
    /// Squash to a square, CLIP's mean and deviation: CoVR-2's view.
    pub fn squash(size: u32) -> Self {
        Self { size, fit: Fit::Squash, filter: Filter::Bicubic, mean: CLIP_MEAN, std: CLIP_STD }
    }

    /// The shorter side to the size, then the middle, CLIP's mean and deviation: CLIP's view.
    pub fn centre_crop(size: u32) -> Self {
        Self { fit: Fit::CentreCrop, ..Self::squash(size) }
    }

    /// Padded to 1.25 first: the view of CLIP4Cir, SPRC, HUD and ReTrack.
    pub fn target_pad(size: u32) -> Self {
        Self { fit: Fit::TargetPad { ratio: 1.25 }, ..Self::squash(size) }
    }

    /// GeneCIS's view, of a picture or of what [`Region::genecis`] leaves of one.
    pub fn genecis(size: u32) -> Self {
        Self { fit: Fit::PadSquare, ..Self::squash(size) }
    }

    /// Whether it can be used; the message says what cannot.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=4096).contains(&self.size) {
            return Err(format!("the view's size is {}, expected 1 to 4096", self.size));
        }
        if let Fit::TargetPad { ratio } = self.fit
            && !(1.0..=1e6).contains(&ratio)
        {
            return Err(format!("the view pads to the ratio {ratio}, expected at least 1"));
        }
        if self.mean.iter().any(|m| !m.is_finite()) || self.std.iter().any(|s| !s.is_normal()) {
            return Err(format!(
                "the view's mean {:?} and deviation {:?} are no numbers to scale by",
                self.mean, self.std
            ));
        }
        Ok(())
    }

    /// One frame as it will be seen: `size × size`.
    pub fn look(&self, frame: &Frame) -> Frame {
        let s = self.size;
        let (w, h) = (frame.width, frame.height);
        let (across, down) = match self.fit {
            Fit::Squash => (Axis::whole(w, s), Axis::whole(h, s)),
            Fit::CentreCrop => middle((w, 0), (h, 0), s),
            Fit::TargetPad { ratio } => {
                let long = f64::from(w.max(h));
                if long / f64::from(w.min(h)) < ratio {
                    middle((w, 0), (h, 0), s)
                } else {
                    let pad = |side: u32| ((long / ratio - f64::from(side)) / 2.0).max(0.0) as u64;
                    middle((w, pad(w)), (h, pad(h)), s)
                }
            }
            Fit::PadSquare => {
                let pad = |side: u32| {
                    let black = u64::from(w.max(h) - side);
                    Axis { before: black / 2, after: black - black / 2, ..Axis::whole(side, s) }
                };
                (pad(w), pad(h))
            }
        };
        resample(frame, self.filter, across, down, kernels::path())
    }

    /// Frames already at this size to pixels (N, 3, S, S).
    pub fn tensor(&self, seen: &[&Frame], device: &Device) -> Tensor<4> {
        let side = self.size as usize;
        let plane = side * side;
        let mut out = vec![0.0f32; seen.len() * 3 * plane];
        out.par_chunks_mut(3 * plane).zip(seen).for_each(|(out, frame)| {
            assert_eq!((frame.width, frame.height), (self.size, self.size), "a frame that the view has not looked at");
            for c in 0..3 {
                let (scale, shift) = (1.0 / (255.0 * self.std[c]), -self.mean[c] / self.std[c]);
                for (o, rgb) in out[c * plane..][..plane].iter_mut().zip(frame.rgb.chunks_exact(3)) {
                    *o = f32::from(rgb[c]) * scale + shift;
                }
            }
        });
        Tensor::<1>::from_data(burn::tensor::TensorData::new(out, [seen.len() * 3 * plane]), device).reshape([
            seen.len(),
            3,
            side,
            side,
        ])
    }
}

impl std::fmt::Display for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fit: String = match self.fit {
            Fit::Squash => "squash".into(),
            Fit::CentreCrop => "centre-crop".into(),
            Fit::TargetPad { ratio } => format!("target-pad-{ratio}"),
            Fit::PadSquare => "pad-square".into(),
        };
        let filter = match self.filter {
            Filter::Bicubic => "bicubic",
            Filter::Bilinear => "bilinear",
        };
        let colours = if (self.mean, self.std) == (CLIP_MEAN, CLIP_STD) {
            "clip".into()
        } else {
            format!("{:?}/{:?}", self.mean, self.std)
        };
        write!(f, "{fit} {} {filter} {colours}", self.size)
    }
}

/// The shorter side, its black included, to the size, and the middle of the longer one. Sides are
/// (pixels, black at each end). The rounding is torchvision's: lengths down, halves of the crop to the
/// even side.
fn middle(across: (u32, u64), down: (u32, u64), size: u32) -> (Axis, Axis) {
    let whole = |(pixels, black): (u32, u64)| u64::from(pixels) + 2 * black;
    let short = whole(across).min(whole(down));
    let axis = |side: (u32, u64)| {
        let to = (u128::from(size) * u128::from(whole(side)) / u128::from(short)) as u64;
        let rest = to - u64::from(size);
        let first = rest / 2 + u64::from(rest % 4 == 3);
        Axis { from: side.0 as usize, before: side.1, after: side.1, to, first, count: size as usize }
    };
    (axis(across), axis(down))
}

#[cfg(test)]
mod tests;
