//! DSP 2025-1 §8: messages of a contract negotiation, as posted and as received.
//!
//! Never moves a negotiation, and never believes a pid: the one in the path must be the one in the body.

use serde_json::{Value, json};

use crate::engine::input::NegotiationSpoken;
use crate::fault::Fault;
use crate::id::Id;
use crate::negotiation::message::{Agreement, Body, Message, Role, Signature};
use crate::negotiation::state::{Name, Negotiation};
use crate::policy::model::Policy;
use crate::time::Time;
use crate::wire::json::{Fields, parse};
use crate::wire::{Posting, odrl};

use super::{
    Ack, Pids, callback, check_pids, envelope, pid, pid_names, put, put_both_pids, put_pids,
    put_why, read_why, role_by_pid, segment,
};

/// The signature of ours on an agreement or its verification (house D14). An absolute IRI in JSON-LD, so
/// that no context has to define it: DSP's schema allows texts alone in `@context`.
pub const SIGNATURE: &str = "tidm:signature";

/// A compact JWS of ours is below 1 kB; RSA ones of others stay below 4 kB.
const SIGNATURE_BYTES: usize = 8192;

/// Where a message was posted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/negotiations/request`
    RequestOpen,
    /// `/negotiations/:providerPid/request`
    Request,
    /// `/negotiations/offers`
    OfferOpen,
    /// `/negotiations/:consumerPid/offers`
    Offer,
    /// `/negotiations/:pid/events`, where one address serves both roles: the event tells which side we are.
    Events,
    /// `/negotiations/:providerPid/events`
    ProviderEvents,
    /// `/negotiations/:consumerPid/events`
    ConsumerEvents,
    /// `/negotiations/:consumerPid/agreement`
    Agreement,
    /// `/negotiations/:providerPid/agreement/verification`
    Verification,
    /// `/negotiations/:pid/termination`
    Termination,
}

impl Endpoint {
    pub const ALL: [Self; 10] = [
        Self::RequestOpen,
        Self::Request,
        Self::OfferOpen,
        Self::Offer,
        Self::Events,
        Self::ProviderEvents,
        Self::ConsumerEvents,
        Self::Agreement,
        Self::Verification,
        Self::Termination,
    ];

    fn opens(self) -> bool {
        matches!(self, Self::RequestOpen | Self::OfferOpen)
    }
}

/// What we say, ready to be posted below the peer's address. `callback` is our DSP base.
///
/// # Errors
/// [`Fault::Refused`] for a later message to a peer that has not told its pid yet.
pub fn write(it: &Negotiation, message: &Message, callback: &str) -> Result<Posting, Fault> {
    let id = message.id.as_ref();
    let opening = it.peer_pid.is_none();
    let mut doc = match &message.body {
        Body::Request { .. } => envelope("ContractRequestMessage", id),
        Body::Offer { .. } => envelope("ContractOfferMessage", id),
        Body::Accept | Body::Finalize => envelope("ContractNegotiationEventMessage", id),
        Body::Agree { .. } => envelope("ContractAgreementMessage", id),
        Body::Verify { .. } => envelope("ContractAgreementVerificationMessage", id),
        Body::Terminate { .. } => envelope("ContractNegotiationTerminationMessage", id),
    };
    put_pids(&mut doc, it.pids());
    match &message.body {
        Body::Request { offer } | Body::Offer { offer } => {
            doc.insert("offer".to_owned(), odrl::to_json(offer));
            if opening {
                doc.insert("callbackAddress".to_owned(), json!(callback));
            }
        }
        Body::Accept => put(&mut doc, "eventType", Some("ACCEPTED")),
        Body::Finalize => put(&mut doc, "eventType", Some("FINALIZED")),
        Body::Agree { agreement } => {
            doc.insert("agreement".to_owned(), write_agreement(agreement));
            put(&mut doc, SIGNATURE, agreement.signature.as_ref().map(|it| it.0.as_str()));
        }
        Body::Verify { signature } => {
            put(&mut doc, SIGNATURE, signature.as_ref().map(|it| it.0.as_str()));
        }
        Body::Terminate { code, reason } => put_why(&mut doc, code.as_deref(), reason),
    }
    Ok(Posting { path: path(it, &message.body)?, body: Value::Object(doc).to_string() })
}

fn path(it: &Negotiation, body: &Body) -> Result<String, Fault> {
    let Some(peer) = &it.peer_pid else {
        return match body {
            Body::Request { .. } => Ok("/negotiations/request".to_owned()),
            Body::Offer { .. } => Ok("/negotiations/offers".to_owned()),
            Body::Accept
            | Body::Agree { .. }
            | Body::Verify { .. }
            | Body::Finalize
            | Body::Terminate { .. } => Err(Fault::refused(
                "negotiation.unanswered",
                "the peer has not answered our first message yet",
            )),
        };
    };
    let last = match body {
        Body::Request { .. } => "request",
        Body::Offer { .. } => "offers",
        Body::Accept | Body::Finalize => "events",
        Body::Agree { .. } => "agreement",
        Body::Verify { .. } => "agreement/verification",
        Body::Terminate { .. } => "termination",
    };
    Ok(format!("/negotiations/{}/{last}", segment(peer)?))
}

/// The agreement's ODRL document with its `timestamp`.
pub(crate) fn write_agreement(it: &Agreement) -> Value {
    let timestamp = Some(it.at.to_string());
    odrl::to_json(&Policy { id: it.id.clone(), timestamp, ..it.policy.clone() })
}

/// An agreement without its signature, which lies beside it.
pub(crate) fn read_agreement(of: &Fields<'_>, name: &str) -> Result<Agreement, Fault> {
    let inner = of.object(name)?;
    inner.expect_type("Agreement")?;
    let text = inner.text("timestamp")?;
    // DSP's pattern allows a time without a zone; it is read as UTC.
    let at = Time::parse(text)
        .or_else(|_| Time::parse(&format!("{text}Z")))
        .map_err(|why| inner.wrong("timestamp", why))?;
    // What was read into `at`: one place for one thing, so that both sides sign the same bytes.
    let policy = odrl::untimed(read_policy(of, name)?);
    Ok(Agreement { id: policy.id.clone(), policy, at, signature: None })
}

fn read_signature(top: &Fields<'_>) -> Result<Option<Signature>, Fault> {
    let Some(text) = top.text_opt(SIGNATURE)? else { return Ok(None) };
    if text.len() > SIGNATURE_BYTES {
        return Err(top.wrong(SIGNATURE, format!("longer than {SIGNATURE_BYTES} bytes")));
    }
    Ok(Some(Signature(text.to_owned())))
}

/// Reads what was posted to `endpoint`; `mine` is the pid in its path, none for the two opening ones.
///
/// # Errors
/// [`Fault::PeerMisbehaved`]: `message.malformed` with the field, `message.pid` where body and path differ.
pub fn read(
    endpoint: Endpoint,
    mine: Option<&Id>,
    body: &[u8],
) -> Result<(Option<Id>, NegotiationSpoken), Fault> {
    if endpoint.opens() == mine.is_some() {
        return Err(Fault::ApiMisuse("a pid in the path, or none, does not fit the endpoint"));
    }
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    let (role, body) = read_body(endpoint, mine, &top)?;
    let id = top.id_opt("@id")?;
    let spoken = match mine {
        Some(mine) => {
            let theirs = check_pids(&top, role, mine)?;
            // A counter-offer carries no callback; one that comes anyway changes nothing.
            NegotiationSpoken {
                mine: Some(mine.clone()),
                theirs: Some(theirs),
                callback: None,
                role,
                body,
            }
        }
        None => {
            let (ours, theirs) = pid_names(role);
            if top.get(ours).is_some() {
                return Err(top.wrong(ours, "a first message cannot know it"));
            }
            let theirs = Some(pid(&top, theirs)?);
            NegotiationSpoken { mine: None, theirs, callback: Some(callback(&top)?), role, body }
        }
    };
    Ok((id, spoken))
}

fn read_body(
    endpoint: Endpoint,
    mine: Option<&Id>,
    top: &Fields<'_>,
) -> Result<(Role, Body), Fault> {
    Ok(match endpoint {
        Endpoint::RequestOpen | Endpoint::Request => {
            top.expect_type("ContractRequestMessage")?;
            (Role::Provider, Body::Request { offer: read_offer(top)? })
        }
        Endpoint::OfferOpen | Endpoint::Offer => {
            top.expect_type("ContractOfferMessage")?;
            (Role::Consumer, Body::Offer { offer: read_offer(top)? })
        }
        Endpoint::Events | Endpoint::ProviderEvents | Endpoint::ConsumerEvents => {
            read_event(endpoint, top)?
        }
        Endpoint::Agreement => {
            top.expect_type("ContractAgreementMessage")?;
            let mut agreement = read_agreement(top, "agreement")?;
            agreement.signature = read_signature(top)?;
            (Role::Consumer, Body::Agree { agreement })
        }
        Endpoint::Verification => {
            top.expect_type("ContractAgreementVerificationMessage")?;
            (Role::Provider, Body::Verify { signature: read_signature(top)? })
        }
        Endpoint::Termination => {
            top.expect_type("ContractNegotiationTerminationMessage")?;
            let mine = mine.ok_or(Fault::ApiMisuse("a termination without a pid"))?;
            let (code, reason) = read_why(top)?;
            (role_by_pid(top, mine)?, Body::Terminate { code, reason })
        }
    })
}

/// The provider hears ACCEPTED, the consumer hears FINALIZED.
fn read_event(endpoint: Endpoint, top: &Fields<'_>) -> Result<(Role, Body), Fault> {
    top.expect_type("ContractNegotiationEventMessage")?;
    let (role, body) = top.word("eventType", |it| match it {
        "ACCEPTED" => Some((Role::Provider, Body::Accept)),
        "FINALIZED" => Some((Role::Consumer, Body::Finalize)),
        _ => None,
    })?;
    let wrong_side =
        if role == Role::Provider { Endpoint::ConsumerEvents } else { Endpoint::ProviderEvents };
    if endpoint != wrong_side {
        Ok((role, body))
    } else {
        Err(top.wrong("eventType", format!("not for the {} to hear", role.peer().word())))
    }
}

fn read_policy(of: &Fields<'_>, name: &str) -> Result<Policy, Fault> {
    let value = of.get(name).ok_or_else(|| of.wrong(name, "missing"))?;
    odrl::OdrlPolicy::parse(value.clone()).map(|it| it.model).map_err(|why| of.wrong(name, why))
}

fn read_offer(top: &Fields<'_>) -> Result<Policy, Fault> {
    top.object("offer")?.expect_type("Offer")?;
    read_policy(top, "offer")
}

/// `ContractNegotiation`: the answer to a message, and to GET.
pub fn state(it: &Negotiation) -> String {
    let mut doc = envelope("ContractNegotiation", None);
    put_both_pids(&mut doc, it.pids());
    // DSP knows no INITIAL: our first message is on its way, and this is what it leads to.
    let state = match (it.state.name(), it.role) {
        (Name::Initial, Role::Consumer) => Name::Requested,
        (Name::Initial, Role::Provider) => Name::Offered,
        (name, _) => name,
    };
    doc.insert("state".to_owned(), json!(state.token()));
    Value::Object(doc).to_string()
}

/// The 2xx answer to a message of our negotiation `mine`: `ContractNegotiation`, or nothing.
pub fn read_answer(body: &[u8], mine: &Id) -> Result<Ack, Fault> {
    super::read_answer("ContractNegotiation", mine, body)
}

/// The peer's pid from that answer; none where the answer does not tell it.
pub fn read_ack(body: &[u8], mine: &Id) -> Option<Id> {
    read_answer(body, mine).ok()?.pid
}

/// `ContractNegotiationError`; an unknown pid becomes the empty text, since the schema requires both.
pub fn error(pids: Pids<'_>, fault: &Fault) -> String {
    super::error::write_as("ContractNegotiationError", pids, fault)
}
