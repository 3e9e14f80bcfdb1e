//! Types found over all rows: the narrowest type that holds every value without losing any.
//!
//! integer + float → float; date + timestamp → timestamp; a timestamp with a zone beside one
//! without → text; anything else mixed → text. Only nulls → text.

use crate::classify::{Value, classify, number, time};
use crate::limits::NUMBER_DIGITS;
use crate::options::{ColumnType, MISSING_TOKENS};
use crate::rows::Cell;

const BOOL: u16 = 1;
const INT: u16 = 2;
/// An integer that a double does not hold exactly.
const BIG: u16 = 4;
const FLOAT: u16 = 8;
const DATE: u16 = 16;
const STAMP: u16 = 32;
const UTC: u16 = 64;
const TEXT: u16 = 128;
/// A mark of a missing value: null unless the column turns out to be text.
const MISSING: u16 = 256;

const INT_BIG: u16 = INT | BIG;
const INT_FLOAT: u16 = INT | FLOAT;
const DATE_STAMP: u16 = DATE | STAMP;

/// What was seen in each column so far.
#[derive(Debug, Default)]
pub(crate) struct Inference {
    seen: Vec<(u16, u64)>,
    pub(crate) rows: u64,
}

impl Inference {
    pub(crate) fn row(&mut self, cells: &[Cell<'_>]) {
        if self.seen.len() < cells.len() {
            self.seen.resize(cells.len(), (0, 0));
        }
        self.rows += 1;
        for (cell, (seen, filled)) in cells.iter().zip(&mut self.seen) {
            if *cell != Cell::Null {
                *filled += 1;
            }
            // Once text, always text: only nulls still matter.
            if *seen & TEXT == 0 {
                *seen |= kind(cell);
            }
        }
    }

    /// Type of a column, and whether it may hold nulls.
    pub(crate) fn column(&self, at: usize) -> (ColumnType, bool) {
        let (seen, filled) = self.seen.get(at).copied().unwrap_or_default();
        let kind = match seen & !MISSING {
            BOOL => ColumnType::Boolean,
            INT | BIG | INT_BIG => ColumnType::Integer,
            FLOAT | INT_FLOAT => ColumnType::Float,
            DATE => ColumnType::Date,
            STAMP | DATE_STAMP => ColumnType::Timestamp,
            UTC => ColumnType::TimestampUtc,
            _ => ColumnType::Text,
        };
        let missing = seen & MISSING != 0 && kind != ColumnType::Text;
        (kind, missing || filled < self.rows || self.rows == 0)
    }
}

/// Integers of JSON are numbers by declaration, however long.
pub(crate) const JSON_DIGITS: usize = 19;
const EXACT: i64 = 1 << 53;

fn kind(cell: &Cell<'_>) -> u16 {
    match cell {
        Cell::Null => 0,
        Cell::Plain(text) if MISSING_TOKENS.contains(text) => MISSING,
        Cell::Plain(text) => of(classify(text, NUMBER_DIGITS)),
        Cell::Quoted(text) => time(text).map_or(TEXT, of),
        Cell::Number(text) => number(text, JSON_DIGITS).map_or(TEXT, of),
        Cell::Json(_) => TEXT,
        Cell::Bool(_) => BOOL,
        Cell::Float(v) => {
            if whole(*v).is_some() {
                INT
            } else {
                FLOAT
            }
        }
        Cell::Date(_) => DATE,
        Cell::Stamp(_) => STAMP,
    }
}

fn of(value: Value) -> u16 {
    match value {
        Value::Bool(_) => BOOL,
        Value::Int(v) if (-EXACT..=EXACT).contains(&v) => INT,
        Value::Int(_) => BIG,
        Value::Float(_) => FLOAT,
        Value::Date(_) => DATE,
        Value::Stamp(_) => STAMP,
        Value::StampUtc(_) => UTC,
        Value::Text => TEXT,
    }
}

/// A double that is an integer exactly.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub(crate) fn whole(v: f64) -> Option<i64> {
    (v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0).then_some(v as i64)
}
