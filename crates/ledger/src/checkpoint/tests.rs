use proptest::prelude::*;

use super::*;
use crate::tree::leaf_hash;

const TEXT: &str =
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

#[test]
fn the_example_of_the_specification_is_read() {
    let it = Checkpoint::parse(TEXT).unwrap();
    assert_eq!((it.origin(), it.size()), ("example.com/behind-the-sofa", 20_852_163));
    assert!(it.extensions().is_empty());
    assert_eq!(it.to_string(), TEXT);
    let oracle = tlog_tiles::Checkpoint::from_bytes(TEXT.as_bytes()).unwrap();
    assert_eq!(oracle.hash().0, *it.root().as_bytes());
}

#[test]
fn nasty_checkpoints_are_refused() {
    let size = |it: &str| TEXT.replace("20852163", it);
    let nasty = [
        String::new(),
        "\n".into(),
        "\n\n\n".into(),
        TEXT.replace("example.com/behind-the-sofa", ""),
        TEXT.trim_end().into(),
        TEXT.replace('\n', "\r\n"),
        size("020852163"),
        size("00"),
        size(""),
        size("+1"),
        size("-1"),
        size("1 "),
        size(" 1"),
        size("0x10"),
        size("1e3"),
        size("9223372036854775808"),
        size("18446744073709551616"),
        TEXT.replace("q2I=", "q2J="),
        TEXT.replace("q2I=", "q2I"),
        TEXT.replace("q2I=", ""),
        TEXT.replace("q2I=", "q2I= "),
        TEXT.replace("CsUY", "AAAACsUY"),
        format!("{TEXT}\n"),
        format!("{TEXT}\nextension\n"),
        format!("{TEXT}ext\r\n"),
        format!("{TEXT}{}", "e\n".repeat(MAX_EXTENSION_LINES + 1)),
        format!("{}{TEXT}", "o".repeat(300)),
    ];
    for text in nasty {
        assert!(matches!(Checkpoint::parse(&text), Err(CheckpointError::Malformed(_))), "{text:?}");
    }
    assert!(Checkpoint::parse_bytes(b"\xff\n1\n").is_err());
    assert!(Checkpoint::new("two\nlines", 0, leaf_hash(b"")).is_err());
    assert!(Checkpoint::new("a", u64::MAX, leaf_hash(b"")).is_err());
}

#[test]
fn extension_lines_are_kept_and_signed() {
    let key = NoteSigner::ed25519("log", &[1; 32]).unwrap();
    let extensions = vec!["one".to_owned(), "two  words".to_owned()];
    let head = Checkpoint::extended("log", 7, leaf_hash(b"x"), extensions).unwrap();
    let signed = head.clone().sign(&key).unwrap();
    let text = signed.to_string();
    let back = SignedCheckpoint::parse(&text).unwrap();
    assert_eq!(back.verify(key.verifier()).unwrap(), &head);
    let other = SignedCheckpoint::parse(&text.replace("two", "too")).unwrap();
    assert_eq!(other.verify(key.verifier()), Err(CheckpointError::Note(NoteError::BadSignature)));
}

#[test]
fn only_a_key_named_like_the_origin_makes_a_checkpoint() {
    let key = NoteSigner::ed25519("other", &[1; 32]).unwrap();
    let head = Checkpoint::new("log", 7, leaf_hash(b"x")).unwrap();
    assert!(head.clone().sign(&key).is_err());
    let right = NoteSigner::ed25519("log", &[1; 32]).unwrap();
    let signed = head.sign(&right).unwrap();
    assert!(signed.verify(key.verifier()).is_err());
    assert_eq!(signed.only(key.verifier()).note().signatures().len(), 0);
    assert_eq!(SignedCheckpoint::parse_bytes(signed.to_string().as_bytes()), Ok(signed));
}

proptest! {
    #[test]
    fn text_and_value_are_one(
        origin in "[!-~é ]{1,30}", size in 0..=MAX_TREE_SIZE, root: [u8; 32],
        extensions in proptest::collection::vec("[!-~ ]{1,10}", 0..4),
    ) {
        let head = Checkpoint::extended(&origin, size, Hash::new(root), extensions).unwrap();
        prop_assert_eq!(Checkpoint::parse(&head.to_string()).unwrap(), head);
    }

    #[test]
    fn whatever_parses_is_written_the_same(
        text in "[a\r]{0,2}\n[+0-9]{1,3}\n(CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2[I-L]=)\n(e?\n){0,2}",
    ) {
        if let Ok(head) = Checkpoint::parse(&text) {
            prop_assert_eq!(head.to_string(), text);
        }
    }
}
