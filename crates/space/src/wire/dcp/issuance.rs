//! Messages of the credential issuance protocol (DCP §6).
//!
//! Never fills in what a message leaves out: an object that is only an id stays one, and whoever needs the
//! rest looks it up in the issuer's metadata (DCP §6.6.1).

use serde_json::{Value, json};

use super::{CONTEXT, expect, expect_kind, short};
use crate::fault::Fault;
use crate::identity::credential::Profile;
use crate::identity::issuance::message::{Container, Delivery, Object, Offer, Outcome, Request};
use crate::identity::issuance::state::Word;
use crate::limits::{CREDENTIAL_BYTES, CREDENTIAL_PARTS, PRESENTED};
use crate::wire::json::{Fields, bounded, parse};

/// The format of a credential message's container; the profile's alias in what we write.
fn profile(it: &Fields<'_>, name: &str) -> Result<Profile, Fault> {
    let alias = it.text(name)?;
    Profile::from_alias(alias).ok_or_else(|| {
        let alias = bounded(alias);
        Fault::incompatible("credential.format", format!("the format {alias} is not spoken here"))
    })
}

/// `CredentialRequestMessage` (DCP §6.4.1).
pub fn read_request(body: &[u8]) -> Result<Request, Fault> {
    let json = parse(body)?;
    let it = Fields::top(&json)?;
    expect(&it, "CredentialRequestMessage")?;
    let all = it.array("credentials")?;
    if all.is_empty() || all.len() > PRESENTED {
        return Err(it.wrong("credentials", format!("none, or more than {PRESENTED}")));
    }
    let id = |one: &Value| short(&Fields::at(one, "credentials")?, "id");
    Ok(Request {
        holder_pid: short(&it, "holderPid")?,
        wants: all.iter().map(id).collect::<Result<_, _>>()?,
    })
}

pub fn write_request(it: &Request) -> String {
    let wants: Vec<Value> = it.wants.iter().map(|id| json!({"id": id})).collect();
    json!({"@context": [CONTEXT], "type": "CredentialRequestMessage", "holderPid": it.holder_pid, "credentials": wants}).to_string()
}

/// `CredentialMessage` (DCP §6.5.1). We demand a `holderPid`: it says which request this answers.
pub fn read_delivery(body: &[u8]) -> Result<Delivery, Fault> {
    let json = parse(body)?;
    let it = Fields::top(&json)?;
    expect(&it, "CredentialMessage")?;
    let outcome = match it.text("status")? {
        "ISSUED" => {
            let all = it.array("credentials")?;
            if all.is_empty() || all.len() > PRESENTED {
                return Err(it.wrong("credentials", format!("none, or more than {PRESENTED}")));
            }
            Outcome::Issued(all.iter().map(read_container).collect::<Result<_, _>>()?)
        }
        "REJECTED" => {
            Outcome::Rejected(bounded(it.text_opt("rejectionReason")?.unwrap_or_default()))
        }
        _ => return Err(it.wrong("status", "neither ISSUED nor REJECTED")),
    };
    Ok(Delivery {
        issuer_pid: short(&it, "issuerPid")?,
        holder_pid: short(&it, "holderPid")?,
        outcome,
    })
}

fn read_container(value: &Value) -> Result<Container, Fault> {
    let it = Fields::at(value, "credentials")?;
    let payload = it.text("payload")?;
    if payload.len() > CREDENTIAL_BYTES {
        return Err(it.wrong("payload", "too long"));
    }
    Ok(Container {
        kind: short(&it, "credentialType")?,
        profile: profile(&it, "format")?,
        payload: payload.to_owned(),
    })
}

pub fn write_delivery(it: &Delivery) -> String {
    let mut json = json!({
        "@context": [CONTEXT], "type": "CredentialMessage",
        "issuerPid": it.issuer_pid, "holderPid": it.holder_pid,
    });
    if let Some(map) = json.as_object_mut() {
        match &it.outcome {
            Outcome::Issued(all) => {
                let container = |it: &Container| json!({"credentialType": it.kind, "format": it.profile.alias(), "payload": it.payload});
                let all: Vec<Value> = all.iter().map(container).collect();
                map.insert("status".to_owned(), "ISSUED".into());
                map.insert("credentials".to_owned(), all.into());
            }
            Outcome::Rejected(reason) => {
                map.insert("status".to_owned(), "REJECTED".into());
                map.insert("rejectionReason".to_owned(), reason.clone().into());
            }
        }
    }
    json.to_string()
}

/// `CredentialOfferMessage` (DCP §6.6.1).
pub fn read_offer(body: &[u8]) -> Result<Offer, Fault> {
    let json = parse(body)?;
    let it = Fields::top(&json)?;
    expect(&it, "CredentialOfferMessage")?;
    let issuer = it.did("issuer")?;
    Ok(Offer { issuer, credentials: read_objects(&it, "credentials", true)? })
}

pub fn write_offer(it: &Offer) -> String {
    let all: Vec<Value> = it.credentials.iter().map(write_object).collect();
    json!({"@context": [CONTEXT], "type": "CredentialOfferMessage", "issuer": it.issuer.as_str(), "credentials": all}).to_string()
}

fn read_objects(it: &Fields<'_>, name: &str, sparse: bool) -> Result<Vec<Object>, Fault> {
    let all = it.array(name)?;
    if all.is_empty() || all.len() > PRESENTED {
        return Err(it.wrong(name, format!("none, or more than {PRESENTED}")));
    }
    all.iter().map(|one| read_object(&Fields::at(one, name)?, sparse)).collect()
}

/// `CredentialObject` (DCP §6.6.2). A sparse one is its id alone, even without a type (DCP §6.6.1).
fn read_object(it: &Fields<'_>, sparse: bool) -> Result<Object, Fault> {
    if !sparse || it.get("type").is_some() {
        expect_kind(it, "CredentialObject")?;
    }
    let bindings = match it.get("bindingMethods") {
        Some(_) => it.texts("bindingMethods")?,
        None => Vec::new(),
    };
    if bindings.len() > CREDENTIAL_PARTS {
        return Err(it.wrong("bindingMethods", "too many"));
    }
    let text = |name| it.text_opt(name).map(|found| found.map(bounded));
    Ok(Object {
        id: short(it, "id")?,
        kind: text("credentialType")?,
        schema: text("credentialSchema")?,
        reason: text("offerReason")?,
        bindings,
        profile: text("profile")?,
    })
}

fn write_object(it: &Object) -> Value {
    let mut json = json!({"id": it.id, "type": "CredentialObject"});
    if let Some(map) = json.as_object_mut() {
        for (name, value) in [
            ("credentialType", &it.kind),
            ("credentialSchema", &it.schema),
            ("offerReason", &it.reason),
            ("profile", &it.profile),
        ] {
            if let Some(value) = value {
                map.insert(name.to_owned(), value.clone().into());
            }
        }
        if !it.bindings.is_empty() {
            map.insert("bindingMethods".to_owned(), it.bindings.clone().into());
        }
    }
    json
}

/// `IssuerMetadata` (DCP §6.7.1): what the issuer can issue.
pub fn write_metadata(issuer: &str, supported: &[Object]) -> String {
    let all: Vec<Value> = supported.iter().map(write_object).collect();
    json!({"@context": [CONTEXT], "type": "IssuerMetadata", "issuer": issuer, "credentialsSupported": all}).to_string()
}

/// Whose metadata it is and what may be asked for.
pub fn read_metadata(body: &[u8]) -> Result<Offer, Fault> {
    let json = parse(body)?;
    let it = Fields::top(&json)?;
    expect(&it, "IssuerMetadata")?;
    let issuer = it.did("issuer")?;
    Ok(Offer { issuer, credentials: read_objects(&it, "credentialsSupported", false)? })
}

/// `CredentialStatus` (DCP §6.8.1).
pub fn write_status(issuer_pid: &str, holder_pid: &str, word: Word) -> String {
    json!({"@context": [CONTEXT], "type": "CredentialStatus", "issuerPid": issuer_pid, "holderPid": holder_pid, "status": word.word()}).to_string()
}

pub fn read_status(body: &[u8]) -> Result<(String, String, Word), Fault> {
    let json = parse(body)?;
    let it = Fields::top(&json)?;
    expect(&it, "CredentialStatus")?;
    let word = it.word("status", Word::from_word)?;
    Ok((short(&it, "issuerPid")?, short(&it, "holderPid")?, word))
}
