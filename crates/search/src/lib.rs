//! The two rivers, one function each.
