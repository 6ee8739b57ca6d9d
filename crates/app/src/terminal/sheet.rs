//! A contact sheet: several pictures side by side in one, so that any protocol shows them in a row.

use super::Rgb;

/// Lays `pictures` in one row of tiles, each `tile` pixels square and `gap` pixels from the next;
/// a picture keeps its shape and stands centred in its tile on `ground`.
pub fn contact_sheet(pictures: &[Rgb], tile: usize, gap: usize, ground: [u8; 3]) -> Rgb {
    let width = (pictures.len() * (tile + gap)).saturating_sub(gap);
    let mut sheet = Rgb::filled(width, tile, ground);
    for (i, picture) in pictures.iter().enumerate() {
        let longest = picture.width.max(picture.height).max(1);
        let side = |n: usize| (n * tile / longest).max(1);
        let fitted = picture.resized(side(picture.width), side(picture.height));
        let (x, y) = (i * (tile + gap) + (tile - fitted.width) / 2, (tile - fitted.height) / 2);
        for (row, line) in fitted.bytes.chunks_exact(fitted.width * 3).enumerate() {
            let at = ((y + row) * width + x) * 3;
            sheet.bytes[at..at + line.len()].copy_from_slice(line);
        }
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_stand_where_they_should() {
        let (wide, tall) = (Rgb::filled(8, 4, [200, 0, 0]), Rgb::filled(2, 4, [0, 200, 0]));
        let sheet = contact_sheet(&[wide, tall], 4, 2, [7; 3]);
        assert_eq!((sheet.width, sheet.height), (10, 4));
        let column = |x| (0..4).map(|y| sheet.at(x, y)).collect::<Vec<_>>();
        assert_eq!(column(0), [[7; 3], [200, 0, 0], [200, 0, 0], [7; 3]]);
        assert_eq!(column(4), [[7; 3]; 4]);
        assert_eq!(column(7), [[0, 200, 0]; 4]);
        assert_eq!(column(9), [[7; 3]; 4]);
        assert_eq!(contact_sheet(&[], 4, 2, [7; 3]).width, 0);
    }
}
