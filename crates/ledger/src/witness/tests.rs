use proptest::prelude::*;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::tree::{MemoryTree, leaf_hash, root_at};

const NOW: u64 = 1_700_000_000;

fn log_key() -> NoteSigner {
    NoteSigner::ed25519("log", &[1; 32]).unwrap()
}

fn witness_key(seed: u8) -> NoteSigner {
    NoteSigner::cosigner(&format!("witness{seed}"), &[seed; 32]).unwrap()
}

fn known() -> LogEntry {
    LogEntry { origin: "log".into(), keys: vec![log_key().verifier().clone()] }
}

fn tree(size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    (0..size).for_each(|it| tree.append(leaf_hash(&it.to_be_bytes())));
    tree
}

fn head(size: u64, root: Hash) -> SignedCheckpoint {
    Checkpoint::new("log", size, root).unwrap().sign(&log_key()).unwrap()
}

fn request(old: u64, new: u64) -> AddCheckpoint {
    let tree = tree(new);
    let head = head(new, tree.root());
    AddCheckpoint::build(old.min(new), &head, log_key().verifier(), &tree)
        .map(|it| AddCheckpoint { old, ..it })
        .unwrap()
}

fn last(size: u64) -> Option<(u64, Hash)> {
    Some((size, root_at(size, &tree(size)).unwrap()))
}

#[test]
fn every_honest_step_is_cosigned() {
    for new in 0..40 {
        for old in 0..=new {
            let request = request(old, new);
            let sent = AddCheckpoint::parse(request.to_string().as_bytes()).unwrap();
            assert_eq!(sent, request);
            let answer = decide(Some(&known()), last(old), &sent, NOW);
            let root = tree(new).root();
            assert_eq!(answer, Answer::Cosign { persist: (new, root), time: NOW });
            assert_eq!(answer.status(), 200);
        }
        assert_eq!(decide(Some(&known()), None, &request(0, new), NOW).status(), 200);
    }
}

#[test]
fn the_order_of_answers() {
    let stranger = NoteSigner::ed25519("log", &[7; 32]).unwrap();
    let by_stranger = |it: AddCheckpoint| {
        let head = it.checkpoint.checkpoint().clone().sign(&stranger).unwrap();
        AddCheckpoint { checkpoint: head, ..it }
    };
    // The log's own line is bad, a stranger's good line stands beside it.
    let spoiled = |it: AddCheckpoint| {
        let mut head = it.checkpoint.checkpoint().clone().sign(&stranger).unwrap();
        head.add(log_key().sign("something else\n").unwrap()).unwrap();
        AddCheckpoint { checkpoint: head, ..it }
    };
    let with_proof = |it: AddCheckpoint| AddCheckpoint { proof: vec![leaf_hash(b"x")], ..it };
    let with_root = |old, size| AddCheckpoint {
        old,
        proof: vec![],
        checkpoint: head(size, leaf_hash(b"another")),
    };
    let conflict = |size| Answer::Conflict { size };
    let table = [
        // 403 before 400, 409 and 422.
        (by_stranger(request(9, 5)), last(3), Answer::Forbidden),
        (by_stranger(request(3, 5)), last(3), Answer::Forbidden),
        (spoiled(request(3, 5)), last(3), Answer::Forbidden),
        // 400 before 409.
        (request(9, 5), last(3), Answer::BadRequest),
        (request(6, 5), last(6), Answer::BadRequest),
        // 409 before 422.
        (with_proof(request(2, 5)), last(3), conflict(3)),
        (request(4, 5), last(3), conflict(3)),
        (request(0, 5), last(3), conflict(3)),
        (request(1, 5), None, conflict(0)),
        (with_root(0, 0), last(3), conflict(3)),
        // 422.
        (with_proof(request(0, 5)), None, Answer::Unprocessable),
        (with_proof(request(3, 3)), last(3), Answer::Unprocessable),
        (with_proof(request(3, 5)), last(3), Answer::Unprocessable),
        (AddCheckpoint { proof: vec![], ..request(3, 5) }, last(3), Answer::Unprocessable),
        (with_root(3, 3), last(3), Answer::Unprocessable),
        (with_root(0, 0), None, Answer::Unprocessable),
        (with_root(0, 0), last(0), Answer::Unprocessable),
        (request(3, 5), Some((3, leaf_hash(b"another"))), Answer::Unprocessable),
    ];
    for (at, (request, last, expected)) in table.into_iter().enumerate() {
        assert_eq!(decide(Some(&known()), last, &request, NOW), expected, "row {at}");
        // An unknown origin is 404 before everything else.
        assert_eq!(decide(None, last, &request, NOW), Answer::NotFound);
        let other = LogEntry { origin: "other".into(), ..known() };
        assert_eq!(decide(Some(&other), last, &request, NOW), Answer::NotFound);
    }
    assert_eq!(conflict(7).conflict_body().as_deref(), Some("7\n"));
    assert_eq!(
        [
            Answer::BadRequest,
            Answer::Forbidden,
            Answer::NotFound,
            conflict(1),
            Answer::Unprocessable
        ]
        .map(|it| it.status()),
        [400, 403, 404, 409, 422]
    );
}

#[test]
fn nasty_requests_are_refused() {
    let good = request(3, 5).to_string();
    assert!(good.starts_with("old 3\n"));
    let nasty = [
        String::new(),
        "\n".into(),
        "\n\n".into(),
        good.replace("old 3", "old 03"),
        good.replace("old 3", "old +3"),
        good.replace("old 3", "old  3"),
        good.replace("old 3", "old 3 "),
        good.replace("old 3", "Old 3"),
        good.replace("old 3", "old -1"),
        good.replace("old 3", "old 9223372036854775808"),
        good.replace("old 3\n", ""),
        good.replace('\n', "\r\n"),
        good.replacen("=\n", "=", 1),
        good.replacen("=\n", "=\n\n", 1),
        good.replacen("=\n", " =\n", 1),
        good.replace("\nlog\n", "\n\nlog\n"),
        good[..good.len() - 1].into(),
        format!("{good}\n"),
        format!("old 3\n{}\nlog", format!("{}\n", leaf_hash(b"")).repeat(64)),
        good.replace("\n5\n", "\n05\n"),
    ];
    for text in nasty {
        assert!(AddCheckpoint::parse(text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(AddCheckpoint::parse(b"old 3\n\n\xff").is_err());
    assert!(AddCheckpoint::parse(&vec![b'a'; MAX_ADD_CHECKPOINT_BYTES + 1]).is_err());
    let most = format!("old 3\n{}", format!("{}\n", leaf_hash(b"")).repeat(63));
    let most = most + &good[good.find("\n\n").unwrap() + 1..];
    assert_eq!(AddCheckpoint::parse(most.as_bytes()).unwrap().proof.len(), 63);
}

#[test]
fn only_the_logs_own_line_is_sent() {
    let mut head = head(5, tree(5).root());
    head.add(witness_key(2).cosign(head.note().text(), NOW).unwrap()).unwrap();
    let request = AddCheckpoint::build(3, &head, log_key().verifier(), &tree(5)).unwrap();
    assert_eq!(request.checkpoint.note().signatures().len(), 1);
}

#[test]
fn the_log_reads_cosignatures_of_known_witnesses_only() {
    let request = request(3, 5);
    let (one, two) = (witness_key(2), witness_key(3));
    let body = cosign(&one, NOW, &request).unwrap() + &cosign(&two, NOW + 1, &request).unwrap();
    let read = |body: &str, keys: &[&VerifierKey]| {
        parse_cosignatures(body.as_bytes(), &request.checkpoint, keys.iter().copied())
    };
    let found = read(&body, &[two.verifier()]).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].0.key.name(), found[0].0.time), ("witness3", NOW + 1));
    let mut head = request.checkpoint.clone();
    head.add(found[0].1.clone()).unwrap();
    assert_eq!(cosignature::verify(&head, [two.verifier()]).unwrap().len(), 1);

    assert!(read(&body, &[witness_key(9).verifier()]).is_err());
    assert!(read(&body, &[log_key().verifier()]).is_err());
    for bad in ["", "\n", "text\n", body.trim_end(), &format!("\n{body}"), &format!("{body}\n")] {
        assert!(read(bad, &[two.verifier()]).is_err(), "{bad:?}");
    }
    // A cosignature on another head.
    let elsewhere = cosign(&two, NOW, &AddCheckpoint { checkpoint: head_of(6), ..request.clone() });
    assert_eq!(
        read(&elsewhere.unwrap(), &[two.verifier()]),
        Err(WitnessError::Note(NoteError::BadSignature))
    );
}

fn head_of(size: u64) -> SignedCheckpoint {
    head(size, tree(size).root())
}

#[test]
fn a_conflict_is_read_strictly() {
    assert_eq!(parse_conflict("text/x.tlog.size", b"17\n"), Ok(17));
    for (kind, body) in [
        ("text/plain", b"17\n".as_slice()),
        ("text/x.tlog.size; charset=utf-8", b"17\n"),
        ("text/x.tlog.size", b"17"),
        ("text/x.tlog.size", b"017\n"),
        ("text/x.tlog.size", b"17\r\n"),
        ("text/x.tlog.size", b"\n"),
        ("text/x.tlog.size", b"\xff\n"),
    ] {
        assert!(parse_conflict(kind, body).is_err(), "{kind} {body:?}");
    }
}

#[test]
fn the_monitor_path_is_the_hash_of_the_origin() {
    let path = monitor_path("");
    assert_eq!(path, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/checkpoint");
}

proptest! {
    /// Whatever order requests of an honest and a forking log come in, all heads that one witness
    /// cosigns lie on one line.
    #[test]
    fn a_witness_never_cosigns_two_trees(steps in proptest::collection::vec((0u64..20, any::<bool>()), 1..40)) {
        let honest = tree(20);
        let mut forked = tree(7);
        (0..13).for_each(|it: u64| forked.append(leaf_hash(&(it + 1000).to_be_bytes())));
        let mut last: Option<(u64, Hash)> = None;
        for (size, fork) in steps {
            let source = if fork { &forked } else { &honest };
            let head = head(size, root_at(size, source).unwrap());
            let old = last.map_or(0, |it| it.0);
            let Ok(request) = AddCheckpoint::build(old, &head, log_key().verifier(), source) else {
                continue;
            };
            if let Answer::Cosign { persist, .. } = decide(Some(&known()), last, &request, NOW) {
                let (old, old_root) = last.unwrap_or((0, EMPTY_ROOT));
                prop_assert!(persist.0 >= old);
                prop_assert_eq!(root_at(old, source).unwrap(), old_root);
                last = Some(persist);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes: Vec<u8>) {
        drop(AddCheckpoint::parse(&bytes));
        drop(parse_cosignatures(&bytes, &head_of(1), []));
        let size = parse_conflict(CONFLICT_CONTENT_TYPE, &bytes);
        prop_assert!(size.is_err() || bytes.last() == Some(&b'\n'));
    }
}
