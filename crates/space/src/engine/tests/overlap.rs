//! Rules that overlap: what is to be signed is refused by both sides, what was signed before is denied use by use.

use std::time::Duration;

use super::side::{Side, agreed, ask, pair, request_with, settle, terms};
use crate::approval::{Rule as Answer, Rules, Then, When};
use crate::catalog::product::Approval;
use crate::engine::input::{ContractWish, Heard, SayWish, Wish};
use crate::fault::Fault;
use crate::lang::Lang;
use crate::lease::message::Request;
use crate::negotiation::message::Role;
use crate::negotiation::state::State;
use crate::policy::compile::compile;
use crate::policy::eval::{Request as Asked, evaluate};
use crate::policy::model::{Action, Atomic, Operand, Operator, Policy, Rule, Value};
use crate::policy::usage::Use;
use crate::wire::samples::{at, id};

/// Permits all uses, and prohibits reading for resale.
fn overlap(it: &mut Policy) {
    let resale = Atomic::new(Operand::Purpose, Operator::Eq, Value::text("resale"));
    it.prohibitions.push(Rule::new(Action::Read, vec![resale.into()]));
    assert_eq!(compile(it).unwrap_err()[0].term, "read");
}

/// As if the terms on the table were there since before such were refused.
fn put(side: &mut Side) {
    for it in side.negotiations.values_mut() {
        match &mut it.state {
            State::Requested { offer } | State::Offered { offer } | State::Accepted { offer } => {
                overlap(offer);
            }
            State::Agreed { agreement }
            | State::Verified { agreement, .. }
            | State::Finalized { agreement, .. } => overlap(&mut agreement.policy),
            State::Initial | State::Terminated { .. } => panic!("no terms"),
        }
    }
}

/// Nobody puts a name to them: neither to an agreement, nor to its acceptance, nor to its verification.
#[test]
fn overlapping_rules_are_signed_by_neither_side() {
    let hold = Answer {
        when: When::from_word("agreed").unwrap(),
        round: None,
        then: Then::Hold,
        after: Duration::ZERO,
    };
    let hold = Rules::new(Role::Consumer, vec![hold]).unwrap();
    for (approval, rules, ours, before, after) in [
        (Approval::Manual, Rules::default(), Role::Provider, "REQUESTED", Ok("TERMINATED")),
        (
            Approval::Counter,
            Rules::default(),
            Role::Consumer,
            "OFFERED",
            Err("policy.unknown-terms"),
        ),
        (Approval::Auto, hold, Role::Consumer, "AGREED", Ok("TERMINATED")),
    ] {
        let (mut provider, mut consumer) = pair(approval, Some(2));
        request_with(&provider, &mut consumer, terms(Some(2)), rules);
        settle(&mut provider, &mut consumer, at(2));
        assert_eq!((provider.state(), consumer.state()), (before, before));
        let side = if ours == Role::Provider { &mut provider } else { &mut consumer };
        put(side);
        let negotiation = side.only_negotiation().id.clone();
        let said = side.wish(Wish::Say { negotiation, body: SayWish::Approve }, at(3));
        settle(&mut provider, &mut consumer, at(4));
        let ended = said.map(|_| provider.state()).map_err(|why| why.code());
        assert_eq!(ended, after, "{before}");
        assert!(provider.contracts.is_empty() && consumer.contracts.is_empty(), "{before}");
    }
    // Nor asked for.
    let (provider, mut consumer) = pair(Approval::Auto, None);
    let mut offer = terms(None);
    overlap(&mut offer);
    let (peer, address) = (provider.me, provider.address);
    let product = id("urn:product:1");
    let wish = ContractWish { peer, address, product, offer, rules: Rules::default() };
    let refused = consumer.wish(Wish::Request(Box::new(wish)), at(1)).unwrap_err();
    assert_eq!(refused.code(), "policy.unknown-terms");
}

/// The gate denies what such a contract makes void, with the reason, and grants the rest.
#[test]
fn a_contract_from_before_is_void_only_where_both_hold() {
    let (mut provider, mut consumer) = agreed(Some(5));
    for side in [&mut provider, &mut consumer] {
        side.contracts.values_mut().for_each(|it| overlap(&mut it.policy));
    }
    let contract = provider.contract();
    let mut gate = |purpose: Option<&str>, nonce: u8| {
        let purpose = purpose.map(str::to_owned);
        let wanted = Request { purpose, ..ask(&contract.id, nonce) };
        let id = format!("urn:ask:{nonce}");
        provider.hear(&consumer, &id, Heard::Ask(Box::new(wanted)), at(3))
    };
    assert!(gate(Some("quality"), 1).is_ok());
    let Err(Fault::Denied { code, reason, zh: Some(zh), .. }) = gate(Some("resale"), 2) else {
        panic!("denied")
    };
    assert_eq!(code, "policy.denied");
    assert!(reason.contains("would make the whole policy void"), "{reason}");
    assert!(zh.contains("策略整体无效"), "{zh}");
    // Nobody knows.
    assert_eq!(gate(None, 3).unwrap_err().code(), "policy.unknown");
    assert!(gate(Some("quality"), 4).is_ok());
    let terms = contract.terms().unwrap();
    let wanted = Asked {
        purpose: Some("resale"),
        action: Action::Print,
        ..Asked::new(at(3), Use::Query, "did:web:consumer.example")
    };
    let why = evaluate(&terms, &wanted).why.render(Lang::En);
    assert!(why.contains("✗ permission[0] and prohibition[0] do not conflict"), "{why}");
}
