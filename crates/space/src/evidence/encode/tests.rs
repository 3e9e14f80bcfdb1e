use proptest::prelude::*;

use super::super::fact::{Change, Closed, Fact, Links, ShareAct, What};
use super::*;
use crate::lang::Lang;
use crate::limits::{DELETED_FILES, FACT_BYTES};
use crate::wire::samples::{did, digest as hash, id};

/// One fact of every kind, shaped by the arguments.
fn all(text: &str, number: u64, some: bool) -> Vec<What> {
    let opt = some.then(|| hash(text));
    let reason = some.then(|| text.to_owned());
    let text = || text.to_owned();
    let mut out = vec![
        What::Published {
            content: hash("c"),
            origin: hash("o"),
            rows: some.then_some(number),
            bytes: number,
        },
        What::Concluded { signed: hash("s"), provider_signed: some, consumer_signed: !some },
        What::Derived { content: hash("c") },
        What::Delivered { bytes: number, content: hash("c") },
        What::LeaseClosed {
            how: Closed::Expired,
            rows: number,
            bytes: number,
            result: opt,
            receipt: opt,
        },
        What::ContractStanding { change: 1, reason: reason.clone() },
        What::Consented,
        What::DutyMissed { duty: text() },
        What::LeaseRenewed { number: u32::MAX, until: Time::from_ms(7) },
        What::KeyDestroyed,
        What::Appraised {
            evidence: hash("e"),
            level: some.then_some(Level::E3),
            refused: text(),
            format: text(),
        },
        What::CopiesDeleted {
            files: vec![hash("f"); usize::from(some)],
            receipt: hash("r"),
            checked: some,
        },
        What::MessageRefused { code: text() },
        What::GaveUp { code: text() },
        What::TablePrepared {
            table: hash("t"),
            statement: hash("s"),
            entries: number,
            bytes: number,
        },
        What::Share {
            act: ShareAct::Released,
            provider: text(),
            detail: text(),
            key: some.then(|| hash("k")),
        },
    ];
    out.extend(Closed::ALL.map(|how| What::LeaseMissed { how, more: 0 }));
    out.push(What::LeaseMissed { how: Closed::Expired, more: 7 });
    for change in Change::ALL {
        out.push(What::Membership { change, space: text(), credential: opt });
    }
    for kind in Use::ALL {
        let until = Time::from_ms(7);
        out.push(What::LeaseGranted {
            kind,
            purpose: reason.clone(),
            query: opt,
            key: hash("k"),
            uses: number,
            until,
            epsilon: number,
        });
        out.push(What::LeaseRefused { kind, code: text(), rule: text(), more: number });
        out.push(What::LeaseHeld { kind, until });
    }
    for (by, why) in Role::ALL.into_iter().flat_map(|by| End::ALL.map(|why| (by, why))) {
        out.push(What::ContractEnded { why, by, reason: text() });
    }
    for to in negotiation::state::Name::ALL {
        out.push(What::Negotiation {
            from: negotiation::state::Name::Initial,
            to,
            by: Role::Consumer,
            terms: opt,
            reason: reason.clone(),
        });
    }
    for to in dataflow::state::Name::ALL {
        out.push(What::Flow {
            from: dataflow::state::Name::Initialized,
            to,
            by: if some { Plane::Control } else { Plane::Data },
            reason: reason.clone(),
        });
    }
    for to in transfer::state::Name::ALL {
        out.push(What::Transfer {
            from: transfer::state::Name::Initial,
            to,
            by: Role::Provider,
            reason: reason.clone(),
        });
    }
    out
}

fn fact(what: What, linked: bool) -> Fact {
    let link = |it: &str| linked.then(|| id(it));
    let links = Links {
        peer: linked.then(|| did("did:web:peer.example")),
        product: link("p"),
        negotiation: link("n"),
        contract: None,
        transfer: link("t"),
        lease: link("l"),
    };
    Fact {
        id: id("urn:fact"),
        at: Time::from_ms(1_780_000_000_123),
        by: did("did:web:me.example"),
        links,
        what,
    }
}

proptest! {
    #[test]
    fn every_kind_round_trips(text in "\\PC{0,40}", number: u64, some: bool) {
        for what in all(&text, number, some) {
            let fact = fact(what, some);
            prop_assert_eq!(decode(&encode(&fact)), Ok(fact));
        }
    }

    #[test]
    fn other_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0..400_usize) {
        prop_assert!(decode(&bytes).is_err());
        let whole = encode(&fact(What::KeyDestroyed, true));
        if cut < whole.len() {
            prop_assert!(decode(&whole[..cut]).is_err());
        }
    }
}

#[test]
fn the_biggest_fact_fits_the_log() {
    let long = "喵".repeat(100_000);
    let files = vec![hash("f"); 10 * DELETED_FILES];
    for what in all(&long, u64::MAX, true).into_iter().chain([What::CopiesDeleted {
        files,
        receipt: hash("r"),
        checked: true,
    }]) {
        let bytes = encode(&fact(what, true));
        assert!(bytes.len() <= FACT_BYTES, "{}", bytes.len());
        decode(&bytes).unwrap();
    }
}

#[test]
fn summaries_are_one_line_in_both_languages() {
    for what in all("reason", 3, true) {
        for lang in [Lang::Zh, Lang::En] {
            let line = summary(&fact(what.clone(), true), lang);
            assert!(!line.is_empty() && !line.contains('\n'), "{line}");
        }
    }
}
