//! A source becomes one Parquet file, with origin, schema, profile and preview.
//!
//! Text, JSON and Excel are read in passes: the whole file is hashed (and its encoding found),
//! then all rows are read for types, then converted. So a value on the last line can still widen
//! a column, and memory stays constant. Parquet keeps its own types and is rewritten, which drops
//! foreign metadata and gives every table the same compression and row groups.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use serde::{Deserialize, Serialize};

use crate::convert::Converter;
use crate::fault::{BrokenRow, Fault, excerpt};
use crate::format::Format;
use crate::infer::Inference;
use crate::limits;
use crate::options::Options;
use crate::origin::{self, Origin};
use crate::output::Output;
use crate::profile::{ColumnProfile, Profiler, in_utc};
use crate::rows::csv::Csv;
use crate::rows::excel::Excel;
use crate::rows::json::Json;
use crate::rows::{Outcome, Visit, unique};
use crate::text;

/// How far an ingestion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    /// Position in this stage: bytes of the source; rows for Parquet and Excel.
    pub done: u64,
    /// Where this stage ends, in the same unit.
    pub total: u64,
    /// Rows seen in this stage.
    pub rows: u64,
}

/// Stages of an ingestion, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Hashing,
    Inferring,
    Converting,
}

/// A published table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub origin: Origin,
    pub schema: Vec<Column>,
    pub rows: u64,
    pub parquet_bytes: u64,
    /// Lower-case hex.
    pub parquet_sha256: String,
    pub profile: Vec<ColumnProfile>,
    /// The first rows as text, cut; null is empty.
    pub preview: Vec<Vec<String>>,
    pub skipped: Skipped,
}

/// A column of a published table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// Arrow's name of the type, e.g. `Int64`, `Utf8`, `Timestamp(µs, "UTC")`.
    #[serde(rename = "type")]
    pub kind: String,
    pub nullable: bool,
}

/// Broken rows left out under `broken_rows_allowed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub rows: u64,
    /// The first ones, in words.
    pub shown: Vec<String>,
}

type Report<'p> = dyn FnMut(Progress) -> ControlFlow<()> + 'p;

/// Reads `path` as a table and writes it to `out` as Parquet (zstd).
///
/// # Errors
/// Any [`Fault`]; then nothing is left at or beside `out`.
pub fn ingest(
    path: &Path,
    format: Format,
    options: &Options,
    out: &Path,
    now_ms: u64,
    progress: &mut Report<'_>,
) -> Result<Table, Fault> {
    let total = std::fs::metadata(path).map_err(Fault::file("read", path))?.len();
    if total == 0 {
        return Err(Fault::Empty);
    }
    if format == Format::Binary {
        return Err(Fault::NotTable("binary"));
    }
    let mut scan = text::Scan::default();
    let mut done = 0u64;
    let origin = origin::read_with(path, now_ms, &options.by, &mut |chunk| {
        if matches!(format, Format::Csv | Format::JsonLines) && options.encoding.is_none() {
            scan.see(chunk);
        }
        done = done.saturating_add(chunk.len() as u64);
        progress(Progress { stage: Stage::Hashing, done, total, rows: 0 })
    })?;
    let encoding = options.encoding.unwrap_or_else(|| scan.encoding());
    let output = Output::create(out)?;
    let made = match format {
        Format::Parquet => parquet(path, &output, progress)?,
        Format::Csv => rows(
            Source::Csv(Csv::open(path, encoding, options)?),
            path,
            &origin,
            options,
            &output,
            progress,
        )?,
        Format::JsonLines => {
            rows(Source::Json(Json::new(encoding)), path, &origin, options, &output, progress)?
        }
        Format::Excel => rows(
            Source::Excel(Box::new(Excel::open(path, options)?)),
            path,
            &origin,
            options,
            &output,
            progress,
        )?,
        Format::Binary => return Err(Fault::NotTable("binary")),
    };
    origin.still(path)?;
    let (parquet_bytes, parquet_sha256) = output.publish()?;
    let Made { schema, rows, profile, preview, skipped } = made;
    let column = |f: &std::sync::Arc<Field>| Column {
        name: f.name().clone(),
        kind: f.data_type().to_string(),
        nullable: f.is_nullable(),
    };
    let schema = schema.fields().iter().map(column).collect();
    Ok(Table { origin, schema, rows, parquet_bytes, parquet_sha256, profile, preview, skipped })
}

struct Made {
    schema: SchemaRef,
    rows: u64,
    profile: Vec<ColumnProfile>,
    preview: Vec<Vec<String>>,
    skipped: Skipped,
}

/// Properties every table of ours is written with, sealed or not.
pub(crate) fn properties() -> Result<WriterPropertiesBuilder, Fault> {
    let level = ZstdLevel::try_new(1).map_err(|e| Fault::broken("Parquet", e))?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(limits::ROW_GROUP_ROWS))
        .set_created_by("tidm".to_owned()))
}

/// Writes batches, paints the profile and keeps the preview.
struct Sink {
    writer: ArrowWriter<File>,
    profiler: Profiler,
    preview: Vec<Vec<String>>,
    schema: SchemaRef,
    rows: u64,
}

impl Sink {
    fn new(output: &Output, schema: SchemaRef) -> Result<Self, Fault> {
        let writer = ArrowWriter::try_new(
            output.writer()?,
            SchemaRef::clone(&schema),
            Some(properties()?.build()),
        );
        let writer = writer.map_err(|e| Fault::broken("Parquet", e))?;
        Ok(Self { writer, profiler: Profiler::new(&schema), preview: Vec::new(), schema, rows: 0 })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        self.profiler.see(batch)?;
        self.show(batch);
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(|e| Fault::broken("Parquet", e))?;
        if self.writer.memory_size() > limits::ROW_GROUP_BYTES {
            self.writer.flush().map_err(|e| Fault::broken("Parquet", e))?;
        }
        Ok(())
    }

    fn show(&mut self, batch: &RecordBatch) {
        let missing = limits::PREVIEW_ROWS.saturating_sub(self.preview.len()).min(batch.num_rows());
        if missing == 0 {
            return;
        }
        let options = FormatOptions::default();
        let shown =
            batch.columns().iter().map(|c| in_utc(&c.slice(0, missing))).collect::<Vec<_>>();
        // What cannot be shown (a nested type of an unknown zone) is blank in the preview only.
        let columns =
            shown.iter().map(|c| ArrayFormatter::try_new(c, &options).ok()).collect::<Vec<_>>();
        for row in 0..missing {
            let cell = |c: &Option<ArrayFormatter<'_>>| {
                c.as_ref().map_or_else(String::new, |c| excerpt(&c.value(row).to_string()))
            };
            self.preview.push(columns.iter().map(cell).collect());
        }
    }

    fn finish(self, skipped: Skipped) -> Result<Made, Fault> {
        let Self { writer, profiler, preview, schema, rows } = self;
        let _metadata = writer.close().map_err(|e| Fault::broken("Parquet", e))?;
        Ok(Made { schema, rows, profile: profiler.finish(), preview, skipped })
    }
}

enum Source {
    Csv(Csv),
    Json(Json),
    Excel(Box<Excel>),
}

impl Source {
    fn pass(&mut self, path: &Path, total: u64, visit: &mut Visit<'_>) -> Result<(), Fault> {
        match self {
            Self::Csv(csv) => csv.pass(path, visit),
            Self::Json(json) => json.pass(path, visit),
            Self::Excel(excel) => excel.pass(total, visit),
        }
    }

    /// Column names as they will stand in the table.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Csv(csv) => csv.names.clone(),
            Self::Json(json) => unique(json.names.iter().map(|name| excerpt(name))),
            Self::Excel(excel) => excel.names.clone(),
        }
    }
}

/// Counts broken rows and says when they are too many.
struct Patience {
    allowed: u64,
    skipped: Skipped,
}

impl Patience {
    fn new(options: &Options) -> Self {
        Self { allowed: options.broken_rows_allowed, skipped: Skipped::default() }
    }

    fn skip(&mut self, broken: BrokenRow) -> Result<(), Fault> {
        if self.allowed == 0 {
            return Err(Fault::Row(broken));
        }
        self.skipped.rows += 1;
        if self.skipped.rows > self.allowed {
            return Err(Fault::TooManyBroken {
                skipped: self.skipped.rows,
                allowed: self.allowed,
                last: broken,
            });
        }
        if self.skipped.shown.len() < limits::SKIPPED_SHOWN {
            self.skipped.shown.push(broken.to_string());
        }
        Ok(())
    }
}

fn rows(
    mut source: Source,
    path: &Path,
    origin: &Origin,
    options: &Options,
    output: &Output,
    progress: &mut Report<'_>,
) -> Result<Made, Fault> {
    let total = origin.bytes;
    let mut inference = Inference::default();
    let mut patience = Patience::new(options);
    let mut rows = 0u64;
    source.pass(path, total, &mut |outcome, done| {
        match outcome {
            Outcome::Row { cells, .. } => inference.row(cells),
            Outcome::Broken(broken) => patience.skip(broken)?,
        }
        rows += 1;
        Ok(tell(progress, Stage::Inferring, done, total, rows))
    })?;
    let names = source.names();
    if names.is_empty() {
        return Err(Fault::Empty);
    }
    if let Some(unknown) = options.types.keys().find(|name| !names.contains(name)) {
        return Err(Fault::NoColumn(unknown.clone()));
    }
    let column = |(at, name): (usize, String)| {
        let (kind, nullable) = inference.column(at);
        // A type set by hand may make a null of what was read as text.
        options
            .types
            .get(&name)
            .copied()
            .map_or_else(|| (name.clone(), kind, nullable), |set| (name.clone(), set, true))
    };
    let mut converter = Converter::new(names.into_iter().enumerate().map(column).collect());
    let mut sink = Sink::new(output, converter.schema())?;
    let (mut patience, mut rows) = (Patience::new(options), 0u64);
    source.pass(path, total, &mut |outcome, done| {
        match outcome {
            Outcome::Row { row, line, cells } => {
                if let Err((column, reason)) = converter.row(cells) {
                    patience.skip(BrokenRow { row, line, column: Some(column), reason })?;
                }
            }
            Outcome::Broken(broken) => patience.skip(broken)?,
        }
        if converter.is_full()
            && let Some(batch) = converter.batch()?
        {
            sink.write(&batch)?;
        }
        rows += 1;
        Ok(tell(progress, Stage::Converting, done, total, rows))
    })?;
    if let Some(batch) = converter.batch()? {
        sink.write(&batch)?;
    }
    let _last = progress(Progress { stage: Stage::Converting, done: total, total, rows });
    sink.finish(patience.skipped)
}

fn tell(
    progress: &mut Report<'_>,
    stage: Stage,
    done: u64,
    total: u64,
    rows: u64,
) -> ControlFlow<()> {
    if rows % limits::PROGRESS_ROWS == 1 {
        progress(Progress { stage, done: done.min(total), total, rows })
    } else {
        ControlFlow::Continue(())
    }
}

/// The reader may panic on malformed files: that is a broken file, not our end.
pub(crate) fn guarded<T, E: std::fmt::Display>(
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, Fault> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(Fault::broken("Parquet", e)),
        Err(_) => Err(Fault::broken("Parquet", "its structure is damaged")),
    }
}

/// Rows of one batch, so that a batch stays within [`limits::BATCH_BYTES`] on average.
pub(crate) fn batch_rows(bytes: i64, rows: i64) -> usize {
    let each = usize::try_from(bytes / rows.max(1)).unwrap_or(0).max(1);
    (limits::BATCH_BYTES / each).clamp(1, limits::BATCH_ROWS)
}

fn parquet(path: &Path, output: &Output, progress: &mut Report<'_>) -> Result<Made, Fault> {
    let file = File::open(path).map_err(Fault::file("open", path))?;
    let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new(file))?;
    let groups = builder.metadata().row_groups();
    let largest = groups.iter().map(|g| batch_rows(g.total_byte_size(), g.num_rows())).min();
    let total = groups.iter().map(|g| u64::try_from(g.num_rows()).unwrap_or(0)).sum();
    let schema = plain(builder.schema())?;
    let mut reader =
        guarded(|| builder.with_batch_size(largest.unwrap_or(limits::BATCH_ROWS)).build())?;
    let mut sink = Sink::new(output, SchemaRef::clone(&schema))?;
    while let Some(batch) = guarded(|| reader.next().transpose())? {
        let batch = RecordBatch::try_new(SchemaRef::clone(&schema), batch.columns().to_vec());
        sink.write(&batch.map_err(|e| Fault::broken("Parquet", e))?)?;
        let done = Progress { stage: Stage::Converting, done: sink.rows, total, rows: sink.rows };
        if progress(done).is_break() {
            return Err(Fault::Cancelled);
        }
    }
    sink.finish(Skipped::default())
}

/// The source's schema with unique names and without foreign metadata.
fn plain(schema: &SchemaRef) -> Result<SchemaRef, Fault> {
    if schema.fields().is_empty() {
        return Err(Fault::Empty);
    }
    if schema.fields().len() > limits::COLUMNS {
        return Err(Fault::Limit {
            what: "the number of columns",
            value: schema.fields().len() as u64,
            limit: limits::COLUMNS as u64,
            advice: "split the table",
        });
    }
    let names = unique(schema.fields().iter().map(|f| excerpt(f.name())));
    let field = |(name, f): (String, &std::sync::Arc<Field>)| {
        let data: DataType = f.data_type().clone();
        Field::new(name, data, f.is_nullable())
    };
    Ok(SchemaRef::new(Schema::new(
        names.into_iter().zip(schema.fields()).map(field).collect::<Vec<_>>(),
    )))
}

#[cfg(test)]
mod tests;
