//! Libraries of the past still open: `fixtures/libraries/v1` was written once, by this file.
//!
//! `LIKEBUT_WRITE_FIXTURE=1 cargo test -p likebut-library museum` writes it again, which is right
//! only while version 1 is not out yet.

use std::path::{Path, PathBuf};

use domain::{Digest, Embedding, Kind, MediaRef, Probe, Space};
use library::{Failure, Filter, Info, Library, NewItem};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/libraries/v1")
}

fn space() -> Space {
    Space {
        model: "museum".into(),
        weights: Digest::of(b"museum"),
        view: "squash 8".into(),
        sampling: "middle".into(),
        rows: 1,
        dim: 4,
    }
}

fn write(dir: &Path) {
    let mut library = Library::create(dir).unwrap();
    library.bind(&space(), &Embedding::single(vec![0.5; 4])).unwrap();
    let vector = |x: f32, y: f32| Embedding::single(vec![x, y, 0.0, 0.0]);
    let mut fish = NewItem::new(MediaRef::file("sea/fish.jpg"), Kind::Picture, Digest::of(b"fish"));
    fish.info = Info { width: 64, height: 48, codec: Some("jpeg".into()), ..Info::default() };
    fish.caption = Some("a red fish".into());
    fish.thumbnail = Some(vec![0xff, 0xd8, 0xff, 0xd9]);
    (fish.size, fish.mtime_ns) = (1234, 1_700_000_000_123_456_789);
    let beach = MediaRef::parse("sea/beach.mp4@00:01-00:03").unwrap();
    let mut beach = NewItem::new(beach, Kind::Clip, Digest::of(b"beach"));
    beach.info.duration_secs = Some(2.0);
    beach.info.frames = Some(48);
    beach.info.fps = Some(24.0);
    let late = NewItem::new(MediaRef::file("late.png"), Kind::Picture, Digest::of(b"late"));
    let gone = NewItem::new(MediaRef::file("gone.png"), Kind::Picture, Digest::of(b"gone"));
    let ids = library
        .put(&[
            fish.with_vector(&space(), vector(1.0, 0.0)),
            beach.with_vector(&space(), vector(0.6, 0.8)),
            gone.with_vector(&space(), vector(0.0, 1.0)),
        ])
        .unwrap();
    library.seal().unwrap();
    library.remove(&ids[2..]).unwrap();
    library.put(&[late.with_vector(&space(), vector(0.0, -1.0))]).unwrap();
    library
        .fail(&[Failure {
            path: "sea/broken.mp4".into(),
            size: 9,
            mtime_ns: 8,
            code: "truncated".into(),
            reason: "it ends before its first frame".into(),
            at_ms: 0,
        }])
        .unwrap();
    std::fs::write(dir.join("dump.txt"), library.dump().unwrap()).unwrap();
    drop(library);
    std::fs::remove_file(dir.join("library.lock")).unwrap();
}

#[test]
fn version_1_opens() {
    if std::env::var_os("LIKEBUT_WRITE_FIXTURE").is_some() {
        let _ = std::fs::remove_dir_all(fixture());
        write(&fixture());
    }
    // A copy: opening a library writes beside its database.
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("segments")).unwrap();
    let segment = format!("segments/{}.seg", space().id());
    for name in ["library.db", "MANIFEST.json", &segment] {
        std::fs::copy(fixture().join(name), copy.path().join(name)).unwrap();
    }
    let mut library = Library::open(copy.path()).unwrap();
    library.bind(&space(), &Embedding::single(vec![0.5; 4])).unwrap();
    assert_eq!(library.dump().unwrap(), std::fs::read_to_string(fixture().join("dump.txt")).unwrap());
    let probe = Probe::single("composed", space(), Embedding::single(vec![0.6, 0.8, 0.0, 0.0]));
    let hits = library.ranking(&probe, &Filter::default()).unwrap();
    let scores: Vec<(i64, f32)> = hits.iter().map(|h| (h.item.0, h.score)).collect();
    assert_eq!(scores, [(2, 1.0), (1, 0.6), (4, -0.8)]);
    // The old segment itself was used, not only what can be made anew.
    assert_eq!(library.notes(), Vec::<String>::new());
    let report = library.verify(true).unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.stats.spaces[0].sealed.map(|s| s.0), Some(3));
}
