//! Here are frames or words, give me features.
