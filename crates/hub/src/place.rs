//! Where the cache lies, who is asked, who asks, and whether anyone may be asked: the environment
//! that all tools of this hub share.

use std::path::{Path, PathBuf};

/// Who is asked where nobody says otherwise.
pub const ENDPOINT: &str = "https://huggingface.co";

/// A secret; it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub(crate) String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The answers, read once.
#[derive(Clone, Debug)]
pub struct Place {
    /// The shared cache: `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or `~/.cache/huggingface/hub`.
    pub cache: PathBuf,
    /// The hub or a mirror of it: `HF_ENDPOINT`.
    pub endpoint: String,
    /// Who asks: `HF_TOKEN`, or the file that a log-in wrote.
    pub token: Option<Token>,
    /// Whether asking is forbidden: `HF_HUB_OFFLINE`.
    pub offline: bool,
    /// Who passes questions on: `HTTPS_PROXY`, `NO_PROXY`.
    pub proxies: Proxies,
}

/// Who passes questions on, where a network is left only through someone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proxies {
    /// `HOST:PORT` for encrypted questions.
    pub https: Option<String>,
    /// `HOST:PORT` for plain ones.
    pub http: Option<String>,
    /// Hosts that are asked directly, with all that end in them; `*` is all.
    pub except: Vec<String>,
}

impl Proxies {
    fn from_env(var: &dyn Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| var(name).or_else(|| var(&name.to_lowercase()));
        // `http://proxy:3128/` and `proxy:3128` are the same to us; one that wants a password is not understood.
        let address = |text: String| {
            let text = text.trim();
            let text = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
            (!text.contains(['/', '@'])).then(|| text.to_owned())
        };
        let all = || either("ALL_PROXY");
        // HTTP_PROXY in capitals may be set by whoever asks a web server: it is not read.
        let except = either("NO_PROXY").unwrap_or_default();
        Self {
            https: either("HTTPS_PROXY").or_else(all).and_then(address),
            http: var("http_proxy").or_else(all).and_then(address),
            except: except
                .split(',')
                .map(|h| h.trim().trim_start_matches('.').to_lowercase())
                .filter(|h| !h.is_empty())
                .collect(),
        }
    }

    /// Who passes on a question to this host.
    pub(crate) fn of(&self, https: bool, host: &str) -> Option<&str> {
        let within =
            |e: &String| e == "*" || host == e || host.strip_suffix(e.as_str()).is_some_and(|h| h.ends_with('.'));
        let proxy = if https { &self.https } else { &self.http };
        proxy.as_deref().filter(|_| !self.except.iter().any(within))
    }
}

impl Place {
    /// From the environment. Empty variables count as unset, as the other tools count them.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>, home: &Path) -> Self {
        let var = |name: &str| env(name).filter(|v| !v.trim().is_empty());
        let folder = |name: &str| var(name).map(|v| expanded(&v, home));
        let base = folder("HF_HOME")
            .unwrap_or_else(|| folder("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache")).join("huggingface"));
        let cache =
            folder("HF_HUB_CACHE").or_else(|| folder("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| base.join("hub"));
        let offline = var("HF_HUB_OFFLINE").or_else(|| var("TRANSFORMERS_OFFLINE")).is_some_and(|v| is_true(&v));
        let endpoint = var("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let written = || {
            if var("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|v| is_true(&v)) {
                return None;
            }
            std::fs::read_to_string(folder("HF_TOKEN_PATH").unwrap_or_else(|| base.join("token"))).ok()
        };
        let token = var("HF_TOKEN").or_else(|| var("HUGGING_FACE_HUB_TOKEN")).or_else(written);
        // A secret with a line end in it would otherwise be another header.
        let token =
            token.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic()));
        Self {
            cache,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token.map(Token),
            offline,
            proxies: Proxies::from_env(&var),
        }
    }
}

fn is_true(value: &str) -> bool {
    matches!(value.trim().to_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
}

/// `~/x` below the user's home.
fn expanded(path: &str, home: &Path) -> PathBuf {
    match path.strip_prefix('~') {
        Some("") => home.to_owned(),
        Some(rest) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(vars: &[(&str, &str)], home: &Path) -> Place {
        let env = |name: &str| vars.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned());
        Place::from_env(&env, home)
    }

    #[test]
    fn where_the_cache_lies() {
        let cache = |vars: &[(&str, &str)]| place(vars, Path::new("/u")).cache.display().to_string();
        assert_eq!(cache(&[]), "/u/.cache/huggingface/hub");
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/c")]), "/c/huggingface/hub");
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/c"), ("HF_HOME", "/h")]), "/h/hub");
        assert_eq!(cache(&[("HF_HOME", "~/h"), ("HF_HUB_CACHE", "")]), "/u/h/hub");
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/x"), ("HUGGINGFACE_HUB_CACHE", "/y")]), "/x");
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/y")]), "/y");
    }

    #[test]
    fn who_is_asked_and_whether() {
        let at = |vars: &[(&str, &str)]| place(vars, Path::new("/u"));
        assert_eq!(at(&[]).endpoint, ENDPOINT);
        assert_eq!(at(&[("HF_ENDPOINT", "http://mirror:8080/")]).endpoint, "http://mirror:8080");
        for (value, offline) in
            [("1", true), ("true", true), ("ON", true), ("yes", true), ("0", false), ("", false), ("no", false)]
        {
            assert_eq!(at(&[("HF_HUB_OFFLINE", value)]).offline, offline, "{value}");
        }
        assert!(at(&[("TRANSFORMERS_OFFLINE", "1")]).offline);
        assert!(!at(&[("TRANSFORMERS_OFFLINE", "1"), ("HF_HUB_OFFLINE", "0")]).offline);
    }

    #[test]
    fn proxies_are_for_the_world() {
        let at = |vars: &[(&str, &str)]| place(vars, Path::new("/u")).proxies;
        let both = at(&[("HTTPS_PROXY", "http://proxy:3128/"), ("no_proxy", "intern.example,.lan")]);
        assert_eq!(both.of(true, "huggingface.co"), Some("proxy:3128"));
        assert_eq!(both.of(false, "huggingface.co"), None);
        for direct in ["intern.example", "a.intern.example", "nas.lan"] {
            assert_eq!(both.of(true, direct), None, "{direct}");
        }
        assert_eq!(both.of(true, "notintern.example"), Some("proxy:3128"));
        assert_eq!(at(&[("HTTP_PROXY", "evil:1")]).of(false, "hub.example"), None);
        assert_eq!(at(&[("http_proxy", "p:1"), ("NO_PROXY", "*")]).of(false, "hub.example"), None);
        assert_eq!(at(&[("ALL_PROXY", "user:secret@p:1")]).of(true, "hub.example"), None);
    }

    #[test]
    fn the_token_comes_from_a_variable_or_a_file_and_is_never_printed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "hf_file\n").unwrap();
        let home = dir.path().to_str().unwrap().to_owned();
        let token = |vars: &[(&str, &str)]| place(vars, Path::new("/nowhere")).token.map(|t| t.0);
        assert_eq!(token(&[("HF_HOME", &home)]).as_deref(), Some("hf_file"));
        assert_eq!(token(&[("HF_HOME", &home), ("HF_TOKEN", " hf_env ")]).as_deref(), Some("hf_env"));
        assert_eq!(token(&[("HF_HOME", &home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        assert_eq!(token(&[("HF_TOKEN_PATH", &format!("{home}/token"))]).as_deref(), Some("hf_file"));
        assert_eq!(token(&[("HF_TOKEN", "a\r\nX-Evil: 1")]), None);
        assert_eq!(token(&[]), None);
        let printed = format!("{:?}", place(&[("HF_TOKEN", "hf_secret")], Path::new("/")));
        assert!(!printed.contains("secret"), "{printed}");
    }
}
