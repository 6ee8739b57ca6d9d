//! A paper as CSV: one line per number.

use super::Paper;

pub(super) fn page(paper: &Paper) -> String {
    let mut out = String::from("exam,protocol,rules,method,group,question,mark,value,low,high,source\n");
    let mut line = |cells: [&str; 11]| {
        out.push_str(&cells.map(quoted).join(","));
        out.push('\n');
    };
    for (method, r) in &paper.reports {
        let (rules, name) = (r.rules.to_string(), r.protocol.name.as_str());
        for (group, marks) in r.groups() {
            let given = r.protocol.marks().into_iter().filter_map(|m| Some((m.to_string(), marks.get(m)?)));
            for (mark, e) in given.chain(marks.averages.iter().map(|(name, e)| (name.clone(), *e))) {
                let [value, low, high] = [e.value, e.low, e.high].map(|v| v.to_string());
                line([&r.benchmark, name, &rules, method, group, "", &mark, &value, &low, &high, "marked here"]);
            }
        }
        for q in &r.ranks {
            let rank = q.rank.map(|r| r.to_string()).unwrap_or_default();
            line([&r.benchmark, name, &rules, method, "", &q.query, "rank", &rank, "", "", "marked here"]);
            if let Some(rank) = q.subset_rank {
                line([
                    &r.benchmark,
                    name,
                    &rules,
                    method,
                    "",
                    &q.query,
                    "rank in subset",
                    &rank.to_string(),
                    "",
                    "",
                    "marked here",
                ]);
            }
        }
    }
    for p in paper.published() {
        let rules = p.protocol.as_ref().map(|r| r.digest().to_string()).unwrap_or_default();
        let name = p.protocol.as_ref().map_or(p.known.as_str(), |r| r.name.as_str());
        for (mark, value) in &p.marks {
            // As many decimals as were published.
            let value = ((value * 1e6).round() / 1e6).to_string();
            line([&p.exam, name, &rules, &p.method, "all", "", mark, &value, "", "", &p.source]);
        }
    }
    out
}

/// Quoted where a comma, a quote or a line's end would break the line, and where a spreadsheet
/// would take the text for a formula.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t']) && text.parse::<f64>().is_err();
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}
