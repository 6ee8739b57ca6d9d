//! Here is a file, give me frames.
//!
//! # The tour
//!
//! **What is it?** Names lie, so [`sniff`] looks at the first bytes.
//! A *container* (MP4, Matroska, GIF …) is the wrapping: it says where each encoded frame lies and
//! when it is shown.
//! A *codec* (H.264, VP9, JPEG …) says how the pixels are packed.
//! Pictures (JPEG, PNG, WebP, GIF, BMP, TIFF) and the commonest kind of clip (H.264, 8 bits, 4:2:0,
//! progressive, in MP4 or MOV) are decoded here, with nothing installed.
//! Every other container and codec goes to an [`ffmpeg`](fn@ffmpeg) process if there is one; if
//! not, the error says what it was.
//!
//! **When?** A clip has a clock of its own (so many ticks a second) and need not have an even rate.
//! Frames are *decoded* in another order than they are *shown*, because some are predicted from
//! later ones; and an edit list may hide some.
//! Here frames are numbered in the order in which they are shown, and times are seconds from the
//! first one that is.
//!
//! **Which?** [`domain::Sampling`] says which frames are looked at.
//! Only key frames can be decoded alone; for any other we begin at the key frame before it and
//! decode no more than is needed.
//!
//! **Which way is up, and how wide?** Cameras store frames as the sensor lay, and a note: an EXIF
//! tag in pictures, a matrix in clips.
//! Pixels of a clip need not be square either.
//! A [`Frame`] is always upright and its pixels square; [`Info`] gives that size.
//!
//! **What colour?** A [`Frame`] is 8-bit RGB.
//! Clips store brightness and colour differences instead, by one of several matrices and in one of
//! two ranges; what the stream says counts, then what the container says, then the custom (BT.709
//! from 720 lines on, BT.601 below).
//! Transparent pictures are laid on white.
//! Not done: colour profiles (ICC) are ignored, and high dynamic range is not mapped down.
//! Nor is a JPEG ever decoded at a half, a quarter or an eighth of its size, which its transform allows and which
//! would save most of the work where a model looks at 224 pixels of 4000.
//! What comes out is another low pass than the one over all pixels that models were trained behind, so a view
//! would see other numbers, and a library filled one way would be asked the other.
//! It would have to be proved first, for each scale and each way to fit a picture into a view, that no number which
//! a view makes moves by more than decoders differ anyway (`results/published.md`), at hard edges too, and that
//! vectors stay as near.
//!
//! **What if it is broken, or means harm?** Everything outside is taken for hostile: [`Limits`] are
//! held against what a header claims before anything is allocated, work has a deadline, a panic in
//! somebody else's decoder becomes an [`Error`].
//! A frame that was asked for and cannot be decoded is an error that names it, never a grey or a
//! repeated frame.
//! (The built-in H.264 decoder is C++ in our own process, however; the boundary is only as strong
//! as that library.)
//!
//! And back: [`write_png`], [`write_jpeg`] and [`Mp4Writer`] turn frames into files, the same bytes
//! each time.

mod error;
mod frame;
mod limits;
mod media;
mod picture;
mod shape;
mod sniff;
mod video;
mod whole;
mod write;
mod yuv;

pub use error::{Error, Result};
pub use frame::Frame;
pub use limits::Limits;
pub(crate) use media::caught;
pub use media::{Clip, Info, Media, bytes_to_open, decoded_planes, open};
pub use picture::picture_from_bytes;
pub use shape::thumb;
pub use sniff::{Container, SNIFF_BYTES, sniff};
pub use video::ffmpeg::ffmpeg;
pub use whole::{whole, whole_text};
pub use write::{Mp4Writer, jpeg_bytes, png_bytes, write_jpeg, write_png};
