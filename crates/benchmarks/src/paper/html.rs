//! A paper as one page that needs nothing else: no script, no font, no address but its own pictures.

use std::fmt::Write as _;

use super::{Case, Entry, Paper, Picture, Section, Side, Table};
use crate::Report;
use crate::escape;
use crate::table::{grouped, percent};

/// Questions after so many are not listed one by one; JSON and CSV have them all.
const MOST_RANKS: usize = 5_000;

pub(super) fn page(paper: &Paper, tokens: &str) -> String {
    let mut out = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    out.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">");
    let title = escape(&paper.title);
    let style = format!("{tokens}\n{}", include_str!("page.css"));
    let _ = write!(out, "<title>{title}</title><style>{style}</style></head><body><main><header><h1>{title}</h1>");
    if let Some((_, first)) = paper.reports.first() {
        lead(&mut out, first);
    }
    if !paper.facts.is_empty() {
        out.push_str("<dl>");
        for (name, value) in &paper.facts {
            let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
        }
        out.push_str("</dl>");
    }
    out.push_str("</header>");
    forest(&mut out, paper);
    let with_pictures = paper.cases.iter().any(|c| !c.reference.src.is_empty());
    for (i, part) in paper.sections().iter().enumerate() {
        // With pictures, the questions are shown and not listed.
        if !(with_pictures && part.title.starts_with("Questions on which")) {
            section(&mut out, part, i);
        }
    }
    if with_pictures {
        cases(&mut out, &paper.cases);
    }
    ranks(&mut out, paper);
    out.push_str("</main></body></html>\n");
    out
}

fn lead(out: &mut String, first: &Report) {
    let _ = write!(
        out,
        "<p class=\"lead\"><b>{}</b> · {} questions · {} items · rules <code>{}</code> {}</p>",
        escape(&first.benchmark),
        grouped(first.ranks.len()),
        grouped(first.gallery),
        escape(&first.protocol.name),
        first.rules.short()
    );
}

/// The first mark of every method as a bar with its interval.
fn forest(out: &mut String, paper: &Paper) {
    let Some((_, first)) = paper.reports.first() else { return };
    let Some(mark) = first.protocol.marks().into_iter().find(|m| first.all.get(*m).is_some() && m.is_share()) else {
        return;
    };
    let _ = write!(out, "<section><h2>{mark}, all questions</h2><ul class=\"forest\">");
    for (name, report) in &paper.reports {
        let Some(e) = report.all.get(mark) else { continue };
        let [v, l, h] = [e.value, e.low, e.high].map(|x| 100.0 * x.clamp(0.0, 1.0));
        let _ = write!(
            out,
            "<li><span>{}</span><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"{v:.1} per cent\"><rect class=\"track\" width=\"100\" height=\"10\"/>\
             <rect class=\"value\" width=\"{v:.2}\" height=\"10\"/>\
             <path class=\"whisker\" d=\"M{l:.2} 5H{h:.2}M{l:.2} 2V8M{h:.2} 2V8\"/></svg>\
             <b>{}<small>{}–{}</small></b></li>",
            escape(name),
            percent(e.value),
            percent(e.low),
            percent(e.high)
        );
    }
    out.push_str("</ul></section>");
}

fn section(out: &mut String, part: &Section, number: usize) {
    let _ = write!(out, "<section aria-labelledby=\"s{number}\"><h2 id=\"s{number}\">{}</h2>", escape(&part.title));
    for note in &part.notes {
        let _ = write!(out, "<p>{}</p>", escape(note));
    }
    part.tables.iter().for_each(|t| table(out, t));
    out.push_str("</section>");
}

fn table(out: &mut String, table: &Table) {
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table><caption>{0}</caption><thead><tr>",
        escape(&table.caption)
    );
    for head in &table.head {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(head));
    }
    out.push_str("</tr></thead><tbody>");
    for cells in &table.rows {
        out.push_str("<tr>");
        for (i, cell) in cells.iter().enumerate() {
            match cell {
                Entry::Text(text) if i == 0 => {
                    let _ = write!(out, "<th scope=\"row\">{}</th>", escape(text));
                }
                Entry::Text(text) if text.chars().count() > 12 => {
                    let _ = write!(out, "<td class=\"words\">{}</td>", escape(text));
                }
                Entry::Text(text) => {
                    let _ = write!(out, "<td>{}</td>", escape(text));
                }
                Entry::Number { value, span, best } => {
                    let class = if *best { " class=\"best\"" } else { "" };
                    let small = |(l, h): &(String, String)| format!("<small>{} to {}</small>", escape(l), escape(h));
                    let small = span.as_ref().map(small).unwrap_or_default();
                    let _ = write!(out, "<td{class}>{}{small}</td>", escape(value));
                }
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
}

fn cases(out: &mut String, cases: &[Case]) {
    out.push_str("<section><h2>Questions on which they differ most</h2>");
    let mut before = None;
    for case in cases {
        let sooner = sooner(case);
        if sooner.is_some() && sooner != before {
            let _ = write!(out, "<h3>{} finds it sooner</h3>", escape(sooner.unwrap_or_default()));
            before = sooner;
        }
        let _ = write!(
            out,
            "<article><figure class=\"reference\"><figcaption>like this</figcaption>{}</figure><div>\
             <h3><i>but</i> {}</h3><p class=\"soft\">{}</p>",
            picture(&case.reference),
            escape(&case.text),
            escape(&case.query)
        );
        for Side { method, rank, found } in &case.sides {
            let place = rank.map_or_else(|| "not found".to_owned(), |r| format!("right one at {}", grouped(r)));
            let class = if *rank == Some(1) { "good" } else { "miss" };
            let _ = write!(
                out,
                "<div class=\"side\"><h4>{} <span class=\"{class}\">{place}</span></h4><ol>",
                escape(method)
            );
            for (shown, right) in found {
                let class = if *right { " class=\"right\"" } else { "" };
                let mark = if *right { "<span class=\"tick\">✓ right</span>" } else { "" };
                let _ = write!(out, "<li{class}>{}{mark}</li>", picture(shown));
            }
            out.push_str("</ol></div>");
        }
        out.push_str("</div></article>");
    }
    out.push_str("</section>");
}

/// The method that has the right answer before the other.
fn sooner(case: &Case) -> Option<&str> {
    let place = |side: &Side| side.rank.unwrap_or(usize::MAX);
    let best = case.sides.iter().min_by_key(|s| place(s))?;
    case.sides.iter().any(|s| place(s) > place(best)).then_some(best.method.as_str())
}

fn picture(p: &Picture) -> String {
    match p.src.starts_with("data:image/") {
        true => format!("<img src=\"{}\" alt=\"{}\">", escape(&p.src), escape(&p.alt)),
        false => format!("<span class=\"gone\">{}</span>", escape(&p.alt)),
    }
}

/// Every question's rank, folded away.
fn ranks(out: &mut String, paper: &Paper) {
    let Some((_, first)) = paper.reports.first() else { return };
    let _ = write!(
        out,
        "<section><h2>Every question</h2><details><summary>Rank of the best right answer, by method</summary>\
         <div class=\"scroll\"><table><thead><tr><th scope=\"col\">question</th>"
    );
    for (name, _) in &paper.reports {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(name));
    }
    out.push_str("</tr></thead><tbody>");
    for (i, q) in first.ranks.iter().enumerate().take(MOST_RANKS) {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(&q.query));
        for (_, report) in &paper.reports {
            let rank = report.ranks.get(i).and_then(|q| q.rank);
            let hit = report.protocol.ks.first().is_some_and(|k| rank.is_some_and(|r| r <= *k));
            let class = if hit { " class=\"best\"" } else { "" };
            let _ = write!(out, "<td{class}>{}</td>", rank.map_or_else(|| "–".to_owned(), grouped));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    if first.ranks.len() > MOST_RANKS {
        let _ = write!(
            out,
            "<p>The first {} of {}; JSON and CSV have them all.</p>",
            grouped(MOST_RANKS),
            grouped(first.ranks.len())
        );
    }
    out.push_str("</details></section>");
}
