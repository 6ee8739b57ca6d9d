//! What works, and what goes on where it stopped.

use std::sync::atomic::{AtomicUsize, Ordering};

use hub::{Error, Event, Hub, verify_snapshot};

use crate::server::{Reply, Repository, Server, digest, part};
use crate::{Setting, nobody, pull, untouched, waits};

const BYTES: usize = 300_000;

#[test]
fn a_pull_leaves_the_layout_that_others_read_and_a_second_one_fetches_nothing() {
    let repo = Repository::clip(BYTES);
    let honest = repo.clone();
    let server = Server::start(move |r, _| honest.answer(r));
    let setting = Setting::new(&server.address, &[]);
    let plan = setting.hub.plan(&setting.source, &mut |_| {}, &|| false).unwrap();
    assert_eq!((plan.files.len(), plan.others, plan.licence.as_deref()), (3, 4, Some("mit")));
    assert_eq!(plan.bytes(), plan.missing_bytes());
    assert!(setting.files().is_empty(), "a plan writes nothing");
    let mut last = 0;
    let mut tell = |e: Event<'_>| {
        if let Event::Bytes(n) = e {
            assert!(n >= last, "progress goes forward");
            last = n;
        }
    };
    let folder = setting.hub.pull(&plan, &mut tell, &|| false).unwrap();
    assert_eq!(last, plan.bytes());
    for name in ["config.json", "merges.txt", "model.safetensors"] {
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), repo.file(name), "{name}");
    }
    let base = "models--owner--clip";
    let commit = &repo.commit;
    let mut expected = vec![
        format!("{base}/blobs/{}", digest(repo.file("config.json"), false)),
        format!("{base}/blobs/{}", digest(repo.file("merges.txt"), false)),
        format!("{base}/blobs/{}", digest(repo.file("model.safetensors"), true)),
        format!("{base}/refs/main"),
        format!("{base}/snapshots/{commit}/config.json"),
        format!("{base}/snapshots/{commit}/merges.txt"),
        format!("{base}/snapshots/{commit}/model.safetensors"),
    ];
    expected.sort();
    assert_eq!(setting.files(), expected, "no code, no pickle, nothing half");
    let target = std::fs::read_link(folder.join("config.json")).unwrap();
    assert!(target.starts_with("../../blobs"), "relative, so that a cache can be moved: {target:?}");
    assert!(verify_snapshot(&setting.hub.cache, &folder, &mut |_| {}).is_whole());

    let before = server.files_asked();
    assert_eq!(setting.pull().unwrap(), folder);
    assert_eq!(server.files_asked(), before, "nothing is fetched twice");
    let found = setting.again(&nobody()).find(&setting.source).unwrap();
    assert_eq!(found, (commit.clone(), folder), "and found without anyone being asked");
}

#[test]
fn connections_that_break_are_gone_on_with() {
    let repo = Repository::clip(BYTES);
    let server = Server::start(move |r, _| {
        let mut reply = repo.answer(r);
        if r.path.ends_with(".safetensors") {
            reply.cut_after = Some(70_000);
        }
        reply
    });
    let setting = Setting::new(&server.address, &[]);
    let (done, told) = waits(&setting.hub, &setting.source);
    let folder = done.unwrap();
    assert!(verify_snapshot(&setting.hub.cache, &folder, &mut |_| {}).is_whole());
    assert_eq!(told.len(), 4, "{told:?}");
    let starts: Vec<usize> =
        server.asked().iter().filter(|r| r.path.ends_with(".safetensors")).map(|r| r.from()).collect();
    assert_eq!(starts[0], 0);
    assert!(starts.windows(2).all(|w| w[0] < w[1]), "each goes on where the last one ended: {starts:?}");
}

#[test]
fn a_stop_keeps_what_came_and_the_next_pull_goes_on() {
    let repo = Repository::clip(BYTES);
    let honest = repo.clone();
    let server = Server::start(move |r, _| honest.answer(r));
    let setting = Setting::new(&server.address, &[]);
    let plan = setting.hub.plan(&setting.source, &mut |_| {}, &|| false).unwrap();
    let seen = AtomicUsize::new(0);
    let mut tell = |e: Event<'_>| {
        if let Event::Bytes(n) = e {
            seen.store(n as usize, Ordering::SeqCst);
        }
    };
    let stopped = setting.hub.pull(&plan, &mut tell, &|| seen.load(Ordering::SeqCst) > 100_000);
    assert!(matches!(stopped, Err(Error::Stopped)));
    assert!(setting.hub.find(&setting.source).is_none(), "half a model is none");
    let kept = setting.hub.cache.partial_bytes(&setting.source.repo);
    assert!(kept > 50_000 && kept < BYTES as u64, "{kept}");
    let folder = setting.pull().unwrap();
    let asked = server.asked();
    assert_eq!(asked.last().unwrap().from() as u64, kept, "{:?}", asked.last());
    assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), repo.file("model.safetensors"));
    assert_eq!(setting.hub.cache.partial_bytes(&setting.source.repo), 0);
}

#[test]
fn a_partial_file_of_another_make_is_noticed_and_fetched_again() {
    let repo = Repository::clip(BYTES);
    let honest = repo.clone();
    let server = Server::start(move |r, _| honest.answer(r));
    let setting = Setting::new(&server.address, &[]);
    let blobs = setting.hub.cache.folder(&setting.source.repo).join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let weights = repo.file("model.safetensors");
    let part = blobs.join(format!("{}.incomplete", digest(weights, true)));
    for junk in [vec![7; 1000], vec![7; BYTES], vec![7; BYTES + 1]] {
        std::fs::write(&part, junk).unwrap();
        let folder = setting.pull().unwrap();
        assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), weights);
        std::fs::remove_file(blobs.join(digest(weights, true).to_string())).unwrap();
    }
}

#[test]
fn a_server_without_ranges_is_listened_to_again() {
    let repo = Repository::clip(BYTES);
    let server = Server::start(move |r, n| {
        let mut whole = r.clone();
        whole.headers.remove("range");
        let mut reply = repo.answer(&whole);
        if r.path.ends_with(".safetensors") {
            reply.cut_after = Some(60_000 * n);
        }
        reply
    });
    let setting = Setting::new(&server.address, &[]);
    let folder = setting.pull().unwrap();
    assert!(verify_snapshot(&setting.hub.cache, &folder, &mut |_| {}).is_whole());
}

#[test]
fn a_redirect_to_a_store_is_followed_and_the_token_stays_at_home() {
    let repo = Repository::clip(BYTES);
    let contents = repo.file("model.safetensors").to_vec();
    let store = Server::start(move |r, _| {
        let mut reply = part(&contents, r).with("ETag", "\"the store's own name\"");
        reply.cut_after = Some(200_000);
        reply
    });
    let address = store.address.clone();
    let server = Server::start(move |r, _| {
        let reply = repo.answer(r);
        if !r.path.ends_with(".safetensors") {
            return reply;
        }
        Reply::new(302, "")
            .with("Location", format!("{address}/cdn/x?signature=a%2Fb"))
            .with("X-Linked-Etag", format!("\"{}\"", digest(repo.file("model.safetensors"), true)))
            .with("X-Linked-Size", BYTES)
    });
    let setting = Setting::new(&server.address, &[("HF_TOKEN", "hf_secret")]);
    let folder = setting.pull().unwrap();
    assert!(verify_snapshot(&setting.hub.cache, &folder, &mut |_| {}).is_whole());
    assert!(server.asked().iter().all(|r| r.header("authorization") == "Bearer hf_secret"));
    assert_eq!(store.asked().len(), 2);
    for request in store.asked() {
        assert_eq!(request.header("authorization"), "", "a secret goes to nobody else");
        assert_eq!(request.path, "/cdn/x?signature=a%2Fb");
    }
    assert_eq!(store.asked()[1].from(), 200_000);
}

#[test]
fn what_passes_is_waited_for() {
    for (status, header) in [(429, Some("0")), (429, None), (503, None), (500, None), (408, None)] {
        let repo = Repository::clip(1000);
        let server = Server::start(move |r, n| match (n, header) {
            (0 | 2, Some(secs)) => Reply::new(status, "").with("Retry-After", secs),
            (0 | 2, None) => Reply::new(status, ""),
            _ => repo.answer(r),
        });
        let setting = Setting::new(&server.address, &[]);
        let (done, told) = waits(&setting.hub, &setting.source);
        assert!(done.is_ok(), "{status}: {done:?}");
        assert_eq!(told.len(), 2, "{status}: {told:?}");
    }
}

#[test]
fn a_mirror_that_lists_only_names_is_asked_file_by_file() {
    let repo = Repository::clip(1000);
    let server = Server::start(move |r, _| {
        if r.path.starts_with("/api/") {
            let names = ["config.json", "model.safetensors"].map(|n| format!(r#"{{"rfilename":"{n}"}}"#)).join(",");
            return Reply::new(200, format!(r#"{{"sha":"{}","siblings":[{names}]}}"#, repo.commit));
        }
        repo.answer(r)
    });
    let setting = Setting::new(&server.address, &[]);
    let plan = setting.hub.plan(&setting.source, &mut |_| {}, &|| false).unwrap();
    assert_eq!(plan.bytes(), 1000 + 23);
    assert!(setting.pull().is_ok());
}

#[test]
fn what_another_tool_brought_is_used_and_checked() {
    let repo = Repository::clip(1000);
    let honest = repo.clone();
    let server = Server::start(move |r, _| honest.answer(r));
    let setting = Setting::new(&server.address, &[]);
    let base = setting.hub.cache.folder(&setting.source.repo);
    let snapshot = base.join("snapshots").join(&repo.commit);
    for folder in ["blobs", "refs", &format!("snapshots/{}", repo.commit)] {
        std::fs::create_dir_all(base.join(folder)).unwrap();
    }
    std::fs::write(base.join("refs/main"), &repo.commit).unwrap();
    for (name, bytes, large) in &repo.files {
        let digest = digest(bytes, *large).to_string();
        std::fs::write(base.join("blobs").join(&digest), bytes).unwrap();
        std::os::unix::fs::symlink(format!("../../blobs/{digest}"), snapshot.join(name)).unwrap();
    }
    assert_eq!(setting.hub.find(&setting.source).unwrap().1, snapshot);
    assert_eq!(setting.pull().unwrap(), snapshot);
    assert_eq!(server.files_asked(), 0);
    // A disk's mistake is noticed and put right.
    let weights = repo.file("model.safetensors");
    let blob = base.join("blobs").join(digest(weights, true).to_string());
    std::fs::write(&blob, vec![0; weights.len()]).unwrap();
    assert_eq!(verify_snapshot(&setting.hub.cache, &snapshot, &mut |_| {}).wrong.len(), 1);
    setting.pull().unwrap();
    assert_eq!((server.files_asked(), std::fs::read(&blob).unwrap() == weights), (1, true));
}

#[test]
fn copies_in_a_cache_without_links_are_used() {
    let repo = Repository::clip(1000);
    let honest = repo.clone();
    let server = Server::start(move |r, _| honest.answer(r));
    let setting = Setting::new(&server.address, &[]);
    let snapshot = setting.hub.cache.folder(&setting.source.repo).join("snapshots").join(&repo.commit);
    std::fs::create_dir_all(&snapshot).unwrap();
    for name in ["config.json", "merges.txt", "model.safetensors"] {
        std::fs::write(snapshot.join(name), repo.file(name)).unwrap();
    }
    assert_eq!(setting.pull().unwrap(), snapshot);
    assert_eq!(server.files_asked(), 0);
    let verified = verify_snapshot(&setting.hub.cache, &snapshot, &mut |_| {});
    assert_eq!((verified.whole, verified.unnamed.len()), (0, 3), "they carry no digest, and that is said");
}

#[test]
fn two_pulls_at_once_fetch_each_file_once() {
    let repo = Repository::clip(BYTES);
    let server = Server::start(move |r, _| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        repo.answer(r)
    });
    let setting = Setting::new(&server.address, &[]);
    let other: Hub = setting.again(&server.address);
    std::thread::scope(|scope| {
        let a = scope.spawn(|| setting.pull());
        let b = scope.spawn(|| pull(&other, &setting.source));
        assert_eq!(a.join().unwrap().unwrap(), b.join().unwrap().unwrap());
    });
    assert_eq!(server.files_asked(), 3, "{:?}", server.asked());
}

#[test]
fn offline_is_looked_at_before_anyone_is_asked() {
    let server = untouched();
    let setting = Setting::new(&server.address, &[("HF_HUB_OFFLINE", "1")]);
    let refused = setting.pull().unwrap_err();
    assert!(matches!(refused, Error::Offline { .. }), "{refused}");
    assert!(setting.hub.find(&setting.source).is_none());
    assert!(server.asked().is_empty() && setting.files().is_empty());
}

#[test]
fn a_proxy_passes_the_question_on() {
    let repo = Repository::clip(1000);
    let proxy = Server::start(move |r, _| {
        let mut direct = r.clone();
        direct.path = r.path.strip_prefix("http://hub.example").unwrap_or("/unexpected").to_owned();
        repo.answer(&direct)
    });
    let through = [("http_proxy", proxy.address.as_str()), ("https_proxy", proxy.address.as_str())];
    let setting = Setting::new("http://hub.example", &through);
    assert!(setting.pull().is_ok());
    assert!(proxy.asked().iter().all(|r| r.header("host") == "hub.example"));
    // An encrypted question is passed on unread; this proxy does not do that.
    let setting = Setting::new("https://hub.example", &[("https_proxy", proxy.address.as_str())]);
    let refused = setting.pull().unwrap_err().to_string();
    assert!(refused.contains("the proxy") && refused.contains("answers 404"), "{refused}");
    assert_eq!(proxy.asked().last().unwrap().path, "hub.example:443");
}
