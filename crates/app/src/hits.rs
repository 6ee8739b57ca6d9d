//! What was found, in the forms in which it is printed: lines, JSON, paths, a row of pictures.

use std::path::Path;

use domain::{ItemId, MediaRef};
use library::Library;
use search::Found;
use serde_json::{Value, json};

use crate::paint::Paint;
use crate::paths::{shown, text};
use crate::progress::bar;
use crate::terminal::{self, Protocol, Rgb};

/// A hit and its place, from 1.
pub type Ranked = (usize, Found);

/// Hits with their places.
pub fn ranked(found: &[Found]) -> Vec<Ranked> {
    found.iter().enumerate().map(|(i, found)| (i + 1, found.clone())).collect()
}

/// A hit as one JSON object; `rank` counts from 1.
pub fn json(rank: usize, found: &Found) -> Value {
    let Found { hit, item } = found;
    json!({
        "rank": rank,
        "id": item.id,
        "path": text(&item.media.path),
        "span": item.media.span,
        "kind": item.kind,
        "score": number(hit.score),
        "parts": hit.parts.iter().map(|sim| number(*sim)).collect::<Vec<_>>(),
        "duration_secs": item.info.duration_secs,
        "caption": item.caption,
    })
}

/// A score as people would write it: f32's own digits, not those of the f64 nearest to it.
fn number(x: f32) -> Value {
    x.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// The bytes of a path, as the system writes it.
#[cfg(unix)]
pub fn path_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_vec()
}

/// The bytes of a path, as the system writes it.
#[cfg(not(unix))]
pub fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

/// One line per hit: place, a bar for the score against the best one's, score, number, path, and a
/// tick where the hit is known to be right.
pub fn lines(found: &[Ranked], paint: &Paint, is_right: &dyn Fn(ItemId) -> bool) -> String {
    let best = found.iter().map(|(_, f)| f.hit.score).fold(0.0, f32::max);
    let mut out = String::new();
    for (rank, Found { hit, item }) in found {
        let share = if best > 0.0 { (hit.score / best).clamp(0.0, 1.0) } else { 0.0 };
        let place = paint.bold(&format!("{rank:>3}"));
        let bar = paint.good(&bar((share * 1000.0) as u64, 1000, 8));
        let number = paint.dim(&format!("{:<7}", format!("#{}", item.id)));
        let length = item.info.duration_secs.map(|s| format!("  {}", domain::clock_from_secs(s)));
        let length = paint.dim(&length.unwrap_or_default());
        let tick = if is_right(item.id) { format!("  {}", paint.good("✓")) } else { String::new() };
        let path = shown_media(&item.media);
        out.push_str(&format!("{place}  {bar} {:.3}  {number} {path}{length}{tick}\n", hit.score));
    }
    out
}

/// Words as they follow "but": a "but" of their own would be one too many.
pub fn after_but(words: &str) -> &str {
    words.strip_prefix("but ").map_or(words, str::trim_start)
}

/// Where media lies, as short as it can be said.
pub fn shown_media(media: &MediaRef) -> String {
    let path = shown(&media.path);
    match media.span {
        Some(_) => MediaRef { path: path.into(), span: media.span }.to_string(),
        None => path,
    }
}

/// A row of thumbnails with their places below, as wide as the terminal allows.
pub fn row_of_pictures(library: &Library, found: &[Ranked], protocol: Protocol, columns: usize) -> Vec<u8> {
    /// Cells across and down that one picture takes; cells are about twice as high as wide.
    const ACROSS: usize = 16;
    const DOWN: usize = 8;
    /// Its pixels, and those between two.
    const TILE: usize = 128;
    const GAP: usize = TILE / ACROSS;
    let count = found.len().min(8).min((columns + 1) / (ACROSS + 1));
    let gone = || Rgb::filled(1, 1, [96; 3]);
    let pictures: Vec<Rgb> =
        found[..count].iter().map(|(_, f)| thumbnail(library, f.item.id).unwrap_or_else(gone)).collect();
    let sheet = terminal::contact_sheet(&pictures, TILE, GAP, [0; 3]);
    let mut out = terminal::draw(&sheet, sheet.width * ACROSS / TILE, DOWN, protocol);
    // A sixel picture is drawn in pixels, so columns of text would not stand below it.
    if count > 0 && protocol != Protocol::Sixel {
        let places: String = found[..count].iter().map(|(rank, _)| format!("{rank:^ACROSS$} ")).collect();
        out.extend_from_slice(places.trim_end().as_bytes());
        out.push(b'\n');
    }
    out
}

fn thumbnail(library: &Library, id: ItemId) -> Option<Rgb> {
    let jpeg = library.thumbnail(id).ok()??;
    let frame = media::picture_from_bytes(&jpeg, &media::Limits::default()).ok()?;
    Some(Rgb { width: frame.width as usize, height: frame.height as usize, bytes: frame.rgb })
}

#[cfg(test)]
mod tests {
    use domain::{Digest, Hit, Kind};
    use library::{Info, Item};

    use super::*;

    fn found(id: i64, score: f32) -> Found {
        let item = Item {
            id: ItemId(id),
            media: MediaRef::file("/films/a\x1b.mp4"),
            kind: Kind::Clip,
            digest: Digest::of(b"a"),
            size: 1,
            mtime_ns: 0,
            info: Info { duration_secs: Some(3.0), ..Info::default() },
            caption: None,
            added_ms: 0,
        };
        Found { hit: Hit { item: item.id, score, parts: vec![score] }, item }
    }

    #[test]
    fn a_line_has_place_score_number_and_a_path_that_is_safe_to_print() {
        let paint = Paint::decide(crate::paint::Choice::Never, false, &|_| None);
        let text = lines(&[(1, found(7, 0.5)), (34, found(12, 0.25))], &paint, &|id| id.0 == 12);
        let expected = concat!(
            "  1  ████████ 0.500  #7      /films/a\\u{1b}.mp4  00:03\n",
            " 34  ████     0.250  #12     /films/a\\u{1b}.mp4  00:03  ✓\n",
        );
        assert_eq!(text, expected);
        assert_eq!(lines(&[], &paint, &|_| true), "");
        assert!(lines(&[(1, found(1, -0.5))], &paint, &|_| false).contains("         -0.500"));
    }

    #[test]
    fn json_has_the_digits_of_the_score() {
        let value = json(1, &found(7, 0.1));
        assert_eq!(value["score"].to_string(), "0.1");
        assert_eq!(value["parts"].to_string(), "[0.1]");
        assert_eq!((value["id"].clone(), value["kind"].clone()), (7.into(), "clip".into()));
    }
}
