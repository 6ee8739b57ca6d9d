//! A file from outside, whole, and never more of it than was allowed.
//!
//! `benchmarks` and `hub` read theirs in the same way by themselves: they know nothing of media.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The bytes of a file that may have at most `most`.
///
/// What a file says of its length is believed only to refuse: a link to an endless device says nothing, and a file may
/// grow while it is read.
pub fn whole(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let told = file.metadata()?.len();
    let mut bytes = Vec::new();
    if told <= most {
        // What is told is room enough, as a rule: a buffer that grew would take twice as much.
        bytes.try_reserve_exact(usize::try_from(told).unwrap_or(usize::MAX))?;
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    match told.max(bytes.len() as u64) > most {
        true => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {most} bytes, the most that is read"),
        )),
        false => Ok(bytes),
    }
}

/// As [`whole`], of a file that must be UTF-8 text.
pub fn whole_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(whole(path, most)?).map_err(|e| {
        let line = 1 + e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8 text"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_was_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.json");
        std::fs::write(&path, b"one\ntwo").unwrap();
        assert_eq!(whole(&path, 7).unwrap(), b"one\ntwo");
        assert_eq!(whole(&path, 6).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(whole(&dir.path().join("none"), 6).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, b"one\n\xfftwo").unwrap();
        assert!(whole_text(&path, 99).unwrap_err().to_string().contains("line 2"));
    }

    /// Its length is told as 0, and it never ends.
    #[cfg(unix)]
    #[test]
    fn an_endless_device_behind_a_link_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert_eq!(whole(&path, 1 << 20).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
