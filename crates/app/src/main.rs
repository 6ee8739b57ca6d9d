//! One binary, `likebut`.

fn main() {}
