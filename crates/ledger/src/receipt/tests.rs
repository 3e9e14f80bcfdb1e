use proptest::prelude::*;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::note::NoteSigner;
use crate::tree::MemoryTree;

fn entry(at: u64) -> Vec<u8> {
    format!("entry {at}").into_bytes()
}

fn tree(size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    (0..size).for_each(|it| tree.append(leaf_hash(&entry(it))));
    tree
}

fn log() -> NoteSigner {
    NoteSigner::ed25519("log", &[1; 32]).unwrap()
}

fn witness(seed: u8) -> NoteSigner {
    NoteSigner::cosigner(&format!("witness{seed}"), &[seed; 32]).unwrap()
}

/// Both of two witnesses.
fn policy() -> Policy {
    let text = format!(
        "witness a {}\nwitness b {}\ngroup g all a b\nquorum g\n",
        witness(2).verifier(),
        witness(3).verifier()
    );
    Policy::parse(text.as_bytes()).unwrap()
}

fn receipt(size: u64, index: u64, witnesses: &[u8]) -> Receipt {
    let tree = tree(size);
    let mut head = Checkpoint::new("log", size, tree.root()).unwrap().sign(&log()).unwrap();
    for &seed in witnesses {
        head.add(cosignature::sign(&witness(seed), 1000 + u64::from(seed), &head).unwrap())
            .unwrap();
    }
    Receipt::build(index, head, &tree).unwrap()
}

fn verify_here(receipt: &Receipt, entry: &[u8]) -> Report {
    verify(receipt, entry, log().verifier(), &policy())
}

#[test]
fn a_good_receipt_proves_everything() {
    for (size, index) in [(1, 0), (2, 1), (100, 37), (256, 255), (257, 256)] {
        let made = receipt(size, index, &[2, 3]);
        let read = Receipt::parse(made.to_string().as_bytes()).unwrap();
        assert_eq!(read, made);
        let report = verify_here(&read, &entry(index));
        assert!(report.accepted());
        assert_eq!(report.claims().map(|it| it.1), [true; 3]);
        assert_eq!((report.index, report.size, report.origin.as_str()), (index, size, "log"));
        assert_eq!(
            report.cosigned_by,
            [("witness2".to_owned(), 1002), ("witness3".to_owned(), 1003)]
        );
    }
}

#[test]
fn what_is_not_proven_is_said() {
    // Only one of the two witnesses, and a stranger.
    let report = verify_here(&receipt(9, 4, &[2, 8]), &entry(4));
    assert_eq!(report.claims().map(|it| it.1), [true, true, false]);
    assert_eq!(report.cosigned_by.len(), 1);
    assert!(!report.accepted());

    // Another entry.
    let report = verify_here(&receipt(9, 4, &[2, 3]), &entry(5));
    assert_eq!(report.claims().map(|it| it.1), [false, true, true]);

    // Another log's key, of the same or another name.
    for name in ["log", "other"] {
        let key = NoteSigner::ed25519(name, &[9; 32]).unwrap();
        let report = verify(&receipt(9, 4, &[2, 3]), &entry(4), key.verifier(), &policy());
        assert_eq!(report.claims().map(|it| it.1), [true, false, true]);
        assert_eq!(report.refused, Some(NoteError::Unsigned));
    }

    // No witness asked for: accepted, yet nothing is said about a split view.
    let none = Policy::parse(b"quorum none\n").unwrap();
    let report = verify(&receipt(9, 4, &[2, 3]), &entry(4), log().verifier(), &none);
    assert!(report.accepted() && report.unwitnessed);
    assert_eq!(report.claims().map(|it| it.1), [true, true, false]);
}

#[test]
fn one_bad_line_of_a_known_key_proves_nothing_signed() {
    let made = receipt(9, 4, &[3]);
    let mut head = made.checkpoint.clone();
    head.add(witness(2).cosign("log\n9\nelsewhere\n", 5).unwrap()).unwrap();
    let report = verify_here(&Receipt { checkpoint: head, ..made.clone() }, &entry(4));
    assert_eq!(report.refused, Some(NoteError::BadSignature));
    assert_eq!(report.claims().map(|it| it.1), [true, false, false]);
    assert!(report.cosigned_by.is_empty());

    let mut head = made.checkpoint.clone();
    head.add(log().sign("elsewhere\n").unwrap()).unwrap();
    let report = verify_here(&Receipt { checkpoint: head, ..made }, &entry(4));
    assert_eq!(report.refused, Some(NoteError::BadSignature));
    assert!(!report.accepted() && report.cosigned_by.is_empty());
}

#[test]
fn nasty_receipts_are_refused() {
    let good = receipt(9, 4, &[2]).with_extra(b"extra data".to_vec()).unwrap().to_string();
    assert!(good.contains("\nextra ZXh0cmEgZGF0YQ==\nindex 4\n"));
    let nasty = [
        String::new(),
        "\n\n".into(),
        good.replace("@v1", "@v2"),
        good.replace("@v1\n", "@v1 \n"),
        good.replace('\n', "\r\n"),
        format!("\n{good}"),
        good.replace("index 4", "index 04"),
        good.replace("index 4", "index +4"),
        good.replace("index 4", "index  4"),
        good.replace("index 4", "Index 4"),
        good.replace("index 4", "index"),
        good.replace("index 4\n", ""),
        good.replace("index 4\n", "index 4\nindex 4\n"),
        good.replace("index 4\n", "index 4\n\n"),
        good.replace("index 4", "index 9223372036854775808"),
        good.replace("extra ", "Extra "),
        good.replace("extra ZXh0cmEgZGF0YQ==\n", "extra ZXh0cmEgZGF0YR==\n"),
        good.replace("extra ZXh0cmEgZGF0YQ==\n", "extra ZXh0cmEgZGF0YQ=\n"),
        good.replace(
            "extra ZXh0cmEgZGF0YQ==\n",
            "extra ZXh0cmEgZGF0YQ==\nextra ZXh0cmEgZGF0YQ==\n",
        ),
        good.replace("extra ZXh0cmEgZGF0YQ==\nindex 4\n", "index 4\nextra ZXh0cmEgZGF0YQ==\n"),
        good.replace("\nlog\n", "\n\nlog\n"),
        good[..good.len() - 1].into(),
        good.replacen("=\n\n", "=\nAAAA\n\n", 1),
        good.replace(
            "index 4\n",
            &format!("index 4\n{}", format!("{}\n", leaf_hash(b"")).repeat(63)),
        ),
        format!("{HEADER}\nextra {}\n", STANDARD.encode(vec![0; MAX_EXTRA_BYTES + 1])),
    ];
    for text in nasty {
        assert!(Receipt::parse(text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(Receipt::parse(b"\xff").is_err());
    assert!(Receipt::parse(&vec![b'a'; MAX_RECEIPT_BYTES + 1]).is_err());
    let most = receipt(9, 4, &[]).with_extra(vec![7; MAX_EXTRA_BYTES]).unwrap();
    assert!(most.to_string().lines().all(|it| it.len() < 65_536));
    assert_eq!(Receipt::parse(most.to_string().as_bytes()), Ok(most.clone()));
    assert!(most.with_extra(vec![0; MAX_EXTRA_BYTES + 1]).is_err());
}

#[test]
fn every_flipped_bit_takes_something_away() {
    let made = receipt(9, 4, &[2, 3]).to_string();
    for at in 0..made.len() {
        for bit in 0..8 {
            let mut bytes = made.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            if let Ok(read) = Receipt::parse(&bytes) {
                assert!(!verify_here(&read, &entry(4)).accepted(), "byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn a_receipt_is_about_a_kilobyte() {
    let tree = tree(70_000);
    let head = Checkpoint::new("log", 70_000, tree.root()).unwrap().sign(&log()).unwrap();
    let mut head = head;
    head.add(cosignature::sign(&witness(2), 1000, &head).unwrap()).unwrap();
    let made = Receipt::build(12_345, head, &tree).unwrap();
    let bytes = made.to_string().len();
    println!("receipt of a 70,000-entry log with one cosignature: {bytes} bytes");
    assert!(bytes < 1300, "{bytes}");
}

proptest! {
    #[test]
    fn text_and_value_are_one(size in 1u64..80, part in 0u64..80, extra: Option<Vec<u8>>) {
        let mut made = receipt(size, part % size, &[2]);
        if let Some(extra) = extra {
            made = made.with_extra(extra).unwrap();
        }
        prop_assert_eq!(Receipt::parse(made.to_string().as_bytes()).unwrap(), made);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes: Vec<u8>, lines in "((index 1|extra AAAA|extra |AAAA|log|1)?\n){0,8}") {
        drop(Receipt::parse(&bytes));
        drop(Receipt::parse(format!("{HEADER}\n{lines}").as_bytes()));
    }
}
