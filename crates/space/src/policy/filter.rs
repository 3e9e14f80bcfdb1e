//! Which rows may be touched: `temperature >= 20 and site = 'A7'`, a conjunction over columns (TC609-6-2025-14, table
//! 5.1: the constraint on field values).
//!
//! Threat: the text is the peer's and reaches a query engine one day, so it is parsed here into plain comparisons and
//! never passed on as text. A cell of another kind than its literal is unknown, and an unknown row is not shown.

use std::fmt;

use crate::limits::{POLICY_EXPRESSION_BYTES, POLICY_EXPRESSION_PARTS};
use crate::policy::truth::{Cmp, Truth};

/// All of its parts hold for a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filter(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    column: String,
    cmp: Cmp,
    literal: Literal,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Literal {
    /// As written; a decimal without exponent.
    Number(String),
    Text(String),
}

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Number(f64),
    Text(&'a str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a condition on columns such as temperature >= 20 and site = 'A7'")]
pub struct BadFilter;

impl Filter {
    pub fn parse(text: &str) -> Result<Self, BadFilter> {
        if text.len() > POLICY_EXPRESSION_BYTES {
            return Err(BadFilter);
        }
        let mut parts = vec![];
        let mut rest = text.trim_start();
        loop {
            if parts.len() == POLICY_EXPRESSION_PARTS {
                return Err(BadFilter);
            }
            let (part, after) = part(rest)?;
            parts.push(part);
            rest = after.trim_start();
            if rest.is_empty() {
                return Ok(Self(parts));
            }
            let after = rest.strip_prefix("and").ok_or(BadFilter)?;
            rest = after.trim_start();
            if rest.len() == after.len() {
                return Err(BadFilter);
            }
        }
    }

    /// `cell`: the value of a column in the row, `None` where it has none.
    pub fn admits<'a>(&self, cell: impl Fn(&str) -> Option<Cell<'a>>) -> Truth {
        Truth::all(self.0.iter().map(|it| match (cell(&it.column), &it.literal) {
            (Some(Cell::Number(left)), Literal::Number(right)) => {
                Truth::known(right.parse::<f64>().ok().map(|right| it.cmp.holds(left, right)))
            }
            (Some(Cell::Text(left)), Literal::Text(right)) => {
                Truth::of(it.cmp.holds(left, right.as_str()))
            }
            _ => Truth::Unknown,
        }))
    }

    /// Both hold.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

fn part(text: &str) -> Result<(Part, &str), BadFilter> {
    let in_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let end = text.find(|c| !in_name(c)).ok_or(BadFilter)?;
    let (column, rest) = text.split_at(end);
    if column.chars().next().is_none_or(|c| c.is_ascii_digit()) || column == "and" {
        return Err(BadFilter);
    }
    let rest = rest.trim_start();
    // Longer signs first: `<=` begins with `<`.
    let signs = [
        ("!=", Cmp::Neq),
        ("<=", Cmp::Lteq),
        (">=", Cmp::Gteq),
        ("=", Cmp::Eq),
        ("<", Cmp::Lt),
        (">", Cmp::Gt),
    ];
    let (cmp, rest) = signs
        .into_iter()
        .find_map(|(sign, cmp)| Some((cmp, rest.strip_prefix(sign)?)))
        .ok_or(BadFilter)?;
    let (literal, rest) = literal(rest.trim_start())?;
    Ok((Part { column: column.to_owned(), cmp, literal }, rest))
}

fn literal(text: &str) -> Result<(Literal, &str), BadFilter> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let end = text.find(|c: char| c.is_whitespace()).unwrap_or(text.len());
        let (number, rest) = text.split_at(end);
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let ok = digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(fraction);
        return if ok { Ok((Literal::Number(number.to_owned()), rest)) } else { Err(BadFilter) };
    };
    let mut said = String::new();
    loop {
        let (head, after) = rest.split_once('\'').ok_or(BadFilter)?;
        said.push_str(head);
        match after.strip_prefix('\'') {
            // Two quotes are one in the text.
            Some(more) => {
                said.push('\'');
                rest = more;
            }
            None => return Ok((Literal::Text(said), after)),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, it) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" and ")?;
            }
            let sign = match it.cmp {
                Cmp::Lt => "<",
                Cmp::Lteq => "<=",
                Cmp::Gt => ">",
                Cmp::Gteq => ">=",
                Cmp::Eq => "=",
                Cmp::Neq => "!=",
            };
            match &it.literal {
                Literal::Number(n) => write!(f, "{} {sign} {n}", it.column)?,
                Literal::Text(t) => {
                    write!(f, "{} {sign} '{}'", it.column, t.replace('\'', "''"))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_are_admitted_or_not() {
        let row = |name: &str| match name {
            "temperature" => Some(Cell::Number(21.5)),
            "site" => Some(Cell::Text("A'7")),
            _ => None,
        };
        for (text, truth) in [
            ("temperature >= 20", Truth::Yes),
            ("temperature>=20 and site='A''7'", Truth::Yes),
            ("temperature < -1.5", Truth::No),
            ("site != 'A''7'", Truth::No),
            ("site = 7", Truth::Unknown),
            ("温度 > 3", Truth::Unknown),
            ("温度 > 3 and temperature = 1", Truth::No),
        ] {
            let it = Filter::parse(text).unwrap();
            assert_eq!(it.admits(row), truth, "{text}");
            assert_eq!(Filter::parse(&it.to_string()), Ok(it), "{text}");
        }
        let long = format!("a = '{}'", "x".repeat(POLICY_EXPRESSION_BYTES));
        let many = ["a = 1"; POLICY_EXPRESSION_PARTS + 1].join(" and ");
        for bad in [
            "",
            "a",
            "a =",
            "= 1",
            "a = 1 and",
            "a = 1 or b = 2",
            "a = 1; drop",
            "a = 'x",
            "1a = 2",
            "a = 1e9",
            "a = 0x1",
            "a = 1 andb = 2",
            "and = 1",
            "a == 1",
            "a = b",
            "a = 1.",
            &long,
            &many,
        ] {
            assert_eq!(Filter::parse(bad), Err(BadFilter), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[a-z='<>!0-9. ]{0,40}") {
            if let Ok(it) = Filter::parse(&text) {
                prop_assert_eq!(Filter::parse(&it.to_string()), Ok(it));
            }
        }
    }
}
