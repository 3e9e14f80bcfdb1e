//! The transition table, and what a message does to one side of a transfer.
//!
//! Never saves, sends or moves data: a call returns the new state and what it owes ([`Step`]).

use crate::fault::Fault;
use crate::negotiation::message::Role;
use crate::time::Time;

use super::message::{Body, DataAddress, Kind, Message};
use super::state::{Name, State, Transfer};

/// What happened to a transfer; the meanings are those of [`crate::negotiation::machine::Input`].
#[derive(Clone, Debug)]
pub enum Input {
    Say(Message),
    Acknowledged,
    Refused { code: Option<String>, reason: Vec<String> },
    Heard(Message),
    GiveUp { code: &'static str, reason: String },
}

/// What a call owes the world.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub moved: Vec<(Name, Name, Role)>,
    pub send: Option<Message>,
    pub withdraw: bool,
}

/// `(state, input, now) -> (state, step)`.
pub fn next(it: &Transfer, input: Input, now: Time) -> Result<(Transfer, Step), Fault> {
    let mut it = it.clone();
    let mut step = Step::default();
    match input {
        Input::Say(message) => say(&mut it, &mut step, message)?,
        Input::Acknowledged => {
            if let Some(message) = it.pending.take() {
                let role = it.role;
                enter(&mut it, &mut step, role, message.body)?;
            }
        }
        Input::Refused { code, reason } => {
            match it.pending.take().map(|said| said.body) {
                // Who refuses an ending has nothing open that could end.
                Some(Body::Terminate { code, reason }) if it.is_open() => {
                    let by = it.role;
                    end(&mut it, &mut step, by, code, reason);
                }
                _ if it.state == State::Initial => {
                    let by = it.role.peer();
                    end(&mut it, &mut step, by, code, reason);
                }
                _ => {}
            }
        }
        Input::Heard(message) => heard(&mut it, &mut step, message)?,
        Input::GiveUp { code, reason } => {
            if it.is_open() {
                let by = it.role;
                it.pending = None;
                end(&mut it, &mut step, by, Some(code.to_owned()), vec![reason]);
                step.withdraw = true;
            }
        }
    }
    if !step.moved.is_empty() {
        it.moved = now;
    }
    Ok((it, step))
}

fn say(it: &mut Transfer, step: &mut Step, message: Message) -> Result<(), Fault> {
    if let Some(pending) = &it.pending {
        // What may have ended it at the peer already cannot be taken back.
        if message.body.kind() != Kind::Terminate || rank(pending.body.kind()) > 0 {
            return Err(Fault::refused(
                "transfer.in-flight",
                "the last message is not acknowledged yet",
            ));
        }
        step.withdraw = true;
    }
    let kind = message.body.kind();
    if !table(it.state.name(), it.role, kind).is_ok_and(|to| to != it.state.name()) {
        return Err(Fault::refused(
            "transfer.not-now",
            format!(
                "{} cannot be said in state {} by the {}",
                kind.word(),
                it.state.name().token(),
                it.role.word()
            ),
        ));
    }
    it.pending = Some(message.clone());
    step.send = Some(message);
    Ok(())
}

fn heard(it: &mut Transfer, step: &mut Step, message: Message) -> Result<(), Fault> {
    let kind = message.body.kind();
    let peer = it.role.peer();
    // The peer can say this only after it heard what we said: an implied acknowledgement. A message that would
    // change nothing here is a fresh one too where it has an id: repeated ids do not come this far.
    let says_nothing = table(it.state.name(), peer, kind).is_ok_and(|to| to == it.state.name());
    if (table(it.state.name(), peer, kind).is_err() || (says_nothing && message.id.is_some()))
        && let Some(pending) = &it.pending
        && let Ok(after) = table(it.state.name(), it.role, pending.body.kind())
        && table(after, peer, kind).is_ok_and(|to| to != after)
    {
        let said = pending.body.clone();
        it.pending = None;
        let role = it.role;
        enter(it, step, role, said)?;
    }
    let to = table(it.state.name(), peer, kind).map_err(|why| why.fault(it.state.name(), kind))?;
    if to == it.state.name() {
        return Ok(());
    }
    // As in a negotiation: of two messages that cross, the higher one stands on both sides.
    let crossed = it.pending.as_ref().map(|said| said.body.kind());
    let crossed = crossed.filter(|said| !table(to, it.role, *said).is_ok_and(|after| after != to));
    if crossed.is_some_and(|said| rank(said) > rank(kind)) {
        return Err(Unexpected::Crossed.fault(it.state.name(), kind));
    }
    enter(it, step, peer, message.body)?;
    if crossed.is_some() {
        it.pending = None;
        step.withdraw = true;
    }
    Ok(())
}

/// Of two messages that cross, the higher one stands.
pub fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Terminate => 2,
        Kind::Complete => 1,
        Kind::Request | Kind::Start | Kind::Suspend => 0,
    }
}

fn enter(it: &mut Transfer, step: &mut Step, sender: Role, body: Body) -> Result<(), Fault> {
    let from = it.state.name();
    let to = table(from, sender, body.kind()).map_err(|why| why.fault(from, body.kind()))?;
    if to == from {
        return Ok(());
    }
    if to == Name::Started {
        it.starts = it.starts.saturating_add(1);
    }
    let known = match &it.state {
        State::Started { address } | State::Suspended { address, .. } => address.clone(),
        State::Initial | State::Requested | State::Completed { .. } | State::Terminated { .. } => {
            None
        }
    };
    if it.role == Role::Consumer && body.kind() == Kind::Request {
        // The provider has it now. What opens our endpoint or bucket need not lie here any longer.
        it.push_to = it.push_to.take().map(DataAddress::without_secrets);
    }
    it.state = match body {
        Body::Request { .. } => State::Requested,
        Body::Start { address } => State::Started { address: address.or(known) },
        Body::Complete => State::Completed { by: sender },
        Body::Suspend { reason, .. } => State::Suspended { by: sender, reason, address: known },
        Body::Terminate { code, reason } => State::Terminated { by: sender, code, reason },
    };
    step.moved.push((from, to, sender));
    Ok(())
}

fn end(it: &mut Transfer, step: &mut Step, by: Role, code: Option<String>, reason: Vec<String>) {
    step.moved.push((it.state.name(), Name::Terminated, by));
    it.state = State::Terminated { by, code, reason };
}

/// The transition table: every legal move, and nothing else.
pub fn table(state: Name, sender: Role, message: Kind) -> Result<Name, Unexpected> {
    use Role::{Consumer, Provider};
    use {Kind as K, Name as N};

    Ok(match (state, sender, message) {
        (N::Initial, Consumer, K::Request) => N::Requested,
        (N::Requested, Provider, K::Start) => N::Started,
        (N::Started, _, K::Complete) => N::Completed,
        (N::Started, _, K::Suspend) => N::Suspended,
        (N::Suspended, _, K::Start) => N::Started,

        // Repeated because its ACK was lost: acknowledged again, nothing changes.
        (N::Requested, Consumer, K::Request)
        | (N::Started, _, K::Start)
        | (N::Suspended, _, K::Suspend)
        | (N::Completed, _, K::Complete)
        | (N::Terminated, _, K::Terminate) => state,

        // "Terminal states are final."
        (N::Completed | N::Terminated, _, _) => return Err(Unexpected::AfterEnd),
        (N::Initial, _, K::Terminate) => N::Terminated,
        (N::Initial, _, _) => return Err(Unexpected::BeforeStart),

        (_, _, K::Terminate) => N::Terminated,
        (_, _, _) => return Err(Unexpected::Here),
    })
}

/// Why the table refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexpected {
    AfterEnd,
    BeforeStart,
    Here,
    /// It crossed something of ours that stands above it.
    Crossed,
}

impl Unexpected {
    fn fault(self, state: Name, kind: Kind) -> Fault {
        let code = match self {
            Self::AfterEnd => "transfer.after-end",
            Self::BeforeStart => "transfer.before-start",
            Self::Here => "transfer.unexpected",
            Self::Crossed => "transfer.crossed",
        };
        Fault::misbehaved(
            code,
            format!("{} is not possible in state {}", kind.word(), state.token()),
        )
    }
}
