//! What a file is, by its content first and its extension second.
//!
//! Text is only taken for a table when its extension says so (or is missing or neutral and the
//! content has columns): a STEP drawing or a log is text too. What is no table is `Binary`, and so
//! is a Parquet file that is encrypted already.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::rows::csv;

/// Kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Csv,
    Parquet,
    JsonLines,
    Excel,
    /// Anything else: kept as it is.
    Binary,
}

/// Says what a file is, from its name and its first bytes (64 KiB are plenty).
#[must_use]
pub fn detect(path: &Path, head: &[u8]) -> Format {
    let head = head.get(..limits::HEAD_BYTES).unwrap_or(head);
    let extension =
        path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let extension = extension.as_str();
    if head.starts_with(b"PAR1") {
        return Format::Parquet;
    }
    if head.starts_with(b"PK\x03\x04") {
        let workbook =
            head.windows(3).any(|w| w == b"xl/") || matches!(extension, "xlsx" | "xlsm" | "xlsb");
        return if workbook && !matches!(extension, "ods" | "docx" | "pptx" | "zip") {
            Format::Excel
        } else {
            Format::Binary
        };
    }
    if head.starts_with(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]) {
        return if extension == "xls" { Format::Excel } else { Format::Binary };
    }
    let wide = head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF]);
    let control = |b: &u8| *b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0C);
    if !wide && head.iter().any(control) {
        return Format::Binary;
    }
    let lines = matches!(extension, "jsonl" | "ndjson");
    if lines || (matches!(extension, "json" | "csv" | "txt" | "") && first_line_is_object(head)) {
        return Format::JsonLines;
    }
    match extension {
        "csv" | "tsv" | "tab" => Format::Csv,
        "txt" | "dat" | "" if !head.is_empty() => {
            let counts = csv::field_counts(head, csv::delimiter(head));
            let columns = counts.first().copied().unwrap_or(0);
            let table = columns > 1 && counts.len() > 1 && counts.iter().all(|n| *n == columns);
            if table { Format::Csv } else { Format::Binary }
        }
        _ => Format::Binary,
    }
}

fn first_line_is_object(head: &[u8]) -> bool {
    let head = head.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(head);
    let line = head.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    line.is_some_and(|line| line.first() == Some(&b'{') && crate::rows::json::parse(line).is_ok())
}
