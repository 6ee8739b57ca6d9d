//! One question over one connection: HTTP/1.1 as far as fetching files needs it.
//!
//! A client of our own, because little is needed and what is needed is exact: nothing is redirected,
//! decompressed, kept alive or retried here, every length is held to, and silence ends a connection.
//! `httparse` reads the head, rustls encrypts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A connection that is silent for this long is dead.
const SILENCE: Duration = Duration::from_secs(30);
/// A head longer than this is no head.
const MAX_HEAD: usize = 64 << 10;
/// Nor is one with more lines.
const MAX_HEADERS: usize = 128;

/// What is sent.
pub(crate) struct Question<'a> {
    pub(crate) https: bool,
    /// With its port, where that is not the usual one.
    pub(crate) host: &'a str,
    /// With its slash.
    pub(crate) path: &'a str,
    /// Besides those that every question has.
    pub(crate) headers: &'a [(&'a str, String)],
    /// Who passes it on, `HOST:PORT`.
    pub(crate) proxy: Option<&'a str>,
}

/// The headers of an answer, names in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// What comes back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It will not be otherwise in a minute.
    #[error("{0}")]
    Lasting(String),
    /// It may be otherwise in a minute.
    #[error("{0}")]
    Passing(String),
}

/// What a stream is underneath: plain or encrypted.
trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// The contents of an answer, to be read to their end and no further.
pub(crate) struct Body {
    from: BufReader<Box<dyn Stream>>,
    left: Left,
}

/// How much is still to come.
enum Left {
    /// So many bytes.
    Bytes(u64),
    /// So many of a piece, then another piece.
    Pieces(u64),
    /// Until the other side closes.
    Close,
    Nothing,
}

/// Asks.
pub(crate) fn ask(question: &Question<'_>) -> Result<Reply, Fault> {
    let mut from = BufReader::with_capacity(1 << 17, connected(question)?);
    let passed_on = question.proxy.is_some() && !question.https;
    let target =
        if passed_on { format!("http://{}{}", question.host, question.path) } else { question.path.to_owned() };
    let mut text = format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: likebut/{}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\
         Connection: close\r\n",
        question.host,
        env!("CARGO_PKG_VERSION")
    );
    for (name, value) in question.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let stream = from.get_mut();
    stream.write_all(format!("{text}\r\n").as_bytes()).and_then(|()| stream.flush()).map_err(passing)?;
    // A server may say something on the way before it answers.
    for _ in 0..8 {
        let (status, headers) = head(&mut from)?;
        if !(100..200).contains(&status) {
            let left = left(status, &headers)?;
            return Ok(Reply { status, headers, body: Body { from, left } });
        }
    }
    Err(Fault::Lasting("it promises an answer again and again".into()))
}

fn passing(error: std::io::Error) -> Fault {
    match error.kind() {
        // What Unix says when a read takes longer than it may.
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
            Fault::Passing(format!("nothing was heard for {} seconds", SILENCE.as_secs()))
        }
        _ => Fault::Passing(error.to_string()),
    }
}

/// Why encryption did not come about. A certificate will not be another one in a minute.
fn unfamiliar(error: std::io::Error) -> Fault {
    let Some(why) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
        return passing(error);
    };
    Fault::Lasting(match why {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is signed by nobody whom this system trusts; if a company or a mirror signs its own, \
             name the file with the signer's certificate in SSL_CERT_FILE"
                .into()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is that of another host".into(),
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired; if it has not, this machine's clock is wrong".into()
        }
        rustls::Error::InvalidCertificate(other) => format!("its certificate is not valid: {other}"),
        rustls::Error::InvalidMessage(_) => "it does not speak HTTPS there; is it http://?".into(),
        other => format!("encryption did not come about: {other}"),
    })
}

/// A connection, through a proxy if there is one, encrypted if that is asked for.
fn connected(question: &Question<'_>) -> Result<Box<dyn Stream>, Fault> {
    let port = if question.https { 443 } else { 80 };
    let (name, _) = parts(question.host, port).ok_or_else(|| Fault::Lasting("its port is none".into()))?;
    let mut stream = match question.proxy {
        None => reach(question.host, port)?,
        Some(proxy) => reach(proxy, 80).map_err(|e| Fault::Passing(format!("the proxy {proxy}: {e}")))?,
    };
    if !question.https {
        return Ok(Box::new(stream));
    }
    if let Some(proxy) = question.proxy {
        let to = if question.host.ends_with(&format!(":{port}")) || parts(question.host, 0).is_some_and(|p| p.1 != 0) {
            question.host.to_owned()
        } else {
            format!("{}:{port}", question.host)
        };
        stream.write_all(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes()).map_err(passing)?;
        // Byte by byte: what follows the head belongs to the encrypted stream.
        let mut slow = BufReader::with_capacity(1, &mut stream);
        let (status, _) = head(&mut slow)?;
        if status != 200 {
            return Err(Fault::Lasting(format!("the proxy {proxy} answers {status}")));
        }
    }
    let server = ServerName::try_from(name.trim_matches(['[', ']']).to_owned())
        .map_err(|_| Fault::Lasting("its name is none that a certificate could have".into()))?;
    let mut connection =
        ClientConnection::new(trust()?, server).map_err(|e| Fault::Lasting(format!("cannot encrypt: {e}")))?;
    // Before anything is said: who is not who we want to speak with is not to hear a question.
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(unfamiliar)?;
    }
    Ok(Box::new(StreamOwned::new(connection, stream)))
}

/// `host:443` in two; `None` if what follows the colon is no port.
fn parts(host: &str, usual: u16) -> Option<(&str, u16)> {
    match host.rsplit_once(':') {
        // The colons of [::1] are not before a port.
        Some((name, port)) if !port.ends_with(']') => Some((name, port.parse().ok()?)),
        _ => Some((host, usual)),
    }
}

fn reach(host: &str, usual: u16) -> Result<TcpStream, Fault> {
    let (name, port) = parts(host, usual).ok_or_else(|| Fault::Lasting("its port is none".into()))?;
    let found = (name.trim_matches(['[', ']']), port).to_socket_addrs();
    let addresses = found.map_err(|e| Fault::Passing(format!("its address is not known ({e})")))?;
    let mut why = Fault::Lasting("it has no address".into());
    for address in addresses {
        match TcpStream::connect_timeout(&address, SILENCE) {
            Ok(stream) => {
                let set = stream.set_read_timeout(Some(SILENCE)).and_then(|()| stream.set_write_timeout(Some(SILENCE)));
                set.and_then(|()| stream.set_nodelay(true)).map_err(passing)?;
                return Ok(stream);
            }
            // Nobody listens there, and nobody will in a moment.
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => why = Fault::Lasting(e.to_string()),
            Err(e) => why = Fault::Passing(e.to_string()),
        }
    }
    Err(why)
}

/// Encryption, trusting whom this system trusts; found out once.
fn trust() -> Result<Arc<ClientConfig>, Fault> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let made = CONFIG.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
            return Err(format!(
                "this system has no certificates to trust{why}; install its ca-certificates, or name them in SSL_CERT_FILE"
            ));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    });
    made.clone().map_err(Fault::Lasting)
}

/// Status and headers.
fn head(from: &mut dyn BufRead) -> Result<(u16, Headers), Fault> {
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        from.take((MAX_HEAD - before) as u64).read_until(b'\n', &mut bytes).map_err(passing)?;
        if bytes.len() == before {
            return Err(match bytes.len() {
                MAX_HEAD => Fault::Lasting(format!("its answer's head has more than {MAX_HEAD} bytes")),
                _ => Fault::Passing("the connection ended before an answer".into()),
            });
        }
        if bytes.ends_with(b"\r\n\r\n") || bytes.ends_with(b"\n\n") {
            break;
        }
    }
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut lines);
    let no_http = |why: String| Fault::Lasting(format!("its answer is no HTTP ({why})"));
    match parsed.parse(&bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(no_http("it breaks off".into())),
        Err(e) => return Err(no_http(e.to_string())),
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let headers = parsed.headers.iter().map(|h| (h.name.to_lowercase(), text(h.value))).collect();
    Ok((parsed.code.unwrap_or(0), Headers(headers)))
}

/// How long the body is, as the head has it.
fn left(status: u16, headers: &Headers) -> Result<Left, Fault> {
    if matches!(status, 204 | 304) {
        return Ok(Left::Nothing);
    }
    if let Some(coding) = headers.get("transfer-encoding") {
        return match coding.eq_ignore_ascii_case("chunked") {
            true => Ok(Left::Pieces(0)),
            false => Err(Fault::Lasting(format!("it sends in a coding that we did not ask for, {coding:?}"))),
        };
    }
    let mut lengths = headers.0.iter().filter(|(n, _)| n == "content-length").map(|(_, v)| v.parse::<u64>());
    match lengths.next() {
        None => Ok(Left::Close),
        Some(Ok(length)) if lengths.all(|l| l == Ok(length)) => Ok(Left::Bytes(length)),
        Some(_) => Err(Fault::Lasting("it gives a length that is none".into())),
    }
}

impl Read for Body {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let early = || std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the connection ended too early");
        if let Left::Pieces(0) = self.left {
            self.left = match piece(&mut self.from)? {
                0 => Left::Nothing,
                n => Left::Pieces(n),
            };
        }
        match &mut self.left {
            Left::Nothing | Left::Bytes(0) => Ok(0),
            Left::Close => self.from.read(to),
            Left::Bytes(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(to.len());
                let n = self.from.read(&mut to[..most])?;
                *left -= n as u64;
                if n == 0 && most > 0 { Err(early()) } else { Ok(n) }
            }
            Left::Pieces(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(to.len());
                let n = self.from.read(&mut to[..most])?;
                *left -= n as u64;
                if n == 0 && most > 0 {
                    return Err(early());
                }
                if *left == 0 {
                    line(&mut self.from)?;
                }
                Ok(n)
            }
        }
    }
}

/// The length of the next piece.
fn piece(from: &mut dyn BufRead) -> std::io::Result<u64> {
    let bad = || std::io::Error::new(std::io::ErrorKind::InvalidData, "a piece without a length");
    let text = line(from)?;
    let digits = text.split(';').next().unwrap_or_default().trim();
    // `from_str_radix` would also read a sign.
    if digits.is_empty() || digits.len() > 15 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(bad());
    }
    u64::from_str_radix(digits, 16).map_err(|_| bad())
}

fn line(from: &mut dyn BufRead) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    from.take(4096).read_until(b'\n', &mut bytes)?;
    match bytes.ends_with(b"\n") {
        true => Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned()),
        false => Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the connection ended too early")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read out of an answer's bytes.
    fn read(text: &[u8]) -> Result<(u16, Vec<u8>), String> {
        let stream: Box<dyn Stream> = Box::new(std::io::Cursor::new(text.to_vec()));
        let mut from = BufReader::new(stream);
        let (status, headers) = head(&mut from).map_err(|e| e.to_string())?;
        let left = left(status, &headers).map_err(|e| e.to_string())?;
        let mut out = Vec::new();
        Body { from, left }.read_to_end(&mut out).map_err(|e| e.to_string())?;
        Ok((status, out))
    }

    #[test]
    fn bodies_end_where_they_say() {
        let ok = |text: &str| read(text.as_bytes()).unwrap();
        assert_eq!(ok("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"), (200, b"abc".to_vec()));
        assert_eq!(ok("HTTP/1.1 200\r\n\r\nall of it"), (200, b"all of it".to_vec()));
        assert_eq!(
            ok("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nmore"),
            (200, b"abcde".to_vec())
        );
        assert_eq!(ok("HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n"), (304, Vec::new()));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let mut long = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        long.resize(MAX_HEAD + 10, b'x');
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
        for bad in [
            &b""[..],
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            &long,
            many.as_bytes(),
        ] {
            assert!(read(bad).is_err(), "{}", String::from_utf8_lossy(&bad[..bad.len().min(80)]));
        }
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!(parts("hub.example", 443), Some(("hub.example", 443)));
        assert_eq!(parts("hub.example:8080", 443), Some(("hub.example", 8080)));
        assert_eq!(parts("[::1]", 80), Some(("[::1]", 80)));
        assert_eq!(parts("[::1]:8080", 80), Some(("[::1]", 8080)));
        assert_eq!(parts("hub.example:x", 80), None);
    }
}
