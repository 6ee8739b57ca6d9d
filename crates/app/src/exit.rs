//! How a run ends: the exit codes, and a failure told in one line with what to do next.

use std::fmt::Write as _;

/// Every way in which `likebut` ends. Scripts may rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed while running.
    Failed = 1,
    /// What was typed or configured cannot be meant.
    Usage = 2,
    /// Finished, but some inputs were left out.
    Skipped = 3,
    /// Nothing matched, and `--fail-on-none` was given.
    NoMatch = 4,
    /// A model or data set that is needed is not here, or is not what it says.
    Missing = 5,
    /// The library is damaged, or was made by another version or model.
    Library = 6,
    /// Not enough memory or disk.
    Resources = 7,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
}

/// All of them with the sentence that help, man page and reference print.
pub const EXITS: &[(Exit, &str)] = &[
    (Exit::Ok, "done"),
    (Exit::Failed, "something failed while running"),
    (Exit::Usage, "what was typed or configured cannot be meant"),
    (Exit::Skipped, "finished, but some inputs were left out (they are listed on stderr)"),
    (Exit::NoMatch, "nothing matched (only with --fail-on-none)"),
    (Exit::Missing, "a model or data set that is needed is not here, or is not what it says"),
    (Exit::Library, "the library is damaged, or was made by another version or model"),
    (Exit::Resources, "not enough memory or disk"),
    (Exit::Interrupted, "stopped by Ctrl-C; what was done is saved"),
];

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The paragraph about exit codes in `--help`.
pub fn help() -> String {
    EXITS.iter().fold(String::from("Exit codes:"), |mut out, (exit, sentence)| {
        let _ = write!(out, "\n  {:>3}  {sentence}", *exit as u8);
        out
    })
}

/// A run that cannot go on: its exit code, what is wrong in one line, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    /// The code to end with.
    pub exit: Exit,
    /// What is wrong, in one line.
    pub what: String,
    /// What to do next, a line each.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure with this code and this line.
    pub fn new(exit: Exit, what: impl std::fmt::Display) -> Self {
        Self { exit, what: what.to_string(), hints: Vec::new() }
    }

    /// What was typed cannot be meant.
    pub fn usage(what: impl std::fmt::Display) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Something failed while running.
    pub fn failed(what: impl std::fmt::Display) -> Self {
        Self::new(Exit::Failed, what)
    }

    /// Adds a line that says what to do next.
    pub fn hint(mut self, line: impl Into<String>) -> Self {
        self.hints.push(line.into());
        self
    }

    /// Says first what was being done.
    pub fn about(mut self, doing: impl std::fmt::Display) -> Self {
        self.what = format!("{doing}: {}", self.what);
        self
    }

    /// Keeps the code, says something else.
    fn about_in_full(mut self, what: String) -> Self {
        self.what = what;
        self
    }

    /// The reader of our output has gone away (`likebut … | head`): nobody is left to be told.
    pub fn is_quiet(&self) -> bool {
        self.exit == Exit::Ok
    }
}

/// Reading and writing: a full disk and a full memory have codes of their own; a reader that has
/// gone away is no failure at all.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::*;
        match error.kind() {
            BrokenPipe => Self::new(Exit::Ok, ""),
            StorageFull | QuotaExceeded | OutOfMemory => Self::new(Exit::Resources, error),
            _ => Self::failed(error),
        }
    }
}

/// A library: what is damaged or foreign has a code, a full disk too, an unknown number was typed.
impl From<library::Error> for Failure {
    fn from(error: library::Error) -> Self {
        use library::Error::*;
        let failure = |exit| Self::new(exit, &error);
        match &error {
            FormatVersion { .. } | Damaged(_) | SpaceDiffers { .. } | Canary { .. } => failure(Exit::Library),
            Full { .. } => failure(Exit::Resources),
            AlreadyThere(_) | UnknownItem(_) | Cpu(_) => failure(Exit::Usage),
            Io { path, source } => {
                let inner = Self::from(std::io::Error::from(source.kind()));
                let exit = if inner.is_quiet() { Exit::Failed } else { inner.exit };
                Self::new(exit, format!("{}: {source}", path.display()))
            }
            NotALibrary(_) => failure(Exit::Failed)
                .hint("likebut add FOLDER puts your pictures and clips in")
                .hint("likebut demo shows it with nothing of your own"),
            _ => failure(Exit::Failed),
        }
    }
}

/// Searching: as whatever went wrong within.
impl From<search::SearchError> for Failure {
    fn from(error: search::SearchError) -> Self {
        use search::SearchError::*;
        match error {
            Library(e) => e.into(),
            Method(e) => Self::usage(e),
            Query(e) => Self::usage(e),
            NoVector { .. } => Self::new(Exit::Library, error),
            NotImported(_) => Self::new(Exit::Missing, error),
            Threads(_) => Self::new(Exit::Failed, error),
            Reference { path, source } => Self::from(source).about(format!("cannot read the reference {path}")),
        }
    }
}

/// Vectors that were made elsewhere.
impl From<search::VectorsError> for Failure {
    fn from(error: search::VectorsError) -> Self {
        Self::new(Exit::Missing, error)
    }
}

/// Media: a file that cannot be meant was typed wrongly; a tool that is missing is missing.
impl From<media::Error> for Failure {
    fn from(error: media::Error) -> Self {
        use media::Error::*;
        match error {
            Io { source, .. }
                if matches!(source.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory) =>
            {
                Self::usage(source)
            }
            Io { source, .. } => source.into(),
            NotMedia(_) | BadRequest(_) | Unsupported(_) => Self::usage(error),
            TooLarge(_) => Self::usage(error).hint("to read it all the same: --max-pixels N"),
            NeedsFfmpeg(_) => Self::new(Exit::Missing, error)
                .hint("install ffmpeg, or say where it is: LIKEBUT_FFMPEG=/path/to/ffmpeg"),
            Corrupt(_) | Timeout(_) => Self::failed(error),
        }
    }
}

/// A model: what is not here or not what it says has its code; a head that it lacks was asked for.
impl From<methods::ModelError> for Failure {
    fn from(error: methods::ModelError) -> Self {
        use methods::ModelError::*;
        match error {
            NoHead { .. } | Family { .. } => Self::usage(error),
            Write { .. } => Self::failed(error),
            _ => Self::new(Exit::Missing, error),
        }
    }
}

/// Published models: what is not here or not what was announced has its code, and so has a full disk.
impl From<hub::Error> for Failure {
    fn from(error: hub::Error) -> Self {
        use hub::Error::*;
        let failure = |exit| Self::new(exit, &error);
        match &error {
            Offline { .. } => failure(Exit::Missing).hint("unset HF_HUB_OFFLINE to allow it"),
            Denied { page, .. } => failure(Exit::Missing)
                .hint(format!("its page: {page}"))
                .hint("a token is made in the settings of your account there; then: HF_TOKEN=… likebut model pull …"),
            NotThere { .. } | Corrupt { .. } | Record { .. } => failure(Exit::Missing),
            Lacks { .. } => failure(Exit::Missing)
                .hint("another revision may hold them, such as a proposal: --revision refs/pr/N")
                .hint("if you have the weights in another form: likebut model import PATH"),
            Full { .. } => failure(Exit::Resources).hint("to keep models on another disk: HF_HOME=/path"),
            Stopped => failure(Exit::Interrupted),
            Repo(_) | Revision(_) | ModelName { .. } | Import { .. } => failure(Exit::Usage),
            Unreachable { .. } => failure(Exit::Failed)
                .hint("without a network: bring the folder on a disk, then likebut model import FOLDER")
                .hint("with a mirror: HF_ENDPOINT=https://…"),
            Io { path, source } => {
                let inner = Self::from(std::io::Error::from(source.kind()));
                let exit = if inner.is_quiet() { Exit::Failed } else { inner.exit };
                Self::new(exit, format!("{}: {source}", path.display()))
            }
            TooManyRequests { .. } | Server { .. } | Redirect { .. } | Name { .. } | Cut { .. } => {
                failure(Exit::Failed)
            }
        }
    }
}

/// A set of questions that is not here or not in its format; marks that cannot be given.
impl From<benchmarks::Error> for Failure {
    fn from(error: benchmarks::Error) -> Self {
        Self::new(Exit::Missing, error)
    }
}

/// An exam.
impl From<train::exam::ExamError> for Failure {
    fn from(error: train::exam::ExamError) -> Self {
        use train::exam::ExamError::*;
        match error {
            Search(e) => e.into(),
            Benchmark(e) => e.into(),
            Missing { .. } => Self::new(Exit::Missing, error),
            Taken(_) => Self::failed(error),
        }
    }
}

/// Training.
impl From<train::TrainError> for Failure {
    fn from(error: train::TrainError) -> Self {
        use train::TrainError::*;
        match error {
            Model(e) => e.into(),
            Recipe(e) => e.into(),
            Marks(e) => e.into(),
            OtherRun { .. } | OtherCourse { .. } | OtherSizes { .. } => Self::usage(error),
            Threads(_) => Self::new(Exit::Resources, error),
            File { .. } | NotFinite { .. } | Finer(_) => Self::failed(error),
            Weights(_) | Family(_) | Few { .. } => Self::new(Exit::Missing, error),
        }
    }
}

/// A recipe.
impl From<train::RecipeError> for Failure {
    fn from(error: train::RecipeError) -> Self {
        Self::usage(error)
    }
}

/// Drawn scenes.
impl From<scenes::WriteError> for Failure {
    fn from(error: scenes::WriteError) -> Self {
        let what = error.to_string();
        match error {
            scenes::WriteError::Io { source, .. } => Self::from(source).about_in_full(what),
            scenes::WriteError::Media { .. } => Self::failed(what),
        }
    }
}

/// The value among `known` that is nearest to `typed`, if one is near enough to be meant.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (score, best) = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&typed.to_lowercase(), name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score > 0.75).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented_once() {
        let codes: Vec<u8> = EXITS.iter().map(|(e, _)| *e as u8).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 130]);
        assert_eq!(help().lines().count(), 10);
    }

    #[test]
    fn a_gone_reader_is_quiet_and_a_full_disk_is_not() {
        let io = |kind: std::io::ErrorKind| Failure::from(std::io::Error::from(kind));
        assert!(io(std::io::ErrorKind::BrokenPipe).is_quiet());
        assert_eq!(io(std::io::ErrorKind::StorageFull).exit, Exit::Resources);
        assert_eq!(io(std::io::ErrorKind::NotFound).exit, Exit::Failed);
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_near() {
        let known = ["imagine", "picture", "words", "sum"];
        assert_eq!(nearest("imagin", known), Some("imagine"));
        assert_eq!(nearest("Pictures", known), Some("picture"));
        assert_eq!(nearest("zebra", known), None);
    }
}
