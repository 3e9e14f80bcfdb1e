//! 15: from the commit that suspends a contract on, until the one that resumes it, no lease is granted or held under it,
//! no query is let in and no key leaves; and that commit leaves no lease open.

use tidm_space::contract::State;
use tidm_space::id::Id;

use super::Moment;
use crate::world::World;

#[expect(clippy::wildcard_enum_match_arm, reason = "the other moments are for other properties")]
pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    match moment {
        Moment::Committed { node, was, commit } => {
            for lease in commit.leases.iter().filter(|it| !was.leases.contains_key(&it.id)) {
                stands(world, *node, &lease.request.contract, "granted")?;
            }
            let store = &world.nodes[*node].store;
            let suspended =
                commit.contracts.iter().filter(|it| matches!(it.state, State::Suspended { .. }));
            for contract in suspended {
                let open =
                    |it: &&crate::store::Row| it.open && it.of.as_ref() == Some(&contract.id);
                if store.leases.values().any(|it| open(&it)) {
                    return Err(format!(
                        "n{node}: {} is suspended with an open lease",
                        contract.id
                    ));
                }
            }
            Ok(())
        }
        Moment::Opened { node, lease } => stands(world, *node, &lease.request.contract, "used"),
        Moment::Released { node, contract, .. } => stands(world, *node, contract, "released"),
        _ => Ok(()),
    }
}

fn stands(world: &World, node: usize, contract: &Id, what: &str) -> Result<(), String> {
    if world.reference.suspended.contains(&(node, contract.clone())) {
        return Err(format!("n{node}: something was {what} under {contract}, which is suspended"));
    }
    Ok(())
}
