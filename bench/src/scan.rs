//! The same statement over a table sealed for a contract and over the table in clear, both in the worker.
//!
//! Never flattered by what is not a scan: the time of a use of one row is taken off both.

use std::path::Path;

use anyhow::Result;
use parquet::basic::{Compression, ZstdLevel};

use tidm_ingest::seal;

use crate::figure::{Goal, Report, median, milliseconds};
use crate::machine::scratch_dir;
use crate::table::{self, ask};

const ROWS: i64 = 8_000_000;
const ROUNDS: usize = 7;
const SQL: &str = "SELECT sum(v1) AS a, avg(v4) AS b, sum(v7) AS c FROM t";

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let path = |name: &str| dir.path().join(name);
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1)?);
    let tiny = path("tiny.parquet");
    table::write(&tiny, 1, zstd, false)?;
    let (plain, sealed) = (path("plain.parquet"), path("sealed.parquet"));
    table::write(&plain, ROWS, zstd, false)?;
    drop(seal::seal_table(&plain, &sealed, &table::KEY, table::AAD)?);
    let (bare, bare_sealed) = (path("bare.parquet"), path("bare-sealed.parquet"));
    table::write(&bare, ROWS, Compression::UNCOMPRESSED, false)?;
    table::write(&bare_sealed, ROWS, Compression::UNCOMPRESSED, true)?;

    let none = median(rounds(&tiny, &tiny, false).await?.iter().map(|it| it.0).collect());
    for (name, plain, sealed, goal) in [
        ("zstd", &plain, &sealed, Goal::AtMost(1.15)),
        ("uncompressed, the worst case", &bare, &bare_sealed, Goal::None),
    ] {
        let pairs = rounds(plain, sealed, true).await?;
        let clear = median(pairs.iter().map(|it| it.0 - none).collect());
        let secret = median(pairs.iter().map(|it| it.1 - none).collect());
        // Round by round, so that what else the machine does weighs on both.
        let ratio = median(pairs.iter().map(|it| (it.1 - none) / (it.0 - none)).collect());
        report.add(&format!("in clear, {name}"), clear, "ms", Goal::None);
        report.add(&format!("sealed, {name}"), secret, "ms", Goal::None);
        report.add(&format!("sealed / in clear, {name}"), ratio, "×", goal);
    }
    report.add("taken off: a use of one row", none, "ms", Goal::None);
    Ok(())
}

/// Milliseconds over two files in turn, warm. `sealed`: the second one is.
async fn rounds(first: &Path, second: &Path, sealed: bool) -> Result<Vec<(f64, f64)>> {
    let mut pairs = Vec::new();
    for round in 0..=ROUNDS {
        let (clear, secret) = (ask(first, SQL, false).await?, ask(second, SQL, sealed).await?);
        // The first round brings the files into the page cache.
        if round > 0 {
            pairs.push((milliseconds(clear.whole), milliseconds(secret.whole)));
        }
    }
    Ok(pairs)
}
