//! Error bodies: `ContractNegotiationError`, `TransferError`, and the same shape for our own profile.
//!
//! Never tells more than the fault does, and never fails on a peer's error, however it looks.

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::id::Id;
use crate::wire::json::{Fields, bounded, parse};

use super::{Pids, envelope, put_both_pids};

/// The error body of what is neither negotiation nor transfer.
pub fn write(fault: &Fault) -> String {
    json!({"@type": "Error", "code": fault.code(), "reason": [bounded(&fault.to_string())]})
        .to_string()
}

/// `ContractNegotiationError` or `TransferError`.
pub(super) fn write_as(kind: &str, pids: Pids<'_>, fault: &Fault) -> String {
    let mut it = envelope(kind, None);
    put_both_pids(&mut it, pids);
    it.insert("code".to_owned(), json!(fault.code()));
    it.insert("reason".to_owned(), json!([bounded(&fault.to_string())]));
    Value::Object(it).to_string()
}

/// (providerPid, consumerPid) that a message names, for the error that answers it; none where it names none.
pub fn pids_in(body: &[u8]) -> (Option<Id>, Option<Id>) {
    let Ok(value) = parse(body) else { return (None, None) };
    let Ok(top) = Fields::top(&value) else { return (None, None) };
    let named = |name| top.id_opt(name).ok().flatten();
    (named("providerPid"), named("consumerPid"))
}

/// `(code, reasons)` of any error body; whatever is not understood is left out.
pub fn read(body: &[u8]) -> (Option<String>, Vec<String>) {
    let Ok(value) = parse(body) else { return (None, Vec::new()) };
    let Ok(top) = Fields::top(&value) else { return (None, Vec::new()) };
    let code = match top.get("code") {
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) => top.text_opt("code").ok().flatten().map(bounded),
        None => None,
    };
    (code, top.reasons("reason"))
}
