//! Asking: one request at a time, over a connection that may break, to a server that may lie.
//!
//! A secret goes only to the host that it was given for. A redirect is followed by us, not by the
//! client underneath, because that is where secrets leak and where encryption is lost.

use std::io::Read as _;
use std::time::Duration;

use crate::error::Error;
use crate::place::{Place, Proxies, Token};
use crate::wire::{self, Fault, Headers, Question, Reply};

/// Answers to questions are small; the hub's listing of a large repository is some hundred kilobytes.
const MAX_ANSWER: u64 = 8 << 20;
/// More redirects than this are a circle.
const MAX_REDIRECTS: usize = 8;
/// How often something that may pass is tried.
const TRIES: u32 = 5;
/// A server that wants us to wait longer is not waited for.
const MAX_WAIT_SECS: u64 = 120;

/// Someone who asks.
pub(crate) struct Client {
    endpoint: Address,
    token: Option<Token>,
    proxies: Proxies,
    /// The first pause after a failure; it doubles. Tests shorten it.
    pub(crate) pause: Duration,
}

/// What came back, as the first host said it; the body comes from wherever it sent us.
pub(crate) struct Answer {
    /// Headers of the first answer: the hub's own, not those of the store behind it.
    pub(crate) headers: Headers,
    /// The last answer, with the contents.
    pub(crate) last: Reply,
    /// Whether the first answer was a redirect.
    pub(crate) was_sent_on: bool,
}

impl Answer {
    /// A header of the first answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

/// What is known of how long we may take, and who wants to know.
pub(crate) struct Patience<'a> {
    /// Whether the user wants us to stop.
    pub(crate) stop: &'a dyn Fn() -> bool,
    /// Told before each wait: why, and how many seconds.
    pub(crate) waiting: &'a mut dyn FnMut(&str, u64),
}

impl Client {
    pub(crate) fn new(place: &Place) -> Result<Self, Error> {
        let endpoint = Address::parse(&place.endpoint).ok_or_else(|| Error::Server {
            host: place.endpoint.clone(),
            what: "an address".into(),
            got: "something that begins with neither https:// nor http://; correct HF_ENDPOINT".into(),
        })?;
        // In the clear a secret goes to this machine only.
        let token = place.token.clone().filter(|_| endpoint.https || endpoint.is_here());
        Ok(Self { endpoint, token, proxies: place.proxies.clone(), pause: Duration::from_secs(1) })
    }

    /// A small answer, whole.
    pub(crate) fn question(&self, path: &str, what: &str, patience: &mut Patience<'_>) -> Result<Vec<u8>, Error> {
        let mut answer = self.get(path, None, what, patience)?;
        let host = self.endpoint.host.clone();
        let mut out = Vec::new();
        let read = answer.last.body.by_ref().take(MAX_ANSWER + 1).read_to_end(&mut out);
        read.map_err(|e| Error::Unreachable { host: host.clone(), why: e.to_string() })?;
        if out.len() as u64 > MAX_ANSWER {
            let got = format!("more than {MAX_ANSWER} bytes");
            return Err(Error::Server { host, what: what.to_owned(), got });
        }
        Ok(out)
    }

    /// What lies at a path of the hub, from byte `from` on. Retries what may pass, follows redirects.
    pub(crate) fn get(
        &self,
        path: &str,
        from: Option<u64>,
        what: &str,
        patience: &mut Patience<'_>,
    ) -> Result<Answer, Error> {
        let mut pause = self.pause;
        for left in (0..TRIES).rev() {
            if (patience.stop)() {
                return Err(Error::Stopped);
            }
            let error = match self.once(path, from, what) {
                Ok(answer) => return Ok(answer),
                Err((error, may_pass)) if left == 0 || !may_pass => return Err(error),
                Err((error, _)) => error,
            };
            let wait = match &error {
                Error::TooManyRequests { secs: Some(secs), .. } if *secs > MAX_WAIT_SECS => return Err(error),
                Error::TooManyRequests { secs: Some(secs), .. } => Duration::from_secs(*secs).max(self.pause),
                _ => pause,
            };
            (patience.waiting)(&error.to_string(), wait.as_secs());
            sleep(wait, patience.stop)?;
            pause *= 2;
        }
        // The loop returns on its last turn.
        Err(Error::Stopped)
    }

    /// One try. An error comes with whether it may pass.
    fn once(&self, path: &str, from: Option<u64>, what: &str) -> Result<Answer, (Error, bool)> {
        let mut address = self.endpoint.at(path);
        let mut first: Option<Headers> = None;
        for _ in 0..MAX_REDIRECTS {
            let mut headers = Vec::new();
            if let Some(token) = self.token.as_ref().filter(|_| address.same_origin(&self.endpoint)) {
                headers.push(("Authorization", format!("Bearer {}", token.0)));
            }
            if let Some(from) = from.filter(|f| *f > 0) {
                headers.push(("Range", format!("bytes={from}-")));
            }
            let host = address.host.clone();
            // A proxy is for the world, not for this machine.
            let proxy = if address.is_here() { None } else { self.proxies.of(address.https, address.name()) };
            let question =
                Question { https: address.https, host: &host, path: &address.path, headers: &headers, proxy };
            let response = wire::ask(&question).map_err(|e| unreachable(&host, &e))?;
            let status = response.status;
            let header = |name: &str| response.headers.get(name).map(str::to_owned);
            match status {
                200 | 206 => {
                    let was_sent_on = first.is_some();
                    let headers = first.unwrap_or_else(|| response.headers.clone());
                    return Ok(Answer { headers, last: response, was_sent_on });
                }
                301 | 302 | 303 | 307 | 308 => {
                    let to = header("location").unwrap_or_default();
                    address = address.sent_to(&to).map_err(|why| {
                        (Error::Redirect { host: host.clone(), to: to.chars().take(200).collect(), why }, false)
                    })?;
                    first.get_or_insert_with(|| response.headers.clone());
                }
                401 | 403 => return Err((self.denied(status, what, &header, first.is_some()), false)),
                404 => {
                    let what = match header("x-error-code").as_deref() {
                        Some("RevisionNotFound") => format!("such revision: {what}"),
                        _ => what.to_owned(),
                    };
                    return Err((Error::NotThere { host, what }, false));
                }
                // The partial file is longer than the contents; whoever asked begins again.
                416 => return Err((server(&host, what, "that the file ends before the place asked for"), false)),
                429 => {
                    let secs = header("retry-after").and_then(|v| v.trim().parse().ok());
                    return Err((Error::TooManyRequests { host, secs }, true));
                }
                408 | 500..600 => return Err((server(&host, what, &format!("status {status}")), true)),
                _ => return Err((server(&host, what, &format!("status {status}")), false)),
            }
        }
        let host = self.endpoint.host.clone();
        Err((Error::Redirect { host, to: address.to_string(), why: "it goes round in circles" }, false))
    }

    fn denied(&self, status: u16, what: &str, header: &dyn Fn(&str) -> Option<String>, elsewhere: bool) -> Error {
        let gated = header("x-error-code").as_deref() == Some("GatedRepo");
        let why = match (gated, &self.token, status) {
            _ if elsewhere => format!("the store behind the hub answers {status}; try again later"),
            (true, None, _) => "its terms are to be accepted on its page by someone who is logged in; \
                                then give us that person's HF_TOKEN"
                .to_owned(),
            (true, Some(_), _) => {
                "your token is known, but its owner has not accepted the terms on its page".to_owned()
            }
            (false, None, _) => "there is no such repository, or it is private and needs HF_TOKEN".to_owned(),
            (false, Some(_), _) => "your HF_TOKEN is not accepted, or may not read it".to_owned(),
        };
        let repo = what.split(" · ").next().unwrap_or(what).to_owned();
        let page = self.endpoint.at(&format!("/{repo}")).to_string();
        Error::Denied { repo, why, page }
    }
}

fn server(host: &str, what: &str, got: &str) -> Error {
    Error::Server { host: host.to_owned(), what: what.to_owned(), got: got.to_owned() }
}

fn unreachable(host: &str, fault: &Fault) -> (Error, bool) {
    let error = Error::Unreachable { host: host.to_owned(), why: fault.to_string() };
    (error, matches!(fault, Fault::Passing(_)))
}

/// Waits, looking up now and then.
pub(crate) fn sleep(wait: Duration, stop: &dyn Fn() -> bool) -> Result<(), Error> {
    let until = std::time::Instant::now() + wait;
    loop {
        if stop() {
            return Err(Error::Stopped);
        }
        let left = until.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
}

/// The parts of an address that we have to tell apart.
#[derive(Clone, Debug, PartialEq)]
struct Address {
    https: bool,
    /// Host and port, in lower case.
    host: String,
    /// What follows, with its slash.
    path: String,
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        let (https, rest) = match text.get(..8).map(str::to_lowercase) {
            Some(start) if start == "https://" => (true, &text[8..]),
            _ if text.get(..7).is_some_and(|s| s.eq_ignore_ascii_case("http://")) => (false, &text[7..]),
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let fine = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_'));
        // No control characters, no blanks; and no `user:password@`, which `fine` has refused.
        let clean = path.bytes().all(|b| b.is_ascii_graphic());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (fine && clean && path.len() < 16 << 10).then(|| Self { https, host: host.to_lowercase(), path })
    }

    /// A path below this one.
    fn at(&self, path: &str) -> Self {
        Self { path: format!("{}{path}", self.path.trim_end_matches('/')), ..self.clone() }
    }

    /// Where a redirect leads.
    fn sent_to(&self, to: &str) -> Result<Self, &'static str> {
        let next = if to.starts_with("//") {
            Self::parse(&format!("{}:{to}", if self.https { "https" } else { "http" }))
        } else if to.starts_with('/') {
            Self::parse(&format!("{}://{}{to}", if self.https { "https" } else { "http" }, self.host))
        } else {
            Self::parse(to)
        };
        match next {
            None => Err("it is no address"),
            Some(next) if self.https && !next.https => Err("it would leave encryption behind"),
            Some(next) => Ok(next),
        }
    }

    fn same_origin(&self, other: &Self) -> bool {
        (self.https, &self.host) == (other.https, &other.host)
    }

    /// The host without its port.
    fn name(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => name,
            _ => &self.host,
        }
    }

    fn is_here(&self) -> bool {
        matches!(self.name(), "localhost" | "[::1]" | "127.0.0.1")
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.path == "/" { "" } else { &self.path };
        write!(f, "{}://{}{path}", if self.https { "https" } else { "http" }, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_encrypted_and_are_addresses() {
        let hub = Address::parse("https://Hub.example/base/").unwrap();
        let to = |text: &str| hub.sent_to(text).map(|a| a.to_string());
        assert_eq!(to("https://cdn.example/x?sig=1").unwrap(), "https://cdn.example/x?sig=1");
        assert_eq!(to("/renamed/x").unwrap(), "https://hub.example/renamed/x");
        assert_eq!(to("//cdn.example/x").unwrap(), "https://cdn.example/x");
        assert_eq!(to("http://hub.example/x"), Err("it would leave encryption behind"));
        for bad in
            ["", "file:///etc/passwd", "ftp://x/y", "https://", "https://a b/", "https://u:p@h/", "https://h/\r\nx: y"]
        {
            assert_eq!(to(bad), Err("it is no address"), "{bad}");
        }
    }

    #[test]
    fn a_secret_belongs_to_scheme_host_and_port() {
        let at = |text: &str| Address::parse(text).unwrap();
        let hub = at("https://hub.example");
        assert!(at("https://HUB.example/x").same_origin(&hub));
        for other in
            ["http://hub.example", "https://hub.example:444", "https://hub.example.evil.org", "https://cdn.hub.example"]
        {
            assert!(!at(other).same_origin(&hub), "{other}");
        }
        assert!(at("http://127.0.0.1:8080/x").is_here() && !at("http://127.0.0.1.evil.org").is_here());
        let token = |endpoint: &str| {
            let place = Place {
                cache: "/".into(),
                endpoint: endpoint.into(),
                token: Some(Token("hf_x".into())),
                offline: false,
                proxies: Proxies::default(),
            };
            Client::new(&place).ok().map(|c| c.token.is_some())
        };
        assert_eq!(token("https://mirror.example"), Some(true));
        assert_eq!(token("http://mirror.example"), Some(false), "never in the clear over a network");
        assert_eq!(token("http://localhost:1"), Some(true));
        assert_eq!(token("hub.example"), None);
    }
}
