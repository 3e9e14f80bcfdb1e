//! We are the data plane: what an order of a registered control plane, or a job's outcome, changes.
//!
//! Never moves bytes, and never takes an address that the profile does not allow at that place.

use tidm_crypto::hash::{Digest, sha256};

use crate::dataflow::machine::{self, Input as Event, Tell};
use crate::dataflow::message::{Body, Direction, Kind, Message, Plane, Profile};
use crate::dataflow::state::{Flow, Name, State};
use crate::evidence::fact::What;
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::limits::OPEN_FLOWS;
use crate::negotiation::message::Role;
use crate::time::Time;
use crate::transfer::message::DataAddress;
use crate::wire::dps;

use super::commit::{Answer, Due, Job, Reply, Seen, Work};
use super::dataflow::{current, keep, links, mine, of, settle};
use super::input::FlowOrder;
use super::view::Needs;

pub(super) fn needs(it: &FlowOrder) -> Needs {
    match (&it.mine, &it.terms) {
        (Some(mine), _) => {
            Needs { message: said(it), flow_of: Some((it.from.clone(), mine.clone())), ..of(mine) }
        }
        (None, Some(terms)) => Needs {
            flow_of: Some((it.from.clone(), terms.process.clone())),
            flows_with: Some(it.from.clone()),
            ..Needs::default()
        },
        (None, None) => Needs::default(),
    }
}

/// A control plane orders something.
pub(super) fn ordered(work: &mut Work<'_>, it: FlowOrder) -> Answer {
    let Some(id) = &it.mine else { return open(work, it) };
    // A control plane that never heard our id calls the flow by its process.
    let of_process = |flow: &Flow| {
        flow.plane == Plane::Data && flow.partner == it.from && flow.terms.process == *id
    };
    let flow =
        mine(work, id, Plane::Data).or_else(|fault| current(work, of_process).ok_or(fault))?;
    if flow.partner != it.from {
        return Err(Fault::NotFound { what: "data flow" });
    }
    let heard = seen(work, &flow, &it)?;
    if heard.is_some()
        && heard.as_ref().map(|it| it.digest) == work.view.seen.as_ref().map(|it| it.digest)
    {
        // Said again because the answer was lost, or it was under way for long: its effect stands, and what came
        // after it stands, too.
        return Ok(Reply::Flow { it: Box::new(flow), created: false });
    }
    check_address(&flow.terms.profile, flow.role, &it.body)?;
    let (after, step) = machine::next(&flow, Event::Heard(it.body), work.now)?;
    let after = settle(work, after, step)?;
    work.commit.seen = heard;
    Ok(Reply::Flow { it: Box::new(after), created: false })
}

/// By whom and under which id this was said. Control planes have no DID: a name for the registration takes its
/// place, which no peer can prove to be its own.
fn said(it: &FlowOrder) -> Option<(Did, Id)> {
    let name = sha256(it.from.as_str().as_bytes()).to_string();
    Some((Did::named(&format!("plane:{name}")).ok()?, it.id.clone()?))
}

/// What is remembered of an order: its id, and a digest of all that it says. Another order under the same id is an
/// order of its own: the protocol gives these ids no meaning.
fn seen(work: &Work<'_>, flow: &Flow, it: &FlowOrder) -> Result<Option<Seen>, Fault> {
    let Some((peer, id)) = said(it) else { return Ok(None) };
    let as_said = Flow { plane: Plane::Control, ..flow.clone() };
    let message = Message { id: Some(id.clone()), body: it.body.clone() };
    let posting = dps::write(&as_said, &message)?;
    let digest = sha256(format!("{} {} {}", flow.id, posting.path, posting.body).as_bytes());
    Ok(Some(Seen { peer, id, digest, at: work.now }))
}

fn open(work: &mut Work<'_>, it: FlowOrder) -> Answer {
    let (Some(terms), Some(id)) = (it.terms, it.id) else {
        return Err(Fault::NotFound { what: "data flow" });
    };
    if let Some(known) = work.view.flows.first() {
        // "If a data flow already exists for a particular processId": unless only the answer was lost.
        if known.opened_by == id && known.terms == terms {
            return Ok(Reply::Flow { it: Box::new(known.clone()), created: false });
        }
        return Err(Fault::conflict("dataflow.exists", "this process has a data flow already"));
    }
    if work.view.open_flows >= OPEN_FLOWS {
        return Err(Fault::Unavailable {
            reason: format!("{OPEN_FLOWS} data flows of this control plane are open"),
            retry_after: crate::limits::RETRY_LONGEST,
        });
    }
    let prepares = it.body.kind() == Kind::Prepare;
    let role = if prepares { Role::Consumer } else { Role::Provider };
    check_address(&terms.profile, role, &it.body)?;
    let flow = Flow {
        id: work.ids.fresh(),
        plane: Plane::Data,
        role,
        partner: it.from,
        address: it.address,
        theirs: None,
        opened_by: id,
        terms,
        state: State::Initialized,
        owed: Vec::new(),
        error: None,
        created: work.now,
        moved: work.now,
    };
    let (flow, step) = machine::next(&flow, Event::Heard(it.body), work.now)?;
    let mut flow = settle(work, flow, step)?;
    if !it.background {
        flow = got_ready(work, flow, None, Tell::InTheAnswer)?;
    }
    Ok(Reply::Flow { it: Box::new(flow), created: true })
}

/// Which message carries a data address, and what one of the published HTTP profile must hold (its §Endpoint
/// Type and DataAddress). Other profiles' addresses are used as they are, and only checked when called.
fn check_address(profile: &Profile, role: Role, body: &Body) -> Result<(), Fault> {
    let wrong = |why: &str| Err(Fault::misbehaved("dataflow.address", why));
    let direction = profile.direction().ok_or_else(|| {
        Fault::incompatible("dataflow.profile", "the profile's name does not end in -pull or -push")
    })?;
    match (body.kind(), role, direction, body.address()) {
        (Kind::Start, _, Direction::Pull, Some(_)) => {
            return wrong("a pull is started without a data address");
        }
        (Kind::Start, _, Direction::Push, None) => {
            return wrong("a push is started with the data address that it goes to");
        }
        (Kind::Started, _, Direction::Push, Some(_)) => {
            return wrong("a push has started already: its data address is ours");
        }
        (Kind::Started, _, Direction::Pull, None) if profile.is_published() => {
            return wrong("a pull needs the data address to pull from");
        }
        (_, _, _, Some(address)) if profile.is_published() => {
            check_published(profile, direction, address)?;
        }
        (_, _, _, _) => {}
    }
    Ok(())
}

fn check_published(
    profile: &Profile,
    direction: Direction,
    address: &DataAddress,
) -> Result<(), Fault> {
    let wrong = |why: &str| Err(Fault::misbehaved("dataflow.address", why));
    if address.endpoint_type != profile.as_str() {
        return wrong("the data address is of another endpoint type than the profile");
    }
    if !address.endpoint.as_deref().is_some_and(|it| it.starts_with("https://")) {
        return wrong("the endpoint does not use https");
    }
    if address.property("authorization").is_some() && address.property("authType") != Some("bearer")
    {
        return wrong("an authorization needs the authType bearer");
    }
    let seconds = address.property("expiresIn").and_then(|it| it.parse::<u64>().ok());
    // A pull may take longer than a token should live.
    if direction == Direction::Pull
        && (address.property("refreshToken").is_none() || seconds.is_none())
    {
        return wrong("a pull's token comes with refreshToken and expiresIn");
    }
    Ok(())
}

/// A background job got a flow ready.
pub(super) fn ready(work: &mut Work<'_>, id: &Id, address: Option<DataAddress>) -> Answer {
    let flow = mine(work, id, Plane::Data)?;
    work.untimer(&Due::Job(Job::Flow { flow: id.clone() }));
    let flow = got_ready(work, flow, address, Tell::ByCallback)?;
    Ok(Reply::Flow { it: Box::new(flow), created: false })
}

fn got_ready(
    work: &mut Work<'_>,
    flow: Flow,
    address: Option<DataAddress>,
    tell: Tell,
) -> Result<Flow, Fault> {
    let body = match flow.state.name() {
        Name::Preparing => Body::Prepared { address },
        Name::Starting => Body::Started { address },
        // It ended meanwhile, or the job ran twice.
        Name::Initialized
        | Name::Prepared
        | Name::Started
        | Name::Suspended
        | Name::Completed
        | Name::Terminated => return Ok(flow),
    };
    let known = flow.state.address().cloned();
    let mut flow = did(work, &flow, body, tell)?;
    // An address of our own is for the others: its token stays nowhere but in the report of it.
    if let State::Prepared { address } | State::Started { address } = &mut flow.state {
        *address = known;
        keep(work, flow.clone());
    }
    Ok(flow)
}

/// Everything was transmitted.
pub(super) fn done(work: &mut Work<'_>, id: &Id, bytes: u64, content: Digest) -> Answer {
    let flow = mine(work, id, Plane::Data)?;
    work.untimer(&Due::Job(Job::Flow { flow: id.clone() }));
    if flow.state.name() != Name::Started {
        return Ok(Reply::Flow { it: Box::new(flow), created: false });
    }
    work.fact(links(&flow), What::Delivered { bytes, content });
    let flow = did(work, &flow, Body::Completed, Tell::ByCallback)?;
    Ok(Reply::Flow { it: Box::new(flow), created: false })
}

/// Bytes arrived or left, and the flow goes on.
pub(super) fn moved(work: &mut Work<'_>, id: &Id, bytes: u64, content: Digest) -> Answer {
    let flow = mine(work, id, Plane::Data)?;
    work.fact(links(&flow), What::Delivered { bytes, content });
    Ok(Reply::Flow { it: Box::new(flow), created: false })
}

/// The tokens of a pull's address are others by now.
pub(super) fn renewed(work: &mut Work<'_>, id: &Id, renewed: DataAddress) -> Answer {
    let mut flow = mine(work, id, Plane::Data)?;
    if let State::Started { address } | State::Suspended { address, .. } = &mut flow.state {
        *address = Some(renewed);
        keep(work, flow.clone());
    }
    Ok(Reply::Flow { it: Box::new(flow), created: false })
}

/// A job found nothing to do.
pub(super) fn rests(work: &mut Work<'_>, id: &Id, seen: Time) -> Answer {
    let flow = mine(work, id, Plane::Data)?;
    // If it moved since, another run is due that must not be lost.
    if flow.moved == seen {
        work.untimer(&Due::Job(Job::Flow { flow: id.clone() }));
    }
    Ok(Reply::Flow { it: Box::new(flow), created: false })
}

/// It cannot go on: the control plane decides what follows.
pub(super) fn failed(work: &mut Work<'_>, id: &Id, reason: String) -> Answer {
    let flow = mine(work, id, Plane::Data)?;
    work.untimer(&Due::Job(Job::Flow { flow: id.clone() }));
    if !flow.is_open() || flow.error.is_some() {
        return Ok(Reply::Flow { it: Box::new(flow), created: false });
    }
    work.fact(links(&flow), What::GaveUp { code: "dataflow.errored".to_owned() });
    let flow = did(work, &flow, Body::Errored { reason }, Tell::ByCallback)?;
    Ok(Reply::Flow { it: Box::new(flow), created: false })
}

fn did(work: &mut Work<'_>, flow: &Flow, body: Body, tell: Tell) -> Result<Flow, Fault> {
    let message = Message { id: Some(work.ids.fresh()), body };
    let (after, step) = machine::next(flow, Event::Did(message, tell), work.now)?;
    settle(work, after, step)
}
