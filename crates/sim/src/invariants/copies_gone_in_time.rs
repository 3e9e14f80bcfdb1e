//! 17: no use reaches beyond the day by which copies have to be gone; and from that day on, once everything works again, the
//! contract has ended on the side whose clock says so, the consumer has deleted and signed, and its provider has the
//! receipt or the fact that none came in time.

use tidm_space::id::Id;
use tidm_space::lease::state::Lease;
use tidm_space::limits::DELETION_PATIENCE;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::compile::compile;
use tidm_space::time::Time;

use super::Moment;
use crate::world::World;

#[expect(clippy::wildcard_enum_match_arm, reason = "the other moments are for other properties")]
pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    match moment {
        Moment::Released { node, contract, lease, .. } => {
            let lease = world.nodes[*node].store.lease(lease).map_err(|why| why.to_string())?;
            lease.map_or(Ok(()), |it| within(world, *node, contract, &it))
        }
        Moment::Opened { node, lease } | Moment::Renewed { node, lease } => {
            within(world, *node, &lease.request.contract, lease)
        }
        Moment::End => (0..world.nodes.len()).try_for_each(|at| gone(world, at)),
        _ => Ok(()),
    }
}

/// The lease ends by then, and so it is over from then on.
fn within(world: &World, node: usize, contract: &Id, lease: &Lease) -> Result<(), String> {
    match day(world, node, contract)? {
        Some(day) if lease.until > day => Err(format!(
            "n{node}: {} lasts until {}, and the copies of {contract} have to be gone by {day}",
            lease.id, lease.until
        )),
        Some(_) | None => Ok(()),
    }
}

/// By when, as this node knows it.
fn day(world: &World, node: usize, contract: &Id) -> Result<Option<Time>, String> {
    let held = world.nodes[node].store.contract(contract).map_err(|why| why.to_string())?;
    let held = held.ok_or_else(|| format!("n{node}: no contract {contract}"))?;
    Ok(compile(&held.policy).ok().and_then(|terms| terms.gone_by(held.first_use)))
}

fn gone(world: &World, at: usize) -> Result<(), String> {
    let node = &world.nodes[at];
    // Who was set back knows less than its peers; a traitor does as it likes.
    if world.is_traitor(at) || node.restored {
        return Ok(());
    }
    let now = node.now(world.ms);
    for id in node.store.contracts.keys() {
        let Some(day) = day(world, at, id)?.filter(|it| *it < now) else { continue };
        let Ok(Some(it)) = node.store.contract(id) else { continue };
        if !it.is_over() {
            return Err(format!("n{at}: {id} stands, and its copies had to be gone by {day}"));
        }
        if it.role == Role::Consumer && it.deletion.is_none() {
            return Err(format!("n{at}: the copies of {id} had to be gone by {day}"));
        }
        let told = it.deletion.is_some() || it.missed.is_some();
        if it.role == Role::Provider && day.after(DELETION_PATIENCE * 2) < now && !told {
            return Err(format!("n{at}: nobody signed for {id}, and nobody missed it"));
        }
    }
    Ok(())
}
