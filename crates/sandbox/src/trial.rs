//! A statement over a few rows that are made up here, in this process: what fuzzing asks.
//!
//! Never part of a use of data: no jail, no deadline, no rows of anybody. What it promises is that the statement goes
//! through the same plan, gate and engine as one in a worker.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array as _, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::default_table_source::DefaultTableSource;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;

use crate::engine::{Answer, over, session};
use crate::files::Files;
use crate::gate::Rules;
use crate::gate::protect::Guarded;
use crate::job::{Bounds, Request, TableRequest};
use crate::noise::{Clamp, Noise};
use crate::refusal::{Code, Refusal};
use crate::result;
use crate::sealed::Keyring;

/// Text in rows of the table that may never leave: a column that is not opened, and the name of a group that is too small.
pub const HIDDEN: [&str; 2] = ["unopened", "lonely"];
/// Name of the table; its columns are `site`, `kw` and `day`.
pub const TABLE: &str = "t";
const MEMORY_BYTES: u64 = 16 << 20;
const MAX_ROWS: u64 = 1000;

/// Cells of the result of `sql`, as text.
///
/// # Errors
/// As a worker would refuse it.
pub async fn answer(sql: &str) -> Result<Vec<String>, Refusal> {
    let answer = under(sql, Rules { min_group: 5, ..opened() }).await?;
    cells(&answer.ipc).ok_or_else(|| Refusal::bare(Code::Failed))
}

/// How many rows the noisy answer to `sql` has.
///
/// # Errors
/// As a worker would refuse it.
pub async fn noisy(sql: &str) -> Result<usize, Refusal> {
    let clamp = Clamp { column: "kw".to_owned(), exponent: -1, low: 0, high: 50 };
    let noise = Noise { unit: "site".to_owned(), rows: 2, sums: vec![clamp], epsilon: 100_000 };
    let answer = under(sql, Rules { noise: Some(noise), ..opened() }).await?;
    let read = result::read(&answer.ipc).ok_or_else(|| Refusal::bare(Code::Failed))?;
    Ok(read.batches.iter().map(RecordBatch::num_rows).sum())
}

fn opened() -> Rules {
    Rules { columns: Some(["site", "kw", "day"].map(str::to_owned).to_vec()), ..Rules::default() }
}

async fn under(sql: &str, rules: Rules) -> Result<Answer, Refusal> {
    let table =
        TableRequest { name: TABLE.to_owned(), files: 0, rules: rules.clone(), aad_prefix: None };
    let bounds = Bounds {
        memory_bytes: MEMORY_BYTES,
        threads: 1,
        cpu_seconds: 1,
        files: 0,
        max_rows: MAX_ROWS,
        max_bytes: MEMORY_BYTES,
    };
    let request = Request { sql: sql.to_owned(), tables: vec![table], bounds };
    let files = Files::new(Vec::new()).map_err(|_| Refusal::bare(Code::Failed))?;
    let context = session(&request, Arc::new(files), Keyring::default())?;
    let failed = |_: DataFusionError| Refusal::bare(Code::Failed);
    let whole = rows()?;
    let opened = whole.project(&[0, 1, 2]).map_err(|_| Refusal::bare(Code::Failed))?;
    let held = |batch: RecordBatch| {
        MemTable::try_new(batch.schema(), vec![vec![batch]]).map(Arc::new).map_err(failed)
    };
    context.register_table(TABLE, held(opened)?).map_err(failed)?;
    let full = Arc::new(DefaultTableSource::new(held(whole)?));
    let guarded = HashMap::from([(TABLE.to_owned(), Guarded { rules, full })]);
    over(&context, &request, &guarded).await
}

/// Seven rows of one site and three of another.
fn rows() -> Result<RecordBatch, Refusal> {
    let schema = Schema::new(vec![
        Field::new("site", DataType::Utf8, false),
        Field::new("kw", DataType::Float64, true),
        Field::new("day", DataType::Int64, false),
        Field::new("secret", DataType::Utf8, false),
    ]);
    let [unopened, lonely] = HIDDEN;
    let site = (0..10).map(|row| if row < 7 { "north" } else { lonely });
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(site)),
        Arc::new(Float64Array::from_iter((0..10).map(|row| (row != 3).then(|| f64::from(row))))),
        Arc::new(Int64Array::from_iter_values(0..10)),
        Arc::new(StringArray::from_iter_values((0..10).map(|row| format!("{unopened}-{row}")))),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).map_err(|_| Refusal::bare(Code::Failed))
}

fn cells(ipc: &[u8]) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    for batch in result::read(ipc)?.batches {
        for column in batch.columns() {
            let text = cast(column, &DataType::Utf8).ok()?;
            let text = text.as_any().downcast_ref::<StringArray>()?;
            cells.extend(text.iter().flatten().map(str::to_owned));
        }
    }
    Some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn noisy_answers_are_one_row() {
        assert_eq!(noisy("SELECT count(*), sum(kw) FROM t WHERE day > 3").await, Ok(1));
        for (sql, code) in [
            ("SELECT sum(day) FROM t", Code::Noise),
            ("SELECT sum(kw) FROM t WHERE secret = 'x'", Code::UnknownColumn),
            ("SELECT * FROM t", Code::Noise),
        ] {
            assert_eq!(noisy(sql).await.unwrap_err().code, code, "{sql}");
        }
    }

    #[tokio::test]
    async fn groups_show_and_what_is_hidden_does_not() {
        let north = answer("SELECT site, count(*), avg(kw) FROM t GROUP BY site").await.unwrap();
        assert_eq!(north, ["north", "7", "3.0"]);
        for (sql, code) in [
            ("SELECT * FROM t", Code::RawRows),
            ("SELECT secret, count(*) FROM t GROUP BY secret", Code::UnknownColumn),
            ("SELECT count(*) FROM u", Code::UnknownTable),
            ("DROP TABLE t", Code::Statement),
        ] {
            assert_eq!(answer(sql).await.unwrap_err().code, code, "{sql}");
        }
    }
}
