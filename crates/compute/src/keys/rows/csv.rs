//! CSV to CSV: the bytes of matched records as they are.

use std::io::{BufWriter, Write};

use super::Job;
use crate::keys::csv::{Fields, Records, names, raw_fields};
use crate::keys::fault::Fault;
use crate::keys::limits::READ_BYTES;
use crate::keys::place::Input;

pub(super) fn copy(job: Job<'_>, delimiter: u8) -> Result<(), Fault> {
    let input = job.input.try_clone().map_err(Fault::io("read", job.name.as_ref()))?;
    let (mut records, header) = Records::new(input, job.name, delimiter)?;
    let names = names(&header, job.name, delimiter)?;
    let mut fields = job.places(&names)?.map(|places| Fields::new(delimiter, names.len(), places));
    let mut out = BufWriter::with_capacity(READ_BYTES, job.output.writer()?);
    let mut write = |bytes: &[u8]| out.write_all(bytes).map_err(|error| job.output.fault()(error));

    write(header.mark)?;
    let end = line_end(&header.whole, &header.line);
    match &fields {
        None => write(&[&header.line, end].concat())?,
        Some(fields) => {
            let present: Vec<&[u8]> = raw_fields(&header.line, delimiter).collect();
            let named = fields.wanted().iter().filter_map(|place| present.get(*place).copied());
            write(&joined(named, delimiter, end))?;
        }
    }
    let mut row = 0;
    while let Some(record) = records.next()? {
        if job.rows.contains(row) {
            match &mut fields {
                None => write(record.whole)?,
                Some(fields) => {
                    if !fields.locate(record) {
                        // A row of other length than the header never had a key; it was not in the result.
                        let expected = job.rows.rows();
                        return Err(Fault::Changed { file: job.name.into(), expected, found: row });
                    }
                    let end = line_end(record.whole, record.line);
                    write(&joined(fields.raw_parts(record.line), delimiter, end))?;
                }
            }
        }
        row += 1;
    }
    job.same_rows(row)?;
    out.flush().map_err(job.output.fault())
}

/// The columns of a list.
pub(super) fn columns(input: Input, name: &str, delimiter: u8) -> Result<Vec<String>, Fault> {
    let (_, header) = Records::new(input, name, delimiter)?;
    names(&header, name, delimiter)
}

/// The line end of a record; that of a last record without one is a line feed.
fn line_end<'b>(whole: &'b [u8], line: &[u8]) -> &'b [u8] {
    whole.get(line.len()..).filter(|end| !end.is_empty()).unwrap_or(b"\n")
}

fn joined<'f>(fields: impl Iterator<Item = &'f [u8]>, delimiter: u8, end: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    for (place, field) in fields.enumerate() {
        if place > 0 {
            line.push(delimiter);
        }
        line.extend_from_slice(field);
    }
    line.extend_from_slice(end);
    line
}
