//! Parquet and Arrow to CSV, Parquet and Arrow.

use std::io::{BufWriter, Write as _};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::{Job, Output};
use crate::keys::fault::Fault;
use crate::keys::ipc;
use crate::keys::limits::{READ_BYTES, TABLE_ROWS};
use crate::keys::place::{Input, Writer as To};
use crate::keys::source::Format;
use crate::keys::table::broken;

/// The columns of a list.
pub(super) fn columns(input: Input, name: &str, format: Format) -> Result<Vec<String>, Fault> {
    let broken = |error: ArrowError| Fault::table(name, format.name(), &error);
    let schema = match format {
        Format::ArrowFile => ipc::file(input, None).map_err(broken)?.schema(),
        Format::ArrowStream => {
            let length = input.length();
            ipc::stream(input, length, None).map_err(broken)?.schema()
        }
        Format::Parquet | Format::Csv(_) => {
            let meta = ArrowReaderMetadata::load(&input, Default::default());
            meta.map_err(|error| Fault::table(name, format.name(), &error))?.schema().clone()
        }
    };
    Ok(schema.fields().iter().map(|field| field.name().clone()).collect())
}

/// Row groups without a row of the result are not read.
pub(super) fn of_parquet(job: Job<'_>, to: Format) -> Result<(), Fault> {
    let format = Format::Parquet;
    let fault = |error| Fault::table(job.name, format.name(), &error);
    let meta = ArrowReaderMetadata::load(&job.input, Default::default()).map_err(fault)?;
    let mut copy = Copy::new(&job, format, to, meta.schema())?;
    for (group, of) in meta.metadata().row_groups().iter().enumerate() {
        let rows = u64::try_from(of.num_rows()).unwrap_or(0);
        if !job.rows.any(copy.row..copy.row.saturating_add(rows)) {
            copy.row = copy.row.saturating_add(rows);
            continue;
        }
        let input = job.input.try_clone().map_err(Fault::io("read", job.name.as_ref()))?;
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(input, meta.clone())
            .with_row_groups(vec![group])
            .with_batch_size(TABLE_ROWS)
            .build();
        for batch in batches.map_err(fault)? {
            copy.batch(&job, batch)?;
        }
    }
    copy.finish(&job)
}

pub(super) fn of_arrow_file(job: Job<'_>, to: Format) -> Result<(), Fault> {
    let input = job.input.try_clone().map_err(Fault::io("read", job.name.as_ref()))?;
    let batches = ipc::file(input, None)
        .map_err(|error| Fault::table(job.name, Format::ArrowFile.name(), &error))?;
    let schema = batches.schema();
    of_arrow(job, Format::ArrowFile, to, &schema, batches)
}

pub(super) fn of_arrow_stream(job: Job<'_>, to: Format) -> Result<(), Fault> {
    let input = job.input.try_clone().map_err(Fault::io("read", job.name.as_ref()))?;
    let length = input.length();
    let batches = ipc::stream(input, length, None)
        .map_err(|error| Fault::table(job.name, Format::ArrowStream.name(), &error))?;
    let schema = batches.schema();
    of_arrow(job, Format::ArrowStream, to, &schema, batches)
}

fn of_arrow(
    job: Job<'_>,
    format: Format,
    to: Format,
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<(), Fault> {
    let mut copy = Copy::new(&job, format, to, schema)?;
    for batch in batches {
        copy.batch(&job, batch)?;
    }
    copy.finish(&job)
}

/// A table on its way from one file to another.
struct Copy {
    format: Format,
    /// The next row of the list.
    row: u64,
    places: Option<Vec<usize>>,
    writer: Writer,
}

impl Copy {
    fn new(job: &Job<'_>, format: Format, to: Format, schema: &Schema) -> Result<Self, Fault> {
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let places = job.places(&names)?;
        let schema = match &places {
            Some(places) => {
                schema.project(places).map_err(|error| unwritable(job.output, &error))?
            }
            None => schema.clone(),
        };
        let writer = Writer::new(job.output, to, schema.into())?;
        Ok(Self { format, row: 0, places, writer })
    }

    fn batch(
        &mut self,
        job: &Job<'_>,
        batch: Result<RecordBatch, ArrowError>,
    ) -> Result<(), Fault> {
        let wrong = |error| broken(job.name, self.format, self.row, &error);
        let batch = batch.map_err(wrong)?;
        let count = batch.num_rows() as u64;
        if job.rows.any(self.row..self.row + count) {
            let row = self.row;
            let keep = BooleanBuffer::collect_bool(batch.num_rows(), |place| {
                job.rows.contains(row + place as u64)
            });
            let batch = match &self.places {
                Some(places) => batch.project(places).map_err(wrong)?,
                None => batch,
            };
            let kept =
                filter_record_batch(&batch, &BooleanArray::new(keep, None)).map_err(wrong)?;
            self.writer.write(&kept).map_err(|error| unwritable(job.output, &error))?;
        }
        self.row += count;
        Ok(())
    }

    fn finish(self, job: &Job<'_>) -> Result<(), Fault> {
        job.same_rows(self.row)?;
        self.writer.finish().map_err(|error| unwritable(job.output, &error))
    }
}

fn unwritable(output: &Output, error: &ArrowError) -> Fault {
    // The words of other errors may hold values.
    let error = if let ArrowError::IoError(_, error) = error {
        std::io::Error::from(error.kind())
    } else {
        std::io::Error::other("the format does not carry a column of the list")
    };
    output.fault()(error)
}

enum Writer {
    Csv(Csv),
    Parquet(Box<ArrowWriter<To>>),
    ArrowFile(FileWriter<BufWriter<To>>),
    ArrowStream(StreamWriter<BufWriter<To>>),
}

impl Writer {
    fn new(output: &Output, to: Format, schema: SchemaRef) -> Result<Self, Fault> {
        let file = output.writer()?;
        let buffered = |file| BufWriter::with_capacity(READ_BYTES, file);
        let writer = match to {
            Format::Csv(delimiter) => {
                Csv::new(buffered(file), delimiter.byte(), &schema).map(Self::Csv)
            }
            Format::Parquet => {
                let packed = Compression::ZSTD(Default::default());
                let properties = WriterProperties::builder().set_compression(packed).build();
                ArrowWriter::try_new(file, schema, Some(properties))
                    .map(|writer| Self::Parquet(Box::new(writer)))
                    .map_err(ArrowError::from)
            }
            Format::ArrowFile => FileWriter::try_new(buffered(file), &schema).map(Self::ArrowFile),
            Format::ArrowStream => {
                StreamWriter::try_new(buffered(file), &schema).map(Self::ArrowStream)
            }
        };
        writer.map_err(|error| unwritable(output, &error))
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        match self {
            Self::Csv(writer) => writer.write(rows),
            Self::Parquet(writer) => writer.write(rows).map_err(ArrowError::from),
            Self::ArrowFile(writer) => writer.write(rows),
            Self::ArrowStream(writer) => writer.write(rows),
        }
    }

    fn finish(self) -> Result<(), ArrowError> {
        match self {
            Self::Csv(mut writer) => writer.out.flush().map_err(ArrowError::from),
            Self::Parquet(writer) => writer.close().map(|_| ()).map_err(ArrowError::from),
            Self::ArrowFile(mut writer) => writer.finish().and_then(|()| writer.flush()),
            Self::ArrowStream(mut writer) => writer.finish().and_then(|()| writer.flush()),
        }
    }
}

/// Values as Arrow shows them, nulls as nothing, quotes where they are needed.
struct Csv {
    out: BufWriter<To>,
    delimiter: u8,
    line: Vec<u8>,
    value: String,
}

impl Csv {
    fn new(out: BufWriter<To>, delimiter: u8, schema: &Schema) -> Result<Self, ArrowError> {
        let mut csv = Self { out, delimiter, line: Vec::new(), value: String::new() };
        for field in schema.fields() {
            csv.value.clone_from(field.name());
            csv.field();
        }
        csv.end()?;
        Ok(csv)
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let options = FormatOptions::default();
        let columns = rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows.num_rows() {
            for column in &columns {
                self.value.clear();
                column.value(row).write(&mut self.value)?;
                self.field();
            }
            self.end()?;
        }
        Ok(())
    }

    /// Puts the value at the end of the line, behind which a delimiter stands.
    fn field(&mut self) {
        let bytes = self.value.as_bytes();
        let special = |byte: &u8| *byte == self.delimiter || matches!(byte, b'"' | b'\n' | b'\r');
        if bytes.iter().any(special) || self.value.trim() != self.value {
            self.line.push(b'"');
            for byte in bytes {
                if *byte == b'"' {
                    self.line.push(b'"');
                }
                self.line.push(*byte);
            }
            self.line.push(b'"');
        } else {
            self.line.extend_from_slice(bytes);
        }
        self.line.push(self.delimiter);
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        self.line.pop();
        if self.line.is_empty() {
            // A row of one empty value would be an empty line, which is no row.
            self.line.extend_from_slice(b"\"\"");
        }
        self.line.push(b'\n');
        self.out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }
}
