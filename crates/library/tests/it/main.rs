//! The library as its users see it: one check per area.

mod common;
mod keep;
mod near;
