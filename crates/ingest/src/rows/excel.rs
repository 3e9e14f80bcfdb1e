//! Excel workbooks (xlsx, xlsm, xlsb, xls): one sheet, its first filled row perhaps the header.
//!
//! A workbook is held in memory, so its size is bounded, packed and unpacked (a zip bomb is
//! measured before it is read). Blank rows are no rows; error cells (`#N/A`) are null; a formula
//! is its last stored value; numbers formatted as text stay text; durations are days as a float.

use std::io::{Cursor, Read};
use std::path::Path;

use calamine::{Data, DataRef, ExcelDateTime, Reader, Xls, Xlsb, Xlsx};

use super::{Cell, Outcome, Visit, looks_like_header, unique};
use crate::classify::DAY_US;
use crate::fault::{Fault, excerpt};
use crate::limits;
use crate::options::{Header, NULL_TOKENS, Options};

/// An open workbook and the sheet chosen.
pub(crate) struct Excel {
    book: Book,
    sheet: String,
    header: Header,
    has_header: bool,
    pub(crate) names: Vec<String>,
}

enum Book {
    Xlsx(Box<Xlsx<Cursor<Vec<u8>>>>),
    Xlsb(Box<Xlsb<Cursor<Vec<u8>>>>),
    Xls(Box<Xls<Cursor<Vec<u8>>>>),
}

/// Cells of a row: column number and value.
type RowOf = Vec<(u32, Data)>;

impl Excel {
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, Fault> {
        let length = std::fs::metadata(path).map_err(Fault::file("read", path))?.len();
        if length > options.excel_bytes {
            return Err(Fault::Limit {
                what: "the workbook's size in bytes",
                value: length,
                limit: options.excel_bytes,
                advice: "save the sheet as CSV (UTF-8) and publish that",
            });
        }
        let bytes = std::fs::read(path).map_err(Fault::file("read", path))?;
        let book = Book::open(bytes)?;
        let sheets = book.sheets();
        let sheet = match &options.sheet {
            None => sheets.first().cloned().ok_or(Fault::Empty)?,
            Some(wanted) => {
                sheets.iter().find(|s| *s == wanted).cloned().ok_or_else(|| Fault::NoSheet {
                    wanted: excerpt(wanted),
                    present: sheets
                        .iter()
                        .take(20)
                        .map(|s| excerpt(s))
                        .collect::<Vec<_>>()
                        .join(", "),
                })?
            }
        };
        let mut excel =
            Self { book, sheet, header: options.header, has_header: false, names: Vec::new() };
        excel.name_columns()?;
        Ok(excel)
    }

    /// Walks the sheet once for its width, and takes names from its first filled row.
    fn name_columns(&mut self) -> Result<(), Fault> {
        let mut width = 0u32;
        let mut first: Option<RowOf> = None;
        self.book.rows(&self.sheet, &mut |_, row| {
            width = row.iter().map(|(column, _)| column + 1).max().unwrap_or(0).max(width);
            if width as usize > limits::COLUMNS {
                return Err(Fault::Limit {
                    what: "the number of columns",
                    value: u64::from(width),
                    limit: limits::COLUMNS as u64,
                    advice: "split the sheet",
                });
            }
            if first.is_none() {
                first = Some(row.to_vec());
            }
            Ok(true)
        })?;
        let first = first.ok_or(Fault::Empty)?;
        let texts = first.iter().map(|(column, data)| (*column, as_text(data))).collect::<Vec<_>>();
        let all_text = first.iter().all(|(_, data)| matches!(data, Data::String(_)));
        self.has_header = match self.header {
            Header::Auto => {
                all_text && looks_like_header(texts.iter().map(|(_, text)| text.as_str()))
            }
            Header::Present => true,
            Header::Absent => false,
        };
        let mut names = vec![String::new(); width as usize];
        for (column, text) in texts.iter().filter(|_| self.has_header) {
            if let Some(name) = names.get_mut(*column as usize) {
                *name = excerpt(text);
            }
        }
        self.names = unique(names);
        Ok(())
    }

    pub(crate) fn pass(&mut self, total: u64, visit: &mut Visit<'_>) -> Result<(), Fault> {
        let (width, mut header, mut number) = (self.names.len(), self.has_header, 0u64);
        self.book.rows(&self.sheet, &mut |line, row| {
            if std::mem::take(&mut header) {
                return Ok(true);
            }
            number += 1;
            let mut cells = vec![Cell::Null; width];
            for (column, data) in row {
                if let Some(cell) = cells.get_mut(*column as usize) {
                    *cell = cell_of(data);
                }
            }
            let outcome = Outcome::Row { row: number, line: u64::from(line) + 1, cells: &cells };
            // A workbook has no byte position; the row stands in for it, never beyond the total.
            if visit(outcome, number.min(total))?.is_break() {
                Err(Fault::Cancelled)
            } else {
                Ok(true)
            }
        })
    }
}

impl Book {
    fn open(bytes: Vec<u8>) -> Result<Self, Fault> {
        if !bytes.starts_with(b"PK") {
            return guarded(|| Xls::new(Cursor::new(bytes))).map(|book| Self::Xls(Box::new(book)));
        }
        let binary = measure(&bytes)?;
        if binary {
            guarded(|| Xlsb::new(Cursor::new(bytes))).map(|book| Self::Xlsb(Box::new(book)))
        } else {
            guarded(|| Xlsx::new(Cursor::new(bytes))).map(|book| Self::Xlsx(Box::new(book)))
        }
    }

    fn sheets(&self) -> Vec<String> {
        match self {
            Self::Xlsx(book) => book.sheet_names(),
            Self::Xlsb(book) => book.sheet_names(),
            Self::Xls(book) => book.sheet_names(),
        }
    }

    /// Shows every filled row, in order, with its number from 0.
    fn rows(
        &mut self,
        sheet: &str,
        see: &mut dyn FnMut(u32, &RowOf) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        match self {
            Self::Xlsx(book) => {
                let mut cells = guarded(|| book.worksheet_cells_reader(sheet))?;
                stream(
                    &mut || {
                        guarded(|| cells.next_cell())
                            .map(|c| c.map(|c| (c.get_position(), owned(c.get_value()))))
                    },
                    see,
                )
            }
            Self::Xlsb(book) => {
                let mut cells = guarded(|| book.worksheet_cells_reader(sheet))?;
                stream(
                    &mut || {
                        guarded(|| cells.next_cell())
                            .map(|c| c.map(|c| (c.get_position(), owned(c.get_value()))))
                    },
                    see,
                )
            }
            Self::Xls(book) => {
                // At most 65,536 × 256 cells: bounded by the format.
                let range = guarded(|| book.worksheet_range(sheet))?;
                let (top, left) = range.start().unwrap_or_default();
                let mut cells = range.used_cells().map(|(r, c, data)| {
                    let at = |base: u32, n: usize| {
                        base.saturating_add(u32::try_from(n).unwrap_or(u32::MAX))
                    };
                    ((at(top, r), at(left, c)), data.clone())
                });
                stream(&mut || Ok(cells.next()), see)
            }
        }
    }
}

type NextCell<'n> = dyn FnMut() -> Result<Option<((u32, u32), Data)>, Fault> + 'n;

fn stream(
    next: &mut NextCell<'_>,
    see: &mut dyn FnMut(u32, &RowOf) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    let mut current = (0u32, RowOf::new());
    while let Some(((row, column), data)) = next()? {
        if row != current.0 {
            if !current.1.is_empty() {
                let _more = see(current.0, &current.1)?;
            }
            current.0 = row;
            current.1.clear();
        }
        if !matches!(data, Data::Empty) {
            current.1.push((column, data));
        }
    }
    if !current.1.is_empty() {
        let _more = see(current.0, &current.1)?;
    }
    Ok(())
}

/// The reader of workbooks may panic on malformed ones: that is a broken file, not our end.
fn guarded<T, E: std::fmt::Display>(read: impl FnOnce() -> Result<T, E>) -> Result<T, Fault> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(Fault::broken("Excel", e)),
        Err(_) => Err(Fault::broken("Excel", "its structure is damaged")),
    }
}

/// Unpacks everything to nowhere, counting, so that a bomb is found before it is held in memory.
/// Says whether the workbook is of the binary kind (xlsb).
fn measure(bytes: &[u8]) -> Result<bool, Fault> {
    let mut zip =
        zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| Fault::broken("Excel", e))?;
    let (mut total, mut binary) = (0u64, false);
    for i in 0..zip.len() {
        let entry = zip.by_index(i).map_err(|e| Fault::broken("Excel", e))?;
        let name = entry.name().map_err(|e| Fault::broken("Excel", e))?.to_ascii_lowercase();
        binary |= name == "xl/workbook.bin";
        let strings = name.contains("sharedstrings");
        let limit = if strings {
            limits::EXCEL_STRINGS_BYTES
        } else {
            limits::EXCEL_UNPACKED_BYTES - total
        };
        let unpacked =
            std::io::copy(&mut entry.take(limit.saturating_add(1)), &mut std::io::sink())
                .map_err(|e| Fault::broken("Excel", e))?;
        total = total.saturating_add(unpacked);
        if unpacked > limit || total > limits::EXCEL_UNPACKED_BYTES {
            return Err(Fault::Limit {
                what: "the workbook's unpacked size in bytes",
                value: total,
                limit: limits::EXCEL_UNPACKED_BYTES.min(limit),
                advice: "save the sheet as CSV (UTF-8) and publish that",
            });
        }
    }
    Ok(binary)
}

fn owned(data: &DataRef<'_>) -> Data {
    data.clone().into()
}

fn cell_of(data: &Data) -> Cell<'_> {
    #[expect(clippy::cast_precision_loss, reason = "a workbook's numbers are doubles")]
    match data {
        Data::Int(v) => Cell::Float(*v as f64),
        Data::Float(v) => Cell::Float(*v),
        Data::Bool(v) => Cell::Bool(*v),
        Data::String(v) if NULL_TOKENS.contains(&v.as_str()) => Cell::Null,
        Data::String(v) | Data::DateTimeIso(v) | Data::DurationIso(v) => Cell::Quoted(v),
        Data::DateTime(at) if at.is_duration() => Cell::Float(at.as_f64()),
        Data::DateTime(at) => moment(at).map_or(Cell::Null, |us| {
            let date = i32::try_from(us.div_euclid(DAY_US));
            date.ok().filter(|_| us.rem_euclid(DAY_US) == 0).map_or(Cell::Stamp(us), Cell::Date)
        }),
        Data::Error(_) | Data::Empty => Cell::Null,
        // RichText and kinds to come are shown as their text elsewhere; no value here.
        #[allow(unreachable_patterns, clippy::wildcard_enum_match_arm)]
        _ => Cell::Null,
    }
}

fn moment(at: &ExcelDateTime) -> Option<i64> {
    let (year, month, day, hour, minute, second, milli) = at.to_ymd_hms_milli();
    let days = crate::classify::days(i32::from(year), u32::from(month), u32::from(day))?;
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    Some(i64::from(days) * DAY_US + seconds * 1_000_000 + i64::from(milli) * 1_000)
}

fn as_text(data: &Data) -> String {
    data.to_string()
}
