//! Here are triplets, give me weights.
