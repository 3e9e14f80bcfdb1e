use proptest::prelude::*;

use super::*;
use crate::wire::samples::{at, did, digest, id};

pub(crate) fn deposit() -> Deposit {
    Deposit {
        contract: id("urn:contract:1"),
        product: id("urn:product:1"),
        provider: did("did:web:p.example"),
        consumer: did("did:web:c.example"),
        operator: did("did:web:o.example"),
        policy: digest("signed"),
        wrapped: vec![7; 80],
    }
}

pub(crate) fn shown() -> Shown {
    Shown {
        lease: id("urn:lease:1"),
        contract: id("urn:contract:1"),
        provider: did("did:web:p.example"),
        consumer: did("did:web:c.example"),
        operator: did("did:web:o.example"),
        nonce: [1; 16],
        key: [2; 32],
        granted: at(0),
        until: at(600),
    }
}

fn code(
    deposit: &Deposit,
    shown: &Shown,
    holds: &[Hold],
    earlier: Option<&Answered>,
    now: Time,
) -> &'static str {
    let (me, from) = (did("did:web:o.example"), did("did:web:c.example"));
    let asked = Asked { me: &me, from: &from, deposit, shown };
    match decide(asked, holds, earlier, now) {
        Ok(Verdict::Fresh) => "fresh",
        Ok(Verdict::Again(_)) => "again",
        Err(fault) => fault.code(),
    }
}

#[test]
fn only_the_lease_of_this_deal_brings_a_share_and_only_now() {
    type Change = fn(&mut Deposit, &mut Shown);
    let fine: Change = |_, _| {};
    for (change, now, expected) in [
        (fine, at(1), "fresh"),
        (fine, at(-1), "fresh"),
        (fine, at(121), "split.lease"),
        (fine, at(-3600), "split.lease"),
        ((|_, it| it.until = at(1)) as Change, at(1), "split.lease"),
        (|_, it| it.operator = did("did:web:other.example"), at(1), "split.lease"),
        (|_, it| it.consumer = did("did:web:other.example"), at(1), "split.lease"),
        (|_, it| it.contract = id("urn:contract:2"), at(1), "split.deposit"),
        (|_, it| it.provider = did("did:web:thief.example"), at(1), "split.deposit"),
        (|it, _| it.consumer = did("did:web:other.example"), at(1), "split.deposit"),
        (|it, _| it.operator = did("did:web:other.example"), at(1), "split.deposit"),
    ] {
        let (mut deposit, mut shown) = (deposit(), shown());
        change(&mut deposit, &mut shown);
        assert_eq!(code(&deposit, &shown, &[], None, now), expected, "{deposit:?} {shown:?} {now}");
    }
}

#[test]
fn holds_stop_even_a_repeated_answer_and_a_nonce_has_one() {
    let answered = |key: u8, lease: &str| Answered {
        key: sha256(&[key; 32]),
        lease: id(lease),
        answer: vec![1],
    };
    let same = answered(2, "urn:lease:1");
    let (deposit, shown) = (deposit(), shown());
    for (earlier, expected) in [
        (&same, "again"),
        (&answered(3, "urn:lease:1"), "split.lease"),
        (&answered(2, "urn:lease:2"), "split.lease"),
    ] {
        assert_eq!(code(&deposit, &shown, &[], Some(earlier), at(1)), expected);
    }
    for (subject, expected) in [
        ("urn:contract:1", "split.held"),
        ("did:web:p.example", "split.held"),
        ("did:web:c.example", "split.held"),
        ("did:web:x.example", "again"),
        ("urn:product:1", "again"),
    ] {
        let hold = Hold { subject: subject.to_owned(), reason: "why".to_owned(), at: at(0) };
        assert_eq!(code(&deposit, &shown, &[hold], Some(&same), at(1)), expected, "{subject}");
    }
}

proptest! {
    /// Whatever is changed of what a share is bound to makes another binding.
    #[test]
    fn a_binding_is_one_deals(which in 0..6_usize, text in "[a-z]{1,12}") {
        let (it, mut other) = (deposit(), deposit());
        match which {
            0 => other.contract = id(&format!("urn:x:{text}")),
            1 => other.product = id(&format!("urn:x:{text}")),
            2 => other.provider = did(&format!("did:web:{text}")),
            3 => other.consumer = did(&format!("did:web:{text}")),
            4 => other.operator = did(&format!("did:web:{text}")),
            _ => other.policy = digest(&text),
        }
        prop_assert_ne!(it.binding(), other.binding());
    }
}
