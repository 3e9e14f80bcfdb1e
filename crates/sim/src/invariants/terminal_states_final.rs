//! 3: what was finalized, terminated, completed, returned, expired, revoked or ended stays so.

use std::collections::BTreeMap;

use tidm_space::id::Id;

use super::Moment;
use crate::world::World;

const TERMINAL: [&str; 7] =
    ["FINALIZED", "TERMINATED", "COMPLETED", "returned", "expired", "revoked", "ended"];

#[expect(clippy::wildcard_enum_match_arm, reason = "the other moments are for other properties")]
pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    match moment {
        Moment::Committed { node, was, commit } => {
            final_(
                *node,
                &was.negotiations,
                commit.negotiations.iter().map(|it| (&it.id, it.state.name().token())),
            )?;
            final_(
                *node,
                &was.transfers,
                commit.transfers.iter().map(|it| (&it.id, it.state.name().token())),
            )?;
            final_(
                *node,
                &was.leases,
                commit.leases.iter().map(|it| (&it.id, it.state.name().word())),
            )?;
            final_(*node, &was.contracts, commit.contracts.iter().map(|it| (&it.id, it.word())))
        }
        Moment::Started { node } => {
            let store = &world.nodes[*node].store;
            let risen =
                world.reference.ended.iter().find(|(of, id)| {
                    of == node && store.contracts.get(id).is_some_and(|it| it.open)
                });
            risen.map_or(Ok(()), |(_, id)| {
                Err(format!("n{node}: contract {id} had ended and is active again"))
            })
        }
        _ => Ok(()),
    }
}

/// Also between two versions of one row in one commit.
fn final_<'a>(
    node: usize,
    was: &BTreeMap<Id, &'static str>,
    now: impl Iterator<Item = (&'a Id, &'static str)>,
) -> Result<(), String> {
    let mut states = was.clone();
    for (id, state) in now {
        if let Some(had) = states.insert(id.clone(), state)
            && had != state
            && TERMINAL.contains(&had)
        {
            return Err(format!("n{node}: {id} was {had} and became {state}"));
        }
    }
    Ok(())
}
