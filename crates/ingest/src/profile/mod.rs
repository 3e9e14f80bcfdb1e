//! A portrait of each column, painted while the table is written: one pass, bounded memory, and
//! the same result for the same rows in the same order.
//!
//! Distinct values are estimated by HyperLogLog (about 1.6 %), quantiles by a mergeable sketch
//! (rank error about 1 %), frequent values by Misra–Gries; with few values all of them are exact.
//! A profile shows values of the data: who may see it is decided elsewhere.

mod distinct;
mod quantile;
mod top;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, excerpt};

/// Portrait of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    pub name: String,
    pub rows: u64,
    pub nulls: u64,
    /// Floats that are not a number (Parquet sources only); left out of everything below.
    pub not_numbers: u64,
    pub distinct: Distinct,
    /// Least and greatest value as text; long text is cut.
    pub min: Option<String>,
    pub max: Option<String>,
    /// Numbers only.
    pub mean: Option<f64>,
    /// Numbers only; of the population.
    pub std_dev: Option<f64>,
    /// Numbers, dates and timestamps.
    pub quantiles: Vec<Quantile>,
    /// Text only: lengths in characters.
    pub lengths: Option<Lengths>,
    /// Most frequent values first.
    pub top: Vec<Top>,
}

/// Number of different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distinct {
    pub count: u64,
    pub exact: bool,
}

/// The value below which a share `at` of the values lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    pub at: f64,
    pub value: String,
}

/// Lengths of text in characters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    pub min: u64,
    pub max: u64,
    pub mean: f64,
}

/// A frequent value. The true count lies in `count ..= count + slack`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Top {
    pub value: String,
    pub count: u64,
    pub slack: u64,
}

/// Shares at which quantiles are given.
const SHARES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];

/// Paints the portraits of a table.
pub struct Profiler {
    columns: Vec<Column>,
}

struct Column {
    name: String,
    kind: Kind,
    shown: DataType,
    rows: u64,
    nulls: u64,
    not_numbers: u64,
    distinct: distinct::HyperLogLog,
    top: top::Frequent,
    quantiles: quantile::Sketch,
    mean: f64,
    squares: f64,
    min_text: Option<String>,
    max_text: Option<String>,
    lengths: (u64, u64, u64),
    hashes: Vec<(u64, u32)>,
}

/// What a column is read as.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Int,
    Float,
    Time,
    Text,
    /// Only nulls are counted.
    Opaque,
}

impl Profiler {
    /// Starts with the schema of the batches to come.
    #[must_use]
    pub fn new(schema: &SchemaRef) -> Self {
        Self {
            columns: schema.fields().iter().map(|f| Column::new(f.name(), f.data_type())).collect(),
        }
    }

    /// Sees one batch.
    ///
    /// # Errors
    /// [`Fault::Broken`] when a column cannot be read as its type says.
    pub fn see(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            column.see(array)?;
        }
        Ok(())
    }

    /// The portraits, in column order.
    #[must_use]
    pub fn finish(self) -> Vec<ColumnProfile> {
        self.columns.into_iter().map(Column::finish).collect()
    }
}

fn kind(data: &DataType) -> (Kind, DataType) {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "types without an order of interest are opaque"
    )]
    match data {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            (Kind::Int, DataType::Int64)
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => (Kind::Int, DataType::Int64),
        DataType::UInt64 | DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            (Kind::Float, DataType::Float64)
        }
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) => {
            (Kind::Float, DataType::Float64)
        }
        DataType::Date32 => (Kind::Time, DataType::Date32),
        DataType::Timestamp(_, zone) => (
            Kind::Time,
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "+00:00".into())),
        ),
        DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            (Kind::Text, DataType::LargeUtf8)
        }
        DataType::Dictionary(_, value) if kind(value).0 == Kind::Text => {
            (Kind::Text, DataType::LargeUtf8)
        }
        _ => (Kind::Opaque, DataType::Null),
    }
}

impl Column {
    fn new(name: &str, data: &DataType) -> Self {
        let (kind, shown) = kind(data);
        Self {
            name: name.to_owned(),
            kind,
            shown,
            rows: 0,
            nulls: 0,
            not_numbers: 0,
            distinct: distinct::HyperLogLog::default(),
            top: top::Frequent::default(),
            quantiles: quantile::Sketch::default(),
            mean: 0.0,
            squares: 0.0,
            min_text: None,
            max_text: None,
            lengths: (u64::MAX, 0, 0),
            hashes: Vec::new(),
        }
    }

    fn see(&mut self, array: &ArrayRef) -> Result<(), Fault> {
        self.rows += array.len() as u64;
        self.nulls += array.logical_null_count() as u64;
        if self.kind == Kind::Opaque {
            return Ok(());
        }
        let read =
            |array: &ArrayRef, as_type| cast(array, as_type).map_err(|e| Fault::broken("table", e));
        let array = &in_utc(array);
        let shown = if array.data_type() == &self.shown {
            array.clone()
        } else {
            read(array, &self.shown)?
        };
        self.hashes.clear();
        match self.kind {
            Kind::Float => self.floats(&shown),
            Kind::Int => self.integers(&shown, true),
            Kind::Time => {
                let days = shown.data_type() == &DataType::Date32;
                let days = if days { Some(read(&shown, &DataType::Int32)?) } else { None };
                let numbers = read(days.as_ref().unwrap_or(&shown), &DataType::Int64)?;
                self.integers(&numbers, false);
            }
            Kind::Text => self.texts(&shown),
            Kind::Opaque => {}
        }
        for (hash, _) in &self.hashes {
            self.distinct.add(*hash);
        }
        let options = FormatOptions::default();
        let formatter =
            ArrayFormatter::try_new(&shown, &options).map_err(|e| Fault::broken("table", e))?;
        self.top.see(&mut self.hashes, |row| excerpt(&formatter.value(row as usize).to_string()));
        Ok(())
    }

    fn number(&mut self, value: f64) {
        // Welford: stable for long columns.
        let n = self.quantiles.count().max(1);
        #[expect(clippy::cast_precision_loss, reason = "a count of rows as a divisor")]
        let n = n as f64;
        let delta = value - self.mean;
        self.mean += delta / n;
        self.squares += delta * (value - self.mean);
    }

    fn integers(&mut self, array: &ArrayRef, number: bool) {
        for (row, value) in (0u32..).zip(array.as_primitive::<Int64Type>().iter()) {
            let Some(value) = value else { continue };
            self.hashes.push((mix(value.cast_unsigned()), row));
            self.quantiles.add(value);
            #[expect(clippy::cast_precision_loss, reason = "a mean is approximate")]
            if number {
                self.number(value as f64);
            }
        }
    }

    fn floats(&mut self, array: &ArrayRef) {
        for (row, value) in (0u32..).zip(array.as_primitive::<Float64Type>().iter()) {
            let Some(value) = value else { continue };
            if value.is_nan() {
                self.not_numbers += 1;
                continue;
            }
            let value = value + 0.0; // -0.0 is 0.0
            self.hashes.push((mix(value.to_bits()), row));
            self.quantiles.add(quantile::key(value));
            self.number(value);
        }
    }

    fn texts(&mut self, array: &ArrayRef) {
        for (row, value) in (0u32..).zip(array.as_string::<i64>().iter()) {
            let Some(value) = value else { continue };
            self.hashes.push((twox_hash::XxHash64::oneshot(0, value.as_bytes()), row));
            if self.min_text.as_deref().is_none_or(|min| value < min) {
                self.min_text = Some(value.to_owned());
            }
            if self.max_text.as_deref().is_none_or(|max| value > max) {
                self.max_text = Some(value.to_owned());
            }
            let chars = if value.is_ascii() { value.len() } else { value.chars().count() } as u64;
            self.lengths = (
                self.lengths.0.min(chars),
                self.lengths.1.max(chars),
                self.lengths.2.saturating_add(chars),
            );
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of rows as divisors")]
    fn finish(self) -> ColumnProfile {
        let filled = self.rows - self.nulls - self.not_numbers;
        let numeric = matches!(self.kind, Kind::Int | Kind::Float) && filled > 0;
        let show = |key: i64| self.show(key);
        let exact = self.top.is_exact();
        let count = if exact { self.top.len() } else { self.distinct.estimate().min(filled) };
        let quantiles = if self.kind == Kind::Text || filled == 0 {
            Vec::new()
        } else {
            let values = self.quantiles.at(&SHARES);
            SHARES
                .iter()
                .zip(values)
                .map(|(at, key)| Quantile { at: *at, value: show(key) })
                .collect()
        };
        let text = self.kind == Kind::Text && filled > 0;
        ColumnProfile {
            rows: self.rows,
            nulls: self.nulls,
            not_numbers: self.not_numbers,
            distinct: Distinct { count, exact: exact && self.kind != Kind::Opaque },
            min: self.min_text.as_deref().map(excerpt).or_else(|| self.quantiles.min().map(show)),
            max: self.max_text.as_deref().map(excerpt).or_else(|| self.quantiles.max().map(show)),
            mean: numeric.then_some(self.mean).filter(|v| v.is_finite()),
            std_dev: numeric
                .then(|| (self.squares / filled as f64).sqrt())
                .filter(|v| v.is_finite()),
            quantiles,
            lengths: text.then(|| Lengths {
                min: self.lengths.0,
                max: self.lengths.1,
                mean: self.lengths.2 as f64 / filled as f64,
            }),
            top: self.top.shown(),
            name: self.name,
        }
    }

    fn show(&self, key: i64) -> String {
        match self.kind {
            Kind::Float => quantile::value(key).to_string(),
            Kind::Time => show_time(key, &self.shown),
            Kind::Int | Kind::Text | Kind::Opaque => key.to_string(),
        }
    }
}

/// Timestamps with a zone as the same instants in UTC: names of zones need not be known for that.
pub(crate) fn in_utc(array: &ArrayRef) -> ArrayRef {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only timestamps have zones")]
    match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => match unit {
            TimeUnit::Second => Arc::new(
                array.as_primitive::<TimestampSecondType>().clone().with_timezone("+00:00"),
            ),
            TimeUnit::Millisecond => Arc::new(
                array.as_primitive::<TimestampMillisecondType>().clone().with_timezone("+00:00"),
            ),
            TimeUnit::Microsecond => Arc::new(
                array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("+00:00"),
            ),
            TimeUnit::Nanosecond => Arc::new(
                array.as_primitive::<TimestampNanosecondType>().clone().with_timezone("+00:00"),
            ),
        },
        _ => ArrayRef::clone(array),
    }
}

fn show_time(key: i64, data: &DataType) -> String {
    let days = matches!(data, DataType::Date32);
    let us = if days { key.saturating_mul(crate::classify::DAY_US) } else { key };
    let Some(at) = chrono::DateTime::from_timestamp_micros(us) else { return key.to_string() };
    let zone = matches!(data, DataType::Timestamp(_, Some(_)));
    let format = if days {
        "%Y-%m-%d"
    } else if zone {
        "%Y-%m-%dT%H:%M:%S%.fZ"
    } else {
        "%Y-%m-%dT%H:%M:%S%.f"
    };
    at.format(format).to_string()
}

/// `SplitMix64`'s finaliser: spreads integers over all bits.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
