//! Finds records in a stream of bytes: one buffer that moves and, up to a bound, grows.

use std::io::Read;

use memchr::{memchr, memchr2};

use crate::keys::fault::Fault;
use crate::keys::limits::{MAX_RECORD_BYTES, READ_BYTES};

pub(in crate::keys) struct Records<R> {
    input: R,
    file: String,
    delimiter: u8,
    buffer: Vec<u8>,
    /// What of the buffer is read and not yet taken.
    start: usize,
    end: usize,
    ended: bool,
    /// The first quote at or behind `start`, `end` if there is none. To be sought again once `start` has passed it.
    quote: usize,
    /// Records given, the header too.
    given: u64,
}

/// One record, with and without its line end. The line has at least one byte.
#[derive(Clone, Copy)]
pub(in crate::keys) struct Record<'b> {
    pub(in crate::keys) whole: &'b [u8],
    pub(in crate::keys) line: &'b [u8],
    /// Whether there is a quote anywhere in it.
    pub(in crate::keys) quotes: bool,
}

/// The first record, and what stands before it (a byte order mark or nothing).
pub(in crate::keys) struct Header {
    pub(in crate::keys) mark: &'static [u8],
    pub(in crate::keys) whole: Vec<u8>,
    pub(in crate::keys) line: Vec<u8>,
}

impl<R: Read> Records<R> {
    /// Begins with the header.
    pub(in crate::keys) fn new(
        input: R,
        file: &str,
        delimiter: u8,
    ) -> Result<(Self, Header), Fault> {
        let mut records = Self {
            input,
            file: file.into(),
            delimiter,
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
            ended: false,
            quote: 0,
            given: 0,
        };
        records.fill()?;
        let header = records.header()?;
        Ok((records, header))
    }

    fn header(&mut self) -> Result<Header, Fault> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        let encoding = |file: &str, what| Fault::Encoding { file: file.into(), what };
        let rest = self.rest();
        if rest.starts_with(b"\xff\xfe") || rest.starts_with(b"\xfe\xff") {
            return Err(encoding(&self.file, "UTF-16"));
        }
        let mark = if rest.starts_with(MARK) { MARK } else { b"" };
        self.start = mark.len();
        let file = self.file.clone();
        let Some(record) = self.next()? else { return Err(Fault::NoHeader { file }) };
        if record.line.contains(&0) {
            return Err(encoding(&file, "zero bytes in its header, as UTF-16 has them"));
        }
        if std::str::from_utf8(record.line).is_err() {
            return Err(encoding(&file, "other bytes in its header, as GBK has them"));
        }
        Ok(Header { mark, whole: record.whole.to_vec(), line: record.line.to_vec() })
    }

    /// The next record. Empty lines are none.
    #[inline]
    pub(in crate::keys) fn next(&mut self) -> Result<Option<Record<'_>>, Fault> {
        loop {
            let Some((length, quotes)) = self.find()? else { return Ok(None) };
            let begin = self.start;
            self.start += length;
            let whole = self.buffer.get(begin..self.start).unwrap_or_default();
            let line = without_end(whole).len();
            if line > 0 {
                self.given += 1;
                // Sliced once more: a borrow that leaves a loop cannot be the one that was looked at in it.
                let whole = self.buffer.get(begin..self.start).unwrap_or_default();
                return Ok(Some(Record {
                    whole,
                    line: whole.get(..line).unwrap_or(whole),
                    quotes,
                }));
            }
        }
    }

    /// Length of the next record with its line end, and whether it has quotes.
    #[inline]
    fn find(&mut self) -> Result<Option<(usize, bool)>, Fault> {
        loop {
            if self.quote < self.start {
                self.seek_quote();
            }
            let rest = self.rest();
            let quote = self.quote - self.start;
            let found = match memchr(b'\n', rest) {
                Some(at) if at < quote => return Ok(Some((at + 1, false))),
                None if quote == rest.len() => End::Beyond,
                _ => end_of_quoted(rest, quote, self.delimiter),
            };
            match found {
                End::At(length) => return Ok(Some((length, true))),
                End::Beyond if self.ended => {
                    let length = rest.len();
                    return Ok((length > 0).then_some((length, quote < length)));
                }
                End::InQuotes if self.ended => {
                    return Err(Fault::OpenQuote { file: self.file.clone(), row: self.given });
                }
                End::Beyond | End::InQuotes => self.fill()?,
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn seek_quote(&mut self) {
        let rest = self.rest();
        self.quote = self.start + memchr(b'"', rest).unwrap_or(rest.len());
    }

    /// Brings the rest to the front and reads until the buffer is full; a buffer full of one record grows. Reads are never
    /// looked at piecemeal, so a record is looked at again only when the buffer has doubled.
    #[cold]
    fn fill(&mut self) -> Result<(), Fault> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            if self.end >= MAX_RECORD_BYTES {
                let (file, row) = (self.file.clone(), self.given);
                return Err(Fault::RowTooLong { file, row, most: MAX_RECORD_BYTES });
            }
            self.buffer.resize((2 * self.end).min(MAX_RECORD_BYTES), 0);
        }
        while let Some(space) = self.buffer.get_mut(self.end..).filter(|space| !space.is_empty()) {
            match self.input.read(space) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => self.end += count.min(space.len()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Fault::io("read", std::path::Path::new(&self.file))(error));
                }
            }
        }
        self.seek_quote();
        Ok(())
    }
}

fn without_end(whole: &[u8]) -> &[u8] {
    let line = whole.strip_suffix(b"\n").unwrap_or(whole);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Where a record with quotes ends.
enum End {
    /// Behind this line feed.
    At(usize),
    /// Not here, and no quote is open.
    Beyond,
    InQuotes,
}

/// A quote opens at the beginning of a field only; a quote behind the closing one is part of the field, as is all else up to
/// the delimiter. Before `quote` there is neither a quote nor a line feed.
fn end_of_quoted(bytes: &[u8], quote: usize, delimiter: u8) -> End {
    let (before, mut rest) = bytes.split_at_checked(quote).unwrap_or((b"", bytes));
    let mut begins = before.last().is_none_or(|byte| *byte == delimiter);
    loop {
        if let Some(mut inside) = rest.strip_prefix(b"\"").filter(|_| begins) {
            loop {
                let Some(at) = memchr(b'"', inside) else { return End::InQuotes };
                let behind = inside.get(at + 1..).unwrap_or_default();
                match behind.strip_prefix(b"\"") {
                    Some(behind) => inside = behind,
                    None => {
                        rest = behind;
                        break;
                    }
                }
            }
        }
        let Some(at) = memchr2(delimiter, b'\n', rest) else { return End::Beyond };
        let line_ends = rest.get(at) == Some(&b'\n');
        rest = rest.get(at + 1..).unwrap_or_default();
        begins = true;
        if line_ends {
            return End::At(bytes.len() - rest.len());
        }
    }
}
