//! Disks lie, fill up and lose files: what is derived is made anew, what is not is told.

use std::path::{Path, PathBuf};

use domain::Probe;
use library::bench::Random;
use library::{Error, Filter, Library};

use crate::common::*;

/// A sealed library of `n` items with a tail of three, a probe, and the right answer.
fn sealed(dir: &Path, n: usize) -> (PathBuf, Probe, Vec<domain::Hit>) {
    let space = space("toy", 1, 24);
    let mut random = Random(9);
    let mut library = Library::create(dir).unwrap();
    library.bind(&space, &canary(&space)).unwrap();
    fill(&mut library, &space, n, &mut random);
    library.seal().unwrap();
    let late: Vec<_> =
        (0..3).map(|i| item(&format!("late{i}")).with_vector(&space, embedding(&space, &mut random))).collect();
    library.put(&late).unwrap();
    library.remove(&[domain::ItemId(2)]).unwrap();
    let probe = probe(&space, embedding(&space, &mut random));
    let answer = library.ranking(&probe, &Filter::default()).unwrap();
    assert_eq!(answer.len(), n + 2);
    (dir.join("segments").join(format!("{}.seg", space.id())), probe, answer)
}

#[test]
fn a_good_segment_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let (_, probe, answer) = sealed(dir.path(), 300);
    let library = Library::open(dir.path()).unwrap();
    assert_eq!(library.ranking(&probe, &Filter::default()).unwrap(), answer);
    assert_eq!(library.notes(), Vec::<String>::new());
    let report = library.verify(true).unwrap();
    assert!(report.is_ok() && report.repaired.is_empty(), "{report:?}");
    assert_eq!(report.stats.spaces[0].sealed.unwrap().0, 300);
}

#[test]
fn any_damage_to_a_segment_is_noticed_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, probe, answer) = sealed(dir.path(), 300);
    let good = std::fs::read(&segment).unwrap();
    // Closed, the whole database lies in its one file.
    let database = std::fs::read(dir.path().join("library.db")).unwrap();
    let mut random = Random(11);
    for case in 0..120 {
        let mut bytes = good.clone();
        let mut meant = true;
        match case {
            0 => bytes.clear(),
            1 => bytes.truncate(100),
            2 => bytes.truncate(good.len() - 1),
            3 => bytes.extend([0; 64]),
            4 => bytes[8] = 9,
            5 => bytes.fill(0),
            6 => bytes[80..88].copy_from_slice(&u64::MAX.to_le_bytes()),
            _ => {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
                // Between the sections lie a few bytes of nothing; harm done there is none.
                meant = !is_padding(at, 300, 24);
            }
        }
        std::fs::write(&segment, &bytes).unwrap();
        std::fs::write(dir.path().join("library.db"), &database).unwrap();

        let library = Library::open(dir.path()).unwrap();
        assert!(library.ranking(&probe, &Filter::default()).unwrap() == answer, "case {case}");
        assert!(library.nearest(&probe, 5, &Filter::default()).unwrap() == answer[..5], "case {case}");
        if meant {
            assert!(!library.notes().is_empty(), "case {case} went unnoticed");
        }
        let report = library.verify(true).unwrap();
        assert!(report.is_ok(), "case {case}: {report:?}");
        drop(library);
        let again = Library::open(dir.path()).unwrap();
        assert!(again.verify(true).unwrap().is_ok());
        assert_eq!(again.notes(), Vec::<String>::new(), "case {case} was not mended on disk");
    }
}

fn is_padding(at: usize, count: usize, width: usize) -> bool {
    let mut start = 256;
    for len in [8 * count, count, 4 * count, 4 * count, 4 * count, 4 * count, 64 * count, 4 * width * count] {
        if (start..start + len).contains(&at) {
            return false;
        }
        start = (start + len).next_multiple_of(64);
    }
    at >= 256
}

#[test]
fn old_and_foreign_segments_are_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, probe, _) = sealed(dir.path(), 50);
    let old = std::fs::read(&segment).unwrap();
    let mut library = Library::open(dir.path()).unwrap();
    library.remove(&[domain::ItemId(5)]).unwrap();
    library.seal().unwrap();
    let answer = library.ranking(&probe, &Filter::default()).unwrap();
    drop(library);

    let elsewhere = tempfile::tempdir().unwrap();
    let (foreign, _, _) = sealed(elsewhere.path(), 50);
    for bytes in [old, std::fs::read(&foreign).unwrap()] {
        std::fs::write(&segment, bytes).unwrap();
        let library = Library::open(dir.path()).unwrap();
        assert_eq!(library.ranking(&probe, &Filter::default()).unwrap(), answer);
        assert_eq!(library.notes().len(), 1, "{:?}", library.notes());
    }
}

#[test]
fn a_segment_that_cannot_be_written_costs_only_time() {
    let dir = tempfile::tempdir().unwrap();
    let (_, probe, answer) = sealed(dir.path(), 50);
    std::fs::remove_dir_all(dir.path().join("segments")).unwrap();
    std::fs::write(dir.path().join("segments"), "in the way").unwrap();
    let mut library = Library::open(dir.path()).unwrap();
    assert_eq!(library.ranking(&probe, &Filter::default()).unwrap(), answer);
    assert_eq!(library.notes().len(), 2, "{:?}", library.notes());
    library.put(&[item("more")]).unwrap();
    assert!(matches!(library.seal(), Err(Error::Io { .. })));
    std::fs::remove_file(dir.path().join("segments")).unwrap();
    library.rebuild().unwrap();
    assert!(library.verify(true).unwrap().is_ok());
    assert_eq!(Library::open(dir.path()).unwrap().stats().unwrap().spaces[0].sealed.unwrap().0, 52);
}

#[test]
fn a_damaged_database_is_told_and_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let (_, probe, _) = sealed(dir.path(), 60);
    let database = dir.path().join("library.db");
    let good = std::fs::read(&database).unwrap();
    let reset = |bytes: &[u8]| {
        for name in ["library.db-wal", "library.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(name));
        }
        std::fs::write(&database, bytes).unwrap();
    };
    for bytes in [b"this is no database, it is a sentence of some length".to_vec(), good[..5000].to_vec()] {
        reset(&bytes);
        let result = Library::open(dir.path()).and_then(|l| l.verify(true).map(|_| ()));
        assert!(matches!(result, Err(Error::Damaged(_))), "{result:?}");
    }
    let mut random = Random(5);
    let mut told = 0;
    for _ in 0..150 {
        let mut bytes = good.clone();
        for _ in 0..64 {
            let at = 100 + random.below(bytes.len() - 100);
            bytes[at] = random.below(256) as u8;
        }
        reset(&bytes);
        let Ok(library) = Library::open(dir.path()) else {
            told += 1;
            continue;
        };
        let _ = library.items().filter(|i| i.is_ok()).count();
        let _ = library.nearest(&probe, 5, &Filter::default());
        let _ = library.dump();
        told += usize::from(!library.verify(true).is_ok_and(|r| r.is_ok()));
    }
    assert!(told > 100, "only {told} of 150 were noticed");
    std::fs::remove_file(&database).unwrap();
    assert!(matches!(Library::open(dir.path()), Err(Error::Damaged(_))));
    reset(&good);
    assert!(Library::open(dir.path()).unwrap().verify(true).unwrap().is_ok());
}

#[test]
fn another_programs_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let conn = rusqlite::Connection::open(dir.path().join("library.db")).unwrap();
    conn.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(conn);
    for result in [Library::open(dir.path()), Library::open_or_create(dir.path()), Library::create(dir.path())] {
        assert!(matches!(result, Err(Error::Damaged(_))), "{result:?}");
    }
}

#[test]
fn a_lost_manifest_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path(), 5);
    let manifest = dir.path().join("MANIFEST.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    for bad in [None, Some("{")] {
        match bad {
            None => std::fs::remove_file(&manifest).unwrap(),
            Some(text) => std::fs::write(&manifest, text).unwrap(),
        }
        assert_eq!(Library::open(dir.path()).unwrap().notes().len(), 1);
        assert_eq!(std::fs::read_to_string(&manifest).unwrap(), text);
    }
}

#[test]
fn a_full_disk_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let space = space("toy", 1, 256);
    let mut random = Random(8);
    let mut library = Library::create(dir.path()).unwrap();
    library.bind(&space, &canary(&space)).unwrap();
    library.limit_bytes(Some(400_000)).unwrap();
    let mut kept = 0;
    let error = loop {
        let batch: Vec<_> = (0..10)
            .map(|i| item(&format!("{}", kept + i)).with_vector(&space, embedding(&space, &mut random)))
            .collect();
        match library.put(&batch) {
            Ok(_) => kept += 10,
            Err(e) => break e,
        }
        assert!(kept < 1000, "the limit does not hold");
    };
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert!(error.to_string().contains("no room"), "{error}");
    assert!(kept > 50);
    assert_eq!(library.len().unwrap(), kept);
    assert!(library.verify(true).unwrap().is_ok());
    drop(library);
    let mut library = Library::open(dir.path()).unwrap();
    assert_eq!(library.len().unwrap(), kept);
    library.put(&[item("and on it goes")]).unwrap();
    assert!(library.verify(true).unwrap().is_ok());
}

#[test]
fn large_tails_are_sealed_on_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let space = space("toy", 1, 8);
    let mut random = Random(12);
    let mut library = Library::create(dir.path()).unwrap();
    library.bind(&space, &canary(&space)).unwrap();
    fill(&mut library, &space, 5000, &mut random);
    let probe = probe(&space, embedding(&space, &mut random));
    let answer = library.ranking(&probe, &Filter::default()).unwrap();
    assert_eq!(library.stats().unwrap().spaces[0].sealed.unwrap().0, 5000);
    drop(library);
    let library = Library::open(dir.path()).unwrap();
    assert_eq!(library.ranking(&probe, &Filter::default()).unwrap(), answer);
    assert_eq!(library.notes(), Vec::<String>::new());
}

#[test]
fn files_that_left_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().join("here.jpg");
    std::fs::write(&here, "x").unwrap();
    let mut library = Library::in_memory().unwrap();
    let gone = dir.path().join("gone.jpg");
    let ids = library.put(&[item(here.to_str().unwrap()), item(gone.to_str().unwrap())]).unwrap();
    assert_eq!(library.missing_files().unwrap(), [(ids[1], gone)]);
}
