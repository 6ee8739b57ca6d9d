//! Where media lies: a file, or a span of one.

use std::path::PathBuf;

/// A stretch of time within a clip, in seconds from its start. `end_secs` is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Span {
    /// First moment, seconds.
    pub start_secs: f64,
    /// Moment after the last, seconds.
    pub end_secs: f64,
}

/// A file, or a span of one: `beach.mp4`, `beach.mp4@00:41-00:45`.
///
/// ```
/// use domain::MediaRef;
/// let r = MediaRef::parse("trips/beach.mp4@00:41-01:02.5").unwrap();
/// assert_eq!(r.path.to_str(), Some("trips/beach.mp4"));
/// assert_eq!(r.span.unwrap().end_secs, 62.5);
/// assert_eq!(r.to_string(), "trips/beach.mp4@00:41-01:02.5");
/// // A name that merely holds an @ is a name.
/// assert!(MediaRef::parse("me@home.jpg").unwrap().span.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MediaRef {
    /// The file.
    pub path: PathBuf,
    /// The part of it that is meant; all of it if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

/// A span that cannot be meant.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SpanError {
    /// The end is not after the start.
    #[error("the span {0:?} ends before it starts; write it as START-END, e.g. clip.mp4@00:41-00:45")]
    Backwards(String),
}

impl MediaRef {
    /// The whole of a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), span: None }
    }

    /// Reads `path` or `path@start-end`; times are `ss`, `mm:ss` or `hh:mm:ss`, with decimals.
    /// What follows an `@` but does not look like two times is part of the name.
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        if let Some((path, tail)) = text.rsplit_once('@')
            && !path.is_empty()
            && let Some((a, b)) = tail.split_once('-')
            && let (Some(start_secs), Some(end_secs)) = (secs_from_clock(a), secs_from_clock(b))
        {
            if end_secs <= start_secs {
                return Err(SpanError::Backwards(tail.to_owned()));
            }
            return Ok(Self { path: path.into(), span: Some(Span { start_secs, end_secs }) });
        }
        Ok(Self::file(text))
    }
}

impl std::fmt::Display for MediaRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())?;
        match self.span {
            Some(s) => write!(f, "@{}-{}", clock_from_secs(s.start_secs), clock_from_secs(s.end_secs)),
            None => Ok(()),
        }
    }
}

fn secs_from_clock(text: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut parts = 0;
    for part in text.split(':') {
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return None;
        }
        total = total * 60.0 + part.parse::<f64>().ok()?;
        parts += 1;
    }
    (parts <= 3).then_some(total)
}

/// `62.5` → `01:02.5`; hours appear only when there are some.
pub fn clock_from_secs(secs: f64) -> String {
    let tenths = (secs.max(0.0) * 10.0).round() as u64;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let (h, m, s) = (whole / 3600, whole / 60 % 60, whole % 60);
    let mut out = if h > 0 { format!("{h:02}:{m:02}:{s:02}") } else { format!("{m:02}:{s:02}") };
    if tenth > 0 {
        out.push_str(&format!(".{tenth}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_refused() {
        assert_eq!(MediaRef::parse("a.mp4@1:00:00-1:00:01").unwrap().span.unwrap().start_secs, 3600.0);
        assert!(MediaRef::parse("a.mp4@00:45-00:41").is_err());
        assert!(MediaRef::parse("a.mp4@-5").unwrap().span.is_none());
        assert!(MediaRef::parse("@1-2").unwrap().span.is_none());
    }
}
