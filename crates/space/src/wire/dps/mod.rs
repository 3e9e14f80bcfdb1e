//! Data Plane Signaling 1.0-RC3 over HTTP: the messages of both planes, their paths and their answers.
//!
//! Never logs or quotes a data address: its properties hold tokens. Threat model: a registered plane is
//! trusted with its own flows, not with our memory or our paths, so everything is bounded and escaped as for DSP.
//!
//! Deviations from the schemas, in what is read only: an answer needs no more than its `state`, and a callback
//! no `messageId` (the public test kit sends neither); `completed` may have a body or none.

pub mod registration;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::contract::Contract;
use crate::dataflow::message::{Body, Kind, Message, Plane, Profile, Terms};
use crate::dataflow::state::{Flow, Name};
use crate::fault::Fault;
use crate::id::Id;
use crate::negotiation::message::Agreement;
use crate::transfer::message::DataAddress;
use crate::wire::Posting;
use crate::wire::dsp::transfer::{read_address, write_address};
use crate::wire::dsp::{CONTEXT, negotiation, put, segment};
use crate::wire::json::{Fields, bounded, parse};

/// What a control plane says, ready to be posted below the data plane's address, or a data plane's callback.
///
/// # Errors
/// [`Fault::PeerIncompatible`] for an id that cannot be part of a path.
pub fn write(it: &Flow, message: &Message) -> Result<Posting, Fault> {
    let kind = message.body.kind();
    if it.plane == Plane::Data {
        let path = format!("/transfers/{}/dataflow/{}", segment(&it.terms.process)?, kind.word());
        return Ok(Posting { path, body: status(it, message) });
    }
    let mut doc = Map::new();
    put(&mut doc, "messageId", message.id.as_ref().map(Id::as_str));
    let path = match &message.body {
        Body::Prepare | Body::Start { .. } => {
            put_terms(&mut doc, &it.terms);
            format!("/dataflows/{}", kind.word())
        }
        Body::Prepared { .. }
        | Body::Started { .. }
        | Body::Suspend { .. }
        | Body::Resume { .. }
        | Body::Terminate { .. }
        | Body::Completed
        | Body::Errored { .. } => {
            format!("/dataflows/{}/{}", segment(it.named())?, kind.word())
        }
    };
    if let Body::Suspend { reason } | Body::Terminate { reason } = &message.body {
        put(&mut doc, "reason", reason.as_deref());
    }
    put(&mut doc, "dataAddress", message.body.address().map(write_address));
    Ok(Posting { path, body: Value::Object(doc).to_string() })
}

fn put_terms(doc: &mut Map<String, Value>, it: &Terms) {
    for (name, value) in [
        ("participantId", it.participant.as_str()),
        ("counterPartyId", it.counterparty.as_str()),
        ("dataspaceContext", it.context.as_str()),
        ("processId", it.process.as_str()),
        ("agreementId", it.agreement.as_str()),
        ("datasetId", it.dataset.as_str()),
        ("profile", it.profile.as_str()),
    ] {
        put(doc, name, Some(value));
    }
    doc.insert("claims".to_owned(), json!({}));
}

/// What was posted to a data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    pub id: Option<Id>,
    /// With the two messages that open a flow.
    pub terms: Option<Terms>,
    pub body: Body,
}

/// Reads what was posted to a data plane at the path of `kind`.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field.
pub fn read(kind: Kind, body: &[u8]) -> Result<Ordered, Fault> {
    if matches!(kind, Kind::Prepared | Kind::Errored) {
        return Err(Fault::ApiMisuse("a data plane is not told so"));
    }
    // "Empty body"; also the started notification is optional.
    let empty = body.iter().all(u8::is_ascii_whitespace);
    if empty && matches!(kind, Kind::Completed | Kind::Started) {
        let completed = kind == Kind::Completed;
        let body = if completed { Body::Completed } else { Body::Started { address: None } };
        return Ok(Ordered { id: None, terms: None, body });
    }
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    let address = || read_address(&top, "dataAddress");
    let reason = || Ok::<_, Fault>(top.text_opt("reason")?.map(bounded));
    let body = match kind {
        Kind::Start => Body::Start { address: address()? },
        Kind::Started => Body::Started { address: address()? },
        Kind::Resume => Body::Resume { address: address()? },
        Kind::Suspend => Body::Suspend { reason: reason()? },
        Kind::Terminate => Body::Terminate { reason: reason()? },
        Kind::Completed => Body::Completed,
        Kind::Prepare | Kind::Prepared | Kind::Errored => Body::Prepare,
    };
    let opens = matches!(kind, Kind::Prepare | Kind::Start);
    let terms = if opens { Some(read_terms(&top)?) } else { None };
    let completed = kind == Kind::Completed;
    let id = if completed { top.id_opt("messageId")? } else { Some(top.id("messageId")?) };
    Ok(Ordered { id, terms, body })
}

fn read_terms(top: &Fields<'_>) -> Result<Terms, Fault> {
    let terms = Terms {
        participant: top.id("participantId")?,
        counterparty: top.id("counterPartyId")?,
        context: top.short_text("dataspaceContext")?.to_owned(),
        process: top.id("processId")?,
        agreement: top.id("agreementId")?,
        dataset: top.id("datasetId")?,
        profile: Profile::new(top.short_text("profile")?),
    };
    // Nothing here is acted upon, but what is said must be well formed.
    top.object("claims")?;
    top.object_opt("metadata")?;
    Ok(terms)
}

/// `DataFlowStatusMessage` of a data plane: an answer, or a callback.
pub fn status(it: &Flow, message: &Message) -> String {
    let mut doc = Map::new();
    put(&mut doc, "messageId", message.id.as_ref().map(Id::as_str));
    put(&mut doc, "dataFlowId", Some(it.id.as_str()));
    // A callback says what it is about, whatever came after it.
    let state = match &message.body {
        Body::Prepared { .. } => Name::Prepared,
        Body::Started { .. } => Name::Started,
        Body::Completed => Name::Completed,
        Body::Prepare
        | Body::Start { .. }
        | Body::Suspend { .. }
        | Body::Resume { .. }
        | Body::Terminate { .. }
        | Body::Errored { .. } => it.state.name(),
    };
    put(&mut doc, "state", Some(state.token()));
    put(&mut doc, "dataAddress", message.body.address().map(write_address));
    if let Body::Errored { reason } = &message.body {
        put(&mut doc, "error", Some(reason.as_str()));
    }
    Value::Object(doc).to_string()
}

/// `DataFlowStatusResponseMessage`: the answer to GET.
pub fn status_response(it: &Flow) -> String {
    json!({"dataFlowId": it.id.as_str(), "state": it.state.name().token()}).to_string()
}

/// A `DataFlowStatusMessage` as the control plane reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub id: Option<Id>,
    pub flow: Option<Id>,
    pub state: Name,
    pub address: Option<DataAddress>,
    pub error: Option<String>,
}

/// Reads an answer or a callback of a data plane.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field.
pub fn read_status(body: &[u8]) -> Result<Status, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    let flow = top.id_opt("dataFlowId")?;
    if let Some(flow) = &flow {
        segment(flow)?;
    }
    Ok(Status {
        id: top.id_opt("messageId")?,
        flow,
        state: top.word("state", Name::from_token)?,
        address: read_address(&top, "dataAddress")?,
        error: top.text_opt("error")?.map(bounded).filter(|it| !it.is_empty()),
    })
}

/// Reads what a data plane posted to `/transfers/:id/dataflow/{word}`.
///
/// # Errors
/// [`Fault::PeerMisbehaved`]: `message.malformed`, or `dataflow.state` where path and state differ.
pub fn read_callback(kind: Kind, body: &[u8]) -> Result<(Status, Body), Fault> {
    let status = read_status(body)?;
    let (state, body) = match kind {
        Kind::Prepared => (Name::Prepared, Body::Prepared { address: status.address.clone() }),
        Kind::Started => (Name::Started, Body::Started { address: status.address.clone() }),
        Kind::Completed => (Name::Completed, Body::Completed),
        Kind::Errored => {
            let reason = status.error.clone().unwrap_or_else(|| "no reason given".to_owned());
            return Ok((status, Body::Errored { reason }));
        }
        Kind::Prepare | Kind::Start | Kind::Suspend | Kind::Resume | Kind::Terminate => {
            return Err(Fault::ApiMisuse("a control plane is not told so"));
        }
    };
    if status.state == state {
        Ok((status, body))
    } else {
        Err(Fault::misbehaved(
            "dataflow.state",
            format!("the path says {}, the message {}", state.token(), status.state.token()),
        ))
    }
}

/// `AgreementResponse`: the agreement behind a transfer, as DSP writes it.
pub fn agreement(it: &Contract) -> String {
    let (id, policy, at) = (it.id.clone(), it.policy.clone(), it.signed_at);
    let mut doc = negotiation::write_agreement(&Agreement { id, policy, at, signature: None });
    if let Some(members) = doc.as_object_mut() {
        members.insert("@context".to_owned(), json!([CONTEXT]));
    }
    doc.to_string()
}
