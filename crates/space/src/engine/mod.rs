//! The unit of work: what a received message, a delivery's outcome, a due timer or a wish of ours changes.
//!
//! `needs(input)` says what must be loaded, `decide(node, view, input, now, ids)` says what follows, as one
//! [`commit::Commit`] that is executed in one transaction: by the node in its database, by the simulator
//! in memory. Duplicates, retries, giving up, deadlines and the automatic answers are decided here.
//!
//! **Architecture invariant:** whoever executes a commit decides nothing.

pub mod commit;
mod contract;
mod dataflow;
mod dataplane;
mod deliver;
pub mod derived;
mod due;
mod gate;
pub mod input;
mod negotiation;
pub mod node;
mod notice;
pub mod refusal;
mod renewal;
mod rule;
mod signature;
mod suspension;
pub mod transfer;
pub mod view;

use crate::evidence::fact::What;
use crate::id::Ids;
use crate::time::Time;

use commit::Decision;
use input::{Heard, Input, Wish};
use node::Node;
use view::{More, Needs, View};

/// What the store must load, in one transaction with what [`decide`] returns.
pub fn needs(input: &Input) -> Needs {
    match input {
        Input::Heard(heard) => match &heard.what {
            Heard::Negotiation(it) => negotiation::needs(&heard.from, it),
            Heard::Transfer(it) => transfer::needs(&heard.from, it),
            Heard::Ask(request) | Heard::Rewrap(request) => gate::needs(request),
            Heard::Renew(it) => renewal::needs(it),
            Heard::RenewAttested(it) => renewal::needs(&it.0),
            Heard::Attested(it) => gate::needs(&it.0),
            Heard::Return { lease, .. } => {
                Needs { lease: Some(lease.clone()), lease_contract: true, ..Needs::default() }
            }
            Heard::LeaseEnded { contract, lease, .. } => Needs {
                contract: Some(contract.clone()),
                lease: Some(lease.clone()),
                missed: Some(lease.clone()),
                ..Needs::default()
            },
            Heard::Ended { contract, .. } => Needs {
                contract: Some(contract.clone()),
                open_under: Some(contract.clone()),
                ..Needs::default()
            },
            Heard::Standing { contract, .. } => Needs {
                contract: Some(contract.clone()),
                open_under: Some(contract.clone()),
                ..Needs::default()
            },
            Heard::Deleted { contract, .. } => {
                Needs { contract: Some(contract.clone()), ..Needs::default() }
            }
        }
        .with_message(&heard.from, heard.id.as_ref()),
        Input::Delivered { send, .. } => send.about.needs(),
        Input::Due(timer) => timer.what.needs(),
        Input::Wish(wish) => wish.needs(),
        Input::Ordered(it) => dataplane::needs(it),
        Input::Reported(it) => dataflow::of(&it.flow),
    }
}

/// What must be loaded besides, given what [`needs`] asked for: nothing for most inputs and contracts.
pub fn needs_more(node: &Node<'_>, view: &View, input: &Input) -> More {
    match input {
        Input::Heard(heard) => match &heard.what {
            Heard::Ask(request) | Heard::Rewrap(request) => gate::needs_more(node, view, request),
            Heard::Attested(both) => gate::needs_more(node, view, &both.0),
            Heard::Renew(_) | Heard::RenewAttested(_) => gate::renewal_needs_more(node, view),
            Heard::Negotiation(_)
            | Heard::Transfer(_)
            | Heard::Return { .. }
            | Heard::LeaseEnded { .. }
            | Heard::Standing { .. }
            | Heard::Ended { .. }
            | Heard::Deleted { .. } => More::default(),
        },
        Input::Wish(wish) => derived::needs_more(view, wish),
        Input::Delivered { .. } | Input::Due(_) | Input::Ordered(_) | Input::Reported(_) => {
            More::default()
        }
    }
}

/// What follows from `input`, given what [`needs`] and [`needs_more`] asked for.
pub fn decide(
    node: &Node<'_>,
    view: &View,
    input: Input,
    now: Time,
    ids: &mut dyn Ids,
) -> Decision {
    let mut work = commit::Work { node, view, now, ids, commit: commit::Commit::default() };
    let reply = match input {
        Input::Heard(it) => heard(&mut work, *it),
        Input::Delivered { send, outcome } => deliver::delivered(&mut work, *send, outcome),
        Input::Due(timer) => due::due(&mut work, timer),
        Input::Wish(wish) => wished(&mut work, *wish),
        Input::Ordered(it) => dataplane::ordered(&mut work, *it),
        Input::Reported(it) => dataflow::reported(&mut work, *it),
    };
    work.finish(reply)
}

fn heard(work: &mut commit::Work<'_>, it: input::Received) -> commit::Answer {
    // A message id that was acknowledged before is acknowledged again; its effect stands already.
    // Not so a request for a lease: its nonce decides, and a lease that ended since must not open again. Nor a renewal,
    // for its number does.
    let anew = matches!(
        it.what,
        Heard::Ask(_)
            | Heard::Attested(_)
            | Heard::Rewrap(_)
            | Heard::Renew(_)
            | Heard::RenewAttested(_)
    );
    if !anew && let Some(seen) = &work.view.seen {
        return notice::seen_again(work, seen, &it);
    }
    let id = it.id.clone();
    let from = it.from.clone();
    let digest = it.digest;
    let reply = match it.what {
        Heard::Negotiation(spoken) => {
            negotiation::heard(work, &it.from, it.key.as_ref(), id.clone(), *spoken)
        }
        Heard::Transfer(spoken) => transfer::heard(work, &it.from, id.clone(), *spoken),
        Heard::Ask(request) => gate::asked(work, (&it.from, &it.seen), &request, None, false),
        Heard::Attested(both) => {
            gate::asked(work, (&it.from, &it.seen), &both.0, Some(&both.1), false)
        }
        Heard::Rewrap(request) => gate::asked(work, (&it.from, &it.seen), &request, None, true),
        Heard::Renew(renewal) => renewal::asked(work, (&it.from, &it.seen), &renewal, None),
        Heard::RenewAttested(both) => {
            renewal::asked(work, (&it.from, &it.seen), &both.0, Some(&both.1))
        }
        Heard::Return { lease, outcome, receipt } => {
            let key = it.key.as_ref();
            gate::returned(work, (&it.from, key), &lease, outcome, receipt)
        }
        Heard::LeaseEnded { contract, lease, how } => {
            gate::heard_end(work, &it.from, &contract, &lease, how)
        }
        Heard::Ended { contract, why, reason } => {
            contract::heard_end(work, &it.from, &contract, why, reason)
        }
        Heard::Standing { contract, change, reason } => {
            suspension::heard(work, &it.from, &contract, change, reason)
        }
        Heard::Deleted { contract, deletion } => {
            contract::heard_deletion(work, &it.from, it.key.as_ref(), &contract, deletion)
        }
    };
    if reply.is_ok()
        && let Some(id) = id
    {
        work.commit.seen = Some(commit::Seen { peer: from, id, digest, at: work.now });
    }
    reply
}

fn wished(work: &mut commit::Work<'_>, wish: Wish) -> commit::Answer {
    match wish {
        Wish::Request(it) => negotiation::request(work, *it),
        Wish::Say { negotiation, body } => negotiation::say(work, &negotiation, body),
        Wish::Fetch(it) => transfer::request(work, *it),
        Wish::SayTransfer { transfer, body } => transfer::say(work, &transfer, body),
        Wish::Provided { transfer, address, bytes, content } => {
            transfer::provided(work, &transfer, address, bytes, content)
        }
        Wish::Received { transfer, bytes, content } => {
            transfer::received(work, &transfer, bytes, content)
        }
        Wish::ResumeTransfer { transfer } => transfer::resume(work, &transfer),
        Wish::Pushed { transfer, bytes, content } => {
            transfer::pushed(work, &transfer, bytes, content)
        }
        Wish::Arrived { transfer, bytes, content } => {
            transfer::arrived(work, &transfer, bytes, content)
        }
        Wish::TransferRests { transfer, seen } => transfer::rests(work, &transfer, seen),
        Wish::Hold(it) => gate::hold(work, *it),
        Wish::Renewed { lease, number, until } => renewal::heard(work, &lease, number, until),
        Wish::Join { ours, request } => gate::join(work, *ours, &request),
        Wish::Close { lease, outcome } => gate::close(work, &lease, outcome),
        Wish::Used { lease, outcome } => gate::used(work, &lease, outcome),
        Wish::EndContract { contract, why, reason } => contract::end(work, &contract, why, reason),
        Wish::Consent { contract } => contract::consent(work, &contract),
        Wish::Suspend { contract, reason } => suspension::suspend(work, &contract, reason),
        Wish::Resume { contract } => suspension::resume(work, &contract),
        Wish::Recall { contract, reason } => contract::recall(work, &contract, reason),
        Wish::KeyDestroyed { contract } => contract::key_destroyed(work, &contract),
        Wish::Erased { contract, files } => contract::erased(work, &contract, files),
        Wish::Publish(product) => contract::publish(work, *product),
        Wish::TablePrepared { product, table, statement, entries, bytes } => {
            let what = What::TablePrepared { table, statement, entries, bytes };
            contract::of_product(work, product, what)
        }
        Wish::FlowReady { flow, address } => dataplane::ready(work, &flow, address),
        Wish::FlowDone { flow, bytes, content } => dataplane::done(work, &flow, bytes, content),
        Wish::FlowMoved { flow, bytes, content } => dataplane::moved(work, &flow, bytes, content),
        Wish::FlowRenewed { flow, address } => dataplane::renewed(work, &flow, address),
        Wish::FlowRests { flow, seen } => dataplane::rests(work, &flow, seen),
        Wish::FlowFailed { flow, reason } => dataplane::failed(work, &flow, reason),
        Wish::Adopt(it) => contract::adopt(work, *it),
        Wish::Postpone { timer, attempts } => due::postpone(work, timer, attempts),
    }
}

#[cfg(test)]
mod tests;
