//! What a peer may send, in any order and any number.

use proptest::prelude::*;

use super::*;
use crate::spu::wire::{Piece, numbered};

fn whole(key: &str, value: &[u8]) -> PushRequest {
    let (key, value) = (key.to_owned(), Bytes::copy_from_slice(value));
    PushRequest { sender_rank: 0, key, value, trans_type: 0, piece: None }
}

fn piece(key: &str, length: i64, offset: i64, value: &[u8]) -> PushRequest {
    let piece = Some(Piece { message_length: length, offset });
    PushRequest { trans_type: 1, piece, ..whole(key, value) }
}

fn open() -> Traffic {
    Traffic::new(None)
}

#[test]
fn messages_are_taken_once_whatever_is_repeated() {
    let mut it = open();
    assert_eq!(it.admit(whole(&numbered("connect_0", 0), b"")), Ok(Came::Connect));
    assert_eq!(it.rank(), Some(1));
    assert_eq!(it.admit(whole(&numbered("b", 2), b"two")), Ok(Came::Message));
    assert_eq!(it.admit(whole(&numbered("a", 1), b"one")), Ok(Came::Message));
    assert_eq!(it.admit(whole(&numbered("a", 1), b"one")), Ok(Came::Nothing));
    assert_eq!(it.take("a"), Some((Bytes::from_static(b"one"), 1)));
    assert_eq!(it.admit(whole(&numbered("a", 1), b"one")), Ok(Came::Nothing));
    assert_eq!(it.take("a"), None);
    assert_eq!(it.take("b"), Some((Bytes::from_static(b"two"), 2)));
    assert_eq!(it.bytes, 0);
}

#[test]
fn pieces_become_a_message_in_any_order() {
    let mut it = open();
    let key = numbered("long", 1);
    assert_eq!(it.admit(piece(&key, 5, 3, b"lo")), Ok(Came::Nothing));
    assert_eq!(it.admit(piece(&key, 5, 3, b"lo")), Ok(Came::Nothing));
    assert_eq!(it.admit(piece(&key, 5, 0, b"hel")), Ok(Came::Message));
    assert_eq!(it.admit(piece(&key, 5, 0, b"hel")), Ok(Came::Nothing));
    assert_eq!((it.take("long"), it.bytes), (Some((Bytes::from_static(b"hello"), 1)), 0));
}

#[test]
fn the_end_is_when_everything_came_and_everything_is_confirmed() {
    let mut it = open();
    assert_eq!((it.next_number(), it.next_number()), (1, 2));
    it.admit(whole(&numbered("a", 1), b"")).unwrap();
    it.admit(whole(FIN, b"2")).unwrap();
    it.admit(whole(ACK, b"2")).unwrap();
    assert_eq!((it.unconfirmed(), it.ended()), (1, false));
    it.admit(whole(ACK, b"1")).unwrap();
    assert_eq!((it.unconfirmed(), it.ended()), (0, false));
    assert_eq!(it.close(), [1]);
    assert_eq!(it.admit(whole(&numbered("b", 2), b"")), Ok(Came::Unwanted(2)));
    assert!(it.ended());
    assert_eq!(it.admit(whole(&numbered("connect_0", 0), b"")), Ok(Came::Early));
}

#[test]
fn what_breaks_the_rules_is_a_fault() {
    let long = vec![0; MOST_MESSAGE_BYTES + 1];
    let third = PushRequest { sender_rank: 2, ..whole(&numbered("a", 1), b"") };
    let other = PushRequest { trans_type: 7, ..whole(&numbered("a", 1), b"") };
    let bare = PushRequest { piece: None, ..piece(&numbered("a", 1), 1, 0, b"x") };
    let cases: Vec<(&str, Vec<PushRequest>)> = vec![
        ("spu.peer-misbehaved", vec![third]),
        ("spu.peer-misbehaved", vec![other]),
        ("spu.peer-misbehaved", vec![bare]),
        ("spu.peer-misbehaved", vec![whole(ACK, b"1")]),
        ("spu.peer-misbehaved", vec![whole(ACK, b"one")]),
        ("spu.peer-misbehaved", vec![whole(FIN, b"")]),
        ("spu.peer-misbehaved", vec![whole(&numbered("a", 1), &long)]),
        ("spu.peer-misbehaved", vec![whole(&numbered("a", 1), b""), whole(&numbered("a", 2), b"")]),
        ("spu.peer-misbehaved", vec![piece(&numbered("a", 0), 2, 0, b"x")]),
        ("spu.peer-misbehaved", vec![piece(&numbered("a", 1), 2, 2, b"x")]),
        (
            "spu.peer-misbehaved",
            vec![piece(&numbered("a", 1), 3, 0, b"xx"), piece(&numbered("a", 1), 3, 1, b"xx")],
        ),
        ("spu.peer-incompatible", vec![whole("a", b"")]),
    ];
    for (code, requests) in cases {
        let mut it = open();
        let outcome = requests.iter().try_for_each(|request| it.admit(request.clone()).map(drop));
        assert_eq!(outcome.unwrap_err().code(), code, "{:?}", requests.last().unwrap().key);
    }
    let mut it = open();
    it.admit(whole(&numbered("connect_0", 0), b"")).unwrap();
    let turned = PushRequest { sender_rank: 1, ..whole(&numbered("a", 1), b"") };
    assert_eq!(it.admit(turned).unwrap_err().code(), "spu.peer-misbehaved");
}

#[test]
fn what_nobody_reads_is_bounded() {
    let mut many = open();
    let outcome =
        (1..).find_map(|at| many.admit(whole(&numbered(&format!("{at}"), at), b"")).err());
    assert_eq!(outcome.unwrap().code(), "spu.peer-incompatible");
    assert_eq!(many.unread.len(), MOST_UNREAD);
    let mut heavy = open();
    let value = vec![0; MOST_MESSAGE_BYTES];
    let outcome =
        (1..).find_map(|at| heavy.admit(whole(&numbered(&format!("{at}"), at), &value)).err());
    assert_eq!(outcome.unwrap().code(), "spu.peer-incompatible");
    assert!(heavy.bytes <= MOST_UNREAD_BYTES);
    let mut gaps = open();
    let outcome = (2..).find_map(|at| {
        let name = format!("{at}");
        let outcome = gaps.admit(whole(&numbered(&name, at), b""));
        gaps.take(&name);
        outcome.err()
    });
    assert_eq!(outcome.unwrap().code(), "spu.peer-misbehaved");
}

proptest! {
    /// Anything that can be written as a request: no panic, and the count of bytes is what lies there.
    #[test]
    fn any_requests_keep_the_books(
        requests in proptest::collection::vec((0..4_u8, 0..3_u64, 0..5_i64, 0..5_i64, 0..4_usize), 1..60)
    ) {
        let mut it = open();
        it.next_number();
        for (kind, number, length, offset, bytes) in requests {
            let value = vec![b'1'; bytes];
            let key = numbered(&format!("{length}"), number);
            let request = match kind {
                0 => whole(&key, &value),
                1 => piece(&key, length, offset, &value),
                2 => whole(ACK, &value),
                _ => whole(FIN, &value),
            };
            if it.admit(request).is_err() {
                return Ok(());
            }
            let unread: usize = it.unread.values().map(|(value, _)| value.len()).sum();
            let pieces: usize = it.pieces.values().flat_map(|it| it.values()).map(Bytes::len).sum();
            prop_assert_eq!(it.bytes, unread + pieces);
        }
    }
}
