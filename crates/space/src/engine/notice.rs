//! Notices of our own profile to the peer, and repeated messages.
//!
//! Never the only carrier of a right: what a notice says holds at the sender whether or not it arrives.

use crate::contract::{Contract, Deletion, End};
use crate::evidence::fact::Closed;
use crate::fault::Fault;
use crate::lease::message::Outcome;
use crate::lease::state::Lease;
use crate::negotiation::message::Signature;
use crate::wire::tidm;

use super::commit::{About, Answer, Reply, Seen, Send, Work};
use super::input::{Heard, Received};

/// The same id again: acknowledged as before, if it is the same message.
pub(super) fn seen_again(work: &Work<'_>, seen: &Seen, it: &Received) -> Answer {
    if seen.digest != it.digest {
        return Err(Fault::misbehaved(
            "message.id",
            "this message id was used for another message",
        ));
    }
    Ok(match &it.what {
        Heard::Negotiation(_) => match &work.view.negotiation {
            Some(known) => Reply::Negotiation { it: Box::new(known.clone()), created: false },
            None => Reply::Nothing,
        },
        Heard::Transfer(_) => match &work.view.transfer {
            Some(known) => Reply::Transfer { it: Box::new(known.clone()), created: false },
            None => Reply::Nothing,
        },
        Heard::Ask(_)
        | Heard::Attested(_)
        | Heard::RenewAttested(_)
        | Heard::Rewrap(_)
        | Heard::Renew(_)
        | Heard::Return { .. } => Reply::Nothing,
        Heard::LeaseEnded { contract, .. }
        | Heard::Ended { contract, .. }
        | Heard::Standing { contract, .. }
        | Heard::Deleted { contract, .. } => Reply::Contract(contract.clone()),
    })
}

pub(super) fn contract_ended(work: &mut Work<'_>, contract: &Contract, why: End, reason: &str) {
    let id = work.ids.fresh();
    let posting = tidm::notice::contract_ended(&id, &contract.id, why, reason);
    post(work, id, contract, posting);
}

pub(super) fn contract_standing(work: &mut Work<'_>, contract: &Contract, reason: Option<&str>) {
    let id = work.ids.fresh();
    let posting = tidm::notice::contract_standing(&id, &contract.id, contract.changes, reason);
    post(work, id, contract, posting);
}

pub(super) fn lease_returned(
    work: &mut Work<'_>,
    contract: &Contract,
    lease: &Lease,
    outcome: &Outcome,
    receipt: &Signature,
) {
    let id = work.ids.fresh();
    let posting = tidm::notice::lease_returned(&id, &lease.id, outcome, Some(receipt));
    post(work, id, contract, posting);
}

pub(super) fn lease_ended(work: &mut Work<'_>, contract: &Contract, lease: &Lease, how: Closed) {
    let id = work.ids.fresh();
    let posting = tidm::notice::lease_ended(&id, &contract.id, &lease.id, how);
    post(work, id, contract, posting);
}

pub(super) fn deleted(work: &mut Work<'_>, contract: &Contract, deletion: &Deletion) {
    let id = work.ids.fresh();
    let posting = tidm::notice::deleted(&id, &contract.id, deletion);
    post(work, id, contract, posting);
}

fn post(
    work: &mut Work<'_>,
    id: crate::id::Id,
    contract: &Contract,
    posting: crate::wire::Posting,
) {
    work.commit.sends.push(Send {
        id,
        to: contract.peer.clone(),
        url: format!("{}{}", contract.address, posting.path),
        body: posting.body,
        about: About::Notice { contract: contract.id.clone() },
        attempts: 0,
        first: work.now,
        next: work.now,
    });
}
