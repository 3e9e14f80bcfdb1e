use proptest::{collection::vec, prelude::*};

use super::*;
use crate::test_hex::hex;

#[test]
fn rfc8949_appendix_a() {
    let cases: &[(&str, Value)] = &[
        ("00", Value::Int(0)),
        ("17", Value::Int(23)),
        ("1818", Value::Int(24)),
        ("1864", Value::Int(100)),
        ("1903e8", Value::Int(1000)),
        ("1a000f4240", Value::Int(1_000_000)),
        ("1b000000e8d4a51000", Value::Int(1_000_000_000_000)),
        ("1bffffffffffffffff", Value::Uint(u64::MAX)),
        ("20", Value::Int(-1)),
        ("3903e7", Value::Int(-1000)),
        ("3b7fffffffffffffff", Value::Int(i64::MIN)),
        ("f4", Value::Bool(false)),
        ("f5", Value::Bool(true)),
        ("f6", Value::Null),
        ("40", Value::Bytes(vec![])),
        ("4401020304", Value::Bytes(vec![1, 2, 3, 4])),
        ("60", Value::from("")),
        ("62c3bc", Value::from("\u{fc}")),
        ("63e6b0b4", Value::from("\u{6c34}")),
        ("80", Value::Array(vec![])),
        ("83010203", Value::Array(vec![1_i64.into(), 2_i64.into(), 3_i64.into()])),
        ("a0", Value::Map(Map::new())),
        ("a201020304", Value::Map([(1_i64, 2_i64), (3, 4)].into_iter().collect())),
    ];
    for (text, value) in cases {
        assert_eq!(encode(value), hex(text), "{value:?}");
        assert_eq!(decode(&hex(text)).as_ref(), Ok(value), "{text}");
    }
}

#[test]
fn what_is_not_canonical_is_refused() {
    use BadCbor::*;
    let cases: &[(&str, BadCbor)] = &[
        ("", Truncated),
        ("1817", NotShortest),
        ("190017", NotShortest),
        ("1900ff", NotShortest),
        ("1a0000ffff", NotShortest),
        ("1b00000000ffffffff", NotShortest),
        ("3817", NotShortest),
        ("580101", NotShortest),
        ("780161", NotShortest),
        ("980101", NotShortest),
        ("b8010101", NotShortest),
        ("3b8000000000000000", NumberRange),
        ("0000", Trailing),
        ("f7", Unsupported),
        ("f0", Unsupported),
        ("f814", Unsupported),
        ("f90000", Unsupported),
        ("fa47c35000", Unsupported),
        ("fb3ff199999999999a", Unsupported),
        ("c000", Unsupported),
        ("c249010000000000000000", Unsupported),
        ("9f01ff", Unsupported),
        ("5f4101ff", Unsupported),
        ("7f6161ff", Unsupported),
        ("bf0101ff", Unsupported),
        ("ff", Unsupported),
        ("1c", Unsupported),
        ("62c328", NotUtf8),
        ("63eda080", NotUtf8),
        ("4401", Truncated),
        ("5bffffffffffffffff00", Truncated),
        ("9bffffffffffffffff00", Truncated),
        ("bbffffffffffffffff00", Truncated),
        ("a203040102", KeyOrder),
        ("a26162016101", KeyOrder),
        ("a201020103", DuplicateKey),
        ("a261610161610f", DuplicateKey),
        // §4.2.1 sorts by encoded bytes: "aa" (62…) after "b" (61…), unlike alphabetical order.
        ("a262616100616200", KeyOrder),
    ];
    for (text, fault) in cases {
        assert_eq!(decode(&hex(text)), Err(*fault), "{text}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |depth: usize| {
        let mut bytes = vec![0x81; depth];
        bytes.push(0);
        bytes
    };
    assert!(decode(&nested(CBOR_MAX_DEPTH)).is_ok());
    assert_eq!(decode(&nested(CBOR_MAX_DEPTH + 1)), Err(BadCbor::TooDeep));
    assert_eq!(decode(&vec![0x81; CBOR_MAX_BYTES]), Err(BadCbor::TooDeep));
    assert_eq!(decode(&vec![0; CBOR_MAX_BYTES + 1]), Err(BadCbor::TooLarge));
    let many = Value::Array(vec![Value::Null; CBOR_MAX_ITEMS]);
    assert_eq!(decode(&encode(&many)), Err(BadCbor::TooLarge));
}

#[test]
fn tuples_open_with_their_domain() {
    let bytes = tuple("tidm/x/y/v1", vec![7_i64.into(), "z".into()]);
    assert_eq!(
        decode(&bytes),
        Ok(Value::Array(vec!["tidm/x/y/v1".into(), 7_i64.into(), "z".into()]))
    );
    assert_eq!(decode_tuple("tidm/x/y/v1", &bytes), Ok(Some(vec![7_i64.into(), "z".into()])));
    assert_eq!(decode_tuple("tidm/x/y/v2", &bytes), Ok(None));
    assert_eq!(decode_tuple("x", &[0]), Ok(None));
}

#[test]
fn numbers_compare_by_what_they_mean() {
    assert_eq!(Value::Uint(5), Value::Int(5));
    assert_eq!(encode(&Value::Uint(5)), encode(&Value::Int(5)));
    assert_ne!(Value::Uint(u64::MAX), Value::Int(-1));
    assert_ne!(Value::Null, Value::Int(0));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (0_i64..300).prop_map(Value::Int),
        any::<u64>().prop_map(Value::from),
        vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        "\\PC{0,20}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec((inner.clone(), inner), 0..6)
                .prop_map(|entries| Value::Map(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn round_trip(value in values()) {
        prop_assert_eq!(decode(&encode(&value)), Ok(value));
    }

    /// Mutated bytes either fail or are the one encoding of what they decode to.
    #[test]
    fn no_second_encoding(value in values(), edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = encode(&value);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(encode(&read), bytes);
        }
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..64)) {
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(encode(&read), bytes);
        }
    }
}
