//! What a due timer changes: deadlines end what would hang.
//!
//! Never runs a job: the shell does, and reports by a wish. A timer that is due is gone unless set again.

use crate::fault::Fault;
use crate::negotiation::message::{Body, Message};
use crate::negotiation::state::Name;

use super::commit::{Answer, Due, Reply, Timer, Work};
use super::deliver;

pub(super) fn due(work: &mut Work<'_>, timer: Timer) -> Answer {
    if timer.at > work.now {
        // The clock was set back since it was taken from the store: the row is still there and fires again.
        return Ok(Reply::Nothing);
    }
    match &timer.what {
        Due::NegotiationIdle(_) => {
            work.commit.untimers.push(timer.key);
            let Some(it) = work.view.negotiation.clone().filter(|it| it.is_open()) else {
                return Ok(Reply::Nothing);
            };
            let deadline = it.moved.after(super::negotiation::patience(&it));
            if deadline > work.now || it.must_be_answered() {
                // It moved after this timer was taken from the store, or its end is under way.
                let next = deadline.max(work.now.after(crate::limits::RETRY_LONGEST));
                work.timer(next, timer.what);
                return Ok(Reply::Nothing);
            }
            let reason = format!("nothing moved since {}", it.moved);
            if it.state.name() == Name::Initial || it.pending.is_some() || it.peer_pid.is_none() {
                // The peer never answered: telling it would only wait again.
                return deliver::give_up_negotiation(work, &it, "deadline", reason);
            }
            let body = Body::Terminate { code: Some("deadline".to_owned()), reason: vec![reason] };
            let message = Message { id: Some(work.ids.fresh()), body };
            let (after, step) = crate::negotiation::machine::next(
                &it,
                crate::negotiation::machine::Input::Say(message),
                work.now,
            )?;
            let after = super::negotiation::settle(work, after, step)?;
            work.commit.negotiations.push(after);
            Ok(Reply::Nothing)
        }
        Due::TransferIdle(_) => {
            work.commit.untimers.push(timer.key);
            let Some(it) = work.view.transfer.clone() else { return Ok(Reply::Nothing) };
            let Some(span) = super::transfer::patience(&it) else { return Ok(Reply::Nothing) };
            let deadline = it.moved.after(span);
            if it.must_be_answered() {
                // Its end is under way, and repeated until it is answered.
                work.timer(work.now.after(span), timer.what);
                return Ok(Reply::Nothing);
            }
            if deadline > work.now {
                work.timer(deadline, timer.what);
                return Ok(Reply::Nothing);
            }
            let reason = format!("nothing moved since {}", it.moved);
            deliver::end_transfer(work, it, "deadline", reason)
        }
        Due::NegotiationRule(_) => {
            work.commit.untimers.push(timer.key);
            super::rule::due(work)
        }
        Due::TransferRule(_) => {
            work.commit.untimers.push(timer.key);
            super::rule::due_transfer(work)
        }
        Due::LeaseEnd { .. } => {
            work.commit.untimers.push(timer.key);
            super::gate::expired(work)
        }
        Due::ContractEnd { contract } => {
            work.commit.untimers.push(timer.key.clone());
            super::contract::time_over(work, contract)
        }
        Due::DeletionDue { contract } => {
            work.commit.untimers.push(timer.key.clone());
            super::contract::deletion_due(work, contract)
        }
        Due::Job(_) => Err(Fault::ApiMisuse("a job is for the shell")),
    }
}

/// A job failed: the same timer, later. Jobs are never given up: what they owe is owed.
pub(super) fn postpone(work: &mut Work<'_>, mut timer: Timer, attempts: u32) -> Answer {
    timer.attempts = attempts;
    timer.at = work.now.after(deliver::pause(attempts));
    work.commit.timers.push(timer);
    Ok(Reply::Nothing)
}
