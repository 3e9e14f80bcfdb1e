//! 2: what leaves the provider was debited before, durably, and never exceeds what the contract counts.

use tidm_space::policy::compile::compile;

use super::Moment;
use crate::world::World;

pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Released { node, contract, lease, .. } = moment else { return Ok(()) };
    let store = &world.nodes[*node].store;
    if !store.leases.contains_key(*lease) {
        return Err(format!("n{node}: the grant of {lease} left before its lease was durable"));
    }
    if !store.debits.values().any(|it| it.lease == **lease && it.contract == **contract) {
        return Err(format!("n{node}: the grant of {lease} left without a debit"));
    }
    let Ok(Some(held)) = store.contract(contract) else {
        return Err(format!("n{node}: no contract {contract}"));
    };
    let Ok(terms) = compile(&held.policy) else {
        return Err(format!("n{node}: contract {contract} does not compile"));
    };
    let released = world
        .reference
        .released
        .get(&(*node, (*contract).clone()))
        .map_or(0, std::collections::BTreeSet::len);
    match terms.summary.uses {
        Some(limit) if u64::try_from(released).unwrap_or(u64::MAX) > limit => {
            Err(format!("n{node}: {released} releases under {contract}, which allows {limit}"))
        }
        _ => Ok(()),
    }
}
