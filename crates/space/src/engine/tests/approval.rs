//! Who says yes to a request, and what a person may add.

use super::side::{pair, post, request, settle, terms};
use crate::catalog::product::Approval;
use crate::engine::input::{SayWish, Wish};
use crate::wire::samples::{at, id};

/// Requested as listed or not → states of (provider, consumer) once nothing waits, and whether a person is asked.
#[test]
fn approval_rules_are_the_offers() {
    for (approval, listed, states, person) in [
        (Approval::Auto, true, ("FINALIZED", "FINALIZED"), None),
        (Approval::Manual, true, ("REQUESTED", "REQUESTED"), Some("provider")),
        (Approval::Counter, true, ("OFFERED", "OFFERED"), Some("consumer")),
        (Approval::Auto, false, ("REQUESTED", "REQUESTED"), Some("provider")),
        (Approval::Counter, false, ("REQUESTED", "REQUESTED"), Some("provider")),
    ] {
        let (mut provider, mut consumer) = pair(approval, Some(2));
        request(&provider, &mut consumer, terms(Some(if listed { 2 } else { 9 })));
        settle(&mut provider, &mut consumer, at(2));
        assert_eq!((provider.state(), consumer.state()), states, "{approval:?} {listed}");
        let asked = [("provider", &provider), ("consumer", &consumer)]
            .into_iter()
            .find(|(_, it)| it.only_negotiation().awaits_approval);
        assert_eq!(asked.map(|(who, _)| who), person, "{approval:?} {listed}");
        let Some(who) = person else { continue };
        let side = if who == "provider" { &mut provider } else { &mut consumer };
        let negotiation = side.only_negotiation().id.clone();
        side.wish(Wish::Say { negotiation, body: SayWish::Approve }, at(3)).unwrap();
        settle(&mut provider, &mut consumer, at(4));
        assert_eq!(
            (provider.state(), consumer.state()),
            ("FINALIZED", "FINALIZED"),
            "{approval:?} {listed} approved"
        );
        assert_eq!(provider.contract().digest, consumer.contract().digest);
        assert!(provider.contract().policy.same_terms(&consumer.contract().policy));
    }
}

#[test]
fn an_unknown_offer_is_refused_with_its_reason() {
    let (mut provider, mut consumer) = pair(Approval::Auto, None);
    let mut other = terms(None);
    other.id = id("urn:offer:unheard-of");
    request(&provider, &mut consumer, other);
    settle(&mut provider, &mut consumer, at(2));
    assert_eq!((provider.state(), consumer.state()), ("TERMINATED", "TERMINATED"));
    assert!(consumer.contracts.is_empty() && provider.contracts.is_empty());
}

/// A message id that was acknowledged is acknowledged again and changes nothing; with another body it is a forgery.
#[test]
fn a_repeated_message_changes_nothing() {
    let (mut provider, mut consumer) = pair(Approval::Manual, None);
    request(&provider, &mut consumer, terms(None));
    let send = consumer.waiting();
    for _ in 0..2 {
        super::side::deliver(&consumer, &mut provider, &send, at(2)).unwrap();
        assert_eq!(
            (provider.negotiations.len(), provider.facts.len()),
            (1, 2),
            "published, requested"
        );
    }
    let mut forged = send;
    forged.body = forged
        .body
        .replace("callbackAddress", "callbackAddress ")
        .replace("callbackAddress \"", "callbackAddress\"");
    forged.body.push(' ');
    let refused = super::side::deliver(&consumer, &mut provider, &forged, at(2)).unwrap_err();
    assert_eq!(refused.code(), "message.id");
    assert!(post(&mut consumer, &mut provider, at(3)), "the original is still acknowledged");
    assert_eq!(consumer.state(), "REQUESTED");
}
