//! Keeping: what was put is there, what changed changes, what goes is gone.

use std::path::Path;

use domain::{Digest, Embedding, ItemId, MediaRef};
use library::bench::Random;
use library::{Error, Failure, Filter, Library};

use crate::common::*;

#[test]
fn an_item_comes_back_as_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let space = space("toy", 2, 3);
    let mut new = item("trip/beach.mp4");
    new.media = MediaRef::parse("trip/beach.mp4@00:41-00:45").unwrap();
    new.kind = domain::Kind::Clip;
    new.info = library::Info {
        width: 640,
        height: 360,
        duration_secs: Some(4.5),
        frames: Some(108),
        fps: Some(24.0),
        codec: Some("h264 in mp4".into()),
    };
    new.caption = Some("a beach".into());
    new.thumbnail = Some(vec![0xff, 0xd8, 0xff]);
    let vector = Embedding { dim: 3, values: vec![1.0, -2.0, 3.5, 0.0, f32::MIN_POSITIVE, 1e30] };
    new = new.with_vector(&space, vector.clone());
    let id = {
        let mut library = Library::create(dir.path()).unwrap();
        library.bind(&space, &canary(&space)).unwrap();
        library.put(&[new.clone()]).unwrap()[0]
    };
    let library = Library::open(dir.path()).unwrap();
    let got = library.item(id).unwrap().unwrap();
    assert_eq!((&got.media, got.kind, got.digest, got.size), (&new.media, new.kind, new.digest, new.size));
    assert_eq!((got.mtime_ns, &got.info, &got.caption), (new.mtime_ns, &new.info, &new.caption));
    assert!(got.added_ms > 1_600_000_000_000);
    assert_eq!(library.thumbnail(id).unwrap(), new.thumbnail);
    assert_eq!(library.embedding(id, &space).unwrap(), Some(vector));
    assert_eq!(library.known(Path::new("trip/beach.mp4")).unwrap().unwrap().id, id);
    assert_eq!(library.by_digest(&new.digest).unwrap(), [got]);
    assert_eq!(library.item(ItemId(99)).unwrap(), None);
    assert!(library.verify(true).unwrap().is_ok());
}

#[test]
fn the_same_place_keeps_its_number() {
    let (a, b) = (space("a", 1, 4), space("b", 1, 4));
    let mut random = Random(1);
    let mut library = Library::in_memory().unwrap();
    library.bind(&a, &canary(&a)).unwrap();
    library.bind(&b, &canary(&b)).unwrap();
    let mut new = item("x.jpg").with_vector(&a, embedding(&a, &mut random));
    new.thumbnail = Some(vec![1]);
    new.caption = Some("mine".into());
    let id = library.put(&[new.clone()]).unwrap()[0];

    // The same content, another model: both vectors are kept.
    let more = item("x.jpg").with_vector(&b, embedding(&b, &mut random));
    assert_eq!(library.put(&[more]).unwrap(), [id]);
    assert!(library.embedding(id, &a).unwrap().is_some() && library.embedding(id, &b).unwrap().is_some());
    assert_eq!(library.thumbnail(id).unwrap(), Some(vec![1]));

    // Other content: what was made of the old one goes, the person's words stay.
    let fresh = embedding(&a, &mut random);
    let mut changed = item("x.jpg").with_vector(&a, fresh.clone());
    changed.digest = Digest::of(b"other");
    assert_eq!(library.put(&[changed]).unwrap(), [id]);
    assert_eq!(library.embedding(id, &a).unwrap(), Some(fresh.clone()));
    assert_eq!(library.embedding(id, &b).unwrap(), None);
    assert_eq!(library.thumbnail(id).unwrap(), None);
    assert_eq!(library.item(id).unwrap().unwrap().caption.as_deref(), Some("mine"));
    let hits = library.ranking(&probe(&b, fresh.clone()), &Filter::default()).unwrap();
    assert_eq!(hits, []);
    let hits = library.ranking(&probe(&a, fresh), &Filter::default()).unwrap();
    assert!((hits[0].score - 1.0).abs() < 1e-5);
}

#[test]
fn success_and_failure_take_turns() {
    let mut library = Library::in_memory().unwrap();
    let failure = |path: &str| Failure {
        path: path.into(),
        size: 3,
        mtime_ns: 4,
        code: "truncated".into(),
        reason: "it ends in the middle".into(),
        at_ms: 0,
    };
    let id = library.put(&[item("x")]).unwrap()[0];
    library.fail(&[failure("x"), failure("y")]).unwrap();
    assert_eq!(library.item(id).unwrap(), None);
    let failures = library.failures().unwrap();
    assert_eq!(failures.iter().map(|f| f.path.to_str().unwrap()).collect::<Vec<_>>(), ["x", "y"]);
    assert!(failures[0].at_ms > 0 && failures[0].code == "truncated");
    let again = library.put(&[item("x")]).unwrap()[0];
    assert_ne!(again, id, "a number is never given twice");
    assert_eq!(library.failures().unwrap().len(), 1);
    assert_eq!(library.forgive(&["y".into(), "z".into()]).unwrap(), 1);
    assert!(library.failures().unwrap().is_empty());
}

#[test]
fn files_move_and_leave() {
    let space = space("toy", 1, 4);
    let mut random = Random(2);
    let mut library = Library::in_memory().unwrap();
    library.bind(&space, &canary(&space)).unwrap();
    let put = |library: &mut Library, name: &str, random: &mut Random| {
        library.put(&[item(name).with_vector(&space, embedding(&space, random))]).unwrap()[0]
    };
    let a = put(&mut library, "/p/a/1.jpg", &mut random);
    let b = put(&mut library, "/p/ab/2.jpg", &mut random);
    let c = put(&mut library, "/p/a/x/3.jpg", &mut random);
    let under = |library: &Library, root: &str| -> Vec<ItemId> {
        library.under(Path::new(root)).unwrap().into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(under(&library, "/p/a"), [a, c]);
    assert_eq!(under(&library, "/p/a/1.jpg"), [a]);
    assert_eq!(under(&library, "/p"), [a, b, c]);

    library.moved(a, Path::new("/q/1.jpg"), 9).unwrap();
    let known = library.known(Path::new("/q/1.jpg")).unwrap().unwrap();
    assert_eq!((known.id, known.mtime_ns), (a, 9));
    assert_eq!(library.known(Path::new("/p/a/1.jpg")).unwrap(), None);
    // Onto another: that one was overwritten.
    library.moved(a, Path::new("/p/ab/2.jpg"), 9).unwrap();
    assert_eq!(under(&library, "/"), [a, c]);
    assert!(matches!(library.moved(ItemId(99), Path::new("/z"), 0), Err(Error::UnknownItem(ItemId(99)))));

    let vector = embedding(&space, &mut random);
    assert_eq!(library.ranking(&probe(&space, vector.clone()), &Filter::default()).unwrap().len(), 2);
    assert_eq!(library.remove(&[c, ItemId(99)]).unwrap(), 1);
    assert_eq!(ids(&library.ranking(&probe(&space, vector), &Filter::default()).unwrap()), [a.0]);
    assert_eq!(library.len().unwrap(), 1);
}

#[test]
fn pages_hold_everything_once() {
    let mut library = Library::in_memory().unwrap();
    library.put(&(0..1300).map(|i| item(&i.to_string())).collect::<Vec<_>>()).unwrap();
    let ids: Vec<i64> = library.items().map(|i| i.unwrap().id.0).collect();
    assert_eq!(ids, (1..=1300).collect::<Vec<_>>());
    let page = library.items_after(Some(ItemId(1298)), 10).unwrap();
    assert_eq!(page.iter().map(|i| i.id.0).collect::<Vec<_>>(), [1299, 1300]);
}

#[test]
fn a_batch_is_kept_whole_or_not_at_all() {
    let space = space("toy", 1, 4);
    let mut library = Library::in_memory().unwrap();
    library.bind(&space, &canary(&space)).unwrap();
    for bad in [vec![1.0; 3], vec![f32::NAN; 4], vec![f32::INFINITY; 4], vec![1.0; 8]] {
        let batch = [item("good"), item("bad").with_vector(&space, Embedding { dim: 4, values: bad })];
        let error = library.put(&batch).unwrap_err();
        assert!(error.to_string().starts_with("bad: expected"), "{error}");
    }
    let stranger = crate::common::space("stranger", 1, 4);
    let error = library.put(&[item("bad").with_vector(&stranger, Embedding::single(vec![1.0; 4]))]).unwrap_err();
    assert!(error.to_string().contains("bind it first"), "{error}");
    let mut huge = item("huge");
    huge.size = u64::MAX;
    assert!(matches!(library.put(&[item("good"), huge]), Err(Error::Range(_))));
    assert_eq!(library.len().unwrap(), 0);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode_are_names() {
    use std::os::unix::ffi::OsStrExt;
    let odd = Path::new(std::ffi::OsStr::from_bytes(b"/p/caf\xe9.jpg"));
    let mut library = Library::in_memory().unwrap();
    let mut new = item("x");
    new.media = MediaRef::file(odd);
    let id = library.put(&[new]).unwrap()[0];
    assert_eq!(library.known(odd).unwrap().unwrap().id, id);
    assert_eq!(library.under(Path::new("/p")).unwrap(), [(id, odd.to_owned())]);
}

#[test]
fn captions_are_set_and_taken_away() {
    let mut library = Library::in_memory().unwrap();
    let id = library.put(&[item("x")]).unwrap()[0];
    library.set_caption(id, Some("a dog")).unwrap();
    assert_eq!(library.item(id).unwrap().unwrap().caption.as_deref(), Some("a dog"));
    library.set_caption(id, None).unwrap();
    assert_eq!(library.item(id).unwrap().unwrap().caption, None);
    assert!(matches!(library.set_caption(ItemId(5), None), Err(Error::UnknownItem(_))));
}

#[test]
fn the_dump_is_readable() {
    let space = space("toy", 1, 6);
    let mut library = Library::in_memory().unwrap();
    library.bind(&space, &Embedding::single(vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0])).unwrap();
    let mut new = item("a.jpg").with_vector(&space, Embedding::single(vec![0.5, -0.25, 0.0, 1.0, 2.0, 3.0]));
    new.caption = Some("a \"cat\"".into());
    new.thumbnail = Some(vec![0; 10]);
    new.info.codec = Some("jpeg".into());
    library.put(&[new]).unwrap();
    let failure = Failure {
        path: "b.mp4".into(),
        size: 1,
        mtime_ns: 2,
        code: "odd".into(),
        reason: "it is odd".into(),
        at_ms: 0,
    };
    library.fail(&[failure]).unwrap();
    let expected = format!(
        "likebut library, format 1\n\
         space toy ({}) · squash 8 · middle · 1×6 · canary [1.000 0.000 0.000 0.000 … (6)]\n\
         item 1 picture a.jpg · {} · 5 B · 1700000000000000000 ns · 0×0 · jpeg\n\
         \x20 caption \"a \\\"cat\\\"\"\n\
         \x20 thumbnail 10 B\n\
         \x20 vector toy [0.500 -0.250 0.000 1.000 … (6)]\n\
         failure b.mp4 · 1 B · 2 ns · odd · it is odd\n",
        space.weights.short(),
        Digest::of(b"a.jpg").short(),
    );
    assert_eq!(library.dump().unwrap(), expected);
}
