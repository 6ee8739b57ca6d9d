//! How the hub names contents, and how a file is held against that name.
//!
//! Small files are named as git names them, by the SHA-1 of `blob LENGTH\0` and the contents; large
//! ones by the SHA-256 of the contents alone. The name is also the file's name in the cache, so
//! every cached file says what it should be.

use std::io::Read;
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, at};

/// The hub's name for some contents.
///
/// ```
/// use hub::Digest;
/// // What `git hash-object` says of an empty file.
/// let empty = Digest::parse("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391").unwrap();
/// assert!(matches!(empty, Digest::Git(_)));
/// assert!(Digest::parse("W/\"xyz\"").is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Digest {
    /// SHA-1 of a git blob: small files.
    Git([u8; 20]),
    /// SHA-256: large files.
    Sha256([u8; 32]),
}

impl Digest {
    /// Reads forty or sixty-four hexadecimal digits; entity tags may wear quotes and `W/`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches("W/").trim_matches('"');
        match text.len() {
            40 => Some(Self::Git(bytes(text)?)),
            64 => Some(Self::Sha256(bytes(text)?)),
            _ => None,
        }
    }

    /// The digest of the same kind of a file's contents.
    pub fn of_file(self, path: &Path) -> Result<Self, Error> {
        let mut file = std::fs::File::open(path).map_err(at(path))?;
        let length = file.metadata().map_err(at(path))?.len();
        self.of_reader(&mut file, length).map_err(at(path))
    }

    fn of_reader(self, reader: &mut dyn Read, length: u64) -> std::io::Result<Self> {
        match self {
            Self::Git(_) => {
                let mut hash = Sha1::new();
                hash.update(format!("blob {length}\0"));
                each_piece(reader, &mut |piece| hash.update(piece))?;
                Ok(Self::Git(hash.finalize().into()))
            }
            Self::Sha256(_) => {
                let mut hash = Sha256::new();
                each_piece(reader, &mut |piece| hash.update(piece))?;
                Ok(Self::Sha256(hash.finalize().into()))
            }
        }
    }

    /// The SHA-256 of a file's contents, for records of our own.
    pub fn sha256(path: &Path) -> Result<Self, Error> {
        Self::Sha256([0; 32]).of_file(path)
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: &[u8] = match self {
            Self::Git(b) => b,
            Self::Sha256(b) => b,
        };
        bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

fn each_piece(reader: &mut dyn Read, take: &mut dyn FnMut(&[u8])) -> std::io::Result<()> {
    let mut piece = vec![0u8; 1 << 16];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(n) => take(&piece[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut out = [0u8; N];
    if !hex.is_ascii() || hex.len() != 2 * N {
        return None;
    }
    for (i, byte) in out.iter_mut().enumerate() {
        let pair = hex.get(2 * i..2 * i + 2)?;
        // `from_str_radix` also reads a sign.
        if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_and_sha256sum_give() {
        let of =
            |kind: Digest, text: &str| kind.of_reader(&mut text.as_bytes(), text.len() as u64).unwrap().to_string();
        assert_eq!(of(Digest::Git([0; 20]), "hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(
            of(Digest::Sha256([0; 32]), "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn only_digests_are_read_as_such() {
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        for good in [git.to_owned(), format!("\"{git}\""), format!("W/\"{git}\""), git.to_uppercase()] {
            assert_eq!(Digest::parse(&good).unwrap().to_string(), git);
        }
        let signs = "+1".repeat(20);
        for bad in [
            "",
            "ce01",
            &git[1..],
            "../../../etc/passwd/aaaaaaaaaaaaaaaaaaaaaaa",
            &signs,
            "é0000000000000000000000000000000000000000",
        ] {
            assert!(Digest::parse(bad).is_none(), "{bad}");
        }
    }
}
