//! Paths as the library keeps them, and as people like to read them.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use domain::ItemId;

use crate::exit::Failure;
use crate::paint::printable;

/// The one name by which a library knows a path: absolute, with every folder on the way resolved,
/// but not the last step, which may be a link that the user keeps on purpose.
pub fn place(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name())
        && let Ok(parent) = parent.canonicalize()
    {
        return parent.join(name);
    }
    // `..` and `/` have no last name; a file that is gone has no folder to resolve.
    absolute.canonicalize().unwrap_or(absolute)
}

/// A path as short as it can be said from here, and safe to print.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|p| p.canonicalize()).unwrap_or_default();
    let short = match path.strip_prefix(&here) {
        Ok(below) if !below.as_os_str().is_empty() => below.display().to_string(),
        _ => match path.strip_prefix(crate::folders::home()) {
            Ok(below) if path.is_absolute() => format!("~/{}", below.display()),
            _ => path.display().to_string(),
        },
    };
    printable(&short)
}

/// A path as JSON can carry it: text, with what is not Unicode replaced.
pub fn text(path: &Path) -> Cow<'_, str> {
    path.to_string_lossy()
}

/// An argument as a shell reads it back, and safe to print.
pub fn quoted(argument: &OsStr) -> String {
    let bytes = argument.as_encoded_bytes();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-+=./:,@%".contains(b);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return argument.to_string_lossy().into_owned();
    }
    match argument.to_str() {
        Some(text) if !text.chars().any(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        // What bash, zsh and others read byte by byte.
        _ => {
            let escaped = |b: &u8| match b {
                b'\'' | b'\\' => format!("\\{}", char::from(*b)),
                b' '..=b'~' => char::from(*b).into(),
                _ => format!("\\x{b:02x}"),
            };
            format!("$'{}'", bytes.iter().map(escaped).collect::<String>())
        }
    }
}

/// `#12` → item 12; `None` where it is not written so, hence a path.
/// A file whose name begins with `#` is meant by `./#12`.
pub fn item_id(text: &str) -> Result<Option<ItemId>, Failure> {
    let Some(number) = text.strip_prefix('#') else {
        return Ok(None);
    };
    match number.parse() {
        Ok(n) => Ok(Some(ItemId(n))),
        Err(_) => Err(Failure::usage(format!("an item is written #NUMBER, got {text:?}"))
            .hint(format!("if this is a file, write ./{text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("sub")).unwrap();
        std::fs::write(root.join("a.jpg"), "x").unwrap();
        assert_eq!(place(&root.join("sub/../a.jpg")), root.join("a.jpg"));
        assert_eq!(place(&root.join("sub/..")), root);
        assert_eq!(place(&root.join("gone.jpg")), root.join("gone.jpg"));
        assert_eq!(place(Path::new("/")), Path::new("/"));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_quoted_comes_back_from_a_shell() {
        use std::os::unix::ffi::OsStrExt as _;
        for (argument, written) in [
            (&b"--batch=4"[..], "--batch=4"),
            (b"", "''"),
            (b"#12", "'#12'"),
            (b"my $HOME 'n' ~", r"'my $HOME '\''n'\'' ~'"),
            ("Grüße".as_bytes(), "'Grüße'"),
            (b"a\n\\b", r"$'a\x0a\\b'"),
            (b"\xff' .jpg", r"$'\xff\' .jpg'"),
        ] {
            let quoted = quoted(OsStr::from_bytes(argument));
            assert_eq!(quoted, written);
            match std::process::Command::new("bash").args(["-c", &format!("printf %s {quoted}")]).output() {
                Ok(back) => assert_eq!(back.stdout, argument, "{quoted}"),
                Err(e) => eprintln!("skipped: there is no bash: {e}"),
            }
        }
    }

    #[test]
    fn items_and_files_are_told_apart() {
        assert_eq!(item_id("#12").unwrap(), Some(ItemId(12)));
        assert_eq!(item_id("12").unwrap(), None);
        assert_eq!(item_id("./#12").unwrap(), None);
        assert!(item_id("#twelve").unwrap_err().hints[0].contains("./#twelve"));
    }
}
