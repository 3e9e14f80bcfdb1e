//! Moves of a credential request, and what follows from each.
//!
//! Never signs: the shell hands in signed credentials with the approval.

use crate::fault::Fault;
use crate::identity::issuance::message::{Container, Delivery, Outcome};
use crate::identity::issuance::state::{Issuance, Name, State};
use crate::limits::{ISSUANCE_GIVE_UP, RETRY_FIRST, RETRY_LONGEST};
use crate::time::Time;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Approve {
        credentials: Vec<Container>,
    },
    Reject {
        reason: String,
    },
    /// The wallet acknowledged our message.
    Delivered,
    /// It refused it or could not be reached.
    Undelivered,
}

/// The inputs' kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Approve,
    Reject,
    Delivered,
    Undelivered,
    GiveUp,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Approve, Self::Reject, Self::Delivered, Self::Undelivered, Self::GiveUp];
}

/// What is owed after a move.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When the wallet is to be told (again).
    pub deliver: Option<Time>,
}

/// Every legal move, and nothing else.
pub fn table(state: Name, input: Kind) -> Result<Name, Fault> {
    Ok(match (state, input) {
        (Name::Received, Kind::Approve) => Name::Approved,
        (Name::Received, Kind::Reject) => Name::Refused,

        (Name::Approved, Kind::Delivered) => Name::Issued,
        (Name::Approved | Name::Refused, Kind::Undelivered) => state,
        (Name::Approved, Kind::GiveUp) => Name::Undelivered,
        (Name::Refused, Kind::Delivered | Kind::GiveUp) => Name::Rejected,

        // An acknowledgement that was recorded before.
        (Name::Issued | Name::Rejected, Kind::Delivered) => state,

        (
            Name::Approved | Name::Issued | Name::Refused | Name::Rejected | Name::Undelivered,
            Kind::Approve | Kind::Reject,
        ) => return Err(Fault::conflict("issuance.decided", "this request was decided before")),
        (
            Name::Received | Name::Issued | Name::Rejected | Name::Undelivered,
            Kind::Delivered | Kind::Undelivered | Kind::GiveUp,
        ) => return Err(Fault::conflict("issuance.nothing", "nothing was to be delivered")),
    })
}

/// One move.
pub fn next(it: &Issuance, input: Input, now: Time) -> Result<(Issuance, Step), Fault> {
    let late = now.since(it.moved) >= ISSUANCE_GIVE_UP;
    let kind = match &input {
        Input::Approve { .. } => Kind::Approve,
        Input::Reject { .. } => Kind::Reject,
        Input::Delivered => Kind::Delivered,
        Input::Undelivered if late => Kind::GiveUp,
        Input::Undelivered => Kind::Undelivered,
    };
    let to = table(it.state.name(), kind)?;
    let mut step = Step { deliver: None };
    let state = match (&it.state, input) {
        (State::Received, Input::Approve { credentials }) => {
            step.deliver = Some(now);
            State::Approved { credentials, tries: 0 }
        }
        (State::Received, Input::Reject { reason }) => {
            step.deliver = Some(now);
            State::Refused { reason, tries: 0 }
        }
        (State::Approved { credentials, tries }, Input::Undelivered) if !late => {
            step.deliver = Some(again(*tries, now));
            State::Approved { credentials: credentials.clone(), tries: tries.saturating_add(1) }
        }
        (State::Refused { reason, tries }, Input::Undelivered) if !late => {
            step.deliver = Some(again(*tries, now));
            State::Refused { reason: reason.clone(), tries: tries.saturating_add(1) }
        }
        (State::Approved { .. }, Input::Delivered) => State::Issued,
        (State::Approved { .. }, _) => State::Undelivered,
        (State::Refused { reason, .. }, _) => State::Rejected { reason: reason.clone() },
        (same, _) => same.clone(),
    };
    debug_assert_eq!(state.name(), to);
    // A try that failed is no move: the time to give up counts from the decision.
    let moved = if state.name() == it.state.name() { it.moved } else { now };
    Ok((Issuance { state, moved, ..it.clone() }, step))
}

fn again(tries: u32, now: Time) -> Time {
    now.after(RETRY_FIRST.saturating_mul(1 << tries.min(16)).min(RETRY_LONGEST))
}

/// What the wallet is to be told, if anything.
pub fn delivery(it: &Issuance) -> Option<Delivery> {
    let outcome = match &it.state {
        State::Approved { credentials, .. } => Outcome::Issued(credentials.clone()),
        State::Refused { reason, .. } => Outcome::Rejected(reason.clone()),
        State::Received | State::Issued | State::Rejected { .. } | State::Undelivered => {
            return None;
        }
    };
    Some(Delivery { issuer_pid: it.id.clone(), holder_pid: it.holder_pid.clone(), outcome })
}
