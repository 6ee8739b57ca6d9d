//! Any bytes as vectors that were made elsewhere; two names stand beside.
//!
//! The first line is the file's name: `v.npy`, `v.csv`, `v.jsonl`, `v.safetensors`, `v.pth`.
#![no_main]

mod place;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    const KNOWN: &[&str] = &["v.npy", "v.csv", "v.jsonl", "v.safetensors", "v.pth"];
    let Some(path) = place::file(bytes, KNOWN) else { return };
    std::fs::write(path.with_extension("txt"), "a\nb\n").expect("room for a file");
    if let Ok(vectors) = search::Vectors::read(&path) {
        assert_eq!(vectors.values.len(), vectors.names.len() * vectors.rows * vectors.dim);
        drop(vectors.normalised());
    }
});
