//! What a method imagined, as a section of a page: facts, the frames, and a map for each prototype.

use std::fmt::Write as _;

use benchmarks::escape;

use super::Picture;
use super::html::media;

/// The section's style, for pages that have one of their own; its colours are those of `tokens.css`.
pub const STYLE: &str = include_str!("maps.css");

/// What is shown.
#[derive(Clone, Debug)]
pub struct Maps {
    /// Name and value.
    pub facts: Vec<(String, String)>,
    /// The frames side by side, as the network saw them.
    pub frames: Picture,
    /// The prototypes.
    pub used: Vec<Used>,
}

/// A prototype that was taken.
#[derive(Clone, Debug)]
pub struct Used {
    /// What it is called.
    pub name: String,
    /// Its share, 0 to 1.
    pub weight: f32,
    /// The frames side by side, bright where the network looked for it.
    pub map: Picture,
}

pub(super) fn section(m: &Maps) -> String {
    format!(
        "<section id=\"maps\" aria-labelledby=\"maps-h\"><h2 id=\"maps-h\">What was imagined</h2>{}</section>",
        figure(m)
    )
}

/// Facts, frames and maps.
pub fn figure(m: &Maps) -> String {
    let mut out = String::from("<dl class=\"facts\">");
    for (name, value) in &m.facts {
        let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
    }
    out.push_str("</dl><ul class=\"maps\">");
    let _ = write!(out, "<li><figure>{}<figcaption>as the network saw it</figcaption></figure></li>", media(&m.frames));
    for u in &m.used {
        let width = f64::from(u.weight.clamp(0.0, 1.0)) * 100.0;
        let _ = write!(
            out,
            "<li><figure>{}<figcaption><span>{}</span>\
             <svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <rect class=\"track\" width=\"100\" height=\"10\"/><rect class=\"value\" width=\"{width:.1}\" height=\"10\"/></svg>\
             <span>{width:.0} %</span></figcaption></figure></li>",
            media(&u.map),
            escape(&u.name)
        );
    }
    out.push_str("</ul>");
    if !m.used.is_empty() {
        out.push_str(
            "<p class=\"about\">The rows named together are bright where the network looked for all that was taken of a library; \
             each other row is bright where it looked for that one more than for the mean of them. What words took is asked of \
             the queries that heard the words.</p>",
        );
    }
    out
}
