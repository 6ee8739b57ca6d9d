//! Maps over frames as pictures, and an explanation as the page, the folder and the terminal show it.

use media::Frame;
use methods::Seen;
use methods::imagine::{Explanation, Library, Used};

use crate::page::{self, Maps, Picture};

/// Frames are shown at least this wide.
const WIDE: u32 = 168;
/// Between two frames, pixels.
const GAP: u32 = 4;

/// A prototype's name, counted from 1.
pub fn name(u: &Used) -> String {
    let library = match u.library {
        Library::Pictures => "picture",
        Library::Words => "words",
    };
    format!("{library} prototype {}", u.index + 1)
}

/// What an explanation says in numbers.
pub fn facts(e: &Explanation) -> Vec<(String, String)> {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let mut out = vec![
        fact("confidence in the imagery", format!("{:.2} of 1", e.confidence)),
        fact("scaled by", format!("{:.1} % of the feature's length", 100.0 * e.scaled)),
        fact("shifted by", format!("{:.1} % of the feature's length", 100.0 * e.shifted)),
        fact("question with and without imagery", format!("cosine {:.3}", e.kept)),
    ];
    if !e.used.is_empty() {
        out.push(fact("weight of picture and words imagery", format!("{:.2} and {:.2}", e.shares[0], e.shares[1])));
    }
    out
}

/// As a page shows it.
pub fn maps(e: &Explanation, seen: &Seen) -> Maps {
    let shown = |frame: Frame, alt: String| {
        let bytes = media::jpeg_bytes(&frame, 85).unwrap_or_default();
        Picture { bytes, mime: "image/jpeg", place: alt.clone(), name: alt.clone(), alt }
    };
    let used = rows(e).into_iter().map(|r| page::Used {
        map: shown(map(e.side, seen, &r.map), format!("where the network looked for {}", r.name)),
        name: r.name,
        weight: r.weight,
    });
    Maps {
        facts: facts(e),
        frames: shown(row(&seen.frames), "the frames of the reference".into()),
        used: used.collect(),
    }
}

/// A map as it is shown.
pub struct Row {
    /// Of what.
    pub name: String,
    /// Its share of the imagery.
    pub weight: f32,
    /// (F, P)
    pub map: Vec<f32>,
}

/// What is shown of each library: where the network looked for all that was taken of it, and for each
/// prototype where it looked more than for the mean of them. Attention gathers on a few patches whatever
/// is asked for; without taking the mean away, all maps would show those.
pub fn rows(e: &Explanation) -> Vec<Row> {
    let mut out = Vec::new();
    for (library, what) in [(Library::Pictures, "picture"), (Library::Words, "words")] {
        let of: Vec<&Used> = e.used.iter().filter(|u| u.library == library).collect();
        let Some(first) = of.first() else { continue };
        let mixed = |share: &dyn Fn(&Used) -> f32| -> Vec<f32> {
            (0..first.map.len()).map(|i| of.iter().map(|u| share(u) * u.map[i]).sum()).collect()
        };
        let mean = if of.len() > 1 { mixed(&|_| 1.0 / of.len() as f32) } else { vec![0.0; first.map.len()] };
        out.push(Row { name: format!("{what} prototypes together"), weight: 1.0, map: mixed(&|u| u.weight) });
        out.extend(of.iter().map(|u| Row {
            name: name(u),
            weight: u.weight,
            map: u.map.iter().zip(&mean).map(|(own, mean)| (own - mean).max(0.0)).collect(),
        }));
    }
    out
}

/// The frames side by side, enlarged by whole pixels.
pub fn row(frames: &[Frame]) -> Frame {
    let Some(first) = frames.first() else { return Frame::filled(1, 1, [0; 3]) };
    let by = WIDE.div_ceil(first.width.max(1));
    let (w, h) = (first.width * by, first.height * by);
    let n = frames.len() as u32;
    let mut out = Frame::filled(n * w + (n - 1) * GAP, h, [255; 3]);
    for (i, frame) in frames.iter().enumerate() {
        let left = i as u32 * (w + GAP);
        for y in 0..h.min(frame.height * by) {
            for x in 0..w.min(frame.width * by) {
                let from = ((y / by * frame.width + x / by) * 3) as usize;
                let to = ((y * out.width + left + x) * 3) as usize;
                out.rgb[to..to + 3].copy_from_slice(&frame.rgb[from..from + 3]);
            }
        }
    }
    out
}

/// The frames side by side, dark where a map is low and warm where it is high; brightness alone tells
/// the two apart. The brightest twentieth of the patches is drawn alike, so that one of them cannot
/// leave the rest in the dark.
pub fn map(side: usize, seen: &Seen, values: &[f32]) -> Frame {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let high = sorted.get((0.95 * sorted.len().saturating_sub(1) as f32).round() as usize).copied().unwrap_or_default();
    let patches = (side * side).max(1);
    let lit = |(frame, map)| lit(frame, map, side, high.max(1e-12));
    let lit: Vec<Frame> = seen.frames.iter().zip(values.chunks_exact(patches)).map(lit).collect();
    row(&lit)
}

fn lit(frame: &Frame, map: &[f32], side: usize, most: f32) -> Frame {
    const WARM: [f32; 3] = [255.0, 150.0, 40.0];
    let mut out = frame.clone();
    for y in 0..frame.height {
        for x in 0..frame.width {
            let h = between(map, side, x as f32 / frame.width as f32, y as f32 / frame.height as f32) / most;
            let h = h.min(1.0);
            let at = ((y * frame.width + x) * 3) as usize;
            for (c, warm) in WARM.iter().enumerate() {
                let old = f32::from(frame.rgb[at + c]);
                let new = old * (0.22 + 0.58 * h) + warm * 0.3 * h;
                out.rgb[at + c] = new.clamp(0.0, 255.0) as u8;
            }
        }
    }
    out
}

/// A map's value at a place of the unit square, linear between the middles of its patches.
fn between(map: &[f32], side: usize, x: f32, y: f32) -> f32 {
    let last = side.saturating_sub(1);
    let place = |v: f32| {
        let v = (v * side as f32 - 0.5).clamp(0.0, last as f32);
        (v as usize, (v as usize + 1).min(last), v.fract())
    };
    let ((x0, x1, fx), (y0, y1, fy)) = (place(x), place(y));
    let at = |x: usize, y: usize| map.get(y * side + x).copied().unwrap_or_default();
    let along = |y| at(x0, y) * (1.0 - fx) + at(x1, y) * fx;
    along(y0) * (1.0 - fy) + along(y1) * fy
}

/// How alike the maps of a library are: the mean cosine over pairs. Near 1 all prototypes look at the
/// same place.
pub fn likeness(used: &[&Used]) -> Option<f32> {
    let cosine = |a: &[f32], b: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-12)
    };
    let pairs: Vec<f32> = (0..used.len())
        .flat_map(|i| (i + 1..used.len()).map(move |j| (i, j)))
        .map(|(i, j)| cosine(&used[i].map, &used[j].map))
        .collect();
    (!pairs.is_empty()).then(|| pairs.iter().sum::<f32>() / pairs.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(map: Vec<f32>) -> Explanation {
        let used = vec![Used { library: Library::Words, index: 4, weight: 1.0, map }];
        Explanation {
            frames: 2,
            side: 2,
            used,
            shares: [0.5; 2],
            confidence: 0.5,
            scaled: 0.1,
            shifted: 0.0,
            kept: 0.9,
            with: vec![1.0],
            without: vec![1.0],
        }
    }

    #[test]
    fn a_map_is_bright_where_the_network_looked() {
        let seen = Seen { frames: vec![Frame::filled(100, 100, [100; 3]), Frame::filled(100, 100, [100; 3])] };
        // All attention on the lower right patch of the second frame.
        let e = explained(vec![0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let m = map(e.side, &seen, &e.used[0].map);
        assert_eq!((m.width, m.height), (2 * 200 + GAP, 200));
        let at = |x: u32, y: u32| u32::from(m.rgb[((y * m.width + x) * 3) as usize]);
        assert_eq!((at(10, 10), at(190, 190), at(204 + 10, 10)), (22, 22, 22));
        assert!(at(204 + 190, 190) > 140 && at(204 + 100, 100) < at(204 + 190, 190));
        assert_eq!(name(&e.used[0]), "words prototype 5");
    }

    #[test]
    fn a_prototype_shows_where_it_differs_from_the_others() {
        let mut e = explained(vec![0.8, 0.2, 0.0, 0.0]);
        e.used.push(Used { library: Library::Words, index: 1, weight: 0.0, map: vec![0.8, 0.0, 0.2, 0.0] });
        let rows = rows(&e);
        let names: Vec<&str> = rows.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["words prototypes together", "words prototype 5", "words prototype 2"]);
        assert_eq!(rows[0].map, [0.8, 0.2, 0.0, 0.0]);
        let brightest = |map: &[f32]| map.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i);
        assert_eq!([brightest(&rows[1].map), brightest(&rows[2].map)], [Some(1), Some(2)]);
    }

    #[test]
    fn likeness_of_maps() {
        let used = |map: &[f32]| Used { library: Library::Words, index: 0, weight: 0.5, map: map.to_vec() };
        let (a, b) = (used(&[1.0, 0.0]), used(&[0.0, 1.0]));
        assert_eq!(likeness(&[&a, &b]), Some(0.0));
        assert!((likeness(&[&a, &a, &a]).unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(likeness(&[&a]), None);
    }
}
