//! The library as its users see it: one check per area.

mod common;
mod crash;
mod disk;
mod doors;
mod keep;
mod museum;
mod near;
