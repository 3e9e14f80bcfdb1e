//! Notices: a contract ended, was suspended or resumed, a lease ended or was returned, copies were deleted.
//!
//! Never the only carrier of a right: what a notice says holds at its sender whether or not it arrives.
//!
//! | who serves | method path | in |
//! |---|---|---|
//! | both | POST `/tidm/1/contracts/ended` | `ContractEnded` |
//! | provider | POST `/tidm/1/leases/returned` | `LeaseReturned` |
//! | consumer | POST `/tidm/1/contracts/standing` | `ContractStanding` |
//! | consumer | POST `/tidm/1/leases/ended` | `LeaseEnded` |
//! | provider | POST `/tidm/1/contracts/deleted` | `CopiesDeleted` |

use serde_json::{Value, json};
use tidm_crypto::hash::Digest;

use crate::contract::{Deletion, End};
use crate::engine::input::Heard;
use crate::evidence::fact::Closed;
use crate::fault::Fault;
use crate::id::Id;
use crate::lease::message::Outcome;
use crate::limits::DELETED_FILES;
use crate::negotiation::message::Signature;
use crate::wire::Posting;
use crate::wire::dsp::put;
use crate::wire::json::{Fields, bounded, parse};

use super::envelope;

pub const ENDED_PATH: &str = "/tidm/1/contracts/ended";
pub const STANDING_PATH: &str = "/tidm/1/contracts/standing";
pub const RETURNED_PATH: &str = "/tidm/1/leases/returned";
pub const LEASE_ENDED_PATH: &str = "/tidm/1/leases/ended";
pub const DELETED_PATH: &str = "/tidm/1/contracts/deleted";

/// `ContractEnded`: the tombstone stands at the sender.
pub fn contract_ended(id: &Id, contract: &Id, why: End, reason: &str) -> Posting {
    let mut doc = envelope("ContractEnded", Some(id));
    put(&mut doc, "contract", Some(contract.as_str()));
    put(&mut doc, "why", Some(why.word()));
    put(&mut doc, "reason", Some(bounded(reason)));
    Posting { path: ENDED_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// Reads a `ContractEnded`.
pub fn read_contract_ended(body: &[u8]) -> Result<(Option<Id>, Heard), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("ContractEnded")?;
    let heard = Heard::Ended {
        contract: top.id("contract")?,
        why: top.word("why", End::from_word)?,
        reason: bounded(top.text("reason")?),
    };
    Ok((top.id_opt("@id")?, heard))
}

/// `ContractStanding`: with a reason the sender suspended the contract, without one it resumed it. Notices come in any
/// order: `change` counts them.
pub fn contract_standing(id: &Id, contract: &Id, change: u32, reason: Option<&str>) -> Posting {
    let mut doc = envelope("ContractStanding", Some(id));
    put(&mut doc, "contract", Some(contract.as_str()));
    put(&mut doc, "change", Some(change));
    put(&mut doc, "suspended", Some(reason.is_some()));
    put(&mut doc, "reason", reason.map(bounded));
    Posting { path: STANDING_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// Reads a `ContractStanding`.
pub fn read_contract_standing(body: &[u8]) -> Result<(Option<Id>, Heard), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("ContractStanding")?;
    let suspended = top.truth("suspended")?;
    let heard = Heard::Standing {
        contract: top.id("contract")?,
        change: top.small_number("change")?,
        reason: suspended.then(|| top.text("reason").map(bounded)).transpose()?,
    };
    Ok((top.id_opt("@id")?, heard))
}

/// `LeaseReturned`: what came of a use, under the holder's signature ([`crate::lease::message::return_bytes`]).
pub fn lease_returned(
    id: &Id,
    lease: &Id,
    outcome: &Outcome,
    receipt: Option<&Signature>,
) -> Posting {
    let mut doc = envelope("LeaseReturned", Some(id));
    put(&mut doc, "lease", Some(lease.as_str()));
    put_outcome(&mut doc, outcome);
    put(&mut doc, "receipt", receipt.map(|it| it.0.as_str()));
    Posting { path: RETURNED_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// Reads a `LeaseReturned`; its signature, which older nodes do not give, is checked by the engine.
pub fn read_lease_returned(body: &[u8]) -> Result<(Option<Id>, Heard), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("LeaseReturned")?;
    Ok((
        top.id_opt("@id")?,
        Heard::Return {
            lease: top.id("lease")?,
            outcome: read_outcome(&top)?,
            receipt: read_receipt(&top)?,
        },
    ))
}

/// `LeaseEnded`: the gate ended a lease that nobody returned, or one that the consumer's programs used without its node.
pub fn lease_ended(id: &Id, contract: &Id, lease: &Id, how: Closed) -> Posting {
    let mut doc = envelope("LeaseEnded", Some(id));
    put(&mut doc, "contract", Some(contract.as_str()));
    put(&mut doc, "lease", Some(lease.as_str()));
    put(&mut doc, "how", Some(how.word()));
    Posting { path: LEASE_ENDED_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// Reads a `LeaseEnded`.
pub fn read_lease_ended(body: &[u8]) -> Result<(Option<Id>, Heard), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("LeaseEnded")?;
    let heard = Heard::LeaseEnded {
        contract: top.id("contract")?,
        lease: top.id("lease")?,
        how: top.word("how", Closed::from_word)?,
    };
    Ok((top.id_opt("@id")?, heard))
}

pub(crate) fn put_outcome(doc: &mut serde_json::Map<String, Value>, it: &Outcome) {
    put(doc, "done", Some(it.done));
    put(doc, "rows", Some(it.rows));
    put(doc, "bytes", Some(it.bytes));
    put(doc, "result", it.result.map(|it| it.to_string()));
}

pub(crate) fn read_outcome(of: &Fields<'_>) -> Result<Outcome, Fault> {
    Ok(Outcome {
        done: of.truth("done")?,
        rows: of.number("rows")?,
        bytes: of.number("bytes")?,
        result: of.digest_opt("result")?,
    })
}

pub(crate) fn read_receipt(of: &Fields<'_>) -> Result<Option<Signature>, Fault> {
    Ok(of.text_opt("receipt")?.map(|it| Signature(it.to_owned())))
}

/// `CopiesDeleted`: the consumer's signed receipt.
pub fn deleted(id: &Id, contract: &Id, deletion: &Deletion) -> Posting {
    let mut doc = envelope("CopiesDeleted", Some(id));
    put(&mut doc, "contract", Some(contract.as_str()));
    put_deletion(&mut doc, deletion);
    Posting { path: DELETED_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// Reads a `CopiesDeleted`; the receipt's signature is checked by the engine.
pub fn read_deleted(body: &[u8]) -> Result<(Option<Id>, Heard), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("CopiesDeleted")?;
    Ok((
        top.id_opt("@id")?,
        Heard::Deleted { contract: top.id("contract")?, deletion: read_deletion(&top)? },
    ))
}

pub(crate) fn put_deletion(doc: &mut serde_json::Map<String, Value>, it: &Deletion) {
    put(doc, "at", Some(it.at.to_string()));
    let files: Vec<String> = it.files.iter().map(ToString::to_string).collect();
    doc.insert("files".to_owned(), json!(files));
    put(doc, "receipt", Some(it.receipt.0.as_str()));
}

pub(crate) fn read_deletion(of: &Fields<'_>) -> Result<Deletion, Fault> {
    let listed = of.array("files")?;
    if listed.len() > DELETED_FILES {
        return Err(of.wrong("files", format!("more than {DELETED_FILES}")));
    }
    let digest = |it: &Value| it.as_str().and_then(|it| Digest::parse(it).ok());
    let files: Option<Vec<Digest>> = listed.iter().map(digest).collect();
    Ok(Deletion {
        at: of.time("at")?,
        files: files.ok_or_else(|| {
            of.wrong("files", "a digest is written as 64 lower-case hexadecimal digits")
        })?,
        receipt: Signature(of.text("receipt")?.to_owned()),
    })
}
