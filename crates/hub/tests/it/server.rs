//! A small hub of our own on this machine: honest by default, and as bad as a test wants it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use hub::Digest;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// With the query.
    pub path: String,
    /// In lower case.
    pub headers: BTreeMap<String, String>,
}

impl Request {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Where the wanted part begins.
    pub fn from(&self) -> usize {
        self.header("range").trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap_or(0)
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Besides the length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The connection is cut after so many bytes of the body.
    pub cut_after: Option<usize>,
    /// A length other than the body's.
    pub length: Option<u64>,
}

impl Reply {
    /// With this status and body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut_after: None, length: None }
    }

    /// With another header.
    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// A server that answers as its function says; the function is told how many requests came before.
pub struct Server {
    /// `http://127.0.0.1:PORT`, or `https://localhost:PORT`.
    pub address: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts one; it ends with the process.
    pub fn start(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::listening(None, answer)
    }

    /// The same, encrypted, with the certificate of that name in `fixtures/tls`.
    pub fn encrypted(name: &str, answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let chain = CertificateDer::pem_file_iter(tls(&format!("{name}.pem"))).expect("a certificate");
        let chain = chain.map(|c| c.expect("a certificate")).collect();
        let key = PrivateKeyDer::from_pem_file(tls(&format!("{name}.key"))).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|c| c.with_no_client_auth().with_single_cert(chain, key))
            .expect("key and certificate belong together");
        Self::listening(Some(Arc::new(config)), answer)
    }

    fn listening(
        identity: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let bound = listener.local_addr().expect("it is bound");
        let address = match identity {
            Some(_) => format!("https://localhost:{}", bound.port()),
            None => format!("http://{bound}"),
        };
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (list, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (list, answer, identity) = (list.clone(), answer.clone(), identity.clone());
                std::thread::spawn(move || serve(stream, identity, &list, answer.as_ref()));
            }
        });
        Self { address, asked }
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("no test panics while it holds it").clone()
    }

    /// How many requests were about files.
    pub fn files_asked(&self) -> usize {
        self.asked().iter().filter(|r| r.path.contains("/resolve/") || r.path.contains("/cdn/")).count()
    }
}

/// A file of `fixtures/tls`.
pub fn tls(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tls").join(name)
}

/// Either kind of connection.
trait Stream: Read + Write {
    /// Says that nothing more comes.
    fn end(&mut self);
}

impl Stream for TcpStream {
    fn end(&mut self) {}
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn end(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

fn serve(
    socket: TcpStream,
    identity: Option<Arc<ServerConfig>>,
    list: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request, usize) -> Reply + Send + Sync),
) {
    let mut wire = socket.try_clone().expect("a second handle");
    let stream: Box<dyn Stream> = match identity {
        None => Box::new(socket),
        Some(config) => {
            let connection = ServerConnection::new(config).expect("a configuration that was used before");
            Box::new(StreamOwned::new(connection, socket))
        }
    };
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    // Who does not like our certificate hangs up here.
    if stream.read_line(&mut line).is_err() || line.is_empty() {
        return;
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).is_err() || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
    }
    let request = Request { path, headers };
    let before = {
        let mut list = list.lock().expect("no test panics while it holds it");
        list.push(request.clone());
        list.len() - 1
    };
    let reply = answer(&request, before);
    let stream = stream.get_mut();
    let length = reply.length.unwrap_or(reply.body.len() as u64);
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {length}\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    // The other side may have gone; that is part of the game.
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    let _ = stream.write_all(&reply.body[..reply.cut_after.unwrap_or(reply.body.len()).min(reply.body.len())]);
    let _ = stream.flush();
    if reply.cut_after.is_none() {
        stream.end();
    }
    let _ = wire.shutdown(std::net::Shutdown::Write);
    // A socket that is closed with unread bytes would take the answer with it.
    let _ = wire.set_read_timeout(Some(std::time::Duration::from_millis(50)));
    let _ = wire.read(&mut [0; 64]);
}

/// A repository with contents.
#[derive(Clone)]
pub struct Repository {
    /// `OWNER/NAME`.
    pub name: String,
    /// Where its main branch is.
    pub commit: String,
    /// Name, contents, and whether they are large (named by SHA-256).
    pub files: Vec<(String, Vec<u8>, bool)>,
}

impl Repository {
    /// A CLIP-shaped one whose weights have `bytes` bytes.
    pub fn clip(bytes: usize) -> Self {
        let weights = (0..bytes).map(|i| (i * i / 7 % 251) as u8).collect();
        Self {
            name: "owner/clip".into(),
            commit: "bbc77c8132af1cc5cf678da3f1ddf2de43606d48".into(),
            files: vec![
                (".gitattributes".into(), b"x".to_vec(), false),
                ("README.md".into(), b"read me".to_vec(), false),
                ("config.json".into(), b"{\"model_type\": \"clip\"}\n".to_vec(), false),
                ("evil.py".into(), b"import os".to_vec(), false),
                ("merges.txt".into(), b"#version: 0.2\n".to_vec(), false),
                ("model.safetensors".into(), weights, true),
                ("pytorch_model.bin".into(), b"pickle".to_vec(), true),
            ],
        }
    }

    /// The contents of a file.
    pub fn file(&self, name: &str) -> &[u8] {
        &self.files.iter().find(|f| f.0 == name).expect("the test names a file that is there").1
    }

    /// The listing as the hub gives it.
    pub fn listing(&self) -> String {
        let files: Vec<String> = self
            .files
            .iter()
            .map(|(name, bytes, large)| {
                let size = bytes.len();
                let lfs = match large {
                    true => format!(r#","lfs":{{"sha256":"{}","size":{size},"pointerSize":134}}"#, digest(bytes, true)),
                    false => String::new(),
                };
                format!(r#"{{"rfilename":"{name}","size":{size},"blobId":"{}"{lfs}}}"#, digest(bytes, false))
            })
            .collect();
        format!(
            r#"{{"id":"{}","sha":"{}","cardData":{{"license":"mit"}},"siblings":[{}]}}"#,
            self.name,
            self.commit,
            files.join(",")
        )
    }

    /// What an honest hub answers.
    pub fn answer(&self, request: &Request) -> Reply {
        if request.path.starts_with(&format!("/api/models/{}/revision/", self.name)) {
            return Reply::new(200, self.listing());
        }
        let prefix = format!("/{}/resolve/{}/", self.name, self.commit);
        let name = request.path.strip_prefix(&prefix).unwrap_or_default();
        match self.files.iter().find(|f| f.0 == name) {
            Some((_, bytes, large)) => part(bytes, request)
                .with("X-Repo-Commit", &self.commit)
                .with("ETag", format!("\"{}\"", digest(bytes, *large))),
            None => Reply::new(404, "no").with("X-Error-Code", "EntryNotFound"),
        }
    }
}

/// The part of some contents that was asked for.
pub fn part(bytes: &[u8], request: &Request) -> Reply {
    match request.from() {
        0 => Reply::new(200, bytes),
        from if from < bytes.len() => Reply::new(206, &bytes[from..])
            .with("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())),
        _ => Reply::new(416, ""),
    }
}

/// The digest of some bytes, as the hub names small and large files.
pub fn digest(bytes: &[u8], large: bool) -> Digest {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    let kind = if large { Digest::Sha256([0; 32]) } else { Digest::Git([0; 20]) };
    kind.of_file(file.path()).expect("it is there")
}
