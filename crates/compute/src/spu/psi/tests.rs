//! Both roles against each other, against the ideal, and against a peer that says something else.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::spu::items::Equals;
use crate::spu::link::memory::{Change, Memory, pair, unchanged};
use crate::spu::wire::{Buckets, EcdhConfig, OutputAttributes, Place, ProtocolConfig, Recovery};

/// What spu 0.9.5 says as its settings.
fn settings(role: i32, both: bool) -> PsiConfig {
    let ecdh = Some(EcdhConfig { curve: CURVE_25519, batch_size: 4096 });
    let buckets = Some(Buckets { size: 1 << 20, low_communication: false });
    let protocol = ECDH;
    let protocol =
        ProtocolConfig { protocol, role, broadcast: both, ecdh, kkrt: buckets, rr22: buckets };
    PsiConfig {
        protocol: Some(protocol),
        input: Some(Place::default()),
        output: Some(Place::default()),
        recovery: Some(Recovery::default()),
        join: INNER_JOIN,
        left_side: RECEIVER,
        check_digest: true,
        output_attributes: Some(OutputAttributes { null: "NULL".to_owned() }),
        ..PsiConfig::default()
    }
}

fn terms(role: Role, both: bool) -> Terms {
    Terms { role, both, name: "root".to_owned(), stalled: Duration::from_secs(60) }
}

fn keys(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|it| format!("key {it}")).collect()
}

/// What a trusted third would say: places of `ours` that `theirs` has.
fn ideal(ours: &[String], theirs: &[String]) -> Vec<u32> {
    let theirs: HashSet<&String> = theirs.iter().collect();
    (0..).zip(ours).filter(|(_, key)| theirs.contains(key)).map(|(at, _)| at).collect()
}

/// Receiver of rank 0, sender of rank 1 whose messages pass `change`.
fn play(
    receiver: &[String],
    sender: &[String],
    both: bool,
    change: Change,
) -> [Result<Outcome, Fault>; 2] {
    let said = |role| settings(role, both).encode_to_vec();
    let name = "root:1:ALLGATHER";
    between(
        receiver,
        sender,
        both,
        pair(&[(0, name, said(SENDER)), (1, name, said(RECEIVER))], change),
    )
}

fn between(
    receiver: &[String],
    sender: &[String],
    both: bool,
    [left, right]: [Memory; 2],
) -> [Result<Outcome, Fault>; 2] {
    let items = |keys: &[String]| Items::of(keys.iter(), Equals::Refused).unwrap();
    thread::scope(|scope| {
        let right = scope.spawn(move || {
            let outcome =
                intersect(&right, &terms(Role::Sender, both), items(sender), &Seed::new([1; 32]));
            (outcome, right)
        });
        let outcome =
            intersect(&left, &terms(Role::Receiver, both), items(receiver), &Seed::new([2; 32]));
        let (other, _) = right.join().unwrap();
        [outcome, other]
    })
}

#[test]
fn the_result_is_the_ideal_one() {
    let sizes =
        [(0, 0), (0, 5), (5, 0), (1, 1), (300, 200), (BATCH_ITEMS, 1), (BATCH_ITEMS + 1, 10)];
    for (one, other) in sizes {
        for both in [false, true] {
            let (receiver, sender) = (keys(0, one), keys(one / 2, other));
            let [left, right] = play(&receiver, &sender, both, unchanged());
            let (left, right) = (left.unwrap(), right.unwrap());
            assert_eq!(left.common, Some(ideal(&receiver, &sender)), "{one} {other} {both}");
            assert_eq!(right.common, both.then(|| ideal(&sender, &receiver)));
            assert_eq!((left.peer_items, right.peer_items), (other as u64, one as u64));
        }
    }
}

/// Each message of the sender in turn, changed in each of several ways: the receiver ends with a fault, or the change
/// was one that it need not notice.
#[test]
fn every_changed_message_ends_in_a_fault() {
    let names = [
        "root-0:1:ALLGATHER",
        "root:2:ALLGATHER",
        "root:3:ALLGATHER",
        "root:4:BARRIER",
        "root:5:ALLGATHER",
        "root-1:1:ALLGATHER",
        "root:P2P-1:1->0",
        "root:P2P-2:1->0",
        "root-2:P2P-1:1->0",
        "root-2:P2P-2:1->0",
        "root-3:1:ALLGATHER",
        "root-4:1:ALLGATHER",
    ];
    let changes: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |_| vec![0xFF; 40],
        |value| [value, vec![0]].concat(),
        |mut value| {
            value.pop();
            value
        },
        |value| value.into_iter().map(|it| it ^ 0x55).collect(),
    ];
    for name in names {
        for (at, change) in changes.into_iter().enumerate() {
            let changed: Change = Arc::new(move |it: &str, value: Vec<u8>| {
                if it == name && !(value.is_empty() && at == 2) { change(value) } else { value }
            });
            let [receiver, _] = play(&keys(0, 10), &keys(5, 10), false, changed);
            // A digest is 32 bytes of anything, and nothing can be taken from an empty message.
            let unnoticed =
                (name, at) == ("root:3:ALLGATHER", 3) || (name, at) == ("root:4:BARRIER", 2);
            let unnoticed = unnoticed || (name, at) == ("root:4:BARRIER", 3);
            match receiver {
                Ok(outcome) => assert!(unnoticed && outcome.common.is_some(), "{name} {at}"),
                Err(fault) => {
                    assert!(!unnoticed, "{name} {at}: {fault}");
                    let blamed = ["spu.peer-misbehaved", "spu.peer-incompatible"];
                    assert!(blamed.contains(&fault.code()), "{name} {at}: {fault}");
                }
            }
        }
    }
}

#[test]
fn points_of_small_order_are_refused() {
    let zeros: Change = Arc::new(|name: &str, value: Vec<u8>| match name {
        "root:P2P-1:1->0" => Batch::of(ONCE, 0, 1, vec![0; 32]),
        _ => value,
    });
    let [receiver, _] = play(&keys(0, 3), &keys(0, 1), false, zeros);
    assert_eq!(receiver.unwrap_err().code(), "spu.peer-misbehaved");
}

/// With a peer whose keys repeat there is no digest, and what follows has other numbers.
#[test]
fn where_keys_repeat_digests_are_left_out() {
    let said = |role| settings(role, false).encode_to_vec();
    let (first, second) = ("root:1:ALLGATHER", "root:2:ALLGATHER");
    let told = [
        (0, first, said(SENDER)),
        (1, first, said(RECEIVER)),
        (0, second, REPEATS.to_vec()),
        (1, second, REPEATS.to_vec()),
    ];
    let barrier: Change = Arc::new(|name: &str, value: Vec<u8>| {
        assert!(!name.contains("BARRIER") || name == "root:3:BARRIER", "{name}");
        value
    });
    let [left, _] = between(&keys(0, 9), &keys(5, 9), false, pair(&told, barrier));
    assert_eq!(left.unwrap().common, Some(vec![5, 6, 7, 8]));
}

#[test]
fn settings_are_answered_alike_or_refused() {
    let theirs = settings(SENDER, false);
    let (ours, digest) =
        answered(&theirs.encode_to_vec().into(), &terms(Role::Receiver, false)).unwrap();
    assert_eq!(PsiConfig::decode(ours.as_slice()), Ok(settings(RECEIVER, false)));
    assert!(digest);

    let changed = |change: fn(&mut PsiConfig)| {
        let mut it = settings(SENDER, false);
        change(&mut it);
        it.encode_to_vec()
    };
    let protocol = |it: &mut PsiConfig| it.protocol.as_mut().unwrap().protocol = 3;
    let curve = |it: &mut PsiConfig| it.protocol.as_mut().unwrap().ecdh.as_mut().unwrap().curve = 2;
    let role = |it: &mut PsiConfig| it.protocol.as_mut().unwrap().role = RECEIVER;
    let both = |it: &mut PsiConfig| it.protocol.as_mut().unwrap().broadcast = true;
    let join = |it: &mut PsiConfig| it.join = 2;
    let recovery = |it: &mut PsiConfig| it.recovery.as_mut().unwrap().enabled = true;
    let unknown = [theirs.encode_to_vec(), vec![0xF8, 0x01, 0x01]].concat();
    let cases = [
        (changed(|it| it.protocol = None), "PROTOCOL_ECDH"),
        (changed(protocol), "PROTOCOL_ECDH"),
        (changed(curve), "CURVE_25519"),
        (changed(role), "receiver_rank"),
        (changed(both), "broadcast_result"),
        (changed(join), "INNER_JOIN"),
        (changed(recovery), "checkpoints"),
        (unknown, "another version"),
        (vec![0xFF; 3], "another version"),
    ];
    for (theirs, hint) in cases {
        let fault = answered(&theirs.into(), &terms(Role::Receiver, false)).unwrap_err();
        assert_eq!(fault.code(), "spu.peer-incompatible");
        assert!(fault.to_string().contains(hint), "{fault}");
    }
}

#[test]
fn who_stops_is_told_so() {
    let said = [(0, "root:1:ALLGATHER", settings(SENDER, false).encode_to_vec())];
    let [left, _right] = pair(&said, unchanged());
    left.progress().stop();
    let items = Items::of(keys(0, 3).iter(), Equals::Refused).unwrap();
    let outcome = intersect(&left, &terms(Role::Receiver, false), items, &Seed::new([2; 32]));
    assert_eq!(outcome.unwrap_err(), Fault::Cancelled);
}

/// A peer whose work hangs says that it works, for as long as it runs.
#[test]
fn heartbeats_alone_do_not_keep_a_session() {
    let beats: Vec<String> = (1..=9).map(|it| format!("root-0:{it}:ALLGATHER")).collect();
    let mut said = vec![(0, "root:1:ALLGATHER", settings(SENDER, false).encode_to_vec())];
    said.extend(beats.iter().map(|it| (0, it.as_str(), UNFINISHED.to_vec())));
    let [left, _right] = pair(&said, unchanged());
    let items = Items::of(keys(0, 3).iter(), Equals::Refused).unwrap();
    let terms = Terms { stalled: Duration::ZERO, ..terms(Role::Receiver, false) };
    let outcome = intersect(&left, &terms, items, &Seed::new([2; 32]));
    assert_eq!(outcome.unwrap_err(), Fault::Stalled { step: Step::Reading, seconds: 0 });
}
