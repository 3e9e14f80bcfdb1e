//! Attempts to break out, made by a program that entered the jail as a worker does.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use tidm_sandbox::host::Failure;
use tidm_sandbox::jail::{Layer, Report, State};

use crate::fixture;

const SIGSYS: i32 = 31;

const SIGABRT: i32 = 6;

/// Runs one attempt: the jail's report, what was printed last, and the deadly signal if any.
fn attempt(name: &str) -> (Report, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidm-sandbox-probe")).arg(name).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let report = serde_json::from_str(lines.next().unwrap()).unwrap();
    (report, lines.last().unwrap_or("").to_owned(), output.status.signal())
}

/// Whether this machine gives all of `layers`; says which not.
fn given(report: &Report, layers: &[Layer]) -> bool {
    for &layer in layers {
        if let State::Unavailable(reason) = report.state(layer) {
            println!("SKIPPED: {layer:?} is not available here: {reason}");
            return false;
        }
    }
    true
}

#[test]
fn every_layer_is_reported() {
    let (report, told, signal) = attempt("nothing");
    assert_eq!((told.as_str(), signal), ("still here", None));
    let layers: Vec<_> = report.layers.iter().map(|(layer, _)| *layer).collect();
    let all = [
        Layer::Rlimits,
        Layer::Undumpable,
        Layer::NoNewPrivs,
        Layer::Namespaces,
        Layer::Landlock,
        Layer::Seccomp,
    ];
    assert_eq!(layers, all);
    for (layer, state) in &report.layers {
        println!("{layer:?}: {state:?}");
    }
}

#[test]
fn what_a_worker_needs_still_works() {
    assert_eq!(attempt("thread").1, "thread ran");
}

#[test]
fn files_and_other_processes_are_out_of_reach() {
    for name in ["open", "create", "list", "stat", "signal", "fork", "memory-file"] {
        let (report, told, signal) = attempt(name);
        if given(&report, &[Layer::Seccomp]) {
            assert_eq!(signal, None, "{name}");
            assert!(told.starts_with("refused: "), "{name}: {told}");
        }
    }
}

#[test]
fn sockets_and_programs_end_the_process() {
    for name in ["tcp", "udp", "execute"] {
        let (report, told, signal) = attempt(name);
        if given(&report, &[Layer::Seccomp]) {
            assert_eq!(signal, Some(SIGSYS), "{name}: {told}");
            assert_eq!(told, "", "{name}");
        }
    }
}

/// No other process's memory is read, and none of this one's is left behind. Root on the host is not held off.
#[test]
fn a23_memory_is_neither_read_nor_left_behind() {
    for name in ["trace", "peek"] {
        let (report, told, signal) = attempt(name);
        if given(&report, &[Layer::Seccomp]) {
            assert_eq!((signal, told.as_str()), (Some(SIGSYS), ""), "{name}");
        }
    }
    let probe = env!("CARGO_BIN_EXE_tidm-sandbox-probe");
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(probe).arg("core").current_dir(&directory).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Report = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    if given(&report, &[Layer::Rlimits, Layer::Undumpable]) {
        assert_eq!(output.status.signal(), Some(SIGABRT), "{text}");
        assert!(!output.status.core_dumped());
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
    }
}

#[test]
fn a_memory_bomb_dies_alone() {
    let (report, told, signal) = attempt("memory");
    if given(&report, &[Layer::Rlimits]) {
        assert_eq!(told, "");
        assert!(signal.is_some());
    }
}

#[tokio::test]
async fn a_demanded_layer_that_is_missing_stops_the_job() {
    // `false` never says Hello: whatever cannot report its jail gets no job done.
    let (_directory, path) = fixture::plain();
    let job = fixture::job("SELECT count(*) FROM t", &path, fixture::open_rules());
    let silent = tidm_sandbox::host::Worker::new("/bin/false", Vec::new());
    let result = silent.run(job, fixture::limits(), |_| async { Ok(Vec::new()) }).await;
    assert!(matches!(result, Err(Failure::Ended(_) | Failure::Io(_))), "{result:?}");

    let report = Report { layers: vec![(Layer::Rlimits, State::Applied)] };
    assert_eq!(report.missing(&[Layer::Rlimits]), None);
    let missing = report.missing(&[Layer::Rlimits, Layer::Seccomp]);
    assert_eq!(missing.map(|(layer, _)| layer), Some(Layer::Seccomp));
}
