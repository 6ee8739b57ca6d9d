//! What was found, in the forms in which it is printed: lines, JSON, paths, a row of pictures.

use std::path::Path;

use domain::{Hit, ItemId, Kind, MediaRef};
use library::Library;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::paint::Paint;
use crate::paths::shown;
use crate::progress::bar;
use crate::terminal::{self, Protocol, Rgb};

/// A hit with what the library knows about it.
pub struct Found {
    /// Its place, from 1.
    pub rank: usize,
    /// Its number in the library.
    pub id: ItemId,
    /// Where it lies.
    pub media: MediaRef,
    /// Picture or clip.
    pub kind: Kind,
    /// Higher is better; comparable within one question only.
    pub score: f32,
    /// The similarities that the score is made of, by name.
    pub parts: Vec<(&'static str, f32)>,
    /// Its length, if it is a clip.
    pub duration_secs: Option<f64>,
    /// What it shows, in words, if anybody said so.
    pub caption: Option<String>,
}

/// Looks up what the library knows about the hits. An item that left between the search and now
/// is passed over.
pub fn look_up(
    library: &Library,
    hits: &[Hit],
    terms: &[&'static str],
) -> Result<Vec<Found>, Failure> {
    let mut out = Vec::with_capacity(hits.len());
    for hit in hits {
        let Some(item) = library.item(hit.item)? else {
            continue;
        };
        out.push(Found {
            rank: out.len() + 1,
            id: hit.item,
            media: item.media,
            kind: item.kind,
            score: hit.score,
            parts: terms
                .iter()
                .copied()
                .zip(hit.parts.iter().copied())
                .collect(),
            duration_secs: item.info.duration_secs,
            caption: item.caption,
        });
    }
    Ok(out)
}

impl Found {
    /// As one JSON object.
    pub fn json(&self) -> Value {
        let parts: serde_json::Map<_, _> = self
            .parts
            .iter()
            .map(|(name, sim)| ((*name).to_owned(), number(*sim)))
            .collect();
        json!({
            "rank": self.rank,
            "id": self.id,
            "path": self.media.path,
            "span": self.media.span,
            "kind": self.kind,
            "score": number(self.score),
            "parts": parts,
            "duration_secs": self.duration_secs,
            "caption": self.caption,
        })
    }

    /// The bytes of its path, as the system writes it.
    pub fn path_bytes(&self) -> Vec<u8> {
        path_bytes(&self.media.path)
    }
}

/// A score as people would write it: f32's own digits, not those of the f64 nearest to it.
fn number(x: f32) -> Value {
    x.to_string()
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

/// One line per hit: place, a bar for the score against the best one's, score, number, path.
pub fn lines(found: &[Found], paint: &Paint) -> String {
    let best = found.iter().map(|f| f.score).fold(0.0, f32::max);
    found
        .iter()
        .map(|f| {
            let share = if best > 0.0 {
                (f.score / best).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let length = f
                .duration_secs
                .map(|s| format!("  {}", domain::clock_from_secs(s)))
                .unwrap_or_default();
            format!(
                "{}  {} {:.3}  {} {}{}\n",
                paint.bold(&format!("{:>3}", f.rank)),
                paint.good(&bar((share * 1000.0) as u64, 1000, 8)),
                f.score,
                paint.dim(&format!("{:<7}", format!("#{}", f.id))),
                shown_media(&f.media),
                paint.dim(&length)
            )
        })
        .collect()
}

fn shown_media(media: &MediaRef) -> String {
    let path = shown(&media.path);
    match media.span {
        Some(_) => MediaRef {
            path: path.into(),
            span: media.span,
        }
        .to_string(),
        None => path,
    }
}

/// A row of thumbnails with their places below, as wide as the terminal allows.
pub fn row_of_pictures(
    library: &Library,
    found: &[Found],
    protocol: Protocol,
    columns: usize,
) -> Vec<u8> {
    /// Cells across and down that one picture takes; cells are about twice as high as wide.
    const ACROSS: usize = 16;
    const DOWN: usize = 8;
    const TILE: usize = 128;
    let count = found.len().min(8).min(columns / ACROSS);
    let pictures: Vec<Rgb> = found[..count]
        .iter()
        .map(|f| thumbnail(library, f.id).unwrap_or_else(|| Rgb::filled(1, 1, [96; 3])))
        .collect();
    let sheet = terminal::contact_sheet(&pictures, TILE, TILE / ACROSS, [0; 3]);
    let across = sheet.width * ACROSS / TILE;
    let mut out = terminal::draw(&sheet, across, DOWN, protocol);
    // A sixel picture is drawn in pixels, so columns of text would not stand below it.
    if count > 0 && protocol != Protocol::Sixel {
        let places: String = (1..=count)
            .map(|n| format!("{n:^width$}", width = ACROSS + 1))
            .collect();
        out.extend_from_slice(places.trim_end().as_bytes());
        out.push(b'\n');
    }
    out
}

fn thumbnail(library: &Library, id: ItemId) -> Option<Rgb> {
    let jpeg = library.thumbnail(id).ok()??;
    let frame = media::picture_from_bytes(&jpeg, &media::Limits::default()).ok()?;
    Some(Rgb {
        width: frame.width as usize,
        height: frame.height as usize,
        bytes: frame.rgb,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rank: usize, score: f32) -> Found {
        Found {
            rank,
            id: ItemId(7),
            media: MediaRef::file("/films/a\x1b.mp4"),
            kind: Kind::Clip,
            score,
            parts: vec![("composed", score)],
            duration_secs: Some(3.0),
            caption: None,
        }
    }

    #[test]
    fn a_line_has_place_score_number_and_a_path_that_is_safe_to_print() {
        let paint = Paint::decide(crate::paint::Choice::Never, false, &|_| None);
        let text = lines(&[found(1, 0.5), found(2, 0.25)], &paint);
        assert_eq!(
            text,
            "  1  ████████ 0.500  #7      /films/a\\u{1b}.mp4  00:03\n  2  ████     0.250  #7      /films/a\\u{1b}.mp4  00:03\n"
        );
        assert_eq!(lines(&[], &paint), "");
        assert!(lines(&[found(1, -0.5)], &paint).contains("         -0.500"));
    }

    #[test]
    fn json_has_the_digits_of_the_score() {
        let value = found(1, 0.1).json();
        assert_eq!(value["score"].to_string(), "0.1");
        assert_eq!(value["parts"]["composed"].to_string(), "0.1");
        assert_eq!(
            (value["id"].clone(), value["kind"].clone()),
            (7.into(), "clip".into())
        );
    }
}
