//! What came of a delivery: move on, try again, or give up with a reason.
//!
//! Never waits: the next try is a time in the outbox row.

use std::time::Duration;

use crate::evidence::fact::{Links, What};
use crate::fault::Fault;
use crate::limits::{RETRY_FIRST, RETRY_GIVE_UP, RETRY_LONGEST, RETRY_NOT_FOUND};
use crate::negotiation;
use crate::transfer;
use crate::transfer::message::{Kind, Message};

use super::commit::{About, Answer, Reply, Send, Work};
use super::dataflow;
use super::input::Outcome;

pub(super) fn delivered(work: &mut Work<'_>, send: Send, outcome: Outcome) -> Answer {
    let waits = waits_for(work, &send);
    match outcome {
        // It was withdrawn, or its effect stands, while it was under way.
        Outcome::Refused { .. } | Outcome::Unreachable { .. } if waits == Waits::No => {
            work.commit.unsends.push(send.id);
            Ok(Reply::Nothing)
        }
        Outcome::Accepted { pid } => {
            work.commit.unsends.push(send.id.clone());
            match &send.about {
                About::Negotiation(_) => acknowledged(work, &send, pid),
                About::Transfer(_) => acknowledged_transfer(work, &send, pid),
                About::Notice { .. } => Ok(Reply::Nothing),
                About::Flow(id) => dataflow::answered(work, id, &send.id, None),
            }
        }
        Outcome::Answered(answer) => {
            work.commit.unsends.push(send.id.clone());
            match &send.about {
                About::Flow(id) => dataflow::answered(work, id, &send.id, Some(*answer)),
                About::Negotiation(_) | About::Transfer(_) | About::Notice { .. } => {
                    Err(Fault::ApiMisuse("only a data plane answers so"))
                }
            }
        }
        Outcome::Refused { not_found, code, reason } => {
            // 404 may mean that the peer has not committed its side yet, or lost its callback for a moment.
            if not_found && work.now.since(send.first) < RETRY_NOT_FOUND {
                return again(work, send);
            }
            work.commit.unsends.push(send.id.clone());
            if !not_found && send.attempts > 0 && opens(work, &send) {
                // An earlier try may have opened it at the peer, whose refusal is then of the repetition. What the
                // peer says next tells, and if it says nothing, the deadline.
                return Ok(Reply::Nothing);
            }
            refused(work, &send, code, reason)
        }
        Outcome::Unreachable { reason } => {
            if waits == Waits::WithoutEnd || work.now.since(send.first) < RETRY_GIVE_UP {
                return again(work, send);
            }
            work.commit.unsends.push(send.id.clone());
            give_up(work, &send, reason)
        }
    }
}

/// Whether it is the message that begins something.
fn opens(work: &Work<'_>, send: &Send) -> bool {
    match &send.about {
        About::Negotiation(_) => {
            let it = work.view.negotiation.as_ref();
            it.is_some_and(|it| it.state == negotiation::state::State::Initial)
        }
        About::Transfer(_) => {
            let it = work.view.transfer.as_ref();
            it.is_some_and(|it| it.state == transfer::state::State::Initial)
        }
        // A refused repetition ends the flow, and the transfer with it: nobody would tell what became of the first.
        About::Flow(_) | About::Notice { .. } => false,
    }
}

/// Whether somebody still waits for the answer to a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    No,
    Yes,
    /// The peer may have ended it on this message: giving up would leave the two sides in different states.
    WithoutEnd,
}

fn waits_for(work: &Work<'_>, send: &Send) -> Waits {
    let (pending, without_end) = match &send.about {
        About::Negotiation(_) => {
            let it = work.view.negotiation.as_ref();
            (
                it.and_then(|it| it.pending.as_ref()?.id.as_ref()),
                it.is_some_and(negotiation::state::Negotiation::must_be_answered),
            )
        }
        About::Transfer(_) => {
            let it = work.view.transfer.as_ref();
            (
                it.and_then(|it| it.pending.as_ref()?.id.as_ref()),
                it.is_some_and(transfer::state::Transfer::must_be_answered),
            )
        }
        About::Notice { .. } => return Waits::Yes,
        About::Flow(id) => (dataflow::under_way(work, id), dataflow::must_be_answered(work, id)),
    };
    match (pending == Some(&send.id), without_end) {
        (false, _) => Waits::No,
        (true, false) => Waits::Yes,
        (true, true) => Waits::WithoutEnd,
    }
}

fn again(work: &mut Work<'_>, mut send: Send) -> Answer {
    send.attempts = send.attempts.saturating_add(1);
    send.next = work.now.after(pause(send.attempts));
    work.commit.sends.push(send);
    Ok(Reply::Nothing)
}

/// Doubling pauses, from [`RETRY_FIRST`] to [`RETRY_LONGEST`].
pub(super) fn pause(attempts: u32) -> Duration {
    let factor = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    RETRY_FIRST.saturating_mul(factor).min(RETRY_LONGEST)
}

fn acknowledged(work: &mut Work<'_>, send: &Send, pid: Option<crate::id::Id>) -> Answer {
    let Some(mut it) = work.view.negotiation.clone() else { return Ok(Reply::Nothing) };
    if it.peer_pid.is_none() {
        it.peer_pid = pid;
    }
    if it.pending.as_ref().is_none_or(|said| said.id.as_ref() != Some(&send.id)) {
        // The acknowledgement of something that was implied or withdrawn meanwhile.
        work.commit.negotiations.push(it);
        return Ok(Reply::Nothing);
    }
    let (after, step) =
        negotiation::machine::next(&it, negotiation::machine::Input::Acknowledged, work.now)?;
    let after = super::negotiation::settle(work, after, step)?;
    let after = super::rule::reached(work, after);
    work.commit.negotiations.push(after);
    Ok(Reply::Nothing)
}

fn acknowledged_transfer(work: &mut Work<'_>, send: &Send, pid: Option<crate::id::Id>) -> Answer {
    let Some(mut it) = work.view.transfer.clone() else { return Ok(Reply::Nothing) };
    if it.peer_pid.is_none() {
        it.peer_pid = pid;
    }
    if it.pending.as_ref().is_none_or(|said| said.id.as_ref() != Some(&send.id)) {
        work.commit.transfers.push(it);
        return Ok(Reply::Nothing);
    }
    let (after, step) =
        transfer::machine::next(&it, transfer::machine::Input::Acknowledged, work.now)?;
    let moved = !step.moved.is_empty();
    let after = super::transfer::settle(work, after, step)?;
    let after = match super::rule::reached_transfer(work, &after) {
        Some(answered) => answered,
        None => {
            if moved {
                super::transfer::react(work, &after)?;
            }
            super::suspension::follow(work, after)?
        }
    };
    work.commit.transfers.push(after);
    Ok(Reply::Nothing)
}

fn refused(work: &mut Work<'_>, send: &Send, code: Option<String>, reason: Vec<String>) -> Answer {
    match &send.about {
        About::Negotiation(_) => {
            let Some(it) = work.view.negotiation.clone() else { return Ok(Reply::Nothing) };
            if it.pending.as_ref().is_none_or(|said| said.id.as_ref() != Some(&send.id)) {
                return Ok(Reply::Nothing);
            }
            let event = negotiation::machine::Input::Refused { code, reason };
            let (after, step) = negotiation::machine::next(&it, event, work.now)?;
            let after = super::negotiation::settle(work, after, step)?;
            work.commit.negotiations.push(after);
        }
        About::Transfer(_) => {
            let Some(it) = work.view.transfer.clone() else { return Ok(Reply::Nothing) };
            if it.pending.as_ref().is_none_or(|said| said.id.as_ref() != Some(&send.id)) {
                return Ok(Reply::Nothing);
            }
            let halts = |said: &Message| said.body.kind() == Kind::Suspend;
            let halted = it.pending.as_ref().is_some_and(halts);
            let event = transfer::machine::Input::Refused { code, reason };
            let (after, step) = transfer::machine::next(&it, event, work.now)?;
            let after = super::transfer::settle(work, after, step)?;
            if halted && after.delivers() {
                // A suspension that was refused: what it stopped goes on. Not so a refused completion: what is here is
                // here, and would be fetched and refused again without end.
                super::transfer::react(work, &after)?;
            }
            work.commit.transfers.push(after);
        }
        About::Notice { contract } => {
            let links = Links {
                peer: Some(send.to.clone()),
                contract: Some(contract.clone()),
                ..Links::default()
            };
            work.fact(
                links,
                What::GaveUp { code: code.unwrap_or_else(|| "notice.refused".to_owned()) },
            );
        }
        About::Flow(id) => return dataflow::refused(work, id, &send.id, reason.join("; ")),
    }
    Ok(Reply::Nothing)
}

fn give_up(work: &mut Work<'_>, send: &Send, reason: String) -> Answer {
    const CODE: &str = "peer.unreachable";
    match &send.about {
        About::Negotiation(_) => {
            let Some(it) = work.view.negotiation.clone() else { return Ok(Reply::Nothing) };
            give_up_negotiation(work, &it, CODE, reason)
        }
        About::Transfer(_) => {
            let Some(it) = work.view.transfer.clone() else { return Ok(Reply::Nothing) };
            end_transfer(work, it, CODE, reason)
        }
        About::Notice { contract } => {
            let links = Links {
                peer: Some(send.to.clone()),
                contract: Some(contract.clone()),
                ..Links::default()
            };
            work.fact(links, What::GaveUp { code: CODE.to_owned() });
            Ok(Reply::Nothing)
        }
        About::Flow(id) => dataflow::given_up(work, id, &send.id, reason),
    }
}

pub(super) fn give_up_negotiation(
    work: &mut Work<'_>,
    it: &negotiation::state::Negotiation,
    code: &'static str,
    reason: String,
) -> Result<Reply, Fault> {
    let (after, step) = negotiation::machine::next(
        it,
        negotiation::machine::Input::GiveUp { code, reason },
        work.now,
    )?;
    let after = super::negotiation::settle(work, after, step)?;
    work.commit.negotiations.push(after);
    Ok(Reply::Nothing)
}

/// Ends a transfer that came to a halt. A peer that knows it may run it without a deadline, so that it is told.
pub(super) fn end_transfer(
    work: &mut Work<'_>,
    it: transfer::state::Transfer,
    code: &'static str,
    reason: String,
) -> Result<Reply, Fault> {
    let after = if it.peer_pid.is_some() {
        let ending = transfer::message::Body::Terminate {
            code: Some(code.to_owned()),
            reason: vec![reason],
        };
        super::transfer::say_now(work, it, ending)?
    } else {
        let (after, step) = transfer::machine::next(
            &it,
            transfer::machine::Input::GiveUp { code, reason },
            work.now,
        )?;
        super::transfer::settle(work, after, step)?
    };
    work.commit.transfers.push(after);
    Ok(Reply::Nothing)
}
