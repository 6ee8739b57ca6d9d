//! Plots as SVG, drawn here: points with intervals, and curves over a setting. No bars: their length would say
//! that they begin at nothing, and differences of a point would be too small to see if they did.

use std::fmt::Write as _;

use benchmarks::escape;

/// One point: its name, our value with half its interval, and the paper's.
pub struct Point {
    /// Under or beside it.
    pub name: String,
    /// Ours.
    pub value: f64,
    /// Half its interval.
    pub half: f64,
    /// The paper's, on its own data.
    pub paper: Option<f64>,
}

const ROW: f64 = 26.0;
const LEFT: f64 = 190.0;
const WIDTH: f64 = 720.0;

/// The scale of some values: lowest and highest shown, whole numbers with room on both sides.
fn scale(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.filter(|v| v.is_finite()).fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let room = ((high - low) * 0.15).max(0.5);
    ((low - room).max(0.0).floor(), (high + room).ceil())
}

/// A row for each: ours on the left half with intervals, the paper's on the right half, each on its own
/// scale, because the two are marks of different data, or lie far apart on the same; `paper_on` is the set
/// that the paper's are of.
pub fn rows(caption: &str, paper_on: &str, points: &[Point]) -> String {
    let height = ROW * points.len() as f64 + 44.0;
    let paper: Vec<f64> = points.iter().filter_map(|b| b.paper).collect();
    let half = if paper.is_empty() { WIDTH - LEFT - 60.0 } else { (WIDTH - LEFT) / 2.0 - 60.0 };
    let (low, high) = scale(points.iter().flat_map(|b| [b.value - b.half, b.value + b.half]));
    let (paper_low, paper_high) = scale(paper.iter().copied());
    let x = |v: f64| LEFT + (v - low) / (high - low) * half;
    let paper_at = LEFT + half + 70.0;
    let paper_x = |v: f64| (v - paper_low) / (paper_high - paper_low) * (half - 10.0);
    let mut out = open(height, caption);
    let _ = write!(out, "<text x=\"{LEFT}\" y=\"16\" class=\"axis\">here, from {low:.0} to {high:.0}</text>");
    if !paper.is_empty() {
        let _ = write!(
            out,
            "<text x=\"{paper_at:.1}\" y=\"16\" class=\"axis\">paper ({}), from {paper_low:.0} to {paper_high:.0}</text>",
            escape(paper_on)
        );
    }
    for (i, point) in points.iter().enumerate() {
        let y = 26.0 + ROW * i as f64;
        let mid = y + ROW / 2.0 - 2.0;
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <path class=\"rail\" d=\"M{LEFT} {mid:.1}H{:.1}\"/>",
            LEFT - 8.0,
            mid + 4.0,
            escape(&point.name),
            LEFT + half,
        );
        let (a, b) = (x((point.value - point.half).max(low)), x(point.value + point.half));
        let _ = write!(
            out,
            "<path class=\"spread\" d=\"M{a:.1} {mid:.1}H{b:.1}M{a:.1} {:.1}v8M{b:.1} {:.1}v8\"/>\
             <circle class=\"ours\" cx=\"{:.1}\" cy=\"{mid:.1}\" r=\"5\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" class=\"value\">{:.1}</text>",
            mid - 4.0,
            mid - 4.0,
            x(point.value),
            b + 8.0,
            mid + 4.0,
            point.value,
        );
        if let Some(paper) = point.paper {
            let at = paper_at + paper_x(paper).max(0.0);
            let _ = write!(
                out,
                "<path class=\"rail\" d=\"M{paper_at:.1} {mid:.1}H{:.1}\"/>\
                 <circle class=\"theirs\" cx=\"{at:.1}\" cy=\"{mid:.1}\" r=\"5\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" class=\"value\">{paper:.1}</text>",
                paper_at + half - 10.0,
                at + 10.0,
                mid + 4.0,
            );
        }
    }
    out + "</svg>"
}

/// A curve over a setting, in the order of its values: ours with intervals, on the scale at the left; the
/// paper's beside it, dashed and on its own at the right, as in [`rows`].
pub fn curve(caption: &str, axis: &str, paper_on: &str, points: &[(f64, Point)]) -> String {
    let (w, h) = (420.0, 260.0);
    let (left, bottom, top, right) = (48.0, 216.0, 28.0, 376.0);
    let theirs: Vec<(f64, f64)> = points.iter().filter_map(|(at, p)| Some((*at, p.paper?))).collect();
    let (low, high) = scale(points.iter().flat_map(|(_, p)| [p.value - p.half, p.value + p.half]));
    let (paper_low, paper_high) = scale(theirs.iter().map(|(_, v)| *v));
    let (first, last) = points.iter().fold((f64::MAX, f64::MIN), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
    let span = (last - first).max(1e-9);
    let x = |v: f64| left + 12.0 + (v - first) / span * (right - left - 24.0);
    let y = |v: f64| bottom - (v - low) / (high - low) * (bottom - top);
    let paper_y = |v: f64| bottom - (v - paper_low) / (paper_high - paper_low) * (bottom - top);
    let mut out = format!(
        "<svg viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{}\"><title>{}</title>",
        escape(caption),
        escape(caption)
    );
    let _ = write!(out, "<path class=\"line\" d=\"M{left} {top}V{bottom}H{right}\"/>");
    let mut label = |x: f64, y: f64, anchor: &str, text: &str| {
        let text = escape(text);
        let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"axis\">{text}</text>");
    };
    label(left - 6.0, bottom, "end", &format!("{low:.0}"));
    label(left - 6.0, top + 6.0, "end", &format!("{high:.0}"));
    label((left + right) / 2.0, h - 8.0, "middle", axis);
    label(left, top - 12.0, "start", "here");
    if !theirs.is_empty() {
        label(right + 6.0, bottom, "start", &format!("{paper_low:.0}"));
        label(right + 6.0, top + 6.0, "start", &format!("{paper_high:.0}"));
        label(w - 4.0, top - 12.0, "end", &format!("dashed: paper ({paper_on})"));
    }
    points.iter().for_each(|(at, _)| label(x(*at), bottom + 16.0, "middle", &at.to_string()));
    let line = |places: &[(f64, f64)]| -> String {
        let step = |(i, (x, y)): (usize, &(f64, f64))| format!("{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        places.iter().enumerate().map(step).collect()
    };
    let theirs: Vec<(f64, f64)> = theirs.into_iter().map(|(at, v)| (x(at), paper_y(v))).collect();
    let _ = write!(out, "<path class=\"curve paper\" d=\"{}\"/>", line(&theirs));
    for (px, py) in theirs {
        let _ = write!(out, "<circle class=\"theirs\" cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"4\"/>");
    }
    let ours: Vec<(f64, f64)> = points.iter().map(|(at, p)| (x(*at), y(p.value))).collect();
    let _ = write!(out, "<path class=\"curve\" d=\"{}\"/>", line(&ours));
    for ((px, py), (_, point)) in ours.into_iter().zip(points) {
        let (a, b) = (y((point.value - point.half).max(low)), y(point.value + point.half));
        let _ = write!(
            out,
            "<path class=\"spread\" d=\"M{px:.1} {a:.1}V{b:.1}\"/><circle class=\"ours\" cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"4\"/>",
        );
    }
    out + "</svg>"
}

fn open(height: f64, caption: &str) -> String {
    let caption = escape(caption);
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{caption}\"><title>{caption}</title>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_hold_every_value_and_escape_names() {
        let point = |name: &str, value, paper| Point { name: name.into(), value, half: 1.0, paper };
        let svg = rows("a < b", "CIRR", &[point("full", 61.25, Some(85.63)), point("x & y", 58.0, None)]);
        for part in ["a &lt; b", "x &amp; y", ">61.2<", ">85.6<", ">paper (CIRR), from 85 to 87<", "</svg>"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        let svg = curve(
            "μ",
            "momentum",
            "CIRR",
            &[(0.0, point("a", 50.0, Some(81.0))), (0.4, point("b", 55.0, None)), (0.9, point("c", 60.0, Some(84.0)))],
        );
        assert_eq!((svg.matches("class=\"ours\"").count(), svg.matches("class=\"theirs\"").count()), (3, 2));
        assert!(svg.contains(">dashed: paper (CIRR)<") && svg.contains(">80<") && svg.contains(">85<"), "{svg}");
        assert!(!curve("μ", "momentum", "CIRR", &[(0.0, point("a", 50.0, None))]).contains("paper ("));
        assert!(!svg.contains("NaN") && !rows("none", "CIRR", &[]).contains("NaN"));
    }
}
