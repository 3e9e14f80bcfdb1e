//! Shares of split keys: what provider and operator sign about them, and what a consumer asks an operator.
//!
//! Never a share in the clear, and never a statement of one kind read as another: each has a `typ` of its own.
//!
//! | who serves | method path | in | out |
//! |---|---|---|---|
//! | operator | GET `/tidm/1/shares/key` | | 200 `ShareKey` |
//! | operator | POST `/tidm/1/shares/ready` | `ShareInquiry` | 200 `{}`, 4xx `LeaseRefusal` |
//! | operator | POST `/tidm/1/shares/release` | `ShareRequest` | 200 `ShareGrant`, 4xx `LeaseRefusal` |

use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::limits::SHARE_STATEMENT_BYTES;
use crate::share::{Deposit, Published, Shown};
use crate::wire::Posting;
use crate::wire::dsp::put;
use crate::wire::json::{Fields, base64url, parse};

use super::envelope;

/// Where an operator shows its key.
pub const KEY_PATH: &str = "/tidm/1/shares/key";
/// Where a consumer asks whether anything is held, before it asks the provider's gate.
pub const READY_PATH: &str = "/tidm/1/shares/ready";
/// Where a share is asked for.
pub const RELEASE_PATH: &str = "/tidm/1/shares/release";

/// `typ` of an operator's public key.
pub const KEY_TYP: &str = "tidm-share-key+jws";
/// `typ` of a deposited share.
pub const DEPOSIT_TYP: &str = "tidm-share-deposit+jws";
/// `typ` of a lease that is shown to an operator.
pub const SHOWN_TYP: &str = "tidm-shown-lease+jws";

/// A wrapped share takes 80 bytes.
const WRAPPED_BYTES: usize = 1024;

/// Claims of a deposit.
pub fn deposit_claims(it: &Deposit) -> Value {
    json!({
        "contract": it.contract.as_str(), "product": it.product.as_str(), "iss": it.provider.as_str(),
        "sub": it.consumer.as_str(), "aud": it.operator.as_str(), "policy": it.policy.to_string(),
        "share": base64url(&it.wrapped),
    })
}

/// Reads them, still unproven.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`, as all readers here.
pub fn read_deposit(payload: &[u8]) -> Result<Deposit, Fault> {
    let value = parse(payload)?;
    let top = Fields::top(&value)?;
    let wrapped = top.bytes("share")?;
    if wrapped.len() > WRAPPED_BYTES {
        return Err(top.wrong("share", format!("longer than {WRAPPED_BYTES} bytes")));
    }
    Ok(Deposit {
        contract: top.id("contract")?,
        product: top.id("product")?,
        provider: top.did("iss")?,
        consumer: top.did("sub")?,
        operator: top.did("aud")?,
        policy: top.digest("policy")?,
        wrapped,
    })
}

/// Claims of a lease as it is shown.
pub fn shown_claims(it: &Shown) -> Value {
    json!({
        "jti": it.lease.as_str(), "contract": it.contract.as_str(), "iss": it.provider.as_str(),
        "sub": it.consumer.as_str(), "aud": it.operator.as_str(), "nonce": base64url(&it.nonce),
        "key": base64url(&it.key), "granted": it.granted.to_string(), "until": it.until.to_string(),
    })
}

/// Reads them, still unproven.
pub fn read_shown(payload: &[u8]) -> Result<Shown, Fault> {
    let value = parse(payload)?;
    let top = Fields::top(&value)?;
    Ok(Shown {
        lease: top.id("jti")?,
        contract: top.id("contract")?,
        provider: top.did("iss")?,
        consumer: top.did("sub")?,
        operator: top.did("aud")?,
        nonce: top.exact_bytes("nonce")?,
        key: top.exact_bytes("key")?,
        granted: top.time("granted")?,
        until: top.time("until")?,
    })
}

/// Claims of an operator's key.
pub fn key_claims(it: &Published) -> Value {
    json!({ "iss": it.operator.as_str(), "key": base64url(&it.key), "at": it.at.to_string() })
}

/// Reads them, still unproven.
pub fn read_key_claims(payload: &[u8]) -> Result<Published, Fault> {
    let value = parse(payload)?;
    let top = Fields::top(&value)?;
    let (operator, key, at) = (top.did("iss")?, top.exact_bytes("key")?, top.time("at")?);
    Ok(Published { operator, key, at })
}

/// `ShareKey` with the signed statement.
pub fn write_key(signed: &str) -> String {
    let mut doc = envelope("ShareKey", None);
    put(&mut doc, "signed", Some(signed));
    Value::Object(doc).to_string()
}

/// The signed statement of a `ShareKey`.
pub fn read_key(body: &[u8]) -> Result<String, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("ShareKey")?;
    statement(&top, "signed")
}

/// `ShareInquiry`.
pub fn write_inquiry(contract: &Id, provider: &Did) -> Posting {
    let mut doc = envelope("ShareInquiry", None);
    put(&mut doc, "contract", Some(contract.as_str()));
    put(&mut doc, "provider", Some(provider.as_str()));
    Posting { path: READY_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// Contract and provider of a `ShareInquiry`.
pub fn read_inquiry(body: &[u8]) -> Result<(Id, Did), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("ShareInquiry")?;
    Ok((top.id("contract")?, top.did("provider")?))
}

/// What the provider adds to a grant whose key is split: both statements go to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    pub deposit: String,
    pub shown: String,
}

pub(super) fn put_split(doc: &mut Map<String, Value>, it: &Split) {
    put(doc, "deposit", Some(it.deposit.as_str()));
    put(doc, "shown", Some(it.shown.as_str()));
}

/// The two statements in a `LeaseGrant` or `ShareRequest`, if there are any.
pub(super) fn split(top: &Fields<'_>) -> Result<Option<Split>, Fault> {
    if top.get("deposit").is_none() && top.get("shown").is_none() {
        return Ok(None);
    }
    let (deposit, shown) = (statement(top, "deposit")?, statement(top, "shown")?);
    Ok(Some(Split { deposit, shown }))
}

fn statement(top: &Fields<'_>, name: &str) -> Result<String, Fault> {
    let text = top.text(name)?;
    if text.len() > SHARE_STATEMENT_BYTES {
        return Err(top.wrong(name, format!("longer than {SHARE_STATEMENT_BYTES} bytes")));
    }
    Ok(text.to_owned())
}

/// `ShareRequest`.
pub fn write_request(it: &Split) -> Posting {
    let mut doc = envelope("ShareRequest", None);
    put_split(&mut doc, it);
    Posting { path: RELEASE_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// Reads a `ShareRequest`.
pub fn read_request(body: &[u8]) -> Result<Split, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("ShareRequest")?;
    split(&top)?.ok_or_else(|| top.wrong("deposit", "missing"))
}

/// `ShareGrant`: the share under the lease's one-time key.
pub fn write_grant(lease: &Id, wrapped: &[u8]) -> String {
    let mut doc = envelope("ShareGrant", None);
    put(&mut doc, "lease", Some(lease.as_str()));
    put(&mut doc, "wrappedShare", Some(base64url(wrapped)));
    Value::Object(doc).to_string()
}

/// Reads a `ShareGrant`.
pub fn read_grant(body: &[u8]) -> Result<(Id, Vec<u8>), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("ShareGrant")?;
    let wrapped = top.bytes("wrappedShare")?;
    if wrapped.len() > WRAPPED_BYTES {
        return Err(top.wrong("wrappedShare", format!("longer than {WRAPPED_BYTES} bytes")));
    }
    Ok((top.id("lease")?, wrapped))
}
