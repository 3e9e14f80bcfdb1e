//! 11: from the moment on in which a data plane has acknowledged that a flow rests or is over, no byte of it leaves
//! or enters, until the control plane has it go on.

use super::Moment;
use crate::world::World;

pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Moved { node, flow } = moment else { return Ok(()) };
    if world.reference.halted.contains(&(*node, flow.id.clone())) {
        return Err(format!("n{node}: bytes of {} moved after it was told to stop", flow.id));
    }
    Ok(())
}
