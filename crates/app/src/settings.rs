//! Settings: one table from which flags, environment variables, files, `config show` and the
//! reference all come.
//!
//! A value is taken from the first place that has one: the flag, the `LIKEBUT_*` variable, the
//! project's `likebut.toml` (in this folder or the nearest one above), the user's `config.toml`,
//! the default.

use std::path::{Path, PathBuf};

use crate::exit::{Failure, nearest};
use crate::folders;
use crate::paint::Choice;

/// A file of settings is a few lines; of a longer one no more is read.
const MAX_BYTES: u64 = 1 << 20;

/// One thing that can be set.
pub struct Setting {
    /// Its name in files; the flag and the variable follow from it.
    pub key: &'static str,
    /// What the value is, for help: `FOLDER`, `N`.
    pub value: &'static str,
    /// A one-letter flag.
    pub short: Option<char>,
    /// The value where nobody says anything; empty is "unset".
    pub default: &'static str,
    /// What it means, in one sentence.
    pub sentence: &'static str,
    /// The commands that read it; none named means all.
    pub commands: &'static [&'static str],
    /// Whether a text can be meant.
    pub check: fn(&str) -> Result<(), String>,
}

/// All settings.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "library",
        value: "FOLDER",
        short: None,
        default: "",
        sentence: "Where the library is kept; the user's data folder if unset",
        commands: &["add", "find", "explain", "status", "verify", "remove", "doctor"],
        check: not_empty,
    },
    Setting {
        key: "model",
        value: "NAME_OR_FOLDER",
        short: None,
        default: "",
        sentence: "The model: a name that `likebut model list` prints, or a folder; the one inside the program if unset",
        commands: &["add", "find", "explain", "demo", "eval", "embed", "reproduce", "doctor"],
        check: not_empty,
    },
    Setting {
        key: "method",
        value: "NAME",
        short: None,
        default: "",
        sentence: "How reference and words become one question: imagine, add, sum, words or picture; what suits the model if unset",
        commands: &["add", "find", "embed"],
        check: not_empty,
    },
    Setting {
        key: "device",
        value: "NAME",
        short: None,
        default: "cpu",
        sentence: "What computes: cpu, or gpu where the program was built with it",
        commands: &["add", "find", "explain", "demo", "eval", "embed", "reproduce", "doctor"],
        check: |text| one_of(text, &["cpu", "gpu"]),
    },
    Setting {
        key: "precision",
        value: "NUMBERS",
        short: None,
        default: "f32",
        sentence: "What the model multiplies on the CPU: f32, bf16 (faster, cosine 0.9995 to f32) or int8 (0.999)",
        commands: &["add", "find", "demo", "eval", "embed", "doctor"],
        check: |text| one_of(text, &["f32", "bf16", "int8"]),
    },
    Setting {
        key: "limit",
        value: "N",
        short: Some('n'),
        default: "10",
        sentence: "How many hits are shown, from 1 to 10000",
        commands: &["find", "explain"],
        check: |text| whole(text, 1, 10_000),
    },
    Setting {
        key: "strength",
        value: "0…1",
        short: None,
        default: "",
        sentence: "How much to change: 0 is just like the reference, 1 is only the words; the method decides if unset",
        commands: &["find", "embed"],
        check: fraction,
    },
    Setting {
        key: "pictures",
        value: "HOW",
        short: None,
        default: "auto",
        sentence: "How pictures are shown in the terminal: auto, kitty, iterm, sixel, blocks or none",
        commands: &["find", "demo"],
        check: |text| one_of(text, &["auto", "kitty", "iterm", "sixel", "blocks", "none"]),
    },
    Setting {
        key: "max_pixels",
        value: "N",
        short: None,
        default: "200000000",
        sentence: "Pictures that declare more pixels than this are refused before they are decoded",
        commands: &["add", "find", "explain", "embed"],
        check: |text| whole(text, 1, 1 << 34),
    },
    Setting {
        key: "batch",
        value: "N",
        short: None,
        default: "64",
        sentence: "How many pictures and frames are encoded together, from 1 to 1024; fewer need less memory",
        commands: &["add", "demo", "embed"],
        check: |text| whole(text, 1, 1024),
    },
    Setting {
        key: "jobs",
        value: "N",
        short: Some('j'),
        default: "0",
        sentence: "How many threads work, up to 256; 0 is one per core",
        commands: &["add", "find", "explain", "demo", "eval", "embed", "reproduce", "scenes", "train"],
        check: |text| whole(text, 0, 256),
    },
    Setting {
        key: "color",
        value: "WHEN",
        short: None,
        default: "auto",
        sentence: "When to colour: auto, always or never; auto honours NO_COLOR and CLICOLOR_FORCE",
        commands: &[],
        check: |text| one_of(text, &["auto", "always", "never"]),
    },
];

impl Setting {
    /// `--max-pixels`, without the dashes in front.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// `LIKEBUT_MAX_PIXELS`.
    pub fn env(&self) -> String {
        format!("LIKEBUT_{}", self.key.to_uppercase())
    }

    /// Whether `command` reads it.
    pub fn is_read_by(&self, command: &str) -> bool {
        self.commands.is_empty() || self.commands.contains(&command)
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was typed.
    Flag(String),
    /// A variable of the environment.
    Env(String),
    /// A line of a file.
    File(PathBuf, usize),
    /// Nobody said anything.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "flag --{name}"),
            Origin::Env(name) => write!(f, "variable {name}"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// Every setting's value and where it came from.
pub struct Settings {
    values: Vec<(String, Origin)>,
}

/// Where settings are looked for.
pub struct Sources<'a> {
    /// What was typed, by key.
    pub flags: &'a dyn Fn(&str) -> Option<String>,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Files that are read if they exist, the most important first.
    pub files: Vec<PathBuf>,
}

impl Settings {
    /// Finds every setting's value; fails on one that cannot be meant and on unknown keys in files.
    pub fn resolve(sources: &Sources<'_>) -> Result<Self, Failure> {
        let files = sources.files.iter().map(|path| read_file(path)).collect::<Result<Vec<_>, _>>()?;
        let values = SETTINGS.iter().map(|setting| {
            let Setting { key, .. } = setting;
            let from_files = || files.iter().flatten().find(|(k, _, _)| k == key).cloned();
            let (value, origin) = if let Some(value) = (sources.flags)(key) {
                (value, Origin::Flag(setting.flag()))
            } else if let Some(value) = (sources.env)(&setting.env()) {
                (value, Origin::Env(setting.env()))
            } else if let Some((_, value, origin)) = from_files() {
                (value, origin)
            } else {
                return Ok((setting.default.to_owned(), Origin::Default));
            };
            (setting.check)(&value).map_err(|expected| {
                Failure::usage(format!("{key} ({origin}) is {value:?}, which is not {expected}"))
                    .hint(format!("{key}: {}", setting.sentence))
            })?;
            Ok((value, origin))
        });
        Ok(Self { values: values.collect::<Result<_, Failure>>()? })
    }

    /// All settings in the table's order, for `config show`.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Setting, &str, &Origin)> {
        SETTINGS.iter().zip(&self.values).map(|(s, (value, origin))| (s, value.as_str(), origin))
    }

    /// The library's folder.
    pub fn library(&self) -> PathBuf {
        match self.text("library") {
            "" => folders::data().join("library"),
            folder => PathBuf::from(folder),
        }
    }

    /// The model's name or folder; empty for the one inside the program.
    pub fn model(&self) -> &str {
        self.text("model")
    }

    /// The method's name, where somebody says so.
    pub fn method(&self) -> Option<&str> {
        Some(self.text("method")).filter(|name| !name.is_empty())
    }

    /// What computes.
    pub fn device(&self) -> &str {
        self.text("device")
    }

    /// What the model multiplies.
    pub fn precision(&self) -> nets::layers::Numbers {
        // Checked when it was read.
        nets::layers::Numbers::named(self.text("precision")).unwrap_or_default()
    }

    /// How many hits are shown.
    pub fn limit(&self) -> usize {
        self.number("limit")
    }

    /// How much to change, where somebody says so.
    pub fn strength(&self) -> Option<f32> {
        self.text("strength").parse().ok()
    }

    /// How pictures are shown.
    pub fn pictures(&self) -> &str {
        self.text("pictures")
    }

    /// The largest picture that is decoded, in pixels.
    pub fn max_pixels(&self) -> u64 {
        self.number("max_pixels") as u64
    }

    /// How many files go through together.
    pub fn batch(&self) -> usize {
        self.number("batch")
    }

    /// How many threads work.
    pub fn jobs(&self) -> usize {
        match self.number("jobs") {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    /// When to colour.
    pub fn color(&self) -> Choice {
        match self.text("color") {
            "always" => Choice::Always,
            "never" => Choice::Never,
            _ => Choice::Auto,
        }
    }

    fn text(&self, key: &str) -> &str {
        self.iter().find(|(s, _, _)| s.key == key).map_or("", |(_, value, _)| value)
    }

    fn number(&self, key: &str) -> usize {
        // Checked when it was read.
        self.text(key).parse().unwrap_or(0)
    }
}

/// The files that are read: the nearest `likebut.toml` at or above `here`, then the user's.
pub fn files(here: &Path) -> Vec<PathBuf> {
    let project = here.ancestors().map(|folder| folder.join("likebut.toml")).find(|p| p.is_file());
    project.into_iter().chain([folders::config().join("config.toml")]).collect()
}

/// The values of one file, each with its line; none if there is no such file.
fn read_file(path: &Path) -> Result<Vec<(String, String, Origin)>, Failure> {
    let text = match media::whole_text(path, MAX_BYTES) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Failure::usage(format!("{} cannot be read: {e}", path.display()))),
    };
    let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let table = toml::de::DeTable::parse(&text).map_err(|e| {
        let line = e.span().map_or(1, |span| line_of(span.start));
        Failure::usage(format!("{}:{line} is not TOML: {}", path.display(), e.message()))
    })?;
    let mut out = Vec::new();
    for (key, value) in table.get_ref() {
        let origin = Origin::File(path.to_owned(), line_of(key.span().start));
        let name = key.get_ref().as_ref();
        let Some(setting) = SETTINGS.iter().find(|s| s.key == name) else {
            let failure = Failure::usage(format!("{origin}: there is no setting {name:?}"));
            return Err(match nearest(name, SETTINGS.iter().map(|s| s.key)) {
                Some(known) => failure.hint(format!("did you mean {known:?}?")),
                None => failure.hint("likebut config show lists all settings"),
            });
        };
        let Some(value) = scalar(value.get_ref()) else {
            return Err(Failure::usage(format!("{origin}: {name} is one value, not a list or a table")));
        };
        // A name stays a name; what has a slash in it is a folder.
        let is_folder = setting.value == "FOLDER" || (setting.value == "NAME_OR_FOLDER" && value.contains('/'));
        let value = if is_folder { folder_in(path, &value) } else { value };
        out.push((name.to_owned(), value, origin));
    }
    Ok(out)
}

fn scalar(value: &toml::de::DeValue<'_>) -> Option<String> {
    use toml::de::DeValue::*;
    match value {
        String(text) => Some(text.to_string()),
        Integer(n) => Some(n.as_str().replace('_', "")),
        Float(x) => Some(x.as_str().replace('_', "")),
        Boolean(b) => Some(b.to_string()),
        _ => None,
    }
}

/// A folder named in a file: relative to that file, `~/` is the user's home.
fn folder_in(file: &Path, value: &str) -> String {
    let folder = match value.strip_prefix("~/") {
        Some(rest) => folders::home().join(rest),
        None => file.parent().unwrap_or(Path::new("")).join(value),
    };
    if value.is_empty() { String::new() } else { folder.to_string_lossy().into_owned() }
}

fn not_empty(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("a name".to_owned()) } else { Ok(()) }
}

fn one_of(text: &str, known: &[&'static str]) -> Result<(), String> {
    if known.contains(&text) {
        return Ok(());
    }
    let meant = nearest(text, known.iter().copied()).map(|k| format!(" (did you mean {k}?)"));
    Err(format!("one of {}{}", known.join(", "), meant.unwrap_or_default()))
}

fn whole(text: &str, low: u64, high: u64) -> Result<(), String> {
    match text.parse::<u64>() {
        Ok(n) if (low..=high).contains(&n) => Ok(()),
        _ => Err(format!("a whole number from {low} to {high}")),
    }
}

fn fraction(text: &str) -> Result<(), String> {
    match text.parse::<f32>() {
        Ok(x) if (0.0..=1.0).contains(&x) => Ok(()),
        _ => Err("a number from 0 (just like the reference) to 1 (only the words)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resolves with these flags, variables and files, and looks at one setting.
    fn resolved(
        key: &str,
        flags: &[(&str, &str)],
        env: &[(&str, &str)],
        files: &[&str],
    ) -> Result<(String, String), String> {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = files
            .iter()
            .enumerate()
            .map(|(i, text)| {
                let path = dir.path().join(format!("{i}.toml"));
                std::fs::write(&path, text).unwrap();
                path
            })
            .collect();
        let look =
            |table: &[(&str, &str)], key: &str| table.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned());
        let sources = Sources { flags: &|k| look(flags, k), env: &|k| look(env, k), files: paths };
        let strip = |text: String| text.replace(&format!("{}/", dir.path().display()), "");
        match Settings::resolve(&sources) {
            Ok(s) => {
                let (_, value, origin) = s.iter().find(|(s, _, _)| s.key == key).unwrap();
                Ok((strip(value.to_owned()), strip(origin.to_string())))
            }
            Err(f) => Err(strip(format!("{} | {}", f.what, f.hints.join(" | ")))),
        }
    }

    #[test]
    fn flag_then_variable_then_project_then_user_then_default() {
        let (flag, env) = ([("limit", "1")], [("LIKEBUT_LIMIT", "2")]);
        let files = ["\nlimit = 3\n", "limit = \"4\"\n"];
        let check = |got: Result<(String, String), String>, value: &str, origin: &str| {
            assert_eq!(got.unwrap(), (value.to_owned(), origin.to_owned()));
        };
        check(resolved("limit", &flag, &env, &files), "1", "flag --limit");
        check(resolved("limit", &[], &env, &files), "2", "variable LIKEBUT_LIMIT");
        check(resolved("limit", &[], &[], &files), "3", "0.toml:2");
        check(resolved("limit", &[], &[], &files[1..]), "4", "0.toml:1");
        check(resolved("limit", &[], &[], &[]), "10", "default");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_nearest_known() {
        let refused = |file: &str| resolved("limit", &[], &[], &[file]).unwrap_err();
        assert_eq!(refused("libary = 'x'"), "0.toml:1: there is no setting \"libary\" | did you mean \"library\"?");
        assert!(refused("\n\nqqq = 1").contains("0.toml:3: there is no setting \"qqq\" | likebut config show"));
        assert!(refused("limit = [1]").contains("one value"));
        assert!(refused("limit = ").contains("0.toml:1 is not TOML"));
        assert!(refused(&"#\n".repeat(600_000)).contains("longer than 1048576 bytes"));
        assert!(refused("limit = 0").contains("a whole number from 1 to 10000"));
        let strength = resolved("strength", &[("strength", "7")], &[], &[]).unwrap_err();
        assert!(strength.starts_with("strength (flag --strength) is \"7\", which is not a number from 0"));
        let color = resolved("color", &[], &[("LIKEBUT_COLOR", "allways")], &[]).unwrap_err();
        assert!(color.contains("did you mean always?"), "{color}");
        for bad in ["nan", "inf", "-0.1", ""] {
            assert!(resolved("strength", &[("strength", bad)], &[], &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_in_a_file_is_relative_to_that_file() {
        let (library, _) = resolved("library", &[], &[], &["library = \"films\""]).unwrap();
        assert_eq!(library, "films");
        let model = |text: &str| resolved("model", &[], &[], &[text]).unwrap().0;
        assert_eq!(
            (model("model = 'runs/x'"), model("model = 'bge-vl-base'")),
            ("runs/x".into(), "bge-vl-base".into())
        );
        let (typed, _) = resolved("library", &[("library", "films")], &[], &[]).unwrap();
        assert_eq!(typed, "films");
    }

    #[test]
    fn every_default_can_be_meant_and_every_sentence_is_one() {
        for s in SETTINGS {
            assert!(s.default.is_empty() || (s.check)(s.default).is_ok(), "{}", s.key);
            assert!(!s.sentence.ends_with('.') && s.sentence.len() > 20, "{}", s.key);
        }
    }
}
