//! What must not work, and what it leaves behind.

use hub::{Error, Source};

use crate::server::{Reply, Repository, Server};
use crate::{Setting, nobody, pull};

/// What a pull from this server ends in; nothing that could be taken for a model may be left.
fn ends(answer: impl Fn(&crate::server::Request, usize) -> Reply + Send + Sync + 'static) -> (Error, Server) {
    let server = Server::start(answer);
    let setting = Setting::new(&server.address, &[]);
    let error = setting.pull().expect_err("it must not work");
    assert!(setting.hub.find(&setting.source).is_none());
    assert!(
        !setting.files().iter().any(|f| f.contains("refs/") || f.ends_with("model.safetensors")),
        "{:?}",
        setting.files()
    );
    assert!(!error.to_string().is_empty());
    (error, server)
}

#[test]
fn wrong_contents_are_not_kept() {
    let repo = Repository::clip(1000);
    let (error, _) = ends(move |r, _| {
        let mut reply = repo.answer(r);
        if r.path.ends_with(".safetensors") {
            reply.body[500] ^= 1;
        }
        reply
    });
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("model.safetensors is not what was announced"), "{error}");
}

#[test]
fn a_hub_that_contradicts_itself_is_not_believed() {
    let repo = Repository::clip(1000);
    let (error, _) = ends(move |r, _| {
        let mut reply = repo.answer(r);
        if r.path.ends_with(".safetensors") {
            reply.headers.retain(|(name, _)| name != "ETag");
            reply.headers.push(("ETag".into(), format!("\"{}\"", "0".repeat(64))));
        }
        reply
    });
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn lengths_that_lie() {
    let repo = Repository::clip(1000);
    let (error, _) = ends(move |r, _| {
        let mut reply = repo.answer(r);
        if r.path.ends_with(".safetensors") {
            reply.body.extend([0; 5000]);
        }
        reply
    });
    assert!(error.to_string().contains("the announcement of 6000 bytes"), "{error}");
    // A store that nobody holds to its word sends more than was announced.
    let store = Server::start(|_, _| Reply::new(200, vec![1; 6000]));
    let address = store.address.clone();
    let repo = Repository::clip(1000);
    let (error, _) = ends(move |r, _| match r.path.ends_with(".safetensors") {
        true => Reply::new(302, "").with("Location", format!("{address}/cdn/x")),
        false => repo.answer(r),
    });
    assert!(error.to_string().contains("expected 1000 bytes, got more"), "{error}");
}

#[test]
fn a_length_that_never_comes_is_given_up() {
    let repo = Repository::clip(1000);
    let (error, server) = ends(move |r, _| {
        let mut reply = repo.answer(r);
        if r.path.ends_with(".safetensors") {
            reply.cut_after = Some(0);
        }
        reply
    });
    assert!(matches!(error, Error::Cut { tries: 6, .. }), "{error}");
    assert_eq!(server.asked().iter().filter(|r| r.path.ends_with(".safetensors")).count(), 6);
}

#[test]
fn too_many_requests_with_a_long_wait_are_told_at_once() {
    let (error, server) = ends(|_, _| Reply::new(429, "").with("Retry-After", 3600));
    assert!(matches!(error, Error::TooManyRequests { secs: Some(3600), .. }), "{error}");
    assert_eq!(server.asked().len(), 1);
    let (error, server) = ends(|_, _| Reply::new(503, ""));
    assert!(matches!(error, Error::Server { .. }), "{error}");
    assert_eq!(server.asked().len(), 5, "tried five times, then told");
}

#[test]
fn gated_private_and_absent_are_told_apart() {
    let says = |status: u16, code: &'static str, token: &[(&str, &str)]| {
        let server = Server::start(move |_, _| Reply::new(status, "").with("X-Error-Code", code));
        let setting = Setting::new(&server.address, token);
        let error = setting.pull().unwrap_err();
        assert_eq!(server.asked().len(), 1, "no use in asking again");
        if let Error::Denied { page, repo, .. } = &error {
            assert_eq!((page, repo.as_str()), (&format!("{}/owner/clip", server.address), "owner/clip"));
        }
        error.to_string()
    };
    let token = [("HF_TOKEN", "hf_x")];
    assert!(says(401, "GatedRepo", &[]).contains("terms are to be accepted"));
    assert!(says(403, "GatedRepo", &token).contains("has not accepted the terms"));
    assert!(says(401, "RepoNotFound", &[]).contains("no such repository, or it is private"));
    assert!(says(401, "", &token).contains("HF_TOKEN is not accepted"));
    assert!(says(404, "RevisionNotFound", &[]).contains("has no such revision: owner/clip"));
    assert!(says(404, "RepoNotFound", &[]).contains("has no owner/clip"));
    assert!(says(410, "", &[]).contains("status 410"));
}

#[test]
fn nobody_there() {
    let setting = Setting::new(&nobody(), &[]);
    let began = std::time::Instant::now();
    let error = setting.pull().unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(began.elapsed().as_secs() < 5);
    assert!(setting.files().is_empty());
    let setting = Setting::new("ftp://hub.example", &[]);
    assert!(setting.pull().unwrap_err().to_string().contains("HF_ENDPOINT"));
}

#[test]
fn names_that_lead_out_are_refused_before_anything_is_written() {
    for name in [
        "../../../../escaped.json",
        "/escaped.json",
        "a/../../escaped.json",
        "..\\\\escaped.json",
        "C:escaped.json",
        "con.json",
    ] {
        let mut repo = Repository::clip(1000);
        repo.files.push((name.to_owned(), b"x".to_vec(), false));
        let (error, server) = ends(move |r, _| repo.answer(r));
        assert!(matches!(error, Error::Name { .. }), "{name}: {error}");
        assert_eq!(server.files_asked(), 0, "{name}");
    }
}

#[test]
fn a_listing_without_end_is_cut_short() {
    let (error, _) = ends(|_, _| Reply::new(200, vec![b'['; (8 << 20) + 100]));
    assert!(error.to_string().contains("more than 8388608 bytes"), "{error}");
    let (error, _) = ends(|_, _| Reply::new(200, "<html>log in to the hotel's network</html>"));
    assert!(error.to_string().contains("what is no listing"), "{error}");
}

#[test]
fn redirects_that_are_not_followed() {
    let round = |r: &crate::server::Request, _: usize| Reply::new(302, "").with("Location", format!("{}x", r.path));
    let (error, server) = ends(round);
    assert!(error.to_string().contains("round in circles"), "{error}");
    assert_eq!(server.asked().len(), 8);
    for to in ["file:///etc/passwd", "ftp://x/", "", "http://user:password@127.0.0.1/"] {
        let (error, _) = ends(move |_, _| Reply::new(302, "").with("Location", to));
        assert!(matches!(error, Error::Redirect { .. }), "{to}: {error}");
    }
}

#[test]
fn weights_that_nobody_reads_are_not_fetched() {
    let mut repo = Repository::clip(1000);
    repo.files.retain(|f| f.0 != "model.safetensors");
    let (error, server) = ends(move |r, _| repo.answer(r));
    assert!(error.to_string().contains("it has pytorch_model.bin"), "{error}");
    assert_eq!(server.files_asked(), 0);
}

#[test]
fn room_on_the_disk_is_looked_at_first() {
    // Two hundred and fifty terabytes, announced.
    let shards = 1000;
    let files: Vec<String> = (1..=shards)
        .map(|i| (format!("model-{i:05}-of-{shards:05}.safetensors"), 256u64 << 30))
        .chain([("model.safetensors.index.json".to_owned(), 2), ("config.json".to_owned(), 2)])
        .map(|(n, s)| format!(r#"{{"rfilename":"{n}","size":{s},"blobId":"{}"}}"#, "a".repeat(40)))
        .collect();
    let (error, server) = ends(move |_, _| {
        Reply::new(200, format!(r#"{{"sha":"{}","siblings":[{}]}}"#, "c".repeat(40), files.join(",")))
    });
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert_eq!(server.files_asked(), 0);
}

#[test]
fn revisions_and_repositories_that_are_none() {
    let server = crate::untouched();
    let setting = Setting::new(&server.address, &[]);
    for revision in ["../../x", "", "a\nb"] {
        let source = Source { revision: revision.into(), ..setting.source.clone() };
        assert!(matches!(pull(&setting.hub, &source), Err(Error::Revision(_))), "{revision:?}");
        assert!(setting.hub.find(&source).is_none());
    }
    assert!(server.asked().is_empty());
}
