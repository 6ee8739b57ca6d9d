//! From files to frames, as a user of the crate sees it.
