//! Names that come from outside and become paths here: what is refused, and why.

use crate::error::Error;

/// More than this is no name.
const MAX_NAME: usize = 1024;
/// Names that mean a device on Windows, whatever ending they wear.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul"];

/// A repository, `OWNER/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Repo(String);

impl Repo {
    /// Reads `OWNER/NAME`; the characters are those that the hub allows.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::Repo(text.to_owned());
        let (owner, name) = text.split_once('/').ok_or_else(bad)?;
        let fine = |part: &str| {
            !part.is_empty()
                && part.len() <= 96
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
                && !part.starts_with(['.', '-'])
                && !part.ends_with(['.', '-'])
                // The cache writes the slash so; a name that holds it could be read as another.
                && !part.contains("--")
                && !part.contains("..")
        };
        if fine(owner) && fine(name) { Ok(Self(text.to_owned())) } else { Err(bad()) }
    }

    /// `OWNER/NAME`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its folder in the cache, `models--OWNER--NAME`.
    pub fn folder(&self) -> String {
        format!("models--{}", self.0.replace('/', "--"))
    }
}

impl std::fmt::Display for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A branch, tag or commit, safe to be a path below `refs`.
pub fn check_revision(text: &str) -> Result<(), Error> {
    match reason_against(text) {
        None => Ok(()),
        Some(_) => Err(Error::Revision(text.to_owned())),
    }
}

/// Whether a text is a full commit.
pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A file of a repository, safe to be written below a snapshot on every system.
pub fn check_file(repo: &Repo, name: &str) -> Result<(), Error> {
    match reason_against(name) {
        None => Ok(()),
        Some(why) => {
            // A name of megabytes helps nobody.
            let name = name.chars().take(80).collect();
            Err(Error::Name { repo: repo.to_string(), name, why })
        }
    }
}

fn reason_against(name: &str) -> Option<&'static str> {
    if name.len() > MAX_NAME {
        return Some("it is longer than any name");
    }
    if name.chars().any(|c| c.is_control() || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')) {
        return Some("it holds a character that some systems read as a command");
    }
    name.split('/').find_map(|step| {
        let stem = step.split('.').next().unwrap_or_default().to_lowercase();
        match step {
            "" => Some("it begins or ends with a slash, or holds two"),
            "." | ".." => Some("it leads out of its folder"),
            _ if step.len() > 255 => Some("one of its steps is longer than file systems allow"),
            _ if step.ends_with(['.', ' ']) => Some("some systems drop its last character"),
            _ if DEVICES.contains(&stem.as_str())
                || (stem.len() == 4
                    && (stem.starts_with("com") || stem.starts_with("lpt"))
                    && stem.ends_with(|c: char| c.is_ascii_digit())) =>
            {
                Some("it is a device on some systems")
            }
            _ => None,
        }
    })
}

/// A name in the model store: lower-case letters, digits, dot, dash and underscore.
pub fn check_model(name: &str) -> Result<(), Error> {
    let fail = |why: &str| Err(Error::ModelName { name: name.chars().take(80).collect(), why: why.to_owned() });
    if name.is_empty() || name.len() > 64 {
        return fail("it needs 1 to 64 characters");
    }
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')) {
        return fail("it may hold lower-case letters, digits, dot, dash and underscore");
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || reason_against(name).is_some() {
        return fail("it must begin with a letter or digit, and mean a plain file on every system");
    }
    Ok(())
}

/// A text as one step of an address; with `slashes` several.
pub fn quoted(text: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(b as char),
            b'/' if slashes => out.push('/'),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories() {
        for good in ["Salesforce/blip2-itm-vit-g", "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", "a/b_c"] {
            assert_eq!(Repo::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(Repo::parse("a/b").unwrap().folder(), "models--a--b");
        for bad in [
            "",
            "a",
            "a/",
            "/b",
            "a/b/c",
            "../b",
            "a/..",
            "a/b c",
            "a--b/c",
            "-a/b",
            "a/b?",
            "a/é",
            &format!("a/{}", "x".repeat(97)),
        ] {
            assert!(Repo::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_stays_in_its_folder_on_every_system() {
        let repo = Repo::parse("a/b").unwrap();
        for good in
            ["config.json", "1_Pooling/config.json", ".gitattributes", "model-00001-of-00002.safetensors", "콘.json"]
        {
            assert!(check_file(&repo, good).is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        let deep = "x/".repeat(600) + "y";
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/..",
            ".",
            "a//b",
            "a/",
            "..\\x",
            "C:x",
            "c:/x",
            "a\0b",
            "a\nb",
            "nul",
            "NUL.json",
            "a/con.txt",
            "COM1",
            "lpt9.bin",
            "x.",
            "x ",
            "file:stream",
            &long,
            &deep,
        ] {
            assert!(check_file(&repo, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn revisions_and_model_names() {
        for good in ["main", "refs/pr/4", "v1.0", "bbc77c8132af1cc5cf678da3f1ddf2de43606d48"] {
            assert!(check_revision(good).is_ok(), "{good}");
        }
        for bad in ["", "../main", "/main", "a/../b", "main\n"] {
            assert!(check_revision(bad).is_err(), "{bad:?}");
        }
        for good in ["bge-vl-base", "mine", "clip-b32.v2", "7"] {
            assert!(check_model(good).is_ok(), "{good}");
        }
        for bad in ["", "Mine", "a/b", "..", ".x", "-x", "con", "x.", "ä", &"x".repeat(65)] {
            assert!(check_model(bad).is_err(), "{bad}");
        }
        assert!(is_commit("bbc77c8132af1cc5cf678da3f1ddf2de43606d48") && !is_commit("main"));
        assert_eq!((quoted("a b/c", true), quoted("refs/pr/1", false)), ("a%20b/c".into(), "refs%2Fpr%2F1".into()));
    }
}
