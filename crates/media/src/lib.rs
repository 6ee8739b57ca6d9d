//! Here is a file, give me frames.

mod error;
mod frame;
mod picture;
mod limits;
mod media;
mod shape;
mod sniff;
mod video;
mod write;
mod yuv;

pub use error::{Error, Result};
pub use frame::Frame;
pub use picture::picture_from_bytes;
pub use limits::Limits;
pub(crate) use media::caught;
pub use media::{Clip, Info, Media, decoded_planes, open};
pub use shape::thumb;
pub use sniff::{Container, SNIFF_BYTES, sniff};
pub use video::ffmpeg::ffmpeg;
pub use write::{Mp4Writer, jpeg_bytes, png_bytes, write_jpeg, write_png};
