//! The cleaning that OpenAI's and OpenCLIP's tokenizer does before it cuts a text.
//!
//! Written after the documented behaviour of `ftfy.fix_text` (Apache-2.0) and Python's
//! `html.unescape`: character references, controls, ligatures, full-width letters and curly quotes
//! become what they stand for, space becomes one space, and everything is lower case.
//!
//! Two things are left out, because what a person types does not have them: `ftfy`'s guess that a text
//! was decoded wrongly twice ("Ã©" for "é"), and the rarer of HTML's 2,231 names of characters.

use tokenizers::NormalizedString;

/// The text as it is cut.
pub fn cleaned(text: &str) -> String {
    let text = unescaped(&unescaped(&fixed(text)));
    // With what Python calls space, and Unicode does not.
    let space = |c: char| c.is_whitespace() || matches!(c, '\x1c'..='\x1f');
    text.split(space).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Line by line, until nothing changes. A `<` says that what follows is HTML itself, in which
/// character references are meant.
fn fixed(text: &str) -> String {
    let mut html = false;
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        html |= line.contains('<');
        let mut line = line.to_owned();
        // Each round shortens what it changes; the bound is for texts that are made to be slow.
        for _ in 0..8 {
            let next = once(&line, !html);
            if next == line {
                break;
            }
            line = next;
        }
        out += &line;
    }
    out
}

fn once(line: &str, unescape: bool) -> String {
    let line = if unescape { references(line, false) } else { line.to_owned() };
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\u{80}'..='\u{9f}' => out.push(windows(c)),
            'Ĳ' => out += "IJ",
            'ĳ' => out += "ij",
            'ŉ' => out += "'n",
            'Ǳ' => out += "DZ",
            'ǲ' => out += "Dz",
            'ǳ' => out += "dz",
            'Ǆ' => out += "DŽ",
            'ǅ' => out += "Dž",
            'ǆ' => out += "dž",
            'Ǉ' => out += "LJ",
            'ǈ' => out += "Lj",
            'ǉ' => out += "lj",
            'Ǌ' => out += "NJ",
            'ǋ' => out += "Nj",
            'ǌ' => out += "nj",
            'ﬀ' => out += "ff",
            'ﬁ' => out += "fi",
            'ﬂ' => out += "fl",
            'ﬃ' => out += "ffi",
            'ﬄ' => out += "ffl",
            'ﬅ' => out += "ſt",
            'ﬆ' => out += "st",
            '\u{3000}' => out.push(' '),
            '\u{ff01}'..='\u{ffef}' => {
                let mut n = NormalizedString::from(c.to_string());
                n.nfkc();
                out += n.get();
            }
            '\u{2bc}' | '\u{2018}'..='\u{201b}' => out.push('\''),
            '\u{201c}'..='\u{201f}' => out.push('"'),
            '\u{2028}' | '\u{2029}' => out.push('\n'),
            _ => out.push(c),
        }
    }
    let out = out.replace("\r\n", "\n").replace('\r', "\n");
    let control = |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0e'..='\x1f' | '\x7f' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}');
    let mut n = NormalizedString::from(without_terminal_escapes(&out).replace(control, ""));
    n.nfc();
    n.get().to_owned()
}

/// What Windows' code page 1252 has in the places of Latin-1's second set of controls.
fn windows(c: char) -> char {
    const PLACES: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    (c as usize).checked_sub(0x80).and_then(|i| PLACES.get(i)).copied().unwrap_or(c)
}

/// Without the sequences that colour a terminal's text: ESC, `[`, digits and semicolons, a letter.
fn without_terminal_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        let (before, from) = rest.split_at(at);
        out += before;
        let body = &from[2..];
        let end = body.find(|c: char| !(c.is_ascii_digit() || c == ';')).unwrap_or(body.len());
        match body[end..].chars().next() {
            Some(c) if c.is_ascii_alphabetic() => rest = &body[end + 1..],
            _ => {
                out += "\x1b[";
                rest = body;
            }
        }
    }
    out + rest
}

/// Python's `html.unescape`, of the names that are common.
fn unescaped(text: &str) -> String {
    references(text, true)
}

/// Character references replaced by what they stand for; where not `loose`, only those that end in a
/// semicolon.
fn references(text: &str, loose: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out += &rest[..at];
        rest = &rest[at..];
        match reference(rest, loose) {
            Some((stands_for, length)) => {
                out += &stands_for;
                rest = &rest[length..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

/// The reference at the start of a text: what it stands for, and how many bytes it has.
fn reference(text: &str, loose: bool) -> Option<(String, usize)> {
    const NAMES: [(&str, &str, bool); 12] = [
        ("amp", "&", true),
        ("AMP", "&", true),
        ("lt", "<", true),
        ("LT", "<", true),
        ("gt", ">", true),
        ("GT", ">", true),
        ("quot", "\"", true),
        ("QUOT", "\"", true),
        ("nbsp", "\u{a0}", true),
        ("apos", "'", false),
        ("hellip", "…", false),
        ("ndash", "–", false),
    ];
    let body = text.strip_prefix('&')?;
    if let Some(number) = body.strip_prefix('#') {
        let (radix, digits, head) = match number.strip_prefix(['x', 'X']) {
            Some(hex) => (16, hex, 3),
            None => (10, number, 2),
        };
        let count = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let closed = digits[count..].starts_with(';');
        // ftfy's own expression takes at most 24 letters and digits after the sign.
        if count == 0 || !(closed || loose) || (!loose && head - 2 + count > 24) {
            return None;
        }
        let value = digits[..count]
            .bytes()
            .fold(0u32, |v, d| v.saturating_mul(radix).saturating_add((d as char).to_digit(radix).unwrap_or_default()));
        return Some((numbered(value), head + count + usize::from(closed)));
    }
    NAMES.iter().find_map(|(name, stands_for, open)| {
        let after = body.strip_prefix(name)?;
        match after.starts_with(';') {
            true => Some(((*stands_for).to_owned(), name.len() + 2)),
            false if loose && *open => Some(((*stands_for).to_owned(), name.len() + 1)),
            false => None,
        }
    })
}

/// The character of a number, as HTML 5 reads it.
fn numbered(value: u32) -> String {
    match value {
        0 | 0xd800..=0xdfff | 0x11_0000.. => "\u{fffd}".into(),
        0x0d => "\r".into(),
        0x80..=0x9f => char::from_u32(value).map(windows).unwrap_or_default().into(),
        0x01..=0x08 | 0x0b | 0x0e..=0x1f | 0x7f | 0xfdd0..=0xfdef => String::new(),
        _ if value & 0xfffe == 0xfffe => String::new(),
        _ => char::from_u32(value).map(String::from).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_something_becomes_it() {
        for (typed, read) in [
            ("  Two\t\u{3000}\nWords ", "two words"),
            ("“it’s”", "\"it's\""),
            ("ﬂuﬃeﬆ", "fluffiest"),
            ("ＬＯＵＤ", "loud"),
            ("a\u{0}b\u{7f}\u{feff}", "ab"),
            ("\u{1b}[36;44mblue\u{1b}[0m", "blue"),
            ("\u{85}", "…"),
            ("fish &amp; chips &#39;n&#x27; &lt;b&gt;", "fish & chips 'n' <b>"),
            ("&amp;amp;amp; &ampx &zz;", "& &x &zz;"),
            ("<i>&amp;amp;amp;", "<i>&amp;"),
            ("e\u{301}", "é"),
            ("ΟΔΟΣ", "οδος"),
            ("", ""),
        ] {
            assert_eq!(cleaned(typed), read, "{typed:?}");
        }
        // Made to be slow; a quick answer is all that is asked.
        assert!(!cleaned(&"&amp;".repeat(10_000)).is_empty());
    }
}
