//! Between RGB and the luma and colour differences that video codecs store.
//!
//! Y′CbCr keeps one brightness per pixel and, in 4:2:0, one pair of colour differences per 2×2
//! pixels.
//! Two things must be known to come back to RGB: the *matrix* (how much of red, green and blue is
//! in the brightness: BT.601 for standard, BT.709 for high definition, BT.2020 for ultra-high) and
//! the *range* (limited: black 16, white 235; full: 0 and 255).
//! A wrong matrix shifts greens and reds by a few per cent; a wrong range washes out or crushes the
//! whole picture.
//! All arithmetic is in integers, so every machine gets the same bytes.

use crate::Frame;

/// How much of red, green and blue makes the brightness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrix {
    /// ITU-R BT.601 (Kr 0.299, Kb 0.114): standard definition, and JPEG.
    Bt601,
    /// ITU-R BT.709 (Kr 0.2126, Kb 0.0722): high definition.
    Bt709,
    /// ITU-R BT.2020, non-constant luminance (Kr 0.2627, Kb 0.0593).
    Bt2020,
    /// FCC 73.682 (Kr 0.30, Kb 0.11).
    Fcc,
    /// SMPTE 240M (Kr 0.212, Kb 0.087).
    Smpte240,
}

impl Matrix {
    /// (Kr, Kb)
    fn weights(self) -> (f64, f64) {
        match self {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt2020 => (0.2627, 0.0593),
            Matrix::Fcc => (0.30, 0.11),
            Matrix::Smpte240 => (0.212, 0.087),
        }
    }
}

/// Matrix and range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// How much of red, green and blue makes the brightness.
    pub matrix: Matrix,
    /// Whether samples use all of 0..=255 rather than 16..=235 (luma) and 16..=240 (differences).
    pub full_range: bool,
}

/// One picture as three planes, 4:2:0, 8 bits, no padding; the colour planes are
/// `ceil(width / 2) × ceil(height / 2)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yuv420 {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Luma, then Cb, then Cr.
    pub planes: [Vec<u8>; 3],
}

const BITS: u32 = 16;
const HALF: i32 = 1 << (BITS - 1);

fn fixed(x: f64) -> i32 {
    (x * f64::from(1 << BITS)).round() as i32
}

/// Frame to planes. Each colour sample is the mean of its 2×2 pixels (fewer at odd edges).
pub fn yuv_from_frame(frame: &Frame, colour: Colour) -> Yuv420 {
    let (kr, kb) = colour.matrix.weights();
    let kg = 1.0 - kr - kb;
    let (luma, chroma, base) = if colour.full_range { (1.0, 1.0, 0) } else { (219.0 / 255.0, 224.0 / 255.0, 16) };
    let y_of = [fixed(kr * luma), fixed(luma) - fixed(kr * luma) - fixed(kb * luma), fixed(kb * luma)];
    let (cb, cr) = (0.5 * chroma / (1.0 - kb), 0.5 * chroma / (1.0 - kr));
    // Each row sums to zero, so that grey stays exactly grey.
    let b_of = [-fixed(kr * cb), fixed(kr * cb) - fixed(cb * (1.0 - kb)), fixed(cb * (1.0 - kb))];
    let r_of = [fixed(cr * (1.0 - kr)), -fixed(kg * cr), fixed(kg * cr) - fixed(cr * (1.0 - kr))];

    let (w, h) = (frame.width as usize, frame.height as usize);
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let mut y = Vec::with_capacity(w * h);
    for px in frame.rgb.chunks_exact(3) {
        let v = y_of[0] * i32::from(px[0]) + y_of[1] * i32::from(px[1]) + y_of[2] * i32::from(px[2]);
        y.push((((v + HALF) >> BITS) + base).clamp(0, 255) as u8);
    }
    let (mut u, mut v) = (Vec::with_capacity(cw * ch), Vec::with_capacity(cw * ch));
    for cy in 0..ch {
        let rows = [2 * cy, (2 * cy + 1).min(h - 1)];
        for cx in 0..cw {
            let columns = [2 * cx, (2 * cx + 1).min(w - 1)];
            let mut sum = [0i32; 3];
            for row in rows {
                for column in columns {
                    let at = (row * w + column) * 3;
                    for (s, c) in sum.iter_mut().zip(&frame.rgb[at..at + 3]) {
                        *s += i32::from(*c);
                    }
                }
            }
            let mix = |k: &[i32; 3]| {
                let v = k[0] * sum[0] + k[1] * sum[1] + k[2] * sum[2];
                (((v + 2 * HALF * 2) >> (BITS + 2)) + 128).clamp(0, 255) as u8
            };
            u.push(mix(&b_of));
            v.push(mix(&r_of));
        }
    }
    Yuv420 { width: frame.width, height: frame.height, planes: [y, u, v] }
}

/// Planes to frame. The four pixels of a 2×2 block share its colour sample, as in libswscale's
/// plain conversion, which the reference implementations of composed retrieval read clips with.
pub fn frame_from_yuv(yuv: &Yuv420, colour: Colour) -> Frame {
    let (kr, kb) = colour.matrix.weights();
    let kg = 1.0 - kr - kb;
    let (luma, chroma, base) = if colour.full_range { (1.0, 1.0, 0) } else { (255.0 / 219.0, 255.0 / 224.0, 16) };
    let scale = fixed(luma);
    let red_cr = fixed(2.0 * (1.0 - kr) * chroma);
    let blue_cb = fixed(2.0 * (1.0 - kb) * chroma);
    let green_cb = fixed(-2.0 * kb * (1.0 - kb) / kg * chroma);
    let green_cr = fixed(-2.0 * kr * (1.0 - kr) / kg * chroma);

    let (w, h) = (yuv.width as usize, yuv.height as usize);
    let cw = w.div_ceil(2);
    let mut rgb = Vec::with_capacity(w * h * 3);
    for row in 0..h {
        let luma_row = &yuv.planes[0][row * w..(row + 1) * w];
        let colour_rows = (row / 2) * cw..(row / 2 + 1) * cw;
        let (cb_row, cr_row) = (&yuv.planes[1][colour_rows.clone()], &yuv.planes[2][colour_rows]);
        for ((pair, cb), cr) in luma_row.chunks(2).zip(cb_row).zip(cr_row) {
            let (cb, cr) = (i32::from(*cb) - 128, i32::from(*cr) - 128);
            let (r, g, b) = (red_cr * cr + HALF, green_cb * cb + green_cr * cr + HALF, blue_cb * cb + HALF);
            for y in pair {
                let y = (i32::from(*y) - base) * scale;
                rgb.extend([(y + r) >> BITS, (y + g) >> BITS, (y + b) >> BITS].map(|c| c.clamp(0, 255) as u8));
            }
        }
    }
    Frame { width: yuv.width, height: yuv.height, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours_in_both_matrices_and_ranges() {
        let bars = |rgb| Frame::filled(2, 2, rgb);
        let of = |rgb, matrix, full_range| {
            let p = yuv_from_frame(&bars(rgb), Colour { matrix, full_range }).planes;
            [p[0][0], p[1][0], p[2][0]]
        };
        // The values of EBU and SMPTE colour bars.
        assert_eq!(of([255, 255, 255], Matrix::Bt709, false), [235, 128, 128]);
        assert_eq!(of([0, 0, 0], Matrix::Bt709, false), [16, 128, 128]);
        assert_eq!(of([255, 0, 0], Matrix::Bt709, false), [63, 102, 240]);
        assert_eq!(of([0, 255, 0], Matrix::Bt709, false), [173, 42, 26]);
        assert_eq!(of([0, 0, 255], Matrix::Bt709, false), [32, 240, 118]);
        assert_eq!(of([255, 0, 0], Matrix::Bt601, false), [81, 90, 240]);
        assert_eq!(of([0, 255, 0], Matrix::Bt601, false), [145, 54, 34]);
        assert_eq!(of([255, 255, 255], Matrix::Bt601, true), [255, 128, 128]);
    }

    #[test]
    fn there_and_back_within_rounding() {
        for matrix in [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020, Matrix::Fcc, Matrix::Smpte240] {
            for full_range in [false, true] {
                let colour = Colour { matrix, full_range };
                for seed in 0..64u32 {
                    let rgb = [seed * 37 % 256, seed * 91 % 256, seed * 53 % 256].map(|c| c as u8);
                    let back = frame_from_yuv(&yuv_from_frame(&Frame::filled(3, 3, rgb), colour), colour);
                    for (got, want) in back.rgb.chunks(3).flat_map(|px| px.iter().zip(rgb)) {
                        assert!(got.abs_diff(want) <= 3, "{colour:?} {rgb:?} {back:?}");
                    }
                }
            }
        }
    }
}
