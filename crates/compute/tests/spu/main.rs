//! Intersections with the published `spu` 0.9.5, from its Python wheel: as sender and as receiver.

#![expect(clippy::expect_used, reason = "these are tests")]

mod peer;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use peer::{Peer, free_address};
use tidm_compute::spu::fault::Fault;
use tidm_compute::spu::items::Equals;
use tidm_compute::spu::link::Settings;
use tidm_compute::spu::progress::Progress;
use tidm_compute::spu::psi::{Role, Terms};
use tidm_compute::spu::{Args, Report, run};

use std::time::Duration;

/// One session of ours with one of spu.
struct Case<'a> {
    role: Role,
    both: bool,
    ours: &'a str,
    theirs: &'a str,
    keys: &'a str,
    /// For the peer's script.
    options: &'a [&'a str],
}

impl Case<'_> {
    fn new<'a>(role: Role, ours: &'a str, theirs: &'a str) -> Case<'a> {
        Case { role, both: false, ours, theirs, keys: "id", options: &[] }
    }
}

/// What both sides came to: our report and rows, and what spu said and wrote.
struct Came {
    report: Result<Report, Fault>,
    rows: Option<Vec<String>>,
    peer: peer::Said,
}

/// Nothing where there is no spu: the test then says so.
fn play(case: &Case<'_>) -> Option<Came> {
    let program = match peer::program() {
        Ok(program) => program,
        Err(skipped) => {
            println!("{skipped}");
            return None;
        }
    };
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    std::fs::write(at("ours.csv"), case.ours).unwrap();
    std::fs::write(at("theirs.csv"), case.theirs).unwrap();
    let (own, other) = (free_address(), free_address());
    let mut options: Vec<&str> = case.options.to_vec();
    if case.both {
        options.push("broadcast");
    }
    let (role, rank) = match case.role {
        Role::Sender => ("receiver", "0"),
        Role::Receiver => ("sender", "1"),
    };
    let peer = Peer::start(
        &program,
        &[role, rank, &other.to_string(), &own.to_string()],
        [&at("theirs.csv"), Path::new(case.keys), &at("theirs.out.csv")],
        &options,
    );
    let link = Settings {
        listen: own,
        peer: other.to_string(),
        rank: None,
        connect_time: Duration::from_secs(60),
        silence: Duration::from_secs(60),
    };
    let args = Args {
        terms: Terms { role: case.role, both: case.both, name: "root".to_owned() },
        link,
        file: at("ours.csv"),
        keys: case.keys.split(',').map(str::to_owned).collect(),
        equals: Equals::First,
        out: Some(at("ours.out.csv")),
    };
    let report = run(&args, &Arc::new(Progress::default()));
    let rows = std::fs::read_to_string(at("ours.out.csv")).ok();
    let rows = rows.map(|text| text.lines().skip(1).map(str::to_owned).collect());
    Some(Came { report, rows, peer: peer.wait(&at("theirs.out.csv")) })
}

/// `count` rows from number `from` on, under a header.
fn list(from: u32, count: u32) -> String {
    let rows = (from..from + count).map(|it| format!("user-{it:08},{}\n", it * 7));
    std::iter::once("id,value\n".to_owned()).chain(rows).collect()
}

fn body(text: &str) -> BTreeSet<String> {
    text.lines().skip(1).map(str::to_owned).collect()
}

/// Rows of `left` that stand in `right`, for lists with one row per key.
fn common(left: &str, right: &str) -> BTreeSet<String> {
    body(left).intersection(&body(right)).cloned().collect()
}

#[test]
fn as_sender_the_peer_learns_and_we_do_not() {
    let (ours, theirs) = (list(5_000, 10_000), list(0, 10_000));
    let Some(came) = play(&Case::new(Role::Sender, &ours, &theirs)) else { return };
    let report = came.report.expect("a session");
    assert_eq!((report.common, report.peer_items, report.closed), (None, 10_000, true));
    assert_eq!(came.rows, None);
    assert_eq!(came.peer.common, 5_000, "{}", came.peer.log);
    assert_eq!(came.peer.rows, common(&ours, &theirs));
}

#[test]
fn as_receiver_we_learn_and_the_peer_does_not() {
    let (ours, theirs) = (list(5_000, 10_000), list(0, 10_000));
    let Some(came) = play(&Case::new(Role::Receiver, &ours, &theirs)) else { return };
    let report = came.report.expect("a session");
    assert_eq!((report.common, report.peer_items, report.closed), (Some(5_000), 10_000, true));
    let rows = came.rows.expect("a file");
    assert_eq!(rows, list(5_000, 5_000).lines().skip(1).collect::<Vec<_>>(), "in our order");
    assert_eq!(came.peer.common, -1, "{}", came.peer.log);
}

#[test]
fn both_learn_if_both_say_so() {
    for role in [Role::Sender, Role::Receiver] {
        let (ours, theirs) = (list(300, 5_000), list(0, 4_500));
        let Some(came) = play(&Case { both: true, ..Case::new(role, &ours, &theirs) }) else {
            return;
        };
        let report = came.report.expect("a session");
        assert_eq!((report.common, report.closed), (Some(4_200), true));
        let rows: BTreeSet<String> = came.rows.expect("a file").into_iter().collect();
        assert_eq!(rows, common(&ours, &theirs));
        assert_eq!(came.peer.rows, common(&ours, &theirs));
    }
}
