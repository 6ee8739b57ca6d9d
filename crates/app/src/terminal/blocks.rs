//! Half blocks: each cell is `▀`, the upper pixel as text colour and the lower as ground.

use super::Rgb;
use std::io::Write as _;

pub(super) fn draw(picture: &Rgb, columns: usize, rows: usize, true_colour: bool) -> Vec<u8> {
    let small = picture.resized(columns, rows * 2);
    let mut out = Vec::with_capacity(columns * rows * 40);
    for row in 0..rows {
        let mut last = None;
        for x in 0..columns {
            let pair = (small.at(x, 2 * row), small.at(x, 2 * row + 1));
            if last != Some(pair) {
                let (up, down) = pair;
                // Writing to memory cannot fail.
                let _ = match true_colour {
                    true => {
                        write!(out, "\x1b[38;2;{};{};{};48;2;{};{};{}m", up[0], up[1], up[2], down[0], down[1], down[2])
                    }
                    false => write!(out, "\x1b[38;5;{};48;5;{}m", of_256(up), of_256(down)),
                };
                last = Some(pair);
            }
            out.extend_from_slice("▀".as_bytes());
        }
        out.extend_from_slice(b"\x1b[0m\n");
    }
    out
}

/// The nearest of the 256 colours: the 6 × 6 × 6 cube at 16–231 or the greys at 232–255.
fn of_256(rgb: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let near = |v: u8| (0..6).min_by_key(|i| LEVELS[*i].abs_diff(v)).unwrap_or(0);
    let far = |a: [u8; 3]| (0..3).map(|c| u32::from(a[c].abs_diff(rgb[c])).pow(2)).sum::<u32>();
    let [r, g, b] = rgb.map(near);
    let mean = (rgb.iter().map(|v| u32::from(*v)).sum::<u32>() / 3).clamp(8, 238);
    let grey = ((mean - 8 + 5) / 10).min(23) as u8;
    match far([8 + 10 * grey; 3]) < far([LEVELS[r], LEVELS[g], LEVELS[b]]) {
        true => 232 + grey,
        false => (16 + 36 * r + 6 * g + b) as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pixels_in_a_cell_and_a_colour_said_once() {
        let picture = Rgb { width: 2, height: 2, bytes: [[255, 0, 0], [255, 0, 0], [0, 0, 255], [0, 0, 255]].concat() };
        let text = String::from_utf8(draw(&picture, 2, 1, true)).unwrap();
        assert_eq!(text, "\x1b[38;2;255;0;0;48;2;0;0;255m▀▀\x1b[0m\n");
        let text = String::from_utf8(draw(&picture, 2, 1, false)).unwrap();
        assert_eq!(text, "\x1b[38;5;196;48;5;21m▀▀\x1b[0m\n");
    }

    #[test]
    fn nearest_of_256() {
        assert_eq!(of_256([0, 0, 0]), 16);
        assert_eq!(of_256([255; 3]), 231);
        assert_eq!(of_256([128; 3]), 244);
        assert_eq!(of_256([95, 135, 175]), 67);
    }
}
