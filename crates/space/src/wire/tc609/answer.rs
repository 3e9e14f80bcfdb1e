//! Answers of the interfaces: the standard's own flag, and beside it `code` and `message` of NDI-TR-2025-03 8.2.
//!
//! Never a secret and never an internal error's text: a refusal carries a fault's code and words, which are for peers.

use serde_json::{Map, Value as Json, json};

use crate::fault::Fault;
use crate::tc609::message::Interface;
use crate::wire::json::{self, Fields, bounded};

/// An answer as its caller reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// `0`: done, or agreed.
    pub done: bool,
    /// Why not, for programs and for people.
    pub code: Option<String>,
    pub message: Option<String>,
    /// All of it.
    pub body: Map<String, Json>,
}

/// Done (`0`), or understood but not agreed (`1`), with what else the interface answers.
pub fn write(interface: Interface, done: bool, more: Map<String, Json>) -> String {
    let mut map = more;
    map.insert(interface.flag().into(), if done { "0" } else { "1" }.into());
    Json::Object(map).to_string()
}

/// The standard's failure with our reason.
pub fn refused(interface: Interface, why: &Fault) -> String {
    let more = json!({ "code": why.code(), "message": why.to_string() });
    write(interface, false, more.as_object().cloned().unwrap_or_default())
}

/// Reads an answer.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`, with the field.
pub fn read(interface: Interface, bytes: &[u8]) -> Result<Answer, Fault> {
    let value = json::parse(bytes)?;
    let fields = Fields::top(&value)?;
    let done = fields.word(interface.flag(), |it| match it {
        "0" => Some(true),
        "1" => Some(false),
        _ => None,
    })?;
    let text = |name| Ok(fields.text_opt(name)?.map(bounded));
    let (code, message) = (text("code")?, text("message")?);
    Ok(Answer { done, code, message, body: value.as_object().cloned().unwrap_or_default() })
}
