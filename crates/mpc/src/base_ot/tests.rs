use super::*;
use crate::session::tests::both;

/// What a trusted dealer would hand out for these keys and choices.
pub(crate) fn ideal(keys: &[[u128; 2]], choices: &[u8]) -> Vec<u128> {
    keys.iter().zip(choices).map(|(pair, choice)| pair[usize::from(*choice)]).collect()
}

#[test]
fn the_receiver_gets_the_keys_of_its_choices_and_all_keys_differ() {
    for count in [0, 1, 33] {
        let choices: Vec<u8> = (0..count).map(|i| (i % 3 == 0).into()).collect();
        let picks = choices.clone();
        let (received, keys) = both(
            b"t",
            move |session| receive(session, &picks),
            move |session| send(session, count),
        );
        let keys = keys.unwrap();
        assert_eq!(received.unwrap(), ideal(&keys, &choices));
        let mut all: Vec<u128> = keys.concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2 * count);
    }
}

#[test]
fn what_is_no_point_is_refused() {
    let neutral = [0; 32];
    let off_curve = [0xff; 32];
    // A canonical encoding must be even ("negative" elements are refused, RFC 9496 §4.3.1).
    let mut odd = RistrettoPoint::mul_base(&Scalar::from(5u64)).compress().to_bytes();
    odd[0] |= 1;
    for (bytes, what) in [
        (&neutral[..], "neutral"),
        (&off_curve[..], "no point"),
        (&odd[..], "no point"),
        (&[1, 2][..], "no point"),
    ] {
        let fault = decode(bytes, Step::BaseOtReplies).unwrap_err();
        assert!(fault.to_string().contains(what), "{fault}");
    }
}
