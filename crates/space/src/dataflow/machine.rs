//! The transition table, and what a message does to one plane's flow.
//!
//! Never saves, sends or moves data: a call returns the new flow and what it owes ([`Step`]).

use crate::fault::Fault;
use crate::limits::FLOW_OWED;
use crate::time::Time;

use super::message::{Body, Kind, Message, Plane};
use super::state::{Flow, Name, State};

/// What happened to a flow.
#[derive(Clone, Debug)]
pub enum Input {
    /// The other plane said so.
    Heard(Body),
    /// Data plane: we did it. `Some` where the control plane must be told by a callback.
    Did(Message, Tell),
    /// Control plane: have the data plane do it. Orders wait for their turn.
    Order(Message),
    /// The first of what is owed was taken. `now_in` is what the answer says the data plane did at once.
    Answered(Option<Body>),
    /// The first of what is owed was refused.
    Refused { reason: String },
    /// Nobody answers, or the other plane refuses to go on. Control plane: the flow is over, and the data plane, which
    /// may run it still, is owed this ending.
    GiveUp { reason: String, farewell: Message },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// The answer to the message that caused it says so.
    InTheAnswer,
    ByCallback,
}

/// What a call owes the world.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub moved: Vec<(Name, Name, Plane)>,
    /// To be delivered now.
    pub send: Option<Message>,
    /// What was under way is pointless.
    pub withdraw: bool,
}

/// `(flow, input, now) -> (flow, step)`.
pub fn next(it: &Flow, input: Input, now: Time) -> Result<(Flow, Step), Fault> {
    let mut it = it.clone();
    let mut step = Step::default();
    let before = under_way(&it).cloned();
    match input {
        Input::Heard(body) => heard(&mut it, &mut step, body)?,
        Input::Did(message, tell) => {
            enter(&mut it, &mut step, Plane::Data, message.body.clone())?;
            if tell == Tell::ByCallback {
                it.owed.push(message);
            }
        }
        Input::Order(message) => order(&mut it, message)?,
        Input::Answered(at_once) => {
            if let Some(said) = take(&mut it)
                && it.plane == Plane::Control
            {
                enter(&mut it, &mut step, Plane::Control, said.body)?;
                if let Some(body) = at_once {
                    enter(&mut it, &mut step, Plane::Data, body)?;
                }
            }
            step.send = under_way(&it).cloned();
        }
        Input::Refused { reason } => give_up(&mut it, &mut step, reason, None),
        Input::GiveUp { reason, farewell } => give_up(&mut it, &mut step, reason, Some(farewell)),
    }
    // What had to wait for its turn, or for the state that it is possible in.
    if step.send.is_none() && before.is_none() {
        step.send = under_way(&it).cloned();
    }
    if !step.moved.is_empty() {
        it.moved = now;
    }
    Ok((it, step))
}

fn give_up(it: &mut Flow, step: &mut Step, reason: String, farewell: Option<Message>) {
    step.withdraw = true;
    // A control plane that does not want to hear a callback may ask for the status.
    if it.plane == Plane::Data {
        let _refused = take(it);
        step.send = under_way(it).cloned();
        return;
    }
    it.owed.clear();
    if it.is_open() {
        end(it, step, Plane::Data, Some(reason));
        it.owed.extend(farewell);
        step.send = under_way(it).cloned();
    }
}

fn take(it: &mut Flow) -> Option<Message> {
    (!it.owed.is_empty()).then(|| it.owed.remove(0))
}

/// What is on its way to the other plane: the first of what is owed, unless it has to wait for a report first (a
/// data plane that is still getting ready cannot be told that the other side began).
pub fn under_way(it: &Flow) -> Option<&Message> {
    let possible = |message: &&Message| {
        let kind = message.body.kind();
        it.plane == Plane::Data || table(it.state.name(), Plane::Control, kind).is_ok()
    };
    it.owed.first().filter(possible)
}

/// The state after everything that was ordered is done, and the data plane got ready.
pub fn ordered(it: &Flow) -> Name {
    let settled = |state: Name| {
        if state == Name::Preparing {
            Name::Prepared
        } else if state == Name::Starting {
            Name::Started
        } else {
            state
        }
    };
    it.owed.iter().fold(settled(it.state.name()), |state, message| {
        settled(table(state, Plane::Control, message.body.kind()).unwrap_or(state))
    })
}

fn order(it: &mut Flow, message: Message) -> Result<(), Fault> {
    let kind = message.body.kind();
    let from = ordered(it);
    if table(from, Plane::Control, kind).is_ok_and(|to| to == from) {
        // It is so already, or will be.
        return Ok(());
    }
    table(from, Plane::Control, kind).map_err(|why| why.fault(from, kind))?;
    if kind == Kind::Terminate {
        // What has not been said yet need not be.
        let said = usize::from(under_way(it).is_some());
        it.owed.truncate(said);
    } else if it.owed.len() >= FLOW_OWED {
        return Err(Fault::Unavailable {
            reason: "the data plane has not answered what it was told before".to_owned(),
            retry_after: crate::limits::RETRY_FIRST,
        });
    }
    it.owed.push(message);
    Ok(())
}

fn heard(it: &mut Flow, step: &mut Step, body: Body) -> Result<(), Fault> {
    let kind = body.kind();
    if it.plane == Plane::Data {
        return enter(it, step, Plane::Control, body);
    }
    // The data plane can report this only after it took what we said: an implied acknowledgement.
    if table(it.state.name(), Plane::Data, kind).is_err()
        && let Some(said) = it.owed.first().cloned()
        && let Ok(after) = table(it.state.name(), Plane::Control, said.body.kind())
        && let Some(began) = implied(after, kind)
    {
        it.owed.remove(0);
        enter(it, step, Plane::Control, said.body)?;
        step.withdraw = true;
        if began {
            enter(it, step, Plane::Data, Body::Started { address: None })?;
        }
        enter(it, step, Plane::Data, body)?;
        step.send = under_way(it).cloned();
        return Ok(());
    }
    enter(it, step, Plane::Data, body)
}

/// Whether a report is possible after what was said: at once, or (`true`) because the data plane began meanwhile. A
/// push may be over before the answer that it began has arrived, or instead of one that was lost.
fn implied(after: Name, report: Kind) -> Option<bool> {
    if table(after, Plane::Data, report).is_ok() {
        return Some(false);
    }
    let began = table(after, Plane::Data, Kind::Started).ok()?;
    table(began, Plane::Data, report).is_ok().then_some(true)
}

fn enter(it: &mut Flow, step: &mut Step, by: Plane, body: Body) -> Result<(), Fault> {
    let from = it.state.name();
    let to = table(from, by, body.kind()).map_err(|why| why.fault(from, body.kind()))?;
    if let Body::Errored { reason } = body {
        it.error = Some(reason);
        return Ok(());
    }
    if to == from {
        return Ok(());
    }
    let known = it.state.address().cloned();
    it.state = match body {
        Body::Prepare => State::Preparing,
        Body::Prepared { address } => State::Prepared { address },
        Body::Start { address } => State::Starting { address },
        Body::Started { address } | Body::Resume { address } => {
            State::Started { address: address.or(known) }
        }
        Body::Suspend { reason } => State::Suspended { reason, address: known },
        Body::Completed => State::Completed { by },
        Body::Terminate { reason } => State::Terminated { by, reason },
        Body::Errored { .. } => return Ok(()),
    };
    it.error = None;
    step.moved.push((from, to, by));
    // An ended flow wants no orders any more; reports of its end are still owed.
    if to.is_terminal() && it.plane == Plane::Control && !it.owed.is_empty() {
        it.owed.clear();
        step.withdraw = true;
    }
    Ok(())
}

fn end(it: &mut Flow, step: &mut Step, by: Plane, reason: Option<String>) {
    step.moved.push((it.state.name(), Name::Terminated, by));
    it.state = State::Terminated { by, reason };
}

/// The transition table (DPS §State Machine Definition): every legal move, and nothing else.
pub fn table(state: Name, sender: Plane, message: Kind) -> Result<Name, Unexpected> {
    use Plane::{Control, Data};
    use {Kind as K, Name as N};

    Ok(match (state, sender, message) {
        (N::Initialized, Control, K::Prepare) => N::Preparing,
        (N::Preparing, Data, K::Prepared) => N::Prepared,
        (N::Initialized | N::Prepared, Control, K::Start) => N::Starting,
        (N::Starting, Data, K::Started) => N::Started,
        // "This signal occurs exclusively on the consumer side."
        (N::Prepared, Control, K::Started) => N::Started,
        (N::Started, Control, K::Suspend) => N::Suspended,
        (N::Suspended, Control, K::Resume) => N::Started,
        (N::Started, _, K::Completed) => N::Completed,

        // "This request does not cause a state transition."
        (
            N::Preparing | N::Prepared | N::Starting | N::Started | N::Suspended,
            Data,
            K::Errored,
        ) => state,

        // Repeated because the answer was lost: taken again, nothing changes.
        (N::Preparing, Control, K::Prepare)
        // A report may come again after the control plane went on.
        | (N::Prepared | N::Starting | N::Started | N::Suspended, Data, K::Prepared)
        | (N::Suspended, Data, K::Started)
        | (N::Starting, Control, K::Start)
        | (N::Started, _, K::Started)
        | (N::Started, Control, K::Resume)
        | (N::Suspended, Control, K::Suspend)
        | (N::Completed, _, K::Completed)
        | (N::Terminated, Control, K::Terminate) => state,

        // "Terminal states are final; the state machine MUST NOT transition to another state."
        (N::Completed | N::Terminated, _, _) => return Err(Unexpected::AfterEnd),

        // "Any state can transition to TERMINATED."
        (_, Control, K::Terminate) => N::Terminated,
        (_, _, _) => return Err(Unexpected::Here),
    })
}

/// Why the table refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexpected {
    AfterEnd,
    Here,
}

impl Unexpected {
    fn fault(self, state: Name, kind: Kind) -> Fault {
        let code = match self {
            Self::AfterEnd => "dataflow.after-end",
            Self::Here => "dataflow.unexpected",
        };
        Fault::misbehaved(
            code,
            format!("{} is not possible in state {}", kind.word(), state.token()),
        )
    }
}
