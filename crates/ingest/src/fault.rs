//! What can go wrong, in words that say what to do. Never holds more than
//! [`SHOWN_CHARS`](crate::limits::SHOWN_CHARS) characters of a cell: faults reach logs.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::limits::SHOWN_CHARS;

/// Why a file did not become a table.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("cannot {action} {path}: {source}", path = path.display())]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the file is empty: nothing to publish")]
    Empty,
    #[error("{0}")]
    Row(BrokenRow),
    #[error(
        "{skipped} rows are broken, more than the {allowed} that may be skipped; the last: {last}"
    )]
    TooManyBroken { skipped: u64, allowed: u64, last: BrokenRow },
    #[error(
        "the text is not {encoding} near byte {offset}: save the file as UTF-8 or name its encoding"
    )]
    Encoding { encoding: &'static str, offset: u64 },
    #[error("{what} is {value}, the limit is {limit}: {advice}")]
    Limit { what: &'static str, value: u64, limit: u64, advice: &'static str },
    #[error("this is not a readable {format} file: {reason}")]
    Broken { format: &'static str, reason: String },
    #[error("there is no sheet {wanted:?}; the workbook has: {present}")]
    NoSheet { wanted: String, present: String },
    #[error("option names column {0:?}, which the file does not have")]
    NoColumn(String),
    #[error("a {0} file is not a table: keep it as a binary file")]
    NotTable(&'static str),
    #[error("the file changed while it was read: read it again when it is complete")]
    Changed,
    #[error("cancelled")]
    Cancelled,
    #[error("the key or the AAD prefix does not open this sealed table")]
    Refused,
}

/// One row that could not be read, where it stands and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRow {
    /// Number of the data row, from 1, the header not counted.
    pub row: u64,
    /// Line of the file (text) or row of the sheet (Excel), from 1.
    pub line: u64,
    /// Name of the column, where one is to blame.
    pub column: Option<String>,
    pub reason: String,
}

impl fmt::Display for BrokenRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} (line {})", self.row, self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column:?}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl Fault {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn broken(format: &'static str, reason: impl fmt::Display) -> Self {
        Self::Broken { format, reason: shown(&reason.to_string(), 200) }
    }
}

/// The first characters of outside text, control characters escaped.
pub(crate) fn excerpt(text: &str) -> String {
    shown(text, SHOWN_CHARS)
}

fn shown(text: &str, chars: usize) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i + 1 >= chars && text.chars().nth(chars).is_some() {
            out.push('…');
            break;
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}
