//! Noisy answers from real workers: what is refused, what is counted, and that it is noisy.

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema};
use parquet::arrow::ArrowWriter;
use tidm_sandbox::gate::Rules;
use tidm_sandbox::host::Failure;
use tidm_sandbox::noise::{Clamp, Noise};

use crate::fixture::{self, MARK, batches};

/// The unit is a sensor of which 20 rows each are there, and which the asker may not name.
fn rules(epsilon: u64) -> Rules {
    let clamp = |column: &str, exponent, low, high| Clamp {
        column: column.to_owned(),
        exponent,
        low,
        high,
    };
    let noise = Noise {
        unit: "sensor".to_owned(),
        rows: 5,
        sums: vec![clamp("temp", -1, 0, 1000), clamp("n", 0, -3, 3), clamp("line", 0, 0, 1)],
        epsilon,
    };
    let columns = ["line", "ts", "temp", "n", "power"].map(str::to_owned).to_vec();
    Rules { columns: Some(columns), raw_rows_allowed: true, noise: Some(noise), ..Rules::default() }
}

const LARGE: u64 = 100_000_000;

fn refusal(done: Result<tidm_sandbox::host::Outcome, Failure>) -> (String, String) {
    match done {
        Ok(_) => ("answered".to_owned(), String::new()),
        Err(Failure::Refused(it)) => {
            let code = serde_json::to_value(it.code).unwrap();
            (code.as_str().unwrap().to_owned(), it.to_string())
        }
        Err(other) => (other.to_string(), String::new()),
    }
}

/// Everything but counts and sums of a column over rows chosen one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_bounded_answer_is_refused_by_name() {
    let (_directory, path) = fixture::plain();
    for (code, sql) in [
        ("noise", "SELECT count(*) FROM t JOIN t AS u ON t.line = u.line"),
        ("noise", "SELECT count(*) FROM t CROSS JOIN t AS u"),
        ("noise", "SELECT count(*) FROM t, t AS u"),
        ("noise", "SELECT count(*) FROM t AS u"),
        ("noise", "SELECT count(*) FROM (SELECT * FROM t) AS u"),
        ("noise", "WITH u AS (SELECT * FROM t) SELECT count(*) FROM u"),
        ("noise", "SELECT count(*) FROM t WHERE temp > (SELECT 1)"),
        ("noise", "SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM t)"),
        ("noise", "SELECT count(*) FROM t WHERE line IN (SELECT line FROM t)"),
        ("noise", "SELECT count(*) OVER () FROM t"),
        ("noise", "SELECT sum(temp) OVER (PARTITION BY line) FROM t"),
        ("noise", "SELECT DISTINCT count(*) FROM t"),
        ("noise", "SELECT count(DISTINCT line) FROM t"),
        ("noise", "SELECT sum(DISTINCT temp) FROM t"),
        ("noise", "SELECT count(*) FROM t GROUP BY line"),
        ("noise", "SELECT count(*) FROM t GROUP BY ALL"),
        ("noise", "SELECT count(*) FROM t HAVING count(*) > 5"),
        ("noise", "SELECT count(*) FROM t LIMIT 1"),
        ("noise", "SELECT count(*) FROM t OFFSET 1"),
        ("noise", "SELECT count(*) FROM t FETCH FIRST 1 ROW ONLY"),
        ("noise", "SELECT count(*) FROM t ORDER BY 1"),
        ("noise", "SELECT count(*) FROM t UNION ALL SELECT count(*) FROM t"),
        ("noise", "SELECT count(*) FILTER (WHERE temp > 20) FROM t"),
        ("noise", "SELECT count(temp) FROM t"),
        ("noise", "SELECT count(1) FROM t"),
        ("noise", "SELECT avg(temp) FROM t"),
        ("noise", "SELECT min(temp) FROM t"),
        ("noise", "SELECT max(temp) FROM t"),
        ("noise", "SELECT stddev(temp) FROM t"),
        ("noise", "SELECT median(temp) FROM t"),
        ("noise", "SELECT corr(temp, n) FROM t"),
        ("noise", "SELECT temp FROM t"),
        ("noise", "SELECT * FROM t"),
        ("noise", "SELECT t.* FROM t"),
        ("noise", "SELECT 1 FROM t"),
        ("noise", "SELECT count(*) + 1 FROM t"),
        ("noise", "SELECT -count(*) FROM t"),
        ("noise", "SELECT sum(temp) / count(*) FROM t"),
        ("noise", "SELECT sum(temp * 2) FROM t"),
        ("noise", "SELECT sum(abs(temp)) FROM t"),
        ("noise", "SELECT sum(CASE WHEN line = 'E' THEN temp END) FROM t"),
        ("noise", "SELECT sum(CAST(line AS INT)) FROM t"),
        ("noise", "SELECT sum(t.temp) FROM t"),
        ("noise", "SELECT sum(power) FROM t"),
        ("noise", "SELECT sum(line) FROM t"),
        ("noise", "SELECT count(*), count(*) FROM t"),
        ("noise", "SELECT count(*) FROM t WHERE temp / n > 2"),
        ("noise", "SELECT count(*) FROM t WHERE temp + 1 > 2"),
        ("noise", "SELECT count(*) FROM t WHERE n % 2 = 0"),
        ("noise", "SELECT count(*) FROM t WHERE abs(temp) > 2"),
        ("noise", "SELECT count(*) FROM t WHERE sqrt(temp) > 2"),
        ("noise", "SELECT count(*) FROM t WHERE lower(line) = 'a'"),
        ("noise", "SELECT count(*) FROM t WHERE date_trunc('day', ts) = ts"),
        ("noise", "SELECT count(*) FROM t WHERE CAST(line AS INT) = 7"),
        ("noise", "SELECT count(*) FROM t WHERE line::INT = 7"),
        ("noise", "SELECT count(*) FROM t WHERE TRY_CAST(line AS INT) = 7"),
        ("noise", "SELECT count(*) FROM t WHERE CASE WHEN temp > 2 THEN true END"),
        ("noise", "SELECT count(*) FROM t WHERE now() > ts"),
        ("noise", "SELECT count(*) FROM t WHERE random() > 0.5"),
        ("noise", "SELECT count(*) FROM t TABLESAMPLE BERNOULLI (10)"),
        ("function", "SELECT count(*) FROM t WHERE my_udf(temp) > 2"),
        ("function", "SELECT my_udf(temp) FROM t"),
        ("function", "SELECT count(*) FROM t WHERE uuid() = line"),
        // What the contract does not open cannot be asked about, and the unit is not open here.
        ("unknown_column", "SELECT count(*) FROM t WHERE sensor = 'sensor-00007'"),
        ("unknown_column", "SELECT count(*) FROM t WHERE secret = 'x'"),
        ("noise", "SELECT sum(sensor) FROM t"),
        ("unknown_table", "SELECT count(*) FROM u"),
        ("statement", "EXPLAIN SELECT count(*) FROM t"),
        ("statement", "SELECT count(*) FROM t; DROP TABLE t"),
        ("malformed", "SELECT count(*) FROM t WHERE"),
    ] {
        let done = fixture::run(fixture::job(sql, &path, rules(LARGE)), fixture::limits()).await;
        let (told, words) = refusal(done);
        assert_eq!(told, code, "{sql}: {words}");
        assert!(!words.contains(MARK), "{sql}: {words}");
    }
}

async fn numbers(sql: &str, path: &std::path::Path, rules: Rules) -> Vec<f64> {
    let done = fixture::run(fixture::job(sql, path, rules), fixture::limits()).await.unwrap();
    assert_eq!(done.rows, 1, "{sql}");
    let batch = &batches(&done)[0];
    let number = |column: &arrow::array::ArrayRef| match column.as_primitive_opt::<Int64Type>() {
        Some(count) => count.value(0) as f64,
        None => column.as_primitive::<Decimal128Type>().value_as_string(0).parse().unwrap(),
    };
    batch.columns().iter().map(number).collect()
}

/// At a price that leaves hardly any noise: what is counted, and how each unit is cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_are_bounded_before_anything_is_added_up() {
    let (_directory, path) = fixture::plain();
    for (sql, wanted) in [
        // 100 sensors with 20 rows each, of which five count.
        ("SELECT count(*) FROM t", vec![500.0]),
        // Lines A to D have 25 sensors each; the two rows on line E are of two sensors.
        ("SELECT count(*) AS n FROM t WHERE line = 'E'", vec![2.0]),
        ("SELECT count(*) FROM t WHERE line IN ('A', 'E') AND NOT temp IS NULL", vec![125.0 + 1.0]),
        ("SELECT count(*) FROM t WHERE temp BETWEEN 0 AND 1000 AND line LIKE '%'", vec![500.0]),
        ("SELECT count(*) FROM t WHERE false", vec![0.0]),
        ("SELECT count(*) FROM t WHERE ts >= TIMESTAMP '2020-01-01 00:00:00'", vec![0.0]),
        // Each sensor's temperatures add up to more than 100, and its digits to more than three or to none.
        ("SELECT sum(temp) FROM t", vec![10_000.0]),
        ("SELECT sum(n) AS digits, count(*) FROM t WHERE temp > -1", vec![270.0, 500.0]),
        ("SELECT sum(TEMP), count(*), sum(n) FROM t WHERE line = 'nowhere'", vec![0.0; 3]),
    ] {
        let found = numbers(sql, &path, rules(LARGE)).await;
        assert_eq!(found.len(), wanted.len(), "{sql}");
        for (found, wanted) in found.iter().zip(&wanted) {
            // Scales at ε = 100 are a hundredth of the bounds, times the numbers that share it.
            assert!((found - wanted).abs() <= 60.0, "{sql}: {found} for {wanted}");
        }
    }
    // The count alone is sharp: a bound of five at ε = 100.
    let found = numbers("SELECT count(*) FROM t", &path, rules(LARGE)).await;
    assert!((found[0] - 500.0).abs() <= 3.0, "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cheap_answers_differ_and_are_all_of_one_size() {
    let (_directory, path) = fixture::plain();
    let (mut seen, mut bytes) = (Vec::new(), Vec::new());
    for sql in ["SELECT count(*) AS n FROM t", "SELECT count(*) AS n FROM t WHERE line = 'E'"] {
        for _ in 0..8 {
            let job = fixture::job(sql, &path, rules(100_000));
            let done = fixture::run(job, fixture::limits()).await.unwrap();
            seen.push(batches(&done)[0].column(0).as_primitive::<Int64Type>().value(0));
            bytes.push(done.ipc.len());
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() > 4, "noise of scale 50: {seen:?}");
    bytes.dedup();
    assert_eq!(bytes.len(), 1, "{bytes:?}");
}

/// Rows of nobody count with nothing; numbers that are none, and those beyond all bounds, do no harm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_cells_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.parquet");
    let schema = Arc::new(Schema::new(vec![
        Field::new("sensor", DataType::Utf8, true),
        Field::new("temp", DataType::Float64, true),
        Field::new("n", DataType::Int64, true),
    ]));
    let sensor = [None, Some("a"), Some("a"), Some("b"), Some("c"), Some("d"), Some("e")];
    let temp = [
        Some(50.0),
        Some(f64::NAN),
        Some(10.0),
        Some(f64::INFINITY),
        Some(-1e300),
        None,
        Some(0.26),
    ];
    let n = [Some(3), Some(1), Some(1), Some(i64::MAX), Some(i64::MIN), None, Some(0)];
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(StringArray::from(sensor.to_vec())),
        Arc::new(Float64Array::from(temp.to_vec())),
        Arc::new(Int64Array::from(n.to_vec())),
    ];
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut rules = rules(LARGE);
    rules.columns = Some(["temp", "n"].map(str::to_owned).to_vec());
    // One number at a time: ε is all its own.
    for (sql, wanted, off) in [
        ("SELECT count(*) FROM t", 6.0, 1.0),
        // a: 10, b: 100, c: 0, d: 0, e: 0.3 (the nearest step).
        ("SELECT sum(temp) FROM t", 110.3, 15.0),
        // a: 2, b: 3, c: -3.
        ("SELECT sum(n) FROM t", 2.0, 1.0),
    ] {
        let found = numbers(sql, &path, rules.clone()).await;
        assert!((found[0] - wanted).abs() <= off, "{sql}: {found:?} for {wanted}");
    }
    // Terms that do not fit the table: the provider's fault, and no answer.
    for (unit, sql) in [("nobody", "SELECT count(*) FROM t"), ("temp", "SELECT count(*) FROM t")] {
        let mut odd = rules.clone();
        odd.noise.as_mut().unwrap().unit = unit.to_owned();
        let done = fixture::run(fixture::job(sql, &path, odd), fixture::limits()).await;
        assert_eq!(refusal(done).0, "table", "{unit}");
    }
    let mut free = rules.clone();
    free.noise.as_mut().unwrap().epsilon = 0;
    let done =
        fixture::run(fixture::job("SELECT count(*) FROM t", &path, free), fixture::limits()).await;
    assert_eq!(refusal(done).0, "failed", "without a price there is no answer");
}
