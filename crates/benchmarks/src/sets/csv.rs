//! Comma-separated values as Python's `csv` and pandas write them, read row by row with limits.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::files::at;
use crate::{Error, Result};

/// A longer row is refused.
pub const MAX_ROW_BYTES: usize = 1 << 20;
/// More rows are refused.
pub const MAX_ROWS: usize = 20_000_000;

/// A file with a header, read row by row. Quoted fields may hold commas, line ends and doubled quotes.
pub struct Csv {
    path: PathBuf,
    reader: BufReader<File>,
    header: Vec<String>,
    line: usize,
    rows: usize,
}

/// One row.
pub struct Row {
    /// The line that it begins on, counted from 1.
    pub line: usize,
    /// Its fields, as many as the header has.
    pub fields: Vec<String>,
}

impl Csv {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let mut this =
            Self { path: path.to_owned(), reader: BufReader::new(file), header: Vec::new(), line: 1, rows: 0 };
        let header = this.record()?.ok_or_else(|| at(path, 1, "the file is empty; expected a header".to_owned()))?;
        this.header = header.fields.into_iter().map(|f| f.trim().trim_start_matches('\u{feff}').to_owned()).collect();
        Ok(this)
    }

    /// Where a column stands; its absence is a fault that names what there is.
    pub fn column(&self, name: &str) -> Result<usize> {
        self.find(name).ok_or_else(|| {
            at(&self.path, 1, format!("there is no column `{name}`; the header has {}", self.header.join(", ")))
        })
    }

    /// Where a column stands, if it is there.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|h| h == name)
    }

    /// The next row; rows that are empty are passed over.
    pub fn row(&mut self) -> Result<Option<Row>> {
        loop {
            let Some(row) = self.record()? else { return Ok(None) };
            if row.fields.len() == 1 && row.fields[0].is_empty() && self.header.len() > 1 {
                continue;
            }
            if row.fields.len() != self.header.len() {
                let (got, want) = (row.fields.len(), self.header.len());
                return Err(at(&self.path, row.line, format!("the row has {got} fields, the header {want}")));
            }
            self.rows += 1;
            if self.rows > MAX_ROWS {
                return Err(at(&self.path, row.line, format!("more than {MAX_ROWS} rows; split the set")));
            }
            return Ok(Some(row));
        }
    }

    /// One record: up to a line end outside quotes.
    fn record(&mut self) -> Result<Option<Row>> {
        let began = self.line;
        let mut bytes = Vec::new();
        loop {
            let room = (MAX_ROW_BYTES + 1).saturating_sub(bytes.len()) as u64;
            let got = (&mut self.reader)
                .take(room)
                .read_until(b'\n', &mut bytes)
                .map_err(|source| Error::Io { path: self.path.clone(), source })?;
            if bytes.len() > MAX_ROW_BYTES {
                return Err(at(&self.path, began, format!("the row is longer than {MAX_ROW_BYTES} bytes")));
            }
            if got == 0 && bytes.is_empty() {
                return Ok(None);
            }
            self.line += usize::from(bytes.last() == Some(&b'\n') && got > 0);
            // An odd number of quotes: the line end was inside a field.
            let open = bytes.iter().filter(|b| **b == b'"').count() % 2 == 1;
            if open && got == 0 {
                return Err(at(&self.path, began, "a quoted field never ends".to_owned()));
            }
            if !open {
                break;
            }
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| at(&self.path, began, "not UTF-8 text; save the table as UTF-8".to_owned()))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        Ok(Some(Row { line: began, fields: split(text).map_err(|fault| at(&self.path, began, fault))? }))
    }
}

fn split(text: &str) -> std::result::Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            let mut inside = quoted;
            loop {
                let Some(end) = inside.find('"') else { return Err("a quoted field never ends".to_owned()) };
                field.push_str(&inside[..end]);
                inside = &inside[end + 1..];
                match inside.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        inside = more;
                    }
                    None => break,
                }
            }
            fields.push(field);
            match inside.strip_prefix(',') {
                Some(more) => rest = more,
                None if inside.is_empty() => return Ok(fields),
                None => return Err(format!("text behind the closing quote of field {}", fields.len())),
            }
        } else {
            match rest.split_once(',') {
                Some((field, more)) => {
                    fields.push(field.to_owned());
                    rest = more;
                }
                None => {
                    fields.push(rest.to_owned());
                    return Ok(fields);
                }
            }
        }
    }
}

/// A list as Python prints it, `['a', "b"]` or `[1, 2]`: its members as text.
pub fn python_list(text: &str) -> std::result::Result<Vec<String>, String> {
    let bad = || {
        let shown: String = text.chars().take(60).collect();
        format!("{shown:?} is no list as Python prints it, such as ['a', 'b']")
    };
    let inner = text.trim().strip_prefix('[').and_then(|t| t.strip_suffix(']')).ok_or_else(bad)?;
    let mut out = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|c| *c == '\'' || *c == '"');
        let (member, after) = match quote {
            Some(quote) => {
                let mut member = String::new();
                let mut chars = rest.char_indices().skip(1);
                let end = loop {
                    match chars.next() {
                        Some((_, '\\')) => member.push(chars.next().ok_or_else(bad)?.1),
                        Some((at, c)) if c == quote => break at + 1,
                        Some((_, c)) => member.push(c),
                        None => return Err(bad()),
                    }
                };
                (member, &rest[end..])
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let member = rest[..end].trim();
                if member.is_empty() || member.contains(['[', ']', '\'', '"']) {
                    return Err(bad());
                }
                (member.to_owned(), &rest[end..])
            }
        };
        out.push(member);
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if after.is_empty() => break,
            None => return Err(bad()),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_as_pandas_writes_them() {
        let fields = |t: &str| split(t).unwrap();
        assert_eq!(fields("a,b,"), ["a", "b", ""]);
        assert_eq!(fields(r#"a,"b, ""c""",d"#), ["a", "b, \"c\"", "d"]);
        assert_eq!(fields(""), [""]);
        assert!(split(r#""a"b"#).is_err() && split(r#""a"#).is_err());
    }

    #[test]
    fn lists_are_read_as_python_prints_them() {
        let list = |t: &str| python_list(t).unwrap();
        assert_eq!(list("['a', \"it's\", 'b\\'c']"), ["a", "it's", "b'c"]);
        assert_eq!(list("[1, 2,3]"), ["1", "2", "3"]);
        assert!(list("[]").is_empty());
        for bad in ["", "a", "['a'", "['a' 'b']", "[[1]]", "['a]"] {
            assert!(python_list(bad).is_err(), "{bad}");
        }
    }
}
