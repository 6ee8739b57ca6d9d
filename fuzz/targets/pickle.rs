//! Any bytes as the pickle of a checkpoint that is otherwise right.
#![no_main]

#[path = "../../crates/nets/tests/it/archive.rs"]
mod archive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = nets::weights::Checkpoint::from_bytes(archive::checkpoint(bytes, &[7; 256])) else { return };
    for (name, _) in file.tensors() {
        let _ = file.floats(name);
    }
});
