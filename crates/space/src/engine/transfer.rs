//! Transfers: what a message, a wish or a job's report changes.
//!
//! Never moves data: laying ready and fetching are jobs of the shell ([`Job`]).

use tidm_crypto::hash::Digest;

use crate::catalog::delivery::{FLIGHT_SQL_PULL, Use, Way};
use crate::contract::Contract;
use crate::evidence::fact::{Links, What};
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::limits::{TRANSFER_IDLE, TRANSFER_RUNNING};
use crate::negotiation::message::Role;
use crate::time::Time;
use crate::transfer::machine::{self, Input as Event, Step};
use crate::transfer::message::{Body, DataAddress, Message};
use crate::transfer::state::{Name, State, Transfer};
use crate::wire::dsp;

use super::commit::{About, Answer, Due, Job, Reply, Send, Work};
use super::contract;
use super::dataflow;
use super::input::{TransferSpoken, TransferWish};
use super::rule;
use super::view::Needs;

/// The code of a consumer's suspension that asks for a fresh address: the token of the old one is refused.
pub const RENEW: &str = "transfer.token";

pub(super) fn needs(from: &Did, it: &TransferSpoken) -> Needs {
    match (&it.mine, &it.body) {
        (Some(mine), _) => {
            Needs { transfer: Some(mine.clone()), transfer_contract: true, ..Needs::default() }
        }
        (None, Body::Request { contract, .. }) => Needs {
            transfer_of: it.theirs.as_ref().map(|pid| (from.clone(), pid.clone())),
            contract: Some(contract.clone()),
            data_plane: match &it.body {
                Body::Request { format, .. } => Some(format.clone()),
                Body::Start { .. }
                | Body::Complete
                | Body::Suspend { .. }
                | Body::Terminate { .. } => None,
            },
            ..Needs::default()
        },
        (None, _) => Needs::default(),
    }
}

pub(super) fn heard(work: &mut Work<'_>, from: &Did, id: Option<Id>, it: TransferSpoken) -> Answer {
    let (mut transfer, created) = match (&work.view.transfer, &it.mine) {
        (Some(known), _) if known.peer != *from => {
            return Err(Fault::NotFound { what: "transfer" });
        }
        (Some(known), Some(_))
            if it.theirs.is_some() && known.peer_pid.is_some() && known.peer_pid != it.theirs =>
        {
            return Err(Fault::misbehaved(
                "transfer.pid",
                "this message names another transfer of yours",
            ));
        }
        (Some(known), _) => (known.clone(), false),
        (None, Some(_)) => return Err(Fault::NotFound { what: "transfer" }),
        (None, None) => (open(work, from, &it)?, true),
    };
    if transfer.peer_pid.is_none() {
        transfer.peer_pid = it.theirs;
    }
    let starts = matches!(it.body, Body::Start { .. });
    let wants_address =
        matches!(&it.body, Body::Suspend { code, .. } if code.as_deref() == Some(RENEW));
    let (after, step) =
        machine::next(&transfer, Event::Heard(Message { id, body: it.body }), work.now)?;
    if starts && !step.moved.is_empty() && transfer.role == Role::Provider {
        // The consumer resumes what it suspended: the contract must still hold.
        contract_of(work, &transfer)?.check_active()?;
    }
    let moved = !step.moved.is_empty();
    let after = settle(work, after, step)?;
    if moved && starts {
        delivered(work, &after);
    }
    if moved {
        // What is acknowledged is the state that the message led to, before our own answer to it.
        let answered = match rule::reached_transfer(work, &after) {
            Some(answered) => answered,
            None => {
                react(work, &after)?;
                if wants_address {
                    renew(work, &after);
                }
                after.clone()
            }
        };
        work.commit.transfers.push(answered);
    }
    Ok(Reply::Transfer { it: Box::new(after), created })
}

fn open(work: &mut Work<'_>, from: &Did, it: &TransferSpoken) -> Result<Transfer, Fault> {
    let Body::Request { contract: _, format, address } = &it.body else {
        return Err(Fault::NotFound { what: "transfer" });
    };
    let (Some(theirs), Some(callback)) = (&it.theirs, &it.callback) else {
        return Err(Fault::misbehaved(
            "transfer.opening",
            "a transfer request names your pid and a callbackAddress",
        ));
    };
    let Some(contract) =
        work.view.contract.as_ref().filter(|it| it.role == Role::Provider && it.peer == *from)
    else {
        return Err(Fault::NotFound { what: "agreement" });
    };
    contract.check_active()?;
    Ok(Transfer {
        id: work.ids.fresh(),
        role: Role::Provider,
        peer: from.clone(),
        peer_pid: Some(theirs.clone()),
        address: callback.trim_end_matches('/').to_owned(),
        contract: contract.id.clone(),
        format: format.clone(),
        push_to: address.clone(),
        state: State::Initial,
        pending: None,
        starts: 0,
        created: work.now,
        moved: work.now,
    })
}

pub(super) fn contract_of<'a>(work: &'a Work<'_>, it: &Transfer) -> Result<&'a Contract, Fault> {
    let found = work.view.contract.as_ref().filter(|contract| contract.id == it.contract);
    found.ok_or(Fault::ApiMisuse("a transfer without its contract"))
}

/// What the shell has to do now.
pub(super) fn react(work: &mut Work<'_>, it: &Transfer) -> Result<(), Fault> {
    let way = it.delivery().map(|it| it.way);
    let job = match (it.role, &it.state) {
        (Role::Provider, State::Requested) => {
            if dataflow::begin(work, it)? {
                return Ok(());
            }
            Job::Provide { transfer: it.id.clone() }
        }
        // An address to ask statements at is for the consumer's tools: nothing is fetched from it.
        (Role::Consumer, State::Started { address: Some(_) })
            if it.format != FLIGHT_SQL_PULL
                && !matches!(way, Some(Way::Push | Way::Bucket))
                && dataflow::of_transfer(work, &it.id).is_none() =>
        {
            Job::Fetch { transfer: it.id.clone() }
        }
        (Role::Provider, State::Started { .. })
            if matches!(way, Some(Way::Push | Way::Bucket))
                && dataflow::of_transfer(work, &it.id).is_none() =>
        {
            Job::Push { transfer: it.id.clone() }
        }
        (_, _) => return Ok(()),
    };
    work.timer(work.now, Due::Job(job));
    Ok(())
}

/// Provider: the consumer's address is refused by now (its token ran out): lay ready anew, and start with another.
fn renew(work: &mut Work<'_>, it: &Transfer) {
    let waits = it.role == Role::Provider && it.state.name() == Name::Suspended;
    if waits && it.pending.is_none() && dataflow::of_transfer(work, &it.id).is_none() {
        work.timer(work.now, Due::Job(Job::Provide { transfer: it.id.clone() }));
    }
}

/// An operator goes on with what was suspended. A provider lays the data ready first: the old address may be void.
pub(super) fn resume(work: &mut Work<'_>, id: &Id) -> Answer {
    let it = mine(work, id)?;
    let ours = dataflow::of_transfer(work, id).is_none();
    if it.role == Role::Consumer || !ours || it.state.name() != Name::Suspended {
        return say(work, id, Body::Start { address: None });
    }
    contract_of(work, &it)?.check_active()?;
    if it.pending.is_none() {
        work.timer(work.now, Due::Job(Job::Provide { transfer: id.clone() }));
    }
    Ok(Reply::Transfer { it: Box::new(it), created: false })
}

/// Consumer: have the contract's data delivered.
pub(super) fn request(work: &mut Work<'_>, wish: TransferWish) -> Answer {
    let Some(contract) = work.view.contract.clone().filter(|it| it.role == Role::Consumer) else {
        return Err(Fault::NotFound { what: "contract" });
    };
    contract.check_active()?;
    let it = Transfer {
        id: wish.id.unwrap_or_else(|| work.ids.fresh()),
        role: Role::Consumer,
        peer: contract.peer.clone(),
        peer_pid: None,
        address: wish.address.map_or(contract.address, |it| it.trim_end_matches('/').to_owned()),
        contract: contract.id.clone(),
        format: wish.format.clone(),
        push_to: wish.push_to.clone(),
        state: State::Initial,
        pending: None,
        starts: 0,
        created: work.now,
        moved: work.now,
    };
    // A data plane of another program gets ready first: a push needs its address.
    let it = if dataflow::begin(work, &it)? {
        settle(work, it, Step::default())?
    } else {
        let body =
            Body::Request { contract: contract.id, format: wish.format, address: wish.push_to };
        say_now(work, it, body)?
    };
    work.commit.transfers.push(it.clone());
    Ok(Reply::Transfer { it: Box::new(it), created: true })
}

/// What an operator or a job says.
pub(super) fn say(work: &mut Work<'_>, id: &Id, body: Body) -> Answer {
    let it = mine(work, id)?;
    if matches!(body, Body::Start { .. }) {
        contract_of(work, &it)?.check_active()?;
        // Said by the job that gets an address ready, or in its place.
        work.untimer(&Due::Job(Job::Provide { transfer: id.clone() }));
    }
    let it = if let Body::Terminate { reason, .. } = &body
        && it.peer_pid.is_none()
        && it.is_open()
    {
        // As in a negotiation: a peer that never told its pid cannot be told.
        let event = Event::GiveUp { code: "operator", reason: reason.join("; ") };
        let (after, step) = machine::next(&it, event, work.now)?;
        settle(work, after, step)?
    } else {
        say_now(work, it, body)?
    };
    work.commit.transfers.push(it.clone());
    Ok(Reply::Transfer { it: Box::new(it), created: false })
}

fn mine(work: &Work<'_>, id: &Id) -> Result<Transfer, Fault> {
    work.view.transfer.clone().filter(|it| it.id == *id).ok_or(Fault::NotFound { what: "transfer" })
}

/// Provider's job: the data lies ready there; say so.
pub(super) fn provided(
    work: &mut Work<'_>,
    id: &Id,
    address: Option<DataAddress>,
    bytes: u64,
    content: Digest,
) -> Answer {
    let it = mine(work, id)?;
    work.untimer(&Due::Job(Job::Provide { transfer: id.clone() }));
    let waits = matches!(it.state.name(), Name::Requested | Name::Suspended);
    if it.role != Role::Provider || !waits || it.pending.is_some() {
        // It ended meanwhile, or the job ran twice: nothing to say.
        return Ok(Reply::Transfer { it: Box::new(it), created: false });
    }
    let contract = contract_of(work, &it)?;
    if !contract.is_active() && !contract.is_over() {
        // Suspended: its resumption has this done again.
        return Ok(Reply::Transfer { it: Box::new(it), created: false });
    }
    if contract.is_over() {
        let reason = vec!["the contract ended".to_owned()];
        let it =
            say_now(work, it, Body::Terminate { code: Some("contract.ended".to_owned()), reason })?;
        work.commit.transfers.push(it.clone());
        return Ok(Reply::Transfer { it: Box::new(it), created: false });
    }
    // What is pushed is delivered when it has left.
    if address.is_some() {
        work.fact(links(&it), What::Delivered { bytes, content });
    }
    let it = say_now(work, it, Body::Start { address })?;
    work.commit.transfers.push(it.clone());
    Ok(Reply::Transfer { it: Box::new(it), created: false })
}

/// Consumer's job: everything arrived and its digest is right; the transfer is complete.
pub(super) fn received(work: &mut Work<'_>, id: &Id, bytes: u64, content: Digest) -> Answer {
    let it = mine(work, id)?;
    work.untimer(&Due::Job(Job::Fetch { transfer: id.clone() }));
    if it.role != Role::Consumer || it.state.name() != Name::Started || it.pending.is_some() {
        return Ok(Reply::Transfer { it: Box::new(it), created: false });
    }
    work.fact(links(&it), What::Delivered { bytes, content });
    let it = say_now(work, it, Body::Complete)?;
    work.commit.transfers.push(it.clone());
    Ok(Reply::Transfer { it: Box::new(it), created: false })
}

/// Provider's job: everything was pushed and taken; the transfer is complete.
pub(super) fn pushed(work: &mut Work<'_>, id: &Id, bytes: u64, content: Digest) -> Answer {
    let it = mine(work, id)?;
    work.untimer(&Due::Job(Job::Push { transfer: id.clone() }));
    if it.role != Role::Provider || it.state.name() != Name::Started || it.pending.is_some() {
        return Ok(Reply::Transfer { it: Box::new(it), created: false });
    }
    work.fact(links(&it), What::Delivered { bytes, content });
    let it = say_now(work, it, Body::Complete)?;
    work.commit.transfers.push(it.clone());
    Ok(Reply::Transfer { it: Box::new(it), created: false })
}

/// Consumer: what was pushed here is whole. The provider says that it is complete.
pub(super) fn arrived(work: &mut Work<'_>, id: &Id, bytes: u64, content: Digest) -> Answer {
    let it = mine(work, id)?;
    work.fact(links(&it), What::Delivered { bytes, content });
    Ok(Reply::Transfer { it: Box::new(it), created: false })
}

/// A job found nothing to do, as the transfer stood then. If it moved since, another run is due that must not be lost.
pub(super) fn rests(work: &mut Work<'_>, id: &Id, seen: Time) -> Answer {
    let it = mine(work, id)?;
    if it.moved == seen {
        work.untimer(&Due::Job(Job::Fetch { transfer: id.clone() }));
        work.untimer(&Due::Job(Job::Push { transfer: id.clone() }));
    }
    Ok(Reply::Transfer { it: Box::new(it), created: false })
}

/// Plain bytes are used from their delivery on: nobody asks for a lease. Told before the first of them can leave.
fn delivered(work: &mut Work<'_>, it: &Transfer) {
    let plain = it.delivery().is_none_or(|it| it.kind == Use::Plain);
    let found = work.view.contract.clone().filter(|of| of.id == it.contract);
    if let Some(contract) = found.filter(|_| plain && it.format != FLIGHT_SQL_PULL) {
        let begun = contract::first_used(work, &contract);
        work.commit.contracts.extend(begun);
    }
}

pub(super) fn say_now(work: &mut Work<'_>, it: Transfer, body: Body) -> Result<Transfer, Fault> {
    if it.role == Role::Provider && matches!(body, Body::Start { .. }) {
        delivered(work, &it);
    }
    let message = Message { id: Some(work.ids.fresh()), body };
    let (after, step) = machine::next(&it, Event::Say(message), work.now)?;
    settle(work, after, step)
}

/// Turns a step into rows: facts, outbox, timers.
pub(super) fn settle(work: &mut Work<'_>, it: Transfer, step: Step) -> Result<Transfer, Fault> {
    if step.withdraw {
        work.commit.withdrawn.push(About::Transfer(it.id.clone()));
        work.commit.sends.retain(|send| send.about != About::Transfer(it.id.clone()));
    }
    for (from, to, by) in &step.moved {
        let reason = match &it.state {
            State::Terminated { reason, .. } | State::Suspended { reason, .. } => {
                Some(reason.join("; "))
            }
            State::Initial | State::Requested | State::Started { .. } | State::Completed { .. } => {
                None
            }
        };
        work.fact(links(&it), What::Transfer { from: *from, to: *to, by: *by, reason });
    }
    if let Some(message) = step.send {
        let posting = dsp::transfer::write(&it, &message, work.node.address)?;
        let id = message.id.ok_or(Fault::ApiMisuse("what we say has an id"))?;
        work.commit.sends.push(Send {
            id,
            to: it.peer.clone(),
            url: format!("{}{}", it.address, posting.path),
            body: posting.body,
            about: About::Transfer(it.id.clone()),
            attempts: 0,
            first: work.now,
            next: work.now,
        });
    }
    match patience(&it) {
        Some(span) => work.timer(work.now.after(span), Due::TransferIdle(it.id.clone())),
        None => work.untimer(&Due::TransferIdle(it.id.clone())),
    }
    if !it.is_open() {
        if work.view.contract.as_ref().is_some_and(|of| !of.rules.is_empty()) {
            work.untimer(&Due::TransferRule(it.id.clone()));
        }
        work.untimer(&Due::Job(Job::Provide { transfer: it.id.clone() }));
    }
    if (it.starts > 0 || it.push_to.is_some()) && !it.delivers() {
        stop(work, &it);
    }
    dataflow::follow(work, it, !step.moved.is_empty())
}

/// No bytes may move any more, or for a while.
fn stop(work: &mut Work<'_>, it: &Transfer) {
    if it.role == Role::Provider {
        return work.untimer(&Due::Job(Job::Push { transfer: it.id.clone() }));
    }
    let fetch = Due::Job(Job::Fetch { transfer: it.id.clone() });
    // Of a delivery that broke off for good, the job clears away what had arrived.
    if it.state.name() == Name::Terminated && dataflow::of_transfer(work, &it.id).is_none() {
        work.timer(work.now, fetch);
    } else {
        work.untimer(&fetch);
    }
}

/// How long a transfer may stand still; none once it is over.
pub(super) fn patience(it: &Transfer) -> Option<std::time::Duration> {
    match it.state.name() {
        Name::Initial | Name::Requested => Some(TRANSFER_IDLE),
        Name::Started | Name::Suspended => Some(TRANSFER_RUNNING),
        Name::Completed | Name::Terminated => None,
    }
}

pub(super) fn links(it: &Transfer) -> Links {
    Links {
        peer: Some(it.peer.clone()),
        contract: Some(it.contract.clone()),
        transfer: Some(it.id.clone()),
        ..Links::default()
    }
}
