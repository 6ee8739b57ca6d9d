//! Arrows between crates point down, and only where ARCHITECTURE.md draws them.
//!
//! It draws them in a block fenced as `arrows`, top to bottom, one crate per line: `search → methods
//! library media`. What a crate must never see, not even through others, is in a block fenced as
//! `absent`: `library: burn*`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::house::short_name;
use super::{Fault, House};

const FILE: &str = "ARCHITECTURE.md";
/// Everyone may use the nouns, and need not say so.
const EVERYONE: &str = "domain";

/// Dependencies of our crates on our crates, held against the drawn arrows.
pub fn check(house: &House) -> Vec<Fault> {
    let drawn = match block(house, "arrows") {
        Ok(lines) => lines,
        Err(fault) => return vec![fault],
    };
    let mut faults = Vec::new();
    let mut allowed: BTreeMap<&str, (usize, Vec<&str>)> = BTreeMap::new();
    for (line, text) in drawn {
        let Some((from, to)) = text.split_once('→') else {
            let what = format!("this is not an arrow: {text}");
            faults.push(Fault { file: FILE.into(), line, what, mend: "write `from → to to …`".into() });
            continue;
        };
        allowed.insert(from.trim(), (line, to.split([' ', '·', ',']).filter(|t| !t.is_empty()).collect()));
    }
    for (from, (line, to)) in &allowed {
        for to in to {
            let below = allowed.get(to).is_none_or(|(other, _)| other > line);
            if !below {
                let what = format!("the arrow {from} → {to} points up");
                let mend = "draw crates from top to bottom; if that cannot be done, two crates know each other".into();
                faults.push(Fault { file: FILE.into(), line: *line, what, mend });
            }
        }
    }
    let own: BTreeSet<String> = house.own().map(|(name, _)| name).collect();
    for (from, package) in house.own() {
        let to: &[&str] = allowed.get(from.as_str()).map_or(&[], |(_, to)| to);
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let cargo_name = dependency["name"].as_str().unwrap_or_default();
            let name = short_name(cargo_name);
            let ours = own.contains(&name) && dependency["path"].is_string();
            if !ours || name == EVERYONE || to.contains(&name.as_str()) {
                continue;
            }
            let file =
                if from == "xtask" { "xtask/Cargo.toml".to_owned() } else { format!("crates/{from}/Cargo.toml") };
            let line = house
                .text(&file)
                .and_then(|t| t.lines().position(|l| l.starts_with(&name) || l.starts_with(cargo_name)));
            let what = format!("{from} uses {name}, which {FILE} does not draw");
            let mend = format!("do without it, or argue the new arrow in the change that draws `{from} → {name}`");
            faults.push(Fault { file, line: line.map_or(0, |l| l + 1), what, mend });
        }
    }
    faults
}

/// What crates must never see, looked for through all that they use.
pub fn check_absent(house: &House) -> Vec<Fault> {
    let lines = match block(house, "absent") {
        Ok(lines) => lines,
        Err(fault) => return vec![fault],
    };
    let nodes: BTreeMap<&str, &Value> = house.metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|n| Some((n["id"].as_str()?, n)))
        .collect();
    let names: BTreeMap<&str, &str> =
        house.packages().filter_map(|p| Some((p["id"].as_str()?, p["name"].as_str()?))).collect();
    let ids: BTreeMap<String, &str> = house.own().filter_map(|(name, p)| Some((name, p["id"].as_str()?))).collect();
    let mut faults = Vec::new();
    for (line, text) in lines {
        let mut fault =
            |what: String, mend: &str| faults.push(Fault { file: FILE.into(), line, what, mend: mend.into() });
        let Some((krates, patterns)) = text.split_once(':') else {
            fault(format!("this is not a rule: {text}"), "write `crate crate: package package*`");
            continue;
        };
        for krate in krates.split_whitespace() {
            let Some(&id) = ids.get(krate) else {
                fault(format!("there is no crate {krate}"), "correct its name");
                continue;
            };
            for pattern in patterns.split_whitespace() {
                if let Some(way) = way_to(id, pattern, &nodes, &names) {
                    fault(
                        format!("{krate} must not see {pattern}, but does: {}", way.join(" → ")),
                        "take the dependency out, or argue the rule away",
                    );
                }
            }
        }
    }
    faults
}

/// The shortest way from a package to one whose name fits, over what is built into it (not what
/// only its tests or build scripts use).
fn way_to<'a>(
    from: &'a str,
    pattern: &str,
    nodes: &BTreeMap<&'a str, &'a Value>,
    names: &BTreeMap<&'a str, &'a str>,
) -> Option<Vec<&'a str>> {
    let fits = |id: &str| {
        names.get(id).is_some_and(|name| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => *name == pattern,
        })
    };
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([from]);
    while let Some(id) = queue.pop_front() {
        if id != from && fits(id) {
            let mut way = vec![id];
            while let Some(&before) = came_from.get(way[way.len() - 1]).filter(|_| way[way.len() - 1] != from) {
                way.push(before);
            }
            return Some(way.iter().rev().map(|id| *names.get(id).unwrap_or(id)).collect());
        }
        for dep in nodes.get(id).and_then(|n| n["deps"].as_array()).into_iter().flatten() {
            let normal = dep["dep_kinds"].as_array().is_none_or(|kinds| kinds.iter().any(|k| k["kind"].is_null()));
            if let (true, Some(to)) = (normal, dep["pkg"].as_str())
                && names.contains_key(to)
                && to != from
                && !came_from.contains_key(to)
            {
                came_from.insert(to, id);
                queue.push_back(to);
            }
        }
    }
    None
}

/// The lines of the one block that is fenced with this name, with their numbers.
fn block<'a>(house: &'a House, name: &str) -> Result<Vec<(usize, &'a str)>, Fault> {
    let fault = |what: String| Fault {
        file: FILE.into(),
        line: 0,
        what,
        mend: format!("draw it once, between ```{name} and ```"),
    };
    let text = house.text(FILE).ok_or_else(|| fault("it is missing".into()))?;
    let mut inside = None;
    let (mut lines, mut blocks) = (Vec::new(), 0);
    for (i, line) in text.lines().enumerate() {
        match line.trim().strip_prefix("```") {
            Some("") => inside = None,
            Some(fence) => {
                inside = Some(fence == name);
                blocks += usize::from(fence == name);
            }
            None if inside == Some(true) && !line.trim().is_empty() => lines.push((i + 1, line.trim())),
            None => {}
        }
    }
    match blocks {
        1 => Ok(lines),
        n => Err(fault(format!("it has {n} blocks fenced as `{name}`, not one"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MAP: &str = "text\n```arrows\napp → search media\nsearch → media\n```\n```absent\nmedia search: burn*\n```\n";

    fn house(map: &str, media_uses: &[&str], burn: bool) -> House {
        let dependency = |name: &str| json!({"name": format!("likebut-{name}"), "path": "x", "kind": null});
        let package = |name: &str, deps: Vec<Value>| json!({"id": name, "name": format!("likebut-{name}"), "version": "1", "dependencies": deps});
        let mut house = House::of(&[
            ("ARCHITECTURE.md", map),
            ("crates/media/Cargo.toml", "[dependencies]\ndomain = 1\nsearch = 1\n"),
        ]);
        house.built =
            ["likebut-domain 1", "likebut-media 1", "likebut-search 1", "burn-flex 1"].map(str::to_owned).into();
        let edge = |to: &str, kind: Value| json!({"pkg": to, "dep_kinds": [{"kind": kind}]});
        house.metadata = json!({
            "workspace_members": ["domain", "media", "search"],
            "packages": [
                package("domain", vec![]),
                package("media", media_uses.iter().map(|n| dependency(n)).collect()),
                package("search", vec![dependency("media"), dependency("domain")]),
                {"id": "b", "name": "burn-flex", "version": "1", "dependencies": []},
            ],
            "resolve": {"nodes": [
                {"id": "search", "deps": [edge("media", Value::Null), edge("b", json!("dev"))]},
                {"id": "media", "deps": if burn { vec![edge("b", Value::Null)] } else { vec![] }},
            ]},
        });
        house
    }

    #[test]
    fn a_drawn_house_has_no_faults() {
        let house = house(MAP, &["domain"], false);
        assert_eq!(check(&house), []);
        assert_eq!(check_absent(&house), []);
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_a_fault_at_its_line() {
        let faults = check(&house(MAP, &["domain", "search"], false));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!((faults[0].file.as_str(), faults[0].line), ("crates/media/Cargo.toml", 3));
        assert!(faults[0].what.contains("media uses search"));
    }

    #[test]
    fn an_arrow_that_is_drawn_upwards_is_a_fault() {
        let map = MAP.replace("search → media\n", "search → media\nmedia → app\n");
        let faults = check(&house(&map, &[], false));
        assert!(faults.iter().any(|f| f.what.contains("media → app points up")), "{faults:?}");
    }

    #[test]
    fn what_must_not_be_seen_is_found_through_others_with_the_way() {
        let faults = check_absent(&house(MAP, &[], true));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[1].what.contains("likebut-search → likebut-media → burn-flex"), "{faults:?}");
    }

    #[test]
    fn a_map_without_arrows_or_with_two_is_a_fault() {
        assert!(check(&house("nothing", &[], false))[0].what.contains("0 blocks"));
        assert!(check(&house(&MAP.repeat(2), &[], false))[0].what.contains("2 blocks"));
        let faults = check(&house(&MAP.replace("app → search", "app -> search"), &[], false));
        assert!(faults.iter().any(|f| f.line == 3 && f.what.contains("not an arrow")), "{faults:?}");
    }
}
