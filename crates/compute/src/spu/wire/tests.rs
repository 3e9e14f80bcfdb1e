//! Names, frames and batches.

use proptest::prelude::*;

use super::*;
use crate::spu::limits::MOST_MESSAGE_BYTES;

#[test]
fn names_carry_numbers() {
    let check =
        |key: &str, expected: Option<(&str, u64)>| assert_eq!(split(key), expected, "{key:?}");
    check("root:1:ALLGATHER\u{1}\u{2}17", Some(("root:1:ALLGATHER", 17)));
    check("connect_0\u{1}\u{2}0", Some(("connect_0", 0)));
    check("root:1:ALLGATHER", None);
    check("\u{1}\u{2}1", None);
    check("it\u{1}\u{2}", None);
    check("it\u{1}\u{2}-1", None);
    check("it\u{1}\u{2}+1", None);
    check("it\u{1}\u{2}99999999999999999999", None);
    check(&numbered(&"a".repeat(MOST_KEY_BYTES), 1), None);
    assert_eq!(split(&numbered("it", 5)), Some(("it", 5)));
}

/// Bytes as a stock peer puts them on the wire.
#[test]
fn requests_look_as_spu_writes_them() {
    let key = "connect_1\u{1}\u{2}0".to_owned();
    let request =
        PushRequest { sender_rank: 1, key, value: Bytes::new(), trans_type: 0, piece: None };
    let frame = framed(&request);
    assert_eq!(frame, &b"\0\0\0\0\x10\x08\x01\x12\x0cconnect_1\x01\x020"[..]);
    assert_eq!(unframed::<PushRequest>(frame), Some(request));
}

#[test]
fn frames_hold_exactly_one_message() {
    let frame = framed(&Size { size: 7 });
    assert_eq!(unframed::<Size>(frame.clone()), Some(Size { size: 7 }));
    let mut longer = frame.to_vec();
    longer.push(0);
    let mut compressed = frame.to_vec();
    compressed[0] = 1;
    for wrong in [Vec::new(), frame[..4].to_vec(), frame[..6].to_vec(), longer, compressed] {
        assert_eq!(unframed::<Size>(wrong.clone().into()), None, "{wrong:?}");
    }
}

#[test]
fn batches_are_checked() {
    let items = |message: Vec<u8>, index| Batch::items::<2>(message.into(), ONCE, index);
    assert_eq!(items(Batch::of(ONCE, 3, 2, vec![1, 2, 3, 4]), 3), Ok(vec![[1, 2], [3, 4]]));
    assert_eq!(items(Batch::of(ONCE, 0, 0, vec![]), 0), Ok(vec![]));
    items(Batch::of(ONCE, 3, 2, vec![1, 2, 3, 4]), 2).unwrap_err();
    items(Batch::of(TWICE, 3, 2, vec![1, 2, 3, 4]), 3).unwrap_err();
    items(Batch::of(ONCE, 3, 2, vec![1, 2, 3]), 3).unwrap_err();
    items(Batch::of(ONCE, 3, usize::MAX, vec![1, 2]), 3).unwrap_err();
    let last =
        Batch { count: 1, items: vec![1, 2].into(), last: true, index: 0, kind: ONCE.to_owned() };
    items(last.encode_to_vec(), 0).unwrap_err();
    items(vec![0xFF; 9], 0).unwrap_err();
}

#[test]
fn pieces_stay_inside_their_message() {
    let check = |message_length, offset, bytes, expected| {
        assert_eq!(piece_fits(Piece { message_length, offset }, bytes), expected);
    };
    check(10, 4, 6, Some((10, 4)));
    check(10, 4, 7, None);
    check(10, 4, 0, None);
    check(10, -1, 1, None);
    check(-1, 0, 1, None);
    check(10, i64::MAX, 1, None);
    check(MOST_MESSAGE_BYTES as i64 + 1, 0, 1, None);
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        // What they come to does not matter here.
        drop(unframed::<PushRequest>(bytes.clone()));
        drop(unframed::<PushResponse>(bytes.clone()));
        drop(PsiConfig::decode(bytes.clone()));
        drop(Batch::items::<32>(bytes.clone(), ONCE, 0));
        split(&String::from_utf8_lossy(&bytes));
    }
}
