//! Checks that hold the house true.

fn main() {}
