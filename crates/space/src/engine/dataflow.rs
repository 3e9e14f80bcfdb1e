//! Data flows: what a report or an answer of a data plane changes, and what a transfer of ours has it do. Our own
//! data plane is [`super::dataplane`].
//!
//! [`follow`] derives the orders to a data plane from the transfer's state alone, so that no lost, repeated or
//! crossing message leaves the two apart.
//!
//! Never moves bytes, and never lets a plane touch a flow of another one: to it that flow does not exist.

use crate::dataflow::machine::{self, Input as Event, Step};
use crate::dataflow::message::{Body, Direction, Kind, Message, Plane, Profile, Terms};
use crate::dataflow::state::{Flow, Name, State};
use crate::evidence::fact::{Links, What};
use crate::fault::Fault;
use crate::id::Id;
use crate::lease::delivery::deliverable;
use crate::negotiation::message::Role;
use crate::policy::usage::Use;
use crate::transfer::message::Body as Said;
use crate::transfer::state::{Name as Moved, State as TransferState, Transfer};
use crate::wire::dps;

use super::commit::{About, Answer, Due, Job, Reply, Send, Work};
use super::input::{FlowAnswer, FlowReport};
use super::view::Needs;
use super::{deliver, transfer};

/// One space per node: data planes that serve several nodes tell them apart by the participant.
const CONTEXT: &str = "default";

pub(super) fn of(flow: &Id) -> Needs {
    Needs { flow: Some(flow.clone()), ..Needs::default() }
}

/// The flow as this very decision leaves it so far.
pub(super) fn current(work: &Work<'_>, fits: impl Fn(&Flow) -> bool) -> Option<Flow> {
    let changed = work.commit.flows.iter().rev().find(|it| fits(it));
    changed.or_else(|| work.view.flows.iter().find(|it| fits(it))).cloned()
}

/// The flow that another program's data plane runs for this transfer.
pub(super) fn of_transfer(work: &Work<'_>, id: &Id) -> Option<Flow> {
    current(work, |it| it.id == *id && it.plane == Plane::Control)
}

pub(super) fn mine(work: &Work<'_>, id: &Id, plane: Plane) -> Result<Flow, Fault> {
    current(work, |it| it.id == *id && it.plane == plane)
        .ok_or(Fault::NotFound { what: "data flow" })
}

/// Has the registered data plane run this transfer; `false`: there is none for its format, we run it ourselves.
pub(super) fn begin(work: &mut Work<'_>, it: &Transfer) -> Result<bool, Fault> {
    let Some(plane) = work.view.data_plane.clone() else { return Ok(false) };
    let contract = transfer::contract_of(work, it)?;
    if it.role == Role::Provider {
        // What another program sends is plain bytes: the contract must grant just that.
        let granted = deliverable(contract, Use::Plain, work.now).is_ok_and(|terms| {
            // It sends the product as it is: rows and columns that must stay, marks, and bounds on its speed are beyond it.
            let bounded = terms.grants.iter().any(|it| {
                it.limits.delivery_rate.is_some() || it.limits.delivery_connections.is_some()
            });
            !terms.cut() && !bounded
        });
        if !granted {
            return Err(Fault::denied(
                "transfer.kind",
                "contract",
                "the contract does not grant plain delivery, and this format is run by a data plane that knows no other",
            ));
        }
    }
    let terms = Terms {
        participant: work.node.me.to_id(),
        counterparty: it.peer.to_id(),
        context: CONTEXT.to_owned(),
        process: it.id.clone(),
        agreement: contract.id.clone(),
        dataset: contract.product.clone(),
        profile: Profile::new(it.format.clone()),
    };
    let flow = Flow {
        id: it.id.clone(),
        plane: Plane::Control,
        role: it.role,
        partner: plane.id,
        address: plane.endpoint,
        theirs: None,
        opened_by: work.ids.fresh(),
        terms,
        state: State::Initialized,
        owed: Vec::new(),
        error: None,
        created: work.now,
        moved: work.now,
    };
    let body = match it.role {
        Role::Provider => Body::Start { address: it.push_to.clone() },
        Role::Consumer => Body::Prepare,
    };
    let message = Message { id: Some(flow.opened_by.clone()), body };
    let (flow, step) = machine::next(&flow, Event::Order(message), work.now)?;
    let _flow = settle(work, flow, step)?;
    Ok(true)
}

/// Derives from the state of a transfer what its data plane is to do, and from what that did what the transfer
/// is to say. Called after every step of a transfer; without a data plane of another program it does nothing.
pub(super) fn follow(work: &mut Work<'_>, it: Transfer, moved: bool) -> Result<Transfer, Fault> {
    let Some(mut flow) = of_transfer(work, &it.id) else { return Ok(it) };
    if let Some(body) = order(&it, &flow) {
        let message = Message { id: Some(work.ids.fresh()), body };
        let (after, step) = machine::next(&flow, Event::Order(message), work.now)?;
        flow = settle(work, after, step)?;
    }
    // Not where the transfer stood still: a peer that refused this would refuse it for ever.
    if moved
        && flow.state.name() == Name::Completed
        && it.state.name() == Moved::Started
        && it.pending.is_none()
    {
        return transfer::say_now(work, it, Said::Complete);
    }
    Ok(it)
}

fn order(it: &Transfer, flow: &Flow) -> Option<Body> {
    // What we said ends or stops the data at once: it does not wait for the peer's answer.
    let said = it.pending.as_ref().map(|it| &it.body);
    let reason = |all: &[String]| (!all.is_empty()).then(|| all.join("; "));
    let ordered = machine::ordered(flow);
    if let Some(Said::Terminate { reason: why, .. }) = said {
        return (!ordered.is_terminal()).then(|| Body::Terminate { reason: reason(why) });
    }
    match (&it.state, said, ordered) {
        (_, _, Name::Completed | Name::Terminated) => None,
        (TransferState::Terminated { reason: why, .. }, _, _) => {
            Some(Body::Terminate { reason: reason(why) })
        }
        (TransferState::Started { .. }, Some(Said::Suspend { reason: why, .. }), Name::Started) => {
            Some(Body::Suspend { reason: reason(why) })
        }
        (TransferState::Started { .. }, Some(Said::Suspend { .. }), Name::Suspended) => None,
        (TransferState::Suspended { reason: why, .. }, _, Name::Started) => {
            Some(Body::Suspend { reason: reason(why) })
        }
        (TransferState::Started { address }, _, Name::Prepared) => {
            Some(Body::Started { address: address.clone() })
        }
        (TransferState::Started { address }, _, Name::Suspended) => {
            let address = if it.role == Role::Consumer { address.clone() } else { None };
            Some(Body::Resume { address })
        }
        (TransferState::Completed { .. }, _, Name::Started) => Some(Body::Completed),
        // Over before its data plane got that far.
        (TransferState::Completed { .. }, _, _) => Some(Body::Terminate { reason: None }),
        (_, _, _) => None,
    }
}

/// A data plane reports something.
pub(super) fn reported(work: &mut Work<'_>, it: FlowReport) -> Answer {
    let mut flow = mine(work, &it.flow, Plane::Control)?;
    let another = it.theirs.is_some() && flow.theirs.is_some() && it.theirs != flow.theirs;
    if flow.partner != it.from || another {
        return Err(Fault::NotFound { what: "transfer" });
    }
    flow.theirs = flow.theirs.or(it.theirs);
    if it.body.kind() == Kind::Errored {
        work.fact(links(&flow), What::GaveUp { code: "dataplane.errored".to_owned() });
    }
    let (after, step) = machine::next(&flow, Event::Heard(it.body), work.now)?;
    let moved = step.moved.clone();
    let after = settle(work, after, step)?;
    react(work, &after, &moved)?;
    Ok(Reply::Flow { it: Box::new(after), created: false })
}

/// Whether the flow's first owed message is under way: its id.
pub(super) fn under_way<'a>(work: &'a Work<'_>, id: &Id) -> Option<&'a Id> {
    let flow = work.view.flows.iter().find(|it| it.id == *id)?;
    machine::under_way(flow)?.id.as_ref()
}

/// Whether what is under way is repeated until it is answered.
pub(super) fn must_be_answered(work: &Work<'_>, id: &Id) -> bool {
    work.view.flows.iter().any(|it| it.id == *id && it.must_be_answered())
}

/// The other plane took what we said last.
pub(super) fn answered(
    work: &mut Work<'_>,
    id: &Id,
    message: &Id,
    answer: Option<FlowAnswer>,
) -> Answer {
    let Some(mut flow) = current(work, |it| it.id == *id) else { return Ok(Reply::Nothing) };
    if let Some(answer) = &answer
        && flow.theirs.is_none()
        && flow.plane == Plane::Control
    {
        flow.theirs.clone_from(&answer.theirs);
    }
    let Some(said) = flow.owed.first().filter(|it| it.id.as_ref() == Some(message)) else {
        // The acknowledgement of something that was implied or withdrawn meanwhile.
        keep(work, flow);
        return Ok(Reply::Nothing);
    };
    let opens = flow.plane == Plane::Control;
    let at_once = match (said.body.kind(), answer.map(|it| (it.state, it))) {
        (Kind::Prepare, Some((Name::Prepared, it))) if opens => {
            Some(Body::Prepared { address: it.address })
        }
        // One that is over already reports so by itself: here it says that it had begun.
        (Kind::Start, Some((Name::Started | Name::Completed, it))) if opens => {
            Some(Body::Started { address: it.address })
        }
        (Kind::Prepare, Some((Name::Preparing, _))) | (Kind::Start, Some((Name::Starting, _))) => {
            None
        }
        (Kind::Prepare | Kind::Start, answer) if opens => {
            let why = match answer {
                Some((state, it)) => it.error.unwrap_or_else(|| state.token().to_owned()),
                None => "no state".to_owned(),
            };
            return refused(work, id, message, format!("the data plane answers: {why}"));
        }
        (_, _) => None,
    };
    let (after, step) = machine::next(&flow, Event::Answered(at_once), work.now)?;
    let moved = step.moved.clone();
    let after = settle(work, after, step)?;
    react(work, &after, &moved)?;
    Ok(Reply::Nothing)
}

/// The other plane refused what we said last. One that had begun is told that it is over.
pub(super) fn refused(work: &mut Work<'_>, id: &Id, message: &Id, reason: String) -> Answer {
    let began = current(work, |it| it.id == *id)
        .is_some_and(|it| it.is_open() && it.state != State::Initialized);
    if began {
        return given_up(work, id, message, reason);
    }
    ended(work, id, message, Event::Refused { reason })
}

/// The other plane cannot be reached for too long. It may have heard us, and is told that it is over, as long as
/// that takes: a data plane that goes on would deliver what nobody controls any more.
pub(super) fn given_up(work: &mut Work<'_>, id: &Id, message: &Id, reason: String) -> Answer {
    let body = Body::Terminate { reason: Some(reason.clone()) };
    let farewell = Message { id: Some(work.ids.fresh()), body };
    ended(work, id, message, Event::GiveUp { reason, farewell })
}

fn ended(work: &mut Work<'_>, id: &Id, message: &Id, event: Event) -> Answer {
    let Some(flow) = current(work, |it| it.id == *id) else { return Ok(Reply::Nothing) };
    if flow.owed.first().is_none_or(|it| it.id.as_ref() != Some(message)) {
        return Ok(Reply::Nothing);
    }
    let (after, step) = machine::next(&flow, event, work.now)?;
    let moved = step.moved.clone();
    let after = settle(work, after, step)?;
    react(work, &after, &moved)?;
    Ok(Reply::Nothing)
}

/// Control plane: what the data plane did moves the transfer on.
fn react(work: &mut Work<'_>, flow: &Flow, moved: &[(Name, Name, Plane)]) -> Result<(), Fault> {
    if flow.plane != Plane::Control {
        return Ok(());
    }
    let known = work.view.transfer.clone().filter(|it| it.id == flow.id && it.is_open());
    let Some(it) = known else { return Ok(()) };
    for (_, to, _) in moved.iter().filter(|(_, _, by)| *by == Plane::Data) {
        let body = match (to, it.state.name(), it.pending.is_some()) {
            (Name::Prepared, Moved::Initial, false) => {
                let address = flow.state.address().cloned().or_else(|| it.push_to.clone());
                let contract = it.contract.clone();
                Said::Request { contract, format: it.format.clone(), address }
            }
            (Name::Started, Moved::Requested, false) => {
                if let Err(why) = transfer::contract_of(work, &it)?.check_active() {
                    let reason = vec![why.to_string()];
                    Said::Terminate { code: Some(why.code().to_owned()), reason }
                } else {
                    let pull = flow.direction() == Some(Direction::Pull);
                    let address = flow.state.address().filter(|_| pull).cloned();
                    Said::Start { address }
                }
            }
            (Name::Completed, Moved::Started, false) => Said::Complete,
            // Our own ending is under way: the peer may have ended it on that already.
            (Name::Terminated, _, _) if it.must_be_answered() => return Ok(()),
            (Name::Terminated, _, _) => {
                let State::Terminated { reason, .. } = &flow.state else { continue };
                let reason = reason.clone().unwrap_or_default();
                let _reply = deliver::end_transfer(work, it, "dataplane.refused", reason)?;
                return Ok(());
            }
            (_, _, _) => continue,
        };
        let after = transfer::say_now(work, it, body)?;
        work.commit.transfers.push(after);
        return Ok(());
    }
    Ok(())
}

/// Turns a step into rows: facts, outbox, jobs.
pub(super) fn settle(work: &mut Work<'_>, flow: Flow, step: Step) -> Result<Flow, Fault> {
    if step.withdraw {
        work.commit.withdrawn.push(About::Flow(flow.id.clone()));
        work.commit.sends.retain(|send| send.about != About::Flow(flow.id.clone()));
    }
    for (from, to, by) in &step.moved {
        let reason = match &flow.state {
            State::Suspended { reason, .. } | State::Terminated { reason, .. } => reason.clone(),
            State::Initialized
            | State::Preparing
            | State::Prepared { .. }
            | State::Starting { .. }
            | State::Started { .. }
            | State::Completed { .. } => None,
        };
        work.fact(links(&flow), What::Flow { from: *from, to: *to, by: *by, reason });
    }
    if let Some(message) = step.send {
        let posting = dps::write(&flow, &message)?;
        work.commit.sends.push(Send {
            id: message.id.ok_or(Fault::ApiMisuse("what we say has an id"))?,
            // Planes have no DID: whose registration authorises the call is in the flow.
            to: work.node.me.clone(),
            url: format!("{}{}", flow.address, posting.path),
            body: posting.body,
            about: About::Flow(flow.id.clone()),
            attempts: 0,
            first: work.now,
            next: work.now,
        });
    }
    if flow.plane == Plane::Data && !step.moved.is_empty() {
        let job = Due::Job(Job::Flow { flow: flow.id.clone() });
        work.commit.timers.retain(|it| it.key != job.key());
        if works(&flow) {
            work.timer(work.now, job);
        } else {
            work.untimer(&job);
        }
    }
    keep(work, flow.clone());
    Ok(flow)
}

pub(super) fn keep(work: &mut Work<'_>, flow: Flow) {
    work.commit.flows.retain(|it| it.id != flow.id);
    work.commit.flows.push(flow);
}

/// Whether a data plane has something to do for this flow by itself.
fn works(it: &Flow) -> bool {
    match (it.state.name(), it.role, it.direction()) {
        (Name::Preparing | Name::Starting, _, _) => true,
        (Name::Started, Role::Provider, Some(Direction::Push))
        | (Name::Started, Role::Consumer, Some(Direction::Pull)) => true,
        (_, _, _) => false,
    }
}

pub(super) fn links(it: &Flow) -> Links {
    // As a data plane we know the transfer and the contract by another node's names only: the flow is ours.
    let transfer = Some(it.id.clone());
    match it.plane {
        Plane::Control => Links {
            contract: Some(it.terms.agreement.clone()),
            product: Some(it.terms.dataset.clone()),
            transfer,
            ..Links::default()
        },
        Plane::Data => Links {
            product: (it.role == Role::Provider).then(|| it.terms.dataset.clone()),
            transfer,
            ..Links::default()
        },
    }
}
