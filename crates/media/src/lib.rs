//! Here is a file, give me frames.

mod frame;

pub use frame::Frame;
