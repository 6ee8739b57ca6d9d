//! What is asked, what counts as right, and the mark.
