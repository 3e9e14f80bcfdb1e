//! One table of sensor readings, as files, and jobs over it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::ipc::reader::StreamReader;
use parquet::arrow::ArrowWriter;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;
use tidm_sandbox::gate::Rules;
use tidm_sandbox::host::{Failure, Job, KeyDenied, Limits, Outcome, Table, Worker};

pub(crate) const ROWS: i64 = 2_000;
/// Stands in every cell of the column no contract opens.
pub(crate) const MARK: &str = "SECRET-MARK";

/// 2000 rows, 100 sensors on lines A–D (25 each); the first two rows are on line E.
pub(crate) fn batch() -> RecordBatch {
    let rows = || 0..ROWS;
    let sensor = |i: i64| format!("sensor-{:05}", i % 100);
    let line = |i: i64| if i < 2 { "E" } else { ["A", "B", "C", "D"][(i % 4) as usize] };
    let schema = Schema::new(vec![
        Field::new("sensor", DataType::Utf8, false),
        Field::new("line", DataType::Utf8, false),
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), false),
        Field::new("temp", DataType::Float64, true),
        Field::new("power", DataType::Float64, false),
        Field::new("n", DataType::Int64, false),
        Field::new("rare", DataType::Float64, true),
        Field::new("secret", DataType::Utf8, false),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(rows().map(|i| Some(sensor(i))).collect::<StringArray>()),
            Arc::new(rows().map(|i| Some(line(i))).collect::<StringArray>()),
            Arc::new(rows().map(|i| Some(i * 10_000_000)).collect::<TimestampMicrosecondArray>()),
            Arc::new(rows().map(|i| Some(20.0 + (i % 50) as f64 / 2.0)).collect::<Float64Array>()),
            Arc::new(rows().map(|i| Some(i as f64)).collect::<Float64Array>()),
            Arc::new(rows().map(|i| Some(i % 10)).collect::<Int64Array>()),
            Arc::new(rows().map(|i| (i < 2).then_some(i as f64)).collect::<Float64Array>()),
            Arc::new(rows().map(|i| Some(format!("{MARK}-{i}"))).collect::<StringArray>()),
        ],
    )
    .unwrap()
}

/// Writes the table; `seal` is an AES key and an AAD prefix that stays outside the file.
pub(crate) fn write(path: &Path, seal: Option<(&[u8], &[u8])>) {
    let batch = batch();
    let mut properties = WriterProperties::builder().set_max_row_group_row_count(Some(500));
    if let Some((key, aad)) = seal {
        let encryption = FileEncryptionProperties::builder(key.to_vec())
            .with_aad_prefix(aad.to_vec())
            .with_aad_prefix_storage(false)
            .build()
            .unwrap();
        properties = properties.with_file_encryption_properties(encryption);
    }
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The plain table in a directory of its own.
pub(crate) fn plain() -> (TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.parquet");
    write(&path, None);
    (directory, path)
}

pub(crate) fn worker() -> Worker {
    Worker::new(env!("CARGO_BIN_EXE_tidm-sandbox-worker"), Vec::new())
}

pub(crate) fn job(sql: &str, path: &Path, rules: Rules) -> Job {
    let table = Table {
        name: "t".to_owned(),
        files: vec![File::open(path).unwrap()],
        rules,
        aad_prefix: None,
    };
    Job { sql: sql.to_owned(), tables: vec![table] }
}

pub(crate) fn open_rules() -> Rules {
    Rules { raw_rows_allowed: true, ..Rules::default() }
}

/// Two threads whatever the machine, and room for a debug build on a busy one.
pub(crate) fn limits() -> Limits {
    Limits {
        deadline: std::time::Duration::from_secs(60),
        memory_bytes: 512 * 1024 * 1024,
        threads: 2,
        max_rows: 100_000,
        max_bytes: 16 * 1024 * 1024,
        ..Limits::default()
    }
}

/// Runs a job without sealed tables.
pub(crate) async fn run(job: Job, limits: Limits) -> Result<Outcome, Failure> {
    worker().run(job, limits, |_| async { Err(KeyDenied("no sealed table here".into())) }).await
}

pub(crate) fn batches(outcome: &Outcome) -> Vec<RecordBatch> {
    let reader = StreamReader::try_new(outcome.ipc.as_slice(), None).unwrap();
    reader.collect::<Result<_, _>>().unwrap()
}
