//! DCP 1.0 on the wire: queries, presentations, issuance messages, and credentials as JWT.
//!
//! Never decides: what reads well may still prove nothing. JSON-LD is read as plain JSON (DCP §3 leaves the
//! choice), so every message carries the protocol's context in an array.

pub mod issuance;
pub mod jwt;
pub mod query;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::fault::Fault;
use crate::wire::json::Fields;

/// The context of DCP 1.0.
pub const CONTEXT: &str = "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld";

/// Checks `@context` and `type`, which every DCP message carries.
fn expect(it: &Fields<'_>, kind: &str) -> Result<(), Fault> {
    let context = it.get("@context").and_then(Value::as_array);
    if !context.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(CONTEXT))) {
        return Err(it.wrong("@context", format!("should be an array with {CONTEXT}")));
    }
    expect_kind(it, kind)
}

fn expect_kind(it: &Fields<'_>, kind: &str) -> Result<(), Fault> {
    if it.get("type").and_then(Value::as_str) == Some(kind) {
        return Ok(());
    }
    Err(it.wrong("type", format!("should be {kind}")))
}

/// The bare identifier of a peer's pid, credential or object: short, and shown to people.
fn short(it: &Fields<'_>, name: &str) -> Result<String, Fault> {
    let text = it.text(name)?;
    if text.is_empty() || text.len() > crate::limits::ID_BYTES {
        return Err(it.wrong(name, "empty or too long"));
    }
    Ok(text.to_owned())
}
