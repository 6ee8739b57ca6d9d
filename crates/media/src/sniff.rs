//! What is this file, by its bytes, never its name.

use std::fmt;

/// What a file is, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Container {
    /// JPEG picture.
    Jpeg,
    /// PNG picture, possibly animated.
    Png,
    /// WebP picture, possibly animated.
    WebP,
    /// GIF picture, possibly animated.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF picture.
    Tiff,
    /// AV1 picture in ISO base media boxes.
    Avif,
    /// HEVC picture in ISO base media boxes.
    Heic,
    /// ISO base media: MP4, MOV, 3GP.
    Mp4,
    /// Matroska or WebM.
    Matroska,
    /// RIFF AVI.
    Avi,
    /// Ogg.
    Ogg,
    /// Flash video.
    Flv,
    /// MPEG program stream, or a bare MPEG-1/2 video stream.
    MpegPs,
    /// MPEG transport stream.
    MpegTs,
    /// ASF: WMV, WMA.
    Asf,
    /// YUV4MPEG2.
    Y4m,
    /// Bare H.264, Annex B.
    H264,
    /// Readable text.
    Text,
    /// No bytes at all.
    Empty,
    /// None of these.
    Unknown,
}

/// How many first bytes [`sniff`] wants to see.
pub const SNIFF_BYTES: usize = 4096;

/// What a file is that begins with these bytes ([`SNIFF_BYTES`], or all it has).
///
/// ```
/// use media::{Container, sniff};
/// assert_eq!(sniff(b"\x89PNG\r\n\x1a\n..."), Container::Png);
/// assert_eq!(sniff(b"holiday.mp4, which this is not"), Container::Text);
/// ```
pub fn sniff(head: &[u8]) -> Container {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    match () {
        () if head.is_empty() => Container::Empty,
        () if starts(b"\xff\xd8\xff") => Container::Jpeg,
        () if starts(b"\x89PNG\r\n\x1a\n") => Container::Png,
        () if starts(b"RIFF") && at(8, b"WEBP") => Container::WebP,
        () if starts(b"RIFF") && at(8, b"AVI ") => Container::Avi,
        () if starts(b"GIF87a") || starts(b"GIF89a") => Container::Gif,
        () if is_bmp(head) => Container::Bmp,
        () if starts(b"II*\0") || starts(b"MM\0*") => Container::Tiff,
        () if starts(b"\x1a\x45\xdf\xa3") => Container::Matroska,
        () if starts(b"OggS") => Container::Ogg,
        () if starts(b"FLV\x01") => Container::Flv,
        () if starts(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11") => Container::Asf,
        () if starts(b"YUV4MPEG2 ") => Container::Y4m,
        () if starts(b"\0\0\x01\xba") || starts(b"\0\0\x01\xb3") => Container::MpegPs,
        () if is_iso(head) => iso_kind(head),
        () if is_ts(head, 188, 0) || is_ts(head, 192, 4) => Container::MpegTs,
        () if is_h264(head) => Container::H264,
        () if is_text(head) => Container::Text,
        () => Container::Unknown,
    }
}

/// "BM", and a header length that exists.
fn is_bmp(head: &[u8]) -> bool {
    head.starts_with(b"BM") && matches!(head.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// A first box of a plausible length and a known name.
fn is_iso(head: &[u8]) -> bool {
    const FIRST: [&[u8; 4]; 9] = [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot", b"sidx"];
    head.get(4..8).is_some_and(|name| FIRST.iter().any(|f| *f == name))
}

/// Pictures are told from clips by their brands: the major one decides, unless it is the neutral
/// `mif1`/`msf1`.
fn iso_kind(head: &[u8]) -> Container {
    let Some([a, b, c, d, b'f', b't', b'y', b'p', body @ ..]) = head.get(..head.len().min(512)) else {
        return Container::Mp4;
    };
    let len = (u32::from_be_bytes([*a, *b, *c, *d]) as usize).saturating_sub(8).min(body.len());
    let mut brands = body[..len].chunks_exact(4);
    let major = brands.next().unwrap_or_default();
    let others: Vec<&[u8]> = brands.skip(1).collect();
    let has = |wanted: &[&[u8]]| wanted.contains(&major) || others.iter().any(|b| wanted.contains(b));
    match major {
        b"avif" | b"avis" => Container::Avif,
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" => Container::Heic,
        b"mif1" | b"msf1" | b"miaf" if has(&[b"avif", b"avis"]) => Container::Avif,
        b"mif1" | b"msf1" | b"miaf" if has(&[b"heic", b"heix", b"hevc"]) => Container::Heic,
        // An image collection of an unknown coding; AV1 is the likelier.
        b"mif1" => Container::Avif,
        // An unknown major brand on an image collection.
        _ if others.contains(&&b"mif1"[..]) && has(&[b"avif", b"avis"]) => Container::Avif,
        _ if others.contains(&&b"mif1"[..]) && has(&[b"heic", b"heix"]) => Container::Heic,
        _ => Container::Mp4,
    }
}

/// Sync bytes at three packet starts in a row.
fn is_ts(head: &[u8], packet: usize, offset: usize) -> bool {
    (0..3).all(|i| head.get(offset + i * packet) == Some(&0x47))
}

/// A start code and then a parameter set or an access unit delimiter.
fn is_h264(head: &[u8]) -> bool {
    let unit = head.strip_prefix(b"\0\0\0\x01").or_else(|| head.strip_prefix(b"\0\0\x01"));
    matches!(unit, Some([0x67 | 0x27 | 0x47 | 0x09, ..]))
}

/// Only characters that people type, in UTF-8; a character cut off by the end is forgiven.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or(""),
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\x0c'))
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Container::Jpeg => "JPEG",
            Container::Png => "PNG",
            Container::WebP => "WebP",
            Container::Gif => "GIF",
            Container::Bmp => "BMP",
            Container::Tiff => "TIFF",
            Container::Avif => "AVIF",
            Container::Heic => "HEIC",
            Container::Mp4 => "MP4",
            Container::Matroska => "Matroska/WebM",
            Container::Avi => "AVI",
            Container::Ogg => "Ogg",
            Container::Flv => "FLV",
            Container::MpegPs => "MPEG",
            Container::MpegTs => "MPEG-TS",
            Container::Asf => "ASF/WMV",
            Container::Y4m => "YUV4MPEG2",
            Container::H264 => "bare H.264",
            Container::Text => "text",
            Container::Empty => "empty file",
            Container::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_bytes() {
        let cases: [(&[u8], Container); 14] = [
            (b"", Container::Empty),
            (b"\xff\xd8\xff\xe0", Container::Jpeg),
            (b"RIFF\0\0\0\0WEBPVP8 ", Container::WebP),
            (b"RIFF\0\0\0\0AVI LIST", Container::Avi),
            (b"BM is how this text begins", Container::Text),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Container::Heic),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Container::Avif),
            (b"\0\0\0\x18ftypisom\0\0\0\0iso2avc1", Container::Mp4),
            (b"\0\0\0\x08wide\0\0\0\0mdat", Container::Mp4),
            (b"\0\0\0\x01\x67\x64", Container::H264),
            (b"\0\0\x01\xba\x44", Container::MpegPs),
            ("naïve café".as_bytes(), Container::Text),
            (b"\x00\x01\x02\x03\xfe", Container::Unknown),
            (b"\0\0\0\0ftyp", Container::Mp4),
        ];
        for (head, want) in cases {
            assert_eq!(sniff(head), want, "{head:?}");
        }
        let mut ts = vec![0; 600];
        [0, 188, 376].iter().for_each(|i| ts[*i] = 0x47);
        assert_eq!(sniff(&ts), Container::MpegTs);
    }
}
