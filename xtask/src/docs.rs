//! Documents that the program prints about itself, so that they cannot say something else.
//!
//! A document is checked from the day it is first written: `cargo xtask docs` writes it, and once
//! the file exists, a text that differs from what the program prints is a fault.

use std::path::Path;

use crate::shell;

/// A file, and what the program is asked for it.
struct Printed {
    file: &'static str,
    args: &'static [&'static str],
}

/// All of them; a new one is a line here.
const PRINTED: &[Printed] = &[Printed { file: "docs/commands.md", args: &["docs", "markdown"] }];

/// Writes every document anew.
pub fn write(root: &Path) -> Result<(), String> {
    for printed in PRINTED {
        let text = print(root, printed)?;
        let file = root.join(printed.file);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        }
        std::fs::write(&file, text).map_err(|e| format!("cannot write {}: {e}", printed.file))?;
        eprintln!("wrote {}", printed.file);
    }
    Ok(())
}

/// Fails, naming file and line, if a document is not what the program prints.
pub fn check(root: &Path) -> Result<(), String> {
    for printed in PRINTED {
        let Ok(old) = std::fs::read_to_string(root.join(printed.file)) else {
            eprintln!("\n── skipped: {} is not there yet; `cargo xtask docs` writes it", printed.file);
            continue;
        };
        let new = print(root, printed)?;
        if let Some((line, what)) = first_difference(&old, &new) {
            return Err(format!(
                "{}:{line}: {what}\n  mend: run `cargo xtask docs` and commit what it wrote",
                printed.file
            ));
        }
        eprintln!("\n── {} is what the program prints", printed.file);
    }
    Ok(())
}

fn print(root: &Path, printed: &Printed) -> Result<String, String> {
    let args = ["run", "--quiet", "--profile", shell::PROFILE, "--package", "likebut", "--"];
    shell::read(root, &shell::cargo(), &[&args, printed.args].concat())
}

/// The first line, counted from 1, at which two texts part.
fn first_difference(old: &str, new: &str) -> Option<(usize, String)> {
    if old == new {
        return None;
    }
    let (mut left, mut right) = (old.lines(), new.lines());
    let mut line = 1;
    loop {
        match (left.next(), right.next()) {
            (Some(a), Some(b)) if a == b => line += 1,
            (None, None) => return Some((line, "the line ends differ".to_owned())),
            (a, b) => {
                let show = |l: Option<&str>| l.map_or("nothing more".to_owned(), |l| format!("{l:?}"));
                return Some((line, format!("the file says {}, the program prints {}", show(a), show(b))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_line_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        let (line, what) = first_difference("a\nb\n", "a\nc\n").unwrap();
        assert_eq!((line, what.as_str()), (2, "the file says \"b\", the program prints \"c\""));
        assert_eq!(first_difference("a\n", "a\nb\n").unwrap().0, 2);
        assert_eq!(first_difference("a\r\n", "a\n").unwrap().1, "the line ends differ");
    }
}
