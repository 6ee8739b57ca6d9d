//! `kill -9` at random moments of `likebut add`: what was once there stays, the library opens, and
//! in the end everything is indexed.

use super::Home;
use domain::ItemId;
use library::Library;
use media::Frame;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

const KILLS: usize = 200;
const FILES: usize = 400;

/// What a library holds: item, path.
fn held(home: &Home) -> BTreeMap<ItemId, PathBuf> {
    let library = Library::open(home.path("lib")).expect("a killed library opens");
    let report = library.verify(false).expect("it can be looked at");
    assert!(report.is_ok(), "{report:?}");
    library.items().map(|item| item.expect("an item")).map(|item| (item.id, item.media.path)).collect()
}

#[test]
fn two_hundred_kills_lose_nothing() {
    let home = Home::new();
    for i in 0..FILES {
        let rgb = [(i * 7 % 256) as u8, (i / 3) as u8, (i * 31 % 256) as u8];
        let mut frame = Frame::filled(24, 18, rgb);
        frame.rgb[0] = i as u8; // no two alike
        frame.rgb[1] = (i >> 8) as u8;
        home.write(&format!("in/{i:04}.png"), media::png_bytes(&frame).expect("a picture"));
    }
    home.write("in/broken.png", b"\x89PNG\r\n\x1a\nand then nothing");
    let mut random = 0x9E37_79B9u64;
    let mut before = BTreeMap::new();
    let (mut kills, mut rounds, mut grew) = (0, 0, 0);
    // How late a kill may come, in milliseconds: later while they find nothing, on a machine that is slow or busy.
    let mut latest = 260;
    while kills < KILLS {
        rounds += 1;
        assert!(rounds < 20 * KILLS, "the runs end before they can be killed");
        let mut command = home.command(&["add", "in", "--library", "lib"]);
        command.env("LIKEBUT_BATCH", "4").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // From before the library is opened to well into the work.
        std::thread::sleep(Duration::from_millis((random >> 33) % latest));
        let finished = child.try_wait().expect("its state").is_some();
        child.kill().ok();
        child.wait().expect("it ends");
        if !finished {
            kills += 1;
        }
        if !home.path("lib/library.db").exists() || !home.path("lib/MANIFEST.json").exists() {
            latest = latest.min(4_000) + 10;
            continue; // Killed before there was a library.
        }
        let now = held(&home);
        for (id, path) in &before {
            assert_eq!(now.get(id), Some(path), "kill {kills} lost {id} or gave it away");
        }
        let more = now.len() > before.len();
        grew += usize::from(more);
        latest = if more { latest.max(110) - 10 } else { latest.min(4_000) + 10 };
        before = now;
        if before.len() == FILES {
            // All in: take most out again, so that the next kills find work.
            let mut library = Library::open(home.path("lib")).expect("it opens");
            let out: Vec<ItemId> = before.keys().copied().skip(40).collect();
            library.remove(&out).expect("they go");
            before.retain(|id, _| !out.contains(id));
        }
    }
    assert!(grew > 10, "the kills came too early to find anything written: {grew}");
    let end = home.run(&["add", "in", "--library", "lib", "--json"]);
    assert_eq!(end.code, Some(3), "one file is broken, and said to be: {end:?}");
    assert_eq!(held(&home).len(), FILES);
}
