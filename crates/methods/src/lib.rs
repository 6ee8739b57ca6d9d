//! Here is a reference and words, give me one probe.
