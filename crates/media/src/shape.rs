//! The size and the way up of a frame: scaling, square pixels, turning.

use fast_image_resize::{self as fir, FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use crate::{Error, Frame, Result};

/// The frame with its longer side at most `max_side` (at least 1); never larger than it is.
///
/// ```
/// let small = media::thumb(&media::Frame::filled(640, 360, [9, 9, 9]), 160);
/// assert_eq!((small.width, small.height), (160, 90));
/// ```
pub fn thumb(frame: &Frame, max_side: u32) -> Frame {
    let longest = frame.width.max(frame.height);
    if longest <= max_side.max(1) {
        return frame.clone();
    }
    let scaled = |side: u32| {
        let side = (f64::from(side) * f64::from(max_side.max(1)) / f64::from(longest)).round();
        (side as u32).max(1)
    };
    // Only a frame whose bytes do not fit its size is refused; there is nothing to shrink in it.
    // Twice the size by leaving pixels out, then smoothly: for looking at, and not for a network.
    let quick = ResizeAlg::SuperSampling(FilterType::Lanczos3, 2);
    resize(frame, scaled(frame.width), scaled(frame.height), quick).unwrap_or_else(|_| Frame::filled(1, 1, [0; 3]))
}

fn resize(frame: &Frame, width: u32, height: u32, how: ResizeAlg) -> Result<Frame> {
    let refused =
        |e: &dyn std::fmt::Display| Error::BadRequest(format!("cannot scale {frame:?} to {width}×{height}: {e}"));
    let source =
        fir::images::ImageRef::new(frame.width, frame.height, &frame.rgb, PixelType::U8x3).map_err(|e| refused(&e))?;
    let mut target = fir::images::Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(how);
    Resizer::new().resize(&source, &mut target, &options).map_err(|e| refused(&e))?;
    Ok(Frame { width, height, rgb: target.into_vec() })
}

/// How large a picture is once its pixels are square: one side is stretched, none is shrunk.
/// Ratios beyond 8 : 1 are taken for mistakes and ignored.
pub(crate) fn square_size(width: u32, height: u32, pixel_aspect: Option<(u32, u32)>) -> (u32, u32) {
    let Some((across, down)) = pixel_aspect else { return (width, height) };
    let (across, down) = (f64::from(across), f64::from(down));
    if across <= 0.0 || down <= 0.0 || across > 8.0 * down || down > 8.0 * across {
        return (width, height);
    }
    if across >= down {
        ((f64::from(width) * across / down).round() as u32, height)
    } else {
        (width, (f64::from(height) * down / across).round() as u32)
    }
}

pub(crate) fn square(frame: Frame, pixel_aspect: Option<(u32, u32)>) -> Result<Frame> {
    let (width, height) = square_size(frame.width, frame.height, pixel_aspect);
    if (width, height) == (frame.width, frame.height) {
        return Ok(frame);
    }
    resize(&frame, width, height, ResizeAlg::Convolution(FilterType::Lanczos3))
}

pub(crate) fn turned(frame: Frame, turn: Orientation) -> Frame {
    if turn == Orientation::NoTransforms {
        return frame;
    }
    let (width, height) = (frame.width, frame.height);
    match RgbImage::from_raw(width, height, frame.rgb) {
        Some(pixels) => {
            let mut picture = DynamicImage::ImageRgb8(pixels);
            picture.apply_orientation(turn);
            Frame { width: picture.width(), height: picture.height(), rgb: picture.into_rgb8().into_raw() }
        }
        None => Frame::filled(width, height, [0; 3]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn square_pixels() {
        assert_eq!(square_size(176, 144, Some((16, 11))), (256, 144));
        assert_eq!(square_size(176, 144, Some((1, 2))), (176, 288));
        assert_eq!(square_size(176, 144, Some((0, 2))), (176, 144));
        assert_eq!(square_size(176, 144, Some((u32::MAX, 1))), (176, 144));
    }

    #[test]
    fn thumbs_keep_their_shape_and_colour() {
        let t = thumb(&Frame::filled(300, 7, [10, 200, 30]), 100);
        assert_eq!((t.width, t.height), (100, 2));
        assert!(t.rgb.chunks(3).all(|px| px == [10, 200, 30]));
        assert_eq!(thumb(&Frame::filled(5, 5, [1; 3]), 100).width, 5);
        assert_eq!(thumb(&Frame::filled(5000, 1, [1; 3]), 10).height, 1);
    }
}
