//! Every module opens with a sentence that says what it is.

use super::{Fault, House};

pub fn check(house: &House) -> Vec<Fault> {
    house.texts(".rs").filter(|(name, _)| is_module(name)).filter_map(|(name, text)| fault(name, text)).collect()
}

/// Sources of our crates; not tests, benches, examples or build scripts.
fn is_module(name: &str) -> bool {
    let mut parts = name.split('/');
    match parts.next() {
        Some("crates") => parts.nth(1) == Some("src"),
        Some("xtask") => parts.next() == Some("src"),
        _ => false,
    }
}

fn fault(name: &str, text: &str) -> Option<Fault> {
    let mend = "begin the file with `//! What this is.`, before everything else".to_owned();
    let says =
        |line, what: &str| Some(Fault { file: name.to_owned(), line, what: what.to_owned(), mend: mend.clone() });
    let mut lines = text.lines().enumerate().skip_while(|(_, l)| l.trim().is_empty());
    let Some((line, first)) = lines.next() else {
        return says(1, "the file is empty");
    };
    let Some(mut last) = first.strip_prefix("//!").map(str::trim).filter(|t| !t.is_empty()) else {
        return says(line + 1, "it does not open with a sentence");
    };
    // The first paragraph may run over several lines.
    while let Some(more) =
        lines.next().and_then(|(_, l)| l.strip_prefix("//!")).map(str::trim).filter(|t| !t.is_empty())
    {
        last = more;
    }
    let ends = last.trim_end_matches(['"', '”', '*', '_', ')']).ends_with(['.', '!', '?', ':', '`']);
    if ends { None } else { says(line + 1, "what it opens with is not a sentence: it has no end") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_otherwise_is_a_fault_at_its_line() {
        let bad = [
            ("use x;\n", 1),
            ("\n\n// A comment.\n", 3),
            ("", 1),
            ("//!\n//! Late.\n", 1),
            ("//! no end\n//! here\n\nuse x;", 1),
        ];
        for (text, line) in bad {
            let faults = check(&House::of(&[("crates/media/src/lib.rs", text)]));
            assert_eq!(faults.iter().map(|f| f.line).collect::<Vec<_>>(), [line], "{text:?}");
        }
    }

    #[test]
    fn sentences_are_welcome_and_tests_are_free() {
        let good = ["//! One.\n", "//! Of two\n//! lines.\n//!\n//! more", "//! Is it `this`?\nuse x;"];
        for text in good {
            assert_eq!(check(&House::of(&[("xtask/src/a.rs", text)])), [], "{text:?}");
        }
        assert_eq!(check(&House::of(&[("crates/media/tests/it/main.rs", ""), ("crates/media/build.rs", "")])), []);
    }
}
