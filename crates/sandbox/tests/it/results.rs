//! Answers are those of plain DataFusion, and the gate's arithmetic is right.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use tidm_sandbox::gate::Rules;

use crate::fixture::{self, batches};

/// Values of all batches as text: plain types differ (views), values must not.
fn text(batches: &[RecordBatch]) -> String {
    pretty_format_batches(batches).unwrap().to_string()
}

#[tokio::test]
async fn open_tables_answer_like_the_engine_alone() {
    let (_directory, path) = fixture::plain();
    let config = SessionConfig::new().with_target_partitions(2);
    let raw = SessionContext::new_with_config(config);
    let options = ParquetReadOptions::default();
    raw.register_parquet("t", path.to_str().unwrap(), options).await.unwrap();
    for sql in [
        "SELECT sensor, line, ts, temp, rare FROM t WHERE power BETWEEN 490 AND 510 ORDER BY power",
        "SELECT line, avg(temp), round(stddev(temp), 6), median(power), max(n) FROM t GROUP BY line ORDER BY line",
        "SELECT date_trunc('hour', ts) AS h, count(*) FROM t WHERE ts >= '1970-01-01T02:00:00' GROUP BY h ORDER BY h",
        "SELECT extract(minute FROM ts) AS m, sum(n) FROM t GROUP BY m ORDER BY m LIMIT 7",
        "SELECT a.sensor, b.line FROM t a LEFT JOIN t b ON a.power = b.power AND b.n > 5 ORDER BY a.power LIMIT 20",
        "WITH x AS (SELECT line, n FROM t) SELECT line, CASE WHEN sum(n) > 2000 THEN 'big' ELSE 'small' END AS size FROM x GROUP BY line ORDER BY line",
        "SELECT power / 3 AS p, n / 3 AS q, round(temp), upper(line), substr(sensor, 8) FROM t ORDER BY power LIMIT 9",
        "SELECT count(DISTINCT sensor), sum(coalesce(rare, 1)), min(nullif(n, 0)) FROM t",
    ] {
        let expected = raw.sql(sql).await.unwrap().collect().await.unwrap();
        let job = fixture::job(sql, &path, fixture::open_rules());
        let found = fixture::run(job, fixture::limits()).await.unwrap();
        let rows = |text: String| text.lines().skip(3).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(rows(text(&batches(&found))), rows(text(&expected)), "{sql}");
    }
}

#[tokio::test]
async fn protected_groups_show_true_values_under_their_own_names() {
    let (_directory, path) = fixture::plain();
    let rules = Rules { aggregates_only: true, min_group: 10, ..Rules::default() };
    let sql = "SELECT line, count(*) AS n, avg(power) FROM t GROUP BY line ORDER BY line";
    let outcome = fixture::run(fixture::job(sql, &path, rules), fixture::limits()).await.unwrap();
    let batches = batches(&outcome);
    let batch = concat_batches(&batches[0].schema(), &batches).unwrap();
    let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["line", "n", "avg(t.power)"]);
    let lines: Vec<_> = batch.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(lines, ["A", "B", "C", "D"]);
    let counts: Vec<_> = batch.column(1).as_primitive::<Int64Type>().iter().flatten().collect();
    assert_eq!(counts, [499, 499, 500, 500]);
    let averages: Vec<_> = batch.column(2).as_primitive::<Float64Type>().iter().flatten().collect();
    // Rows 4, 8, … 1996 and 5, 9, … 1997 (rows 0 and 1 are on line E); 2, 6, … and 3, 7, ….
    assert_eq!(averages, [1000.0, 1001.0, 1000.0, 1001.0]);
}
