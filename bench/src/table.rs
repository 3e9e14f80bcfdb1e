//! A table of readings, sealed or in clear, and statements over it in a jailed worker.
//!
//! Never a key outside its worker: it is wrapped to the key that this worker made.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::WriterProperties;
use rand_core::UnwrapErr;

use tidm_crypto::kem::{self, KemPublic};
use tidm_sandbox::gate::Rules;
use tidm_sandbox::host::{Job, KeyDenied, Limits, Table, Worker};
use tidm_sandbox::job::{Hello, TableKey};

use crate::values::Noise;

/// The word under which this program is a worker.
pub(crate) const WORKER: &str = "run-worker";
pub(crate) const KEY: [u8; 32] = [7; 32];
pub(crate) const AAD: &[u8] = b"contract-1/product-1";
const INFO: &[u8] = b"tidm bench";

/// Rows of a row group, as in the tables that a node makes.
const GROUP: i64 = 262_144;
/// Beside a time and a line: columns of readings with three decimals, each near the one before.
const READINGS: usize = 8;

/// Ten columns: `at`, `line` (16 of them), `v1` to `v8`. `seal` encrypts as a node does.
pub(crate) fn write(path: &Path, rows: i64, compression: Compression, seal: bool) -> Result<()> {
    let mut properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(usize::try_from(GROUP)?));
    if compression == Compression::UNCOMPRESSED {
        properties = properties.set_dictionary_enabled(false);
    }
    if seal {
        let encryption = FileEncryptionProperties::builder(KEY.to_vec())
            .with_aad_prefix(AAD.to_vec())
            .with_aad_prefix_storage(false)
            .build()?;
        properties = properties.with_file_encryption_properties(encryption);
    }
    let properties = properties.build();
    let mut series = Series { noise: Noise::new(), levels: [50_000; READINGS] };
    let mut first = 0;
    let mut batch = series.batch(first, rows.min(GROUP))?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties))?;
    loop {
        writer.write(&batch)?;
        first += GROUP;
        if first >= rows {
            break;
        }
        batch = series.batch(first, (rows - first).min(GROUP))?;
    }
    let _metadata = writer.close()?;
    Ok(())
}

/// Series of sensors: each value is a small step from the last one, between 0 and 100.
struct Series {
    noise: Noise,
    /// Thousandths.
    levels: [u32; READINGS],
}

impl Series {
    fn batch(&mut self, first: i64, rows: i64) -> Result<RecordBatch> {
        let all = first..first + rows;
        let at: ArrayRef = Arc::new(all.clone().map(|row| row * 1_000).collect::<Int64Array>());
        let line: ArrayRef = Arc::new(all.clone().map(|row| row % 16).collect::<Int64Array>());
        let mut columns = vec![("at".to_owned(), at), ("line".to_owned(), line)];
        for (number, level) in (1..).zip(&mut self.levels) {
            let mut values = Vec::with_capacity(usize::try_from(rows)?);
            for _ in all.clone() {
                let step = u32::try_from(self.noise.next() % 41)?;
                *level = (*level + step).saturating_sub(20).min(100_000);
                values.push(f64::from(*level) / 1000.0);
            }
            let values: ArrayRef = Arc::new(Float64Array::from(values));
            columns.push((format!("v{number}"), values));
        }
        Ok(RecordBatch::try_from_iter(columns)?)
    }
}

/// How long one use took, and how long until the jail was on (known of sealed tables only).
pub(crate) struct Took {
    pub whole: Duration,
    pub start: Option<Duration>,
}

/// One statement over table `t` in a worker of its own.
pub(crate) async fn ask(path: &Path, sql: &str, sealed: bool) -> Result<Took> {
    let worker = Worker::new(std::env::current_exe()?, vec![WORKER.into()]);
    let table = Table {
        name: "t".to_owned(),
        files: vec![File::open(path)?],
        rules: Rules { raw_rows_allowed: true, ..Rules::default() },
        aad_prefix: sealed.then(|| AAD.to_vec()),
    };
    let job = Job { sql: sql.to_owned(), tables: vec![table] };
    let mut start = None;
    let started = Instant::now();
    let keys = |hello: Hello| {
        start = Some(started.elapsed());
        async move { wrapped(&hello) }
    };
    let done = worker.run(job, Limits::default(), keys).await.with_context(|| sql.to_owned())?;
    Ok(Took { whole: done.took, start })
}

/// The data key for this worker, as a provider's gate gives it.
fn wrapped(hello: &Hello) -> Result<Vec<TableKey>, KeyDenied> {
    let denied = || KeyDenied("the worker's key is none".to_owned());
    let public = KemPublic::from_bytes(&hello.public_key).map_err(|_| denied())?;
    let mut random = UnwrapErr(getrandom::SysRng);
    let wrapped = kem::seal(&public, INFO, AAD, &KEY, &mut random).map_err(|_| denied())?;
    Ok(vec![TableKey {
        table: "t".to_owned(),
        wrapped: wrapped.to_bytes(),
        info: INFO.to_vec(),
        aad: AAD.to_vec(),
        share: None,
    }])
}
