//! 14: one request of a holder leads to one credential at most, each at a place of its own; and once messages stop
//! being lost, holder and issuer say the same of it.

use std::collections::BTreeSet;

use tidm_space::identity::issuance::wallet::Answered;

use super::Moment;
use crate::credentials::Credentials;
use crate::world::World;

pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    let Some(space) = &world.space else { return Ok(()) };
    let issuer = &world.nodes[space.operator].store.credentials;
    if let Moment::Issued { node, issuance } = moment {
        return once(*node, issuer, &issuance.id);
    }
    let Moment::End = moment else { return Ok(()) };
    let at = space.operator;
    for (id, it) in &issuer.requests {
        let Some(holder) = world.node_of(&it.holder) else { continue };
        if matches!(it.state, "approved" | "refused") {
            return Err(format!("n{at}: request {id} is still {}", it.state));
        }
        if world.nodes[holder].restored || world.is_traitor(holder) {
            continue;
        }
        let asked = world.nodes[holder].store.credentials.asked.get(&it.holder_pid);
        let answered = asked.map(|it| it.answered);
        let alike = match it.state {
            "issued" => answered == Some(Answered::Issued),
            "rejected" => answered.is_some_and(|it| it != Answered::Issued),
            // It waits for a person; or a day went by, and its last acknowledgement was lost.
            _ => true,
        };
        if !alike {
            return Err(format!(
                "request {id} is {} at its issuer n{at}, and {} at n{holder}",
                it.state,
                answered.map_or("unknown", Answered::word)
            ));
        }
    }
    for (holder, node) in world.nodes.iter().enumerate() {
        for (pid, _) in
            node.store.credentials.asked.iter().filter(|(_, it)| it.answered == Answered::Issued)
        {
            let known = |it: &&crate::credentials::Request| {
                it.holder == node.did && it.holder_pid == *pid && it.state != "rejected"
            };
            if !issuer.requests.values().any(|it| known(&it)) {
                return Err(format!("n{holder} was issued {pid}, of which n{at} knows nothing"));
            }
        }
    }
    Ok(())
}

/// By the issuer's rows: requests of one name that were granted, and places that one request took.
fn once(at: usize, issuer: &Credentials, id: &str) -> Result<(), String> {
    let Some(it) = issuer.requests.get(id) else { return Ok(()) };
    let granted = |state: &str| matches!(state, "approved" | "issued" | "undelivered");
    let same = issuer.requests.values().filter(|other| {
        other.holder == it.holder && other.holder_pid == it.holder_pid && granted(other.state)
    });
    let count = same.count();
    if count > 1 {
        return Err(format!("n{at}: {} was issued {count} times", it.holder_pid));
    }
    let mut requests = BTreeSet::new();
    for place in &issuer.places {
        if !requests.insert(&place.issuance) {
            return Err(format!("n{at}: request {} took two places", place.issuance));
        }
    }
    Ok(())
}
