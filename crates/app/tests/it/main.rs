//! The real binary, run as a user runs it: exit codes, what goes where, bad input.

mod exams;
mod finetune;
mod hostile;
mod journey;
mod kill;
mod manners;
mod models;
mod published;
mod reproduce;
mod tls;
mod train;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A home of its own with nothing in it.
pub struct Home(tempfile::TempDir);

#[allow(clippy::new_without_default)]
impl Home {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A path in it.
    pub fn path(&self, below: &str) -> PathBuf {
        self.0.path().canonicalize().expect("it exists").join(below)
    }

    /// Writes a file in it.
    pub fn write(&self, below: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// The binary, in this home and with no other environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_likebut"));
        command.args(args).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.0.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs it.
    pub fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).output().expect("the binary starts"))
    }
}

/// How a run went.
#[derive(Debug)]
pub struct Run {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub out: String,
    /// What it wrote to stderr.
    pub err: String,
}

impl Run {
    /// From what the system says.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// It failed as it should: with this code, one `error:` line that says this, nothing on stdout,
    /// no panic.
    #[track_caller]
    pub fn fails(&self, code: i32, says: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.starts_with("error: ") && self.err.contains(says), "{says}: {self:?}");
        assert_eq!(self.err.matches("error: ").count(), 1, "{self:?}");
        assert!(!self.err.contains("has a bug") && !self.err.contains("panicked"), "{self:?}");
        assert_eq!(self.out, "", "what goes wrong goes to stderr: {self:?}");
    }

    /// It failed as it should, after it had said something else.
    #[track_caller]
    pub fn fails_after_notice(&self, code: i32, says: &str) {
        let from = self.err.find("error: ").unwrap_or_default();
        Self { code: self.code, out: self.out.clone(), err: self.err[from..].to_owned() }.fails(code, says);
    }

    /// It worked.
    #[track_caller]
    pub fn works(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Its output as JSON, of the version that we know.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let value: serde_json::Value = serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        assert_eq!(value["likebut"], 1, "{self:?}");
        value
    }
}
