//! Colours on a terminal, or none: what `NO_COLOR`, `CLICOLOR_FORCE`, `TERM=dumb` and `--color` ask for.

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// As the terminal and the environment say.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Paints words, or leaves them plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Decides for one stream. What was asked for in so many words wins; then `NO_COLOR` (any
    /// non-empty value), `CLICOLOR_FORCE` (anything but `0`), `TERM=dumb`, and last whether anybody looks.
    pub fn decide(choice: Choice, is_terminal: bool, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name| env(name).is_some_and(|v| !v.is_empty());
        let on = match choice {
            Choice::Always => true,
            Choice::Never => false,
            Choice::Auto if set("NO_COLOR") => false,
            Choice::Auto if set("CLICOLOR_FORCE") => env("CLICOLOR_FORCE").as_deref() != Some("0"),
            Choice::Auto => is_terminal && env("TERM").as_deref() != Some("dumb"),
        };
        Self { on }
    }

    /// What matters.
    pub fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    /// What matters less.
    pub fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    /// Right, done.
    pub fn good(&self, text: &str) -> String {
        self.with("32", text)
    }

    /// Wrong, failed.
    pub fn bad(&self, text: &str) -> String {
        self.with("31", text)
    }

    /// To be noticed.
    pub fn notice(&self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Text from outside (file names, error messages) made safe to print on a terminal: control
/// characters, which could move the cursor or set colours, are shown as `\u{1b}` and the like.
pub fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wins() {
        let decide = |choice, tty, vars: &[(&str, &str)]| {
            Paint::decide(choice, tty, &|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())).on
        };
        assert!(decide(Choice::Auto, true, &[("TERM", "xterm")]));
        assert!(!decide(Choice::Auto, false, &[("TERM", "xterm")]));
        assert!(!decide(Choice::Auto, true, &[("TERM", "dumb")]));
        assert!(!decide(Choice::Auto, true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(decide(Choice::Auto, true, &[("NO_COLOR", "")]), "an empty NO_COLOR asks for nothing");
        assert!(decide(Choice::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!decide(Choice::Auto, true, &[("CLICOLOR_FORCE", "0")]));
        assert!(decide(Choice::Always, false, &[("NO_COLOR", "1")]));
        assert!(!decide(Choice::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn a_file_name_cannot_drive_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n.jpg"), "a\\u{1b}[2Jb\\n.jpg");
        assert_eq!(printable("Grüße 🎈.mp4"), "Grüße 🎈.mp4");
    }
}
