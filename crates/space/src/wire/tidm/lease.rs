//! The lease: asked for, granted with a wrapped key, or refused with the term that says no.
//!
//! Never carries a key in the clear: `wrappedKey` is encrypted to the one-time key of the request.
//!
//! | who serves | method path | in | out |
//! |---|---|---|---|
//! | provider | POST `/tidm/1/leases/challenge` | `LeaseChallengeRequest` | 200 `LeaseChallenge`, 4xx `LeaseRefusal` |
//! | provider | POST `/tidm/1/leases/request` | `LeaseRequest` | 200 `LeaseGrant`, 4xx `LeaseRefusal` |
//! | both | POST `/tidm/1/leases/renew` | `LeaseRenewal` | 200 `LeaseGrant`, 4xx `LeaseRefusal` |

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::catalog::delivery::Use;
use crate::engine::input::Heard;
use crate::fault::Fault;
use crate::id::Id;
use crate::lease::message::{Grant, Renewal, Request};
use crate::limits::{LEASE_MAX, MATCH_TABLE_ENTRIES};
use crate::policy::privacy::Epsilon;
use crate::time::Time;
use crate::wire::Posting;
use crate::wire::dsp::put;
use crate::wire::json::{Fields, base64url, bounded, parse};

use super::envelope;
use super::share::{self, Split};

/// Where a lease is asked for, below the provider's DSP base.
pub const REQUEST_PATH: &str = "/tidm/1/leases/request";
/// Where a lease is renewed, at whoever granted it.
pub const RENEW_PATH: &str = "/tidm/1/leases/renew";

/// Where a challenge for evidence is asked for.
pub const CHALLENGE_PATH: &str = "/tidm/1/leases/challenge";

/// Longest evidence of an environment: quotes with their chains take 5 to 20 kB, with collateral 50 kB.
pub const EVIDENCE_BYTES: usize = 256 << 10;
/// An HPKE encapsulation with a wrapped 32-byte key takes below 200 bytes; post-quantum ones below 2 kB.
const WRAPPED_KEY_BYTES: usize = 4096;

/// `LeaseRequest`.
pub fn write_request(id: &Id, it: &Request) -> Posting {
    let mut doc = envelope("LeaseRequest", Some(id));
    put_request(&mut doc, it);
    Posting { path: REQUEST_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// The same with evidence of where the use will take place, which is opaque here.
pub fn write_attested(id: &Id, it: &Request, evidence: &[u8]) -> Posting {
    let mut doc = envelope("LeaseRequest", Some(id));
    put_request(&mut doc, it);
    put(&mut doc, "evidence", Some(base64url(evidence)));
    Posting { path: REQUEST_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// The evidence in a `LeaseRequest` or a `LeaseRenewal`, if it has any.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`.
pub fn read_evidence(body: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    let evidence = top.get("evidence").map(|_| top.bytes("evidence")).transpose()?;
    if evidence.as_ref().is_some_and(|it| it.len() > EVIDENCE_BYTES) {
        return Err(top.wrong("evidence", format!("longer than {EVIDENCE_BYTES} bytes")));
    }
    Ok(evidence)
}

/// `LeaseChallengeRequest`: for a use of this contract.
pub fn write_challenge_request(id: &Id, contract: &Id) -> Posting {
    let mut doc = envelope("LeaseChallengeRequest", Some(id));
    put(&mut doc, "contract", Some(contract.as_str()));
    Posting { path: CHALLENGE_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// Reads a `LeaseChallengeRequest`.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`.
pub fn read_challenge_request(body: &[u8]) -> Result<Id, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("LeaseChallengeRequest")?;
    top.id("contract")
}

/// `LeaseChallenge`: what evidence must answer, and until when.
pub fn write_challenge(nonce: &[u8; 32], until: Time) -> String {
    let mut doc = envelope("LeaseChallenge", None);
    put(&mut doc, "nonce", Some(base64url(nonce)));
    put(&mut doc, "until", Some(until.to_string()));
    Value::Object(doc).to_string()
}

/// Reads a `LeaseChallenge`.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`.
pub fn read_challenge(body: &[u8]) -> Result<([u8; 32], Time), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("LeaseChallenge")?;
    Ok((top.exact_bytes("nonce")?, top.time("until")?))
}

/// What is asked for, also inside another message.
pub(super) fn put_request(doc: &mut Map<String, Value>, it: &Request) {
    put(doc, "contract", Some(it.contract.as_str()));
    put(doc, "kind", Some(it.kind.name()));
    put(doc, "nonce", Some(base64url(&it.nonce)));
    put(doc, "key", Some(base64url(&it.key)));
    put(doc, "purpose", it.purpose.as_deref());
    put(doc, "query", it.query.map(|it| it.to_string()));
    put(doc, "items", it.items);
    put(doc, "epsilon", it.epsilon.map(Epsilon::micro));
    doc.insert(
        "milliseconds".to_owned(),
        json!(u64::try_from(it.span.as_millis()).unwrap_or(u64::MAX)),
    );
}

/// Reads a `LeaseRequest`.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field.
pub fn read_request(body: &[u8]) -> Result<(Option<Id>, Heard), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("LeaseRequest")?;
    let id = top.id_opt("@id")?;
    Ok((id, Heard::Ask(Box::new(request(&top)?))))
}

pub(super) fn request(top: &Fields<'_>) -> Result<Request, Fault> {
    // Longer spans are cut by the gate; this bound keeps arithmetic sane.
    let span = Duration::from_millis(top.number_opt("milliseconds")?.unwrap_or(0)).min(LEASE_MAX);
    Ok(Request {
        contract: top.id("contract")?,
        kind: top.word("kind", Use::from_name)?,
        nonce: top.exact_bytes("nonce")?,
        key: top.exact_bytes("key")?,
        purpose: top
            .get("purpose")
            .map(|_| top.short_text("purpose"))
            .transpose()?
            .map(str::to_owned),
        query: top.digest_opt("query")?,
        items: items(top)?,
        epsilon: epsilon(top)?,
        span,
    })
}

/// Of a session, or of the table that it is over. What a gate adds up for years stays far below what its store counts to.
fn items(of: &Fields<'_>) -> Result<Option<u64>, Fault> {
    let items = of.number_opt("items")?;
    match items.filter(|it| *it > MATCH_TABLE_ENTRIES) {
        None => Ok(items),
        Some(_) => Err(of.wrong("items", format!("more than {MATCH_TABLE_ENTRIES}"))),
    }
}

/// What an answer may cost, in millionths; one that no budget has is no price.
pub(crate) fn epsilon(of: &Fields<'_>) -> Result<Option<Epsilon>, Fault> {
    let read = |micro| {
        let none = || of.wrong("epsilon", "not above zero, or more than any budget has");
        Epsilon::from_micro(micro).ok_or_else(none)
    };
    of.number_opt("epsilon")?.map(read).transpose()
}

/// `LeaseRenewal`.
pub fn write_renewal(id: &Id, it: &Renewal) -> Posting {
    let mut doc = envelope("LeaseRenewal", Some(id));
    put_renewal(&mut doc, it);
    Posting { path: RENEW_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// The same with new evidence of where the use takes place, which is opaque here.
pub fn write_attested_renewal(id: &Id, it: &Renewal, evidence: &[u8]) -> Posting {
    let mut doc = envelope("LeaseRenewal", Some(id));
    put_renewal(&mut doc, it);
    put(&mut doc, "evidence", Some(base64url(evidence)));
    Posting { path: RENEW_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

fn put_renewal(doc: &mut Map<String, Value>, it: &Renewal) {
    put(doc, "lease", Some(it.lease.as_str()));
    put(doc, "number", Some(it.number));
    let span = u64::try_from(it.span.as_millis()).unwrap_or(u64::MAX);
    put(doc, "milliseconds", Some(span));
}

/// Reads a `LeaseRenewal`.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field.
pub fn read_renewal(body: &[u8]) -> Result<(Option<Id>, Heard), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("LeaseRenewal")?;
    let renewal = Renewal {
        lease: top.id("lease")?,
        number: top.small_number("number")?,
        span: Duration::from_millis(top.number_opt("milliseconds")?.unwrap_or(0)).min(LEASE_MAX),
    };
    Ok((top.id_opt("@id")?, Heard::Renew(renewal)))
}

/// `LeaseGrant`. `wrapped_key` is added by the node once the grant is durable; a query at the provider has none.
pub fn write_grant(it: &Grant, wrapped_key: Option<&[u8]>) -> String {
    let mut doc = envelope("LeaseGrant", None);
    put_grant(&mut doc, it);
    put(&mut doc, "wrappedKey", wrapped_key.map(base64url));
    Value::Object(doc).to_string()
}

/// `LeaseGrant` of a key that is split: with the provider's share, and what the operator is to be shown.
pub fn write_split_grant(it: &Grant, wrapped_key: &[u8], split: &Split) -> String {
    let mut doc = envelope("LeaseGrant", None);
    put_grant(&mut doc, it);
    put(&mut doc, "wrappedKey", Some(base64url(wrapped_key)));
    share::put_split(&mut doc, split);
    Value::Object(doc).to_string()
}

/// What the operator is to be shown, if the key of a `LeaseGrant` is split.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`.
pub fn read_split(body: &[u8]) -> Result<Option<Split>, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("LeaseGrant")?;
    share::split(&top)
}

/// What was granted, also inside another message.
pub(super) fn put_grant(doc: &mut Map<String, Value>, it: &Grant) {
    put(doc, "lease", Some(it.lease.as_str()));
    put(doc, "contract", Some(it.contract.as_str()));
    put(doc, "until", Some(it.until.to_string()));
    put(doc, "usesLeft", it.uses_left);
    put(doc, "epsilonLeft", it.epsilon_left);
}

/// Reads a `LeaseGrant` and its wrapped key, which the caller unwraps with the one-time key of its request.
pub fn read_grant(body: &[u8]) -> Result<(Grant, Option<Vec<u8>>), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("LeaseGrant")?;
    let wrapped = top.get("wrappedKey").map(|_| top.bytes("wrappedKey")).transpose()?;
    if wrapped.as_ref().is_some_and(|it| it.len() > WRAPPED_KEY_BYTES) {
        return Err(top.wrong("wrappedKey", format!("longer than {WRAPPED_KEY_BYTES} bytes")));
    }
    Ok((grant(&top)?, wrapped))
}

pub(super) fn grant(top: &Fields<'_>) -> Result<Grant, Fault> {
    Ok(Grant {
        lease: top.id("lease")?,
        contract: top.id("contract")?,
        until: top.time("until")?,
        uses_left: top.number_opt("usesLeft")?,
        epsilon_left: top.number_opt("epsilonLeft")?,
    })
}

/// Why the gate said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    /// The term that said no, where one did.
    pub rule: Option<String>,
    pub reason: String,
    /// The same in Chinese, where the gate said it.
    pub zh: Option<String>,
}

/// `LeaseRefusal`.
pub fn write_refusal(fault: &Fault) -> String {
    let mut doc = envelope("LeaseRefusal", None);
    put(&mut doc, "code", Some(fault.code()));
    let (rule, reason) = match fault {
        Fault::Denied { rule, reason, zh, .. } => {
            put(&mut doc, "reasonZh", zh.as_deref().map(bounded));
            (Some(rule.as_str()), bounded(reason))
        }
        Fault::PeerMisbehaved { .. }
        | Fault::PeerIncompatible { .. }
        | Fault::NotFound { .. }
        | Fault::Conflict { .. }
        | Fault::Refused { .. }
        | Fault::Unavailable { .. }
        | Fault::ApiMisuse(_) => (None, bounded(&fault.to_string())),
    };
    put(&mut doc, "rule", rule);
    put(&mut doc, "reason", Some(reason));
    Value::Object(doc).to_string()
}

/// Reads a `LeaseRefusal`.
pub fn read_refusal(body: &[u8]) -> Result<Refusal, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("LeaseRefusal")?;
    Ok(Refusal {
        code: bounded(top.text("code")?),
        rule: top.text_opt("rule")?.map(bounded),
        reason: bounded(top.text("reason")?),
        zh: top.text_opt("reasonZh")?.map(bounded),
    })
}
