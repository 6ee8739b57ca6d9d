//! Who may come in: spaces, canaries, writers, versions.

use domain::{Digest, Embedding};
use library::bench::Random;
use library::{Error, Filter, Library};

use crate::common::*;

#[test]
fn a_space_is_bound_once_and_held_to() {
    let dir = tempfile::tempdir().unwrap();
    let kept = space("toy", 1, 8);
    let canary = canary(&kept);
    let mut library = Library::create(dir.path()).unwrap();
    library.bind(&kept, &canary).unwrap();
    library.bind(&kept, &canary).unwrap();
    library.check(&kept, &canary).unwrap();

    let mut other = kept.clone();
    other.weights = Digest::of(b"other weights");
    let error = library.bind(&other, &canary).unwrap_err().to_string();
    let sides = [kept.weights.short(), other.weights.short(), "the weights' digest".into()];
    assert!(sides.iter().all(|s| error.contains(s)), "{error}");
    let mut other = kept.clone();
    other.view = "crop 8".into();
    for error in [library.bind(&other, &canary).unwrap_err(), library.check(&other, &canary).unwrap_err()] {
        assert!(error.to_string().contains("squash 8") && error.to_string().contains("crop 8"), "{error}");
    }

    // The same name, another answer: what the name hides, the canary shows.
    let mut wrong = canary.clone();
    wrong.values[0] += 0.2;
    for error in [library.bind(&kept, &wrong).unwrap_err(), library.check(&kept, &wrong).unwrap_err()] {
        assert!(matches!(&error, Error::Canary { cosine, .. } if *cosine < 0.999), "{error}");
    }
    let mut close = canary.clone();
    close.values.iter_mut().for_each(|v| *v *= 1.0005);
    library.bind(&kept, &close).unwrap();
    for bad in [vec![f32::NAN; 8], vec![1.0; 7], vec![]] {
        assert!(matches!(library.bind(&kept, &Embedding::single(bad)), Err(Error::Vector { .. })));
    }

    // Other models, and other shapes of the same, live beside it.
    let (beside, rows) = (space("other", 1, 8), space("toy", 2, 8));
    library.bind(&beside, &crate::common::canary(&beside)).unwrap();
    library.bind(&rows, &crate::common::canary(&rows)).unwrap();
    assert_eq!(library.spaces().unwrap(), [kept.clone(), beside, rows]);
    let manifest = std::fs::read_to_string(dir.path().join("MANIFEST.json")).unwrap();
    assert!(manifest.contains("\"other\"") && manifest.contains("\"format_version\": 1"), "{manifest}");

    // A space that is let go makes room for its successor.
    let vector = embedding(&kept, &mut Random(1));
    library.put(&[item("x").with_vector(&kept, vector)]).unwrap();
    library.seal().unwrap();
    assert!(library.unbind(&kept.id()).unwrap());
    assert!(!library.unbind(&kept.id()).unwrap());
    library.bind(&other, &canary).unwrap();
    assert!(library.verify(true).unwrap().is_ok());
}

#[test]
fn spaces_of_impossible_shapes_are_refused() {
    let mut library = Library::in_memory().unwrap();
    for (rows, dim) in [(0, 4), (1, 0), (1, 65_537), (usize::MAX, 2)] {
        let space = space("odd", rows, dim);
        let error = library.bind(&space, &Embedding::single(vec![1.0])).unwrap_err();
        assert!(matches!(error, Error::Vector { .. }), "{error}");
    }
}

#[test]
fn one_writes_and_all_read() {
    let dir = tempfile::tempdir().unwrap();
    let space = space("toy", 1, 4);
    let mut random = Random(3);
    let mut writer = Library::create(dir.path()).unwrap();
    writer.bind(&space, &canary(&space)).unwrap();
    let mut other = Library::open(dir.path()).unwrap();
    assert!(matches!(other.put(&[item("x")]), Err(Error::Busy(_))));

    // A reader sees what is written while it is open, item by item, even when what it would catch
    // up from has been tidied away.
    let query = probe(&space, embedding(&space, &mut random));
    let count = |library: &Library| library.nearest(&query, 100, &Filter::default()).unwrap().len();
    assert_eq!(count(&other), 0);
    fill(&mut writer, &space, 40, &mut random);
    assert_eq!(count(&other), 40);
    writer.remove(&[domain::ItemId(1)]).unwrap();
    assert_eq!(count(&other), 39);
    writer.remove(&[domain::ItemId(2), domain::ItemId(3)]).unwrap();
    writer.seal().unwrap();
    writer.remove(&[domain::ItemId(4)]).unwrap();
    assert_eq!((count(&other), count(&writer)), (36, 36));

    drop(writer);
    other.put(&[item("x")]).unwrap();
    assert!(other.verify(true).unwrap().is_ok());
}

#[test]
fn who_comes_while_a_library_is_begun_leaves_its_manifest_alone() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("MANIFEST.json");
    drop(Library::create(dir.path()).unwrap());
    std::fs::remove_file(&manifest).unwrap();
    // The lock that whoever makes a library holds until the manifest is there.
    let lock = std::fs::File::options().write(true).open(dir.path().join("library.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(Library::open(dir.path()).unwrap().notes(), Vec::<String>::new());
    assert!(!manifest.exists());
    drop(lock);
    assert_eq!(Library::open(dir.path()).unwrap().notes().len(), 1);
    assert!(manifest.exists());
}

#[test]
fn many_that_begin_one_library_at_once_do_not_meet() {
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    start.wait();
                    match Library::open_or_create(dir.path()) {
                        Ok(library) => assert_eq!(library.notes(), Vec::<String>::new(), "nothing was out of order"),
                        // On a slow disk the first may take longer than the others wait.
                        Err(e) => assert!(matches!(e, Error::Busy(_)), "{e}"),
                    }
                });
            }
        });
        assert!(Library::open(dir.path()).is_ok() && !dir.path().join("MANIFEST.json.tmp").exists());
    }
}

#[test]
fn one_value_serves_many_threads() {
    let space = space("toy", 1, 32);
    let mut random = Random(4);
    let mut library = Library::in_memory().unwrap();
    library.bind(&space, &canary(&space)).unwrap();
    fill(&mut library, &space, 2000, &mut random);
    let query = probe(&space, embedding(&space, &mut random));
    let expected = library.nearest(&query, 10, &Filter::default()).unwrap();
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| assert_eq!(library.nearest(&query, 10, &Filter::default()).unwrap(), expected));
        }
    });
}

#[test]
fn what_is_no_library_is_told_from_what_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("l");
    assert!(matches!(Library::open(&path), Err(Error::NotALibrary(_))));
    assert!(matches!(Library::open(dir.path()), Err(Error::NotALibrary(_))));
    let mut library = Library::open_or_create(&path).unwrap();
    library.put(&[item("x")]).unwrap();
    drop(library);
    assert!(matches!(Library::create(&path), Err(Error::AlreadyThere(_))));
    assert_eq!(Library::open_or_create(&path).unwrap().len().unwrap(), 1);
    std::fs::write(dir.path().join("file"), "text").unwrap();
    assert!(Library::open(dir.path().join("file")).is_err());
    assert!(Library::create(dir.path().join("file")).is_err());
}

#[test]
fn other_versions_are_refused_by_number() {
    for (n, by_manifest) in [(2, true), (2, false), (0, false), (7, true)] {
        let dir = tempfile::tempdir().unwrap();
        drop(Library::create(dir.path()).unwrap());
        let manifest = dir.path().join("MANIFEST.json");
        if by_manifest {
            let text = std::fs::read_to_string(&manifest).unwrap();
            let text = text.replace("\"format_version\": 1", &format!("\"format_version\": {n}"));
            std::fs::write(&manifest, text).unwrap();
        } else {
            let database = dir.path().join("library.db");
            let mut bytes = std::fs::read(&database).unwrap();
            // SQLite keeps `user_version` at byte 60, big-endian.
            bytes[60..64].copy_from_slice(&(n as u32).to_be_bytes());
            std::fs::write(&database, bytes).unwrap();
        }
        for result in [Library::open(dir.path()), Library::open_or_create(dir.path())] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::FormatVersion { found, expected: 1 } if found == n as u32), "{error}");
        }
    }
}
