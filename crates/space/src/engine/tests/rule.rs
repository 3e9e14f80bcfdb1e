//! Approval rules: what a node says by itself, when, and what no rule may bring it to say.

use std::time::Duration;

use serde_json::{Value, json};

use super::side::{Side, pair_with, post, request_with, settle, terms};
use crate::approval::{Rule, Rules, Then, When};
use crate::catalog::product::Approval;
use crate::engine::input::{Adoption, Outcome, SayWish, TransferWish, Wish};
use crate::limits::{APPROVAL_IDLE, NEGOTIATION_IDLE};
use crate::negotiation::message::Role;
use crate::policy::model::Policy;
use crate::wire::odrl::OdrlPolicy;
use crate::wire::samples::{at, id};

const DELAY: Duration = Duration::from_secs(5);

/// `when then`, with the round before and `…` for a delay.
fn rules(role: Role, lines: &[&str]) -> Rules {
    let rule = |line: &&str| {
        let mut words: Vec<&str> = line.split(' ').collect();
        let round = words.first().and_then(|it| it.parse().ok());
        let after = if words.contains(&"…") { DELAY } else { Duration::ZERO };
        words.retain(|it| it.parse::<u32>().is_err() && *it != "…");
        let (when, then) = (When::from_word(words[0]).unwrap(), Then::from_word(words[1]).unwrap());
        Rule { when, round, then, after }
    };
    Rules::new(role, lines.iter().map(rule).collect()).unwrap()
}

fn sides(provider: &[&str], consumer: &[&str], asked: Option<u64>) -> (Side, Side) {
    let (mut theirs, mut ours) =
        pair_with(Approval::Auto, Some(2), rules(Role::Provider, provider));
    request_with(&theirs, &mut ours, terms(asked), rules(Role::Consumer, consumer));
    settle(&mut theirs, &mut ours, at(2));
    (theirs, ours)
}

/// Rules of both sides → states of (provider, consumer) once nothing waits.
#[test]
fn rules_answer_by_themselves() {
    for (provider, consumer, states) in [
        (&["requested agree"][..], &[][..], ("FINALIZED", "FINALIZED")),
        (&["requested hold"], &[], ("REQUESTED", "REQUESTED")),
        (&["requested terminate"], &[], ("TERMINATED", "TERMINATED")),
        (&["requested offer"], &[], ("OFFERED", "OFFERED")),
        (&["requested offer"], &["offered accept"], ("FINALIZED", "FINALIZED")),
        (&["requested offer"], &["offered terminate"], ("TERMINATED", "TERMINATED")),
        (&["requested offer", "accepted hold"], &["offered accept"], ("ACCEPTED", "ACCEPTED")),
        (
            &["requested offer", "accepted terminate"],
            &["offered accept"],
            ("TERMINATED", "TERMINATED"),
        ),
        // Twice the same state, and each time another answer.
        (
            &["1 requested offer", "2 requested agree"],
            &["offered counter"],
            ("FINALIZED", "FINALIZED"),
        ),
        (&[], &["agreed hold"], ("AGREED", "AGREED")),
        (&[], &["agreed terminate"], ("TERMINATED", "TERMINATED")),
        (&["verified hold"], &[], ("VERIFIED", "VERIFIED")),
        (&["verified terminate"], &[], ("TERMINATED", "TERMINATED")),
        // Reached by our own message's acknowledgement, not by one of the peer's.
        (&["requested hold"], &["requested terminate"], ("TERMINATED", "TERMINATED")),
        (&["requested offer", "offered terminate"], &[], ("TERMINATED", "TERMINATED")),
    ] {
        let (theirs, ours) = sides(provider, consumer, Some(2));
        assert_eq!((theirs.state(), ours.state()), states, "{provider:?} {consumer:?}");
    }
}

/// Two nodes whose rules haggle for ever come to the end that the rounds' limit sets.
#[test]
fn automatic_haggling_ends() {
    let (mut theirs, mut ours) =
        pair_with(Approval::Auto, Some(2), rules(Role::Provider, &["requested offer"]));
    let counters = rules(Role::Consumer, &["offered counter"]);
    request_with(&theirs, &mut ours, terms(Some(2)), counters);
    for _ in 0..200 {
        let _more = post(&mut theirs, &mut ours, at(2)) || post(&mut ours, &mut theirs, at(2));
    }
    assert!(theirs.outbox.is_empty() && ours.outbox.is_empty());
    assert!(ours.only_negotiation().rounds <= 50);
}

/// A rule neither agrees to nor accepts what its own side did not name: a person decides, as without rules.
#[test]
fn no_rule_says_yes_to_other_terms() {
    let (theirs, _) = sides(&["requested agree"], &[], Some(9));
    assert_eq!(theirs.state(), "REQUESTED");
    assert!(theirs.only_negotiation().awaits_approval);
    let (_, ours) = sides(&["requested offer"], &["offered accept"], Some(9));
    assert_eq!(ours.state(), "OFFERED");
    assert!(ours.only_negotiation().awaits_approval);
}

/// What an operator's rule held back, the operator may do by hand: the signatures were checked when they came.
#[test]
fn what_a_rule_holds_goes_on_by_hand() {
    let (mut theirs, mut ours) = sides(&["verified hold"], &["agreed hold"], Some(2));
    assert_eq!(ours.state(), "AGREED");
    for side in [0, 1] {
        let side = if side == 0 { &mut ours } else { &mut theirs };
        let negotiation = side.only_negotiation().id.clone();
        side.wish(Wish::Say { negotiation, body: SayWish::Approve }, at(3)).unwrap();
        settle(&mut theirs, &mut ours, at(3));
    }
    assert_eq!((theirs.state(), ours.state()), ("FINALIZED", "FINALIZED"));
    assert!(ours.contract().consumer_signature.is_some());
}

/// A delay is kept, survives an early timer, and what comes due too late does nothing.
#[test]
fn delays_are_timers() {
    let (mut theirs, mut ours) = sides(&["requested … agree"], &[], Some(2));
    assert_eq!(theirs.state(), "REQUESTED");
    theirs.fire("negotiation-rule", at(3)).unwrap();
    assert!(theirs.outbox.is_empty() && theirs.has_timer("negotiation-rule"), "not yet");
    theirs.fire("negotiation-rule", at(2).after(DELAY)).unwrap();
    settle(&mut theirs, &mut ours, at(8));
    assert_eq!((theirs.state(), ours.state()), ("FINALIZED", "FINALIZED"));
    assert!(!theirs.has_timer("negotiation-rule"));

    let (mut theirs, mut ours) = sides(&["requested … agree"], &[], Some(2));
    let stale = theirs.timers.values().find(|it| it.key.starts_with("negotiation-rule")).cloned();
    let negotiation = ours.only_negotiation().id.clone();
    let body = SayWish::Terminate { reason: "no interest".to_owned() };
    ours.wish(Wish::Say { negotiation, body }, at(3)).unwrap();
    settle(&mut theirs, &mut ours, at(3));
    assert!(!theirs.has_timer("negotiation-rule"));
    theirs.timers.extend(stale.map(|it| (it.key.clone(), it)));
    theirs.fire("negotiation-rule", at(60)).unwrap();
    assert_eq!(theirs.state(), "TERMINATED");
    assert!(theirs.outbox.is_empty());
}

/// The deadline of a state waits for its rule, and for people where a rule holds.
#[test]
fn deadlines_know_the_rules() {
    for (provider, span) in
        [("requested hold", APPROVAL_IDLE), ("requested … agree", DELAY + NEGOTIATION_IDLE)]
    {
        let (theirs, _) = sides(&[provider], &[], Some(2));
        let idle = theirs.timers.values().find(|it| it.key.starts_with("negotiation-idle"));
        assert_eq!(idle.unwrap().at, at(2).after(span), "{provider}");
    }
}

/// A peer that never told its pid cannot be told anything: its answer counts all the same, and the deadline ends it.
#[test]
fn a_rule_that_cannot_be_carried_out_holds() {
    for line in ["requested terminate", "requested … terminate"] {
        let (theirs, mut ours) = pair_with(Approval::Auto, Some(2), Rules::default());
        request_with(&theirs, &mut ours, terms(Some(2)), rules(Role::Consumer, &[line]));
        ours.delivered(Outcome::Accepted { pid: None }, at(2)).unwrap();
        assert_eq!((ours.state(), ours.outbox.len()), ("REQUESTED", 0), "{line}");
        if ours.has_timer("negotiation-rule") {
            ours.fire("negotiation-rule", at(20)).unwrap();
        }
        assert!(!ours.has_timer("negotiation-rule") && ours.has_timer("negotiation-idle"));
    }
}

/// An offer that names its recipients answers nobody else by its rules.
#[test]
fn rules_of_an_offer_are_for_those_it_is_made_to() {
    let (mut theirs, mut ours) =
        pair_with(Approval::Auto, Some(2), rules(Role::Provider, &["requested agree"]));
    let mut other = terms(Some(2));
    other.id = id("urn:offer:unheard-of");
    request_with(&theirs, &mut ours, other, Rules::default());
    settle(&mut theirs, &mut ours, at(2));
    assert_eq!((theirs.state(), ours.state()), ("TERMINATED", "TERMINATED"));
}

/// A foreign connector's offer comes back to it as it was, in the request and in the agreement's rules.
#[test]
fn a_foreign_offer_travels_verbatim() {
    let written = json!({"@id": "urn:offer:1", "@type": "odrl:Offer", "odrl:assigner": {"@id": "did:web:provider.example"},
        "edc:created": 7, "permission": [{"@type": "Permission", "action": {"@id": "odrl:use"}, "constraint": [
            {"leftOperand": {"@id": "odrl:count"}, "operator": {"@id": "odrl:lteq"}, "rightOperand": "2"}]}]});
    let offer = OdrlPolicy::parse(written.clone()).unwrap().model;
    assert!(offer.same_terms(&Policy { verbatim: None, ..offer.clone() }));
    let (mut theirs, mut ours) =
        pair_with(Approval::Auto, Some(2), rules(Role::Provider, &["requested agree"]));
    request_with(&theirs, &mut ours, offer, Rules::default());
    let said: Value = serde_json::from_str(&ours.waiting().body).unwrap();
    for (key, value) in written.as_object().unwrap() {
        assert_eq!(said["offer"].get(key), Some(value), "{key}");
    }
    assert_eq!(said["offer"]["target"], "urn:product:1");
    assert!(post(&mut ours, &mut theirs, at(2)));
    let agreed: Value = serde_json::from_str(&theirs.waiting().body).unwrap();
    for key in ["odrl:assigner", "edc:created", "permission"] {
        assert_eq!(agreed["agreement"].get(key), written.get(key), "{key}");
    }
    settle(&mut theirs, &mut ours, at(2));
    assert_eq!((theirs.state(), ours.state()), ("FINALIZED", "FINALIZED"));
    assert_eq!(theirs.contract().digest, ours.contract().digest);
}

/// Contracts that were concluded elsewhere, on both sides, with rules of each.
fn adopted(provider: &[&str], consumer: &[&str]) -> (Side, Side) {
    let (mut theirs, mut ours) = (Side::new("provider", 1), Side::new("consumer", 2));
    let adoption = |role, peer: &Side, lines: &[&str]| Adoption {
        id: id("urn:agreement:paper"),
        role,
        peer: peer.me.clone(),
        address: peer.address.clone(),
        product: id("urn:product:1"),
        policy: Policy { target: Some(id("urn:product:1")), ..terms(None) },
        signed_at: at(0),
        rules: rules(role, lines),
    };
    let theirs_now = adoption(Role::Provider, &ours, provider);
    let ours_now = adoption(Role::Consumer, &theirs, consumer);
    theirs.wish(Wish::Adopt(Box::new(theirs_now.clone())), at(0)).unwrap();
    ours.wish(Wish::Adopt(Box::new(ours_now)), at(0)).unwrap();
    let twice = theirs.wish(Wish::Adopt(Box::new(theirs_now)), at(0)).unwrap_err();
    assert_eq!(twice.code(), "contract.exists");
    assert_eq!(theirs.contract().digest, ours.contract().digest);
    let wish = TransferWish {
        contract: id("urn:agreement:paper"),
        address: None,
        format: "HttpData-PULL".to_owned(),
        push_to: None,
        id: None,
    };
    ours.wish(Wish::Fetch(Box::new(wish)), at(1)).unwrap();
    (theirs, ours)
}

fn state_of(side: &Side) -> &'static str {
    side.transfers.values().next().unwrap().state.name().token()
}

/// Fires what is due and lays data ready until nothing happens any more.
fn run(theirs: &mut Side, ours: &mut Side) {
    for step in 2..40 {
        let now = at(step * 10);
        settle(theirs, ours, now);
        for side in [&mut *theirs, &mut *ours] {
            if side.has_timer("transfer-rule") {
                side.fire("transfer-rule", now).unwrap();
            }
        }
        if theirs.has_timer("provide ") {
            let transfer = theirs.transfers.keys().next().unwrap().clone();
            let address = crate::wire::samples::address();
            let content = tidm_crypto::hash::sha256(b"content");
            let wish = Wish::Provided { transfer, address: Some(address), bytes: 7, content };
            theirs.wish(wish, now).unwrap();
        }
    }
}

#[test]
fn transfers_follow_the_contracts_rules() {
    for (provider, consumer, state, starts) in [
        (&[][..], &["transfer-started hold"][..], "STARTED", 1),
        (&["transfer-requested terminate"], &[], "TERMINATED", 0),
        (&["transfer-requested hold"], &["transfer-requested … terminate"], "TERMINATED", 0),
        (&["transfer-started … complete"], &["transfer-started hold"], "COMPLETED", 1),
        (&[], &["transfer-started … complete"], "COMPLETED", 1),
        (
            &[
                "1 transfer-started … suspend",
                "transfer-suspended … start",
                "2 transfer-started … complete",
            ],
            &["transfer-started hold"],
            "COMPLETED",
            2,
        ),
        (
            &[],
            &[
                "1 transfer-started … suspend",
                "transfer-suspended … start",
                "transfer-started complete",
            ],
            "COMPLETED",
            2,
        ),
        (
            &["transfer-started suspend", "transfer-suspended terminate"],
            &["transfer-started hold"],
            "TERMINATED",
            1,
        ),
    ] {
        let (mut theirs, mut ours) = adopted(provider, consumer);
        run(&mut theirs, &mut ours);
        assert_eq!(
            (state_of(&theirs), state_of(&ours)),
            (state, state),
            "{provider:?} {consumer:?}"
        );
        let counted = theirs.transfers.values().next().unwrap().starts;
        assert_eq!(counted, starts, "{provider:?} {consumer:?}");
    }
}

/// A started transfer does not stand for ever either.
#[test]
fn a_running_transfer_has_a_deadline() {
    let (mut theirs, mut ours) = adopted(&[], &["transfer-started hold"]);
    run(&mut theirs, &mut ours);
    assert_eq!(state_of(&theirs), "STARTED");
    let due = theirs.timers.values().find(|it| it.key.starts_with("transfer-idle")).unwrap().at;
    theirs.fire("transfer-idle", due).unwrap();
    settle(&mut theirs, &mut ours, due);
    assert_eq!((state_of(&theirs), state_of(&ours)), ("TERMINATED", "TERMINATED"));
}
