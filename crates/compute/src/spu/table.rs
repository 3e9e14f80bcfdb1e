//! The list: a CSV file whose key columns make the keys, and of which the common rows are written out as they stand.
//!
//! Texts are compared as they are: no trimming, no numbers, no letter case, as spu does it. Several columns are joined by
//! commas, in the order in which they are named.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use csv_core::{ReadRecordResult, Reader};

use super::fault::Fault;

/// Longest row.
const MOST_ROW_BYTES: usize = 16 << 20;

/// Reads a file row by row; the text of a row stays as it was in the file.
struct Rows {
    file: BufReader<File>,
    reader: Reader,
    /// The row as it stands, with its end of line.
    text: Vec<u8>,
    fields: Vec<u8>,
    ends: Vec<usize>,
    columns: usize,
}

impl Rows {
    fn open(path: &Path) -> Result<Self, Fault> {
        let file = File::open(path).map_err(|error| reading(path, error))?;
        let file = BufReader::with_capacity(1 << 20, file);
        let (fields, ends) = (vec![0; 4096], vec![0; 64]);
        Ok(Self { file, reader: Reader::new(), text: Vec::new(), fields, ends, columns: 0 })
    }

    /// Whether there was a row. Empty lines are none.
    fn next(&mut self) -> Result<bool, std::io::Error> {
        self.text.clear();
        let (mut written, mut ended) = (0, 0);
        loop {
            let input = self.file.fill_buf()?;
            let (fields, ends) = (self.fields.get_mut(written..), self.ends.get_mut(ended..));
            let (result, read, wrote, ends) = self.reader.read_record(
                input,
                fields.unwrap_or_default(),
                ends.unwrap_or_default(),
            );
            self.text.extend_from_slice(input.get(..read).unwrap_or_default());
            self.file.consume(read);
            written += wrote;
            ended += ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    self.columns = ended;
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
            if self.text.len() > MOST_ROW_BYTES {
                return Err(std::io::Error::other("a row longer than 16 MiB: is a quote missing?"));
            }
        }
    }

    fn field(&self, column: usize) -> Option<&[u8]> {
        let ends = self.ends.get(..self.columns)?;
        let begin = if column == 0 { 0 } else { *ends.get(column - 1)? };
        self.fields.get(begin..*ends.get(column)?)
    }

    /// The row without line ends and blank lines around it.
    fn line(&self) -> &[u8] {
        let line_end = |it: &u8| matches!(it, b'\n' | b'\r');
        let begin = self.text.iter().position(|it| !line_end(it)).unwrap_or(0);
        let end = self.text.iter().rposition(|it| !line_end(it)).map_or(0, |it| it + 1);
        self.text.get(begin..end).unwrap_or_default()
    }
}

/// The keys of a file, in the order of its rows.
pub struct Keys {
    rows: Rows,
    path: PathBuf,
    /// Where the key columns are, and how many columns there are.
    places: Vec<usize>,
    width: usize,
    read: u64,
}

impl Keys {
    pub fn open(path: &Path, columns: &[String]) -> Result<Self, Fault> {
        let mut rows = Rows::open(path)?;
        if columns.is_empty() || !rows.next().map_err(|error| reading(path, error))? {
            let what = if columns.is_empty() { "no key column is named" } else { "it is empty" };
            return Err(reading(path, what));
        }
        let named = |name: &String| {
            // A mark at the beginning says that the text is UTF-8, and is no part of a name.
            let is = |field: &[u8]| {
                field.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(field) == name.as_bytes()
            };
            let found = (0..rows.columns).find(|column| rows.field(*column).is_some_and(is));
            found.ok_or_else(|| Fault::NoColumn { column: name.clone() })
        };
        let places = columns.iter().map(named).collect::<Result<Vec<usize>, Fault>>()?;
        Ok(Self { width: rows.columns, rows, path: path.to_owned(), places, read: 0 })
    }
}

impl Iterator for Keys {
    type Item = Result<Vec<u8>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next() {
            Ok(false) => return None,
            Ok(true) => self.read += 1,
            Err(error) => return Some(Err(reading(&self.path, error))),
        }
        if self.rows.columns != self.width {
            let what = format!("row {} has not as many fields as the header", self.read);
            return Some(Err(reading(&self.path, what)));
        }
        let fields: Vec<&[u8]> = self.places.iter().filter_map(|at| self.rows.field(*at)).collect();
        Some(Ok(fields.join(&b',')))
    }
}

/// Writes header and those rows whose places are named (ascending), as they stand. The file is there whole or not at all.
pub fn write_rows(path: &Path, places: &[u32], out: &Path) -> Result<(), Fault> {
    let mut part = out.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let writing = |error: std::io::Error| Fault::local(format!("writing {}", out.display()), error);
    let mut rows = Rows::open(path)?;
    let mut file = BufWriter::new(File::create(part).map_err(writing)?);
    let mut wanted = places.iter().peekable();
    let mut row = None;
    while (row.is_none() || wanted.peek().is_some())
        && rows.next().map_err(|error| reading(path, error))?
    {
        let chosen = row.is_none() || wanted.next_if(|place| Some(**place) == row).is_some();
        if chosen {
            file.write_all(rows.line()).and_then(|()| file.write_all(b"\n")).map_err(writing)?;
        }
        row = Some(row.map_or(0, |row| row + 1));
    }
    if wanted.peek().is_some() {
        return Err(reading(path, "it has become shorter during the session"));
    }
    let file = file.into_inner().map_err(|error| writing(error.into_error()))?;
    file.sync_all().and_then(|()| std::fs::rename(part, out)).map_err(writing)
}

fn reading(path: &Path, reason: impl std::fmt::Display) -> Fault {
    Fault::local(format!("reading {}", path.display()), reason)
}

#[cfg(test)]
mod tests;
