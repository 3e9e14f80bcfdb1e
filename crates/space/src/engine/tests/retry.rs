//! What came of a delivery, and what happens when nothing comes of it.

use std::time::Duration;

use super::side::{agreed, deliver, pair, post, request, settle, terms};
use crate::catalog::product::Approval;
use crate::contract::End;
use crate::engine::commit::Due;
use crate::engine::input::{Input, Outcome, SayWish, Wish};
use crate::evidence::fact::What;
use crate::limits::{
    APPROVAL_IDLE, NEGOTIATION_IDLE, RETRY_FIRST, RETRY_GIVE_UP, RETRY_LONGEST, RETRY_NOT_FOUND,
};
use crate::wire::samples::at;

fn unreachable() -> Outcome {
    Outcome::Unreachable { reason: "no answer".to_owned() }
}

#[test]
fn not_found_is_repeated_for_a_while_and_then_final() {
    let (provider, mut consumer) = pair(Approval::Auto, None);
    request(&provider, &mut consumer, terms(None));
    let not_found =
        || Outcome::Refused { not_found: true, code: None, reason: vec!["404".to_owned()] };
    consumer.delivered(not_found(), at(1)).unwrap();
    assert_eq!((consumer.state(), consumer.waiting().attempts), ("INITIAL", 1));
    consumer.delivered(not_found(), at(1).after(RETRY_NOT_FOUND)).unwrap();
    assert_eq!(consumer.state(), "TERMINATED");
    assert!(consumer.outbox.is_empty() && !consumer.has_timer("negotiation-idle"));
}

#[test]
fn pauses_double_up_to_a_limit_and_notices_are_given_up() {
    let (mut provider, _consumer) = agreed(None);
    let contract = provider.contract().id;
    provider
        .wish(Wish::EndContract { contract, why: End::Revoked, reason: "fraud".to_owned() }, at(10))
        .unwrap();
    let mut pauses = vec![];
    let mut now = at(10);
    while !provider.outbox.is_empty() {
        provider.delivered(unreachable(), now).unwrap();
        if let Some(send) = provider.outbox.values().next() {
            pauses.push(send.next.since(now));
            now = send.next;
        }
    }
    assert_eq!(pauses[..3], [RETRY_FIRST, RETRY_FIRST * 2, RETRY_FIRST * 4]);
    assert!(pauses.iter().all(|it| *it <= RETRY_LONGEST));
    assert!(
        now.since(at(10)) >= RETRY_GIVE_UP && now.since(at(10)) < RETRY_GIVE_UP + RETRY_LONGEST * 2
    );
    assert_eq!(provider.count(|it| matches!(it, What::GaveUp { .. })), 1);
}

/// The consumer may hold a contract since it heard this: giving up would leave it with one that its provider has not.
#[test]
fn a_finalization_is_never_given_up_nor_overridden() {
    let (mut provider, mut consumer) = pair(Approval::Auto, None);
    request(&provider, &mut consumer, terms(None));
    for _ in 0..3 {
        let _more =
            post(&mut consumer, &mut provider, at(2)) || post(&mut provider, &mut consumer, at(2));
    }
    let finalize = provider.waiting();
    deliver(&provider, &mut consumer, &finalize, at(2)).unwrap();
    assert_eq!(
        (provider.state(), consumer.state()),
        ("VERIFIED", "FINALIZED"),
        "the answer was lost"
    );
    let negotiation = provider.only_negotiation().id.clone();
    let body = SayWish::Terminate { reason: "changed my mind".to_owned() };
    assert_eq!(
        provider.wish(Wish::Say { negotiation, body }, at(3)).unwrap_err().code(),
        "negotiation.in-flight"
    );
    provider.fire("negotiation-idle", at(3).after(NEGOTIATION_IDLE)).unwrap();
    provider.delivered(unreachable(), at(3).after(RETRY_GIVE_UP * 2)).unwrap();
    assert_eq!(provider.state(), "VERIFIED");
    settle(&mut provider, &mut consumer, at(3).after(RETRY_GIVE_UP * 3));
    assert_eq!((provider.state(), provider.contracts.len()), ("FINALIZED", 1));
}

/// Of two endings that cross, one stands on both sides, whichever arrives first.
#[test]
fn a_termination_that_crosses_a_finalization_wins() {
    for first in ["finalize", "terminate"] {
        let (mut provider, mut consumer) = pair(Approval::Auto, None);
        request(&provider, &mut consumer, terms(None));
        for _ in 0..3 {
            let _more = post(&mut consumer, &mut provider, at(2))
                || post(&mut provider, &mut consumer, at(2));
        }
        let negotiation = consumer.only_negotiation().id.clone();
        consumer
            .wish(
                Wish::Say { negotiation, body: SayWish::Terminate { reason: "no".to_owned() } },
                at(2),
            )
            .unwrap();
        if first == "finalize" {
            assert_eq!(
                deliver(&provider, &mut consumer, &provider.waiting(), at(2)).unwrap_err().code(),
                "negotiation.crossed"
            );
        } else {
            deliver(&consumer, &mut provider, &consumer.waiting(), at(2)).unwrap();
        }
        settle(&mut provider, &mut consumer, at(3));
        assert_eq!((provider.state(), consumer.state()), ("TERMINATED", "TERMINATED"), "{first}");
        assert!(provider.contracts.is_empty() && consumer.contracts.is_empty(), "{first}");
    }
}

#[test]
fn an_outcome_that_comes_too_late_brings_nothing_back() {
    let (provider, mut consumer) = pair(Approval::Auto, None);
    request(&provider, &mut consumer, terms(None));
    let send = Box::new(consumer.waiting());
    consumer.fire("negotiation-idle", at(1).after(NEGOTIATION_IDLE)).unwrap();
    assert_eq!((consumer.state(), consumer.outbox.len()), ("TERMINATED", 0));
    consumer
        .run(Input::Delivered { send, outcome: unreachable() }, at(2).after(NEGOTIATION_IDLE))
        .unwrap();
    assert!(consumer.outbox.is_empty(), "a withdrawn message is not repeated");
}

/// The first try may have arrived: a refusal of its repetition ends nothing, and what the peer says next tells.
#[test]
fn a_refused_repetition_of_an_opening_ends_nothing() {
    let refusal =
        || Outcome::Refused { not_found: false, code: None, reason: vec!["twice".to_owned()] };
    let (mut provider, mut consumer) = pair(Approval::Auto, None);
    request(&provider, &mut consumer, terms(None));
    let opening = consumer.waiting();
    deliver(&consumer, &mut provider, &opening, at(1)).unwrap();
    consumer.delivered(unreachable(), at(1)).unwrap();
    consumer.delivered(refusal(), at(2)).unwrap();
    assert_eq!((consumer.state(), consumer.outbox.len()), ("INITIAL", 0));
    settle(&mut provider, &mut consumer, at(3));
    assert_eq!((provider.state(), consumer.state()), ("FINALIZED", "FINALIZED"));

    let (_, mut consumer) = pair(Approval::Auto, None);
    request(&provider, &mut consumer, terms(None));
    consumer.delivered(refusal(), at(2)).unwrap();
    assert_eq!(consumer.state(), "TERMINATED", "refused at once: it was never there");
}

/// An operator ends what the peer never answered: nobody has to be told.
#[test]
fn an_unanswered_opening_can_be_ended() {
    let (provider, mut consumer) = pair(Approval::Auto, None);
    request(&provider, &mut consumer, terms(None));
    let negotiation = consumer.only_negotiation().id.clone();
    let body = SayWish::Terminate { reason: "enough".to_owned() };
    consumer.wish(Wish::Say { negotiation, body }, at(2)).unwrap();
    assert_eq!((consumer.state(), consumer.outbox.len()), ("TERMINATED", 0));
    assert!(!consumer.has_timer("negotiation-idle"));
}

/// Machines get minutes, people of either side get days; and a deadline tells the peer.
#[test]
fn deadlines_end_what_hangs() {
    let (mut provider, mut consumer) = pair(Approval::Manual, None);
    request(&provider, &mut consumer, terms(None));
    settle(&mut provider, &mut consumer, at(2));
    for side in [&provider, &consumer] {
        let timer =
            side.timers.values().find(|it| matches!(it.what, Due::NegotiationIdle(_))).unwrap();
        assert_eq!(timer.at, at(2).after(APPROVAL_IDLE), "{}", side.me);
    }
    consumer.fire("negotiation-idle", at(2).after(APPROVAL_IDLE)).unwrap();
    settle(&mut provider, &mut consumer, at(3).after(APPROVAL_IDLE));
    assert_eq!((provider.state(), consumer.state()), ("TERMINATED", "TERMINATED"));
    assert!(!provider.has_timer("negotiation-idle") && !consumer.has_timer("negotiation-idle"));
}

/// A timer that was taken from the store before the negotiation moved does not end it.
#[test]
fn a_stale_timer_ends_nothing() {
    let (mut provider, mut consumer) = pair(Approval::Manual, None);
    request(&provider, &mut consumer, terms(None));
    let stale = consumer.timers.values().next().unwrap().clone();
    let late = at(1).after(NEGOTIATION_IDLE).after(Duration::from_secs(1));
    settle(&mut provider, &mut consumer, late);
    consumer.run(Input::Due(stale), late).unwrap();
    assert_eq!(consumer.state(), "REQUESTED");
    assert!(consumer.has_timer("negotiation-idle"), "the real deadline still stands");
}
