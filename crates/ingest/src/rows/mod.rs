//! Rows of text, JSON and Excel sources as cells, one row at a time.
//!
//! Each source tells the same tale twice, so the first pass may find types the second one uses.
//! A row that cannot be read is reported as [`Outcome::Broken`]; whether that ends the reading is
//! the caller's choice. What makes reading on impossible is a [`Fault`].

pub(crate) mod csv;
pub(crate) mod excel;
pub(crate) mod json;

use std::ops::ControlFlow;

use crate::fault::{BrokenRow, Fault};

/// One cell as its source says it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    /// Text of a source without types (CSV): may be anything.
    Plain(&'a str),
    /// Text by declaration (JSON or Excel string): text, or a date.
    Quoted(&'a str),
    /// A number as written in JSON.
    Number(&'a str),
    /// A nested JSON value, kept as its JSON text.
    Json(&'a str),
    Bool(bool),
    Float(f64),
    Date(i32),
    Stamp(i64),
}

/// One row, or why there is none.
pub(crate) enum Outcome<'a> {
    Row { row: u64, line: u64, cells: &'a [Cell<'a>] },
    Broken(BrokenRow),
}

/// Sees rows; `done` is the position in bytes of the source. Returns `Break` to cancel.
pub(crate) type Visit<'v> = dyn FnMut(Outcome<'_>, u64) -> Result<ControlFlow<()>, Fault> + 'v;

/// Names made usable: trimmed, filled in, and unique (`name`, `name_2`, …).
pub(crate) fn unique(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut taken = std::collections::HashSet::new();
    let mut out = Vec::new();
    for (i, name) in names.into_iter().enumerate() {
        let trimmed = name.trim();
        let base =
            if trimmed.is_empty() { format!("column_{}", i + 1) } else { trimmed.to_owned() };
        let mut name = base.clone();
        let mut n = 2;
        while !taken.insert(name.clone()) {
            name = format!("{base}_{n}");
            n += 1;
        }
        out.push(name);
    }
    out
}

/// Whether a first row names the columns: see [`Header`](crate::options::Header).
pub(crate) fn looks_like_header<'a>(cells: impl IntoIterator<Item = &'a str>) -> bool {
    use crate::classify::{Value, classify};
    let mut filled = false;
    for cell in cells {
        let cell = cell.trim();
        filled |= !cell.is_empty();
        if !matches!(classify(cell, usize::MAX), Value::Text) {
            return false;
        }
    }
    filled
}
