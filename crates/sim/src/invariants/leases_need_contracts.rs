//! 1: a new lease stands under a contract that has not ended in the very commit that grants or holds it, and whose
//! negotiation is finalized.

use super::Moment;
use crate::world::World;

pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Committed { node, was, commit } = moment else { return Ok(()) };
    let store = &world.nodes[*node].store;
    for lease in commit.leases.iter().filter(|it| !was.leases.contains_key(&it.id)) {
        let id = &lease.request.contract;
        let contract = store.contract(id).map_err(|why| why.to_string())?;
        let Some(contract) = contract else {
            return Err(format!("n{node}: lease {} without contract {id}", lease.id));
        };
        if contract.is_over() {
            return Err(format!("n{node}: lease {} under the ended contract {id}", lease.id));
        }
        if contract.role != lease.role || contract.peer != lease.peer {
            return Err(format!(
                "n{node}: lease {} is another party's than contract {id}",
                lease.id
            ));
        }
        if store.negotiations.get(&contract.negotiation).is_none_or(|it| it.state != "FINALIZED") {
            return Err(format!("n{node}: contract {id} without a finalized negotiation"));
        }
    }
    Ok(())
}
