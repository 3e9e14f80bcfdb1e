//! Budgets of a legal entity: whatever is counted, its participants and contracts share.

use std::time::Duration;

use proptest::prelude::*;

use super::counted::{ROWS, ask, close, give_back, of, provider, renew, sign, terms};
use super::side::Side;
use crate::contract::Contract;
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::member::{CreditCode, Group};
use crate::lease::message::Request;
use crate::lease::state::State;
use crate::policy::model::{Constraint, Operand, Operator, Value};
use crate::policy::usage::Use;
use crate::time::Time;
use crate::wire::samples::{at, constraint, contract, did, id};

fn upper(left: Operand, most: &str) -> Constraint {
    constraint(left, Operator::Lteq, most)
}

/// Two participants of one legal entity, and a stranger; each with a contract of these terms about a version of one product.
fn three(constraints: &[Constraint]) -> (Side, [Contract; 3]) {
    let mut side = provider();
    let entity = Group::of_entity(&CreditCode::parse("91350100M000100Y43").unwrap());
    let all = [1, 2, 3].map(|n| {
        let mut policy = terms(constraints.to_vec());
        let peer = did(&format!("did:web:account{n}.example"));
        policy.assignee = Some(id(peer.as_str()));
        let product = id(if n == 2 { "urn:product:2" } else { "urn:product:1" });
        let name = id(&format!("urn:agreement:{n}"));
        let it = Contract { id: name, product, peer, signed_at: at(0), ..contract(policy) };
        sign(&mut side, &it);
        if n < 3 {
            side.groups.insert(it.peer.clone(), entity.clone());
        }
        it
    });
    (side, all)
}

fn asked(side: &mut Side, it: &Contract, kind: Use, nonce: u8, now: Time) -> Result<Id, Fault> {
    ask(side, it, of(kind, nonce), now).map(|it| it.lease)
}

/// What opens under a key, charged whole; a use in a period; both of two contracts until nothing is left of either.
#[test]
fn two_contracts_share_bytes_rows_and_periods() {
    for (term, kind, most) in [
        (upper(Operand::GroupDataSize, "3000"), Use::SealedTable, 3),
        (upper(Operand::GroupRecordCount, "159"), Use::SealedTable, 3),
        (upper(Operand::GroupFrequency, "3/PT1H"), Use::Query, 3),
        (upper(Operand::GroupMeteredTime, "PT3M"), Use::SealedTable, 3),
    ] {
        let (mut side, [first, second, stranger]) = three(std::slice::from_ref(&term));
        for nonce in 0..8 {
            let it = if nonce % 2 == 0 { &first } else { &second };
            let got = asked(&mut side, it, kind, nonce, at(1));
            assert_eq!(got.is_ok(), nonce < most, "{term:?} {nonce}: {got:?}");
            if let Err(no) = got {
                assert_eq!(no.code(), "policy.denied", "{term:?}");
            }
        }
        asked(&mut side, &stranger, kind, 9, at(1)).unwrap();
    }
    // The oldest of them is over an hour ago.
    let (mut side, [first, second, _]) = three(&[upper(Operand::GroupFrequency, "1/PT1H")]);
    asked(&mut side, &first, Use::Query, 1, at(0)).unwrap();
    assert!(asked(&mut side, &second, Use::Query, 2, at(3599)).is_err());
    asked(&mut side, &second, Use::Query, 3, at(3600)).unwrap();
}

/// A query reserves what both budgets leave, and gives back what stayed; a lease takes the time that is left, and a renewal.
#[test]
fn what_is_reserved_and_given_back_is_the_entitys() {
    let rows = [upper(Operand::GroupRecordCount, "100"), upper(Operand::RecordCount, "70")];
    let (mut side, [first, second, _]) = three(&rows);
    let lease = asked(&mut side, &first, Use::Query, 1, at(0)).unwrap();
    assert_eq!(side.leases[&lease].reserved.rows, Some(70), "its own budget is less");
    let other = asked(&mut side, &second, Use::Query, 1, at(0)).unwrap();
    assert_eq!(side.leases[&other].reserved.rows, Some(30));
    close(&mut side, &lease, 5, 0, at(1));
    let again = asked(&mut side, &second, Use::Query, 2, at(2)).unwrap();
    assert_eq!(side.leases[&again].reserved.rows, Some(40), "65 came back, and its own leaves 40");

    let (mut side, [first, second, _]) = three(&[upper(Operand::GroupMeteredTime, "PT90S")]);
    let long = ask(&mut side, &first, of(Use::SealedTable, 1), at(0)).unwrap();
    let short = ask(&mut side, &second, of(Use::SealedTable, 1), at(0)).unwrap();
    assert_eq!((long.until, short.until), (at(60), at(30)));
    let no = renew(&mut side, &first, &long.lease, 60, at(5)).unwrap_err();
    assert_eq!(no.code(), "lease.renewal");
    give_back(&mut side, &second, &short.lease, true, at(10)).unwrap();
    let more = renew(&mut side, &first, &long.lease, 600, at(15)).unwrap();
    assert_eq!(more.until, at(80), "the twenty seconds that its relative did not take");
}

/// Time that a relative used before anybody said whose it is was used: for a grant, and for each renewal.
#[test]
fn renewals_count_what_a_relative_used_by_itself() {
    let (mut side, [first, second, _]) = three(&[upper(Operand::GroupMeteredTime, "PT90S")]);
    let entity = side.groups.remove(&second.peer).unwrap();
    let before = ask(&mut side, &second, of(Use::SealedTable, 1), at(0)).unwrap();
    assert_eq!(before.until, at(60));
    side.groups.insert(second.peer.clone(), entity);
    let lease = ask(&mut side, &first, of(Use::SealedTable, 1), at(61)).unwrap();
    assert_eq!(lease.until, at(91), "thirty seconds are left");
    let no = renew(&mut side, &first, &lease.lease, 60, at(80)).unwrap_err();
    assert_eq!(no.code(), "lease.renewal");
    assert_eq!(side.leases[&lease.lease].until, at(91));
}

/// Items are debited for every matching, whatever the terms of its contract.
#[test]
fn two_contracts_share_items() {
    let key = constraint(Operand::MatchKey, Operator::Eq, "part_no:text;first");
    let (mut side, [first, second, stranger]) =
        three(&[key, upper(Operand::GroupMatchBudget, "150")]);
    let mut put_in = |it: &Contract, nonce, items| {
        let matching = Request {
            items: Some(items),
            query: Some(crate::wire::samples::digest("s")),
            ..of(Use::Psi, nonce)
        };
        ask(&mut side, it, matching, at(1)).err().map(|it| it.code().to_owned())
    };
    for (turn, (it, items, code)) in (0..).zip([
        (&first, 100, None),
        (&second, 51, Some("psi.items")),
        (&second, 50, None),
        (&first, 1, Some("psi.items")),
        (&stranger, 150, None),
    ]) {
        assert_eq!(put_in(it, turn, items).as_deref(), code, "{turn}");
    }
}

/// What is of another line, or of a product that is not here: the one is another budget, the other nobody's.
#[test]
fn an_unknown_product_is_not_counted_as_unused() {
    for left in [Operand::GroupDataSize, Operand::GroupRecordCount, Operand::GroupFrequency] {
        let most = if left == Operand::GroupFrequency { "9/P1D" } else { "999" };
        let (mut side, [first, ..]) = three(&[upper(left.clone(), most)]);
        side.products.clear();
        let no = asked(&mut side, &first, Use::Query, 1, at(0)).unwrap_err();
        assert_eq!(no.code(), "policy.unknown", "{left:?}");
    }
}

/// Written back and said as it was.
#[test]
fn each_is_said_with_whose_it_is() {
    use crate::lang::Lang;
    for (left, most) in [
        (Operand::GroupDataSize, "3000"),
        (Operand::GroupRecordCount, "40"),
        (Operand::GroupFrequency, "3/P1D"),
        (Operand::GroupMeteredTime, "PT1H"),
        (Operand::GroupMatchBudget, "150"),
    ] {
        let policy = terms(vec![upper(left.clone(), most)]);
        for (lang, words) in [(Lang::Zh, "法人"), (Lang::En, "legal entity")] {
            let said = crate::policy::render::render(&policy, lang, Use::Query);
            assert!(
                said.iter().any(|it| it.understood && it.text.contains(words)),
                "{left:?}: {said:?}"
            );
        }
        let Constraint::Atomic(it) = &policy.permissions[0].constraints[0] else { panic!() };
        assert_eq!(it.right, Value::text(most));
        assert!(it.left.name().starts_with("tidm:group"));
    }
}

proptest! {
    /// Two contracts of one entity, in whatever order they ask, renew, return and let expire: never more than the one budget.
    #[test]
    fn an_entitys_budgets_hold_under_every_order(
        steps in proptest::collection::vec((0_u8..6, 0_i64..40, 0_u64..30, any::<bool>()), 1..40),
        cap in 1_u64..200,
        every in 1_usize..4,
    ) {
        let (mut side, [first, second, _]) = three(&[
            upper(Operand::GroupMeteredTime, &format!("PT{cap}S")),
            upper(Operand::GroupRecordCount, &cap.to_string()),
            upper(Operand::GroupFrequency, &format!("{every}/PT30S")),
        ]);
        let mut now = 0;
        let mut starts: Vec<i64> = vec![];
        let mut opened = 0_u64;
        for (nonce, (what, pause, n, which)) in (1..).zip(steps) {
            now += pause;
            let it = if which { &first } else { &second };
            while let Some(key) = side.timers.values().find(|it| it.at <= at(now)).map(|it| it.key.clone()) {
                side.fire(&key, at(now)).unwrap();
            }
            let ours = |lease: &&crate::lease::state::Lease| lease.state == State::Granted && lease.request.contract == it.id;
            let open = side.leases.values().find(ours).cloned();
            match (what, open) {
                (0, Some(lease)) => {
                    close(&mut side, &lease.id, n.min(lease.reserved.rows.unwrap_or(0)), 0, at(now));
                }
                (1, Some(lease)) => drop(renew(&mut side, it, &lease.id, n, at(now))),
                (2, _) => {
                    if asked(&mut side, it, Use::SealedTable, nonce, at(now)).is_ok() {
                        starts.push(now);
                        opened += ROWS;
                    }
                }
                _ => {
                    let request = Request { span: Duration::from_secs(n), ..of(Use::Query, nonce) };
                    if ask(&mut side, it, request, at(now)).is_ok() {
                        starts.push(now);
                    }
                }
            }
            let (one, other) = (side.spent(&first.id), side.spent(&second.id));
            prop_assert!(one.seconds + other.seconds <= cap && one.rows + other.rows <= cap, "{one:?} {other:?}");
            let left: u64 = side.leases.values().filter(|it| it.request.kind == Use::Query).map(|it| match &it.state {
                State::Returned { outcome, .. } => outcome.rows,
                State::Granted | State::Expired { .. } | State::Revoked { .. } => 0,
            }).sum();
            prop_assert!(left + opened <= cap);
            for start in &starts {
                prop_assert!(starts.iter().filter(|it| (*start..*start + 30).contains(*it)).count() <= every);
            }
        }
    }
}
