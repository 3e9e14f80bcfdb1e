//! Approval rules at work: what a rule makes of a state that was reached, now or when its delay is over.
//!
//! Never says what a person of ours would have to answer for: terms that this node neither offered nor asked for wait
//! for approval, whatever the rule says. A rule that comes due after the state moved on does nothing.

use std::time::Duration;

use crate::approval::{Rule, Then, When};
use crate::fault::Fault;
use crate::limits::{APPROVAL_IDLE, NEGOTIATION_IDLE};
use crate::negotiation::message::{Body, Role};
use crate::negotiation::state::{Name, Negotiation};
use crate::policy::model::Policy;
use crate::transfer::message::Body as Moved;
use crate::transfer::state::{Name as Phase, Transfer};

use super::commit::{Answer, Due, Job, Reply, Work};
use super::{negotiation, transfer};

/// The code of an ending that a rule of ours decided.
const CODE: &str = "rule";
const REASON: &str = "by an approval rule of this side";

/// The rule for the state that a negotiation is in.
pub(super) fn of(it: &Negotiation) -> Option<&Rule> {
    // Haggling alternates, so that both states of it are reached once in two rounds; the others once at all.
    let round = match it.state.name() {
        Name::Requested | Name::Offered => it.rounds.div_ceil(2),
        Name::Initial
        | Name::Accepted
        | Name::Agreed
        | Name::Verified
        | Name::Finalized
        | Name::Terminated => 1,
    };
    it.rules.at(When::Negotiation(it.state.name()), round)
}

/// How long a rule lets a negotiation stand still.
pub(super) fn patience(it: &Negotiation) -> Option<Duration> {
    let rule = of(it)?;
    Some(match rule.then {
        // By hand goes on by people's clocks.
        Then::Hold | Then::Ask => APPROVAL_IDLE,
        Then::Offer
        | Then::Agree
        | Then::Accept
        | Then::Counter
        | Then::Verify
        | Then::Finalize
        | Then::Terminate
        | Then::Start
        | Then::Suspend
        | Then::Complete => rule.after.saturating_add(NEGOTIATION_IDLE),
    })
}

/// A state was reached without a message of the peer's: ours was acknowledged.
pub(super) fn reached(work: &mut Work<'_>, it: Negotiation) -> Negotiation {
    match of(&it).cloned() {
        Some(rule) if it.is_open() && it.pending.is_none() => take(work, it, &rule),
        Some(_) | None => it,
    }
}

/// Does it now, or sets the timer that will.
pub(super) fn take(work: &mut Work<'_>, it: Negotiation, rule: &Rule) -> Negotiation {
    if rule.then == Then::Hold {
        return it;
    }
    if rule.after.is_zero() {
        return attempt(work, it, rule.then);
    }
    work.timer(work.now.after(rule.after), Due::NegotiationRule(it.id.clone()));
    it
}

/// What cannot be said (the peer never told its pid, the rounds are used up) is not said: the message that led here
/// is acknowledged all the same, and the deadline ends what nobody goes on with.
fn attempt(work: &mut Work<'_>, it: Negotiation, then: Then) -> Negotiation {
    act(work, it.clone(), then).unwrap_or(it)
}

fn act(work: &mut Work<'_>, it: Negotiation, then: Then) -> Result<Negotiation, Fault> {
    match then {
        Then::Offer => match listed(work, &it) {
            Some(offer) => negotiation::propose(work, it, offer, |offer| Body::Offer { offer }),
            None => Ok(negotiation::wait_for_person(work, it)),
        },
        Then::Agree if is_ours(work, &it) => negotiation::agree(work, it),
        Then::Accept if is_asked_for(&it) => negotiation::accept(work, it),
        Then::Counter => match it.proposed.clone() {
            Some(offer) => negotiation::propose(work, it, offer, |offer| Body::Request { offer }),
            None => Ok(negotiation::wait_for_person(work, it)),
        },
        Then::Verify => negotiation::verify(work, it),
        Then::Finalize => negotiation::say_now(work, it, Body::Finalize),
        Then::Terminate => negotiation::end(work, it, CODE, REASON.to_owned()),
        Then::Ask | Then::Agree | Then::Accept => Ok(negotiation::wait_for_person(work, it)),
        // Rules of a negotiation's states are none of these: [`crate::approval::Rules::new`].
        Then::Hold | Then::Start | Then::Suspend | Then::Complete => Ok(it),
    }
}

/// The offer that the negotiation is about, as the catalogue lists it.
fn listed(work: &Work<'_>, it: &Negotiation) -> Option<Policy> {
    let product = work.view.product.as_ref().filter(|product| product.id == it.product)?;
    let offer = product.offer(&it.state.offer()?.id)?;
    negotiation::offered_to(offer, &it.peer).then(|| offer.policy().clone())
}

/// Whether the terms on the table are ones that this node offered: listed, or said by itself.
fn is_ours(work: &Work<'_>, it: &Negotiation) -> bool {
    let Some(table) = it.state.offer() else { return false };
    let said = it.proposed.as_ref().is_some_and(|ours| ours.same_terms(table));
    said || listed(work, it).is_some_and(|ours| ours.same_terms(table))
}

fn is_asked_for(it: &Negotiation) -> bool {
    match (&it.proposed, it.state.offer()) {
        (Some(ours), Some(table)) => ours.same_terms(table),
        (_, _) => false,
    }
}

/// The delay of a negotiation's rule is over.
pub(super) fn due(work: &mut Work<'_>) -> Answer {
    let Some(it) = work.view.negotiation.clone() else { return Ok(Reply::Nothing) };
    let Some(rule) = of(&it).cloned().filter(|_| it.is_open() && it.pending.is_none()) else {
        return Ok(Reply::Nothing);
    };
    let at = it.moved.after(rule.after);
    if at > work.now {
        // It moved on to another state with a rule of its own.
        work.timer(at, Due::NegotiationRule(it.id));
        return Ok(Reply::Nothing);
    }
    let it = attempt(work, it, rule.then);
    work.commit.negotiations.push(it);
    Ok(Reply::Nothing)
}

/// The rule of the contract for the state that a transfer is in.
pub(super) fn of_transfer(work: &Work<'_>, it: &Transfer) -> Option<Rule> {
    let contract = work.view.contract.as_ref().filter(|contract| contract.id == it.contract)?;
    let round = match it.state.name() {
        Phase::Started | Phase::Suspended => it.starts,
        Phase::Initial | Phase::Requested | Phase::Completed | Phase::Terminated => 1,
    };
    contract.rules.at(When::Transfer(it.state.name()), round).cloned()
}

/// A transfer reached a state that a rule speaks of. `None`: no rule does.
pub(super) fn reached_transfer(work: &mut Work<'_>, it: &Transfer) -> Option<Transfer> {
    let rule = of_transfer(work, it)?;
    if rule.then == Then::Hold || !it.is_open() || it.pending.is_some() {
        return Some(it.clone());
    }
    if rule.after.is_zero() {
        return Some(attempt_transfer(work, it.clone(), rule.then));
    }
    work.timer(work.now.after(rule.after), Due::TransferRule(it.id.clone()));
    Some(it.clone())
}

fn attempt_transfer(work: &mut Work<'_>, it: Transfer, then: Then) -> Transfer {
    act_transfer(work, it.clone(), then).unwrap_or(it)
}

/// The delay of a transfer's rule is over.
pub(super) fn due_transfer(work: &mut Work<'_>) -> Answer {
    let Some(it) = work.view.transfer.clone() else { return Ok(Reply::Nothing) };
    let rule = of_transfer(work, &it).filter(|_| it.is_open() && it.pending.is_none());
    let Some(rule) = rule else { return Ok(Reply::Nothing) };
    let at = it.moved.after(rule.after);
    if at > work.now {
        work.timer(at, Due::TransferRule(it.id));
        return Ok(Reply::Nothing);
    }
    let it = attempt_transfer(work, it, rule.then);
    work.commit.transfers.push(it);
    Ok(Reply::Nothing)
}

fn act_transfer(work: &mut Work<'_>, it: Transfer, then: Then) -> Result<Transfer, Fault> {
    let (code, reason) = (Some(CODE.to_owned()), vec![REASON.to_owned()]);
    match then {
        Then::Start if it.role == Role::Provider => {
            // Data is laid ready first, anew after a suspension: its address may have been withdrawn.
            work.timer(work.now, Due::Job(Job::Provide { transfer: it.id.clone() }));
            Ok(it)
        }
        Then::Start => transfer::say_now(work, it, Moved::Start { address: None }),
        Then::Suspend => transfer::say_now(work, it, Moved::Suspend { code, reason }),
        Then::Complete => transfer::say_now(work, it, Moved::Complete),
        Then::Terminate => transfer::say_now(work, it, Moved::Terminate { code, reason }),
        Then::Hold
        | Then::Ask
        | Then::Offer
        | Then::Agree
        | Then::Accept
        | Then::Counter
        | Then::Verify
        | Then::Finalize => Ok(it),
    }
}
