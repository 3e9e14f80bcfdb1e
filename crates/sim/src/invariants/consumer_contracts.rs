//! 10: where a consumer has a contract, its provider has it, or has said FINALIZED and will have it when that is
//! acknowledged.

use tidm_space::id::Id;
use tidm_space::negotiation::message::{Kind, Role};

use super::Moment;
use crate::world::World;

#[expect(clippy::wildcard_enum_match_arm, reason = "the other moments are for other properties")]
pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    match moment {
        Moment::Committed { node, was, commit } => {
            let fresh = commit
                .contracts
                .iter()
                .filter(|it| it.role == Role::Consumer && !was.contracts.contains_key(&it.id));
            for it in fresh {
                stands(world, *node, &it.id, false)?;
            }
            Ok(())
        }
        Moment::End => {
            for at in 0..world.nodes.len() {
                for id in world.nodes[at].store.contracts.keys() {
                    stands(world, at, id, true)?;
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn stands(world: &World, at: usize, id: &Id, at_end: bool) -> Result<(), String> {
    let Ok(Some(contract)) = world.nodes[at].store.contract(id) else {
        return Err(format!("n{at}: {id} cannot be read"));
    };
    let Some(provider) = world.node_of(&contract.peer).filter(|_| contract.role == Role::Consumer)
    else {
        return Ok(());
    };
    if world.is_traitor(provider)
        || world.is_traitor(at)
        || world.nodes[provider].restored
        || world.nodes[at].restored
        || world.unheard(at, provider)
    {
        return Ok(());
    }
    let theirs = &world.nodes[provider].store;
    if theirs.contracts.contains_key(id) {
        return Ok(());
    }
    let said = theirs.negotiations.iter().filter(|(_, it)| it.of.as_ref() == Some(id)).any(
        |(negotiation, _)| {
            let it = theirs.negotiation(negotiation).ok().flatten();
            it.is_some_and(|it| it.pending.is_some_and(|it| it.body.kind() == Kind::Finalize))
        },
    );
    if said && !at_end {
        Ok(())
    } else {
        Err(format!("n{at} has contract {id}, and its provider n{provider} has not"))
    }
}
