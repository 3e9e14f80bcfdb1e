//! 7: nothing is opened under a lease that was returned, revoked or expired, nor under a contract that ended; and
//! the end of a contract closes its leases in the same commit.

use tidm_space::lease::state::Name;

use super::Moment;
use crate::world::World;

#[expect(clippy::wildcard_enum_match_arm, reason = "the other moments are for other properties")]
pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    match moment {
        Moment::Opened { node, lease } => {
            let it = &world.nodes[*node];
            if lease.state.name() != Name::Granted || it.now(world.ms) >= lease.until {
                return Err(format!(
                    "n{node}: {} is {} and opened something",
                    lease.id,
                    lease.state.name().word()
                ));
            }
            ended(world, *node, &lease.request.contract)
        }
        Moment::Released { node, contract, lease, .. } => {
            if world.nodes[*node].store.leases.get(*lease).is_some_and(|it| !it.open) {
                return Err(format!("n{node}: {lease} is closed and was handed out"));
            }
            ended(world, *node, contract)
        }
        Moment::Committed { node, commit, .. } => {
            let store = &world.nodes[*node].store;
            for contract in commit.contracts.iter().filter(|it| !it.is_active()) {
                if let Some((lease, _)) = store
                    .leases
                    .iter()
                    .find(|(_, it)| it.open && it.of.as_ref() == Some(&contract.id))
                {
                    return Err(format!(
                        "n{node}: contract {} ended, its lease {lease} is still granted",
                        contract.id
                    ));
                }
            }
            Ok(())
        }
        Moment::End => {
            for at in 0..world.nodes.len() {
                if let Some((lease, _)) =
                    world.nodes[at].store.leases.iter().find(|(_, it)| it.open)
                {
                    return Err(format!("n{at}: lease {lease} never ended"));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn ended(world: &World, node: usize, contract: &tidm_space::id::Id) -> Result<(), String> {
    if world.reference.ended.contains(&(node, contract.clone())) {
        return Err(format!("n{node}: something was opened under {contract}, which had ended"));
    }
    Ok(())
}
