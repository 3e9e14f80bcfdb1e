//! A suspended contract opens nothing, on either side, until its provider resumes it.

use super::side::{Side, agreed, ask, lease, post, settle};
use crate::contract::{Contract, End, State};
use crate::engine::input::{Heard, HoldWish, TransferWish, Wish};
use crate::evidence::fact::What;
use crate::lease::state::Name;
use crate::limits::DELETION_PATIENCE;
use crate::policy::model::{Action, Rule};
use crate::transfer::message::{Body, DataAddress};
use crate::wire::samples::{at, digest};

fn suspend(side: &mut Side, seconds: i64) -> Result<(), &'static str> {
    let contract = side.contract().id;
    let wish = Wish::Suspend { contract, reason: "audit".to_owned() };
    side.wish(wish, at(seconds)).map(drop).map_err(|it| it.code())
}

fn resume(side: &mut Side, seconds: i64) -> Result<(), &'static str> {
    let wish = Wish::Resume { contract: side.contract().id };
    side.wish(wish, at(seconds)).map(drop).map_err(|it| it.code())
}

fn changes(side: &Side) -> usize {
    side.count(|it| matches!(it, What::ContractStanding { .. }))
}

#[test]
fn a_suspension_revokes_what_is_open_and_refuses_the_rest() {
    let (mut provider, mut consumer) = agreed(None);
    let contract = provider.contract().id;
    let grant = lease(&mut provider, &consumer, 1, at(3)).unwrap();
    let wish = HoldWish { request: ask(&contract, 1), grant: grant.clone() };
    consumer.wish(Wish::Hold(Box::new(wish)), at(3)).unwrap();
    assert_eq!(suspend(&mut consumer, 4), Err("contract.suspend"));
    assert_eq!(resume(&mut consumer, 4), Err("contract.suspend"));
    for _repeated in 0..2 {
        suspend(&mut provider, 4).unwrap();
    }
    assert_eq!(provider.leases[&grant.lease].state.name(), Name::Revoked);
    for nonce in [1, 2] {
        let refused = lease(&mut provider, &consumer, nonce, at(5)).unwrap_err();
        assert_eq!(refused.code(), "contract.suspended");
        assert!(refused.to_string().contains("audit"), "{refused}");
    }
    settle(&mut provider, &mut consumer, at(5));
    assert_eq!(consumer.contract().word(), "suspended");
    assert_eq!(consumer.leases[&grant.lease].state.name(), Name::Revoked);
    let wish = Wish::Fetch(Box::new(TransferWish {
        contract,
        address: None,
        format: "tidm:query".to_owned(),
        push_to: None,
        id: None,
    }));
    assert_eq!(consumer.wish(wish, at(5)).unwrap_err().code(), "contract.suspended");
    for _repeated in 0..2 {
        resume(&mut provider, 6).unwrap();
    }
    lease(&mut provider, &consumer, 3, at(7)).unwrap();
    settle(&mut provider, &mut consumer, at(7));
    assert_eq!(consumer.contract().word(), "active");
    assert_eq!((changes(&provider), changes(&consumer)), (2, 2));
    // The nonce of a lease that was revoked opens nothing again.
    assert_eq!(lease(&mut provider, &consumer, 1, at(8)).unwrap_err().code(), "lease.revoked");
}

/// Notices arrive in any order, and from nobody else.
#[test]
fn the_last_word_stands_whenever_it_arrives() {
    let (mut provider, mut consumer) = agreed(None);
    let contract = provider.contract().id;
    let said = |change, reason: Option<&str>| Heard::Standing {
        contract: contract.clone(),
        change,
        reason: reason.map(str::to_owned),
    };
    for (message, change, reason, word) in [
        ("urn:m:1", 2, None, "active"),
        ("urn:m:2", 1, Some("first"), "active"),
        ("urn:m:3", 3, Some("third"), "suspended"),
        ("urn:m:4", 2, None, "suspended"),
    ] {
        consumer.hear(&provider, message, said(change, reason), at(3)).unwrap();
        assert_eq!(consumer.contract().word(), word, "{message}");
    }
    let stranger = Side::new("stranger", 9);
    let refused = consumer.hear(&stranger, "urn:m:5", said(9, None), at(4)).unwrap_err();
    assert_eq!(refused.code(), "not-found");
    let refused = provider.hear(&consumer, "urn:m:6", said(9, None), at(4)).unwrap_err();
    assert_eq!(refused.code(), "contract.standing");
}

/// An end comes before a suspension, and ends a suspended contract, too.
#[test]
fn what_ended_is_neither_suspended_nor_resumed() {
    let (mut provider, mut consumer) = agreed(None);
    suspend(&mut provider, 3).unwrap();
    let contract = provider.contract().id;
    let wish = Wish::EndContract { contract, why: End::Revoked, reason: "over".to_owned() };
    provider.wish(wish, at(4)).unwrap();
    assert_eq!(suspend(&mut provider, 5), Err("contract.over"));
    assert_eq!(resume(&mut provider, 5), Err("contract.over"));
    settle(&mut provider, &mut consumer, at(5));
    for side in [&provider, &consumer] {
        assert!(matches!(side.contract().state, State::Ended { why: End::Revoked, .. }));
    }
}

/// The last use was stopped by a suspension: resumed, the contract is used up.
#[test]
fn a_used_up_contract_ends_when_it_is_resumed() {
    let (mut provider, consumer) = agreed(Some(1));
    lease(&mut provider, &consumer, 1, at(3)).unwrap();
    suspend(&mut provider, 4).unwrap();
    resume(&mut provider, 5).unwrap();
    assert!(matches!(provider.contract().state, State::Ended { why: End::UsedUp, .. }));
}

fn moved(side: &Side) -> &'static str {
    side.transfers.values().next().unwrap().state.name().token()
}

fn provide(side: &mut Side, seconds: i64) {
    let transfer = side.transfers.keys().next().unwrap().clone();
    let address = DataAddress {
        endpoint_type: "t".to_owned(),
        endpoint: Some("https://p.example".to_owned()),
        properties: vec![],
    };
    let wish =
        Wish::Provided { transfer, address: Some(address), bytes: 7, content: digest("content") };
    side.wish(wish, at(seconds)).unwrap();
}

/// Whenever in a delivery the suspension comes, it stops, and goes on afterwards.
#[test]
fn deliveries_stop_and_go_on() {
    for when in ["requested", "starting", "started", "resumed-early"] {
        let (mut provider, mut consumer) = agreed(None);
        let wish = TransferWish {
            id: None,
            contract: provider.contract().id,
            address: None,
            format: "HttpData-PULL".to_owned(),
            push_to: None,
        };
        consumer.wish(Wish::Fetch(Box::new(wish)), at(3)).unwrap();
        settle(&mut provider, &mut consumer, at(3));
        if when != "requested" {
            provide(&mut provider, 4);
        }
        if matches!(when, "started" | "resumed-early") {
            settle(&mut provider, &mut consumer, at(4));
            assert_eq!(moved(&consumer), "STARTED");
        }
        suspend(&mut provider, 5).unwrap();
        if when == "requested" {
            provide(&mut provider, 5);
        }
        if when != "resumed-early" {
            settle(&mut provider, &mut consumer, at(5));
            let expected = if when == "requested" { "REQUESTED" } else { "SUSPENDED" };
            assert_eq!((moved(&provider), moved(&consumer)), (expected, expected), "{when}");
            assert!(!provider.has_timer("provide "), "{when}: it rests");
            let transfer = consumer.transfers.keys().next().unwrap().clone();
            if when != "requested" {
                let refused = consumer.wish(Wish::ResumeTransfer { transfer }, at(6)).unwrap_err();
                assert_eq!(refused.code(), "contract.suspended", "{when}: not the consumer's");
            }
        }
        resume(&mut provider, 7).unwrap();
        settle(&mut provider, &mut consumer, at(7));
        assert!(provider.has_timer("provide "), "{when}");
        provide(&mut provider, 8);
        settle(&mut provider, &mut consumer, at(8));
        assert_eq!((moved(&provider), moved(&consumer)), ("STARTED", "STARTED"), "{when}");
    }
}

/// What a person stopped is not started by a resumption.
#[test]
fn a_delivery_that_a_person_stopped_stays_so() {
    let (mut provider, mut consumer) = agreed(None);
    let wish = TransferWish {
        id: None,
        contract: provider.contract().id,
        address: None,
        format: "HttpData-PULL".to_owned(),
        push_to: None,
    };
    consumer.wish(Wish::Fetch(Box::new(wish)), at(3)).unwrap();
    settle(&mut provider, &mut consumer, at(3));
    provide(&mut provider, 4);
    settle(&mut provider, &mut consumer, at(4));
    let transfer = provider.transfers.keys().next().unwrap().clone();
    let body = Body::Suspend { code: None, reason: vec!["a pause".to_owned()] };
    provider.wish(Wish::SayTransfer { transfer, body }, at(5)).unwrap();
    settle(&mut provider, &mut consumer, at(5));
    suspend(&mut provider, 6).unwrap();
    resume(&mut provider, 7).unwrap();
    settle(&mut provider, &mut consumer, at(7));
    assert!(!provider.has_timer("provide "));
    assert_eq!(moved(&provider), "SUSPENDED");
}

fn owing(mut it: Contract) -> Contract {
    it.policy.obligations = vec![Rule::new(Action::Delete, vec![])];
    it
}

/// A duty to delete that is not signed for in time is a fact; a late receipt is taken all the same.
#[test]
fn a_silent_consumer_misses_its_duty() {
    for owes in [true, false] {
        let (mut provider, mut consumer) = agreed(None);
        let id = provider.contract().id;
        if owes {
            let contract = owing(provider.contract());
            provider.contracts.insert(id.clone(), contract);
        }
        let recall =
            |contract| Wish::Recall { contract, reason: "the product was withdrawn".to_owned() };
        assert_eq!(consumer.wish(recall(id.clone()), at(3)).unwrap_err().code(), "contract.recall");
        provider.wish(recall(id.clone()), at(3)).unwrap();
        assert!(matches!(provider.contract().state, State::Ended { why: End::Revoked, .. }));
        assert_eq!(provider.has_timer("deletion-due"), owes);
        provider.outbox.clear();
        if owes {
            provider.fire("deletion-due", at(3).after(DELETION_PATIENCE)).unwrap();
            assert!(provider.contract().missed.is_some());
            assert_eq!(provider.count(|it| matches!(it, What::DutyMissed { .. })), 1);
        }
        // Recalled once more: the consumer is told again, and answers.
        provider.wish(recall(id.clone()), at(4000)).unwrap();
        assert!(post(&mut provider, &mut consumer, at(4000)));
        let erased = Wish::Erased { contract: id.clone(), files: vec![digest("copy")] };
        consumer.wish(erased, at(4001)).unwrap();
        // Its receipt is lost for good; the next recall brings it.
        consumer.outbox.clear();
        provider.wish(recall(id), at(4002)).unwrap();
        settle(&mut provider, &mut consumer, at(4002));
        assert!(provider.contract().deletion.is_some());
        assert_eq!(provider.contract().missed.is_some(), owes, "that it was late stays");
        assert!(!provider.has_timer("deletion-due"));
    }
}
