//! Lists that are tables already: Parquet and Arrow IPC. Only the columns of the key are read, where the format lets us.
//!
//! Values become the text that a CSV of the same table would have, and go through the same normal forms: the same key gives the
//! same item whatever file it stands in. Floating-point numbers are no keys.

use std::io::Read;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryArray, BinaryViewArray, Date32Array, LargeBinaryArray,
    RecordBatch,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::temporal_conversions::date32_to_datetime;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tidm_mpc::psi::Item;

use super::batch::Batch;
use super::fault::Fault;
use super::form::Form;
use super::ipc;
use super::limits::{BATCH_ROWS, TABLE_ROWS};
use super::mapping::Mapping;
use super::place::Input;
use super::rule::Rule;
use super::source::Format;

pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

pub(super) struct Table {
    file: String,
    format: Format,
    batches: Batches,
    /// Columns of the batches, in the order of the rule's parts.
    columns: Vec<usize>,
    current: Option<RecordBatch>,
    rows: u64,
}

impl Table {
    pub(super) fn parquet(
        input: Input,
        file: &str,
        wanted: &dyn Fn(&Schema) -> Result<Vec<usize>, Fault>,
    ) -> Result<Self, Fault> {
        let format = Format::Parquet;
        let builder = ParquetRecordBatchReaderBuilder::try_new(input)
            .map_err(|error| Fault::table(file, format.name(), &error))?;
        let (columns, read) = columns(&wanted(builder.schema())?);
        let mask = ProjectionMask::roots(builder.parquet_schema(), read);
        let batches = builder
            .with_projection(mask)
            .with_batch_size(TABLE_ROWS)
            .build()
            .map_err(|error| Fault::table(file, format.name(), &error))?;
        Ok(Self::of(file, format, Box::new(batches), columns))
    }

    pub(super) fn arrow_file(
        input: Input,
        file: &str,
        wanted: &dyn Fn(&Schema) -> Result<Vec<usize>, Fault>,
    ) -> Result<Self, Fault> {
        let format = Format::ArrowFile;
        let fault = |error| Fault::table(file, format.name(), &error);
        let copy = input.try_clone().map_err(|error| fault(error.into()))?;
        let schema = ipc::file(copy, None).map_err(fault)?.schema();
        let (columns, read) = columns(&wanted(&schema)?);
        let batches = ipc::file(input, Some(read)).map_err(fault)?;
        Ok(Self::of(file, format, Box::new(batches), columns))
    }

    pub(super) fn arrow_stream(
        input: Box<dyn Read + Send>,
        length: Option<u64>,
        file: &str,
        wanted: &dyn Fn(&Schema) -> Result<Vec<usize>, Fault>,
    ) -> Result<Self, Fault> {
        let format = Format::ArrowStream;
        let batches = ipc::stream(input, length, None)
            .map_err(|error| Fault::table(file, format.name(), &error))?;
        let schema = batches.schema();
        let places = wanted(&schema)?;
        Ok(Self::of(file, format, Box::new(batches), places))
    }

    fn of(file: &str, format: Format, batches: Batches, columns: Vec<usize>) -> Self {
        Self { file: file.into(), format, batches, columns, current: None, rows: 0 }
    }

    /// The next rows of the table, at most [`BATCH_ROWS`].
    pub(super) fn next(
        &mut self,
        batch: &mut Batch,
        out: &mut Vec<Option<Item>>,
    ) -> Result<(), Fault> {
        let Some((count, parts)) = self.texts()? else { return Ok(()) };
        match parts.as_slice() {
            [single] => (0..count).for_each(|row| batch.one(single.at(row), out)),
            parts => {
                for row in 0..count {
                    batch.row(parts.iter().map(|part| part.at(row)), out);
                }
            }
        }
        Ok(())
    }

    /// How many rows come next, and the texts of their columns; none at the end.
    pub(super) fn texts(&mut self) -> Result<Option<(usize, Vec<Texts>)>, Fault> {
        let rows = loop {
            match self.current.take().filter(|rows| rows.num_rows() > 0) {
                Some(rows) => break rows,
                None => match self.batches.next() {
                    Some(read) => self.current = Some(read.map_err(|error| self.broken(&error))?),
                    None => return Ok(None),
                },
            }
        };
        let count = rows.num_rows().min(BATCH_ROWS);
        self.current = Some(rows.slice(count, rows.num_rows() - count));
        let parts = self.columns.iter().map(|column| {
            let column = rows.columns().get(*column);
            column.map_or(Ok(Texts::None), |column| texts(&column.slice(0, count)))
        });
        let parts = parts.collect::<Result<Vec<_>, _>>().map_err(|error| self.broken(&error))?;
        self.rows += count as u64;
        Ok(Some((count, parts)))
    }

    fn broken(&self, error: &ArrowError) -> Fault {
        broken(&self.file, self.format, self.rows, error)
    }
}

/// A fault in the middle of a table. The reader's words may hold values, so they are not repeated.
pub(super) fn broken(file: &str, format: Format, row: u64, error: &ArrowError) -> Fault {
    let reason = if let ArrowError::IoError(_, error) = error {
        error.kind().to_string()
    } else {
        "it is damaged, or packed in a way that this program does not know".into()
    };
    Fault::Table { file: file.into(), format: format.name(), row, reason }
}

/// Places of the columns in a batch that has only those that are read, and which those are.
fn columns(places: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut read = places.to_vec();
    read.sort_unstable();
    read.dedup();
    let columns = places.iter().filter_map(|place| read.binary_search(place).ok()).collect();
    (columns, read)
}

/// Where the columns of the key stand; their types can be keys.
pub(super) fn places(
    schema: &Schema,
    file: &str,
    rule: &Rule,
    mapping: &Mapping,
) -> Result<Vec<usize>, Fault> {
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let places = mapping.places(rule, file, &names)?;
    for (place, part) in places.iter().zip(&rule.parts) {
        let field = schema.field(*place);
        check_type(part.form, field.data_type()).map_err(|advice| Fault::ColumnType {
            file: file.into(),
            column: field.name().clone(),
            found: field.data_type().to_string(),
            form: part.form.name(),
            advice,
        })?;
    }
    Ok(places)
}

fn check_type(form: Form, found: &DataType) -> Result<(), &'static str> {
    let text_like = matches!(form, Form::Exact | Form::Text | Form::Digits);
    if let DataType::Dictionary(_, values) = found {
        return check_type(form, values);
    }
    if matches!(
        found,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::Null
    ) || found.is_integer()
    {
        Ok(())
    } else if found.is_decimal() {
        let fits = text_like || matches!(form, Form::Integer | Form::Decimal | Form::Phone);
        fits.then_some(()).ok_or("make it text where the list is made")
    } else if matches!(found, DataType::Date32 | DataType::Date64) {
        (text_like || form == Form::Date).then_some(()).ok_or("use form date, or make it text")
    } else if let DataType::Timestamp(_, zone) = found {
        if form != Form::Date {
            return Err("use form date, or make it text");
        }
        let known = zone.as_ref().is_none_or(|zone| offset(zone).is_some());
        known.then_some(()).ok_or("make it a date or text: zones by name are not known here")
    } else {
        Err("make it text or an integer where the list is made")
    }
}

/// Texts of one column of a batch.
pub(super) enum Texts {
    None,
    Small(BinaryArray),
    Large(LargeBinaryArray),
    View(BinaryViewArray),
}

impl Texts {
    /// A null is an empty text, as in CSV.
    #[inline]
    pub(super) fn at(&self, row: usize) -> &[u8] {
        match self {
            Self::None => b"",
            Self::Small(texts) if texts.is_valid(row) => texts.value(row),
            Self::Large(texts) if texts.is_valid(row) => texts.value(row),
            Self::View(texts) if texts.is_valid(row) => texts.value(row),
            Self::Small(_) | Self::Large(_) | Self::View(_) => b"",
        }
    }
}

fn texts(column: &ArrayRef) -> Result<Texts, ArrowError> {
    let kind = column.data_type();
    if let DataType::Dictionary(_, values) = kind {
        return texts(&cast(column, values)?);
    }
    if let DataType::Timestamp(unit, zone) = kind {
        return Ok(dates(&days(column, *unit, zone.as_deref())?));
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "numbers, the rest of what check_type lets in"
    )]
    Ok(match kind {
        DataType::Null => Texts::None,
        DataType::Utf8 => Texts::Small(column.as_string::<i32>().clone().into()),
        DataType::LargeUtf8 => Texts::Large(column.as_string::<i64>().clone().into()),
        DataType::Utf8View => Texts::View(column.as_string_view().clone().to_binary_view()),
        DataType::Binary => Texts::Small(column.as_binary::<i32>().clone()),
        DataType::LargeBinary => Texts::Large(column.as_binary::<i64>().clone()),
        DataType::BinaryView => Texts::View(column.as_binary_view().clone()),
        DataType::Date32 => dates(column.as_primitive::<Date32Type>()),
        DataType::Date64 => dates(&days(column, TimeUnit::Millisecond, None)?),
        _ => Texts::Small(cast(column, &DataType::Utf8)?.as_string::<i32>().clone().into()),
    })
}

/// The days of points in time, in the zone of the column.
fn days(column: &ArrayRef, unit: TimeUnit, zone: Option<&str>) -> Result<Date32Array, ArrowError> {
    let second: i64 = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let shift = zone.and_then(offset).unwrap_or(0) * second;
    let points = cast(column, &DataType::Int64)?;
    Ok(points.as_primitive::<Int64Type>().unary(|point| {
        let day = point.saturating_add(shift).div_euclid(86_400 * second);
        i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
    }))
}

/// A day that no calendar has becomes a text that no form takes.
fn dates(days: &Date32Array) -> Texts {
    let date = |day| match date32_to_datetime(day) {
        Some(at) => at.date().to_string().into_bytes(),
        None => vec![0xff],
    };
    Texts::Small(days.iter().map(|day| day.map(date)).collect())
}

/// Seconds east of Greenwich, of `+08:00` and its like. Zones by name change over the years and are not guessed.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "UTC" | "Z" | "Etc/UTC" | "GMT") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|letter| *letter != ':').collect();
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { "0" } else { minutes };
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then(|| sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}
