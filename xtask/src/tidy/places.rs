//! A method lies in its four places: the ones that CONTRIBUTING.md promises.

use std::collections::BTreeSet;

use super::{Fault, House};

const METHODS: &str = "crates/methods/src/";
const LIST: &str = "crates/methods/src/lib.rs";
/// What every paper is held against shares one folder, and learns nothing of its own.
const NOT_A_PAPER: &[&str] = &["baseline"];

pub fn check(house: &House) -> Vec<Fault> {
    let folder = |f: &str| {
        let (paper, _) = f.strip_prefix(METHODS)?.split_once('/')?;
        (!NOT_A_PAPER.contains(&paper)).then(|| paper.to_owned())
    };
    let papers: BTreeSet<String> = house.files.keys().filter_map(|f| folder(f)).collect();
    let list = house.text(LIST).and_then(|t| Some(t.split_once("METHODS")?.1)).unwrap_or_default();
    let mut faults = Vec::new();
    for paper in papers {
        let mut fault = |file: String, what: String, mend: String| faults.push(Fault { file, line: 0, what, mend });
        for part in ["mod.rs", "config.rs", "compose.rs"] {
            let file = format!("{METHODS}{paper}/{part}");
            if !house.files.contains_key(&file) {
                fault(
                    file,
                    "it is missing".into(),
                    "each method has the same files; see CONTRIBUTING.md, Adding a method".into(),
                );
            }
        }
        if !list.contains(&format!("{paper}::")) {
            fault(
                LIST.into(),
                format!("METHODS has no line for {paper}"),
                format!("add an entry that makes a {paper}::…"),
            );
        }
        let learns = house.files.contains_key(&format!("{METHODS}{paper}/loss.rs"));
        let section = format!("[{paper}]");
        let has_recipe =
            house.texts(".toml").any(|(f, t)| f.starts_with("recipes/") && t.lines().any(|l| l.trim() == section));
        if learns && !has_recipe {
            let what = format!("no recipe has a section {section}, but the method has a loss");
            fault("recipes".into(), what, "write a recipe: command, machine, time, expected numbers".into());
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_with_a_part_missing_is_a_fault_for_each_part() {
        let whole = [
            ("crates/methods/src/lib.rs", "pub const METHODS: &[Entry] = &[Entry { make: |m| imagine::new(m) }];"),
            ("crates/methods/src/baseline/mod.rs", ""),
            ("crates/methods/src/imagine/mod.rs", ""),
            ("crates/methods/src/imagine/config.rs", ""),
            ("crates/methods/src/imagine/compose.rs", ""),
            ("crates/methods/src/imagine/loss.rs", ""),
            ("recipes/toy.toml", "[imagine]\nsteps = 1\n"),
        ];
        assert_eq!(check(&House::of(&whole)), []);
        for missing in [0, 2, 3, 4, 6] {
            let mut files = whole.to_vec();
            let (name, _) = files.remove(missing);
            let name = if missing == 6 { "recipes" } else { name };
            let faults = check(&House::of(&files));
            assert_eq!(faults.iter().map(|f| f.file.as_str()).collect::<Vec<_>>(), [name]);
        }
    }
}
