//! The transition table, and what a message does to one side of a transfer.
//!
//! Never saves, sends or moves data: a call returns the new state and what it owes ([`Step`]).

use crate::fault::Fault;
use crate::negotiation::message::Role;
use crate::time::Time;

use super::message::{Body, Kind, Message};
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
            it.pending = None;
            if it.state == State::Initial {
                let by = it.role.peer();
                end(&mut it, &mut step, by, code, reason);
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
        if message.body.kind() != Kind::Terminate || pending.body.kind() == Kind::Terminate {
            return Err(Fault::refused(
                "transfer.in-flight",
                "the last message is not acknowledged yet",
            ));
        }
        step.withdraw = true;
    }
    let kind = message.body.kind();
    table(it.state.name(), it.role, kind).map_err(|_| {
        Fault::refused(
            "transfer.not-now",
            format!(
                "{} cannot be said in state {} by the {}",
                kind.word(),
                it.state.name().token(),
                it.role.word()
            ),
        )
    })?;
    it.pending = Some(message.clone());
    step.send = Some(message);
    Ok(())
}

fn heard(it: &mut Transfer, step: &mut Step, message: Message) -> Result<(), Fault> {
    let kind = message.body.kind();
    let peer = it.role.peer();
    // The peer can say this only after it heard what we said: an implied acknowledgement.
    if table(it.state.name(), peer, kind).is_err()
        && let Some(pending) = &it.pending
        && let Ok(after) = table(it.state.name(), it.role, pending.body.kind())
        && table(after, peer, kind).is_ok()
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
    enter(it, step, peer, message.body)?;
    if let Some(said) = &it.pending
        && !table(it.state.name(), it.role, said.body.kind()).is_ok_and(|to| to != it.state.name())
    {
        it.pending = None;
        step.withdraw = true;
    }
    Ok(())
}

fn enter(it: &mut Transfer, step: &mut Step, sender: Role, body: Body) -> Result<(), Fault> {
    let from = it.state.name();
    let to = table(from, sender, body.kind()).map_err(|why| why.fault(from, body.kind()))?;
    if to == from {
        return Ok(());
    }
    it.state = match body {
        Body::Request { .. } => State::Requested,
        Body::Start { address } => State::Started { address },
        Body::Complete => State::Completed { by: sender },
        Body::Suspend { reason, .. } => State::Suspended { by: sender, reason },
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
}

impl Unexpected {
    fn fault(self, state: Name, kind: Kind) -> Fault {
        let code = match self {
            Self::AfterEnd => "transfer.after-end",
            Self::BeforeStart => "transfer.before-start",
            Self::Here => "transfer.unexpected",
        };
        Fault::misbehaved(
            code,
            format!("{} is not possible in state {}", kind.word(), state.token()),
        )
    }
}
