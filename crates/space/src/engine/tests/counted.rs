//! What terms count, from the request for a lease to what its end gives back.

use std::time::Duration;

use proptest::prelude::*;

use super::side::Side;
use super::side::received;
use crate::catalog::product::{Draft, Kind, Product};
use crate::contract::Contract;
use crate::engine::commit::Reply;
use crate::engine::gate::RETURN_TYPE;
use crate::engine::input::{Heard, Wish};
use crate::evidence::fact::What;
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::member::{CreditCode, Group};
use crate::lease::charge::Refunds;
use crate::lease::message::{Grant, Outcome, Renewal, Request, return_bytes};
use crate::lease::state::State;
use crate::negotiation::message::Signature;
use crate::policy::compile::compile;
use crate::policy::counted::Wants;
use crate::policy::model::{Action, Constraint, Operand, Operator, Policy, Rule};
use crate::policy::privacy::Epsilon;
use crate::policy::usage::Use;
use crate::time::Time;
use crate::wire::samples::{agreement, at, constraint, contract, digest, id, request};
use crate::wire::tidm::notice::{lease_returned, read_lease_returned};

pub(super) const ROWS: u64 = 40;
pub(super) const BYTES: u64 = 1000;

pub(super) fn terms(constraints: Vec<Constraint>) -> Policy {
    let mut it = agreement(false).policy;
    it.permissions = vec![Rule::new(Action::Use, constraints)];
    it
}

/// A provider with one product of two versions and no contract.
pub(super) fn provider() -> Side {
    let mut it = Side::new("provider", 1);
    for name in ["urn:product:1", "urn:product:2"] {
        let mut draft = Draft::new(id(name), id("urn:line:1"), "Currents", Kind::Table, at(0));
        (draft.rows, draft.bytes) = (Some(ROWS), Some(BYTES));
        it.products.insert(id(name), Product::new(draft).unwrap());
    }
    it
}

pub(super) fn sign(provider: &mut Side, of: &Contract) {
    compile(&of.policy).expect("a node signs it");
    provider.contracts.insert(of.id.clone(), of.clone());
}

fn one(constraints: Vec<Constraint>) -> (Side, Contract) {
    let mut provider = provider();
    let it = Contract { signed_at: at(0), ..contract(terms(constraints)) };
    sign(&mut provider, &it);
    (provider, it)
}

pub(super) fn ask(
    side: &mut Side,
    of: &Contract,
    request: Request,
    now: Time,
) -> Result<Grant, Fault> {
    let mut from = Side::new("consumer", 2);
    from.me = of.peer.clone();
    let request = Request { contract: of.id.clone(), ..request };
    let reply = side.run(received(&from, None, b"ask", Heard::Ask(Box::new(request))), now)?;
    let Reply::Lease(grant) = reply else { panic!("{reply:?}") };
    Ok(grant)
}

pub(super) fn renew(
    side: &mut Side,
    of: &Contract,
    lease: &Id,
    seconds: u64,
    now: Time,
) -> Result<Grant, Fault> {
    let mut from = Side::new("consumer", 2);
    from.me = of.peer.clone();
    let number = side.leases[lease].renewals + 1;
    let it = Renewal { lease: lease.clone(), number, span: Duration::from_secs(seconds) };
    let reply = side.run(received(&from, None, b"renew", Heard::Renew(it)), now)?;
    let Reply::Lease(grant) = reply else { panic!("{reply:?}") };
    Ok(grant)
}

pub(super) fn close(side: &mut Side, lease: &Id, rows: u64, bytes: u64, now: Time) {
    let outcome = Outcome { done: true, rows, bytes, result: Some(digest("result")) };
    side.wish(Wish::Close { lease: lease.clone(), outcome }, now).unwrap();
}

fn consumer(of: &Contract) -> Side {
    let mut it = Side::new("consumer", 2);
    it.me = of.peer.clone();
    it
}

/// What the consumer's node says when it is done, as it says it over the wire.
pub(super) fn give_back(
    side: &mut Side,
    of: &Contract,
    lease: &Id,
    signed: bool,
    now: Time,
) -> Result<Reply, Fault> {
    let from = consumer(of);
    let outcome = Outcome { done: true, rows: 1, bytes: 1, result: None };
    let bytes = return_bytes(lease, &from.me, &outcome);
    let jws = || Signature(tidm_crypto::jws::sign("key-1", RETURN_TYPE, &bytes, &from.key));
    let posting = lease_returned(&id("urn:m"), lease, &outcome, signed.then(jws).as_ref());
    let (_, what) = read_lease_returned(posting.body.as_bytes())?;
    side.run(received(&from, None, b"back", what), now)
}

pub(super) fn of(kind: Use, nonce: u8) -> Request {
    Request { kind, ..request(nonce) }
}

#[test]
fn uses_in_a_period_are_counted_where_they_began() {
    let frequency = constraint(Operand::Frequency, Operator::Lteq, "2/PT1H");
    let (mut side, it) = one(vec![frequency]);
    for (nonce, (second, granted)) in (1..).zip([
        (0, true),
        (600, true),
        (601, false),
        (3599, false),
        // The first one is over an hour ago.
        (3600, true),
        (4199, false),
        (4200, true),
    ]) {
        let got = ask(&mut side, &it, of(Use::SealedTable, nonce), at(second));
        assert_eq!(got.is_ok(), granted, "{second}: {got:?}");
    }
    assert_eq!(side.spent(&it.id).uses, 4);
    let (mut side, it) = one(vec![constraint(Operand::TimeInterval, Operator::Eq, "P1D")]);
    for (nonce, (second, granted)) in (1..).zip([(0, true), (86_399, false), (86_400, true)]) {
        let got = ask(&mut side, &it, of(Use::Query, nonce), at(second));
        assert_eq!(got.is_ok(), granted, "{second}: {got:?}");
    }
}

/// 2026-05-28T20:26:40Z is `at(0)`, a Thursday.
#[test]
fn a_lease_ends_with_the_hours_of_the_week() {
    let window = constraint(Operand::TimeWindow, Operator::Eq, "Fri 04:00/04:27+08:00");
    let (mut side, it) = one(vec![window]);
    let inside = ask(&mut side, &it, of(Use::Query, 1), at(-100)).unwrap();
    assert_eq!(inside.until, at(-40), "a minute, as always");
    let last = ask(&mut side, &it, of(Use::Query, 2), at(0)).unwrap();
    assert_eq!(last.until, Time::parse("2026-05-28T20:27:00Z").unwrap());
    let over = ask(&mut side, &it, of(Use::Query, 3), last.until);
    assert_eq!(over.unwrap_err().code(), "policy.denied");
}

/// Who has a key and pays by the second says at once that it is done.
#[test]
fn time_that_a_key_was_out_for_comes_back_for_a_signature_alone() {
    let minute = || one(vec![constraint(Operand::MeteredTime, Operator::Lteq, "PT1M")]);
    for (kind, signed, refunds, spent) in [
        (Use::SealedFile, false, Refunds::Signed, 60),
        (Use::SealedTable, false, Refunds::Signed, 60),
        (Use::SealedFile, true, Refunds::Signed, 1),
        (Use::SealedFile, true, Refunds::Never, 60),
        // No key left.
        (Use::Query, false, Refunds::Never, 1),
    ] {
        let (mut side, it) = minute();
        side.refunds = refunds;
        let grant = ask(&mut side, &it, of(kind, 1), at(0)).unwrap();
        give_back(&mut side, &it, &grant.lease, signed, at(1)).unwrap();
        assert_eq!(side.spent(&it.id).seconds, spent, "{kind:?} {signed} {refunds:?}");
        let named = |it: &What| matches!(it, What::LeaseClosed { receipt: Some(_), .. });
        assert_eq!(side.count(named), usize::from(signed), "the fact names the signature");
    }
    // Another's signature, and one over another outcome, end nothing.
    let (mut side, it) = minute();
    let grant = ask(&mut side, &it, of(Use::SealedFile, 1), at(0)).unwrap();
    for (secret, rows) in [(3, 0), (2, 7)] {
        let from = consumer(&it);
        let outcome = Outcome { done: true, rows: 0, bytes: 0, result: None };
        let said = Outcome { rows, ..outcome.clone() };
        let key = Side::new("other", secret).key;
        let bytes = return_bytes(&grant.lease, &from.me, &said);
        let receipt = Some(Signature(tidm_crypto::jws::sign("key-1", RETURN_TYPE, &bytes, &key)));
        let what = Heard::Return { lease: grant.lease.clone(), outcome, receipt };
        let no = side.run(received(&from, None, b"back", what), at(1)).unwrap_err();
        assert_eq!(no.code(), "lease.receipt");
    }
    assert_eq!(side.leases[&grant.lease].state, State::Granted);
}

#[test]
fn metered_time_is_charged_ahead_and_unused_time_comes_back() {
    let (mut side, it) = one(vec![constraint(Operand::MeteredTime, Operator::Lteq, "PT2M")]);
    let first = ask(&mut side, &it, of(Use::SealedTable, 1), at(0)).unwrap();
    let long = Request { span: Duration::from_secs(3000), ..of(Use::SealedTable, 2) };
    let second = ask(&mut side, &it, long, at(0)).unwrap();
    assert_eq!((first.until, second.until), (at(60), at(60)), "cut to what is left");
    assert_eq!(side.spent(&it.id).seconds, 120, "parallel leases share the budget");
    let none = ask(&mut side, &it, of(Use::SealedTable, 3), at(1)).unwrap_err();
    assert_eq!(none.code(), "policy.denied");
    // Ten seconds and a bit: eleven.
    give_back(&mut side, &it, &first.lease, true, Time::from_ms(at(10).ms() + 1)).unwrap();
    assert_eq!(side.spent(&it.id).seconds, 71);
    // Said twice: given back once.
    give_back(&mut side, &it, &first.lease, true, at(11)).unwrap();
    assert_eq!(side.spent(&it.id).seconds, 71);
    // Nobody says what came of the second: all of it was used.
    side.fire(&format!("lease-end {}", second.lease), second.until).unwrap();
    assert_eq!(side.spent(&it.id).seconds, 71);
    let rest = ask(&mut side, &it, of(Use::SealedTable, 4), at(100)).unwrap();
    assert_eq!(rest.until, at(149));
}

#[test]
fn a_renewal_is_charged_for_its_time_and_for_nothing_else() {
    let (mut side, it) = one(vec![
        constraint(Operand::MeteredTime, Operator::Lteq, "PT2M"),
        constraint(Operand::Frequency, Operator::Lteq, "1/P1D"),
        constraint(Operand::RecordCount, Operator::Lteq, "40"),
    ]);
    let grant = ask(&mut side, &it, of(Use::SealedTable, 1), at(0)).unwrap();
    assert_eq!((grant.until, side.spent(&it.id).seconds), (at(60), 60));
    let renewed = renew(&mut side, &it, &grant.lease, 50, at(40)).unwrap();
    assert_eq!((renewed.until, side.spent(&it.id).seconds), (at(90), 90));
    // Shorter than it has already: nothing moves and nothing is charged.
    let same = renew(&mut side, &it, &grant.lease, 1, at(50)).unwrap();
    assert_eq!((same.until, side.spent(&it.id).seconds), (at(90), 90));
    let last = renew(&mut side, &it, &grant.lease, 600, at(80)).unwrap();
    assert_eq!((last.until, side.spent(&it.id).seconds), (at(120), 120), "cut to what is left");
    let none = renew(&mut side, &it, &grant.lease, 600, at(100)).unwrap_err();
    assert_eq!(none.code(), "lease.renewal", "it ends when it does");
    let spent = side.spent(&it.id);
    assert_eq!((spent.uses, spent.rows), (1, ROWS), "one use of one table");
    give_back(&mut side, &it, &grant.lease, true, at(110)).unwrap();
    assert_eq!(side.spent(&it.id).seconds, 110, "what was renewed in vain comes back");
    // The hours of the week end a renewed lease as they end a fresh one.
    let window = constraint(Operand::TimeWindow, Operator::Eq, "Fri 04:00/04:28+08:00");
    let (mut side, it) = one(vec![window]);
    let grant = ask(&mut side, &it, of(Use::Query, 1), at(0)).unwrap();
    let renewed = renew(&mut side, &it, &grant.lease, 3000, at(40)).unwrap();
    assert_eq!(renewed.until, Time::parse("2026-05-28T20:28:00Z").unwrap());
}

#[test]
fn amounts_are_charged_before_anything_leaves() {
    let rows = |n: &str| constraint(Operand::RecordCount, Operator::Lteq, n);
    let bytes = |n: &str| constraint(Operand::DataSize, Operator::Lteq, n);
    // What opens under a key is charged whole.
    let (mut side, it) = one(vec![rows("100"), bytes("2999")]);
    for (nonce, granted) in [(1, true), (2, true), (3, false)] {
        let got = ask(&mut side, &it, of(Use::SealedTable, nonce), at(0));
        assert_eq!(got.is_ok(), granted, "{nonce}: {got:?}");
        if let Ok(grant) = got {
            close(&mut side, &grant.lease, 0, 0, at(1));
        }
    }
    let spent = side.spent(&it.id);
    assert_eq!((spent.rows, spent.bytes), (2 * ROWS, 2 * BYTES), "and nothing comes back");
    // A query reserves what is left, or what a result may have; what did not leave comes back.
    let query = ask(&mut side, &it, of(Use::Query, 4), at(2)).unwrap();
    let reserved = side.leases[&query.lease].reserved;
    assert_eq!((reserved.rows, reserved.bytes), (Some(20), Some(999)));
    assert!(ask(&mut side, &it, of(Use::Query, 5), at(2)).is_err(), "all is reserved");
    close(&mut side, &query.lease, 5, 99, at(3));
    let spent = side.spent(&it.id);
    assert_eq!((spent.rows, spent.bytes), (85, 2099));
    let (mut side, it) =
        one(vec![rows("100"), constraint(Operand::OutputRows, Operator::Lteq, "60")]);
    for (nonce, reserved) in [(1, 60), (2, 40)] {
        let it = ask(&mut side, &it, of(Use::Query, nonce), at(0)).unwrap();
        assert_eq!(side.leases[&it.lease].reserved.rows, Some(reserved));
    }
    // Where nobody knows the size, nothing is granted; nor where no gate could count.
    side.products.clear();
    for (nonce, kind, code) in [
        (6, Use::SealedTable, "policy.unknown"),
        (7, Use::Plain, "policy.denied"),
        (8, Use::Psi, "policy.denied"),
        (9, Use::SealedFile, "policy.denied"),
    ] {
        let fault = ask(&mut side, &it, of(kind, nonce), at(0)).unwrap_err();
        assert_eq!(fault.code(), code, "{kind:?}");
    }
}

/// A22: a second account, or a second contract, is no second budget.
#[test]
fn a_legal_entity_has_one_count_for_all_its_accounts() {
    let count = || terms(vec![constraint(Operand::GroupCount, Operator::Lteq, "3")]);
    let mut side = provider();
    let sample = contract(count());
    let made = |n: u8, product: &str, policy: Policy| {
        let mut policy = policy;
        let peer = crate::wire::samples::did(&format!("did:web:account{n}.example"));
        policy.assignee = Some(id(peer.as_str()));
        let (id, product) = (id(&format!("urn:agreement:{n}")), id(product));
        Contract { id, product, peer, policy, signed_at: at(0), ..sample.clone() }
    };
    // Two accounts of one entity, another version of the product, and terms that do not count so; a stranger.
    let first = made(1, "urn:product:1", count());
    let second = made(2, "urn:product:2", terms(vec![]));
    let stranger = made(3, "urn:product:1", count());
    let entity = Group::of_entity(&CreditCode::parse("91350100M000100Y43").unwrap());
    for it in [&first, &second, &stranger] {
        sign(&mut side, it);
    }
    for it in [&first, &second] {
        side.groups.insert(it.peer.clone(), entity.clone());
    }
    for (nonce, (it, granted)) in (1..).zip([
        (&first, true),
        (&second, true),
        (&first, true),
        (&first, false),
        (&second, true),
        (&stranger, true),
        (&stranger, true),
        (&stranger, true),
        (&stranger, false),
    ]) {
        let got = ask(&mut side, it, of(Use::Query, nonce), at(0));
        assert_eq!(got.is_ok(), granted, "{nonce}: {got:?}");
        // Whatever a list says later, what was charged to the entity stays with it.
        if nonce == 2 {
            side.groups.remove(&second.peer);
        }
    }
    let charged: Vec<&Group> = side.debits.iter().map(|it| &it.group).collect();
    assert_eq!(charged.iter().filter(|it| ***it == entity).count(), 4);
    assert_eq!(charged[4], &Group::from(&stranger.peer));
}

/// Uses from before anybody said whose account it is count from the moment when somebody does: for itself and for the others.
#[test]
fn what_an_account_used_before_its_entity_was_known_is_counted() {
    let sample = contract(terms(vec![constraint(Operand::GroupCount, Operator::Lteq, "4")]));
    let mut side = provider();
    let [first, second] = [1, 2].map(|n| {
        let peer = crate::wire::samples::did(&format!("did:web:account{n}.example"));
        let mut policy = sample.policy.clone();
        policy.assignee = Some(id(peer.as_str()));
        Contract {
            id: id(&format!("urn:agreement:{n}")),
            peer,
            policy,
            signed_at: at(0),
            ..sample.clone()
        }
    });
    let entity = Group::of_entity(&CreditCode::parse("91350100M000100Y43").unwrap());
    for it in [&first, &second] {
        sign(&mut side, it);
    }
    let mut nonce = 0;
    let mut use_it = |side: &mut Side, it: &Contract| {
        nonce += 1;
        ask(side, it, of(Use::Query, nonce), at(0)).is_ok()
    };
    for it in [&first, &first, &second] {
        assert!(use_it(&mut side, it));
    }
    for it in [&first, &second] {
        side.groups.insert(it.peer.clone(), entity.clone());
    }
    // Three before, one after: whoever of them asks.
    assert!(use_it(&mut side, &second));
    assert!(!use_it(&mut side, &second) && !use_it(&mut side, &first));
}

#[test]
fn contracts_without_such_terms_load_nothing_more() {
    let plain = terms(vec![constraint(Operand::Count, Operator::Lteq, "3")]);
    assert!(!crate::policy::counted::mentions(&plain));
    assert!(!Wants::of(&compile(&plain).unwrap()).any());
}

proptest! {
    /// Whatever is asked, returned and let expire in whatever order: at no moment is more charged than the budgets, nor
    /// more used than charged.
    #[test]
    fn budgets_hold_under_every_order(
        steps in proptest::collection::vec((0_u8..7, 0_i64..40, 0_u64..30), 1..40),
        cap in 1_u64..200,
        every in 1_usize..4,
    ) {
        let metered = format!("PT{cap}S");
        let (mut side, it) = one(vec![
            constraint(Operand::MeteredTime, Operator::Lteq, &metered),
            constraint(Operand::RecordCount, Operator::Lteq, &cap.to_string()),
            constraint(Operand::Frequency, Operator::Lteq, &format!("{every}/PT30S")),
        ]);
        let mut now = 0;
        let mut starts: Vec<i64> = vec![];
        let mut opened = 0_u64;
        for (nonce, (what, pause, n)) in (1..).zip(steps) {
            now += pause;
            let open: Vec<Id> =
                side.leases.values().filter(|it| it.state == State::Granted).map(|it| it.id.clone()).collect();
            let due = |side: &Side| side.timers.values().any(|it| it.at <= at(now));
            while due(&side) {
                let key = side.timers.values().find(|it| it.at <= at(now)).unwrap().key.clone();
                side.fire(&key, at(now)).unwrap();
            }
            match (what, open.first()) {
                (0, Some(lease)) if side.leases[lease].state == State::Granted => {
                    let most = side.leases[lease].reserved.rows.unwrap_or(0);
                    close(&mut side, lease, n.min(most), 0, at(now));
                }
                (5 | 6, Some(_)) => {
                    // Whichever of them; what a renewal may do is looked at below.
                    let at_random = open.get(usize::try_from(n).unwrap_or(0) % open.len());
                    let lease = at_random.expect("one of them");
                    drop(renew(&mut side, &it, lease, n, at(now)));
                }
                (1, _) => {
                    if ask(&mut side, &it, of(Use::SealedTable, nonce), at(now)).is_ok() {
                        starts.push(now);
                        opened += ROWS;
                    }
                }
                _ => {
                    let request = Request { span: Duration::from_secs(n), ..of(Use::Query, nonce) };
                    if ask(&mut side, &it, request, at(now)).is_ok() {
                        starts.push(now);
                    }
                }
            }
            let spent = side.spent(&it.id);
            prop_assert!(spent.seconds <= cap && spent.rows <= cap, "{:?}", spent);
            let mut lasted = 0;
            let mut left = opened;
            for lease in side.leases.values() {
                let end = match &lease.state {
                    State::Returned { at, outcome, .. } => {
                        left += if lease.request.kind == Use::Query { outcome.rows } else { 0 };
                        *at
                    }
                    State::Expired { .. } | State::Revoked { .. } => lease.until,
                    State::Granted => lease.until,
                };
                lasted += end.since(lease.granted).as_millis();
            }
            prop_assert!(lasted <= u128::from(cap) * 1000 && left <= cap);
            for start in &starts {
                let window = starts.iter().filter(|it| (*start..*start + 30).contains(*it));
                prop_assert!(window.count() <= every);
            }
        }
    }
}

/// A22: what answers cost is one budget for a legal entity and a product's line, under whatever contract; and nothing of
/// it comes back.
#[test]
fn a_legal_entity_has_one_privacy_budget() {
    let noise = || {
        terms(vec![
            constraint(Operand::PrivacyBudget, Operator::Lteq, "1"),
            constraint(Operand::PrivacyUnit, Operator::Eq, "worker;3"),
        ])
    };
    let mut side = provider();
    let sample = contract(noise());
    let made = |n: u8, product: &str| {
        let mut policy = noise();
        let peer = crate::wire::samples::did(&format!("did:web:account{n}.example"));
        policy.assignee = Some(id(peer.as_str()));
        let (id, product) = (id(&format!("urn:agreement:{n}")), id(product));
        Contract { id, product, peer, policy, signed_at: at(0), ..sample.clone() }
    };
    // Two accounts of one entity, another version of the product; a stranger.
    let all = [made(1, "urn:product:1"), made(2, "urn:product:2"), made(3, "urn:product:1")];
    let [first, second, stranger] = &all;
    let entity = Group::of_entity(&CreditCode::parse("91350100M000100Y43").unwrap());
    all.iter().for_each(|it| sign(&mut side, it));
    for it in [first, second] {
        side.groups.insert(it.peer.clone(), entity.clone());
    }
    for (nonce, (it, micro, left)) in (1..).zip([
        (first, 600_000, Ok(400_000)),
        (second, 400_001, Err("privacy.budget")),
        (second, 300_000, Ok(100_000)),
        (first, 100_001, Err("privacy.budget")),
        (first, 0, Err("privacy.epsilon")),
        (stranger, 1_000_000, Ok(0)),
        (first, 100_000, Ok(0)),
        (second, 1, Err("privacy.budget")),
    ]) {
        let request = Request { epsilon: Epsilon::from_micro(micro), ..of(Use::Query, nonce) };
        let got = ask(&mut side, it, request, at(0));
        let said = got.as_ref().map(|it| it.epsilon_left.unwrap()).map_err(Fault::code);
        assert_eq!(said, left, "{nonce}");
        if let Ok(grant) = got {
            // Given back at once, unused: it was spent.
            let outcome = Outcome { done: false, rows: 0, bytes: 0, result: None };
            let before = side.spent(&it.id).epsilon;
            side.wish(Wish::Close { lease: grant.lease, outcome }, at(1)).unwrap();
            assert_eq!(side.spent(&it.id).epsilon, before, "{nonce}");
        }
    }
    let spent: Vec<u64> = all.iter().map(|it| side.spent(&it.id).epsilon).collect();
    assert_eq!(spent, [700_000, 300_000, 1_000_000]);
}
