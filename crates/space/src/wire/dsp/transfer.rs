//! DSP 2025-1 §10: messages of a transfer process, as posted and as received.
//!
//! Never moves a transfer, and never logs a data address: its properties hold tokens.

use serde_json::{Map, Value, json};

use crate::engine::input::TransferSpoken;
use crate::fault::Fault;
use crate::id::Id;
use crate::limits::ADDRESS_PROPERTIES;
use crate::negotiation::message::Role;
use crate::transfer::message::{Body, DataAddress, Message};
use crate::transfer::state::{Name, Transfer};
use crate::wire::Posting;
use crate::wire::json::{Fields, parse};

use super::{
    Ack, Pids, callback, check_pids, envelope, pid, put, put_both_pids, put_pids, put_why,
    read_why, role_by_pid, segment,
};

/// Where a message was posted to. All but the first serve both roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/transfers/request`
    Request,
    /// `/transfers/:pid/start`
    Start,
    /// `/transfers/:pid/completion`
    Completion,
    /// `/transfers/:pid/suspension`
    Suspension,
    /// `/transfers/:pid/termination`
    Termination,
}

impl Endpoint {
    pub const ALL: [Self; 5] =
        [Self::Request, Self::Start, Self::Completion, Self::Suspension, Self::Termination];
}

/// What we say, ready to be posted below the peer's address. `callback` is our DSP base.
///
/// # Errors
/// [`Fault::Refused`] for a later message to a peer that has not told its pid yet.
pub fn write(it: &Transfer, message: &Message, callback: &str) -> Result<Posting, Fault> {
    let id = message.id.as_ref();
    let mut doc = match &message.body {
        Body::Request { .. } => envelope("TransferRequestMessage", id),
        Body::Start { .. } => envelope("TransferStartMessage", id),
        Body::Complete => envelope("TransferCompletionMessage", id),
        Body::Suspend { .. } => envelope("TransferSuspensionMessage", id),
        Body::Terminate { .. } => envelope("TransferTerminationMessage", id),
    };
    put_pids(&mut doc, it.pids());
    match &message.body {
        Body::Request { contract, format, address } => {
            doc.insert("agreementId".to_owned(), json!(contract.as_str()));
            doc.insert("format".to_owned(), json!(format));
            doc.insert("callbackAddress".to_owned(), json!(callback));
            put(&mut doc, "dataAddress", address.as_ref().map(write_address));
        }
        Body::Start { address } => {
            put(&mut doc, "dataAddress", address.as_ref().map(write_address));
        }
        Body::Complete => {}
        Body::Suspend { code, reason } | Body::Terminate { code, reason } => {
            put_why(&mut doc, code.as_deref(), reason);
        }
    }
    Ok(Posting { path: path(it, &message.body)?, body: Value::Object(doc).to_string() })
}

fn path(it: &Transfer, body: &Body) -> Result<String, Fault> {
    let last = match body {
        Body::Request { .. } => return Ok("/transfers/request".to_owned()),
        Body::Start { .. } => "start",
        Body::Complete => "completion",
        Body::Suspend { .. } => "suspension",
        Body::Terminate { .. } => "termination",
    };
    let Some(peer) = &it.peer_pid else {
        return Err(Fault::refused(
            "transfer.unanswered",
            "the peer has not answered our request yet",
        ));
    };
    Ok(format!("/transfers/{}/{last}", segment(peer)?))
}

/// Reads what was posted to `endpoint`; `mine` is the pid in its path, none for a request.
///
/// # Errors
/// [`Fault::PeerMisbehaved`]: `message.malformed` with the field, `message.pid` where body and path differ.
pub fn read(
    endpoint: Endpoint,
    mine: Option<&Id>,
    body: &[u8],
) -> Result<(Option<Id>, TransferSpoken), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    let body = read_body(endpoint, &top)?;
    let id = top.id_opt("@id")?;
    let spoken = match (endpoint, mine) {
        (Endpoint::Request, None) => TransferSpoken {
            mine: None,
            theirs: Some(pid(&top, "consumerPid")?),
            callback: Some(callback(&top)?),
            body,
        },
        (
            Endpoint::Start | Endpoint::Completion | Endpoint::Suspension | Endpoint::Termination,
            Some(mine),
        ) => {
            let role = role_by_pid(&top, mine)?;
            let theirs = check_pids(&top, role, mine)?;
            TransferSpoken { mine: Some(mine.clone()), theirs: Some(theirs), callback: None, body }
        }
        (_, _) => {
            return Err(Fault::ApiMisuse("a pid in the path, or none, does not fit the endpoint"));
        }
    };
    Ok((id, spoken))
}

/// As [`read`], but the pid in the path alone says which transfer is meant: for test kits that fill the message's
/// pids with others. Sender and state are checked all the same.
///
/// # Errors
/// As [`read`], without `message.pid`.
pub fn read_by_path(
    endpoint: Endpoint,
    mine: &Id,
    body: &[u8],
) -> Result<(Option<Id>, TransferSpoken), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    let body = read_body(endpoint, &top)?;
    let id = top.id_opt("@id")?;
    Ok((id, TransferSpoken { mine: Some(mine.clone()), theirs: None, callback: None, body }))
}

fn read_body(endpoint: Endpoint, top: &Fields<'_>) -> Result<Body, Fault> {
    Ok(match endpoint {
        Endpoint::Request => {
            top.expect_type("TransferRequestMessage")?;
            Body::Request {
                contract: top.id("agreementId")?,
                format: top.short_text("format")?.to_owned(),
                address: read_address(top, "dataAddress")?,
            }
        }
        Endpoint::Start => {
            top.expect_type("TransferStartMessage")?;
            Body::Start { address: read_address(top, "dataAddress")? }
        }
        Endpoint::Completion => {
            top.expect_type("TransferCompletionMessage")?;
            Body::Complete
        }
        Endpoint::Suspension => {
            top.expect_type("TransferSuspensionMessage")?;
            let (code, reason) = read_why(top)?;
            Body::Suspend { code, reason }
        }
        Endpoint::Termination => {
            top.expect_type("TransferTerminationMessage")?;
            let (code, reason) = read_why(top)?;
            Body::Terminate { code, reason }
        }
    })
}

/// DSP `DataAddress`; the order of its properties is kept.
pub(crate) fn write_address(it: &DataAddress) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "@type", Some("DataAddress"));
    put(&mut doc, "endpointType", Some(it.endpoint_type.as_str()));
    put(&mut doc, "endpoint", it.endpoint.as_deref());
    // "minItems": 1.
    if !it.properties.is_empty() {
        let properties: Vec<Value> = it
            .properties
            .iter()
            .map(|(name, value)| json!({"@type": "EndpointProperty", "name": name, "value": value}))
            .collect();
        doc.insert("endpointProperties".to_owned(), Value::Array(properties));
    }
    Value::Object(doc)
}

/// Never quotes a value: it may be a token.
pub(crate) fn read_address(of: &Fields<'_>, name: &str) -> Result<Option<DataAddress>, Fault> {
    let Some(inner) = of.object_opt(name)? else { return Ok(None) };
    let listed = inner.values("endpointProperties");
    if listed.len() > ADDRESS_PROPERTIES {
        return Err(inner.wrong("endpointProperties", format!("more than {ADDRESS_PROPERTIES}")));
    }
    let mut properties = Vec::with_capacity(listed.len());
    for item in listed {
        let property = Fields::at(item, format!("{name}.endpointProperties"))?;
        properties.push((property.text("name")?.to_owned(), property.text("value")?.to_owned()));
    }
    let endpoint = inner.text_opt("endpoint")?.map(str::to_owned);
    Ok(Some(DataAddress {
        endpoint_type: inner.text("endpointType")?.to_owned(),
        endpoint,
        properties,
    }))
}

/// `TransferProcess`: the answer to a message, and to GET.
pub fn state(it: &Transfer) -> String {
    let mut doc = envelope("TransferProcess", None);
    put_both_pids(&mut doc, it.pids());
    // DSP knows no INITIAL: our request is on its way, and this is what it leads to.
    let state = match it.state.name() {
        Name::Initial => Name::Requested,
        name @ (Name::Requested
        | Name::Started
        | Name::Suspended
        | Name::Completed
        | Name::Terminated) => name,
    };
    doc.insert("state".to_owned(), json!(state.token()));
    Value::Object(doc).to_string()
}

/// The 2xx answer to a message of our transfer `mine`: `TransferProcess`, or nothing.
pub fn read_answer(body: &[u8], mine: &Id) -> Result<Ack, Fault> {
    super::read_answer("TransferProcess", mine, body)
}

/// The peer's pid from that answer; none where the answer does not tell it.
pub fn read_ack(body: &[u8], mine: &Id) -> Option<Id> {
    read_answer(body, mine).ok()?.pid
}

/// `TransferError`; an unknown pid becomes the empty text, since the schema requires both.
pub fn error(pids: Pids<'_>, fault: &Fault) -> String {
    super::error::write_as("TransferError", pids, fault)
}

/// The pids of a message to a transfer that we do not hold, for its error.
pub fn pids_of(role: Role, mine: Option<&Id>) -> Pids<'_> {
    match role {
        Role::Provider => (mine, None),
        Role::Consumer => (None, mine),
    }
}
