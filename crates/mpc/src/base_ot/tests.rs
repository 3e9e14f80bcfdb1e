use proptest::prelude::*;

use super::*;
use crate::session::tests::both;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn both_hold_what_a_dealer_could_have_dealt(choices in proptest::collection::vec(0u8..2, 0..40)) {
        let (picks, count) = (choices.clone(), choices.len());
        let (received, keys) = both(
            b"t",
            move |session| receive(session, &picks),
            move |session| send(session, count),
        );
        let (received, keys) = (received.unwrap(), keys.unwrap());
        prop_assert!(ideal::fits(&keys, &choices, &received));
        // Not what it would be by another choice.
        for place in 0..count {
            let mut other = choices.clone();
            other[place] ^= 1;
            prop_assert!(!ideal::fits(&keys, &other, &received));
        }
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
