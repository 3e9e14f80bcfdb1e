//! The corpus of hostile and honest statements: every one refused as stated, or answered safely.

use tidm_sandbox::gate::Rules;
use tidm_sandbox::host::Failure;

use crate::fixture::{self, MARK, batches};

const CORPUS: &str = include_str!("../redteam.txt");
/// A corpus that shrinks is a test that forgets.
const AT_LEAST: usize = 80;

struct Case<'a> {
    line: usize,
    profile: &'a str,
    expected: &'a str,
    sql: String,
}

fn cases() -> Vec<Case<'static>> {
    let mut cases: Vec<Case<'static>> = Vec::new();
    for (number, line) in CORPUS.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(sql) = line.strip_prefix("  ") {
            let case = cases.last_mut().unwrap();
            case.sql = format!("{}{}\n", case.sql, sql);
            continue;
        }
        let (profile, expected) = line.split_once(' ').unwrap();
        cases.push(Case { line: number + 1, profile, expected, sql: String::new() });
    }
    cases
}

fn rules(profile: &str) -> Rules {
    let columns = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    let all = columns(&["sensor", "line", "ts", "temp", "power", "n", "rare"]);
    let gated =
        Rules { columns: all.clone(), aggregates_only: true, min_group: 10, ..Rules::default() };
    let entity = Some("sensor".to_owned());
    match profile {
        "open" => Rules { columns: all, raw_rows_allowed: true, ..Rules::default() },
        "gated" => gated,
        "group" => Rules { aggregates_only: false, ..gated },
        "entity" => Rules { entity, ..gated },
        "hidden" => Rules { entity, columns: columns(&["line", "temp", "power"]), ..gated },
        other => panic!("no profile {other}"),
    }
}

/// What happened, in the corpus's own words.
fn told(result: &Result<tidm_sandbox::host::Outcome, Failure>) -> String {
    match result {
        Ok(outcome) => {
            let nulls = batches(outcome).iter().all(|batch| {
                batch.columns().iter().all(|column| column.null_count() == column.len())
            });
            let suffix = if outcome.rows > 0 && nulls { " null" } else { "" };
            format!("rows {}{suffix}", outcome.rows)
        }
        Err(Failure::Refused(refusal)) => {
            let code = serde_json::to_value(refusal.code).unwrap();
            format!("refused {}", code.as_str().unwrap())
        }
        Err(other) => format!("failed {other}"),
    }
}

/// What is hidden shows neither in a refusal's words nor in the order or the bytes of a result.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a10_refusals_and_results_carry_no_hidden_value() {
    let (_directory, path) = fixture::plain();
    let ran = async |profile: &str, sql: &str| {
        fixture::run(fixture::job(sql, &path, rules(profile)), fixture::limits()).await
    };
    // Of each pair one asks for a cell that is there, and the other for one that is not.
    for (there, not) in [
        ("SELECT avg(temp) FROM t WHERE power = 7", "SELECT avg(temp) FROM t WHERE power = -7"),
        (
            "SELECT count(*) FROM t WHERE CAST(sensor AS INT) = 7",
            "SELECT count(*) FROM t WHERE CAST(sensor AS INT) = -7",
        ),
        ("SELECT max(temp) FROM t WHERE n > 3", "SELECT max(temp) FROM t WHERE n > 900000"),
    ] {
        let said = [ran("gated", there).await, ran("gated", not).await]
            .map(|it| format!("{:?}", it.err().map(|it| it.to_string())));
        assert_eq!(said[0], said[1], "{there}");
        assert_ne!(said[0], "None", "{there}");
    }
    // However often and in whatever order its parts were computed.
    let sql = "SELECT line, avg(temp) AS a, count(*) AS n FROM t GROUP BY line";
    let first = ran("gated", sql).await.unwrap().ipc;
    for _ in 0..5 {
        assert!(ran("gated", sql).await.unwrap().ipc == first, "the order of rows says something");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_ends_as_stated() {
    let (_directory, path) = fixture::plain();
    let cases = cases();
    assert!(cases.len() >= AT_LEAST, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let job = fixture::job(&case.sql, &path, rules(case.profile));
        let result = fixture::run(job, fixture::limits()).await;
        let told = told(&result);
        if told != case.expected {
            wrong.push(format!(
                "line {}: {told:?} instead of {:?}: {:?}",
                case.line,
                case.expected,
                result.as_ref().err().map(ToString::to_string)
            ));
        }
        // Neither an answer nor a refusal carries what no contract opens.
        let left = match &result {
            Ok(outcome) => outcome.ipc.clone(),
            Err(error) => error.to_string().into_bytes(),
        };
        let leaked = left.windows(MARK.len()).any(|window| window == MARK.as_bytes());
        if leaked && !case.sql.contains(MARK) {
            wrong.push(format!("line {}: the mark left", case.line));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    println!("{} statements", cases.len());
}
