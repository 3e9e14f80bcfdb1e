//! 6: one size has one root, for ever; a head is in the store before it is signed; no process runs behind a head
//! that a custodian has seen.

use super::Moment;
use crate::world::World;

#[expect(clippy::wildcard_enum_match_arm, reason = "the other moments are for other properties")]
pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    match moment {
        Moment::Signed { node, size, root } => {
            let head = world.nodes[*node].store.head;
            if !head.is_some_and(|it| it.size > *size || (it.size == *size && it.root == *root)) {
                return Err(format!("n{node}: head {size} is signed before it is durable"));
            }
            match world.reference.signed.get(&(*node, *size)) {
                Some(had) if had != root => {
                    Err(format!("n{node}: two roots are signed for {size} entries"))
                }
                _ => Ok(()),
            }
        }
        Moment::Started { node } => {
            let own = world.nodes[*node].store.head.map_or(0, |it| it.size);
            match world.reference.witnessed.get(node) {
                Some(seen) if *seen > own && world.nodes[*node].up => {
                    Err(format!("n{node}: started with {own} entries, a custodian saw {seen}"))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}
