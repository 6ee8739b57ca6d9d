//! Here is a file, give me frames.

mod error;
mod frame;
mod write;
mod yuv;

pub use error::{Error, Result};
pub use frame::Frame;
pub use write::{Mp4Writer, jpeg_bytes, png_bytes, write_jpeg, write_png};
