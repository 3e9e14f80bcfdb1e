//! Time, memory and output: what does not stop by itself is stopped.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use tidm_sandbox::host::{Failure, KeyDenied, Limits, Worker};
use tidm_sandbox::refusal::Code;

use crate::fixture;

/// 2000 × 500³ joined rows: hours. Nested on the right, where the engine streams, so that time and
/// not memory is what runs out.
const ENDLESS: &str = "SELECT count(*), sum(a.power + b.power) FROM t a JOIN \
     (SELECT b.line, b.power + c.power AS power FROM t b JOIN \
     (SELECT c.line, c.power + d.power AS power FROM t c JOIN t d ON c.line = d.line) c \
     ON b.line = c.line) b ON a.line = b.line";

#[tokio::test]
async fn an_endless_query_is_killed_at_its_deadline() {
    let (_directory, path) = fixture::plain();
    let job = fixture::job(ENDLESS, &path, fixture::open_rules());
    let deadline = Duration::from_secs(2);
    let started = Instant::now();
    let result = fixture::run(job, Limits { deadline, ..fixture::limits() }).await;
    assert!(matches!(result, Err(Failure::Deadline(_))), "{result:?}");
    assert!(started.elapsed() < deadline + Duration::from_secs(3));
}

/// Processes whose name is `name`.
fn alive(name: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|process| {
            let comm = std::fs::read_to_string(process.path().join("comm"));
            comm.is_ok_and(|comm| comm.trim() == name)
        })
        .count()
}

#[tokio::test]
async fn dropping_the_future_kills_the_worker() {
    let (directory, path) = fixture::plain();
    let name = "dropped-worker";
    let program = directory.path().join(name);
    symlink(env!("CARGO_BIN_EXE_tidm-sandbox-worker"), &program).unwrap();
    let worker = Worker::new(&program, Vec::new());
    let job = fixture::job(ENDLESS, &path, fixture::open_rules());
    let run = worker.run(job, fixture::limits(), |_| async { Err(KeyDenied("none".into())) });
    let outcome = tokio::time::timeout(Duration::from_secs(2), async {
        tokio::select! {
            result = run => panic!("ended: {result:?}"),
            () = async { while alive(name) == 0 { tokio::time::sleep(Duration::from_millis(10)).await } } => {}
        }
    });
    outcome.await.expect("the worker was seen alive");
    let patience = Instant::now();
    while alive(name) > 0 {
        assert!(patience.elapsed() < Duration::from_secs(5), "the worker lives on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn too_much_memory_is_refused_and_the_host_lives() {
    let (_directory, path) = fixture::plain();
    let sql = "SELECT a.power, b.power, count(*) FROM t a JOIN t b ON a.line = b.line \
               GROUP BY a.power, b.power";
    let job = fixture::job(sql, &path, fixture::open_rules());
    let limits = Limits { memory_bytes: 8 * 1024 * 1024, ..fixture::limits() };
    match fixture::run(job, limits).await {
        Err(Failure::Refused(refusal)) => assert_eq!(refusal.code, Code::Memory),
        Err(Failure::Ended(_)) => {}
        other => panic!("{other:?}"),
    }
    let job = fixture::job("SELECT count(*) FROM t", &path, fixture::open_rules());
    assert_eq!(fixture::run(job, fixture::limits()).await.unwrap().rows, 1);
}

#[tokio::test]
async fn output_above_the_caps_is_refused() {
    let (_directory, path) = fixture::plain();
    let open = fixture::open_rules;
    let cases = [
        (Limits { max_rows: 10, ..fixture::limits() }, open(), Code::TooManyRows),
        (Limits { max_bytes: 1000, ..fixture::limits() }, open(), Code::TooManyBytes),
        (
            fixture::limits(),
            tidm_sandbox::gate::Rules { max_rows: Some(10), ..open() },
            Code::TooManyRows,
        ),
        (
            fixture::limits(),
            tidm_sandbox::gate::Rules { max_bytes: Some(1000), ..open() },
            Code::TooManyBytes,
        ),
    ];
    for (limits, rules, code) in cases {
        let job = fixture::job("SELECT * FROM t", &path, rules);
        match fixture::run(job, limits).await {
            Err(Failure::Refused(refusal)) => assert_eq!(refusal.code, code),
            other => panic!("{code:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn jobs_that_do_not_fit_start_nothing() {
    let (_directory, path) = fixture::plain();
    let mut writable = fixture::job("SELECT 1", &path, fixture::open_rules());
    let options = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    writable.tables[0].files = vec![options];
    let mut twice = fixture::job("SELECT 1", &path, fixture::open_rules());
    twice.tables.extend(fixture::job("SELECT 1", &path, fixture::open_rules()).tables);
    let mut empty = fixture::job("SELECT 1", &path, fixture::open_rules());
    empty.tables.clear();
    for job in [writable, twice, empty] {
        let result = fixture::run(job, fixture::limits()).await;
        assert!(matches!(result, Err(Failure::Job(_))), "{result:?}");
    }
}
