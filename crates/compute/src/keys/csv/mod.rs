//! CSV as it is found: a header, fields behind commas, semicolons or tabs, quotes around fields that need them, `""` for a quote
//! in such a field, LF or CRLF behind a record, perhaps a byte order mark. Empty lines are no records.
//!
//! Records are found in a large buffer without copying; a quote makes no line slow but its own. A carriage return that no line
//! feed follows is part of its field. Nothing here allocates per row. Never shows what is in a field.

mod fields;
mod records;

pub(super) use fields::{Fields, raw_fields, unquoted};
pub(super) use records::{Header, Records};

use super::fault::Fault;
use super::limits::MAX_COLUMNS;

/// Names of columns, without white space around them.
pub(super) fn names(header: &Header, file: &str, delimiter: u8) -> Result<Vec<String>, Fault> {
    let named = raw_fields(&header.line, delimiter).take(MAX_COLUMNS + 1).map(|field| {
        let mut name = Vec::new();
        unquoted(field, &mut name);
        String::from_utf8_lossy(&name).trim().to_owned()
    });
    let names: Vec<String> = named.collect();
    if names.len() > MAX_COLUMNS {
        return Err(Fault::TooMany {
            file: file.into(),
            what: "columns",
            most: MAX_COLUMNS as u64,
        });
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
