//! No file knows someone's machine: no absolute path of a home or a workplace.

use super::{Fault, House};

/// The beginnings that give a machine away. Written in two halves so that this file is clean.
const PRIVATE: &[(&str, &str)] =
    &[("/", "home/"), ("/", "Users/"), ("/", "root/"), ("/", "work/"), ("/", "workspace/"), ("C:\\", "Users\\")];

pub fn check(house: &House) -> Vec<Fault> {
    let beginnings: Vec<String> = PRIVATE.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let mut faults = Vec::new();
    for (name, text) in house.texts("") {
        for (i, line) in text.lines().enumerate() {
            if let Some(found) = beginnings.iter().find(|b| mentions(line, b)) {
                let what = format!("it names a path of someone's machine, {found}…");
                let mend = "use a path from the repository's root, or `~` in examples".into();
                faults.push(Fault { file: name.to_owned(), line: i + 1, what, mend });
            }
        }
    }
    faults
}

/// Whether the path starts here: `a/home/b` and a URL's path do not.
fn mentions(line: &str, beginning: &str) -> bool {
    line.match_indices(beginning).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "_.-~}/)>]*".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn someones_machine_is_a_fault_at_its_line() {
        for (a, b) in PRIVATE {
            let text = format!("fine\nlet p = \"{a}{b}me/x\";\n");
            let faults = check(&House::of(&[("a.rs", &text)]));
            assert_eq!(faults.iter().map(|f| f.line).collect::<Vec<_>>(), [2], "{text}");
        }
    }

    #[test]
    fn paths_that_only_look_so_are_fine() {
        let text = ["https://example.org", "home/page framework", "work/x ../", "work/ ~/", "home/ $HOME/x"].join("/");
        assert_eq!(check(&House::of(&[("a.md", &text)])), []);
    }
}
