//! Licence expressions as SPDX writes them: `(MIT OR Apache-2.0) AND Unicode-3.0`.
//!
//! `WITH` binds tighter than `AND`, `AND` tighter than `OR`.
//! The old `MIT/Apache-2.0` of early crates reads as `OR`.
//! Source: SPDX specification 2.3, annex D.

/// A licence, and the exception it comes with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    name: String,
    exception: Option<String>,
}

impl std::fmt::Display for Licence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.exception {
            Some(exception) => write!(f, "{} WITH {exception}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A choice, a sum, or one licence.
#[derive(Debug, PartialEq, Eq)]
pub enum Expression {
    /// We choose one.
    Any(Vec<Expression>),
    /// We take all.
    All(Vec<Expression>),
    /// This one.
    One(Licence),
}

impl Expression {
    /// Whether we can choose so that every licence we take is fine.
    pub fn allowed(&self, fine: &dyn Fn(&Licence) -> bool) -> bool {
        match self {
            Expression::Any(of) => of.iter().any(|e| e.allowed(fine)),
            Expression::All(of) => of.iter().all(|e| e.allowed(fine)),
            Expression::One(licence) => fine(licence),
        }
    }
}

/// Deeper brackets than this are nobody's licence.
const DEEPEST: usize = 20;

/// Reads an expression.
pub fn parse(text: &str) -> Result<Expression, String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let expression = any(&mut words, 0)?;
    match words.pop() {
        None => Ok(expression),
        Some(word) => Err(format!("{word} is one too many")),
    }
}

/// `words` is reversed: the next one is the last.
fn any(words: &mut Vec<&str>, depth: usize) -> Result<Expression, String> {
    let mut of = vec![all(words, depth)?];
    while words.last() == Some(&"OR") {
        words.pop();
        of.push(all(words, depth)?);
    }
    Ok(if of.len() == 1 { of.remove(0) } else { Expression::Any(of) })
}

fn all(words: &mut Vec<&str>, depth: usize) -> Result<Expression, String> {
    let mut of = vec![one(words, depth)?];
    while words.last() == Some(&"AND") {
        words.pop();
        of.push(one(words, depth)?);
    }
    Ok(if of.len() == 1 { of.remove(0) } else { Expression::All(of) })
}

fn one(words: &mut Vec<&str>, depth: usize) -> Result<Expression, String> {
    match words.pop() {
        Some("(") if depth >= DEEPEST => Err("too many brackets".to_owned()),
        Some("(") => {
            let inner = any(words, depth + 1)?;
            match words.pop() {
                Some(")") => Ok(inner),
                _ => Err("a bracket is not closed".to_owned()),
            }
        }
        Some(word @ (")" | "AND" | "OR" | "WITH")) => Err(format!("a licence was expected, not {word}")),
        None => Err("a licence was expected, not the end".to_owned()),
        Some(name) => {
            let mut exception = None;
            if words.last() == Some(&"WITH") {
                words.pop();
                exception = Some(words.pop().ok_or("an exception was expected after WITH")?.to_owned());
            }
            Ok(Expression::One(Licence { name: name.to_owned(), exception }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expression with all brackets written.
    fn plain(e: &Expression) -> String {
        let join = |of: &[Expression], by: &str| format!("({})", of.iter().map(plain).collect::<Vec<_>>().join(by));
        match e {
            Expression::Any(of) => join(of, " | "),
            Expression::All(of) => join(of, " & "),
            Expression::One(l) => l.to_string(),
        }
    }

    #[test]
    fn and_binds_tighter_than_or_and_with_tighter_than_both() {
        for (text, want) in [
            ("MIT", "MIT"),
            ("A OR B AND C", "(A | (B & C))"),
            ("(A OR B) AND C", "((A | B) & C)"),
            ("A AND B OR C AND D", "((A & B) | (C & D))"),
            ("A WITH x OR B", "(A WITH x | B)"),
            ("A/B", "(A | B)"),
            ("((A))", "A"),
        ] {
            assert_eq!(plain(&parse(text).unwrap()), want, "{text}");
        }
    }

    #[test]
    fn what_is_not_an_expression_is_refused() {
        for text in ["", "OR", "A OR", "A B", "(A", "A)", "A WITH", "AND A", &"(".repeat(5_000)] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
