//! A lease goes on while the gate says so, at no further cost, and never beyond what the gate would grant.

use std::time::Duration;

use super::side::{Side, agreed, ask, lease, settle};
use crate::contract::End;
use crate::engine::commit::{Due, Reply, Timer};
use crate::engine::input::{Heard, HoldWish, Input, Wish};
use crate::evidence::fact::{Fact, What};
use crate::fault::Fault;
use crate::id::Id;
use crate::lease::message::{Grant, Renewal};
use crate::lease::state::Name;
use crate::limits::{LEASE_MAX, LEASE_RENEWALS};
use crate::time::Time;
use crate::wire::samples::at;

fn held(uses: Option<u64>) -> (Side, Side, Grant) {
    let (mut provider, mut consumer) = agreed(uses);
    let grant = lease(&mut provider, &consumer, 1, at(3)).unwrap();
    let request = ask(&provider.contract().id, 1);
    let wish = HoldWish { request, grant: grant.clone() };
    consumer.wish(Wish::Hold(Box::new(wish)), at(3)).unwrap();
    (provider, consumer, grant)
}

fn renew(
    gate: &mut Side,
    holder: &Side,
    lease: &Id,
    number: u32,
    now: Time,
) -> Result<Time, Fault> {
    let it = Renewal { lease: lease.clone(), number, span: Duration::from_secs(60) };
    let reply = gate.hear(holder, &format!("urn:renew:{number}"), Heard::Renew(it), now)?;
    let Reply::Lease(grant) = reply else { panic!("{reply:?}") };
    Ok(grant.until)
}

/// What the gate told of its refusals: code, and how many before it went untold.
fn refusals(side: &Side) -> Vec<(String, u64)> {
    let told = |it: &Fact| {
        let What::LeaseRefused { code, more, .. } = &it.what else { return None };
        Some((code.clone(), *more))
    };
    side.facts.iter().filter_map(told).collect()
}

#[test]
fn a_flood_of_refusals_is_a_fact_a_minute_and_every_one_is_counted() {
    let (mut provider, consumer, grant) = held(None);
    let contract = provider.contract().id;
    let end = Wish::EndContract { contract, why: End::Revoked, reason: "over".to_owned() };
    provider.wish(end, at(60)).unwrap();
    for second in 61..181 {
        for again in 0..5 {
            lease(&mut provider, &consumer, 100 + again, at(second)).unwrap_err();
            renew(&mut provider, &consumer, &grant.lease, 1, at(second)).unwrap_err();
        }
    }
    let ended = |more| ("contract.ended".to_owned(), more);
    // One at once; then what came after it in its minute (it ends at 80), with the first of the next.
    assert_eq!(refusals(&provider), [ended(0), ended(189), ended(599)]);
    let left: u64 = provider.refusals.values().map(|it| it.more).sum();
    assert_eq!((3 + 189 + 599 + left, provider.refusals.len()), (1200, 1));
    // A clock that is set back tells no more.
    lease(&mut provider, &consumer, 1, at(70)).unwrap_err();
    assert_eq!(refusals(&provider).len(), 3);
}

fn renewals(side: &Side) -> usize {
    side.count(|it| matches!(it, What::LeaseRenewed { .. }))
}

#[test]
fn a_renewed_lease_lives_on_at_both_sides_and_costs_nothing() {
    let (mut provider, mut consumer, grant) = held(Some(1));
    assert_eq!(grant.until, at(33));
    let spent = provider.debits.len();
    for repeated in [false, true] {
        let until = renew(&mut provider, &consumer, &grant.lease, 1, at(20)).unwrap();
        assert_eq!(until, at(80), "repeated: {repeated}");
        let told = Wish::Renewed { lease: grant.lease.clone(), number: 1, until };
        consumer.wish(told, at(20)).unwrap();
    }
    assert_eq!((renewals(&provider), renewals(&consumer)), (1, 1));
    assert_eq!(provider.debits.len(), spent, "although no use is left");
    // Timers that were taken before it end nothing.
    for side in [&mut provider, &mut consumer] {
        let what = Due::LeaseEnd { lease: grant.lease.clone() };
        side.run(Input::Due(Timer::new(grant.until, what)), at(40)).unwrap();
        assert_eq!(side.leases[&grant.lease].state.name(), Name::Granted);
        side.fire("lease-end", at(80)).unwrap();
        assert_eq!(side.leases[&grant.lease].state.name(), Name::Expired);
    }
    let late = renew(&mut provider, &consumer, &grant.lease, 2, at(81)).unwrap_err();
    assert_eq!(late.code(), "contract.ended", "its last use is over");
    let told = Wish::Renewed { lease: grant.lease.clone(), number: 2, until: at(120) };
    assert_eq!(consumer.wish(told, at(81)).unwrap_err().code(), "lease.over");
}

#[test]
fn a_renewal_is_refused_for_what_a_grant_is_refused_for() {
    let stranger = Side::new("stranger", 9);
    let (mut provider, consumer, grant) = held(None);
    let no = |it: Result<Time, Fault>| it.unwrap_err().code();
    assert_eq!(no(renew(&mut provider, &stranger, &grant.lease, 1, at(20))), "not-found");
    assert_eq!(no(renew(&mut provider, &consumer, &grant.lease, 0, at(20))), "lease.renewal");
    assert_eq!(no(renew(&mut provider, &consumer, &grant.lease, 2, at(20))), "lease.renewal");
    assert_eq!(no(renew(&mut provider, &consumer, &grant.lease, 1, at(3))), "unavailable");
    let contract = provider.contract().id;
    let suspend = Wish::Suspend { contract: contract.clone(), reason: "check".to_owned() };
    let end = Wish::EndContract { contract, why: End::Revoked, reason: "over".to_owned() };
    for (wish, code) in [(suspend, "contract.suspended"), (end, "contract.ended")] {
        provider.wish(wish, at(21)).unwrap();
        assert_eq!(no(renew(&mut provider, &consumer, &grant.lease, 1, at(22))), code);
    }
    assert_eq!(provider.count(|it| matches!(it, What::LeaseRefused { .. })), 2);
    assert_eq!(renewals(&provider), 0);
}

#[test]
fn a_gate_that_says_too_much_is_not_believed() {
    let (_, mut consumer, grant) = held(None);
    let until = at(5).after(LEASE_MAX).after(LEASE_MAX);
    let told = Wish::Renewed { lease: grant.lease.clone(), number: 1, until };
    assert_eq!(consumer.wish(told, at(5)).unwrap_err().code(), "lease.grant");
    // Nor one that says less.
    let told = Wish::Renewed { lease: grant.lease.clone(), number: 1, until: at(6) };
    consumer.wish(told, at(5)).unwrap();
    assert_eq!(consumer.leases[&grant.lease].until, grant.until);
}

#[test]
fn renewals_come_to_an_end() {
    let (mut provider, mut consumer, grant) = held(None);
    let mut now = at(10);
    let mut number = 0;
    let refused = loop {
        match renew(&mut provider, &consumer, &grant.lease, number + 1, now) {
            Ok(until) => (number, now) = (number + 1, until.after(Duration::ZERO)),
            Err(fault) => break fault,
        }
        now = Time::from_ms(now.ms() - 1000);
    };
    assert_eq!((number, refused.code()), (LEASE_RENEWALS, "lease.renewals"));
    settle(&mut provider, &mut consumer, now);
}
