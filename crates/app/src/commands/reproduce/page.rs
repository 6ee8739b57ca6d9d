//! The reproduction as one self-contained page: plots, tables, and what they say.

use std::fmt::Write as _;

use benchmarks::escape;
use train::reproduce::{Line, printed, printed_of};

use crate::page::maps;

use super::markdown::costs;
use super::plot::{Point, curve, rows};
use super::{EXHIBITS, Findings, SWEEPS, average_of, columns, decided, how, left_out, lines, said, title};

const TOKENS: &str = include_str!("../../page/tokens.css");
const STYLE: &str = "
body{margin:0 auto;max-width:68rem;padding:2rem 1.25rem;background:var(--paper);color:var(--ink);font:1rem/1.5 var(--sans)}
h1,h2{font-family:var(--serif);line-height:1.2}h2{margin-top:2.5rem}
table{border-collapse:collapse;width:100%;font-size:.875rem}td,th{padding:.3rem .5rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.variants td:first-child{white-space:nowrap}.variants td:nth-child(2){min-width:11rem}
.wide{overflow-x:auto}svg{width:100%;height:auto;background:var(--surface);border:1px solid var(--line);margin:.75rem 0}
.two{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem}
svg text{font:12px var(--sans);fill:var(--ink)}svg .axis{fill:var(--ink-soft);font-size:11px}
.ours{fill:var(--accent)}.theirs{fill:var(--ink-soft)}.rail{stroke:var(--line);fill:none}.spread{stroke:var(--ink);fill:none;stroke-width:1.2}
.case{margin:1.5rem 0;padding:1rem;border:1px solid var(--line);background:var(--surface)}.case h3{margin:0;font-family:var(--serif)}
.answers{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin:.5rem 0}.answers span{flex:0 0 6rem;color:var(--ink-soft);font-size:.875rem}
.answers img{width:8rem;border:3px solid transparent}.answers .right{border-color:var(--good)}
.line{stroke:var(--line);fill:none}.curve{stroke:var(--accent);fill:none;stroke-width:1.5}.curve.paper{stroke:var(--ink-soft);stroke-dasharray:3 3}code{font-family:var(--mono)}
";

/// The whole page.
pub fn report(f: &Findings) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
         <title>IMAGINE on {}</title><style>{TOKENS}{STYLE}{}</style></head><body>\
         <h1>{}</h1>\
         <p>Made by <code>{}</code>; every number is computed from the runs.</p>",
        f.runs.data,
        maps::STYLE,
        escape(&title(f)),
        escape(&f.command)
    );
    list(&mut out, &how(f));
    out.push_str("<h2>What came out</h2>");
    list(&mut out, &said(f));
    out.push_str("<h2>Table 3: what the head costs</h2><div class=\"wide\"><table><tr><th></th><th>here</th><th>paper (V100)</th></tr>");
    for [what, ours, theirs] in costs(&f.cost) {
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&what),
            escape(&ours),
            escape(&theirs)
        );
    }
    out.push_str("</table></div>");
    for (key, title) in EXHIBITS {
        let lines = lines(f, key);
        if lines.is_empty() {
            continue;
        }
        let _ = write!(out, "<h2>{}</h2>", escape(title));
        match SWEEPS.iter().any(|s| s.0 == *key) {
            true => sweeps(&mut out, f, key),
            false => {
                let all = lines.iter().filter_map(|l| point(f, l, &l.variant)).collect::<Vec<_>>();
                let caption = format!("{title}: mean of {}", average_of(f.runs.data));
                out.push_str(&rows(&caption, printed_of(f.runs.data), &all));
            }
        }
        table(&mut out, f, key, &lines);
    }
    figure_7(&mut out, f);
    let all = left_out(f);
    if !all.is_empty() {
        out.push_str("<h2>Left out</h2>");
        list(&mut out, &all);
    }
    out + "</body></html>\n"
}

/// Cases side by side, with what each of the two answered; and below each what was imagined (Figure 8).
fn figure_7(out: &mut String, f: &Findings) {
    if f.cases.shown.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<h2>Figures 7 and 8: cases that SIC decides, and where its prototypes look</h2><p>{} Both were trained alike. Pictures are of \
         the first seed, the right answer has a frame.</p>",
        escape(&decided(f))
    );
    for c in &f.cases.shown {
        let [with, without] = c.ranks;
        let _ = write!(
            out,
            "<article class=\"case\"><h3>{} <i>but</i> {}</h3><p>answered: {}; right is {}, which stands at {with}, without SIC at {without}</p>",
            escape(&c.reference.name),
            escape(crate::hits::after_but(&c.words)),
            c.decided.told(),
            escape(&c.target),
        );
        for (title, shown) in
            [("reference", std::slice::from_ref(&c.reference)), ("full", &c.full), ("without SIC", &c.without)]
        {
            let _ = write!(out, "<div class=\"answers\"><span>{title}</span>");
            for s in shown {
                let class = if s.is_right { " class=\"right\"" } else { "" };
                let _ = write!(
                    out,
                    "<img{class} src=\"data:image/jpeg;base64,{}\" alt=\"{}\">",
                    crate::terminal::base64(&s.jpeg),
                    escape(&s.name)
                );
            }
            out.push_str("</div>");
        }
        if let Some(m) = &c.maps {
            out.push_str(&maps::figure(m));
        }
        out.push_str("</article>");
    }
}

/// A curve for each setting that an exhibit varies.
fn sweeps(out: &mut String, f: &Findings, exhibit: &str) {
    out.push_str("<div class=\"two\">");
    for (_, axis, values) in SWEEPS.iter().filter(|s| s.0 == exhibit) {
        let found: Vec<(f64, Point)> =
            values.iter().filter_map(|(at, name)| Some((*at, point(f, f.summary.find(name)?, name)?))).collect();
        let caption = format!("mean of {} over {axis}", average_of(f.runs.data));
        out.push_str(&curve(&caption, axis, printed_of(f.runs.data), &found));
    }
    out.push_str("</div>");
}

fn point(f: &Findings, line: &Line, name: &str) -> Option<Point> {
    let all = line.groups.first()?;
    Some(Point {
        name: name.to_owned(),
        value: all.average.mean,
        half: all.average.half.unwrap_or(0.0),
        paper: printed(f.runs.data, &line.paper).map(f64::from),
    })
}

fn list(out: &mut String, lines: &[String]) {
    out.push_str("<ul>");
    for line in lines {
        let _ = write!(out, "<li>{}</li>", escape(line));
    }
    out.push_str("</ul>");
}

fn table(out: &mut String, f: &Findings, exhibit: &str, lines: &[&Line]) {
    let columns = columns(f, exhibit);
    out.push_str("<div class=\"wide\"><table class=\"variants\"><tr><th>variant</th><th>changes</th>");
    columns.iter().for_each(|(head, _)| out.push_str(&format!("<th>{head}</th>")));
    out.push_str("</tr>");
    for l in lines {
        let _ = write!(out, "<tr><td>{}</td><td>{}</td>", escape(&l.variant), escape(&l.about));
        for (_, cell) in columns {
            let text = cell(f, l);
            // What is said of a number is words, which may go onto a second line.
            let words = text.starts_with(char::is_alphabetic);
            let _ = write!(out, "<td{}>{}</td>", if words { "" } else { " class=\"n\"" }, escape(&text));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table></div>");
}
