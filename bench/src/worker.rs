//! One statement in a jailed worker, and by the same engine in this process without jail or rules.
//!
//! Never a warm worker: each use has a process of its own, as in the product.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use parquet::basic::{Compression, ZstdLevel};

use crate::figure::{Goal, Report, median, milliseconds};
use crate::machine::scratch_dir;
use crate::table::{self, ask};

const ROWS: i64 = 12_000_000;
const ROUNDS: usize = 9;
const SQL: &str =
    "SELECT line, count(*) AS n, avg(v1) AS a, sum(v2) AS b FROM t WHERE v3 > 40 GROUP BY line";

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let dir = std::path::absolute(dir.path())?;
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1)?);
    let (path, tiny) = (dir.join("t.parquet"), dir.join("tiny.parquet"));
    table::write(&path, ROWS, zstd, false)?;
    table::write(&tiny, 1, zstd, true)?;
    let (mut raw, mut jailed, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (here, there) = (in_process(&path).await?, ask(&path, SQL, false).await?);
        let start = ask(&tiny, SQL, true).await?.start.context("the worker asked for no key")?;
        // The first round brings the file into the page cache.
        if round > 0 {
            raw.push(milliseconds(here));
            jailed.push(milliseconds(there.whole));
            starts.push(milliseconds(start));
        }
    }
    let start = median(starts.clone());
    let slowest = starts.iter().copied().fold(0.0, f64::max);
    let ratio = |off: f64| median(raw.iter().zip(&jailed).map(|it| (it.1 - off) / it.0).collect());
    let (whole, rest) = (ratio(0.0), ratio(start));
    report.add("start of a worker until its jail is on, p50", start, "ms", Goal::AtMost(50.0));
    report.add("start of a worker, slowest", slowest, "ms", Goal::None);
    report.add("statement in process", median(raw), "ms", Goal::None);
    report.add("statement in a worker, with its start", median(jailed), "ms", Goal::None);
    report.add("worker / in process, without the start", rest, "×", Goal::AtMost(1.1));
    report.add("worker / in process, with the start", whole, "×", Goal::None);
    Ok(())
}

async fn in_process(path: &Path) -> Result<Duration> {
    let started = Instant::now();
    let context = SessionContext::new();
    let name = path.to_str().context("the path is no text")?;
    context.register_parquet("t", name, ParquetReadOptions::default()).await?;
    let batches = context.sql(SQL).await?.collect().await?;
    let took = started.elapsed();
    let rows: usize = batches.iter().map(|it| it.num_rows()).sum();
    ensure!(rows == 16, "{rows} lines were found");
    Ok(took)
}
