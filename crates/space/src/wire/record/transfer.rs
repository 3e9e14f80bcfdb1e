//! The row of a transfer.
//!
//! Holds the token of a data address until the transfer ends: rows are as secret as the store.

use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::id::Id;
use crate::negotiation::message::Role;
use crate::transfer::message::{Body, Message};
use crate::transfer::state::{State, Transfer};
use crate::wire::dsp::put;
use crate::wire::dsp::transfer::{read_address, write_address};
use crate::wire::json::Fields;

use super::negotiation::{put_end, read_end};
use super::{BadRecord, fields, open, row};

pub fn encode(it: &Transfer) -> String {
    let mut doc = Map::new();
    put(&mut doc, "id", Some(it.id.as_str()));
    put(&mut doc, "role", Some(it.role.word()));
    put(&mut doc, "peer", Some(it.peer.as_str()));
    put(&mut doc, "peerPid", it.peer_pid.as_ref().map(Id::as_str));
    put(&mut doc, "address", Some(it.address.as_str()));
    put(&mut doc, "contract", Some(it.contract.as_str()));
    put(&mut doc, "format", Some(it.format.as_str()));
    put(&mut doc, "pushTo", it.push_to.as_ref().map(write_address));
    doc.insert("state".to_owned(), write_state(&it.state));
    put(&mut doc, "pending", it.pending.as_ref().map(write_message));
    put(&mut doc, "starts", (it.starts > 0).then_some(it.starts));
    put(&mut doc, "created", Some(it.created.to_string()));
    put(&mut doc, "moved", Some(it.moved.to_string()));
    row(doc)
}

pub fn decode(text: &str) -> Result<Transfer, BadRecord> {
    let value = open(text)?;
    let top = fields(&value)?;
    Ok(Transfer {
        id: top.id("id")?,
        role: top.word("role", Role::from_word)?,
        peer: top.did("peer")?,
        peer_pid: top.id_opt("peerPid")?,
        address: top.text("address")?.to_owned(),
        contract: top.id("contract")?,
        format: top.text("format")?.to_owned(),
        push_to: read_address(&top, "pushTo")?,
        state: read_state(&top.object("state")?)?,
        pending: top.object_opt("pending")?.map(|it| read_message(&it)).transpose()?,
        // Absent in rows of older versions, and before the first.
        starts: match top.get("starts") {
            Some(_) => top.small_number("starts")?,
            None => 0,
        },
        created: top.time("created")?,
        moved: top.time("moved")?,
    })
}

fn write_state(it: &State) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "name", Some(it.name().token()));
    match it {
        State::Initial | State::Requested => {}
        State::Started { address } => put(&mut doc, "address", address.as_ref().map(write_address)),
        State::Suspended { by, reason, address } => {
            put_end(&mut doc, *by, None, reason);
            put(&mut doc, "address", address.as_ref().map(write_address));
        }
        State::Completed { by } => put(&mut doc, "by", Some(by.word())),
        State::Terminated { by, code, reason } => put_end(&mut doc, *by, code.as_deref(), reason),
    }
    Value::Object(doc)
}

fn read_state(of: &Fields<'_>) -> Result<State, Fault> {
    Ok(match of.text("name")? {
        "INITIAL" => State::Initial,
        "REQUESTED" => State::Requested,
        "STARTED" => State::Started { address: read_address(of, "address")? },
        "SUSPENDED" => {
            let (by, _, reason) = read_end(of)?;
            // Rows of older versions have no address.
            State::Suspended { by, reason, address: read_address(of, "address")? }
        }
        "COMPLETED" => State::Completed { by: of.word("by", Role::from_word)? },
        "TERMINATED" => {
            let (by, code, reason) = read_end(of)?;
            State::Terminated { by, code, reason }
        }
        _ => return Err(of.wrong("name", "unknown state")),
    })
}

fn write_message(it: &Message) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "id", it.id.as_ref().map(Id::as_str));
    put(&mut doc, "say", Some(it.body.kind().word()));
    match &it.body {
        Body::Request { contract, format, address } => {
            put(&mut doc, "contract", Some(contract.as_str()));
            put(&mut doc, "format", Some(format.as_str()));
            put(&mut doc, "address", address.as_ref().map(write_address));
        }
        Body::Start { address } => put(&mut doc, "address", address.as_ref().map(write_address)),
        Body::Complete => {}
        Body::Suspend { code, reason } | Body::Terminate { code, reason } => {
            put(&mut doc, "code", code.as_deref());
            doc.insert("reason".to_owned(), json!(reason));
        }
    }
    Value::Object(doc)
}

fn read_message(of: &Fields<'_>) -> Result<Message, Fault> {
    let code = || Ok::<_, Fault>(of.text_opt("code")?.map(str::to_owned));
    let body = match of.text("say")? {
        "request" => Body::Request {
            contract: of.id("contract")?,
            format: of.text("format")?.to_owned(),
            address: read_address(of, "address")?,
        },
        "start" => Body::Start { address: read_address(of, "address")? },
        "complete" => Body::Complete,
        "suspend" => Body::Suspend { code: code()?, reason: of.texts("reason")? },
        "terminate" => Body::Terminate { code: code()?, reason: of.texts("reason")? },
        _ => return Err(of.wrong("say", "unknown message")),
    };
    Ok(Message { id: of.id_opt("id")?, body })
}
