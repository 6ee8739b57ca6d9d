//! Any bytes as somebody's own questions: JSONL, CSV, COCO-like JSON, a WebDataset archive, and the
//! two files of our own format.
//!
//! The first line is the file's name.
#![no_main]

mod place;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    const KNOWN: &[&str] =
        &["mine.jsonl", "mine.csv", "mine.json", "mine.tar", "gallery.test.jsonl", "triplets.test.jsonl"];
    let rules = benchmarks::Protocol::default();
    let folder = place::folder();
    // What does not change beside what does.
    let other = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("room for a file");
    other("gallery.test.jsonl", "{\"name\":\"a\",\"path\":\"a.png\"}\n{\"name\":\"b\",\"path\":\"b.png\"}\n");
    other("triplets.test.jsonl", "{\"id\":\"q\",\"reference\":\"a\",\"text\":\"red\",\"targets\":[\"b\"]}\n");
    let Some(path) = place::file(bytes, KNOWN) else { return };
    if path.extension().is_some_and(|e| e == "tar") {
        summed(&path);
    }
    let is_ours = path.file_name().is_some_and(|n| n.to_string_lossy().contains("test"));
    let exams = match is_ours {
        true => benchmarks::sets::set("scenes")
            .and_then(|set| set.open(&folder, set.splits[0], &rules).ok())
            .map(|opened| opened.exams),
        false => benchmarks::sets::mine::open(&path, &folder.join("unpacked"), &rules).ok().map(|o| o.exams),
    };
    exams.iter().flatten().for_each(|exam| {
        exam.digest();
    });
});

/// Every block's checksum made right, so that what lies behind it is reached.
fn summed(path: &std::path::Path) {
    let mut bytes = std::fs::read(path).expect("it was written");
    for block in bytes.chunks_exact_mut(512) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        if sum != 8 * 32 {
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    std::fs::write(path, bytes).expect("room for a file");
}
