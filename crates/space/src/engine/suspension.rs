//! Suspension: the provider stops everything under a contract for a while, and lets it go on.
//!
//! Never the consumer's to decide, and never dependent on its node: the gate refuses from this commit on, whether or not
//! the notice arrives. Leases do not come back by resumption: a use that was stopped is a new use. Deliveries go on where
//! this suspension, and not a person, stopped them.

use crate::contract::{Contract, End, State};
use crate::evidence::fact::What;
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::lease::machine::Input as LeaseEvent;
use crate::negotiation::message::Role;
use crate::transfer::message::Body;
use crate::transfer::state::{Name, State as Moving, Transfer};

use super::commit::{Answer, Due, Job, Reply, Work};
use super::{contract, dataflow, gate, notice, transfer};

/// The first reason of a delivery's suspension that came from here.
const MARK: &str = "contract.suspended";

/// Provider: nothing is used under it until [`resume`].
pub(super) fn suspend(work: &mut Work<'_>, id: &Id, reason: String) -> Answer {
    let mut contract = ours(work, id)?;
    match &contract.state {
        // Said twice: the first reason stands.
        State::Suspended { .. } => return Ok(Reply::Contract(contract.id)),
        State::Active => {}
        State::Ended { .. } => return Err(over()),
    }
    contract.state = State::Suspended { at: work.now, reason: reason.clone() };
    changed(work, &mut contract, Some(&reason));
    revoke_leases(work)?;
    for it in work.view.open_transfers.clone() {
        if let Some(stopped) = stop(work, &it, &reason) {
            work.commit.transfers.push(stopped);
        }
    }
    let id = contract.id.clone();
    work.commit.contracts.push(contract);
    Ok(Reply::Contract(id))
}

/// Provider: uses may be asked for again, and what the suspension stopped is delivered.
pub(super) fn resume(work: &mut Work<'_>, id: &Id) -> Answer {
    let mut contract = ours(work, id)?;
    match &contract.state {
        State::Active => return Ok(Reply::Contract(contract.id)),
        State::Suspended { .. } => {}
        State::Ended { .. } => return Err(over()),
    }
    contract.state = State::Active;
    changed(work, &mut contract, None);
    let id = contract.id.clone();
    if gate::used_up(&contract, work.view.spent) {
        // Its last use was stopped by the suspension: nothing is left to resume.
        let reason = "all uses are used".to_owned();
        contract::end_active(work, contract, End::UsedUp, Role::Provider, reason)?;
        return Ok(Reply::Contract(id));
    }
    for it in work.view.open_transfers.clone() {
        if let Some(moved) = go_on(work, it)? {
            work.commit.transfers.push(moved);
        }
    }
    work.commit.contracts.push(contract);
    Ok(Reply::Contract(id))
}

/// Consumer: the provider suspended (with its reason) or resumed the contract. What it said before a later word is old.
pub(super) fn heard(
    work: &mut Work<'_>,
    from: &Did,
    id: &Id,
    change: u32,
    reason: Option<String>,
) -> Answer {
    let mut contract = contract::of_peer(work, from, id)?;
    if contract.role != Role::Consumer {
        let why = "only the provider suspends and resumes a contract";
        return Err(Fault::misbehaved("contract.standing", why));
    }
    if contract.is_over() || change <= contract.changes {
        return Ok(Reply::Contract(contract.id));
    }
    contract.changes = change;
    let suspended = reason.is_some();
    contract.state = match reason.clone() {
        Some(reason) => State::Suspended { at: work.now, reason },
        None => State::Active,
    };
    record(work, &contract, reason.as_deref());
    if suspended {
        revoke_leases(work)?;
    }
    let id = contract.id.clone();
    work.commit.contracts.push(contract);
    Ok(Reply::Contract(id))
}

/// A transfer of ours moved, and the contract may have been suspended or resumed meanwhile.
pub(super) fn follow(work: &mut Work<'_>, it: Transfer) -> Result<Transfer, Fault> {
    let Some(contract) = work.view.contract.clone().filter(|of| of.id == it.contract) else {
        return Ok(it);
    };
    if it.role != Role::Provider {
        return Ok(it);
    }
    match &contract.state {
        State::Suspended { reason, .. } => Ok(stop(work, &it, reason).unwrap_or(it)),
        State::Active => Ok(go_on(work, it.clone())?.unwrap_or(it)),
        State::Ended { .. } => Ok(it),
    }
}

fn ours(work: &Work<'_>, id: &Id) -> Result<Contract, Fault> {
    let found = work.view.contract.clone().filter(|it| it.id == *id);
    let it = found.ok_or(Fault::NotFound { what: "contract" })?;
    if it.role == Role::Provider {
        Ok(it)
    } else {
        let why = "only the provider suspends and resumes a contract";
        Err(Fault::refused("contract.suspend", why))
    }
}

fn over() -> Fault {
    Fault::refused("contract.over", "the contract has ended: nothing can be suspended or resumed")
}

fn changed(work: &mut Work<'_>, contract: &mut Contract, reason: Option<&str>) {
    contract.changes = contract.changes.saturating_add(1);
    record(work, contract, reason);
    notice::contract_standing(work, contract, reason);
}

fn record(work: &mut Work<'_>, contract: &Contract, reason: Option<&str>) {
    let (change, reason) = (contract.changes, reason.map(str::to_owned));
    work.fact(contract::links(contract), What::ContractStanding { change, reason });
}

/// Those that we granted and those that we hold.
fn revoke_leases(work: &mut Work<'_>) -> Result<(), Fault> {
    for lease in work.view.open_leases.clone() {
        gate::end_lease(work, lease, LeaseEvent::Revoke)?;
    }
    Ok(())
}

/// A delivery that runs stops; one that is not acknowledged yet does when it is.
fn stop(work: &mut Work<'_>, it: &Transfer, reason: &str) -> Option<Transfer> {
    if it.role != Role::Provider || it.state.name() != Name::Started || it.pending.is_some() {
        return None;
    }
    let reason = vec![MARK.to_owned(), reason.to_owned()];
    transfer::say_now(work, it.clone(), Body::Suspend { code: Some(MARK.to_owned()), reason }).ok()
}

/// What waits, or was stopped by a suspension, is laid ready and started.
fn go_on(work: &mut Work<'_>, it: Transfer) -> Result<Option<Transfer>, Fault> {
    let stopped = match &it.state {
        Moving::Suspended { by: Role::Provider, reason, .. }
            if reason.first().is_some_and(|it| it == MARK) =>
        {
            true
        }
        Moving::Requested => false,
        Moving::Initial
        | Moving::Suspended { .. }
        | Moving::Started { .. }
        | Moving::Completed { .. }
        | Moving::Terminated { .. } => return Ok(None),
    };
    if it.role != Role::Provider || it.pending.is_some() {
        return Ok(None);
    }
    if dataflow::of_transfer(work, &it.id).is_none() {
        work.timer(work.now, Due::Job(Job::Provide { transfer: it.id }));
        return Ok(None);
    }
    // The data plane of another program got ready on its own, and starts again when it is told.
    if stopped {
        transfer::say_now(work, it, Body::Start { address: None }).map(Some)
    } else {
        Ok(None)
    }
}
