//! What can be typed: the one definition that help, completions, man page and reference come from.
//!
//! These types say what *was typed*; each file under `commands` says what it *means*.
//! Flags that are settings too are added from the table in [`crate::settings`].

use std::path::PathBuf;

use clap::{Arg, ArgAction, Args, CommandFactory as _, Parser, Subcommand};

use crate::settings::SETTINGS;

/// Show a picture or a clip, say what should be different, find the matching ones in your own
/// library.
#[derive(Debug, Parser)]
#[command(
    name = "likebut",
    version,
    before_help = "Examples:
  likebut demo                                    see it work, with nothing of your own
  likebut add ~/Pictures ~/Movies                 put your own files into the library
  likebut find sofa.jpg \"the same, in blue\"       like this, but …",
    after_help = crate::exit::help()
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say only what is asked for and what went wrong
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub quiet: bool,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(Demo),
    Add(Add),
    Find(Find),
    Status(Status),
    Verify(Verify),
    Remove(Remove),
    Scenes(Scenes),
    Eval(Eval),
    Train(Train),
    Doctor(Doctor),
    Config(Config),
    Completions(Completions),
    Docs(Docs),
}

/// See it work: write a library of drawn scenes, ask it questions, show the answers
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut demo                         into a folder of its own
  likebut demo --out try --no-page     into ./try, without the page")]
pub struct Demo {
    /// Where scenes, library and page are written
    #[arg(long, value_name = "FOLDER", default_value = "likebut-demo")]
    pub out: PathBuf,
    /// Pictures and clips in the library
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(50..=20_000))]
    pub items: u32,
    /// The seed that the scenes are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write no page
    #[arg(long)]
    pub no_page: bool,
    /// Print the marks as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Put pictures and clips into the library
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut add ~/Pictures ~/Movies       everything below these folders
  likebut add --dry-run ~/Pictures      what would be looked at
  likebut add trip.mp4                  one file

Files that are in the library and have not changed are not touched. Ctrl-C is safe; the same
command goes on where it stopped.")]
pub struct Add {
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only say what would be looked at
    #[arg(long)]
    pub dry_run: bool,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Find items that are like a reference, but as the words say
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut find sofa.jpg \"the same, in blue\"
  likebut find beach.mp4@00:41-00:45 \"at night, with a bonfire\"
  likebut find '#12' \"in winter\" --not \"people\" --strength 0.7
  likebut find sofa.jpg \"in blue\" --paths0 | xargs -0 cp -t blue/
  likebut find sofa.jpg - < words.txt")]
pub struct Find {
    /// A file, a part of a clip (clip.mp4@00:41-00:45), or an item of the library (#12)
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// What should be different; - reads it from standard input
    #[arg(value_name = "WORDS", default_value = "", hide_default_value = true)]
    pub words: String,
    /// What the wanted ones should not show
    #[arg(long, value_name = "WORDS")]
    pub not: Option<String>,
    /// Show the reference itself too, where it is in the library
    #[arg(long)]
    pub with_reference: bool,
    /// End with code 4 if nothing is found
    #[arg(long)]
    pub fail_on_none: bool,
    /// Also write a page that shows the answers
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
    #[command(flatten)]
    pub format: Format,
}

/// How hits are printed.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Format {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print one JSON object per hit and line
    #[arg(long)]
    pub jsonl: bool,
    /// Print paths only, each ended by a NUL byte, for xargs -0
    #[arg(long)]
    pub paths0: bool,
}

/// Say what is in the library, and what was left out and why
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut status                how many items, of what kind
  likebut status --failed       what was left out, and why")]
pub struct Status {
    /// List every file that was left out, with its reason
    #[arg(long)]
    pub failed: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Check that the library is whole
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut verify                checksums, and that every item is accounted for")]
pub struct Verify {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Take items out of the library; your files are not touched
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut remove --dry-run ~/Pictures/2019      what would leave the library
  likebut remove ~/Pictures/2019                everything that was added from there
  likebut remove '#12'                          one item")]
pub struct Remove {
    /// Files, folders, or items of the library (#12)
    #[arg(required = true, value_name = "PATH|#ID")]
    pub targets: Vec<String>,
    /// Only say what would leave
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Draw a world of scenes: pictures and clips with captions and triplets
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut scenes world                          a small world in ./world
  likebut scenes world --items 5000 --seed 7    a larger one, another seed")]
pub struct Scenes {
    /// The folder to write; it must be empty or absent
    #[arg(value_name = "FOLDER")]
    pub out: PathBuf,
    /// Pictures and clips
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub items: u32,
    /// The seed that everything is drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Mark methods on a set of triplets
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut eval world                                       all methods on a drawn world
  likebut eval world --methods imagine,sum --split test    two of them")]
pub struct Eval {
    /// A folder with gallery.jsonl and triplets.jsonl
    #[arg(value_name = "FOLDER")]
    pub set: PathBuf,
    /// Which methods, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub methods: Vec<String>,
    /// Which part of the set: train, val or test
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    pub split: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Train as a recipe says
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut train recipes/imagine-toy.toml --out runs/toy
  likebut train recipes/imagine-toy.toml --out runs/toy --resume     after a stop")]
pub struct Train {
    /// The recipe
    #[arg(value_name = "RECIPE")]
    pub recipe: PathBuf,
    /// Where the run is written
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Go on with the run in that folder
    #[arg(long)]
    pub resume: bool,
}

/// Say what this machine and this installation can do
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut doctor                versions, processor, memory, ffmpeg, library, model")]
pub struct Doctor {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Show the settings
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut config show --origin      every setting, its value, and where that came from")]
pub struct Config {
    /// What to do with them.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What can be done with the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Print every setting and its value
    Show {
        /// Say where each value came from
        #[arg(long)]
        origin: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Print a completion script
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut completions bash > ~/.local/share/bash-completion/completions/likebut
  likebut completions zsh > ~/.zfunc/_likebut
  likebut completions fish > ~/.config/fish/completions/likebut.fish")]
pub struct Completions {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Print the manual
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut docs man | man -l -             read it here
  likebut docs markdown                   the reference of commands, settings and exit codes")]
pub struct Docs {
    /// In which form
    #[arg(value_name = "FORM")]
    pub form: DocsForm,
}

/// The forms that the manual has.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum DocsForm {
    /// A man page
    Man,
    /// Markdown
    Markdown,
}

/// Examples come before everything else.
const TEMPLATE: &str =
    "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// The whole definition, with the flags of the settings table.
pub fn command() -> clap::Command {
    with_settings(Cli::command())
}

fn with_settings(mut command: clap::Command) -> clap::Command {
    command = command
        .help_template(TEMPLATE)
        .subcommand_required(true)
        .arg_required_else_help(true);
    let names: Vec<String> = command
        .get_subcommands()
        .map(|c| c.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(&name, |sub| {
            let flags = SETTINGS.iter().filter(|s| s.is_read_by(&name)).map(|s| {
                let help = match s.default {
                    "" => s.sentence.to_owned(),
                    default => format!("{} [default: {default}]", s.sentence),
                };
                Arg::new(s.key)
                    .long(s.flag())
                    .value_name(s.value)
                    .help(help)
                    .help_heading(if s.commands.is_empty() {
                        "Everywhere"
                    } else {
                        "Settings"
                    })
                    .global(name == "config")
                    .action(ArgAction::Set)
                    // A negative number is a bad value, to be refused as such, not another flag.
                    .allow_hyphen_values(s.key == "strength")
            });
            let flags = flags.map(|arg| {
                match SETTINGS
                    .iter()
                    .find(|s| arg.get_id() == s.key)
                    .and_then(|s| s.short)
                {
                    Some(letter) => arg.short(letter),
                    None => arg,
                }
            });
            let flags: Vec<Arg> = flags.collect();
            sub.help_template(TEMPLATE).args(flags)
        });
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn examples_come_first_and_every_command_has_some() {
        let mut command = command();
        command.build();
        for sub in command
            .get_subcommands_mut()
            .filter(|s| s.get_name() != "help")
        {
            let help = sub.render_help().to_string();
            let (examples, usage) = (help.find("Examples:"), help.find("Usage:"));
            assert!(examples.is_some() && examples < usage, "{help}");
        }
        assert!(
            command
                .render_help()
                .to_string()
                .contains("130  stopped by Ctrl-C")
        );
    }
}
