use proptest::prelude::*;

use super::*;

/// Example of the signed-note specification.
const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

fn signer(name: &str, seed: u8) -> NoteSigner {
    NoteSigner::ed25519(name, &[seed; 32]).unwrap()
}

fn signed(text: &str, signers: &[&NoteSigner]) -> Note {
    let mut note = Note::new(text.to_owned()).unwrap();
    for signer in signers {
        note.add(signer.sign(text).unwrap()).unwrap();
    }
    note
}

#[test]
fn the_example_of_the_specification_verifies() {
    let key = VerifierKey::parse(KEY).unwrap();
    assert_eq!(
        (key.name(), key.id(), key.kind()),
        ("example.com/foo", 0x530d_903a, KeyKind::Ed25519)
    );
    assert_eq!(key.to_string(), KEY);
    let note = Note::parse(NOTE).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.verify([&key]).unwrap(), [Verified { key, time: None }]);
    assert_eq!(note.to_string(), NOTE);
}

#[test]
fn nasty_keys_are_refused() {
    let cosigner = NoteSigner::cosigner("w", &[3; 32]).unwrap();
    let as_log = VerifierKey::new("w", KeyKind::Ed25519, cosigner.verifier().public()).unwrap();
    assert_ne!(cosigner.verifier().id(), as_log.id());
    // The witness's key behind the ID of type 0x01, and the other way round.
    let swapped = cosigner
        .verifier()
        .to_string()
        .replace(&format!("{:08x}", cosigner.verifier().id()), &format!("{:08x}", as_log.id()));
    let nasty = [
        String::new(),
        "+".into(),
        "++".into(),
        "name".into(),
        swapped,
        KEY.replace("530d903a", "530d903b"),
        KEY.replace("530d903a", "530D903A"),
        KEY.replace("530d903a", "+30d903a"),
        KEY.replace("530d903a", "530d903"),
        KEY.replace("example.com/foo", ""),
        KEY.replace("example.com/foo", "example.com/ foo"),
        KEY.replace("example.com/foo", "example.com/\u{2003}foo"),
        KEY.replace("example.com/foo", "example.com/\u{1}foo"),
        KEY.replace("U2k", "U2l"),
        format!("{KEY}\n"),
        format!(" {KEY}"),
        KEY[..KEY.len() - 1].into(),
        format!("{KEY}="),
        format!("n+00000000+{}", STANDARD.encode([1; 1])),
        format!("n+00000000+{}", STANDARD.encode([1; 34])),
        format!("n+00000000+{}", "A".repeat(5000)),
    ];
    for text in nasty {
        assert!(matches!(VerifierKey::parse(&text), Err(NoteError::BadKey(_))), "{text:?}");
    }
    for kind in [0x00, 0x02, 0x05, 0x06, 0xff] {
        let text =
            format!("n+00000000+{}", STANDARD.encode([&[kind], [9; 32].as_slice()].concat()));
        assert_eq!(VerifierKey::parse(&text), Err(NoteError::UnsupportedKey(kind)));
    }
    // The neutral element verifies anything under lax rules.
    let mut weak = [0; 32];
    weak[0] = 1;
    assert!(VerifierKey::new("n", KeyKind::Ed25519, &weak).is_err());
    assert!(VerifierKey::parse_bytes(b"\xff").is_err());
}

#[test]
fn nasty_notes_are_refused() {
    let nasty = [
        String::new(),
        "\n".into(),
        "\n\n".into(),
        "text\n".into(),
        "text\n\n".into(),
        "text\n\n\n".into(),
        NOTE[..NOTE.len() - 1].into(),
        NOTE.replace('\n', "\r\n"),
        NOTE.replace('\u{2014}', "-"),
        NOTE.replace("\u{2014} ", "\u{2014}  "),
        NOTE.replace("\u{2014} ", "\u{2014}\u{a0}"),
        NOTE.replace("foo Uw", "foo  Uw"),
        NOTE.replace("foo Uw", "f+o Uw"),
        NOTE.replace("foo Uw", "foo\tUw"),
        NOTE.replace("QM=\n", "QM= \n"),
        NOTE.replace("QM=\n", "QM\n"),
        NOTE.replace("QM=\n", "QM==\n"),
        // Unused bits of the last character.
        NOTE.replace("QM=\n", "QN=\n"),
        NOTE.replace("QM=\n", "QO=\n"),
        NOTE.replace("QM=\n", "QP=\n"),
        NOTE.replace("is an", "is\0an"),
        format!("{NOTE}trailing\n"),
        format!("{NOTE}\u{2014} other AAAAAA==\n"),
        format!("{NOTE}\u{2014}  AAAAAAA=\n"),
    ];
    for text in nasty {
        assert!(matches!(Note::parse(&text), Err(NoteError::Malformed(_))), "{text:?}");
    }
    assert!(matches!(Note::parse_bytes(b"a\n\n\xff\n"), Err(NoteError::Malformed(_))));
    assert_eq!(Note::parse(&"a".repeat(MAX_NOTE_BYTES + 1)), Err(NoteError::TooLarge));
    for bad in ["", "no newline", "tab\t\n"] {
        assert!(Note::new(bad.into()).is_err());
    }
}

#[test]
fn text_may_hold_empty_lines_and_ends_at_the_last() {
    let key = signer("k", 1);
    for text in ["a\n\nb\n", "\n", "a\n\n", "\n\n\n"] {
        let note = signed(text, &[&key]);
        let back = Note::parse(&note.to_string()).unwrap();
        assert_eq!(back.text(), text);
        back.verify([key.verifier()]).unwrap();
    }
}

#[test]
fn at_least_sixteen_and_at_most_sixty_four_signatures() {
    let text = "text\n";
    let signers: Vec<NoteSigner> = (0..65).map(|it| signer(&format!("k{it}"), it)).collect();
    for count in [1, 16, 64] {
        let note = signed(text, &signers.iter().take(count).collect::<Vec<_>>());
        let back = Note::parse(&note.to_string()).unwrap();
        let all = back.verify(signers.iter().map(NoteSigner::verifier)).unwrap();
        assert_eq!(all.len(), count);
    }
    let mut full = signed(text, &signers.iter().take(64).collect::<Vec<_>>());
    let line = signers[64].sign(text).unwrap();
    assert_eq!(full.add(line.clone()), Err(NoteError::TooLarge));
    assert_eq!(Note::parse(&format!("{full}{line}\n")), Err(NoteError::TooLarge));
    // The same key again takes the place of its line.
    full.add(signers[3].sign(text).unwrap()).unwrap();
    assert_eq!(full.signatures().len(), 64);
}

#[test]
fn strangers_are_ignored_and_a_bad_known_signature_refuses_all() {
    let (log, stranger) = (signer("log", 1), signer("stranger", 2));
    let note = signed("text\n", &[&stranger, &log]);
    assert_eq!(note.verify([log.verifier()]).unwrap().len(), 1);

    // Same name, other key; same ID under another name; an unknown algorithm.
    let namesake = signer("log", 9);
    let mut crowd = note.clone();
    crowd.add(namesake.sign("text\n").unwrap()).unwrap();
    let id = log.verifier().id().to_be_bytes();
    let odd = |name: &str, id: [u8; 4], length: usize| {
        let bytes = [id.as_slice(), &vec![7; length]].concat();
        SignatureLine::parse(&format!("\u{2014} {name} {}", STANDARD.encode(bytes))).unwrap()
    };
    crowd.add(odd("other", id, 64)).unwrap();
    crowd.add(odd("log", [0; 4], 2420)).unwrap();
    assert_eq!(crowd.verify([log.verifier()]).unwrap().len(), 1);

    assert_eq!(note.verify([signer("x", 5).verifier()]), Err(NoteError::Unsigned));

    // A bad line by a known key, before or after a good one, also beside others' good lines.
    for length in [1, 63, 64, 65] {
        let bad = odd("log", id, length);
        for text in
            [format!("text\n\n{bad}\n{}\n", log.sign("text\n").unwrap()), format!("{note}{bad}\n")]
        {
            let keys = [log.verifier(), stranger.verifier()];
            assert_eq!(Note::parse(&text).unwrap().verify(keys), Err(NoteError::BadSignature));
        }
    }
    // The same good line twice counts once.
    let twice = format!("{note}{}\n", log.sign("text\n").unwrap());
    assert_eq!(Note::parse(&twice).unwrap().verify([log.verifier()]).unwrap().len(), 1);
}

#[test]
fn every_flipped_bit_is_refused_or_the_note_unsigned() {
    let key = VerifierKey::parse(KEY).unwrap();
    for at in 0..NOTE.len() {
        for bit in 0..8 {
            let mut bytes = NOTE.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            if let Ok(note) = Note::parse_bytes(&bytes) {
                assert!(note.verify([&key]).is_err(), "byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn a_key_signs_only_what_its_type_says() {
    let log = signer("log", 1);
    let witness = NoteSigner::cosigner("w", &[1; 32]).unwrap();
    assert_eq!(log.cosign("text\n", 7), Err(NoteError::Misuse));
    assert_eq!(witness.sign("text\n"), Err(NoteError::Misuse));
    assert!(witness.cosign("text\n", 0).is_err());
    assert!(witness.cosign("text\n", MAX_TIMESTAMP + 1).is_err());
    witness.cosign("text\n", MAX_TIMESTAMP).unwrap();
    assert!(!format!("{log:?}").contains("0101"));
    // A signature made elsewhere is checked.
    assert_eq!(log.verifier().line("text\n", None, &[0; 64]), Err(NoteError::BadSignature));
}

proptest! {
    #[test]
    fn parse_gives_back_what_was_written(
        text in "([ -~é]{0,20}\n){1,5}", names in proptest::collection::vec("[a-z./é]{1,12}", 1..5),
    ) {
        let signers: Vec<NoteSigner> =
            names.iter().zip(0..).map(|(name, seed)| signer(name, seed)).collect();
        let note = signed(&text, &signers.iter().collect::<Vec<_>>());
        let back = Note::parse(&note.to_string()).unwrap();
        prop_assert_eq!(&back, &note);
        prop_assert_eq!(back.verify(signers.iter().map(NoteSigner::verifier)).unwrap().len(), names.len());
    }

    #[test]
    fn whatever_parses_is_written_the_same(text in "[a\n]{0,6}\n\n(\u{2014} [ab+ ]{1,2} [A-D/+=]{4,12}\n){0,3}") {
        if let Ok(note) = Note::parse(&text) {
            prop_assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes: Vec<u8>) {
        drop(Note::parse_bytes(&bytes));
        drop(VerifierKey::parse_bytes(&bytes));
    }
}
