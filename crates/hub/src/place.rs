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
        Self { cache, endpoint: endpoint.trim_end_matches('/').to_owned(), token: token.map(Token), offline }
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
