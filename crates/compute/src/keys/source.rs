//! Lists as streams of items, whatever file they come from.

use std::fmt;
use std::io::Read;

use arrow::datatypes::Schema;
use tidm_mpc::psi::Item;

use super::batch::Batch;
use super::csv::{Fields, Records, names};
use super::fault::Fault;
use super::form::Why;
use super::limits::{BATCH_ROWS, MAX_ROWS};
use super::mapping::Mapping;
use super::place::Place;
use super::rule::Rule;
use super::table::{Table, places};

/// Kind of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv(Delimiter),
    Parquet,
    /// Arrow IPC with a footer (`.arrow`, Feather 2).
    ArrowFile,
    /// Arrow IPC as it comes over a pipe; also how rows of a database arrive.
    ArrowStream,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    Comma,
    Semicolon,
    Tab,
}

impl Delimiter {
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

impl Format {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Csv(_) => "CSV",
            Self::Parquet => "Parquet",
            Self::ArrowFile => "Arrow IPC file",
            Self::ArrowStream => "Arrow IPC stream",
        }
    }
}

/// Rows that were given, and those among them without an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub rows: u64,
    left_out: [Tally; Why::ALL.len()],
}

/// How many rows, and the first of them, counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub first_row: u64,
}

impl Counts {
    /// Rows with an item.
    pub fn items(&self) -> u64 {
        self.rows - self.left_out.iter().map(|tally| tally.count).sum::<u64>()
    }

    pub fn of(&self, why: Why) -> Tally {
        self.left_out.get(why as usize).copied().unwrap_or_default()
    }

    /// Before the row is counted.
    pub(super) fn left_out(&mut self, why: Why) {
        if let Some(tally) = self.left_out.get_mut(why as usize) {
            if tally.count == 0 {
                tally.first_row = self.rows + 1;
            }
            tally.count += 1;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, {} with a key", self.rows, self.items())?;
        for why in Why::ALL {
            let Tally { count, first_row } = self.of(why);
            if count > 0 {
                let kind = match why {
                    Why::Empty => "with an empty key",
                    Why::Encoding => "whose key is not UTF-8",
                    Why::Malformed => "whose key is not of its form",
                    Why::Long => "whose key is too long",
                    Why::Ragged => "with more or fewer fields than the header",
                };
                write!(f, ", {count} {kind} (the first is row {first_row})")?;
            }
        }
        Ok(())
    }
}

/// A list that is being read.
pub struct Source {
    rows: Rows,
    batch: Batch,
    file: String,
}

enum Rows {
    Csv { records: Records<Box<dyn Read + Send>>, fields: Fields, single: bool },
    Table(Table),
}

/// Opens a list. `caller` is what both parties know of their contract and session; it goes into every item.
pub fn open<'p>(
    place: impl Into<Place<'p>>,
    format: Format,
    rule: &Rule,
    mapping: &Mapping,
    caller: &[u8],
) -> Result<Source, Fault> {
    let place = place.into();
    let file = place.open()?;
    let name = place.path.display().to_string();
    let wanted = |schema: &Schema| places(schema, &name, rule, mapping);
    match format {
        Format::Csv(_) => read(Box::new(file), &name, format, rule, mapping, caller),
        Format::ArrowStream => {
            let length = file.length();
            source(rule, caller, &name, || {
                Table::arrow_stream(Box::new(file), length, &name, &wanted)
            })
        }
        Format::Parquet => source(rule, caller, &name, || Table::parquet(file, &name, &wanted)),
        Format::ArrowFile => {
            source(rule, caller, &name, || Table::arrow_file(file, &name, &wanted))
        }
    }
}

/// As [`open`], from anything that can be read once: CSV or an Arrow stream. `name` stands in faults.
pub fn read(
    input: Box<dyn Read + Send>,
    name: &str,
    format: Format,
    rule: &Rule,
    mapping: &Mapping,
    caller: &[u8],
) -> Result<Source, Fault> {
    rule.check()?;
    let wanted = |schema: &Schema| places(schema, name, rule, mapping);
    match format {
        Format::Csv(delimiter) => {
            let delimiter = delimiter.byte();
            let (records, header) = Records::new(input, name, delimiter)?;
            let names = names(&header, name, delimiter)?;
            let places = mapping.places(rule, name, &names)?;
            let single = places.len() == 1;
            let fields = Fields::new(delimiter, names.len(), places);
            let rows = Rows::Csv { records, fields, single };
            Ok(Source { rows, batch: Batch::new(rule, caller), file: name.into() })
        }
        Format::ArrowStream => {
            source(rule, caller, name, || Table::arrow_stream(input, None, name, &wanted))
        }
        Format::Parquet | Format::ArrowFile => Err(Fault::Io {
            action: "read",
            file: name.into(),
            reason: "such a file begins at its end: give its path".into(),
        }),
    }
}

fn source(
    rule: &Rule,
    caller: &[u8],
    name: &str,
    table: impl FnOnce() -> Result<Table, Fault>,
) -> Result<Source, Fault> {
    rule.check()?;
    let rows = Rows::Table(table()?);
    Ok(Source { rows, batch: Batch::new(rule, caller), file: name.into() })
}

impl Source {
    /// The next rows, at most [`BATCH_ROWS`]: an item for each that has a key. `out` is emptied before. False at the end.
    pub fn next(&mut self, out: &mut Vec<Option<Item>>) -> Result<bool, Fault> {
        out.clear();
        match &mut self.rows {
            Rows::Csv { records, fields, single } => {
                while out.len() < BATCH_ROWS {
                    let Some(record) = records.next()? else { break };
                    let line = record.line;
                    if *single && !record.quotes {
                        match fields.single(line) {
                            Some(field) => self.batch.one(field, out),
                            None => self.batch.none(Why::Ragged, out),
                        }
                    } else if !fields.locate(record) {
                        self.batch.none(Why::Ragged, out);
                    } else if *single {
                        fields.parts(line).for_each(|field| self.batch.one(field, out));
                    } else {
                        self.batch.row(fields.parts(line), out);
                    }
                }
            }
            Rows::Table(table) => table.next(&mut self.batch, out)?,
        }
        self.batch.flush(out);
        if self.counts().rows > MAX_ROWS {
            return Err(Fault::TooMany { file: self.file.clone(), what: "rows", most: MAX_ROWS });
        }
        Ok(!out.is_empty())
    }

    /// Of the rows given until now.
    pub fn counts(&self) -> &Counts {
        self.batch.counts()
    }
}
