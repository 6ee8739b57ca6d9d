//! The pieces of the page.

use std::fmt::Write as _;

use benchmarks::escape;

use super::{Answer, Interval, MarksTable, Picture, Question, Step};
use crate::terminal::base64;

pub(super) fn marks(table: &MarksTable) -> String {
    let mut out = String::from(
        "<section id=\"marks\" aria-labelledby=\"marks-h\"><h2 id=\"marks-h\">How often the right one comes</h2>\
         <div class=\"marks\" tabindex=\"0\" role=\"region\" aria-labelledby=\"marks-h\"><table>",
    );
    let _ = write!(out, "<caption>{}</caption><thead><tr><th scope=\"col\">Method</th>", escape(&table.caption));
    for column in &table.columns {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(column));
    }
    let first = table.columns.first().map(String::as_str).unwrap_or_default();
    let _ = write!(out, "<th scope=\"col\" class=\"spread\">{}, 0 to 100 %</th></tr></thead>", escape(first));
    for group in &table.groups {
        let columns = table.columns.len() + 2;
        let _ =
            write!(out, "<tbody><tr><th scope=\"rowgroup\" colspan=\"{columns}\">{}</th></tr>", escape(&group.name));
        let value = |cells: &[Interval]| cells.first().map_or(0.0, |c| c.value);
        let best = group.methods.iter().map(|(_, cells)| value(cells)).fold(0.0, f64::max);
        for (method, cells) in &group.methods {
            let class = if value(cells) == best { " class=\"best\"" } else { "" };
            let _ = write!(out, "<tr{class}><th scope=\"row\">{}</th>", escape(method));
            for Interval { value, low, high } in cells {
                let [value, low, high] = [value, low, high].map(|x| x * 100.0);
                let _ = write!(out, "<td>{value:.1}<small>{low:.1}–{high:.1}</small></td>");
            }
            out.push_str("<td class=\"spread\">");
            if let Some(interval) = cells.first() {
                out.push_str(&spread(interval));
            }
            out.push_str("</td></tr>");
        }
        out.push_str("</tbody>");
    }
    out + "</table></div></section>"
}

/// A bar for the share, with a line over the interval.
fn spread(Interval { value, low, high }: &Interval) -> String {
    let [value, low, high] = [value, low, high].map(|x| x.clamp(0.0, 1.0) * 100.0);
    format!(
        "<svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" y=\"2\" width=\"100\" height=\"6\"/>\
         <rect class=\"value\" y=\"2\" width=\"{value:.2}\" height=\"6\"/>\
         <path class=\"whisker\" d=\"M{low:.2} 5H{high:.2}M{low:.2} 3V7M{high:.2} 3V7\"/></svg>"
    )
}

pub(super) fn questions(questions: &[Question]) -> String {
    if questions.is_empty() {
        return String::new();
    }
    let mut kinds: Vec<&str> = questions.iter().filter_map(|q| q.kind.as_deref()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let is_marked = |q: &Question| q.hits.iter().any(|hit| hit.right.is_some());
    let mut filters = vec![("all", "All")];
    filters.extend(kinds.iter().map(|kind| (*kind, *kind)));
    if questions.iter().any(is_marked) {
        filters.extend([("found", "found"), ("missed", "missed")]);
    }
    let mut out = String::from(
        "<section id=\"questions\" aria-labelledby=\"questions-h\"><div class=\"heading\">\
         <h2 id=\"questions-h\">What was asked, and what came</h2>",
    );
    if filters.len() > 1 && questions.len() > 1 {
        out.push_str("<div class=\"filters\" role=\"group\" aria-label=\"Show\" hidden>");
        for (i, (tag, name)) in filters.iter().enumerate() {
            let (tag, name) = (escape(tag), escape(name));
            let _ = write!(
                out,
                "<button type=\"button\" data-filter=\"{tag}\" aria-pressed=\"{}\">{name}</button>",
                i == 0
            );
        }
        out.push_str("</div>");
    }
    out.push_str("</div><p id=\"shown\" class=\"eyebrow\" role=\"status\"></p>");
    questions.iter().enumerate().for_each(|(i, q)| question(&mut out, i + 1, q, is_marked(q)));
    out + "</section>"
}

fn question(out: &mut String, number: usize, q: &Question, is_marked: bool) {
    // A right answer may be shown though it stands further down: then its rank is not its place.
    let among_first = |(i, hit): (usize, &Answer)| hit.right == Some(true) && hit.rank == i + 1;
    let shown = q.hits.iter().enumerate().any(among_first);
    let kind = q.kind.as_deref().unwrap_or_default();
    let found = if !is_marked {
        ""
    } else if shown {
        " found"
    } else {
        " missed"
    };
    let _ = write!(
        out,
        "<article class=\"question\" data-tags=\"{}{found}\" aria-labelledby=\"q{number}\">\
         <figure class=\"reference\"><div class=\"eyebrow\">Like this</div>{}<figcaption>{}</figcaption></figure>\
         <div><div class=\"eyebrow\">",
        escape(kind),
        media(&q.reference),
        caption(&q.reference)
    );
    if !kind.is_empty() {
        let _ = write!(out, "<span class=\"pill\">{}</span>", escape(kind));
    }
    match q.found_at {
        Some(rank) if shown => {
            let _ = write!(out, "<span class=\"pill good\">right one at {rank}</span>");
        }
        Some(rank) => {
            let _ = write!(out, "<span class=\"pill miss\">missed: right one at {rank}</span>");
        }
        None if is_marked && !shown => out.push_str("<span class=\"pill miss\">missed</span>"),
        None => {}
    }
    let _ = write!(
        out,
        "</div><h3 class=\"words\" id=\"q{number}\"><i>but</i> {}",
        escape(crate::hits::after_but(&q.words))
    );
    if let Some(not) = &q.not {
        let _ = write!(out, " <i>and not</i> <s>{}</s>", escape(not));
    }
    out.push_str("</h3><ol class=\"hits\">");
    let best = q.hits.iter().map(|hit| hit.score).fold(0.0, f32::max);
    q.hits.iter().for_each(|answer| hit(out, answer, best));
    out.push_str("</ol></div></article>");
}

fn hit(out: &mut String, answer: &Answer, best: f32) {
    let rank = answer.rank;
    let width = if best > 0.0 { (answer.score / best).clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    let right = answer.right == Some(true);
    let class = if right { "hit right" } else { "hit" };
    let mark = if right { "<span class=\"mark\">✓ right</span>" } else { "" };
    let _ = write!(
        out,
        "<li class=\"{class}\"><figure><span class=\"rank\">{rank}</span>{}\
         <figcaption><div class=\"score\" title=\"Comparable within this question only\">\
         <svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"100\" height=\"10\"/><rect class=\"value\" width=\"{width:.1}\" height=\"10\"/></svg>\
         <span>{:.3}</span>{mark}</div>{}</figcaption></figure></li>",
        media(&answer.picture),
        answer.score,
        caption(&answer.picture)
    );
}

/// A picture's name, and where it lies for who asks.
fn caption(picture: &Picture) -> String {
    format!("<span title=\"{}\">{}</span>", escape(&picture.place), escape(&picture.name))
}

/// A picture, or a clip that the script plays; without the script it has the browser's controls.
pub(super) fn media(picture: &Picture) -> String {
    let Picture { bytes, mime, alt, .. } = picture;
    let (data, alt) = (base64(bytes), escape(alt));
    match mime.starts_with("video/") {
        true => format!(
            "<video class=\"media\" src=\"data:{mime};base64,{data}\" aria-label=\"{alt}\" \
             muted loop playsinline controls preload=\"auto\"></video>"
        ),
        false => format!("<img class=\"media\" src=\"data:{mime};base64,{data}\" alt=\"{alt}\" decoding=\"async\">"),
    }
}

pub(super) fn next(steps: &[Step]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let items: String = steps
        .iter()
        .map(|step| format!("<li>{}<code>{}</code></li>", escape(&step.what), escape(&step.command)))
        .collect();
    format!(
        "<section id=\"next\" aria-labelledby=\"next-h\"><h2 id=\"next-h\">How to go on</h2><ul class=\"steps\">{items}</ul></section>"
    )
}
