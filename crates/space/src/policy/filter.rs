//! Which rows may be touched: `temperature >= 20 and site = 'A7'`, a conjunction over columns (TC609-6-2025-14, table
//! 5.1: the constraint on field values).
//!
//! | column | literal | compared |
//! |---|---|---|
//! | whole or fixed-point number | number | exactly, digit by digit |
//! | floating point | number | with the double nearest to the literal; NaN is unknown |
//! | text | text | by code points, no case folded, no blanks cut |
//! | true or false | `'true'`, `'false'` | `=` and `!=` only |
//! | date | `'2026-07-01'` | by days |
//! | moment in UTC | `'2026-07-01T08:00:00+08:00'` | by microseconds; a zone is needed |
//! | moment without zone | `'2026-07-01T08:00:00'` | by microseconds; a zone is not understood |
//!
//! Threat: the text is the peer's and decides which rows leave, so it is parsed here into plain comparisons and never
//! passed on as text. A cell that is missing, or of another kind than its literal, is unknown (`!=`, too), and an
//! unknown row is not permitted.

use std::cmp::Ordering;
use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime};

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
    /// `units · 10^-scale`: whole and fixed-point numbers.
    Exact {
        units: i128,
        scale: u32,
    },
    Float(f64),
    Text(&'a str),
    Flag(bool),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970; a column with a zone holds UTC.
    Moment {
        micros: i64,
        zoned: bool,
    },
}

/// What a column holds, as far as conditions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    Text,
    Flag,
    Date,
    Moment { zoned: bool },
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
        Truth::all(self.0.iter().map(|it| {
            Truth::known(cell(&it.column).and_then(|cell| compared(cell, it.cmp, &it.literal)))
        }))
    }

    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|it| &*it.column)
    }

    /// A column whose kind its comparison does not fit: no row would ever be permitted by it. `kind`: of a column,
    /// `None` where conditions do not know such a kind.
    pub fn misfit(&self, kind: impl Fn(&str) -> Option<Kind>) -> Option<&str> {
        self.0
            .iter()
            .find(|it| !kind(&it.column).is_some_and(|kind| it.fits(kind)))
            .map(|it| &*it.column)
    }

    /// Both hold.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl Part {
    fn fits(&self, kind: Kind) -> bool {
        let equality = matches!(self.cmp, Cmp::Eq | Cmp::Neq);
        match (kind, &self.literal) {
            (Kind::Number, Literal::Number(_)) | (Kind::Text, Literal::Text(_)) => true,
            (Kind::Flag, Literal::Text(text)) => equality && flag(text).is_some(),
            (Kind::Date, Literal::Text(text)) => date(text).is_some(),
            (Kind::Moment { zoned }, Literal::Text(text)) => moment(text, zoned).is_some(),
            (Kind::Number, Literal::Text(_))
            | (Kind::Text | Kind::Flag | Kind::Date | Kind::Moment { .. }, Literal::Number(_)) => {
                false
            }
        }
    }
}

/// `None`: not comparable, which nobody may take for a yes.
fn compared(cell: Cell<'_>, cmp: Cmp, literal: &Literal) -> Option<bool> {
    match (cell, literal) {
        (Cell::Exact { units, scale }, Literal::Number(right)) => {
            exact(units, scale, right).map(|order| cmp.holds(order, Ordering::Equal))
        }
        (Cell::Float(left), Literal::Number(right)) => {
            let right = right.parse::<f64>().ok()?;
            (!left.is_nan()).then(|| cmp.holds(left, right))
        }
        (Cell::Text(left), Literal::Text(right)) => Some(cmp.holds(left, right.as_str())),
        (Cell::Flag(left), Literal::Text(right)) => {
            let right = flag(right).filter(|_| matches!(cmp, Cmp::Eq | Cmp::Neq))?;
            Some(cmp.holds(left, right))
        }
        (Cell::Date(left), Literal::Text(right)) => Some(cmp.holds(i64::from(left), date(right)?)),
        (Cell::Moment { micros, zoned }, Literal::Text(right)) => {
            Some(cmp.holds(micros, moment(right, zoned)?))
        }
        (Cell::Exact { .. } | Cell::Float(_), Literal::Text(_))
        | (
            Cell::Text(_) | Cell::Flag(_) | Cell::Date(_) | Cell::Moment { .. },
            Literal::Number(_),
        ) => None,
    }
}

/// `units · 10^-scale` against a decimal literal, without a rounding in between.
fn exact(units: i128, scale: u32, literal: &str) -> Option<Ordering> {
    let (whole, fraction) = literal.split_once('.').unwrap_or((literal, ""));
    let places = u32::try_from(fraction.len()).ok()?;
    let right: i128 = format!("{whole}{fraction}").parse().ok()?;
    let common = scale.max(places);
    let left = units.checked_mul(10_i128.checked_pow(common - scale)?)?;
    let right = right.checked_mul(10_i128.checked_pow(common - places)?)?;
    Some(left.cmp(&right))
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Days since 1970.
fn date(text: &str) -> Option<i64> {
    let it = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(it.signed_duration_since(NaiveDate::default()).num_days())
}

/// Microseconds since 1970.
fn moment(text: &str, zoned: bool) -> Option<i64> {
    if zoned {
        return DateTime::parse_from_rfc3339(text).ok().map(|it| it.timestamp_micros());
    }
    let it = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
    Some(it.and_utc().timestamp_micros())
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
            "temperature" => Some(Cell::Float(21.5)),
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

    #[test]
    fn values_are_compared_as_what_they_are() {
        let row = |name: &str| match name {
            "big" => Some(Cell::Exact { units: 9_007_199_254_740_993, scale: 0 }),
            "price" => Some(Cell::Exact { units: 1999, scale: 2 }),
            "nan" => Some(Cell::Float(f64::NAN)),
            "ok" => Some(Cell::Flag(true)),
            "day" => Some(Cell::Date(20_635)), // 2026-07-01
            "at" => Some(Cell::Moment { micros: 1_782_864_000_000_000, zoned: true }),
            "local" => Some(Cell::Moment { micros: 1_782_864_000_000_000, zoned: false }),
            "name" => Some(Cell::Text("Ä ")),
            _ => None,
        };
        for (text, truth) in [
            // The next double below is 9007199254740992: not equal all the same.
            ("big = 9007199254740992", Truth::No),
            ("big > 9007199254740992.5", Truth::Yes),
            ("price = 19.990", Truth::Yes),
            ("price < 19.9901", Truth::Yes),
            ("nan != 1", Truth::Unknown),
            ("nan = 1", Truth::Unknown),
            ("missing != 'x'", Truth::Unknown),
            ("ok = 'true'", Truth::Yes),
            ("ok != 'true'", Truth::No),
            ("ok > 'false'", Truth::Unknown),
            ("ok = 'TRUE'", Truth::Unknown),
            ("day = '2026-07-01'", Truth::Yes),
            ("day < '2026-07-02'", Truth::Yes),
            ("day = '2026-7-1x'", Truth::Unknown),
            ("day = 20635", Truth::Unknown),
            ("at = '2026-07-01T08:00:00+08:00'", Truth::Yes),
            ("at >= '2026-07-01T00:00:00.000001Z'", Truth::No),
            ("at = '2026-07-01T00:00:00'", Truth::Unknown),
            ("local = '2026-07-01T00:00:00'", Truth::Yes),
            ("local = '2026-07-01T00:00:00Z'", Truth::Unknown),
            ("name = 'Ä '", Truth::Yes),
            ("name = 'ä '", Truth::No),
            ("name = 'Ä'", Truth::No),
            ("name > 'Z'", Truth::Yes),
        ] {
            assert_eq!(Filter::parse(text).unwrap().admits(row), truth, "{text}");
        }
        let digits = "9".repeat(60);
        assert_eq!(Filter::parse(&format!("big < {digits}")).unwrap().admits(row), Truth::Unknown);
    }

    #[test]
    fn conditions_that_no_row_could_meet_are_found_before_anybody_signs() {
        let kind = |name: &str| match name {
            "n" => Some(Kind::Number),
            "t" => Some(Kind::Text),
            "f" => Some(Kind::Flag),
            "d" => Some(Kind::Date),
            "u" => Some(Kind::Moment { zoned: true }),
            _ => None,
        };
        for (text, misfit) in [
            (
                "n > 1 and t = 'x' and f = 'true' and d < '2026-07-01' and u > '2026-07-01T00:00:00Z'",
                None,
            ),
            ("n = 'x'", Some("n")),
            ("n > 1 and t = 1", Some("t")),
            ("f < 'true'", Some("f")),
            ("d = '2026-07-01T00:00:00Z'", Some("d")),
            ("u > '2026-07-01'", Some("u")),
            ("other = 1", Some("other")),
        ] {
            assert_eq!(Filter::parse(text).unwrap().misfit(kind), misfit, "{text}");
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
