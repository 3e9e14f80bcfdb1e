//! What can go wrong with a list, a rule or a result: file, column, row and what to do next. Never holds a key.

use std::path::Path;

use super::limits::{SHOWN_CHARS, SHOWN_COLUMNS};

/// Rows are counted from 1, without the header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the matching rule is not valid: {what}")]
    Rule { what: String },
    #[error("the mapping of columns does not fit the rule: {what}")]
    Mapping { what: String },
    #[error("cannot {action} {file}: {reason}")]
    Io { action: &'static str, file: String, reason: String },
    #[error("{file} is empty: a list needs a header line with the names of its columns")]
    NoHeader { file: String },
    #[error("{file} has no column {column:?} for {purpose}; {advice}")]
    NoColumn { file: String, column: String, purpose: String, advice: String },
    #[error("{file} has more than one column {column:?}: rename all but one")]
    ColumnTwice { file: String, column: String },
    #[error(
        "column {column:?} of {file} is of type {found}, which cannot be a key of form {form}: {advice}"
    )]
    ColumnType {
        file: String,
        column: String,
        found: String,
        form: &'static str,
        advice: &'static str,
    },
    #[error("{file} is not UTF-8 text ({what}): save it as UTF-8")]
    Encoding { file: String, what: &'static str },
    #[error(
        "row {row} of {file} opens a quote that is never closed: close it, or double it if it is part of a value"
    )]
    OpenQuote { file: String, row: u64 },
    #[error(
        "row {row} of {file} is longer than {most} bytes: look for a quote that is never closed, or for missing line ends"
    )]
    RowTooLong { file: String, row: u64, most: usize },
    #[error("{file} has more than {most} {what}: split it")]
    TooMany { file: String, what: &'static str, most: u64 },
    #[error("{file} cannot be read as {format} (after {row} rows): {reason}")]
    Table { file: String, format: &'static str, row: u64, reason: String },
    #[error(
        "{file} has {found} rows, {expected} when its keys were read: it changed in between; run the job again on a list that stays"
    )]
    Changed { file: String, expected: u64, found: u64 },
    #[error("results of a {from} list cannot be written as {to}: choose {advice}")]
    Conversion { from: &'static str, to: &'static str, advice: &'static str },
    #[error("the result would overwrite the list {file} itself: choose another path")]
    Overwrite { file: String },
    #[error("column {column:?} of {file} cannot be summed up: in row {row} it {why}")]
    Value { file: String, column: String, row: u64, why: &'static str },
    #[error(
        "row {row} of {file} has {found} bytes in the columns that are given, and {most} were agreed on: agree on more, or on fewer columns"
    )]
    LabelTooLong { file: String, row: u64, found: usize, most: usize },
    #[error("these bytes are not a bitmap of rows: {what}")]
    Bitmap { what: &'static str },
}

impl Fault {
    /// The stable code, for logs, metrics, problem documents and texts in other languages.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rule { .. } => "keys.rule",
            Self::Mapping { .. } => "keys.mapping",
            Self::Io { .. } => "keys.io",
            Self::NoHeader { .. } => "keys.no-header",
            Self::NoColumn { .. } => "keys.no-column",
            Self::ColumnTwice { .. } => "keys.column-twice",
            Self::ColumnType { .. } => "keys.column-type",
            Self::Encoding { .. } => "keys.encoding",
            Self::OpenQuote { .. } => "keys.open-quote",
            Self::RowTooLong { .. } => "keys.row-too-long",
            Self::TooMany { .. } => "keys.too-many",
            Self::Table { .. } => "keys.table",
            Self::Changed { .. } => "keys.changed",
            Self::Conversion { .. } => "keys.conversion",
            Self::Overwrite { .. } => "keys.overwrite",
            Self::Value { .. } => "keys.value",
            Self::LabelTooLong { .. } => "keys.label-too-long",
            Self::Bitmap { .. } => "keys.bitmap",
        }
    }

    pub(super) fn rule(what: impl Into<String>) -> Self {
        Self::Rule { what: what.into() }
    }

    pub(super) fn mapping(what: impl Into<String>) -> Self {
        Self::Mapping { what: what.into() }
    }

    pub(super) fn io(action: &'static str, file: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let file = file.display().to_string();
        move |error| Self::Io { action, file, reason: error.to_string() }
    }

    /// The column that is not there, the ones that are, and the one that was probably meant. A first line that looks
    /// like data is not repeated: it holds somebody's key.
    pub(super) fn no_column(file: &str, column: &str, purpose: &str, present: &[String]) -> Self {
        let advice = if present.iter().any(|name| looks_like_data(name)) {
            "its first line looks like data: put a header line above it".to_owned()
        } else {
            let names =
                present.iter().take(SHOWN_COLUMNS).map(|name| format!("{:?}", shortened(name)));
            let names = names.collect::<Vec<_>>().join(", ");
            let more = present.len().saturating_sub(SHOWN_COLUMNS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let nearest = present.iter().map(|name| (distance(name, column), name)).min();
            let meant = match nearest {
                Some((far, name)) if far <= 1 + column.chars().count() / 3 => {
                    format!("; did you mean {name:?}?")
                }
                _ => String::new(),
            };
            format!("it has {names}{more}{meant}")
        };
        Self::NoColumn { file: file.into(), column: column.into(), purpose: purpose.into(), advice }
    }

    /// What a reader of tables says when it opens one. While rows are read its words are not repeated: they may hold
    /// values.
    pub(super) fn table(file: &str, format: &'static str, error: &impl ToString) -> Self {
        let reason = shortened(&error.to_string());
        Self::Table { file: file.into(), format, row: 0, reason }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

fn looks_like_data(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    digits >= 4 && 2 * digits >= name.len() || name.len() > 128
}

/// Edits (insert, delete, replace) between two names, case ignored; 64 characters of each are looked at.
fn distance(one: &str, other: &str) -> usize {
    let letters = |name: &str| name.to_lowercase().chars().take(64).collect::<Vec<_>>();
    let (one, other) = (letters(one), letters(other));
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut next = vec![i + 1];
        for ((b, above), left_above) in other.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or(0);
            next.push((left_above + usize::from(a != b)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
