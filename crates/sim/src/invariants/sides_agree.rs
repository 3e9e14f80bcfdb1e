//! 4: once messages stop being lost, both sides of every negotiation and transfer are in the same state, and what
//! is still open waits for a person.

use tidm_space::id::Id;
use tidm_space::identity::did::Did;

use super::Moment;
use crate::store::{Row, Table};
use crate::world::World;

pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    let Moment::End = moment else { return Ok(()) };
    for at in 0..world.nodes.len() {
        let store = &world.nodes[at].store;
        for (id, row) in &store.negotiations {
            if row.open && !world.is_traitor(at) {
                return Err(format!("n{at}: negotiation {id} is still {}", row.state));
            }
            pair(world, at, id, row, |it| &it.negotiations)?;
        }
        for (id, row) in &store.transfers {
            let waits = matches!(row.state, "STARTED" | "SUSPENDED");
            if row.open && !waits && !world.is_traitor(at) {
                return Err(format!("n{at}: transfer {id} is still {}", row.state));
            }
            if row.open
                && row
                    .of
                    .as_ref()
                    .is_some_and(|of| store.contracts.get(of).is_some_and(|it| !it.open))
            {
                return Err(format!(
                    "n{at}: transfer {id} is {} although its contract ended",
                    row.state
                ));
            }
            pair(world, at, id, row, |it| &it.transfers)?;
        }
        if let Some((id, _)) = store.outbox.iter().next().filter(|_| world.traitor.is_none()) {
            return Err(format!("n{at}: message {id} is still not delivered"));
        }
    }
    Ok(())
}

fn pair(
    world: &World,
    at: usize,
    id: &Id,
    row: &Row,
    table: fn(&crate::store::Store) -> &Table,
) -> Result<(), String> {
    let Some(peer) = row.peer.as_ref().and_then(|it: &Did| world.node_of(it)) else {
        return Ok(());
    };
    if world.is_traitor(at)
        || world.is_traitor(peer)
        || world.nodes[at].restored
        || world.nodes[peer].restored
        || world.unheard(at, peer)
    {
        return Ok(());
    }
    let me = &world.nodes[at].did;
    let mirrors = |(theirs, it): &(&Id, &Row)| {
        it.peer.as_ref() == Some(me)
            && (it.pid.as_ref() == Some(id) || row.pid.as_ref() == Some(*theirs))
    };
    match table(&world.nodes[peer].store).iter().find(mirrors) {
        Some((theirs, other)) if other.state != row.state => Err(format!(
            "{id} is {} at n{at}, its twin {theirs} is {} at n{peer}",
            row.state, other.state
        )),
        None if row.state != "TERMINATED" => {
            Err(format!("{id} is {} at n{at}, and n{peer} does not know it", row.state))
        }
        Some(_) | None => Ok(()),
    }
}
