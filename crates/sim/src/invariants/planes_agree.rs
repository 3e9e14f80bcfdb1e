//! 12: once messages stop being lost, control plane and data plane are in the same state, nothing is owed between
//! them, and a transfer that is over leaves no flow behind.

use tidm_space::dataflow::message::Plane;
use tidm_space::dataflow::state::{Flow, Name};

use super::Moment;
use crate::world::World;

pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    let (Moment::Calm | Moment::End) = moment else { return Ok(()) };
    for (at, node) in world.nodes.iter().enumerate() {
        // A traitor's own orders may cross; a node that was set back forgot some.
        if world.is_traitor(at) || node.restored {
            continue;
        }
        for (id, row) in &node.store.flows {
            let Ok(Some(flow)) = node.store.flow(id) else {
                return Err(format!("n{at}: flow {id} cannot be read"));
            };
            if flow.plane == Plane::Control {
                agree(world, at, &flow)?;
                let transfer = node.store.transfers.get(id);
                if row.open && transfer.is_none_or(|it| !it.open) {
                    return Err(format!(
                        "n{at}: flow {id} is {} and its transfer is over",
                        row.state
                    ));
                }
            } else {
                known(world, at, &flow)?;
            }
        }
    }
    Ok(())
}

/// The data plane's twin of a control plane's flow.
fn agree(world: &World, at: usize, flow: &Flow) -> Result<(), String> {
    if !flow.owed.is_empty() {
        return Err(format!(
            "n{at}: {} orders wait for the data plane of {}",
            flow.owed.len(),
            flow.id
        ));
    }
    let Some(plane) = world.nodes.iter().position(|it| it.of == Some(at)) else {
        return Err(format!("n{at}: flow {} has no data plane", flow.id));
    };
    let store = &world.nodes[plane].store;
    let twin = store.flows.iter().find(|(_, it)| it.pid.as_ref() == Some(&flow.id));
    match (flow.state.name(), twin) {
        // It was over before the data plane heard of it.
        (Name::Terminated, None) => Ok(()),
        (state, None) => Err(format!(
            "n{at}: flow {} is {}, and its data plane n{plane} does not know it",
            flow.id,
            state.token()
        )),
        (state, Some((_, it))) if it.state == state.token() => Ok(()),
        // What the control plane ended while the data plane came to its end by itself: both are over.
        (state, Some((_, it))) if state.is_terminal() && !it.open => Ok(()),
        (state, Some((id, it))) => Err(format!(
            "n{at}: flow {} is {}, its twin {id} at n{plane} is {}",
            flow.id,
            state.token(),
            it.state
        )),
    }
}

/// A data plane runs nothing that its control plane does not know.
fn known(world: &World, at: usize, flow: &Flow) -> Result<(), String> {
    let Some(control) = world.nodes[at].of else { return Ok(()) };
    if world.is_traitor(control) || world.nodes[control].restored {
        return Ok(());
    }
    if !flow.owed.is_empty() {
        return Err(format!("n{at}: {} reports of {} were never heard", flow.owed.len(), flow.id));
    }
    if world.nodes[control].store.flows.contains_key(&flow.terms.process) {
        return Ok(());
    }
    Err(format!("n{at}: runs {}, of which its control plane n{control} knows nothing", flow.id))
}
