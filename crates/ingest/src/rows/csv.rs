//! CSV: RFC 4180 with the delimiters in use, both line ends, quotes with newlines inside.
//!
//! Blank lines are no rows. A row whose number of fields differs from the first row's is broken.
//! A quote never closed is a fault: everything behind it would be swallowed.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv_core::ReadRecordResult;

use super::{Cell, Outcome, Visit, looks_like_header, unique};
use crate::fault::{BrokenRow, Fault, excerpt};
use crate::limits;
use crate::options::{Encoding, Header, NULL_TOKENS, Options};
use crate::text::Decode;

/// How one CSV file is to be read: found once, used by both passes.
#[derive(Debug)]
pub(crate) struct Csv {
    encoding: Encoding,
    delimiter: u8,
    header: bool,
    pub(crate) names: Vec<String>,
}

impl Csv {
    pub(crate) fn open(path: &Path, encoding: Encoding, options: &Options) -> Result<Self, Fault> {
        let mut head = Vec::new();
        let decode = open(path, encoding)?;
        let _n = decode
            .take(limits::HEAD_BYTES as u64)
            .read_to_end(&mut head)
            .map_err(|e| reading(path, encoding, 0, e))?;
        let delimiter = options.delimiter.unwrap_or_else(|| delimiter(&head));
        let mut records = Records::new(open(path, encoding)?, delimiter);
        let Some(first) = records.next(path, encoding)? else { return Err(Fault::Empty) };
        if first.ends.len() > limits::COLUMNS {
            return Err(Fault::Limit {
                what: "the number of columns",
                value: first.ends.len() as u64,
                limit: limits::COLUMNS as u64,
                advice: "split the table, or name the right delimiter",
            });
        }
        let cells =
            first.fields().map(|f| String::from_utf8_lossy(f).into_owned()).collect::<Vec<_>>();
        let header = match options.header {
            Header::Auto => looks_like_header(cells.iter().map(String::as_str)),
            Header::Present => true,
            Header::Absent => false,
        };
        let names = unique(
            cells.into_iter().map(|name| if header { excerpt(&name) } else { String::new() }),
        );
        Ok(Self { encoding, delimiter, header, names })
    }

    pub(crate) fn pass(&self, path: &Path, visit: &mut Visit<'_>) -> Result<(), Fault> {
        let mut records = Records::new(open(path, self.encoding)?, self.delimiter);
        if self.header {
            let _names = records.next(path, self.encoding)?;
        }
        let mut row = 0u64;
        loop {
            let Some(record) = records.next(path, self.encoding)? else { return Ok(()) };
            row += 1;
            let (line, done) = (record.line, record.done);
            let flow = match self.cells(&record, row) {
                Ok(cells) => visit(Outcome::Row { row, line, cells: &cells }, done)?,
                Err(broken) => visit(Outcome::Broken(broken), done)?,
            };
            if flow.is_break() {
                return Err(Fault::Cancelled);
            }
        }
    }

    fn cells<'r>(&self, record: &Record<'r>, row: u64) -> Result<Vec<Cell<'r>>, BrokenRow> {
        let broken =
            |column: Option<String>, reason| BrokenRow { row, line: record.line, column, reason };
        if record.ends.len() != self.names.len() {
            let (found, expected) = (record.ends.len(), self.names.len());
            return Err(broken(
                None,
                format!(
                    "{found} fields where {expected} are expected (check delimiter and quotes)"
                ),
            ));
        }
        let Ok(text) = std::str::from_utf8(record.bytes) else {
            let bad = record
                .fields()
                .zip(&self.names)
                .find(|(field, _)| std::str::from_utf8(field).is_err());
            return Err(broken(
                bad.map(|(_, name)| name.clone()),
                "the text is not valid UTF-8".to_owned(),
            ));
        };
        let mut cells = Vec::with_capacity(record.ends.len());
        let mut start = 0;
        for (&end, name) in record.ends.iter().zip(&self.names) {
            let Some(field) = text.get(start..end).filter(|f| f.len() <= limits::CELL_BYTES) else {
                let reason = format!(
                    "the cell is {} bytes, the limit is {}",
                    end - start,
                    limits::CELL_BYTES
                );
                return Err(broken(Some(name.clone()), reason));
            };
            cells.push(if NULL_TOKENS.contains(&field) { Cell::Null } else { Cell::Plain(field) });
            start = end;
        }
        Ok(cells)
    }
}

fn open(path: &Path, encoding: Encoding) -> Result<Decode<File>, Fault> {
    let file = File::open(path).map_err(Fault::file("open", path))?;
    Decode::new(file, encoding).map_err(Fault::file("read", path))
}

pub(crate) fn reading(path: &Path, encoding: Encoding, offset: u64, e: std::io::Error) -> Fault {
    if e.kind() == std::io::ErrorKind::InvalidData {
        Fault::Encoding { encoding: encoding.name(), offset }
    } else {
        Fault::file("read", path)(e)
    }
}

/// The delimiter under which the first rows have the same number of fields, more than one of them.
pub(crate) fn delimiter(head: &[u8]) -> u8 {
    let mut best = (0, b',');
    for candidate in [b',', b'\t', b';'] {
        let counts = field_counts(head, candidate);
        let Some(&first) = counts.first().filter(|n| **n > 1) else { continue };
        let alike = counts.iter().filter(|n| **n == first).count();
        let score = alike * 10_000 / counts.len() * 10_000 + first.min(9_999);
        if score > best.0 {
            best = (score, candidate);
        }
    }
    best.1
}

/// Fields per row of the head under one delimiter; the last, perhaps cut row is left out if it is
/// not the only one.
pub(crate) fn field_counts(head: &[u8], delimiter: u8) -> Vec<usize> {
    let mut records = Records::new(head, delimiter);
    let mut counts = Vec::new();
    while counts.len() < limits::HEAD_ROWS {
        match records.next(Path::new(""), Encoding::Utf8) {
            Ok(Some(record)) => counts.push(record.ends.len()),
            Ok(None) | Err(_) => break,
        }
    }
    if counts.len() > 1 && head.len() >= limits::HEAD_BYTES && counts.len() < limits::HEAD_ROWS {
        let _cut = counts.pop();
    }
    counts
}

struct Record<'r> {
    bytes: &'r [u8],
    ends: &'r [usize],
    line: u64,
    done: u64,
}

impl<'r> Record<'r> {
    fn fields(&self) -> impl Iterator<Item = &'r [u8]> + use<'r> {
        let bytes = self.bytes;
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends).map(move |(start, end)| bytes.get(start..*end).unwrap_or_default())
    }
}

/// Splits a stream into records within [`limits::ROW_BYTES`].
struct Records<R> {
    source: R,
    parser: csv_core::Reader,
    input: Vec<u8>,
    at: usize,
    read: u64,
    /// 0: reading; 1: the newline after the last byte was fed; 2: ended.
    tail: u8,
    out: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: Read> Records<R> {
    fn new(source: R, delimiter: u8) -> Self {
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self {
            source,
            parser,
            input: Vec::new(),
            at: 0,
            read: 0,
            tail: 0,
            out: vec![0; 64 << 10],
            ends: vec![0; 64],
        }
    }

    fn fill(&mut self) -> std::io::Result<()> {
        self.input.resize(limits::READ_BYTES / 4, 0);
        let n = self.source.read(&mut self.input)?;
        self.input.truncate(n);
        self.at = 0;
        self.read = self.read.saturating_add(n as u64);
        if n == 0 {
            // A newline behind the last byte ends any record, unless a quote is still open.
            self.tail += 1;
            if self.tail == 1 {
                self.input.push(b'\n');
            }
        }
        Ok(())
    }

    fn next(&mut self, path: &Path, encoding: Encoding) -> Result<Option<Record<'_>>, Fault> {
        let (mut len, mut fields) = (0, 0);
        // `line()` counts line ends consumed; the "\n" of a "\r\n" is consumed with the next record.
        let line = self.parser.line();
        loop {
            if self.at >= self.input.len() && self.tail < 2 {
                self.fill().map_err(|e| reading(path, encoding, self.read, e))?;
            }
            let input = self.input.get(self.at..).unwrap_or_default();
            let out = self.out.get_mut(len..).unwrap_or_default();
            let ends = self.ends.get_mut(fields..).unwrap_or_default();
            let (result, used, wrote, ended) = self.parser.read_record(input, out, ends);
            self.at += used;
            len += wrote;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.out.len() >= limits::ROW_BYTES => {
                    return Err(unclosed(line, "is very long"));
                }
                ReadRecordResult::OutputFull => self.out.resize(self.out.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => {
                    if self.ends.len() > limits::COLUMNS * 16 {
                        return Err(unclosed(line, "has very many fields"));
                    }
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::Record if self.tail >= 2 => {
                    return Err(unclosed(line, "ends inside a quote"));
                }
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        let bytes = self.out.get(..len).unwrap_or_default();
        let ends = self.ends.get(..fields).unwrap_or_default();
        Ok(Some(Record { bytes, ends, line, done: self.read }))
    }
}

fn unclosed(line: u64, how: &str) -> Fault {
    Fault::broken(
        "CSV",
        format!("the row at line {line} {how}: a quote is probably not closed there"),
    )
}
