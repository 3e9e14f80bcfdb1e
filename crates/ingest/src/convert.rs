//! Cells into Arrow columns of known types.
//!
//! A row is checked whole before any of it is appended, so a broken row leaves no half behind.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::classify::{DAY_US, Value, classify, number, time};
use crate::fault::{Fault, excerpt};
use crate::infer::{JSON_DIGITS, whole};
use crate::limits;
use crate::options::{ColumnType, MISSING_TOKENS};
use crate::rows::Cell;

/// Gathers rows into one batch at a time.
pub(crate) struct Converter {
    schema: SchemaRef,
    types: Vec<ColumnType>,
    columns: Vec<Builder>,
    values: Vec<Option<Value>>,
    rows: usize,
    bytes: usize,
}

enum Builder {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

/// The Arrow type a column type is kept as.
pub(crate) fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        ColumnType::TimestampUtc => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Text => DataType::Utf8,
    }
}

impl Converter {
    pub(crate) fn new(columns: Vec<(String, ColumnType, bool)>) -> Self {
        let types = columns.iter().map(|(_, kind, _)| *kind).collect::<Vec<_>>();
        let fields = columns
            .into_iter()
            .map(|(name, kind, null)| Field::new(name, data_type(kind), null))
            .collect::<Vec<_>>();
        let columns = types.iter().map(|kind| Builder::new(*kind)).collect();
        Self {
            schema: Arc::new(Schema::new(fields)),
            types,
            columns,
            values: Vec::new(),
            rows: 0,
            bytes: 0,
        }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Appends one row, or says which column it breaks on and why.
    pub(crate) fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), (String, String)> {
        self.values.clear();
        for (at, kind) in self.types.iter().enumerate() {
            let cell = cells.get(at).unwrap_or(&Cell::Null);
            let value = value(cell, *kind).map_err(|reason| {
                (
                    self.schema.fields().get(at).map_or_else(String::new, |f| f.name().clone()),
                    reason,
                )
            })?;
            self.values.push(value);
        }
        for (at, (builder, value)) in self.columns.iter_mut().zip(&self.values).enumerate() {
            self.bytes += builder.append(*value, cells.get(at).unwrap_or(&Cell::Null));
        }
        self.rows += 1;
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows >= limits::BATCH_ROWS || self.bytes >= limits::BATCH_BYTES
    }

    /// The rows gathered so far, if any.
    pub(crate) fn batch(&mut self) -> Result<Option<RecordBatch>, Fault> {
        if self.rows == 0 {
            return Ok(None);
        }
        let arrays =
            self.columns.iter_mut().zip(&self.types).map(|(b, kind)| b.finish(*kind)).collect();
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(self.schema(), arrays).map(Some).map_err(|e| Fault::broken("table", e))
    }
}

impl Builder {
    fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::Integer => Self::Integer(Int64Builder::new()),
            ColumnType::Float => Self::Float(Float64Builder::new()),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Timestamp | ColumnType::TimestampUtc => {
                Self::Timestamp(TimestampMicrosecondBuilder::new())
            }
            ColumnType::Text => Self::Text(StringBuilder::new()),
        }
    }

    /// Appends a value that [`value`] made for this column; returns its rough size in bytes.
    fn append(&mut self, value: Option<Value>, cell: &Cell<'_>) -> usize {
        #[expect(
            clippy::cast_precision_loss,
            reason = "integers of a float column are exact by inference, or chosen by hand"
        )]
        match (self, value) {
            (Self::Boolean(b), Some(Value::Bool(v))) => b.append_value(v),
            (Self::Integer(b), Some(Value::Int(v))) => b.append_value(v),
            (Self::Float(b), Some(Value::Float(v))) => b.append_value(v),
            (Self::Float(b), Some(Value::Int(v))) => b.append_value(v as f64),
            (Self::Date(b), Some(Value::Date(v))) => b.append_value(v),
            (Self::Timestamp(b), Some(Value::Date(v))) => b.append_value(i64::from(v) * DAY_US),
            (Self::Timestamp(b), Some(Value::Stamp(v) | Value::StampUtc(v))) => b.append_value(v),
            (Self::Text(b), Some(_)) => return append_text(b, cell),
            (Self::Boolean(b), _) => b.append_null(),
            (Self::Integer(b), _) => b.append_null(),
            (Self::Float(b), _) => b.append_null(),
            (Self::Date(b), _) => b.append_null(),
            (Self::Timestamp(b), _) => b.append_null(),
            (Self::Text(b), None) => b.append_null(),
        }
        8
    }

    fn finish(&mut self, kind: ColumnType) -> ArrayRef {
        match self {
            Self::Boolean(b) => Arc::new(b.finish()),
            Self::Integer(b) => Arc::new(b.finish()),
            Self::Float(b) => Arc::new(b.finish()),
            Self::Date(b) => Arc::new(b.finish()),
            Self::Timestamp(b) if kind == ColumnType::TimestampUtc => {
                Arc::new(b.finish().with_timezone("UTC"))
            }
            Self::Timestamp(b) => Arc::new(b.finish()),
            Self::Text(b) => Arc::new(b.finish()),
        }
    }
}

fn append_text(builder: &mut StringBuilder, cell: &Cell<'_>) -> usize {
    let stamp = |us: i64| chrono::DateTime::from_timestamp_micros(us).map(|at| at.naive_utc());
    let made = match *cell {
        Cell::Null => None,
        Cell::Plain(text) | Cell::Quoted(text) | Cell::Number(text) | Cell::Json(text) => {
            builder.append_value(text);
            return text.len() + 4;
        }
        Cell::Bool(v) => Some(v.to_string()),
        Cell::Float(v) => Some(whole(v).map_or_else(|| v.to_string(), |i| i.to_string())),
        Cell::Date(days) => stamp(i64::from(days) * DAY_US).map(|at| at.date().to_string()),
        Cell::Stamp(us) => stamp(us).map(|at| at.format("%Y-%m-%dT%H:%M:%S%.f").to_string()),
    };
    builder.append_option(made.as_deref());
    made.map_or(4, |text| text.len() + 4)
}

/// The value of a cell in a column of this type; `None` is null.
fn value(cell: &Cell<'_>, kind: ColumnType) -> Result<Option<Value>, String> {
    use {ColumnType as C, Value as V};
    if kind == C::Text {
        return Ok((*cell != Cell::Null).then_some(V::Text));
    }
    let read = match cell {
        Cell::Null => return Ok(None),
        Cell::Plain(text) if MISSING_TOKENS.contains(text) => return Ok(None),
        Cell::Plain(text) if matches!(kind, C::Integer | C::Float) => {
            number(text, JSON_DIGITS).unwrap_or(V::Text)
        }
        Cell::Plain(text) => classify(text, limits::NUMBER_DIGITS),
        Cell::Quoted(text) => time(text).unwrap_or(V::Text),
        Cell::Number(text) => number(text, JSON_DIGITS).unwrap_or(V::Text),
        Cell::Json(_) => V::Text,
        Cell::Bool(v) => V::Bool(*v),
        Cell::Float(v) => whole(*v).map_or(V::Float(*v), V::Int),
        Cell::Date(v) => V::Date(*v),
        Cell::Stamp(v) => V::Stamp(*v),
    };
    let fits = matches!(
        (kind, read),
        (C::Boolean, V::Bool(_))
            | (C::Integer, V::Int(_))
            | (C::Float, V::Int(_) | V::Float(_))
            | (C::Date, V::Date(_))
            | (C::Timestamp, V::Date(_) | V::Stamp(_))
            | (C::TimestampUtc, V::StampUtc(_))
    );
    if fits {
        Ok(Some(read))
    } else {
        Err(format!("{} does not fit the type {kind:?}", said(cell)))
    }
}

fn said(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Plain(text) | Cell::Quoted(text) | Cell::Number(text) | Cell::Json(text) => {
            format!("{:?}", excerpt(text))
        }
        Cell::Null => "null".to_owned(),
        Cell::Bool(v) => v.to_string(),
        Cell::Float(v) => v.to_string(),
        Cell::Date(_) | Cell::Stamp(_) => "a date".to_owned(),
    }
}
