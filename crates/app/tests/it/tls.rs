//! Pulls over encryption: whom a certificate must name, who must have signed it, and whose word counts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::models::server::{Reply, Repository, Server, digest, part, tls};
use super::{Home, Run};

/// A pull of `owner/clip` from this hub by someone who trusts whoever signs with this certificate.
fn pull(home: &Home, endpoint: &str, trusted: &str, more: &[(&str, &str)]) -> Run {
    let mut command = home.command(&["model", "pull", "owner/clip", "--yes"]);
    command.env("HF_ENDPOINT", endpoint).env("SSL_CERT_FILE", tls(trusted)).envs(more.iter().copied());
    Run::of(command.output().expect("the binary starts"))
}

#[test]
fn a_hub_with_a_trusted_certificate_is_asked_and_a_cut_connection_is_gone_on_with() {
    let home = Home::new();
    let repo = Repository::clip(300_000);
    let weights = repo.file("model.safetensors").to_vec();
    let server = Server::encrypted("localhost", move |r, _| {
        let mut reply = repo.answer(r);
        if r.path.ends_with(".safetensors") && r.from() == 0 {
            // Without a farewell, as when a cable is pulled.
            reply.cut_after = Some(200_000);
        }
        reply
    });
    let run = pull(&home, &server.address, "authority.pem", &[("HF_TOKEN", "hf_secret")]);
    let folder = std::path::PathBuf::from(run.works().out.trim());
    assert_eq!(std::fs::read(folder.join("model.safetensors")).expect("it came"), weights);
    let asked = server.asked();
    let starts: Vec<usize> = asked.iter().filter(|r| r.path.ends_with(".safetensors")).map(|r| r.from()).collect();
    assert!(starts.len() == 2 && starts[1] > 0, "{starts:?}");
    assert!(asked.iter().all(|r| r.header("authorization") == "Bearer hf_secret"));
}

#[test]
fn who_is_not_who_we_asked_for_hears_nothing() {
    let home = Home::new();
    let untouched = |name: &str| Server::encrypted(name, |_, _| Reply::new(500, "nobody should ask"));
    for (server, trusted, says) in [
        (untouched("hub.example"), "authority.pem", "its certificate is that of another host"),
        (untouched("localhost"), "stranger.pem", "signed by nobody whom this system trusts"),
    ] {
        let run = pull(&home, &server.address, trusted, &[("HF_TOKEN", "hf_secret")]);
        run.fails(1, says);
        assert!(server.asked().is_empty(), "{:?}", server.asked());
    }
    // The system's own list does not know our authority either, where there is such a list.
    let server = untouched("localhost");
    let mut command = home.command(&["model", "pull", "owner/clip", "--yes"]);
    let run = Run::of(command.env("HF_ENDPOINT", &server.address).output().expect("the binary starts"));
    run.fails(1, "cannot reach localhost");
    assert!(run.err.contains("trust") && run.err.contains("SSL_CERT_FILE"), "{run:?}");
    assert!(server.asked().is_empty());
    // A file without certificates trusts nobody, and says so.
    home.write("empty.pem", "");
    let mut command = home.command(&["model", "pull", "owner/clip", "--yes"]);
    command.env("HF_ENDPOINT", &server.address).env("SSL_CERT_FILE", home.path("empty.pem"));
    Run::of(command.output().expect("the binary starts")).fails(1, "no certificates to trust");
    // A server that does not encrypt is not taken for one that does.
    let plain = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("https://localhost:{}", plain.local_addr().expect("it is bound").port());
    std::thread::spawn(move || {
        for mut from in plain.incoming().flatten() {
            let _ = from.read(&mut [0; 1024]);
            let _ = from.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
    });
    pull(&home, &address, "authority.pem", &[]).fails(1, "is it http://?");
}

#[test]
fn a_redirect_to_another_host_leaves_the_token_and_never_the_encryption() {
    let repo = Repository::clip(50_000);
    let contents = repo.file("model.safetensors").to_vec();
    let store = Server::encrypted("localhost", move |r, _| part(&contents, r));
    // The same machine under another name is another host.
    let elsewhere = store.address.replace("localhost", "127.0.0.1");
    let redirecting = |to: String| {
        let repo = repo.clone();
        Server::encrypted("localhost", move |r, _| match r.path.ends_with(".safetensors") {
            false => repo.answer(r),
            true => Reply::new(302, "")
                .with("Location", format!("{to}/cdn/x?signature=y"))
                .with("X-Linked-Etag", format!("\"{}\"", digest(repo.file("model.safetensors"), true)))
                .with("X-Linked-Size", 50_000),
        })
    };
    let home = Home::new();
    let server = redirecting(elsewhere);
    pull(&home, &server.address, "authority.pem", &[("HF_TOKEN", "hf_secret")]).works();
    assert!(server.asked().iter().all(|r| r.header("authorization") == "Bearer hf_secret"));
    assert_eq!(store.asked().len(), 1);
    assert_eq!(store.asked()[0].header("authorization"), "", "a secret goes to nobody else");

    let plain = Server::start(|_, _| Reply::new(500, "nobody should ask"));
    let server = redirecting(plain.address.clone());
    let run = pull(&Home::new(), &server.address, "authority.pem", &[]);
    run.fails_after_notice(1, "it would leave encryption behind");
    assert!(plain.asked().is_empty());
}

/// Passes encrypted connections on, unread, to wherever `to` is, whatever host was asked for, and
/// keeps what was asked: a proxy as companies have them. Returns its address.
fn tunnel(to: &str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (list, port) = (asked.clone(), to.rsplit(':').next().unwrap_or_default().to_owned());
    std::thread::spawn(move || {
        for from in listener.incoming().flatten() {
            let mut reader = BufReader::with_capacity(1, from.try_clone().expect("a second handle"));
            let (mut first, mut line) = (String::new(), String::new());
            let _ = reader.read_line(&mut first);
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                line.clear();
            }
            list.lock().expect("no test panics while it holds it").push(first.trim().to_owned());
            let Ok(other) = TcpStream::connect(format!("127.0.0.1:{port}")) else { return };
            let _ = (&from).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
            for (a, b) in [(&from, &other), (&other, &from)] {
                let (Ok(mut a), Ok(mut b)) = (a.try_clone(), b.try_clone()) else { continue };
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut a, &mut b);
                    let _ = b.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (address, asked)
}

#[test]
fn a_proxy_passes_encryption_on_unread() {
    let repo = Repository::clip(20_000);
    let server = Server::encrypted("hub.example", move |r, _| repo.answer(r));
    let (proxy, asked) = tunnel(&server.address);
    let through = [("https_proxy", proxy.as_str())];
    pull(&Home::new(), "https://hub.example", "authority.pem", &through).works();
    assert!(server.asked().iter().all(|r| r.header("host") == "hub.example"), "{:?}", server.asked());
    let asked = asked.lock().expect("no test panics while it holds it");
    assert!(!asked.is_empty() && asked.iter().all(|a| a == "CONNECT hub.example:443 HTTP/1.1"), "{asked:?}");
}
