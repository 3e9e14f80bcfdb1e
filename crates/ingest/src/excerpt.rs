//! A copy of a table with fewer rows, fewer columns or other numbers: what of a product one contract lets out.
//!
//! Rows and columns that are left out are in no byte of the copy, its statistics and row counts included: whoever
//! reads it, by whatever statement, reads a table that never had them. Never the place of a decision: which rows stay
//! and which number stands where is asked of the caller.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tidm_mark::decimal::Decimal;

use crate::cells::{Reading, Row, renumbered};
use crate::fault::Fault;
use crate::limits;
use crate::output::Output;
use crate::table::{batch_rows, guarded, properties};

/// What is copied, and what is changed on the way.
pub struct Cut<'a> {
    /// Columns that stay; `None`: all.
    pub columns: Option<&'a BTreeSet<String>>,
    /// Columns that the functions below read, in the copy or not.
    pub reads: &'a [String],
    pub keep: &'a dyn Fn(Row<'_>) -> bool,
    /// Columns whose numbers may change.
    pub changes: &'a [String],
    /// The number to stand there instead.
    pub change: &'a dyn Fn(&str, Row<'_>, Decimal) -> Option<Decimal>,
}

/// A copy that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    pub rows: u64,
    /// Values that were changed.
    pub changed: u64,
}

/// Copies the Parquet file `parquet_in` to `out`, batch by batch.
///
/// # Errors
/// [`Fault::Broken`] on an unreadable input, [`Fault::File`]; then nothing is left at or beside `out`.
pub fn excerpt(parquet_in: &Path, out: &Path, cut: &Cut<'_>) -> Result<Excerpt, Fault> {
    let broken = |e: ArrowError| Fault::broken("Parquet", e);
    let output = Output::create(out)?;
    let mut writer: Option<ArrowWriter<File>> = None;
    let mut done = Excerpt { rows: 0, changed: 0 };
    let schema = each_batch(parquet_in, &mut |batch| {
        let kept = apply(&batch, cut, &mut done.changed).map_err(broken)?;
        done.rows += kept.num_rows() as u64;
        writing(&mut writer, &output, kept.schema())?
            .write(&kept)
            .map_err(|e| Fault::broken("Parquet", e))
    })?;
    // A table without a batch has columns all the same.
    let empty = apply(&RecordBatch::new_empty(schema), cut, &mut 0).map_err(broken)?;
    writing(&mut writer, &output, empty.schema())?;
    if let Some(writer) = writer {
        let _metadata = writer.close().map_err(|e| Fault::broken("Parquet", e))?;
    }
    output.publish().map(|_| done)
}

fn writing<'a>(
    writer: &'a mut Option<ArrowWriter<File>>,
    output: &Output,
    schema: arrow::datatypes::SchemaRef,
) -> Result<&'a mut ArrowWriter<File>, Fault> {
    if writer.is_none() {
        let made = ArrowWriter::try_new(output.writer()?, schema, Some(properties()?.build()));
        *writer = Some(made.map_err(|e| Fault::broken("Parquet", e))?);
    }
    writer.as_mut().ok_or(Fault::Empty)
}

/// Rows first, then numbers, then columns: a condition may speak of what does not leave.
fn apply(batch: &RecordBatch, cut: &Cut<'_>, changed: &mut u64) -> Result<RecordBatch, ArrowError> {
    let reading = Reading::of(batch, cut.reads)?;
    let stays: BooleanArray =
        (0..batch.num_rows()).map(|at| Some((cut.keep)(reading.row(at)))).collect();
    let batch = filter_record_batch(batch, &stays)?;
    let reading = Reading::of(&batch, cut.reads)?;
    let schema = batch.schema();
    let (mut kept, mut columns) = (vec![], vec![]);
    for (place, (field, array)) in schema.fields().iter().zip(batch.columns()).enumerate() {
        let name = field.name();
        if cut.columns.is_some_and(|all| !all.contains(name)) {
            continue;
        }
        kept.push(place);
        columns.push(if cut.changes.contains(name) {
            renumbered(array, &mut |at, it| {
                let new = (cut.change)(name, reading.row(at), it)?;
                *changed += 1;
                Some(new)
            })?
        } else {
            array.clone()
        });
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.project(&kept)?.into(), columns, &options)
}

/// Reads some columns of a Parquet file, row by row.
///
/// # Errors
/// As [`excerpt`].
pub fn rows(path: &Path, reads: &[String], see: &mut dyn FnMut(Row<'_>)) -> Result<(), Fault> {
    each_batch(path, &mut |batch| {
        let reading = Reading::of(&batch, reads).map_err(|e| Fault::broken("Parquet", e))?;
        (0..batch.num_rows()).for_each(|at| see(reading.row(at)));
        Ok(())
    })
    .map(drop)
}

/// Visits all batches; the schema.
fn each_batch(
    path: &Path,
    visit: &mut dyn FnMut(RecordBatch) -> Result<(), Fault>,
) -> Result<arrow::datatypes::SchemaRef, Fault> {
    let file = File::open(path).map_err(Fault::file("open", path))?;
    let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new(file))?;
    let groups = builder.metadata().row_groups();
    let size = groups.iter().map(|g| batch_rows(g.total_byte_size(), g.num_rows())).min();
    let schema = builder.schema().clone();
    let mut reader =
        guarded(|| builder.with_batch_size(size.unwrap_or(limits::BATCH_ROWS)).build())?;
    while let Some(batch) = guarded(|| reader.next().transpose())? {
        visit(batch)?;
    }
    Ok(schema)
}

#[cfg(test)]
mod tests;
