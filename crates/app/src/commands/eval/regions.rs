//! Parts of pictures as files of their own: what GeneCIS asks about is an object, not a photograph.
//!
//! The authors take the box with seven tenths of its size more, to the left and above from the box's
//! corner and to the right and below from there (the two sides differ; that is how it is written),
//! and pad it to a square with black.

use std::path::Path;

use benchmarks::Benchmark;
use media::{Frame, Limits};

use super::sets;
use crate::context::Context;
use crate::exit::Failure;
use crate::progress::Progress;

/// How much more than the box is seen, as a share of its size.
const MORE: f64 = 0.7;

/// Holds a folder that is removed when the exam is over, where no cache was named.
#[derive(Default)]
pub struct Crops(Option<std::path::PathBuf>);

impl Drop for Crops {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            // A folder that stays behind in the temporary place is no reason to fail.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Cuts every item that is a part of a picture; what cannot be read is left out by name.
pub fn cut(exam: &mut Benchmark, cache: Option<&Path>, strict: bool, context: &Context) -> Result<Crops, Failure> {
    let of = exam.gallery.iter().chain(&exam.references).filter(|g| g.region.is_some()).count();
    if of == 0 {
        return Ok(Crops(None));
    }
    let name = exam.name.replace('/', "-");
    let (folder, guard) = match cache {
        Some(cache) => (cache.join(format!("{name}-regions")), None),
        None => {
            let folder = std::env::temp_dir().join(format!("likebut-{}-{name}", std::process::id()));
            (folder.clone(), Some(folder))
        }
    };
    std::fs::create_dir_all(&folder)?;
    let guard = Crops(guard);
    let folder = folder.canonicalize()?;
    let root = exam.root.clone();
    let mut progress = Progress::new("cutting", "objects", of as u64, context.quiet);
    let (mut done, mut unread) = (0u64, Vec::new());
    for entry in exam.gallery.iter_mut().chain(&mut exam.references) {
        let Some(region) = entry.region else { continue };
        let to = folder.join(format!("{}.png", domain::Digest::of(entry.name.as_bytes()).short()));
        if !to.is_file()
            && let Err(reason) = cut_one(&root.join(&entry.path), region, &to)
        {
            unread.push((entry.name.clone(), reason));
        } else {
            // Joined to the root, an absolute path stands for itself.
            entry.path = to.to_string_lossy().into_owned();
        }
        done += 1;
        progress.set(done);
    }
    drop(progress);
    sets::leave_out(exam, &unread, strict, context)?;
    Ok(guard)
}

fn cut_one(from: &Path, region: [f64; 4], to: &Path) -> Result<(), String> {
    let media = media::open(from, &Limits::default()).map_err(|e| e.to_string())?;
    let clip = media.sample(&domain::Sampling::Middle, None).map_err(|e| e.to_string())?;
    let frame = clip.frames.first().ok_or("it has no frame")?;
    let cut = square(frame, region).ok_or("the box lies outside the picture")?;
    // Written beside and renamed, so that a kill leaves no half picture under the final name.
    let half = to.with_extension("part");
    media::write_png(&half, &cut).map_err(|e| e.to_string())?;
    std::fs::rename(&half, to).map_err(|e| e.to_string())
}

/// The dilated box, padded to a square with black.
fn square(frame: &Frame, [left, top, width, height]: [f64; 4]) -> Option<Frame> {
    let (w, h) = (f64::from(frame.width), f64::from(frame.height));
    let (x0, y0) = ((left - MORE * width).max(0.0), (top - MORE * height).max(0.0));
    let (x1, y1) = ((x0 + (1.0 + MORE) * width).min(w), (y0 + (1.0 + MORE) * height).min(h));
    // Pillow rounds the corners of a crop to whole pixels.
    let [x0, y0, x1, y1] = [x0, y0, x1, y1].map(|v| v.round() as usize);
    let (x1, y1) = (x1.min(frame.width as usize), y1.min(frame.height as usize));
    if x1 <= x0 || y1 <= y0 {
        return None;
    }
    let (cw, ch) = (x1 - x0, y1 - y0);
    let side = cw.max(ch);
    let (dx, dy) = ((side - cw) / 2, (side - ch) / 2);
    let mut rgb = vec![0u8; side * side * 3];
    for y in 0..ch {
        let from = ((y0 + y) * frame.width as usize + x0) * 3;
        let to = ((dy + y) * side + dx) * 3;
        rgb[to..to + cw * 3].copy_from_slice(&frame.rgb[from..from + cw * 3]);
    }
    Some(Frame { width: side as u32, height: side as u32, rgb })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_widened_and_padded_as_the_authors_do() {
        let rgb = (0..20 * 10).flat_map(|i| [i as u8, 1, 2]).collect();
        let frame = Frame { width: 20, height: 10, rgb };
        // 10, 4, 4 × 2: from 7.2, 2.6 to 14.0, 6.0 → 7, 3 to 14, 6: 7 × 3, padded to 7 × 7.
        let cut = square(&frame, [10.0, 4.0, 4.0, 2.0]).unwrap();
        assert_eq!((cut.width, cut.height), (7, 7));
        assert_eq!(cut.rgb[..3], [0, 0, 0], "black above");
        assert_eq!(cut.rgb[2 * 7 * 3], (3 * 20 + 7) as u8, "the first pixel of the crop");
        assert!(square(&frame, [500.0, 4.0, 4.0, 2.0]).is_none());
    }
}
