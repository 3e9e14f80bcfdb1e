//! `PresentationQueryMessage` and `PresentationResponseMessage` (DCP §5.4.1, §5.4.2).
//!
//! Never honours a presentation definition in part: we answer scopes, and say so (DCP §5.4.1.1).

use serde_json::{Value, json};

use super::{CONTEXT, expect};
use crate::fault::Fault;
use crate::identity::presentation::scope::Scope;
use crate::limits::PRESENTED;
use crate::wire::json::{Fields, parse};

/// The code of the fault that is answered with 501.
pub const NO_DEFINITIONS: &str = "presentation.definition";

/// What a verifier asks our wallet for.
pub fn read(body: &[u8]) -> Result<Vec<Scope>, Fault> {
    let json = parse(body)?;
    let it = Fields::top(&json)?;
    expect(&it, "PresentationQueryMessage")?;
    let definition = it.object_opt("presentationDefinition")?;
    match (it.get("scope"), definition) {
        // DCP §5.4.1: "If both parameters are present it is an error".
        (Some(_), Some(_)) => Err(it.wrong("scope", "not beside a presentationDefinition")),
        (None, None) => Err(it.wrong("scope", "missing")),
        (None, Some(definition)) => {
            definition.text("id")?;
            if definition.array("input_descriptors")?.is_empty() {
                return Err(definition.wrong("input_descriptors", "empty"));
            }
            Err(Fault::incompatible(
                NO_DEFINITIONS,
                "this wallet answers scopes, not presentation definitions",
            ))
        }
        (Some(_), None) => {
            let texts = it.texts("scope")?;
            if texts.is_empty() {
                return Err(it.wrong("scope", "empty"));
            }
            Scope::parse_all(texts.iter().map(String::as_str))
        }
    }
}

pub fn write(scopes: &[Scope]) -> String {
    let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    json!({"@context": [CONTEXT], "type": "PresentationQueryMessage", "scope": scopes}).to_string()
}

/// The presentations of an answer. One that is no JWT is nothing that we can verify.
pub fn read_response(body: &[u8]) -> Result<Vec<String>, Fault> {
    let json = parse(body)?;
    let it = Fields::top(&json)?;
    expect(&it, "PresentationResponseMessage")?;
    let all = it.array("presentation")?;
    if all.len() > PRESENTED {
        return Err(it.wrong("presentation", format!("more than {PRESENTED}")));
    }
    let text = |one: &Value| match one {
        Value::String(text) => Ok(text.clone()),
        Value::Object(_) => Err(Fault::incompatible(
            "presentation.format",
            "presentations with embedded proofs are not understood here, only JWT",
        )),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            Err(it.wrong("presentation", "neither text nor object"))
        }
    };
    all.iter().map(text).collect()
}

pub fn write_response(presentations: &[String]) -> String {
    json!({"@context": [CONTEXT], "type": "PresentationResponseMessage", "presentation": presentations})
        .to_string()
}
