//! Any bytes as the manifest of a model, and the sizes that it states.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = serde_json::from_slice::<methods::Manifest>(bytes) else { return };
    let _ = manifest.backbone.check();
});
