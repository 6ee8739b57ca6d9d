//! iTerm2's inline images: a whole PNG file in an operating-system command.
//!
//! Source: <https://iterm2.com/documentation-images.html>.

use super::{Rgb, base64};

pub(super) fn draw(picture: &Rgb, columns: usize, rows: usize) -> Vec<u8> {
    let file = png_from(picture);
    let mut out =
        format!("\x1b]1337;File=inline=1;size={};width={columns};height={rows};preserveAspectRatio=0:", file.len())
            .into_bytes();
    out.extend_from_slice(base64(&file).as_bytes());
    out.extend_from_slice(b"\x07\n");
    out
}

/// The picture as a PNG file (a signature, then chunks of length, kind, data and checksum).
/// Deflate's "stored" blocks do here: a thumbnail for a terminal is some tens of kilobytes.
fn png_from(picture: &Rgb) -> Vec<u8> {
    let mut rows = Vec::with_capacity(picture.bytes.len() + picture.height);
    for row in picture.bytes.chunks_exact(picture.width * 3) {
        rows.push(0); // This row is not filtered.
        rows.extend_from_slice(row);
    }
    let mut zlib = vec![0x78, 0x01];
    let blocks: Vec<&[u8]> = rows.chunks(0xffff).collect();
    for (i, block) in blocks.iter().enumerate() {
        let length = block.len() as u16;
        zlib.push(u8::from(i + 1 == blocks.len()));
        zlib.extend_from_slice(&length.to_le_bytes());
        zlib.extend_from_slice(&(!length).to_le_bytes());
        zlib.extend_from_slice(block);
    }
    zlib.extend_from_slice(&adler32(&rows).to_be_bytes());

    let mut header = Vec::new();
    header.extend_from_slice(&(picture.width as u32).to_be_bytes());
    header.extend_from_slice(&(picture.height as u32).to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]); // 8 bits, RGB, the only methods there are, not interlaced.

    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", &header), (b"IDAT", &zlib), (b"IEND", &Vec::new())] {
        out.extend_from_slice(&(data.len() as u32).to_be_bytes());
        let start = out.len();
        out.extend_from_slice(kind);
        out.extend_from_slice(data);
        let sum = crc32(&out[start..]);
        out.extend_from_slice(&sum.to_be_bytes());
    }
    out
}

/// The checksum of RFC 1950.
fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    b << 16 | a
}

/// The checksum of the PNG specification, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(crc32(b"IEND"), 0xae42_6082);
    }

    #[test]
    fn the_file_inside_holds_the_pixels() {
        let picture = Rgb { width: 300, height: 90, bytes: (0..300 * 90 * 3).map(|i| (i / 3) as u8).collect() };
        let text = String::from_utf8(draw(&picture, 30, 9)).unwrap();
        let (head, data) = text.strip_suffix("\x07\n").unwrap().split_once(':').unwrap();
        let file = super::super::base64::decode(data);
        assert_eq!(
            head,
            format!("\x1b]1337;File=inline=1;size={};width=30;height=9;preserveAspectRatio=0", file.len())
        );
        assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&file[16..24], [0, 0, 1, 44, 0, 0, 0, 90]);
        // Walk the stored blocks: header 33 bytes, chunk header 8, zlib header 2.
        let (mut at, mut rows) = (43, Vec::new());
        loop {
            let length = usize::from(u16::from_le_bytes([file[at + 1], file[at + 2]]));
            rows.extend_from_slice(&file[at + 5..at + 5 + length]);
            if file[at] == 1 {
                break;
            }
            at += 5 + length;
        }
        let pixels: Vec<u8> = rows.chunks(901).flat_map(|row| row[1..].to_vec()).collect();
        assert_eq!(pixels, picture.bytes);
    }
}
