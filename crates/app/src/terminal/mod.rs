//! Pictures in a terminal that can show them, in the richest way that it understands.
//!
//! A terminal is a grid of character cells, and there are four ways to put a picture there:
//! - *Kitty*'s graphics protocol sends raw pixels, base64 in an application-control string; kitty, Ghostty, WezTerm and Konsole read it;
//! - *iTerm2*'s inline images send a whole image file the same way; iTerm2, WezTerm and VS Code read it;
//! - *sixel* is from DEC's printers: bands of six rows, one colour at a time; foot, mlterm, xterm with `-ti vt340`;
//! - *blocks* need nothing but colours: `▀` shows two pixels, one as text and one as ground.
//!
//! Everything here is a pure function from pixels to bytes.

mod base64;
mod blocks;
mod iterm;
mod kitty;
mod sheet;
mod sixel;

pub use base64::encode as base64;
pub use sheet::contact_sheet;

/// How pictures are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Kitty's graphics protocol.
    Kitty,
    /// iTerm2's inline images.
    Iterm,
    /// Sixel.
    Sixel,
    /// Half blocks with 24-bit colours.
    BlocksTrue,
    /// Half blocks with the 256 colours that every terminal has.
    Blocks256,
}

/// A picture: 8-bit sRGB, three bytes a pixel, rows from the top, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// `width · height · 3` bytes.
    pub bytes: Vec<u8>,
}

impl Rgb {
    /// A picture of one colour.
    pub fn filled(width: usize, height: usize, rgb: [u8; 3]) -> Self {
        Self { width, height, bytes: rgb.repeat(width * height) }
    }

    /// The pixel at column `x` and row `y`, which must lie inside.
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let i = (y * self.width + x) * 3;
        [self.bytes[i], self.bytes[i + 1], self.bytes[i + 2]]
    }

    /// Scaled to another size; every new pixel is the mean of the old ones that it covers.
    pub fn resized(&self, width: usize, height: usize) -> Self {
        let mut out = Self::filled(width, height, [0; 3]);
        if self.width == 0 || self.height == 0 {
            return out;
        }
        let edges = |i: usize, new: usize, old: usize| {
            let start = i * old / new;
            start..((i + 1) * old).div_ceil(new).clamp(start + 1, old)
        };
        for y in 0..height {
            for x in 0..width {
                let mut sum = [0usize; 3];
                let (ys, xs) = (edges(y, height, self.height), edges(x, width, self.width));
                let count = ys.len() * xs.len();
                for (v, u) in ys.flat_map(|v| xs.clone().map(move |u| (v, u))) {
                    let pixel = self.at(u, v);
                    (0..3).for_each(|c| sum[c] += usize::from(pixel[c]));
                }
                let i = (y * width + x) * 3;
                (0..3).for_each(|c| out.bytes[i + c] = ((sum[c] + count / 2) / count) as u8);
            }
        }
        out
    }
}

/// Which protocol this terminal understands, from what it says about itself in the environment.
/// `wanted` is the setting `pictures`: `auto`, or one by name. `None` shows nothing; that is also
/// the answer where stdout is no terminal, whatever is wanted: a file must not fill with pictures.
pub fn detect(wanted: &str, is_terminal: bool, env: &dyn Fn(&str) -> Option<String>) -> Option<Protocol> {
    let var = |name: &str| env(name).unwrap_or_default();
    let (term, program) = (var("TERM"), var("TERM_PROGRAM"));
    if !is_terminal || term == "dumb" {
        return None;
    }
    let blocks = match var("COLORTERM").as_str() {
        "truecolor" | "24bit" => Protocol::BlocksTrue,
        _ => Protocol::Blocks256,
    };
    match wanted {
        "kitty" => Some(Protocol::Kitty),
        "iterm" => Some(Protocol::Iterm),
        "sixel" => Some(Protocol::Sixel),
        "blocks" => Some(blocks),
        "none" => None,
        // A multiplexer swallows graphics unless taught otherwise, but keeps the outer terminal's
        // variables: only blocks are safe inside one.
        _ if !var("TMUX").is_empty() || term.starts_with("screen") || term.starts_with("tmux") => Some(blocks),
        _ if !var("KITTY_WINDOW_ID").is_empty() || term == "xterm-kitty" => Some(Protocol::Kitty),
        _ if term == "xterm-ghostty" || program == "ghostty" || !var("KONSOLE_VERSION").is_empty() => {
            Some(Protocol::Kitty)
        }
        _ if matches!(program.as_str(), "iTerm.app" | "WezTerm" | "vscode" | "mintty") => Some(Protocol::Iterm),
        _ if term.starts_with("foot") || term.starts_with("mlterm") || term.contains("sixel") => Some(Protocol::Sixel),
        // Colours were not wished for: then a block of colours is not either.
        _ if !var("NO_COLOR").is_empty() => None,
        _ => Some(blocks),
    }
}

/// Shows a picture `columns` cells wide and `rows` cells high; the cursor ends at the start of the
/// line below it. A picture of no pixels shows nothing.
pub fn draw(picture: &Rgb, columns: usize, rows: usize, protocol: Protocol) -> Vec<u8> {
    if picture.width == 0 || picture.height == 0 || columns == 0 || rows == 0 {
        return Vec::new();
    }
    match protocol {
        Protocol::Kitty => kitty::draw(picture, columns, rows),
        Protocol::Iterm => iterm::draw(picture, columns, rows),
        // A cell's size in pixels is not known without asking the terminal; 8 × 16 is the usual one.
        Protocol::Sixel => sixel::draw(&picture.resized(columns * 8, rows * 16)),
        Protocol::BlocksTrue => blocks::draw(picture, columns, rows, true),
        Protocol::Blocks256 => blocks::draw(picture, columns, rows, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(wanted: &str, vars: &[(&str, &str)]) -> Option<Protocol> {
        detect(wanted, true, &|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn terminals_are_known_by_what_they_say() {
        assert_eq!(detected("auto", &[("KITTY_WINDOW_ID", "1")]), Some(Protocol::Kitty));
        assert_eq!(detected("auto", &[("TERM", "xterm-ghostty")]), Some(Protocol::Kitty));
        assert_eq!(detected("auto", &[("TERM_PROGRAM", "iTerm.app")]), Some(Protocol::Iterm));
        assert_eq!(detected("auto", &[("TERM", "foot")]), Some(Protocol::Sixel));
        assert_eq!(detected("auto", &[("COLORTERM", "truecolor")]), Some(Protocol::BlocksTrue));
        assert_eq!(detected("auto", &[("TERM", "xterm-256color")]), Some(Protocol::Blocks256));
        assert_eq!(detected("auto", &[("KITTY_WINDOW_ID", "1"), ("TMUX", "/tmp/x")]), Some(Protocol::Blocks256));
        assert_eq!(detected("auto", &[("NO_COLOR", "1")]), None);
        assert_eq!(detected("sixel", &[("KITTY_WINDOW_ID", "1")]), Some(Protocol::Sixel));
        assert_eq!(detected("none", &[("KITTY_WINDOW_ID", "1")]), None);
        assert_eq!(detected("auto", &[("TERM", "dumb"), ("KITTY_WINDOW_ID", "1")]), None);
        assert_eq!(detect("kitty", false, &|_| None), None, "a pipe gets no pictures");
    }

    #[test]
    fn resizing_keeps_flat_colours_and_means() {
        let flat = Rgb::filled(7, 5, [9, 99, 199]);
        assert_eq!(flat.resized(3, 2), Rgb::filled(3, 2, [9, 99, 199]));
        assert_eq!(flat.resized(20, 20), Rgb::filled(20, 20, [9, 99, 199]));
        let two = Rgb { width: 2, height: 1, bytes: vec![0, 0, 0, 100, 200, 250] };
        assert_eq!(two.resized(1, 1).bytes, [50, 100, 125]);
        assert_eq!(two.resized(2, 1), two);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        for p in [Protocol::Kitty, Protocol::Iterm, Protocol::Sixel, Protocol::BlocksTrue, Protocol::Blocks256] {
            assert!(draw(&Rgb::filled(0, 4, [0; 3]), 4, 4, p).is_empty());
            assert!(draw(&Rgb::filled(4, 4, [0; 3]), 0, 4, p).is_empty());
            assert!(!draw(&Rgb::filled(4, 4, [0; 3]), 4, 4, p).is_empty());
        }
    }
}
