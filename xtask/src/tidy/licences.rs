//! Every package that we build on carries a licence that lets us ship it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::spdx::{self, Licence};
use super::{Fault, House};

/// Licences that ask for no more than their text being passed on.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Packages that we take although their licence is not on the list, each with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "colored",
        "MPL-2.0",
        "burn-tensor cannot be had without it; used unchanged, and MPL-2.0 asks for no more than its own files' source",
    ),
    ("buildid", "MPL-2.0", "burn's GPU side cannot be had without it; used unchanged, as above"),
    ("option-ext", "MPL-2.0", "burn's GPU side cannot be had without it; used unchanged, as above"),
];

/// Where whoever gets the program is told of the exceptions, as their licence asks.
const TOLD: &str = "docs/licences.md";

pub fn check(house: &House) -> Vec<Fault> {
    let users = users(house);
    let mut faults = Vec::new();
    for package in house.packages() {
        let name = package["name"].as_str().unwrap_or("?");
        let version = package["version"].as_str().unwrap_or("?");
        let licence = package["license"].as_str();
        if let Some((_, licence, why)) = EXCEPTIONS.iter().find(|(n, l, _)| *n == name && Some(*l) == licence) {
            let tells = |line: &str| line.contains(&format!("`{name}`")) && line.contains(licence);
            if !house.text(TOLD).is_some_and(|t| t.lines().any(tells)) {
                let what = format!("it does not tell of {name} ({licence}), which is taken because {why}");
                let mend = "name the package and its licence in one line, and where its source is".into();
                faults.push(Fault { file: TOLD.into(), line: 0, what, mend });
            }
            continue;
        }
        let Some(why) = refused(licence) else {
            continue;
        };
        let mut by = users.get(package["id"].as_str().unwrap_or_default()).cloned().unwrap_or_default();
        by.sort_unstable();
        by.dedup();
        let line = line_of(house, name, version);
        let what =
            format!("{name} {version}, used by {}: {why}", if by.is_empty() { "us".to_owned() } else { by.join(", ") });
        let mend = "do without it, or argue for its licence in the change that allows it".into();
        faults.push(Fault { file: "Cargo.lock".into(), line, what, mend });
    }
    faults
}

/// Why this licence will not do, if it will not.
fn refused(licence: Option<&str>) -> Option<String> {
    let Some(text) = licence else {
        return Some("it names no licence".to_owned());
    };
    match spdx::parse(text) {
        Ok(expression) => {
            let fine = |l: &Licence| ALLOWED.contains(&l.to_string().as_str());
            (!expression.allowed(&fine)).then(|| format!("its licence {text} is not on our list"))
        }
        Err(fault) => Some(format!("its licence {text:?} cannot be read: {fault}")),
    }
}

/// Who uses a package directly, by id.
fn users(house: &House) -> BTreeMap<&str, Vec<&str>> {
    let names: BTreeMap<&str, &str> =
        house.packages().filter_map(|p| Some((p["id"].as_str()?, p["name"].as_str()?))).collect();
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in house.metadata["resolve"]["nodes"].as_array().into_iter().flatten() {
        for dep in node["dependencies"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            users.entry(dep).or_default().extend(node["id"].as_str().and_then(|id| names.get(id)));
        }
    }
    users
}

fn line_of(house: &House, name: &str, version: &str) -> usize {
    let lock = house.text("Cargo.lock").unwrap_or_default();
    let lines: Vec<&str> = lock.lines().collect();
    let (name, version) = (format!("name = \"{name}\""), format!("version = \"{version}\""));
    lines.windows(2).position(|w| w[0] == name && w[1] == version).map_or(0, |i| i + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_licence_is_judged_by_its_whole_expression() {
        let good = [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "MPL-2.0 OR MIT",
            "Apache-2.0 WITH LLVM-exception",
        ];
        for text in good {
            assert_eq!(refused(Some(text)), None, "{text}");
        }
        let bad = [
            "MPL-2.0",
            "MIT AND MPL-2.0",
            "GPL-3.0-only",
            "MIT WITH Classpath-exception-2.0",
            "LGPL-2.1+",
            "",
            "MIT OR",
            "LicenseRef-x",
        ];
        for text in bad {
            assert!(refused(Some(text)).is_some(), "{text}");
        }
        assert!(refused(None).is_some());
    }

    #[test]
    fn a_fault_names_the_package_its_user_and_its_line() {
        let mut house = House::of(&[("Cargo.lock", "\n[[package]]\nname = \"x\"\nversion = \"1.0.0\"\n")]);
        house.metadata = json!({
            "packages": [
                {"id": "1", "name": "x", "version": "1.0.0", "license": "AGPL-3.0"},
                {"id": "2", "name": "y", "version": "2.0.0", "license": "MIT"},
                {"id": "3", "name": "never-built", "version": "1.0.0", "license": "AGPL-3.0"},
                {"id": "4", "name": "colored", "version": "9.0.0", "license": "MPL-2.0"},
            ],
            "resolve": {"nodes": [{"id": "2", "dependencies": ["1"]}]},
        });
        house.built = ["x 1.0.0", "y 2.0.0", "colored 9.0.0"].map(str::to_owned).into();
        let faults = check(&house);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[1].file == TOLD && faults[1].what.contains("colored (MPL-2.0)"), "{faults:?}");
        house.files.insert(TOLD.into(), b"| `colored` | MPL-2.0 |".to_vec());
        let faults = check(&house);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].line, 3);
        assert!(faults[0].what.starts_with("x 1.0.0, used by y: its licence AGPL-3.0"), "{faults:?}");
    }
}
