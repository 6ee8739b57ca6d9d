//! A part of a picture, for questions about one thing in it.

use media::Frame;

/// A rectangle of whole pixels inside a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Pixels left of it.
    pub left: u32,
    /// Pixels above it.
    pub top: u32,
    /// At least 1.
    pub width: u32,
    /// At least 1.
    pub height: u32,
}

impl Region {
    /// What GeneCIS' questions about attributes show of a picture: the thing's box (left, top, width,
    /// height, in pixels) with 0.7 of its size added on each side, as far as the picture goes.
    ///
    /// It reaches 0.7 beyond the box to the left and above; to the right and below it ends 1.7 of the
    /// box's size after where it *began*, which is less. So it is in the reference code, and so the
    /// published figures were made.
    ///
    /// ```
    /// # use nets::view::Region;
    /// let seen = Region::genecis(100, 80, [50.0, 30.0, 20.0, 10.0]);
    /// assert_eq!(seen, Region { left: 36, top: 23, width: 34, height: 17 });
    /// ```
    pub fn genecis(width: u32, height: u32, [x, y, w, h]: [f64; 4]) -> Self {
        let side = |at: f64, long: f64, all: u32| {
            let first = (at - 0.7 * long).max(0.0);
            let last = (first + 1.7 * long).min(f64::from(all));
            // Whole pixels as Pillow's crop takes them; a box that misses the picture gives its border.
            let first = (first.round_ties_even() as u32).min(all.saturating_sub(1));
            let last = (last.round_ties_even() as u32).clamp(first + 1, all.max(first + 1));
            (first, last - first)
        };
        let ((left, width), (top, height)) = (side(x, w, width), side(y, h, height));
        Self { left, top, width, height }
    }

    /// These pixels of a frame; what reaches beyond it is left out.
    pub fn of(&self, frame: &Frame) -> Frame {
        let left = self.left.min(frame.width - 1);
        let top = self.top.min(frame.height - 1);
        let width = self.width.clamp(1, frame.width - left);
        let height = self.height.clamp(1, frame.height - top);
        let row = frame.width as usize * 3;
        let rgb = (top..top + height)
            .flat_map(|y| &frame.rgb[y as usize * row + left as usize * 3..][..width as usize * 3])
            .copied()
            .collect();
        Frame { width, height, rgb }
    }
}
