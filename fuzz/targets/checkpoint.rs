//! Any bytes as a file of weights: safetensors, a zip of PyTorch's, or neither.
//!
//! Start from the small files in `fixtures/golden/checkpoints`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = nets::weights::Checkpoint::from_bytes(bytes.to_vec()) else { return };
    for (name, _) in file.tensors() {
        // Numbers or the reason why not; what is listed is always one of them.
        let _ = file.floats(name);
    }
});
