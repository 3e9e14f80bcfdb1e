//! Dataspace Protocol 2025-1 over HTTPS: the messages, their paths and their answers.
//!
//! Never fetches a JSON-LD context and never lets a peer's id shape a path: ids are escaped as one segment.
//! JSON Schema is normative in DSP and JSON-LD processing optional, so messages are read as plain JSON.

pub mod catalog;
pub mod entry;
pub mod error;
pub mod facets;
pub mod negotiation;
pub mod transfer;
pub mod version;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::id::Id;
use crate::negotiation::message::Role;

use super::json::{Fields, bounded, parse};

/// DSP 2025-1: `@context` is an array that holds this address.
pub const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";

/// The beginning of every message.
pub(crate) fn envelope(kind: &str, id: Option<&Id>) -> Map<String, Value> {
    let mut it = Map::new();
    it.insert("@context".to_owned(), json!([CONTEXT]));
    it.insert("@type".to_owned(), json!(kind));
    if let Some(id) = id {
        it.insert("@id".to_owned(), json!(id.as_str()));
    }
    it
}

/// Adds a member where there is a value.
pub(crate) fn put(it: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        it.insert(name.to_owned(), value.into());
    }
}

/// (providerPid, consumerPid), each where it is known.
pub type Pids<'a> = (Option<&'a Id>, Option<&'a Id>);

pub(crate) fn put_pids(it: &mut Map<String, Value>, (provider, consumer): Pids<'_>) {
    put(it, "providerPid", provider.map(Id::as_str));
    put(it, "consumerPid", consumer.map(Id::as_str));
}

/// Both pids, which schemas of states and errors require: an unknown one is the empty text.
pub(crate) fn put_both_pids(it: &mut Map<String, Value>, (provider, consumer): Pids<'_>) {
    it.insert("providerPid".to_owned(), json!(provider.map_or("", Id::as_str)));
    it.insert("consumerPid".to_owned(), json!(consumer.map_or("", Id::as_str)));
}

/// A peer's id as one path segment (RFC 3986 §3.3): what is not unreserved or `:` is escaped.
///
/// # Errors
/// For `.` and `..`, which no escape keeps from being resolved away.
pub(crate) fn segment(id: &Id) -> Result<String, Fault> {
    use std::fmt::Write as _;
    let text = id.as_str();
    if is_dots(text) {
        return Err(Fault::incompatible("message.pid", "a pid of dots cannot be part of a path"));
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    Ok(out)
}

fn is_dots(text: &str) -> bool {
    text == "." || text == ".."
}

/// A pid of the peer, as it will be echoed and put into paths.
pub(crate) fn pid(of: &Fields<'_>, name: &str) -> Result<Id, Fault> {
    let id = of.id(name)?;
    if is_dots(id.as_str()) { Err(of.wrong(name, "dots are no pid")) } else { Ok(id) }
}

/// The peer's pid in a message to us at `mine`; the pid that is ours must be the path's.
pub(crate) fn check_pids(of: &Fields<'_>, role: Role, mine: &Id) -> Result<Id, Fault> {
    let (ours, theirs) = pid_names(role);
    let named = of.id(ours)?;
    if named != *mine {
        return Err(Fault::misbehaved(
            "message.pid",
            format!("field {ours}: {named}, but the message was sent to {mine}"),
        ));
    }
    pid(of, theirs)
}

/// The member that names our pid, and the one that names the peer's.
pub(crate) fn pid_names(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Provider => ("providerPid", "consumerPid"),
        Role::Consumer => ("consumerPid", "providerPid"),
    }
}

/// Which side we are, where path and message fit both: the pid of ours that the message names tells.
pub(crate) fn role_by_pid(of: &Fields<'_>, mine: &Id) -> Result<Role, Fault> {
    match (of.id("providerPid")? == *mine, of.id("consumerPid")? == *mine) {
        (true, false) => Ok(Role::Provider),
        (false, true) => Ok(Role::Consumer),
        (true, true) | (false, false) => Err(Fault::misbehaved(
            "message.pid",
            format!("exactly one of providerPid and consumerPid must be {mine}"),
        )),
    }
}

/// The callback of an opening message: absolute, http or https, one trailing slash forgiven by the engine.
pub(crate) fn callback(of: &Fields<'_>) -> Result<String, Fault> {
    let text = of.text("callbackAddress")?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let whole = host.is_some_and(|it| !it.is_empty() && !it.starts_with('/'));
    if !whole
        || text.len() > CALLBACK_BYTES
        || text.chars().any(|c| c.is_control() || c.is_whitespace() || "?#\\".contains(c))
    {
        return Err(of.wrong(
            "callbackAddress",
            "not an absolute http or https address without query and fragment",
        ));
    }
    Ok(text.to_owned())
}

/// An address longer than this is refused by common servers and proxies.
const CALLBACK_BYTES: usize = 2048;

/// What a peer's answer to a message of ours says. Answers may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ack {
    /// The peer's own pid.
    pub pid: Option<Id>,
    /// The state that the peer says to be in, as DSP writes it.
    pub state: Option<String>,
}

/// Reads the 2xx answer to a message of ours. An answer without a document is one, too (EDC).
pub(crate) fn read_answer(kind: &str, mine: &Id, body: &[u8]) -> Result<Ack, Fault> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Ack::default());
    }
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    if top.get("@type").is_none() && top.get("state").is_none() {
        return Ok(Ack::default());
    }
    top.expect_type(kind)?;
    let role = role_by_pid(&top, mine)?;
    let pid = pid(&top, pid_names(role).1)?;
    Ok(Ack {
        pid: Some(pid),
        state: top.text_opt("state")?.map(|it| bounded(super::json::term(it))),
    })
}

/// Code and reasons of a message that ends or suspends something.
pub(crate) fn read_why(top: &Fields<'_>) -> Result<(Option<String>, Vec<String>), Fault> {
    Ok((top.text_opt("code")?.map(bounded), top.reasons("reason")))
}

pub(crate) fn put_why(it: &mut Map<String, Value>, code: Option<&str>, reason: &[String]) {
    put(it, "code", code);
    // "minItems": 1.
    if !reason.is_empty() {
        it.insert("reason".to_owned(), json!(reason));
    }
}
