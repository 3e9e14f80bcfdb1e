//! How leases and contracts end, and what follows from it on both sides.

use super::side::{agreed, ask, lease, post, settle};
use crate::catalog::delivery::FLIGHT_SQL_PULL;
use crate::contract::{Deletion, End, State, deletion_bytes};
use crate::engine::contract::RECEIPT_TYPE;
use crate::engine::input::{Heard, HoldWish, TransferWish, Wish};
use crate::evidence::fact::{Closed, What};
use crate::id::Id;
use crate::lease::message::Outcome;
use crate::lease::state::Name;
use crate::limits::MISSED_A_MINUTE;
use crate::negotiation::message::Signature;
use crate::policy::model::{Action, Operand, Operator, Rule};
use crate::policy::sentence::{Sentences, build};
use crate::policy::usage::Use;
use crate::transfer::message::{Body, DataAddress};
use crate::transfer::state::State as Moving;
use crate::wire::samples::{at, constraint, digest};

fn done() -> Outcome {
    Outcome { done: true, rows: 1, bytes: 2, result: None }
}

/// The tombstone, the leases, the transfers, the notice and both jobs stand in one commit of each side.
#[test]
fn an_end_ends_everything_under_it() {
    for (by_provider, why) in [(true, End::Revoked), (true, End::Agreed), (false, End::Agreed)] {
        let (mut provider, mut consumer) = agreed(None);
        let contract = provider.contract().id;
        let grant = lease(&mut provider, &consumer, 1, at(3)).unwrap();
        let request = ask(&contract, 1);
        consumer
            .wish(Wish::Hold(Box::new(HoldWish { request, grant: grant.clone() })), at(3))
            .unwrap();
        let ender = if by_provider { &mut provider } else { &mut consumer };
        ender
            .wish(
                Wish::EndContract { contract: contract.clone(), why, reason: "over".to_owned() },
                at(4),
            )
            .unwrap();
        settle(&mut provider, &mut consumer, at(4));
        for (side, job) in [(&provider, "destroy-key"), (&consumer, "erase")] {
            let case = format!("{why:?} at {}", side.me);
            assert!(
                matches!(&side.contract().state, State::Ended { why: found, .. } if *found == why),
                "{case}"
            );
            assert_eq!(side.leases[&grant.lease].state.name(), Name::Revoked, "{case}");
            assert!(side.has_timer(job) && !side.has_timer("lease-end"), "{case}");
            assert_eq!(side.count(|it| matches!(it, What::ContractEnded { .. })), 1, "{case}");
        }
        assert_eq!(
            lease(&mut provider, &consumer, 1, at(5)).unwrap_err().code(),
            "contract.ended",
            "the same nonce"
        );
        assert_eq!(
            lease(&mut provider, &consumer, 2, at(5)).unwrap_err().code(),
            "contract.ended",
            "a fresh one"
        );
        let wish = TransferWish {
            contract,
            address: None,
            format: "tidm:query".to_owned(),
            push_to: None,
            id: None,
        };
        assert_eq!(
            consumer.wish(Wish::Fetch(Box::new(wish)), at(5)).unwrap_err().code(),
            "contract.ended"
        );
    }
}

#[test]
fn only_a_provider_revokes() {
    let (provider, mut consumer) = agreed(None);
    for why in [End::Revoked, End::Expired, End::UsedUp] {
        let wish =
            Wish::EndContract { contract: provider.contract().id, why, reason: String::new() };
        assert!(consumer.wish(wish, at(3)).is_err(), "{why:?}");
        let mut provider = agreed(None).0;
        let said = Heard::Ended { contract: provider.contract().id, why, reason: String::new() };
        assert_eq!(
            provider.hear(&consumer, "urn:m:1", said, at(3)).unwrap_err().code(),
            "contract.end",
            "{why:?}"
        );
    }
}

/// Used up: no further use, but the uses that were granted come to their own ends first.
#[test]
fn the_last_lease_ends_a_used_up_contract() {
    for (last, state) in [("return", Name::Returned), ("expire", Name::Expired)] {
        let (mut provider, mut consumer) = agreed(Some(2));
        let first = lease(&mut provider, &consumer, 1, at(3)).unwrap();
        let second = lease(&mut provider, &consumer, 2, at(3)).unwrap();
        assert_eq!((first.uses_left, second.uses_left), (Some(1), Some(0)));
        assert!(lease(&mut provider, &consumer, 3, at(3)).is_err());
        assert_eq!(
            lease(&mut provider, &consumer, 1, at(3)).unwrap(),
            first,
            "repeated, not counted"
        );
        let back = |it: &crate::lease::message::Grant| Heard::Return {
            lease: it.lease.clone(),
            outcome: done(),
            receipt: None,
        };
        provider.hear(&consumer, "urn:m:1", back(&first), at(4)).unwrap();
        assert!(provider.contract().is_active(), "one use is still open");
        if last == "return" {
            provider.hear(&consumer, "urn:m:2", back(&second), at(4)).unwrap();
        } else {
            provider.fire("lease-end", second.until).unwrap();
        }
        assert!(
            matches!(provider.contract().state, State::Ended { why: End::UsedUp, .. }),
            "{last}"
        );
        assert_eq!(provider.leases[&second.lease].state.name(), state, "its own end stands");
        assert_eq!(provider.count(|it| matches!(it, What::LeaseClosed { .. })), 2, "{last}");
        settle(&mut provider, &mut consumer, second.until);
        assert!(!consumer.contract().is_active(), "{last}");
    }
}

/// Tiers of a contract from before: its last use is that of the permission which permits most, if all of them are bound.
#[test]
fn differing_counts_are_used_up_together() {
    for (counts, last) in [([Some(1), Some(2)], true), ([Some(1), None], false)] {
        let (mut provider, consumer) = agreed(None);
        for it in provider.contracts.values_mut() {
            let rule = |n: Option<u64>| {
                let most = n.map(|n| constraint(Operand::Count, Operator::Lteq, &n.to_string()));
                Rule::new(Action::Use, most.into_iter().collect())
            };
            it.policy.permissions = counts.map(rule).to_vec();
        }
        for nonce in 1..=2 {
            assert!(provider.contract().is_active());
            let granted = lease(&mut provider, &consumer, nonce, at(3)).unwrap();
            let back = Heard::Return { lease: granted.lease, outcome: done(), receipt: None };
            provider.hear(&consumer, &format!("urn:m:{nonce}"), back, at(4)).unwrap();
        }
        assert_eq!(!provider.contract().is_active(), last, "{counts:?}");
        assert_eq!(lease(&mut provider, &consumer, 3, at(5)).is_err(), last, "{counts:?}");
    }
}

/// A grant that arrives twice, or after the end, opens nothing again.
#[test]
fn a_lease_is_held_once() {
    let (mut provider, mut consumer) = agreed(None);
    let contract = provider.contract().id;
    let grant = lease(&mut provider, &consumer, 1, at(3)).unwrap();
    let hold =
        || Wish::Hold(Box::new(HoldWish { request: ask(&contract, 1), grant: grant.clone() }));
    consumer.wish(hold(), at(3)).unwrap();
    consumer.wish(hold(), at(3)).unwrap();
    assert_eq!(consumer.count(|it| matches!(it, What::LeaseHeld { .. })), 1);
    consumer.wish(Wish::Close { lease: grant.lease.clone(), outcome: done() }, at(4)).unwrap();
    assert_eq!(consumer.wish(hold(), at(5)).unwrap_err().code(), "lease.over");
    assert_eq!(consumer.leases[&grant.lease].state.name(), Name::Returned);
    let late = lease(&mut provider, &consumer, 2, at(5)).unwrap();
    consumer
        .wish(
            Wish::EndContract {
                contract: contract.clone(),
                why: End::Agreed,
                reason: String::new(),
            },
            at(6),
        )
        .unwrap();
    let wish = Wish::Hold(Box::new(HoldWish { request: ask(&contract, 2), grant: late }));
    assert_eq!(consumer.wish(wish, at(6)).unwrap_err().code(), "contract.ended");
}

/// A grant whose answer was lost: the consumer learns of it when the gate ends the lease, and says so.
#[test]
fn a_lost_grant_is_accounted_for() {
    for ends in ["expire", "revoke"] {
        let (mut provider, mut consumer) = agreed(None);
        let contract = provider.contract().id;
        let lost = lease(&mut provider, &consumer, 1, at(3)).unwrap();
        let now = if ends == "expire" {
            provider.fire("lease-end", lost.until).unwrap();
            lost.until
        } else {
            let wish = Wish::EndContract {
                contract: contract.clone(),
                why: End::Agreed,
                reason: String::new(),
            };
            consumer.wish(wish, at(4)).unwrap();
            at(4)
        };
        settle(&mut provider, &mut consumer, now);
        assert_eq!(consumer.count(|it| matches!(it, What::LeaseMissed { .. })), 1, "{ends}");
        assert!(consumer.leases.is_empty(), "{ends}");
        let late = now.after(crate::limits::CLOCK_SKEW);
        let wish = Wish::Hold(Box::new(HoldWish { request: ask(&contract, 1), grant: lost }));
        assert!(consumer.wish(wish, late).is_err(), "{ends}: the answer arrives after all");
    }
}

/// A program asked the gate without its node: the node hears of the use, once, and a held lease is never closed so.
#[test]
fn a_use_without_the_consumers_node_is_told_to_it() {
    let (mut provider, mut consumer) = agreed(None);
    let grant = lease(&mut provider, &consumer, 1, at(3)).unwrap();
    let used = || Wish::Used { lease: grant.lease.clone(), outcome: done() };
    provider.wish(used(), at(4)).unwrap();
    provider.wish(used(), at(4)).unwrap();
    settle(&mut provider, &mut consumer, at(4));
    assert_eq!(provider.leases[&grant.lease].state.name(), Name::Returned);
    assert_eq!(provider.count(|it| matches!(it, What::LeaseClosed { .. })), 1);
    let told = |it: &What| matches!(it, What::LeaseMissed { how: Closed::Returned, .. });
    assert_eq!(consumer.count(told), 1);
    assert!(consumer.leases.is_empty());
    assert_eq!(consumer.wish(used(), at(5)).unwrap_err().code(), "not-found");
}

/// What asks statements needs no fetching: the consumer only keeps the address.
#[test]
fn an_address_for_tools_is_kept_and_nothing_is_fetched() {
    for (format, fetched) in [(FLIGHT_SQL_PULL, false), ("HttpData-PULL", true)] {
        let (mut provider, mut consumer) = agreed(None);
        let format = format.to_owned();
        let contract = provider.contract().id;
        let wish = TransferWish { id: None, contract, address: None, format, push_to: None };
        consumer.wish(Wish::Fetch(Box::new(wish)), at(3)).unwrap();
        settle(&mut provider, &mut consumer, at(3));
        let transfer = provider.transfers.keys().next().unwrap().clone();
        assert!(provider.has_timer("provide"));
        let address = DataAddress {
            endpoint_type: "t".to_owned(),
            endpoint: Some("grpc+tls://p.example".to_owned()),
            properties: vec![],
        };
        let body = Body::Start { address: Some(address.clone()) };
        provider.wish(Wish::SayTransfer { transfer: transfer.clone(), body }, at(4)).unwrap();
        assert!(!provider.has_timer("provide"), "the job is done");
        settle(&mut provider, &mut consumer, at(4));
        let kept = consumer.transfers.values().next().unwrap();
        assert_eq!(kept.state, Moving::Started { address: Some(address) });
        assert_eq!(consumer.has_timer("fetch"), fetched);
    }
}

/// Only the gate that granted a lease ends it, and never as returned.
#[test]
fn nobody_else_ends_a_lease() {
    let (mut provider, mut consumer) = agreed(None);
    let contract = provider.contract().id;
    let grant = lease(&mut provider, &consumer, 1, at(3)).unwrap();
    let request = ask(&contract, 1);
    consumer.wish(Wish::Hold(Box::new(HoldWish { request, grant: grant.clone() })), at(3)).unwrap();
    let said =
        |how| Heard::LeaseEnded { contract: contract.clone(), lease: grant.lease.clone(), how };
    let stranger = super::side::Side::new("stranger", 9);
    let refused = consumer.hear(&stranger, "urn:m:1", said(Closed::Revoked), at(4)).unwrap_err();
    assert_eq!(refused.code(), "not-found");
    let refused = consumer.hear(&provider, "urn:m:2", said(Closed::Returned), at(4)).unwrap_err();
    assert_eq!(refused.code(), "lease.how");
    let refused = provider.hear(&consumer, "urn:m:3", said(Closed::Revoked), at(4)).unwrap_err();
    assert_eq!(refused.code(), "not-found", "the provider granted it itself");
    for side in [&provider, &consumer] {
        assert_eq!(side.leases[&grant.lease].state.name(), Name::Granted);
    }
    consumer.hear(&provider, "urn:m:4", said(Closed::Revoked), at(4)).unwrap();
    assert_eq!(consumer.leases[&grant.lease].state.name(), Name::Revoked);
}

/// Whoever tells of the same lost lease again and again makes one fact; of leases that cannot be, none.
#[test]
fn a_missed_lease_is_told_once() {
    let (mut provider, mut consumer) = agreed(None);
    let contract = provider.contract().id;
    let missed = |it: &What| matches!(it, What::LeaseMissed { .. });
    for n in 0..20 {
        let lease = Id::parse(&format!("urn:lease:{}", n % 2)).unwrap();
        let how = if n % 3 == 0 { Closed::Expired } else { Closed::Returned };
        let said = Heard::LeaseEnded { contract: contract.clone(), lease, how };
        consumer.hear(&provider, &format!("urn:m:{n}"), said, at(4 + n)).unwrap();
    }
    assert_eq!(consumer.count(missed), 2);
    // Terms of statements alone: no matching, so no lease of the consumer's to miss.
    let mut held = provider.contract();
    let said = Sentences { kinds: vec![Use::Query], ..Sentences::default() };
    let offered = build(Id::parse("urn:o").unwrap(), None, &said).unwrap();
    held.policy.permissions = offered.permissions;
    provider.contracts.insert(contract.clone(), held);
    let lease = Id::parse("urn:lease:3").unwrap();
    let said = Heard::LeaseEnded { contract, lease, how: Closed::Expired };
    let refused = provider.hear(&consumer, "urn:n:1", said, at(40)).unwrap_err();
    assert_eq!(refused.code(), "not-found");
    assert_eq!(provider.count(missed), 0);
}

/// A peer that invents leases fills no log: some a minute are told, each with how many were not, and none is lost count of.
#[test]
fn invented_leases_are_some_facts_a_minute_and_every_one_is_counted() {
    let (provider, mut consumer) = agreed(None);
    let contract = provider.contract().id;
    let mut hear = |n: u64, now| {
        let lease = Id::parse(&format!("urn:invented:{n}")).unwrap();
        let how = if n.is_multiple_of(2) { Closed::Expired } else { Closed::Revoked };
        let said = Heard::LeaseEnded { contract: contract.clone(), lease, how };
        consumer.hear(&provider, &format!("urn:m:{n}"), said, now).unwrap();
        let kept: usize = consumer.refusals.len();
        let more = |it: &What| if let What::LeaseMissed { more, .. } = it { *more } else { 0 };
        let told = consumer.count(|it| matches!(it, What::LeaseMissed { .. }));
        (told, consumer.facts.iter().map(|it| more(&it.what)).sum::<u64>(), kept)
    };
    let (mut last, most) = ((0, 0, 0), usize::try_from(MISSED_A_MINUTE).unwrap());
    for n in 0..1000 {
        last = hear(n, at(4));
    }
    assert_eq!((last.0, last.1), (most, 0));
    assert!(last.2 <= most + 2, "rows do not grow either: {}", last.2);
    // A clock that is set back tells no more; the next minute does, and says how many went untold.
    assert_eq!(hear(1000, at(3)).0, most);
    let later = hear(1001, at(4).after(std::time::Duration::from_secs(60)));
    assert_eq!((later.0, later.1), (most + 1, 1001 - MISSED_A_MINUTE));
}

#[test]
fn a_deletion_receipt_is_the_consumers_signature() {
    let (mut provider, mut consumer) = agreed(None);
    let contract = provider.contract().id;
    provider
        .wish(
            Wish::EndContract {
                contract: contract.clone(),
                why: End::Revoked,
                reason: "over".to_owned(),
            },
            at(3),
        )
        .unwrap();
    assert!(post(&mut provider, &mut consumer, at(3)));
    let files = vec![digest("copy")];
    let said = |of: &super::side::Side, files: &[_]| {
        let bytes = deletion_bytes(&contract, &of.me, files, at(4));
        let receipt = Signature(tidm_crypto::jws::sign("key-1", RECEIPT_TYPE, &bytes, &of.key));
        Heard::Deleted {
            contract: contract.clone(),
            deletion: Deletion { at: at(4), files: vec![digest("copy")], receipt },
        }
    };
    let forged = said(&consumer, &[digest("another")]);
    assert_eq!(
        provider.hear(&consumer, "urn:m:1", forged, at(4)).unwrap_err().code(),
        "deletion.receipt"
    );
    let stranger = super::side::Side::new("stranger", 9);
    assert_eq!(
        provider.hear(&stranger, "urn:m:2", said(&stranger, &files), at(4)).unwrap_err().code(),
        "not-found"
    );
    assert!(provider.contract().deletion.is_none());
    consumer
        .wish(Wish::Erased { contract: contract.clone(), files: files.clone() }, at(5))
        .unwrap();
    settle(&mut provider, &mut consumer, at(5));
    assert_eq!(provider.contract().deletion, consumer.contract().deletion);
    assert!(provider.contract().deletion.is_some_and(|it| it.files == files));
    assert!(!consumer.has_timer("erase"));
    provider.wish(Wish::KeyDestroyed { contract }, at(6)).unwrap();
    assert!(!provider.has_timer("destroy-key"));
}

/// Versions of a line are numbered as they are saved, whatever two publications thought when they began.
#[test]
fn versions_of_a_line_never_share_a_number() {
    use crate::catalog::product::{Draft, Kind, Product};
    let mut provider = super::side::Side::new("provider", 1);
    for (n, line) in [(1, "a"), (2, "a"), (3, "b"), (4, "a")] {
        let of = |it: &str| Id::parse(it).unwrap();
        let name = format!("urn:product:{n}");
        let mut draft = Draft::new(of(&name), of(line), "Currents", Kind::Table, at(0));
        (draft.content, draft.origin, draft.bytes) =
            (Some(digest("c")), Some(digest("o")), Some(1));
        provider.wish(Wish::Publish(Box::new(Product::new(draft).unwrap())), at(n)).unwrap();
    }
    let mut found: Vec<_> = provider
        .products
        .values()
        .map(|it| (it.line.to_string(), it.version, it.published_at))
        .collect();
    found.sort();
    let expected = [("a", 1, 1), ("a", 2, 2), ("a", 3, 4), ("b", 1, 3)];
    assert_eq!(found, expected.map(|(line, version, n)| (line.to_owned(), version, at(n))));
}
