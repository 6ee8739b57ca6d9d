//! What Markdown points at exists: relative links, their headings, and paths named in backticks.

use super::{Fault, House};

/// A path in backticks that starts so is held to exist.
const OURS: &[&str] = &["crates/", "xtask/", "docs/", "recipes/", "models/", "results/", "fixtures/", ".ci/"];

pub fn check(house: &House) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, text) in house.texts(".md") {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, prose) in prose(text) {
            for target in targets(&prose) {
                if let Some(what) = broken(house, name, folder, &target) {
                    let mend = "correct the link, or bring what it points at".into();
                    faults.push(Fault { file: name.to_owned(), line, what, mend });
                }
            }
            for path in named_paths(&prose) {
                if !house.holds(path) {
                    let what = format!("it names `{path}`, which does not exist");
                    faults.push(Fault {
                        file: name.to_owned(),
                        line,
                        what,
                        mend: "correct the name, or write it as `crates/<name>/…` if it is a pattern".into(),
                    });
                }
            }
        }
    }
    faults
}

/// Lines outside fenced blocks, with their numbers.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|m| start.starts_with(m));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => lines.push((i + 1, line.to_owned())),
            _ => {}
        }
    }
    lines
}

/// What a line of prose links to: `[text](target)`, `[name]: target`, `src="target"`, `href="target"`.
fn targets(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let bare = without_code(line);
    let mut rest = bare.as_str();
    while let Some((_, after)) = rest.split_once("](") {
        let end = after.find(')').unwrap_or(after.len());
        // A title may follow: [text](target "title").
        found.extend(after[..end].split_whitespace().next().map(str::to_owned));
        rest = &after[end..];
    }
    if let Some(rest) = bare.trim_start().strip_prefix('[')
        && let Some((name, target)) = rest.split_once("]: ")
        && !name.contains(']')
    {
        found.extend(target.split_whitespace().next().map(str::to_owned));
    }
    for attribute in ["src=\"", "href=\""] {
        found.extend(bare.split(attribute).skip(1).filter_map(|after| Some(after.split_once('"')?.0.to_owned())));
    }
    found
}

/// The line with what is between backticks taken out.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// Paths of ours that a line names in backticks; patterns such as `crates/<name>` are not paths.
fn named_paths(line: &str) -> Vec<&str> {
    let code = line.split('`').skip(1).step_by(2);
    code.filter(|c| OURS.iter().any(|o| c.starts_with(o)) && !c.contains(['<', '*', '{', '…', ' ', '$'])).collect()
}

/// Why a link leads nowhere, if it does.
fn broken(house: &House, name: &str, folder: &str, target: &str) -> Option<String> {
    let target = target.trim_start_matches('<').trim_end_matches('>');
    let outside = target.starts_with("//")
        || target.split_once(':').is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric()));
    if outside {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(p, a)| (p, Some(a)));
    let file = match path {
        "" => name.to_owned(),
        _ => match resolve(folder, path) {
            Some(file) if house.holds(&file) => file,
            Some(_) => return Some(format!("the link {target} leads nowhere")),
            None => return Some(format!("the link {target} leads out of the repository")),
        },
    };
    let anchor = anchor.filter(|a| !a.is_empty())?;
    let text = house.text(&file).filter(|_| file.ends_with(".md"))?;
    let has = prose(text).iter().filter_map(|(_, l)| heading_anchor(l)).any(|a| a == anchor)
        || text.contains(&format!("id=\"{anchor}\""));
    (!has).then(|| format!("the link {target}: {file} has no heading #{anchor}"))
}

/// `a/b` and `../c` give `a/c`.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A heading's anchor as forges make it: lower case, blanks to hyphens, other marks dropped.
fn heading_anchor(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?.trim();
    let keep = title.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    Some(keep.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(usize, String)> {
        let house = House::of(&[
            ("docs/a.md", text),
            ("README.md", "# Title of `it`: one, two\n"),
            ("docs/b c.png", ""),
            ("crates/media/src/lib.rs", ""),
        ]);
        check(&house).into_iter().map(|f| (f.line, f.what)).collect()
    }

    #[test]
    fn links_that_lead_nowhere_are_faults_at_their_line() {
        assert_eq!(faults("x\n[a](gone.md)"), [(2, "the link gone.md leads nowhere".to_owned())]);
        assert_eq!(faults("[a](../../x.md)").len(), 1);
        assert_eq!(faults("[a]: ./gone.md").len(), 1);
        assert_eq!(faults("<img src=\"gone.png\">").len(), 1);
        assert_eq!(faults("[a](../README.md#nowhere)").len(), 1);
        assert_eq!(faults("[a](#nowhere)").len(), 1);
        assert_eq!(faults("see `crates/nets/src/lib.rs`").len(), 1);
    }

    #[test]
    fn what_exists_what_is_outside_and_what_is_code_are_left_alone() {
        let good = [
            "[a](../README.md) and [b](a.md)",
            "[a](../README.md#title-of-it-one-two)",
            "# Here\n[a](#here)",
            "[a](https://example.org/x.md) [m](mailto:a@b.c)",
            "`[a](gone.md)`",
            "```\n[a](gone.md)\n```",
            "~~~text\n```\n[a](gone.md)\n~~~",
            "see `crates/media/src`, `crates/media/src/lib.rs`, `crates/<name>/src`",
            "[dir](../crates/media)",
        ];
        for text in good {
            assert_eq!(faults(text), [], "{text}");
        }
    }
}
