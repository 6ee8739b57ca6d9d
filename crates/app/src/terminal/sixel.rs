//! Sixel: bands of six rows, one colour after another, each column of a band one letter.
//!
//! Source: the VT330/VT340 Programmer Reference Manual, chapter 14.

use super::Rgb;

/// Steps per channel of the colour cube; 6³ = 216 fits the 256 registers that terminals give.
const STEPS: usize = 6;

/// Thresholds of ordered dithering (Bayer's 4 × 4 matrix, in sixteenths).
const BAYER: [[usize; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];

pub(super) fn draw(picture: &Rgb) -> Vec<u8> {
    let Rgb { width, height, .. } = *picture;
    let mut out = format!("\x1bPq\"1;1;{width};{height}").into_bytes();
    let cells: Vec<u8> = (0..width * height).map(|i| register(picture, i % width, i / width)).collect();

    let mut used: Vec<u8> = cells.clone();
    used.sort_unstable();
    used.dedup();
    for colour in &used {
        let percent = |shift: usize| usize::from(*colour) / shift % STEPS * 100 / (STEPS - 1);
        let (r, g, b) = (percent(STEPS * STEPS), percent(STEPS), percent(1));
        out.extend_from_slice(format!("#{colour};2;{r};{g};{b}").as_bytes());
    }

    for band in (0..height).step_by(6) {
        for colour in &used {
            let columns: Vec<u8> = (0..width)
                .map(|x| {
                    (0..6.min(height - band))
                        .fold(0, |bits, dy| bits | u8::from(cells[(band + dy) * width + x] == *colour) << dy)
                })
                .collect();
            if columns.iter().any(|bits| *bits != 0) {
                out.extend_from_slice(format!("#{colour}").as_bytes());
                run_lengths(&columns, &mut out);
                out.push(b'$'); // Back to the start of the band, for the next colour.
            }
        }
        out.push(b'-');
    }
    out.extend_from_slice(b"\x1b\\\n");
    out
}

/// The register of a pixel: its place in the cube, dithered by where it stands.
fn register(picture: &Rgb, x: usize, y: usize) -> u8 {
    let threshold = BAYER[y % 4][x % 4] * 255 / 16 + 8;
    let level = |value: u8| (usize::from(value) * (STEPS - 1) + threshold) / 255;
    let [r, g, b] = picture.at(x, y).map(|v| level(v).min(STEPS - 1));
    ((r * STEPS + g) * STEPS + b) as u8
}

/// `!5~` for five of a kind; shorter runs are written out.
fn run_lengths(columns: &[u8], out: &mut Vec<u8>) {
    for run in columns.chunk_by(|a, b| a == b) {
        let letter = run[0] + b'?';
        match run.len() {
            n @ 0..4 => out.extend(std::iter::repeat_n(letter, n)),
            n => {
                out.extend_from_slice(format!("!{n}").as_bytes());
                out.push(letter);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_white_square_byte_for_byte() {
        let text = String::from_utf8(draw(&Rgb::filled(4, 6, [255; 3]))).unwrap();
        assert_eq!(text, "\x1bPq\"1;1;4;6#215;2;100;100;100#215!4~$-\x1b\\\n");
    }

    /// A reader of the subset that we write.
    fn read(text: &str, width: usize, height: usize) -> Vec<[u8; 3]> {
        let body = text.split_once(&format!("{width};{height}")).unwrap().1.trim_end_matches("\x1b\\\n");
        let mut palette = std::collections::HashMap::new();
        let mut pixels = vec![[0u8; 3]; width * height];
        let (mut x, mut band, mut colour, mut repeat) = (0, 0, 0, 1);
        let mut chars = body.chars().peekable();
        while let Some(c) = chars.next() {
            let mut numbers = || -> Vec<usize> {
                let digits = std::iter::from_fn(|| chars.next_if(|c| *c == ';' || c.is_ascii_digit()));
                digits.collect::<String>().split(';').filter_map(|n| n.parse().ok()).collect()
            };
            match c {
                '#' => match numbers()[..] {
                    [register] => colour = register,
                    [register, 2, r, g, b] => {
                        palette.insert(register, [r, g, b].map(|p| (p * 255 / 100) as u8));
                    }
                    ref other => panic!("{other:?}"),
                },
                '!' => repeat = numbers()[0],
                '$' => x = 0,
                '-' => (x, band) = (0, band + 6),
                letter => {
                    for _ in 0..repeat {
                        for dy in 0..6 {
                            if (letter as u8 - b'?') >> dy & 1 == 1 {
                                pixels[(band + dy) * width + x] = palette[&colour];
                            }
                        }
                        x += 1;
                    }
                    repeat = 1;
                }
            }
        }
        pixels
    }

    #[test]
    fn what_is_drawn_reads_back_as_nearly_the_same_picture() {
        let (width, height) = (40, 27);
        let bytes = (0..width * height).flat_map(|i| [(i % width * 6) as u8, (i / width * 9) as u8, 128]).collect();
        let picture = Rgb { width, height, bytes };
        let back = read(&String::from_utf8(draw(&picture)).unwrap(), width, height);
        // Dithering is right in the mean, not in each pixel.
        let shown = Rgb { width, height, bytes: back.concat() }.resized(10, 6);
        let meant = picture.resized(10, 6);
        let worst = shown.bytes.iter().zip(&meant.bytes).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 16, "{worst}");
    }
}
