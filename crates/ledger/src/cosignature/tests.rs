use super::*;
use crate::checkpoint::Checkpoint;
use crate::tree::leaf_hash;

fn checkpoint() -> SignedCheckpoint {
    let log = NoteSigner::ed25519("log", &[1; 32]).unwrap();
    Checkpoint::extended("log", 7, leaf_hash(b"x"), vec!["extension".into()])
        .unwrap()
        .sign(&log)
        .unwrap()
}

#[test]
fn the_message_covers_time_and_whole_text() {
    assert_eq!(
        message("a\n1\nr\next\n", 1_679_315_147),
        "cosignature/v1\ntime 1679315147\na\n1\nr\next\n"
    );
}

#[test]
fn cosignatures_are_found_among_other_lines() {
    let mut head = checkpoint();
    let witnesses: Vec<NoteSigner> = (2..5)
        .map(|it| NoteSigner::cosigner(&format!("witness{it}"), &[it; 32]).unwrap())
        .collect();
    for (witness, time) in witnesses.iter().zip(100..) {
        head.add(sign(witness, time, &head).unwrap()).unwrap();
    }
    let head = SignedCheckpoint::parse(&head.to_string()).unwrap();
    let found = verify(&head, witnesses.iter().take(2).map(NoteSigner::verifier)).unwrap();
    let found: Vec<(&str, u64)> = found.iter().map(|it| (it.key.name(), it.time)).collect();
    assert_eq!(found, [("witness2", 100), ("witness3", 101)]);
    // The log is no witness of itself, and no witness at all is not an error.
    let log = NoteSigner::ed25519("log", &[1; 32]).unwrap();
    assert_eq!(verify(&head, [log.verifier()]), Ok(vec![]));
    assert_eq!(verify(&head, []), Ok(vec![]));
}

#[test]
fn every_change_to_time_text_or_signature_is_noticed() {
    let witness = NoteSigner::cosigner("w", &[9; 32]).unwrap();
    let head = checkpoint();
    let line = sign(&witness, 100, &head).unwrap();
    assert_eq!(witness.verifier().verify(head.note().text(), &line), Ok(Some(100)));
    let changed = head.note().text().replace("extension", "extensiom");
    assert_eq!(witness.verifier().verify(&changed, &line), Err(NoteError::BadSignature));
    // 4 bytes of key ID, 8 of time, 64 of signature, as base64 behind the name.
    let text = line.to_string();
    let start = text.rfind(' ').unwrap() + 1;
    for at in start..text.len() {
        for other in [b'A', b'Q', b'/'] {
            let mut bytes = text.clone().into_bytes();
            if bytes[at] == other {
                continue;
            }
            bytes[at] = other;
            let Ok(parsed) = SignatureLine::parse(std::str::from_utf8(&bytes).unwrap()) else {
                continue;
            };
            assert!(witness.verifier().verify(head.note().text(), &parsed).is_err());
        }
    }
}

#[test]
fn a_bad_line_of_a_known_witness_refuses_all() {
    let witness = NoteSigner::cosigner("w", &[9; 32]).unwrap();
    let mut head = checkpoint();
    let elsewhere = Checkpoint::new("log", 8, leaf_hash(b"y")).unwrap().to_string();
    head.add(witness.cosign(&elsewhere, 100).unwrap()).unwrap();
    assert_eq!(verify(&head, [witness.verifier()]), Err(NoteError::BadSignature));
}
