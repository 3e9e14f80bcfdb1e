//! Intersections with the published `spu` 0.9.5, from its Python wheel: as sender and as receiver.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "functions beside the tests are test code, too"
)]

mod peer;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use peer::{Peer, free_address};
use tidm_compute::spu::fault::Step;
use tidm_compute::spu::items::Equals;
use tidm_compute::spu::link::{Grpc, Link, Settings};
use tidm_compute::spu::progress::Progress;
use tidm_compute::spu::psi::{Role, Terms};
use tidm_compute::spu::{Args, Report, run};

/// One session of ours with one of spu.
struct Case<'a> {
    role: Role,
    both: bool,
    ours: &'a str,
    theirs: &'a str,
    keys: &'a str,
    /// For the peer's script.
    options: &'a [&'a str],
    silence: u64,
}

impl Case<'_> {
    fn new<'a>(role: Role, ours: &'a str, theirs: &'a str) -> Case<'a> {
        Case { role, both: false, ours, theirs, keys: "id", options: &[], silence: 60 }
    }
}

/// A folder with both lists, and what both sides are told.
struct Scene {
    home: tempfile::TempDir,
    args: Args,
    peer: Peer,
    progress: Arc<Progress>,
}

/// Nothing where there is no spu: the test then says so.
fn scene(case: &Case<'_>) -> Option<Scene> {
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
    // spu's rank is the one that its role does not suggest: ours is learnt.
    let (role, rank) = match case.role {
        Role::Sender => ("receiver", "1"),
        Role::Receiver => ("sender", "0"),
    };
    let files = [&at("theirs.csv"), Path::new(case.keys), &at("theirs.out.csv")];
    let who = [role, rank, &other.to_string(), &own.to_string()];
    let peer = Peer::start(&program, &who, files, &options);
    let args = Args {
        terms: terms(case.role, case.both),
        link: link(own, other, case.silence),
        file: at("ours.csv"),
        keys: case.keys.split(',').map(str::to_owned).collect(),
        equals: Equals::First,
        out: Some(at("ours.out.csv")),
    };
    Some(Scene { home, args, peer, progress: Arc::default() })
}

fn terms(role: Role, both: bool) -> Terms {
    Terms { role, both, name: "root".to_owned(), stalled: Duration::from_secs(120) }
}

fn link(own: SocketAddr, other: SocketAddr, silence: u64) -> Settings {
    let (connect_time, silence) = (Duration::from_secs(60), Duration::from_secs(silence));
    Settings { listen: own, peer: other.to_string(), rank: None, connect_time, silence }
}

/// What both sides came to: our report and rows, and what spu said and wrote.
struct Came {
    report: Report,
    rows: Option<Vec<String>>,
    peer: peer::Said,
}

fn play(case: &Case<'_>) -> Option<Came> {
    let scene = scene(case)?;
    let at = |name: &str| scene.home.path().join(name);
    let report = run(&scene.args, &scene.progress).expect("a session");
    let rows = std::fs::read_to_string(at("ours.out.csv")).ok();
    let rows = rows.map(|text| text.lines().skip(1).map(str::to_owned).collect());
    let peer = scene.peer.wait(&at("theirs.out.csv"));
    assert!(peer.success && report.closed, "{report:?} {}", peer.log);
    Some(Came { report, rows, peer })
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
    let report = came.report;
    assert_eq!((report.common, report.peer_items), (None, 10_000));
    assert_eq!(came.rows, None);
    assert_eq!(came.peer.common, 5_000, "{}", came.peer.log);
    assert_eq!(came.peer.rows, common(&ours, &theirs));
}

#[test]
fn as_receiver_we_learn_and_the_peer_does_not() {
    let (ours, theirs) = (list(5_000, 10_000), list(0, 10_000));
    let Some(came) = play(&Case::new(Role::Receiver, &ours, &theirs)) else { return };
    let report = came.report;
    assert_eq!((report.common, report.peer_items), (Some(5_000), 10_000));
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
        let report = came.report;
        assert_eq!(report.common, Some(4_200));
        let rows: BTreeSet<String> = came.rows.expect("a file").into_iter().collect();
        assert_eq!(rows, common(&ours, &theirs));
        assert_eq!(came.peer.rows, common(&ours, &theirs));
    }
}

/// Lists of other kinds, in both roles: the same rows as a comparison of the texts.
#[test]
fn lists_of_every_kind() {
    let one = "id,town\n张三,北京\n李四,上海\nЖ é 🦀,x\n Ann,y\nann,z\n";
    let other = "id,town\n李四,上海\nЖ é 🦀,x\nAnn,y\nann,z\n";
    let towns = "id,town,x\nann,\"a,b\",1\nbob,c,2\nbob,d,3\n";
    let others = "id,town,x\nbob,d,3\nbob,e,4\nann,\"a,b\",1\n";
    let repeated = "id,town\nann,1\nbob,2\nann,3\neve,4\n";
    let single = list(3, 1);
    let five = list(0, 5);
    let header = "id,value\n";
    // Keys, ours, theirs, our common rows.
    let cases: [(&str, &str, &str, &[&str]); 7] = [
        ("id", one, other, &["李四,上海", "Ж é 🦀,x", "ann,z"]),
        ("id,town", towns, others, &["ann,\"a,b\",1", "bob,d,3"]),
        ("id", &single, &five, &["user-00000003,21"]),
        ("id", &single, "id\nnobody\n", &[]),
        ("id", header, &five, &[]),
        ("id", repeated, "id\nann\neve\n", &["ann,1", "eve,4"]),
        ("id", "id\nann\neve\n", repeated, &["ann", "eve"]),
    ];
    for (keys, ours, theirs, expected) in cases {
        let receiver = Case { keys, ..Case::new(Role::Receiver, ours, theirs) };
        let Some(came) = play(&receiver) else { return };
        assert_eq!(came.rows.expect("a file"), expected, "{keys} {ours}");
        assert_eq!(came.report.common, Some(expected.len() as u64));

        let Some(came) = play(&Case { role: Role::Sender, ..receiver }) else { return };
        assert_eq!((came.report.common, came.rows), (None, None));
        let theirs = came.peer.rows.len() as i64;
        assert_eq!(came.peer.common, theirs, "{}", came.peer.log);
        // Where a key of theirs repeats, all its rows are common to spu.
        let repeats = if theirs_repeat(receiver.theirs) { 1 } else { 0 };
        assert_eq!(came.peer.rows.len(), expected.len() + repeats, "{keys} {ours}");
    }
}

fn theirs_repeat(text: &str) -> bool {
    text.contains("ann,1\nbob,2\nann,3")
}

/// Other settings of spu that change nothing for us are answered alike; messages in pieces are put together.
#[test]
fn settings_that_play_no_part_may_be_anything() {
    let (ours, theirs) = (list(100, 5_000), list(0, 5_000));
    let options = ["left=1", "chunk=65536"];
    let Some(came) = play(&Case { options: &options, ..Case::new(Role::Receiver, &ours, &theirs) })
    else {
        return;
    };
    assert_eq!((came.report.common, came.report.peer_items), (Some(4_900), 5_000));
}

/// A link that connects once and carries what is longer than a request may be, in both directions.
#[test]
fn long_messages_go_in_pieces_both_ways() {
    let (own, other) = (free_address(), free_address());
    let Ok(program) = peer::program() else { return println!("{}", peer::program().unwrap_err()) };
    let who = ["echo", "0", &other.to_string(), &own.to_string()];
    let nothing = Path::new("-");
    let peer = Peer::start(&program, &who, [nothing; 3], &[]);
    let link = Grpc::open(link(own, other, 60), Arc::default()).expect("a link");
    // spu's `send` of Python takes text.
    let value: Vec<u8> = (0..3_000_000_u32).map(|it| b'a' + (it % 23) as u8).collect();
    link.send(Step::OwnItems, "root:P2P-1:1->0", value.clone()).expect("sent");
    let came = link.receive(Step::Answers, "root:P2P-1:0->1").expect("an echo");
    assert!(came == value, "{} bytes came", came.len());
    assert!(link.close());
    assert!(peer.wait(nothing).success);
}

/// What the peer is set to and we do not do ends the session with what to set; the peer is not left waiting for us.
#[test]
fn other_settings_are_refused_by_name() {
    let small = list(0, 3);
    let cases: [(&[&str], &str); 3] = [
        (&["fourq"], "CURVE_25519"),
        (&["rr22"], "PROTOCOL_ECDH"),
        (&["broadcast"], "broadcast_result"),
    ];
    for (options, hint) in cases {
        let case = Case { options, ..Case::new(Role::Receiver, &small, &small) };
        let Some(scene) = scene(&case) else { return };
        let fault = run(&scene.args, &scene.progress).expect_err(hint);
        assert_eq!(fault.code(), "spu.peer-incompatible");
        assert!(fault.to_string().contains(hint), "{fault}");
        drop(scene.peer);
    }
    // The same role on both sides.
    let Some(mut scene) = scene(&Case::new(Role::Receiver, &small, &small)) else { return };
    scene.args.terms.role = Role::Sender;
    let fault = run(&scene.args, &scene.progress).expect_err("the same role");
    assert!(fault.to_string().contains("receiver_rank"), "{fault}");
    drop(scene.peer);
}

/// Many starts in a row, now one side first and now the other: stock parties hang in about one of thirty-five.
#[test]
fn no_start_hangs() {
    let starts = if std::env::var_os("TIDM_LONG").is_some_and(|it| it == "1") { 50 } else { 20 };
    let program = match peer::program() {
        Ok(program) => program,
        Err(skipped) => return println!("{skipped}"),
    };
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    std::fs::write(at("list.csv"), list(0, 10)).unwrap();
    // Half of them on addresses where a session has just ended.
    let pairs: Vec<[SocketAddr; 2]> =
        (0..starts / 2).map(|_| [free_address(), free_address()]).flat_map(|it| [it, it]).collect();
    let joined =
        |side: usize| pairs.iter().map(|it| it[side].to_string()).collect::<Vec<_>>().join(",");
    let who = ["sender", "1", &joined(0), &joined(1)];
    let peer = Peer::start(&program, &who, [&at("list.csv"), Path::new("id"), &at("out.csv")], &[]);
    for (start, [other, own]) in pairs.into_iter().enumerate() {
        // spu begins its next session at once. Where it is first, it tries again only after one to four seconds.
        let late = [0, 0, 0, 5, 0, 0, 0, 50, 0, 0, 250];
        thread::sleep(Duration::from_millis(late[start % late.len()]));
        let args = Args {
            terms: terms(Role::Receiver, false),
            link: link(own, other, 20),
            file: at("list.csv"),
            keys: vec!["id".to_owned()],
            equals: Equals::Refused,
            out: None,
        };
        let report = run(&args, &Arc::default()).unwrap_or_else(|it| panic!("start {start}: {it}"));
        assert_eq!((report.common, report.closed), (Some(10), true), "start {start}");
    }
    let said = peer.wait(&at("out.csv"));
    assert!(said.success, "{}", said.log);
}

/// A peer that dies in the middle is noticed, and so is the wish to stop.
#[test]
fn a_dead_peer_and_a_wish_to_stop_end_the_session() {
    let (ours, theirs) = (list(0, 60_000), list(0, 60_000));
    for killed in [true, false] {
        let case = Case { silence: 6, ..Case::new(Role::Receiver, &ours, &theirs) };
        let Some(scene) = scene(&case) else { return };
        let (args, progress) = (scene.args.clone(), scene.progress.clone());
        let session = thread::spawn(move || run(&args, &progress));
        while scene.progress.sent_items.load(Ordering::Relaxed) == 0 {
            assert!(!session.is_finished(), "{:?}", session.join());
            thread::sleep(Duration::from_millis(5));
        }
        if !killed {
            scene.progress.stop();
        }
        drop(scene.peer);
        let fault = session.join().unwrap().expect_err("no result");
        let codes =
            if killed { ["spu.connection-lost", "spu.silent"] } else { ["spu.cancelled"; 2] };
        assert!(codes.contains(&fault.code()), "{fault}");
    }
}
