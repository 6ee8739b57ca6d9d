//! Kitty's graphics protocol: raw pixels in an application-program command.
//!
//! Source: <https://sw.kovidgoyal.net/kitty/graphics-protocol/>.

use super::{Rgb, base64};

/// The protocol asks for pieces of at most this many letters, each but the last a multiple of 4.
const PIECE: usize = 4096;

pub(super) fn draw(picture: &Rgb, columns: usize, rows: usize) -> Vec<u8> {
    let data = base64(&picture.bytes);
    let pieces: Vec<&[u8]> = data.as_bytes().chunks(PIECE).collect();
    let mut out = Vec::with_capacity(data.len() + pieces.len() * 16);
    for (i, piece) in pieces.iter().enumerate() {
        let more = u8::from(i + 1 < pieces.len());
        // a=T: send and show; f=24: RGB; q=2: the terminal answers nothing, or its answer would be
        // typed into the shell; C=1: leave the cursor, we move it ourselves.
        let keys = match i {
            0 => format!("a=T,f=24,s={},v={},c={columns},r={rows},q=2,C=1,m={more}", picture.width, picture.height),
            _ => format!("m={more}"),
        };
        out.extend_from_slice(b"\x1b_G");
        out.extend_from_slice(keys.as_bytes());
        out.push(b';');
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\x1b\\");
    }
    // Line feeds rather than a cursor movement: at the bottom of the screen they make it scroll.
    out.extend(std::iter::repeat_n(b'\n', rows));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_byte_for_byte() {
        let picture = Rgb { width: 1, height: 1, bytes: vec![b'f', b'o', b'o'] };
        assert_eq!(draw(&picture, 2, 1), b"\x1b_Ga=T,f=24,s=1,v=1,c=2,r=1,q=2,C=1,m=0;Zm9v\x1b\\\n");
    }

    #[test]
    fn a_large_one_in_pieces_that_join_again() {
        let picture = Rgb { width: 64, height: 40, bytes: (0..64 * 40 * 3).map(|i| (i * 7) as u8).collect() };
        let text = String::from_utf8(draw(&picture, 8, 3)).unwrap();
        let pieces: Vec<&str> =
            text.split("\x1b\\").filter_map(|p| p.strip_prefix("\x1b_G")?.split_once(';')).map(|p| p.1).collect();
        assert!(pieces.len() > 1 && pieces.iter().all(|p| p.len() <= 4096 && p.len().is_multiple_of(4)));
        assert_eq!(super::super::base64::decode(&pieces.concat()), picture.bytes);
        assert_eq!(text.matches("m=1").count(), pieces.len() - 1);
    }
}
