//! One binary, `likebut`: show a picture or a clip, say what should be different, find it.

mod answers;
mod cli;
mod commands;
mod context;
mod exit;
mod folders;
mod heat;
mod hits;
mod interrupt;
mod machine;
mod models;
mod page;
mod paint;
mod paths;
mod progress;
mod settings;
mod shelf;
mod speed;
mod stages;
mod terminal;
mod walk;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::FromArgMatches as _;

use exit::{Exit, Failure};
use paint::{Choice, Paint, printable};

/// The version of every JSON object that is printed; it changes when a field changes its meaning
/// or leaves, not when one is added.
const JSON_VERSION: u32 = 1;

#[global_allocator]
static MEMORY: nets::Keeping = nets::Keeping::new();

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(notice_of_bug));
    // A panic below this line is a bug; it has been reported by the hook when it arrives here.
    let outcome = std::panic::catch_unwind(|| run().unwrap_or_else(report));
    outcome.unwrap_or(Exit::Failed).into()
}

fn run() -> Result<Exit, Failure> {
    interrupt::listen().map_err(|e| Failure::failed(format!("cannot listen for Ctrl-C: {e}")))?;
    let env = |name: &str| std::env::var(name).ok();
    let matches = match cli::command().try_get_matches() {
        Ok(matches) => matches,
        // Help and version are answers; anything else was typed wrongly. clap prints both well.
        Err(e) => {
            e.print()?;
            return Ok(if e.use_stderr() { Exit::Usage } else { Exit::Ok });
        }
    };
    let typed = cli::Cli::from_arg_matches(&matches).map_err(Failure::usage)?;
    let flag = |key: &str| {
        let (command, sub) = matches.subcommand()?;
        // Another command may call something else by this name, as `likebut model show MODEL` does.
        settings::SETTINGS.iter().find(|s| s.key == key && s.is_read_by(command))?;
        // `likebut model list --color never`: what is typed last is closest.
        let innermost = sub.subcommand().map_or(sub, |(_, inner)| inner);
        innermost.try_get_one::<String>(key).ok().flatten().cloned()
    };
    let files = settings::files(&std::env::current_dir().unwrap_or_default());
    let settings = settings::Settings::resolve(&settings::Sources { flags: &flag, env: &env, files })?;
    let context = context::Context {
        paint: Paint::decide(settings.color(), std::io::stdout().is_terminal(), &env),
        paint_err: Paint::decide(settings.color(), std::io::stderr().is_terminal(), &env),
        quiet: typed.quiet,
        settings,
    };
    // Fails only if it was built before, which nothing above does.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(context.settings.jobs()).build_global();
    commands::run(typed, &context)
}

/// One line that says what is wrong, then what to do about it.
fn report(failure: Failure) -> Exit {
    if !failure.is_quiet() {
        let env = |name: &str| std::env::var(name).ok();
        let paint = Paint::decide(Choice::Auto, std::io::stderr().is_terminal(), &env);
        let mut text = format!("{} {}\n", paint.bad("error:"), printable(&failure.what));
        for hint in &failure.hints {
            text.push_str(&format!("  {}\n", printable(hint)));
        }
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    failure.exit
}

/// What a panic prints: that it is our fault, and what to send us.
fn notice_of_bug(info: &std::panic::PanicHookInfo<'_>) {
    // A foreign file's own fault, which its reader answers for.
    if std::thread::current().name() == Some(search::FOREIGN) {
        return;
    }
    let place = info.location().map(|l| format!("{}:{}", l.file(), l.line())).unwrap_or_default();
    let what = info.payload_as_str().unwrap_or("no message");
    let _ = writeln!(
        std::io::stderr(),
        "error: likebut {} has a bug: {} ({place})\n  your library is as it was after the last batch that was saved\n  \
         please report this line together with the command that you typed",
        env!("CARGO_PKG_VERSION"),
        printable(what),
    );
}
