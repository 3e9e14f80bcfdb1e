//! 8: once a contract's key was erased, no backup, restart or later job brings it back, and nothing is released
//! with it.

use super::Moment;
use crate::world::World;

#[expect(clippy::wildcard_enum_match_arm, reason = "the other moments are for other properties")]
pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    match moment {
        Moment::Released { node, contract, key: true, .. } => {
            if world.reference.destroyed.contains(&(*node, (*contract).clone())) {
                return Err(format!("n{node}: the destroyed key of {contract} was released"));
            }
            Ok(())
        }
        Moment::Started { .. } | Moment::End => {
            let back = world
                .reference
                .destroyed
                .iter()
                .find(|(node, contract)| world.nodes[*node].keys.has(contract));
            back.map_or(Ok(()), |(node, contract)| {
                Err(format!("n{node}: the destroyed key of {contract} is back"))
            })
        }
        _ => Ok(()),
    }
}
