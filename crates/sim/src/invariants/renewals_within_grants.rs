//! 16: a renewal is granted under a contract that stands, of a lease that stands; it is the same use, debited once; and
//! where time is counted the lease is never longer than what was charged for it.

use std::time::Duration;

use tidm_space::lease::machine::DebitKind;
use tidm_space::lease::state::Name;
use tidm_space::limits::LEASE_RENEWALS;
use tidm_space::policy::compile::compile;
use tidm_space::policy::counted::Wants;

use super::Moment;
use crate::world::World;

#[expect(clippy::wildcard_enum_match_arm, reason = "the other moments are for other properties")]
pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    let (node, lease) = match moment {
        Moment::Renewed { node, lease } => (*node, *lease),
        _ => return Ok(()),
    };
    let id = &lease.id;
    let contract = &lease.request.contract;
    let key = (node, contract.clone());
    if world.reference.ended.contains(&key) || world.reference.suspended.contains(&key) {
        return Err(format!("n{node}: {id} was renewed under {contract}, which does not stand"));
    }
    if lease.state.name() != Name::Granted || lease.renewals > LEASE_RENEWALS {
        let word = lease.state.name().word();
        return Err(format!("n{node}: {id} is {word} and was renewed, {} times", lease.renewals));
    }
    let store = &world.nodes[node].store;
    let sum = |kind: DebitKind| -> u64 {
        let of = store.debits.values().filter(|it| it.lease == *id && it.kind == kind && !it.back);
        of.map(|it| it.amount).sum()
    };
    if sum(DebitKind::Use) != 1 {
        return Err(format!("n{node}: {id} is {} uses", sum(DebitKind::Use)));
    }
    let Ok(Some(held)) = store.contract(contract) else {
        return Err(format!("n{node}: no contract {contract}"));
    };
    let Ok(terms) = compile(&held.policy) else {
        return Err(format!("n{node}: contract {contract} does not compile"));
    };
    if terms.until(held.first_use).is_some_and(|it| lease.until > it) {
        return Err(format!("n{node}: {id} was renewed beyond the end of {contract}"));
    }
    let length = lease.until.since(lease.granted);
    if Wants::of(&terms).metered && length > Duration::from_secs(sum(DebitKind::Seconds)) {
        return Err(format!("n{node}: {id} lasts {length:?}, more than was charged"));
    }
    Ok(())
}
