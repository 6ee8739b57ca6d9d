//! Give me a world that I may use: drawn scenes, their captions and their triplets.

mod scene;
mod world;
mod edit;
mod caption;
mod draw;
mod rng;

pub use draw::draw;
pub use edit::Edit;
pub use rng::Rng;
pub use scene::*;
pub use world::{Named, Set, World, build, held_out};
