//! What a network wants to see: a value that travels with the weights.
//!
//! A model trained on squashed pictures sees a centre-cropped one as something it has never met:
//! points of recall are lost without an error.
//! So the rule is data, written next to the weights and named in every [`domain::Space`].

mod bicubic;

pub use bicubic::resize;

use burn::tensor::{Device, Tensor};
use media::Frame;
use rayon::prelude::*;

/// The mean and standard deviation that CLIP's pictures were scaled by; red, green, blue.
pub const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// See [`CLIP_MEAN`].
pub const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// How a picture is made square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Both sides to the size, whatever the shape was: CoVR-2's rule, nothing is cut off.
    Squash,
    /// The shorter side to the size, then the middle.
    CentreCrop,
}

/// From a frame to the numbers a network reads.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Side of the square, pixels.
    pub size: u32,
    /// How a picture is made square; the filter is Pillow's bicubic.
    pub fit: Fit,
    /// Subtracted per channel, after scaling to 0…1.
    pub mean: [f32; 3],
    /// Divided by, per channel.
    pub std: [f32; 3],
}

impl View {
    /// Squash to a square, CLIP's mean and deviation: CoVR-2's view.
    pub fn squash(size: u32) -> Self {
        Self { size, fit: Fit::Squash, mean: CLIP_MEAN, std: CLIP_STD }
    }

    /// One frame as it will be seen: `size × size`.
    pub fn look(&self, frame: &Frame) -> Frame {
        let s = self.size;
        match self.fit {
            Fit::Squash => resize(frame, s, s),
            Fit::CentreCrop => {
                let (w, h) = (frame.width as u64, frame.height as u64);
                let side = |long: u64, short: u64| ((long * s as u64) / short).max(s as u64) as u32;
                let (nw, nh) = if w <= h { (s, side(h, w)) } else { (side(w, h), s) };
                crop(&resize(frame, nw, nh), (nw - s) / 2, (nh - s) / 2, s)
            }
        }
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
        let fit = match self.fit {
            Fit::Squash => "squash",
            Fit::CentreCrop => "centre-crop",
        };
        let colours = if (self.mean, self.std) == (CLIP_MEAN, CLIP_STD) {
            "clip".into()
        } else {
            format!("{:?}/{:?}", self.mean, self.std)
        };
        write!(f, "{fit} {} bicubic {colours}", self.size)
    }
}

fn crop(frame: &Frame, left: u32, top: u32, side: u32) -> Frame {
    let row = frame.width as usize * 3;
    let rgb = (top..top + side)
        .flat_map(|y| &frame.rgb[y as usize * row + left as usize * 3..][..side as usize * 3])
        .copied()
        .collect();
    Frame { width: side, height: side, rgb }
}
