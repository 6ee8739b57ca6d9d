//! How far a long piece of work is: a bar on a terminal, a line every ten seconds elsewhere.

use std::collections::VecDeque;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Nothing is shown before this: short work needs no bar.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a bar is drawn again.
const FRAME: Duration = Duration::from_millis(100);
/// How often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(10);
/// The rate is measured over this much of the recent past, so that it follows a change of pace ...
const WINDOW: Duration = Duration::from_secs(20);
/// ... and over no fewer steps than this, so that it is one where a step takes a minute.
const STEPS: usize = 4;

/// One piece of work of known size, shown on stderr.
pub struct Progress {
    label: &'static str,
    unit: &'static str,
    total: u64,
    done: u64,
    started: Instant,
    shown: Option<Instant>,
    pace: Pace,
    note: String,
    style: Style,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Bar,
    Lines,
    Silent,
}

impl Progress {
    /// Starts work of `total` steps. `unit` is what one step handles (`items`, `steps`).
    pub fn new(label: &'static str, unit: &'static str, total: u64, quiet: bool) -> Self {
        use std::io::IsTerminal as _;
        let dumb = std::env::var("TERM").is_ok_and(|t| t == "dumb");
        let style = match quiet {
            true => Style::Silent,
            false if std::io::stderr().is_terminal() && !dumb => Style::Bar,
            false => Style::Lines,
        };
        let now = Instant::now();
        Self {
            label,
            unit,
            total,
            done: 0,
            started: now,
            shown: None,
            pace: Pace(VecDeque::new()),
            note: String::new(),
            style,
        }
    }

    /// Tells how many steps are done by now.
    pub fn set(&mut self, done: u64) {
        self.done = done;
        let now = Instant::now();
        self.pace.saw(self.started, now, done);
        let pause = if self.style == Style::Bar { FRAME } else { LINE };
        let due = match self.shown {
            Some(last) => now - last >= pause,
            None => now - self.started >= PATIENCE,
        };
        if due {
            self.show(now);
        }
    }

    /// What stands behind the figures, such as the loss.
    pub fn note(&mut self, note: String) {
        self.note = note;
    }

    /// Changes the size of the work, where it is learnt on the way.
    pub fn set_total(&mut self, total: u64) {
        self.total = total;
    }

    /// Clears a bar, so that what is printed next starts on a clean line.
    pub fn finish(&mut self) {
        if self.style == Style::Bar && self.shown.is_some() {
            eprint!("\r\x1b[2K");
        }
        self.style = Style::Silent;
    }

    fn show(&mut self, now: Instant) {
        self.shown = Some(now);
        let mut text = describe(self.label, self.unit, self.done, self.total, self.pace.rate(now));
        if !self.note.is_empty() {
            text = format!("{text}  {}", self.note);
        }
        // Progress is a courtesy: a closed stderr must not stop the work.
        let _ = match self.style {
            Style::Bar => {
                let width = terminal_size::terminal_size().map_or(80, |(w, _)| w.0 as usize);
                let line: String = format!("{} {text}", bar(self.done, self.total, 20));
                let line: String = line.chars().take(width.saturating_sub(1)).collect();
                write!(std::io::stderr(), "\r\x1b[2K{line}")
            }
            Style::Lines => writeln!(std::io::stderr(), "{text}"),
            Style::Silent => Ok(()),
        };
    }
}

/// When how much was done: the last few times that it became more.
struct Pace(VecDeque<(Instant, u64)>);

impl Pace {
    fn saw(&mut self, started: Instant, now: Instant, done: u64) {
        // Less than before: the next part of the work, counted anew.
        if self.0.back().is_some_and(|last| done < last.1) {
            self.0.clear();
            self.0.push_back((now, done));
        }
        match self.0.back_mut() {
            // What is there at the first word was there before: work that is gone on with. A first step may be news.
            None => self.0.push_back(if done > 1 { (now, done) } else { (started, 0) }),
            Some(last) if last.1 == done => return,
            // Steps may be far shorter than a bar is quick.
            Some(last) if now - last.0 < FRAME && last.1 > 0 => last.1 = done,
            Some(_) => {}
        }
        if self.0.back().is_some_and(|last| last.1 != done) {
            self.0.push_back((now, done));
        }
        while self.0.len() > STEPS + 1 && now - self.0[0].0 > WINDOW {
            self.0.pop_front();
        }
    }

    /// Steps a second; nought before there was one.
    fn rate(&self, now: Instant) -> f64 {
        match (self.0.front(), self.0.back()) {
            (Some((then, before)), Some((_, done))) => {
                done.saturating_sub(*before) as f64 / (now - *then).as_secs_f64().max(1e-9)
            }
            _ => 0.0,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// `indexing  38 %  7,020/18,738 items  46/s  ETA 4 min 12 s`.
fn describe(label: &str, unit: &str, done: u64, total: u64, rate: f64) -> String {
    let percent = (done * 100).checked_div(total).unwrap_or(100);
    let eta = match total.saturating_sub(done) {
        0 => String::new(),
        _ if rate <= 0.0 => "  ETA unknown".to_owned(),
        left => format!("  ETA {}", duration(Duration::from_secs_f64((left as f64 / rate).min(1e9)))),
    };
    let rate = match rate {
        ..=0.0 => String::new(),
        ..10.0 => format!("  {rate:.1}/s"),
        _ => format!("  {rate:.0}/s"),
    };
    format!("{label}  {percent:>2} %  {}/{} {unit}{rate}{eta}", thousands(done), thousands(total))
}

/// A bar of `cells` characters, filled to an eighth of a character.
pub fn bar(done: u64, total: u64, cells: u64) -> String {
    let eighths = (done.min(total) * cells * 8).checked_div(total).unwrap_or(cells * 8);
    let partial = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][(eighths % 8) as usize];
    let full = (eighths / 8) as usize;
    let rest = cells as usize - full;
    match rest {
        0 => "█".repeat(full),
        _ => format!("{}{partial}{}", "█".repeat(full), " ".repeat(rest - 1)),
    }
}

/// `18738` → `18,738`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `252 s` → `4 min 12 s`; the two largest units only.
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..10 => format!("{:.1} s", d.as_secs_f64()),
        10..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s / 60 % 60),
    }
}

/// `2 KiB`, `14.2 MiB`: a size for people.
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            let decimals = if unit == "B" || value >= 100.0 { 0 } else { 1 };
            return format!("{value:.decimals$} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_done_total_rate_and_time_left() {
        assert_eq!(
            describe("indexing", "items", 7020, 18738, 46.4),
            "indexing  37 %  7,020/18,738 items  46/s  ETA 4 min 12 s"
        );
        assert_eq!(describe("x", "items", 0, 5, 0.0), "x   0 %  0/5 items  ETA unknown");
        assert_eq!(describe("x", "items", 5, 5, 2.5), "x  100 %  5/5 items  2.5/s");
        assert_eq!(describe("x", "items", 0, 0, 0.0), "x  100 %  0/0 items");
    }

    #[test]
    fn the_pace_is_that_of_the_recent_past_and_of_no_step_too_few() {
        let start = Instant::now();
        let at = |secs: f64| start + Duration::from_secs_f64(secs);
        let rate = |first: u64, marks: &[(f64, u64)], now: f64| {
            let mut pace = Pace(VecDeque::new());
            pace.saw(start, at(0.5), first);
            marks.iter().for_each(|(secs, done)| pace.saw(start, at(*secs), *done));
            pace.rate(at(now))
        };
        let close = |rate: f64, wanted: f64| assert!((rate / wanted - 1.0).abs() < 0.3, "{rate}, not {wanted}");
        // A run takes a minute, and reports its own steps in between.
        let slow: Vec<(f64, u64)> = (0..4000).map(|i| (i as f64 * 0.1, i / 600)).collect();
        close(rate(0, &slow, 400.0), 1.0 / 60.0);
        // Ninety were there before.
        let resumed: Vec<(f64, u64)> = slow.iter().map(|(secs, done)| (secs + 0.6, 90 + done)).collect();
        close(rate(90, &resumed, 400.0), 1.0 / 60.0);
        close(rate(90, &resumed[..700], 70.0), 1.0 / 70.0);
        // Fast, then slow: the last seconds count.
        let tired: Vec<(f64, u64)> =
            (0..1000).map(|i| (i as f64 * 0.1, if i < 500 { i * 10 } else { 4_500 + i })).collect();
        close(rate(0, &tired, 100.0), 10.0);
        assert_eq!(rate(0, &[], 3.0), 0.0);
        // The pictures of one split, then those of the next.
        let two: Vec<(f64, u64)> =
            (0..600).map(|i| (i as f64 * 0.1, if i < 300 { i * 100 } else { i - 300 })).collect();
        assert_eq!(rate(0, &two[..301], 30.0), 0.0);
        close(rate(0, &two[..310], 31.0), 10.0);
        close(rate(0, &two, 60.0), 10.0);
        close(rate(0, &[(2.0, 1)], 2.0), 0.5);
    }

    #[test]
    fn a_bar_always_has_its_width() {
        for done in 0..=160 {
            assert_eq!(bar(done, 160, 10).chars().count(), 10, "{done}");
        }
        assert_eq!(bar(5, 10, 4), "██  ");
        assert_eq!(bar(0, 0, 3), "███");
        assert_eq!(bar(99, 10, 3), "███");
    }

    #[test]
    fn units_for_people() {
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(12), "12");
        assert_eq!(duration(Duration::from_secs(4000)), "1 h 6 min");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(17), "17 B");
        assert_eq!(bytes(3 << 40), "3.0 TiB");
    }
}
