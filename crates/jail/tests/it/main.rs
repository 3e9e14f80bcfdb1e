//! Attempts to break out of a jail with files, made by a program that entered it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; what is skipped is said"
)]

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use tidm_jail::{Layer, Report, State};

const SIGSYS: i32 = 31;

/// Runs one attempt over fresh files: the jail's report, what was printed last, and the deadly signal if any.
fn attempt(name: &str) -> (Report, String, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (file, text) in [("list", "id"), ("other/secret", "key"), ("own/kept", "1")] {
        std::fs::create_dir_all(path(file).parent().unwrap()).unwrap();
        std::fs::write(path(file), text).unwrap();
    }
    match name {
        "keep" => std::fs::remove_file(path("own/kept")).unwrap(),
        "through-link" => {
            std::os::unix::fs::symlink(path("other/secret"), path("own/planted")).unwrap();
        }
        _ => {}
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidm-jail-probe"));
    let output = command.arg(name).arg(folder.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let report = serde_json::from_str(lines.next().unwrap()).unwrap();
    let told = lines.last().unwrap_or("").to_owned();
    if told.starts_with("refused") {
        // Nothing was moved, made or taken away.
        assert_eq!(std::fs::read_to_string(path("other/secret")).unwrap(), "key", "{name}");
        assert_eq!(std::fs::read_dir(path("other")).unwrap().count(), 1, "{name}");
    }
    (report, told, output.status.signal())
}

/// Whether this machine gives `layer`; says so if not.
fn given(report: &Report, layer: Layer) -> bool {
    if let State::Unavailable(reason) = report.state(layer) {
        println!("SKIPPED: {layer:?} is not available here: {reason}");
        return false;
    }
    true
}

#[test]
fn what_the_plan_leaves_still_works() {
    for name in ["read", "keep", "thread", "talk", "accept"] {
        let (report, told, signal) = attempt(name);
        assert_eq!((told.as_str(), signal), ("done", None), "{name}");
        println!("{name}: missing {:?}", report.lacks());
    }
}

#[test]
fn other_files_are_out_of_reach() {
    for name in [
        "other",
        "passwd",
        "root",
        "change-list",
        "write",
        "remove",
        "move-in",
        "move-out",
        "through-link",
        "parent",
    ] {
        let (report, told, signal) = attempt(name);
        if given(&report, Layer::Landlock) {
            assert_eq!(signal, None, "{name}");
            assert!(told.starts_with("refused: "), "{name}: {told}");
        }
    }
}

#[test]
fn links_folders_and_other_processes_are_out_of_reach() {
    for name in ["link", "hard-link", "folder", "fork", "signal"] {
        let (report, told, signal) = attempt(name);
        if given(&report, Layer::Seccomp) {
            assert_eq!(signal, None, "{name}");
            assert!(told.starts_with("refused: "), "{name}: {told}");
        }
    }
}

#[test]
fn new_connections_and_programs_end_the_process() {
    for name in ["unix", "tcp", "listen", "udp", "pair", "execute"] {
        let (report, told, signal) = attempt(name);
        if given(&report, Layer::Seccomp) {
            assert_eq!((signal, told.as_str()), (Some(SIGSYS), ""), "{name}");
        }
    }
}

#[test]
fn what_is_missing_is_said_and_can_be_demanded() {
    let report = Report {
        layers: vec![
            (Layer::Rlimits, State::Applied),
            (Layer::Landlock, State::Unavailable("not in this kernel".to_owned())),
        ],
    };
    assert_eq!(report.lacks(), ["Landlock: not in this kernel"]);
    assert_eq!(report.missing(&[Layer::Rlimits]), None);
    for layer in [Layer::Landlock, Layer::Seccomp] {
        assert_eq!(report.missing(&[layer]).map(|(layer, _)| layer), Some(layer));
    }
}
