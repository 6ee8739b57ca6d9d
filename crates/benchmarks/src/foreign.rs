//! Files from elsewhere, read within limits: nothing is allocated that a limit did not allow.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};

use crate::{Error, Result};

/// A text file of at most `most` bytes.
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    // A length that is told is believed only to refuse: pipes tell none.
    let told = file.metadata().map_err(io)?.len();
    if told <= most {
        file.take(most + 1).read_to_end(&mut bytes).map_err(io)?;
    }
    let fault = |line, fault: String| Error::Line { path: path.to_owned(), line, fault };
    if told.max(bytes.len() as u64) > most {
        return Err(fault(
            1,
            format!("the file is longer than {most} bytes, the most that is read; is it the right one?"),
        ));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        fault(line, format!("byte {} is not UTF-8 text; save the file as UTF-8", before.len() + 1))
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Calls `read` for each line that is not empty, with its number; a line longer than `most` bytes is
/// refused.
pub(crate) fn each_line(
    path: &Path,
    most: usize,
    mut read: impl FnMut(usize, &str) -> std::result::Result<(), String>,
) -> Result<()> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let fault = |line, fault: String| Error::Line { path: path.to_owned(), line, fault };
    let mut reader = BufReader::new(File::open(path).map_err(io)?);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let got = (&mut reader).take(most as u64 + 1).read_until(b'\n', &mut bytes).map_err(io)?;
        if got == 0 {
            break;
        }
        if got > most {
            return Err(fault(line, format!("the line is longer than {most} bytes")));
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| fault(line, "not UTF-8 text; save the file as UTF-8".to_owned()))?;
        let text = text.strip_prefix('\u{feff}').filter(|_| line == 1).unwrap_or(text).trim();
        if !text.is_empty() {
            read(line, text).map_err(|text| fault(line, text))?;
        }
    }
    Ok(())
}

/// A JSON text, its faults with file, line and column.
pub(crate) fn from_json<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        let what = e.to_string();
        let at = format!(" at line {} column {}", e.line(), e.column());
        let fault = format!("column {}: {}", e.column(), what.strip_suffix(&at).unwrap_or(&what));
        Error::Line { path: path.to_owned(), line: e.line(), fault }
    })
}

/// A JSON object in its own order; a key that comes twice is refused, not overwritten.
pub(crate) struct Object<V>(pub Vec<(String, V)>);

impl<'de, V: serde::Deserialize<'de>> serde::Deserialize<'de> for Object<V> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        struct Pairs<V>(PhantomData<V>);
        impl<'de, V: serde::Deserialize<'de>> Visitor<'de> for Pairs<V> {
            type Value = Object<V>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Object<V>, A::Error> {
                let (mut pairs, mut seen) = (Vec::new(), HashSet::new());
                while let Some(key) = map.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format!("the key {key:?} comes twice")));
                    }
                    let value = map.next_value()?;
                    pairs.push((key, value));
                }
                Ok(Object(pairs))
            }
        }
        d.deserialize_map(Pairs(PhantomData))
    }
}
