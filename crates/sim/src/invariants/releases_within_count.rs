//! 2: what leaves the provider was debited before, durably, and never exceeds what the contract counts: uses, uses in any
//! period, time, rows and bytes, and the uses of a legal entity.

use std::time::Duration;

use tidm_space::contract::Contract;
use tidm_space::engine::node::Groups as _;
use tidm_space::id::Id;
use tidm_space::lease::state::{Lease, State};
use tidm_space::policy::compile::compile;
use tidm_space::policy::terms::{Cmp, Terms, Test};

use super::Moment;
use crate::node::Entities;
use crate::world::World;

pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    let (node, contract, lease) = match moment {
        Moment::Released { node, contract, lease, .. } => (node, *contract, *lease),
        Moment::Left { node, lease } | Moment::Renewed { node, lease } => {
            (node, &lease.request.contract, &lease.id)
        }
        Moment::Committed { .. }
        | Moment::Opened { .. }
        | Moment::Moved { .. }
        | Moment::Heard { .. }
        | Moment::Issued { .. }
        | Moment::Calm
        | Moment::Signed { .. }
        | Moment::Started { .. }
        | Moment::End => return Ok(()),
    };
    let store = &world.nodes[*node].store;
    if !store.leases.contains_key(lease) {
        return Err(format!("n{node}: the grant of {lease} left before its lease was durable"));
    }
    if !store.debits.values().any(|it| it.lease == *lease && it.contract == *contract) {
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
        .get(&(*node, contract.clone()))
        .map_or(0, std::collections::BTreeSet::len);
    match terms.summary.uses {
        Some(limit) if u64::try_from(released).unwrap_or(u64::MAX) > limit => {
            Err(format!("n{node}: {released} releases under {contract}, which allows {limit}"))
        }
        _ => counted(world, *node, &held, &terms, lease),
    }
}

/// The counted terms of a permission, against what really left.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others count nothing")]
fn counted(
    world: &World,
    node: usize,
    contract: &Contract,
    terms: &Terms,
    lease: &Id,
) -> Result<(), String> {
    let key = (node, contract.id.clone());
    let released = world.reference.released.get(&key).into_iter().flatten();
    let store = &world.nodes[node].store;
    let leases: Vec<Lease> = released.filter_map(|it| store.lease(it).ok().flatten()).collect();
    let left = |of: fn(&(u64, u64)) -> u64| -> u64 {
        let all = leases.iter().filter_map(|it| world.reference.left.get(&(node, it.id.clone())));
        all.map(of).sum()
    };
    for test in terms.grants.iter().flat_map(|it| flat(&it.when)) {
        let (found, most, what) = match test {
            Test::Frequency(most, span) => {
                let within = |first: &Lease| {
                    let window = first.granted..span.after(first.granted);
                    leases.iter().filter(|it| window.contains(&it.granted)).count()
                };
                let found = leases.iter().map(within).max().unwrap_or(0);
                (u64::try_from(found).unwrap_or(u64::MAX), *most, "uses in one period")
            }
            Test::Metered(Cmp::Lteq, span) => {
                let most = span.after(contract.signed_at).since(contract.signed_at);
                let found: Duration = leases.iter().map(lasts).sum();
                let ms = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
                (ms(found), ms(most), "milliseconds of use")
            }
            Test::Records(Cmp::Lteq, most) => (left(|it| it.0), *most, "rows"),
            Test::Size(Cmp::Lteq, most) => (left(|it| it.1), *most, "bytes"),
            Test::Group(Cmp::Lteq, most) => {
                (entity(world, node, contract, lease), *most, "uses of a legal entity")
            }
            Test::Entity(it) => {
                let all = relatives(world, node, contract, test);
                match of_entity(world, node, contract, (it, all.as_slice())) {
                    Some((found, most)) => (found, most, "of a legal entity"),
                    None => continue,
                }
            }
            _ => continue,
        };
        if found > most {
            let id = &contract.id;
            return Err(format!("n{node}: {found} {what} under {id}, which allows {most}"));
        }
    }
    Ok(())
}

/// Leases that were released to a contract's legal entity, under all contracts about the product with this very term: what
/// others let it take is not theirs to bound.
fn relatives(world: &World, node: usize, contract: &Contract, term: &Test) -> Vec<Lease> {
    let store = &world.nodes[node].store;
    let alike = |it: &Contract| {
        let entity = Entities.of(&contract.peer);
        let same = it.peer == contract.peer || entity.is_some() && Entities.of(&it.peer) == entity;
        let says = |terms: Terms| terms.grants.iter().any(|it| flat(&it.when).contains(&term));
        same && it.product == contract.product && compile(&it.policy).is_ok_and(says)
    };
    let of = world.reference.released.iter().filter(|((at, id), _)| {
        *at == node && store.contract(id).ok().flatten().is_some_and(|it| alike(&it))
    });
    of.flat_map(|(_, all)| all).filter_map(|it| store.lease(it).ok().flatten()).collect()
}

/// What they took together, and what the term says.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are said of no entity")]
fn of_entity(
    world: &World,
    node: usize,
    contract: &Contract,
    (term, leases): (&Test, &[Lease]),
) -> Option<(u64, u64)> {
    let left = |of: fn(&(u64, u64)) -> u64| -> u64 {
        leases
            .iter()
            .filter_map(|it| world.reference.left.get(&(node, it.id.clone())))
            .map(of)
            .sum()
    };
    match term {
        Test::Frequency(most, span) => {
            let within = |first: &Lease| {
                let window = first.granted..span.after(first.granted);
                leases.iter().filter(|it| window.contains(&it.granted)).count()
            };
            let found = leases.iter().map(within).max().unwrap_or(0);
            Some((u64::try_from(found).unwrap_or(u64::MAX), *most))
        }
        Test::Metered(Cmp::Lteq, span) => {
            let ms = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
            // Each lease's seconds were rounded up: what lasted is never more than what was charged.
            let most = span.after(contract.signed_at).since(contract.signed_at);
            Some((ms(leases.iter().map(lasts).sum()), ms(most)))
        }
        Test::Records(Cmp::Lteq, most) => Some((left(|it| it.0), *most)),
        Test::Size(Cmp::Lteq, most) => Some((left(|it| it.1), *most)),
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "alternatives hold nothing that is counted")]
fn flat(it: &Test) -> Vec<&Test> {
    match it {
        Test::All(all) => all.iter().flat_map(flat).collect(),
        other => vec![other],
    }
}

/// How long a key or a query could be used.
fn lasts(it: &Lease) -> Duration {
    let end = match &it.state {
        State::Returned { at, .. } => *at,
        State::Granted | State::Expired { .. } | State::Revoked { .. } => it.until,
    };
    end.since(it.granted)
}

/// Grants of the provider to accounts of this one's entity, up to this lease; a contract without the term may go on after.
fn entity(world: &World, node: usize, contract: &Contract, lease: &Id) -> u64 {
    let all = world.reference.grants.get(&node).into_iter().flatten();
    let mut found = 0;
    for (of, id) in all {
        let other = world.nodes[node].store.contract(of).ok().flatten();
        let same = |it: &Contract| {
            let alike = it.peer == contract.peer
                || Entities.of(&it.peer).is_some_and(|of| Entities.of(&contract.peer) == Some(of));
            alike && it.product == contract.product
        };
        found += u64::from(other.as_ref().is_some_and(same));
        if id == lease {
            break;
        }
    }
    found
}
