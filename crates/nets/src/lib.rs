//! Here are frames or words, give me features.
//!
//! The only crate that turns the world into numbers: a [`view`] makes frames into pixels, [`words`]
//! makes text into ids, and a backbone makes both into features of one space.
//! What it does not know: what a method does with the features, where they are kept, who asks.

mod backbone;
pub mod blip2;
pub mod clip;
mod device;
pub mod layers;
pub mod published;
pub mod siglip;
pub mod view;
pub mod weights;
pub mod words;

pub use backbone::{Backbone, Config, Family, FamilyError, Frames, joined};
pub use device::{Device, DeviceError, cpu, device, instructions, together};
pub use kernels::{Keeping, Path as CpuPath, Room, room};
