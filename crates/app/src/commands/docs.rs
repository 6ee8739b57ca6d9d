//! `likebut docs`: the manual, from the same definition as the help.

use std::fmt::Write as _;

use crate::cli::{self, DocsForm};
use crate::context::print;
use crate::exit::{EXITS, Exit, Failure};
use crate::settings::SETTINGS;

/// Prints the manual.
pub fn run(typed: &cli::Docs) -> Result<Exit, Failure> {
    match typed.form {
        DocsForm::Man => print(man()?)?,
        DocsForm::Markdown => print(markdown())?,
    }
    Ok(Exit::Ok)
}

/// One page: the program, then each command as a section.
fn man() -> Result<Vec<u8>, Failure> {
    let mut command = cli::command();
    command.build();
    let mut out = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut out)?;
    for (name, sub) in commands(&command) {
        let title = format!("likebut {name}").to_uppercase();
        out.extend_from_slice(format!(".SH \"{title}\"\n").as_bytes());
        let page = clap_mangen::Man::new(sub.clone());
        page.render_synopsis_section(&mut out)?;
        page.render_description_section(&mut out)?;
        page.render_options_section(&mut out)?;
    }
    Ok(out)
}

/// The reference: every command, every setting, every exit code.
fn markdown() -> String {
    let mut command = cli::command().term_width(100);
    command.build();
    let mut out = String::from(
        "# Reference\n\nPrinted by `likebut docs markdown`; do not edit.\n\n## Commands\n\n| command | what it does |\n|---|---|\n",
    );
    for (name, sub) in commands(&command) {
        let link = name.replace(' ', "-");
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(out, "| [`{name}`](#likebut-{link}) | {about} |");
    }
    for (name, sub) in commands(&command) {
        let help = sub.clone().term_width(100).render_help().to_string();
        let _ = write!(out, "\n### likebut {name}\n\n```text\n{}\n```\n", help.trim_end());
    }
    out.push_str(
        "\n## Settings\n\nThe first place that has a value wins: flag, variable, `likebut.toml` in this folder or the \
         nearest one above, `config.toml` in the user's folder (`~/.config/likebut` on Linux), default.\n\n\
         | key | flag | variable | default | meaning |\n|---|---|---|---|---|\n",
    );
    for s in SETTINGS {
        let default = if s.default.is_empty() { "unset".to_owned() } else { format!("`{}`", s.default) };
        let _ = writeln!(out, "| `{}` | `--{}` | `{}` | {default} | {} |", s.key, s.flag(), s.env(), s.sentence);
    }
    out.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (exit, sentence) in EXITS {
        let _ = writeln!(out, "| {} | {sentence} |", *exit as u8);
    }
    out
}

/// Every command with its name, those of `model` after it.
fn commands(command: &clap::Command) -> Vec<(String, &clap::Command)> {
    let real = |c: &&clap::Command| c.get_name() != "help";
    let mut out = Vec::new();
    for sub in command.get_subcommands().filter(real) {
        out.push((sub.get_name().to_owned(), sub));
        let inner = sub.get_subcommands().filter(real);
        out.extend(inner.map(|c| (format!("{} {}", sub.get_name(), c.get_name()), c)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_names_everything_and_never_changes_by_itself() {
        let text = markdown();
        assert_eq!(text, markdown());
        for s in SETTINGS {
            assert!(text.contains(&s.env()), "{}", s.key);
        }
        assert!(text.contains("### likebut find") && text.contains("| 130 |"));
        assert!(text.contains("[`model pull`](#likebut-model-pull)") && text.contains("### likebut model pull\n"));
        assert!(!text.contains("\x1b"), "no colours in a file");
    }

    #[test]
    fn the_man_page_has_a_section_per_command() {
        let page = String::from_utf8(man().unwrap()).unwrap();
        assert!(page.contains(".SH \"LIKEBUT FIND\"") && page.contains("\\-\\-strength"), "{page}");
    }
}
