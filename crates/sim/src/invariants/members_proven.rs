//! 13: in a space of credentials a message is heard only from whom the operator had issued one to that was not
//! revoked longer ago than a status list may be old. By the hearer's own clock: what that was set back is added.

use super::Moment;
use crate::members::AGES;
use crate::world::World;

pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Heard { node, from } = moment else { return Ok(()) };
    let Some(space) = &world.space else { return Ok(()) };
    // Our own revocations bite at once.
    let age = if space.operator == *node { 0 } else { AGES.status.as_millis() };
    let age = i64::try_from(age).unwrap_or(i64::MAX);
    let back = world.reference.set_back_ms.get(node).copied().unwrap_or(0);
    let oldest = world.ms.saturating_sub(age).saturating_sub(back);
    let all = world.reference.memberships.get(*from).map_or(&[][..], Vec::as_slice);
    let stood = all
        .iter()
        .any(|it| it.since <= world.ms && it.revoked.is_none_or(|revoked| revoked >= oldest));
    if stood {
        return Ok(());
    }
    let last = all.iter().filter_map(|it| it.revoked).max();
    Err(match last {
        Some(at) => format!(
            "n{node} hears {from}, whose membership was revoked {} ms ago",
            world.ms.saturating_sub(at)
        ),
        None => format!("n{node} hears {from}, who was never issued a membership"),
    })
}
