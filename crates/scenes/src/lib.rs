//! Give me a world that I may use: drawn scenes, their captions and their triplets.
