//! Give me a world that I may use: drawn scenes, their captions and their triplets.
//!
//! A method for composed retrieval must be shown what words change and what they keep, and one
//! that claims to understand *implied* changes ("as a birthday party") must be shown ideas that are
//! never drawn as such.
//! Public data sets for this come with licences, downloads and holes; this world is drawn.
//!
//! A [`Scene`] is a subject (16 kinds, 9 colours, 3 textures, 2 sizes, 1 to 4 of it), perhaps a
//! companion beside it, a place, a light, a weather, and for clips a motion and a camera: together its
//! [`Key`], all that words can speak about.
//! Perhaps a [`Concept`] is behind it: then two or three of the concept's seven cues are drawn around
//! the subject. No caption ever names a concept, so the link from "in winter" to a snowman or to
//! icicles can only be learnt from what goes together.
//! Everything else (positions, tints, hills, clouds, which cues) is redrawn for every scene: an answer is
//! never the reference's pixels with one thing changed.
//!
//! [`build`] makes the families of a [`World`] and the questions among them, in memory;
//! [`draw`] makes a frame in about a millisecond; [`write`] makes real files.
//! About one in twelve combinations of kind, colour and concept never occurs in the train split
//! ([`held_out`]); questions whose target is one of them say so in their slice, `concept/held-out`.
//!
//! All is decided by seeds. Meanings, words and questions are the same on every machine;
//! drawings are floating-point work and may differ by a shade between processors.
//!
//! ```
//! let set = scenes::build(&scenes::World::tiny());
//! let first = &set.triplets[0];
//! let target = set.items.iter().find(|i| i.name == first.targets[0]).unwrap();
//! let frame = scenes::draw(&target.scene, 0.5, 224, 168);
//! assert_eq!(frame.rgb.len(), 224 * 168 * 3);
//! ```
//!
//! *Not here:* tensors, training, marks; whoever reads the written files needs nothing of this crate.

mod scene;
mod world;
mod edit;
mod caption;
mod draw;
mod write;
mod rng;

pub use draw::draw;
pub use edit::Edit;
pub use rng::Rng;
pub use scene::{
    Camera, Colour, Companion, Concept, Cue, FPS, Key, Kind, Light, Motion, Place, Scene, Side, Size, Texture, Thing,
    Weather,
};
pub use world::{Named, Set, World, build, held_out};
pub use write::{HEIGHT, Report, WIDTH, WriteError, path_of, write};
