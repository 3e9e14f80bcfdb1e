//! A date by which copies have to be gone ends the contract at both nodes, each by its own clock.

use std::time::Duration;

use super::side::{Side, ask, deliver, lease, settle};
use crate::contract::{End, State};
use crate::engine::input::{Adoption, HoldWish, TransferWish, Wish};
use crate::evidence::fact::What;
use crate::id::Id;
use crate::lease::delivery::deliverable;
use crate::lease::message::Grant;
use crate::lease::state::Name;
use crate::negotiation::message::Role;
use crate::policy::model::{Action, Operand, Operator, Policy, Rule};
use crate::policy::sentence::{Sentences, build};
use crate::policy::usage::Use;
use crate::time::Time;
use crate::transfer::message::DataAddress;
use crate::wire::samples::{at, constraint, digest, id};

/// Copies are gone by `at(100)`.
fn by() -> Policy {
    let said = Sentences { delete_by: Some(at(100)), ..Sentences::default() };
    build(id("urn:offer:1"), None, &said).unwrap()
}

/// Copies are gone 20 seconds after the first use.
fn within() -> Policy {
    let mut it = build(id("urn:offer:1"), None, &Sentences::default()).unwrap();
    let span = constraint(Operand::ElapsedTime, Operator::Lteq, "PT20S");
    it.obligations = vec![Rule::new(Action::Delete, vec![span])];
    it
}

/// Both sides with a contract of these terms.
fn agreed(policy: &Policy) -> (Side, Side) {
    let (mut provider, mut consumer) = (Side::new("provider", 1), Side::new("consumer", 2));
    let sides = [(&consumer, Role::Provider), (&provider, Role::Consumer)];
    let wishes = sides.map(|(peer, role)| {
        Wish::Adopt(Box::new(Adoption {
            id: id("urn:agreement:1"),
            role,
            peer: peer.me.clone(),
            address: peer.address.clone(),
            product: id("urn:product:1"),
            policy: policy.clone(),
            signed_at: at(0),
            rules: Default::default(),
        }))
    });
    let [of_provider, of_consumer] = wishes;
    provider.wish(of_provider, at(0)).unwrap();
    consumer.wish(of_consumer, at(0)).unwrap();
    (provider, consumer)
}

fn end_of(side: &Side) -> Option<Time> {
    side.timers.get("contract-end urn:agreement:1").map(|it| it.at)
}

/// A use that both sides know of.
fn used(provider: &mut Side, consumer: &mut Side, nonce: u8, now: Time) -> Grant {
    let grant = lease(provider, consumer, nonce, now).unwrap();
    let request = ask(&grant.contract, nonce);
    let hold = HoldWish { request, grant: grant.clone() };
    consumer.wish(Wish::Hold(Box::new(hold)), now).unwrap();
    grant
}

fn missed(side: &Side) -> usize {
    side.count(|it| matches!(it, What::DutyMissed { .. }))
}

/// The consumer is not connected: it ends, erases and signs by its own clock, and its provider by its own.
#[test]
fn both_sides_end_by_themselves_and_the_receipt_comes_later() {
    for policy in [by(), within()] {
        let (mut provider, mut consumer) = agreed(&policy);
        let grant = used(&mut provider, &mut consumer, 1, at(80));
        assert_eq!(grant.until, at(100), "no lease outlasts the copies");
        assert_eq!((end_of(&provider), end_of(&consumer)), (Some(at(100)), Some(at(100))));
        // A timer that is early ends nothing.
        for side in [&mut provider, &mut consumer] {
            side.timers.get_mut("contract-end urn:agreement:1").unwrap().at = at(99);
            side.fire("contract-end", at(99)).unwrap();
            assert!(side.contract().is_active() && end_of(side) == Some(at(100)));
        }
        // Before any timer fires, or any word is heard.
        let no = lease(&mut provider, &consumer, 2, at(100)).unwrap_err();
        assert_eq!((no.code(), provider.leases.len()), ("policy.denied", 1));
        for (side, job, why) in
            [(&mut provider, "destroy-key", End::Expired), (&mut consumer, "erase", End::Agreed)]
        {
            side.fire("contract-end", at(100)).unwrap();
            let State::Ended { why: found, reason, .. } = side.contract().state else { panic!() };
            assert!(found == why && reason.contains("deleted by"), "{reason}");
            assert!(side.has_timer(job) && end_of(side).is_none());
            assert_eq!(side.leases[&grant.lease].state.name(), Name::Revoked);
        }
        let erased = Wish::Erased { contract: grant.contract, files: vec![digest("copy")] };
        consumer.wish(erased, at(101)).unwrap();
        settle(&mut provider, &mut consumer, at(200));
        let receipt = provider.contract().deletion.unwrap();
        assert_eq!((receipt.at, receipt.files), (at(101), vec![digest("copy")]));
        assert!(!provider.has_timer("deletion-due") && missed(&provider) == 0);
        assert!(matches!(provider.contract().state, State::Ended { why: End::Expired, .. }));
    }
}

/// Nobody answers for the consumer.
#[test]
fn a_consumer_that_never_signs_misses_the_date() {
    let (mut provider, _) = agreed(&by());
    provider.fire("contract-end", at(100)).unwrap();
    provider.fire("deletion-due", at(3699)).unwrap();
    assert_eq!(missed(&provider), 0, "the usual time for a receipt");
    provider.fire("deletion-due", at(3700)).unwrap();
    assert_eq!((missed(&provider), provider.contract().missed), (1, Some(at(3700))));
}

/// The consumer's clock is in front, or its provider never runs again: what it says of its end is heard.
#[test]
fn the_consumer_does_not_wait_for_its_provider() {
    let (mut provider, mut consumer) = agreed(&by());
    consumer.fire("contract-end", at(100)).unwrap();
    let told = consumer.waiting();
    deliver(&consumer, &mut provider, &told, at(30)).unwrap();
    assert!(matches!(provider.contract().state, State::Ended { why: End::Agreed, .. }));
    // Its row of that time is no reason to end anything twice.
    let ends = |it: &Side| it.count(|it| matches!(it, What::ContractEnded { .. }));
    assert_eq!((ends(&provider), ends(&consumer), end_of(&provider)), (1, 1, None));
}

/// A span has no end before it begins: with the first lease, and with the first plain bytes.
#[test]
fn a_span_begins_with_the_first_use() {
    let (mut provider, mut consumer) = agreed(&within());
    assert_eq!((end_of(&provider), end_of(&consumer)), (None, None));
    let first = used(&mut provider, &mut consumer, 1, at(10));
    assert_eq!(
        (first.until, end_of(&provider), end_of(&consumer)),
        (at(30), Some(at(30)), Some(at(30)))
    );
    assert_eq!(used(&mut provider, &mut consumer, 2, at(20)).until, at(30), "the first one counts");
    assert_eq!(end_of(&consumer), Some(at(30)));

    for (kind, begins) in [(Use::Plain, true), (Use::SealedTable, false)] {
        let (mut provider, mut consumer) = agreed(&within());
        let wish = TransferWish {
            id: None,
            contract: id("urn:agreement:1"),
            address: None,
            format: kind.format().to_owned(),
            push_to: None,
        };
        consumer.wish(Wish::Fetch(Box::new(wish)), at(3)).unwrap();
        settle(&mut provider, &mut consumer, at(3));
        let transfer: Id = provider.transfers.keys().next().unwrap().clone();
        let address = DataAddress {
            endpoint_type: "x".to_owned(),
            endpoint: Some("https://provider.example/out".to_owned()),
            properties: vec![],
        };
        let provided =
            Wish::Provided { transfer, address: Some(address), bytes: 7, content: digest("c") };
        provider.wish(provided, at(5)).unwrap();
        // It may be read from now on, whether or not anybody says so.
        assert_eq!(end_of(&provider), begins.then_some(at(25)), "{kind:?}");
        settle(&mut provider, &mut consumer, at(6));
        assert_eq!(end_of(&consumer), begins.then_some(at(26)), "{kind:?}");
        let contract = provider.contract();
        let late =
            contract.first_use.map_or_else(|| at(99), |it| it.after(Duration::from_secs(20)));
        assert_eq!(deliverable(&contract, kind, late).is_err(), begins, "{kind:?}");
    }
}
