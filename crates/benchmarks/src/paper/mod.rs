//! A paper: several methods on one exam, as a document for people and as data for programs.
//!
//! One list of sections is built, and each format writes the same list.

mod csv;
mod html;
mod latex;
mod markdown;

use std::collections::BTreeMap;

use crate::table::{grouped, p_value, percent};
use crate::{Board, Comparison, Estimate, Mark, Marks, Published, Report, Result, error, published};

/// Several methods on one exam, with all that a reader needs to trust it or to run it again.
#[derive(Clone, Debug)]
pub struct Paper {
    /// The title.
    pub title: String,
    /// What made it, name and value: model, weights, machine, command.
    pub facts: Vec<(String, String)>,
    /// What each method got; the first is the one that the others are compared with.
    pub reports: Vec<(String, Report)>,
    /// Questions to look at, with pictures; shown by HTML, named elsewhere.
    pub cases: Vec<Case>,
}

/// A question that two methods answered differently.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Its id.
    pub query: String,
    /// The modification text.
    pub text: String,
    /// The reference.
    pub reference: Picture,
    /// Each method's answers.
    pub sides: Vec<Side>,
}

/// One method's answers to a question.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// The method.
    pub method: String,
    /// Where the best right answer stood.
    pub rank: Option<usize>,
    /// Its first answers, and whether each is right.
    pub found: Vec<(Picture, bool)>,
}

/// A picture that lies in the page itself.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// A `data:` address; empty where there is none.
    pub src: String,
    /// What it shows, or its name.
    pub alt: String,
}

/// A heading with sentences and tables.
pub(crate) struct Section {
    pub title: String,
    pub notes: Vec<String>,
    pub tables: Vec<Table>,
}

/// Cells under a head; the first column holds names.
pub(crate) struct Table {
    pub caption: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<Entry>>,
}

/// What stands in a cell.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Text(String),
    Number { value: String, span: Option<(String, String)>, best: bool },
}

impl Paper {
    /// A paper about these reports, in their order.
    ///
    /// # Errors
    ///
    /// [`crate::Error::NotTheSame`] if they are not all of one exam under one protocol.
    pub fn new(title: impl Into<String>, reports: Vec<(String, Report)>) -> Result<Self> {
        if let Some((_, first)) = reports.first() {
            reports.iter().try_for_each(|(_, other)| first.same_exam(other))?;
        }
        Ok(Self { title: title.into(), facts: Vec::new(), reports, cases: Vec::new() })
    }

    /// The first method against each of the others.
    pub fn comparisons(&self) -> Vec<Comparison> {
        let Some(((name, first), others)) = self.reports.split_first() else { return Vec::new() };
        let compare = |(other, report): &(String, Report)| first.compare(report, (name, other)).ok();
        others.iter().filter_map(compare).collect()
    }

    /// As one page that needs nothing else. `tokens` is a style sheet that names the colours and
    /// spaces as custom properties, so that all pages of a program look alike.
    pub fn to_html(&self, tokens: &str) -> String {
        html::page(self, tokens)
    }

    /// As Markdown.
    pub fn to_markdown(&self) -> String {
        markdown::page(self)
    }

    /// As LaTeX tables, to be put into a document that loads `booktabs`.
    pub fn to_latex(&self) -> String {
        latex::page(self)
    }

    /// As CSV: one line per number, each question's rank too.
    pub fn to_csv(&self) -> String {
        csv::page(self)
    }

    /// As JSON: the reports whole, the comparisons, and the published numbers.
    pub fn to_json(&self) -> String {
        let reports: serde_json::Map<_, _> = self
            .reports
            .iter()
            .map(|(name, report)| (name.clone(), serde_json::to_value(report).unwrap_or_default()))
            .collect();
        let row = |p: &Published| {
            serde_json::json!({
                "exam": p.exam, "protocol": p.protocol, "rules_known": p.known, "method": p.method,
                "marks": p.marks.iter().cloned().collect::<BTreeMap<_, _>>(), "source": p.source,
            })
        };
        let value = serde_json::json!({
            "title": self.title,
            "facts": self.facts.iter().cloned().collect::<BTreeMap<_, _>>(),
            "reports": reports,
            "comparisons": self.comparisons(),
            "published": self.published().into_iter().map(row).collect::<Vec<_>>(),
        });
        format!("{value:#}\n")
    }

    /// Published rows about this exam, or about another split or the mean of the same set.
    fn published(&self) -> Vec<&'static Published> {
        let Some((_, report)) = self.reports.first() else { return Vec::new() };
        let set = |exam: &str| exam.split('/').next().map(str::to_owned);
        published().iter().filter(|p| set(&p.exam) == set(&report.benchmark)).collect()
    }

    /// The whole document.
    fn sections(&self) -> Vec<Section> {
        let Some((_, first)) = self.reports.first() else { return Vec::new() };
        let mut out = vec![self.rules(first), self.marks(first)];
        let comparisons = self.comparisons();
        out.extend((!comparisons.is_empty()).then(|| compared(&comparisons)));
        out.extend(self.groups(first));
        out.extend(self.others(first));
        out.extend(self.seen());
        out
    }

    fn rules(&self, first: &Report) -> Section {
        let mut notes = vec![
            format!(
                "{}: {} questions over a gallery of {}; questions' digest {}.",
                first.benchmark,
                grouped(first.ranks.len()),
                grouped(first.gallery),
                first.asked.short()
            ),
            format!("{}.", sentence(&first.protocol.to_string())),
            format!(
                "Behind each mark stands a 95 % interval from {} resamples of the questions.",
                grouped(first.bootstrap.resamples)
            ),
        ];
        let left_out = &first.left_out;
        for (what, names) in [("items", &left_out.gallery), ("questions", &left_out.queries)] {
            if !names.is_empty() {
                notes.push(format!("Left out: {} {what}: {}.", grouped(names.len()), error::some_of(names)));
            }
        }
        Section { title: "What was asked, and by which rules".into(), notes, tables: Vec::new() }
    }

    fn marks(&self, first: &Report) -> Section {
        let mut tables = Vec::new();
        for group in std::iter::once("all").chain(first.by_change.keys().map(String::as_str)) {
            let mut board = Board::new(first, group);
            for (name, report) in &self.reports {
                // `Paper::new` let only reports of one exam in.
                let _ = board.add(name, report);
            }
            // Those that may not stand here are refused, and stand in a table of their own below.
            self.published().into_iter().for_each(|row| drop(board.add_published(row)));
            let queries = first.groups().into_iter().find(|(g, _)| *g == group).map_or(0, |(_, m)| m.queries);
            tables.push(of_board(&board, format!("{}, {} questions", group_name(group), grouped(queries))));
        }
        Section { title: "Marks".into(), notes: Vec::new(), tables }
    }

    /// By what is changed, what is needed, and how long the text is.
    fn groups(&self, first: &Report) -> Option<Section> {
        let kinds: [(&str, Vec<(&String, &Marks)>); 3] = [
            ("what is changed", first.by_slice.iter().collect()),
            ("what is needed", first.by_aspect.iter().collect()),
            ("length of the text", first.by_length.iter().map(|(n, m)| (n, m)).collect()),
        ];
        let several = first.ranks.iter().any(|r| r.targets > 1);
        let precision = first.protocol.map_ks.iter().copied().find(|k| *k >= 10).filter(|_| several);
        let mark = match (precision, first.protocol.ks.first()) {
            (Some(k), _) => Mark::MeanAp(k),
            (None, Some(k)) => Mark::Recall(*k),
            (None, None) => return None,
        };
        let mut tables = Vec::new();
        for (kind, groups) in kinds.into_iter().filter(|(_, groups)| groups.len() > 1) {
            let head = [kind.to_owned(), "questions".to_owned()];
            let head = head.into_iter().chain(self.reports.iter().map(|(name, _)| name.clone())).collect();
            let line = |(name, marks): (&String, &Marks)| {
                let of = |report: &Report| {
                    report.groups().into_iter().find(|(g, _)| g == name).and_then(|(_, m)| m.get(mark))
                };
                let values: Vec<Option<Estimate>> = self.reports.iter().map(|(_, r)| of(r)).collect();
                let best = values.iter().flatten().map(|e| e.value).fold(0.0, f64::max);
                // Where all are alike, none is best.
                let told = values.iter().flatten().any(|e| e.value < best);
                let cells = values.iter().map(|e| e.map_or_else(none, |e| of_share(e, told && e.value == best)));
                [Entry::Text(name.clone()), Entry::Text(grouped(marks.queries))].into_iter().chain(cells).collect()
            };
            let rows = groups.into_iter().map(line).collect();
            tables.push(Table { caption: format!("{mark} by {kind}"), head, rows });
        }
        (!tables.is_empty()).then(|| Section {
            title: "Where it is easy and where hard".into(),
            notes: Vec::new(),
            tables,
        })
    }

    /// Published numbers that may not stand beside ours: one table per exam and rules.
    fn others(&self, first: &Report) -> Option<Section> {
        let beside =
            |p: &Published| p.exam == first.benchmark && p.protocol.as_ref().is_some_and(|r| r.digest() == first.rules);
        let mut by_rules: BTreeMap<(String, String), Vec<&Published>> = BTreeMap::new();
        for row in self.published().into_iter().filter(|p| !beside(p)) {
            let rules = match &row.protocol {
                Some(p) => format!("protocol {} ({})", p.name, p.digest().short()),
                None => format!("rules not wholly known: {}", row.known),
            };
            by_rules.entry((row.exam.clone(), rules)).or_default().push(row);
        }
        let table = |((exam, rules), rows): ((String, String), Vec<&Published>)| {
            let mut columns: Vec<&String> = Vec::new();
            for (name, _) in rows.iter().flat_map(|r| &r.marks) {
                if !columns.contains(&name) {
                    columns.push(name);
                }
            }
            let best = |column: &String| {
                let values = rows.iter().flat_map(|r| &r.marks).filter(|(n, _)| n == column).map(|(_, v)| *v);
                values.fold(0.0, f64::max)
            };
            let line = |row: &&Published| {
                let cell = |name: &&String| match row.marks.iter().find(|(n, _)| n == *name) {
                    Some((_, v)) => {
                        Entry::Number { value: format!("{:.2}", 100.0 * v), span: None, best: *v == best(name) }
                    }
                    None => none(),
                };
                let cells = columns.iter().map(cell).chain([Entry::Text(row.source.clone())]);
                std::iter::once(Entry::Text(row.method.clone())).chain(cells).collect()
            };
            let head = ["method".to_owned()].into_iter().chain(columns.iter().map(|c| (*c).clone()));
            Table {
                caption: format!("{exam}, {rules}"),
                head: head.chain(["source".to_owned()]).collect(),
                rows: rows.iter().map(line).collect(),
            }
        };
        let tables: Vec<Table> = by_rules.into_iter().map(table).collect();
        let notes = vec![
            "These were given on another exam or by other rules, and must not be read beside the marks above.".into(),
        ];
        (!tables.is_empty()).then(|| Section { title: "What others published".into(), notes, tables })
    }

    /// The cases by name, for formats without pictures.
    fn seen(&self) -> Option<Section> {
        let methods: Vec<String> = self.cases.first()?.sides.iter().map(|s| s.method.clone()).collect();
        let place = |rank: Option<usize>| Entry::Text(rank.map_or_else(|| "–".to_owned(), grouped));
        let line = |case: &Case| {
            let names = [Entry::Text(case.query.clone()), Entry::Text(case.text.clone())];
            names.into_iter().chain(case.sides.iter().map(|s| place(s.rank))).collect()
        };
        let head = ["question".to_owned(), "text".to_owned()].into_iter().chain(methods).collect();
        let rows = self.cases.iter().map(line).collect();
        let table = Table { caption: "Where the right one stood".into(), head, rows };
        let title = "Questions on which they differ most".into();
        Some(Section { title, notes: Vec::new(), tables: vec![table] })
    }
}

/// One table per comparison: marks down, over all questions and by change.
fn compared(comparisons: &[Comparison]) -> Section {
    let mut tables = Vec::new();
    for c in comparisons {
        for group in c.groups.iter().filter(|g| matches!(g.group.as_str(), "all" | "explicit" | "implied")) {
            let line = |d: &crate::Difference| {
                let share = d.mark.is_share();
                let show = |v: f64| if share { percent(v) } else { format!("{v:.1}") };
                let number = |v: f64, best| Entry::Number { value: show(v), span: None, best };
                let more = d.mark.more_is_better();
                let e = d.difference;
                let sure = d.p < 0.05;
                vec![
                    Entry::Text(d.mark.to_string()),
                    number(d.left, (d.left > d.right) == more && d.left != d.right),
                    number(d.right, (d.right > d.left) == more && d.left != d.right),
                    Entry::Number {
                        value: signed(show(e.value), e.value),
                        span: Some((show(e.low), show(e.high))),
                        best: sure,
                    },
                    Entry::Text(p_value(d.p)),
                ]
            };
            let name = format!("{}, {} questions", group_name(&group.group), grouped(group.queries));
            tables.push(Table {
                caption: format!("{} against {}: {name}", c.left, c.right),
                head: vec!["mark".into(), c.left.clone(), c.right.clone(), "difference".into(), "p".into()],
                rows: group.differences.iter().map(line).collect(),
            });
        }
    }
    let notes = vec![
        "Question by question on the same draws (paired bootstrap); a difference in bold is more than luck at 95 %."
            .into(),
    ];
    Section { title: "Is the difference more than luck?".into(), notes, tables }
}

fn of_board(board: &Board, caption: String) -> Table {
    let sources = board.rows.iter().any(|r| r.source.is_some());
    let head = ["method".to_owned()].into_iter().chain(board.columns.iter().cloned());
    let line = |row: &crate::Row| {
        let cell = |c: &Option<crate::Cell>| match c {
            None => none(),
            Some(c) => {
                // Published numbers keep the two decimals that they came with.
                let digits = if c.span.is_none() { 2 } else { 1 };
                let show = |v: f64| format!("{:.digits$}", if c.share { 100.0 * v } else { v });
                let span = c.span.map(|(low, high)| (show(low), show(high)));
                Entry::Number { value: show(c.value), span, best: c.best }
            }
        };
        let source = sources.then(|| Entry::Text(row.source.clone().unwrap_or_else(|| "marked here".to_owned())));
        std::iter::once(Entry::Text(row.method.clone())).chain(row.cells.iter().map(cell)).chain(source).collect()
    };
    let rows = board.rows.iter().map(line).collect();
    Table { caption, head: head.chain(sources.then(|| "source".to_owned())).collect(), rows }
}

fn of_share(e: Estimate, best: bool) -> Entry {
    Entry::Number { value: percent(e.value), span: Some((percent(e.low), percent(e.high))), best }
}

fn none() -> Entry {
    Entry::Text("–".to_owned())
}

fn group_name(group: &str) -> &str {
    if group == "all" { "all kinds" } else { group }
}

fn signed(text: String, value: f64) -> String {
    if value > 0.0 { format!("+{text}") } else { text }
}

/// With a capital.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

impl Entry {
    /// As people read it in a line of text.
    pub(crate) fn plain(&self) -> String {
        match self {
            Entry::Text(text) => text.clone(),
            Entry::Number { value, span: Some((low, high)), .. } => format!("{value} [{low}, {high}]"),
            Entry::Number { value, span: None, .. } => value.clone(),
        }
    }
}
