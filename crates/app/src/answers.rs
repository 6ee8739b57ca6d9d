//! Items of a library as the page shows them.

use std::io::Read as _;

use domain::ItemId;
use library::{Item, Library};
use media::Container;

use crate::hits::{Ranked, shown_media};
use crate::page::{Answer, Picture, Question};

/// Files up to this size go into the page as they are; of larger ones the thumbnail does.
const WHOLE_BYTES: u64 = 1 << 20;

/// What stands where a picture is gone: a grey ground with a line through it.
const GONE: &[u8] = b"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 4 3\">\
    <rect width=\"4\" height=\"3\" fill=\"#888\"/><path d=\"M0 3L4 0\" stroke=\"#aaa\" stroke-width=\".05\"/></svg>";

/// One question and its answers; `is_right` says which are known to be right, where anything is known.
pub fn question(
    library: &Library,
    reference: Picture,
    words: &str,
    not: Option<&str>,
    hits: &[Ranked],
    is_right: Option<&dyn Fn(ItemId) -> bool>,
) -> Question {
    let hits = hits
        .iter()
        .map(|(rank, found)| Answer {
            rank: *rank,
            picture: picture(library, &found.item),
            score: found.hit.score,
            right: is_right.map(|is_right| is_right(found.item.id)),
        })
        .collect();
    Question { reference, words: words.to_owned(), not: not.map(str::to_owned), kind: None, hits, found_at: None }
}

/// What an item looks like: the file itself if a browser can show it and it is small, else the
/// thumbnail.
pub fn picture(library: &Library, item: &Item) -> Picture {
    let name = shown_media(&item.media);
    let (bytes, mime) = whole(item)
        .or_else(|| Some((library.thumbnail(item.id).ok()??, "image/jpeg")))
        .unwrap_or_else(|| (GONE.to_vec(), "image/svg+xml"));
    let alt = item.caption.clone().unwrap_or_else(|| format!("{} {name}", item.kind));
    Picture { bytes, mime, alt, place: name, name: file_name(&item.media) }
}

/// The file's bytes, where a browser shows them as we would.
fn whole(item: &Item) -> Option<(Vec<u8>, &'static str)> {
    if item.size > WHOLE_BYTES || item.media.span.is_some() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&item.media.path).ok()?;
    file.take(WHOLE_BYTES).read_to_end(&mut bytes).ok()?;
    let is_h264 = item.info.codec.as_deref().is_some_and(|codec| codec.starts_with("H.264"));
    let mime = match media::sniff(&bytes[..bytes.len().min(media::SNIFF_BYTES)]) {
        Container::Jpeg => "image/jpeg",
        Container::Png => "image/png",
        Container::Gif => "image/gif",
        Container::WebP => "image/webp",
        Container::Mp4 if is_h264 => "video/mp4",
        _ => return None,
    };
    Some((bytes, mime))
}

/// A reference that is not in the library: one frame of it, small.
pub fn outsider(media: &domain::MediaRef, limits: &media::Limits) -> Picture {
    let name = shown_media(media);
    let frame = media::open(&media.path, limits)
        .and_then(|file| file.sample(&domain::Sampling::Middle, media.span))
        .ok()
        .and_then(|clip| clip.frames.into_iter().next());
    let jpeg = frame.and_then(|frame| media::jpeg_bytes(&media::thumb(&frame, 480), 85).ok());
    let (bytes, mime) = jpeg.map_or((GONE.to_vec(), "image/svg+xml"), |bytes| (bytes, "image/jpeg"));
    Picture { bytes, mime, alt: format!("the reference, {name}"), name: file_name(media), place: name }
}

/// The last step of a path, for where there is little room.
fn file_name(media: &domain::MediaRef) -> String {
    let name = media.path.file_name().map(|name| name.to_string_lossy().into_owned());
    crate::paint::printable(&name.unwrap_or_default())
}
