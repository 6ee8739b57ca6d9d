//! The crates that ARCHITECTURE.md names exist, and the other way round.
//!
//! A crate's section is a heading that starts with its name in backticks: ``### `media`: …``.

use super::{Fault, House};

const FILE: &str = "ARCHITECTURE.md";

pub fn check(house: &House) -> Vec<Fault> {
    let Some(text) = house.text(FILE) else {
        return vec![Fault { file: FILE.into(), line: 0, what: "it is missing".into(), mend: "write it".into() }];
    };
    let named: Vec<(usize, &str)> = text.lines().enumerate().filter_map(|(i, l)| Some((i + 1, titled(l)?))).collect();
    let folders = folders(house);
    let mut faults = Vec::new();
    for &(line, name) in &named {
        if !folders.contains(&name) {
            let what = format!("it describes a crate `{name}`, but there is no crates/{name}");
            faults.push(Fault {
                file: FILE.into(),
                line,
                what,
                mend: "remove the section, or correct its name".into(),
            });
        }
    }
    for name in folders {
        if !named.iter().any(|(_, n)| *n == name) {
            let what = format!("crates/{name} has no section");
            let mend = format!("add a section titled by the question it answers: ### `{name}`: …?");
            faults.push(Fault { file: FILE.into(), line: 0, what, mend });
        }
    }
    faults
}

/// The crate that a heading is about.
fn titled(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix("### `")?.split_once('`')?;
    rest.starts_with(':').then_some(name)
}

/// The folders under crates/.
fn folders(house: &House) -> Vec<&str> {
    house
        .files
        .keys()
        .filter_map(|f| f.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"))
        .filter(|n| !n.contains('/'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_without_a_section_and_a_section_without_a_crate_are_faults() {
        let text = "# x\n### `media`: Here is a file?\n### `nest`: Where?\n### Other words\n";
        let house = House::of(&[(FILE, text), ("crates/media/Cargo.toml", ""), ("crates/nets/Cargo.toml", "")]);
        let faults = check(&house);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].line == 3 && faults[0].what.contains("`nest`"));
        assert!(faults[1].what.contains("crates/nets has no section"));
    }

    #[test]
    fn a_missing_map_is_a_fault() {
        assert_eq!(check(&House::of(&[])).len(), 1);
    }
}
