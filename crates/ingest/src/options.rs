//! What a person may say about a source beforehand. Nothing here is required: `Options::default()`
//! reads every ordinary file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits;

/// How to read a source.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who publishes; recorded in the origin.
    pub by: String,
    /// Encoding of text; found out when `None`.
    pub encoding: Option<Encoding>,
    /// Field delimiter of CSV; found out among `,` tab and `;` when `None`.
    pub delimiter: Option<u8>,
    pub header: Header,
    /// Sheet of a workbook by name; the first one when `None`.
    pub sheet: Option<String>,
    /// Types set by hand, by column name; the others are inferred.
    pub types: BTreeMap<String, ColumnType>,
    /// Broken rows that may be skipped and reported (`--lenient`). 0: the first one is a fault.
    pub broken_rows_allowed: u64,
    /// Excel files beyond this many bytes are refused.
    pub excel_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            by: String::new(),
            encoding: None,
            delimiter: None,
            header: Header::Auto,
            sheet: None,
            types: BTreeMap::new(),
            broken_rows_allowed: 0,
            excel_bytes: limits::EXCEL_BYTES,
        }
    }
}

/// Whether the first row of CSV or Excel names the columns.
///
/// `Auto`: it does when at least one cell is filled and no cell is a number, date or truth value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    Auto,
    Present,
    Absent,
}

/// Encodings of text sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// GB 18030, and so GBK and GB 2312.
    Gb18030,
    Utf16Le,
    Utf16Be,
    Windows1252,
}

/// Type of a column of a text, JSON or Excel source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    Boolean,
    /// 64-bit integer.
    Integer,
    /// 64-bit float.
    Float,
    Date,
    /// Microseconds, without a zone.
    Timestamp,
    /// Microseconds, with a zone in the source, kept in UTC.
    TimestampUtc,
    Text,
}

pub(crate) const NULL_TOKENS: [&str; 4] = ["", "NULL", "null", "\\N"];

/// Marks of a missing value in columns that are not text. In a text column they are kept: `NA` may
/// be a name.
pub(crate) const MISSING_TOKENS: [&str; 12] =
    ["NA", "N/A", "n/a", "NaN", "nan", "None", "none", "-", "--", "#N/A", "#NULL!", "nil"];
