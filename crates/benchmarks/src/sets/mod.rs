//! Sets on disk, one file per set: where its questions lie and what its lines mean.

pub mod triplets;
