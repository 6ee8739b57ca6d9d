//! Here are slices and shapes; what is the arithmetic, fast?
//!
//! No tensors, no models: what a layer computes, forward and backward, on plain slices, so that every
//! function can be held against a slow twin.
//!
//! - A [`product()`] packs its factors, holds a tile of the output in registers, and finishes the tile
//!   with an [`Epilogue`].
//! - [`linear`], [`layer_norm`], [`activate`] and [`attention`] each have a `…_grad` beside them.
//! - A [`Path`] is the set of instructions that is used; it is chosen once, at run time.
//! - [`Keeping`] keeps large blocks of memory between steps.
//!
//! Results depend on the path, never on the number of threads or on timing.

mod activation;
mod attention;
mod cpu;
mod exp;
mod linear;
mod memory;
mod norm;
mod product;
#[cfg(test)]
mod twin;

pub use activation::{Activation, activate, activate_grad};
pub use attention::{AttentionShape, Sees, attention, attention_grad, self_attention, self_attention_grad};
pub use cpu::Path;
pub use linear::{linear, linear_grad};
pub use memory::{Keeping, Room, room};
pub use norm::{layer_norm, layer_norm_grad};
pub use product::{Epilogue, Mat, Packed, Precision, bf16_bits, product, product_on, product_packed};
