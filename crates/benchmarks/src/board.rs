//! A table of methods in which two scores stand in one column only if they may be compared.

use crate::{Error, Mark, Marks, Protocol, Published, Report, Result};

/// Methods down, marks across, all of one exam under one protocol.
///
/// What is of another exam or under other rules is refused by [`Board::add`], so that a table that
/// exists is a table that may be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// The exam.
    pub exam: String,
    /// Which of its questions: `all`, or a group's name.
    pub group: String,
    /// The rules that every cell was given by.
    pub protocol: Protocol,
    /// Names of marks and averages.
    pub columns: Vec<String>,
    /// The methods.
    pub rows: Vec<Row>,
}

/// One method.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is called.
    pub method: String,
    /// One cell per column; `None` where there is no such number.
    pub cells: Vec<Option<Cell>>,
    /// Where a published number is written; `None` for what was marked here.
    pub source: Option<String>,
}

/// One number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// The mark.
    pub value: f64,
    /// Its 95 % interval; published numbers have none.
    pub span: Option<(f64, f64)>,
    /// Whether it is a share, to be read in per cent.
    pub share: bool,
    /// Whether no other in the column is better.
    pub best: bool,
}

impl Board {
    /// A table for one report's exam and rules, for all questions or one group of them, without any
    /// method yet.
    pub fn new(report: &Report, group: &str) -> Self {
        let several = report.ranks.iter().any(|r| r.targets > 1);
        let given = marks_of(report, group);
        let wanted = |m: &Mark| {
            let says_something = several || !matches!(m, Mark::MeanAp(_));
            says_something && given.is_some_and(|g| g.get(*m).is_some())
        };
        let marks = report.protocol.marks().into_iter().filter(wanted).map(|m| m.to_string());
        let averages = report.protocol.averages.iter().map(|a| a.name.clone());
        let averages = averages.filter(|a| given.is_some_and(|g| g.averages.contains_key(a)));
        Self {
            exam: report.benchmark.clone(),
            group: group.to_owned(),
            protocol: report.protocol.clone(),
            columns: marks.chain(averages).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a method that was marked here.
    ///
    /// # Errors
    ///
    /// [`Error::NotTheSame`] if it sat another exam, or was marked by other rules.
    pub fn add(&mut self, method: &str, report: &Report) -> Result<()> {
        self.same("the exam", &report.benchmark, &self.exam.clone())?;
        self.same("the protocol's digest", &report.protocol.digest().short(), &self.protocol.digest().short())?;
        let marks = marks_of(report, &self.group);
        let cell = |name: &String| {
            let marks = marks?;
            let mark = name.parse::<Mark>().ok();
            let e = mark.map_or_else(|| marks.averages.get(name).copied(), |m| marks.get(m))?;
            let share = mark.is_none_or(Mark::is_share);
            Some(Cell { value: e.value, span: Some((e.low, e.high)), share, best: false })
        };
        let cells = self.columns.iter().map(cell).collect();
        self.rows.push(Row { method: method.to_owned(), cells, source: None });
        self.crown();
        Ok(())
    }

    /// Adds a published row.
    ///
    /// # Errors
    ///
    /// [`Error::NotTheSame`] if it is of another exam, or its rules are others or not known.
    pub fn add_published(&mut self, row: &Published) -> Result<()> {
        let rules = row.protocol.as_ref().map_or_else(|| "not stated".to_owned(), |p| p.digest().short());
        self.same("the exam", &row.exam, &self.exam.clone())?;
        self.same("the group", "all", &self.group.clone())?;
        self.same("the protocol's digest", &rules, &self.protocol.digest().short())?;
        let cell = |name: &String| {
            let (_, value) = row.marks.iter().find(|(n, _)| n == name)?;
            Some(Cell { value: *value, span: None, share: true, best: false })
        };
        let cells = self.columns.iter().map(cell).collect();
        self.rows.push(Row { method: row.method.clone(), cells, source: Some(row.source.clone()) });
        self.crown();
        Ok(())
    }

    fn same(&self, what: &'static str, left: &str, right: &str) -> Result<()> {
        match left == right {
            true => Ok(()),
            false => Err(Error::NotTheSame { what, left: left.to_owned(), right: right.to_owned() }),
        }
    }

    /// Marks the best of each column.
    fn crown(&mut self) {
        for column in 0..self.columns.len() {
            let values = self.rows.iter().filter_map(|r| r.cells[column]);
            let better = |a: f64, c: Cell| if c.share { a.max(c.value) } else { a.min(c.value) };
            let first = self.rows.iter().find_map(|r| r.cells[column]).map_or(0.0, |c| c.value);
            let best = values.fold(first, better);
            for row in &mut self.rows {
                if let Some(cell) = &mut row.cells[column] {
                    cell.best = cell.value == best;
                }
            }
        }
    }
}

fn marks_of<'a>(report: &'a Report, group: &str) -> Option<&'a Marks> {
    report.groups().into_iter().find(|(name, _)| *name == group).map(|(_, marks)| marks)
}
