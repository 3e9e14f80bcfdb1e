//! Matching of lists: an invitation, its acceptance, and the joining of the provider.
//!
//! Never carries an item, a key or a result.
//!
//! | who serves | method path | in | out |
//! |---|---|---|---|
//! | provider | POST `/tidm/1/psi/invite` | `PsiInvitation` | 200 `PsiAcceptance`, 4xx `LeaseRefusal` |
//! | provider | POST `/tidm/1/psi/{lease}/join` | `PsiJoining` | 200, 4xx `LeaseRefusal` |
//! | provider | GET `/tidm/1/psi/{lease}/stream`, `Upgrade: tidm-psi-1` | | 101, then the computing parties' frames |

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::id::Id;
use crate::lease::message::Grant;
use crate::limits::MATCH_TABLE_ENTRIES;
use crate::policy::matching::Reveal;
use crate::psi::{Acceptance, Asked, Invitation, Protocol, Session, table};
use crate::wire::Posting;
use crate::wire::dsp::put;
use crate::wire::json::{Fields, base64url, parse};

use super::{envelope, lease};

/// Where a session is proposed, below the provider's DSP base.
pub const INVITE_PATH: &str = "/tidm/1/psi/invite";
/// What a connection between computing parties is upgraded to.
pub const UPGRADE: &str = "tidm-psi-1";

/// Where the provider is let in, and where connections are made.
pub fn path(lease: &Id, what: &str) -> String {
    format!("/tidm/1/psi/{lease}/{what}")
}

/// `PsiInvitation`.
pub fn write_invitation(id: &Id, it: &Invitation) -> Posting {
    let mut doc = envelope("PsiInvitation", Some(id));
    put(&mut doc, "session", Some(base64url(&it.session.id)));
    put(&mut doc, "protocol", Some(it.session.protocol.name()));
    put(&mut doc, "table", it.session.protocol.table().map(|it| it.to_string()));
    put(&mut doc, "workers", Some(it.workers));
    doc.extend(asked_doc(&it.session.asked).map(|it| ("reveal".to_owned(), it)));
    let mut asked = Map::new();
    lease::put_request(&mut asked, &it.lease);
    doc.insert("lease".to_owned(), Value::Object(asked));
    Posting { path: INVITE_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// Reads a `PsiInvitation`.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field; `psi.session` where lease and session do not belong together.
pub fn read_invitation(body: &[u8]) -> Result<(Option<Id>, Invitation), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("PsiInvitation")?;
    let lease = lease::request(&top.object("lease")?)?;
    let session = Session {
        id: top.exact_bytes("session")?,
        contract: lease.contract.clone(),
        protocol: protocol(&top)?,
        items: lease.items.ok_or_else(|| top.wrong("lease", "says nothing of items"))?,
        asked: top.object_opt("reveal")?.map_or(Ok(Asked::Rows), |it| asked(&it))?,
    };
    let it = Invitation { session, workers: top.small_number("workers")?, lease };
    if !it.fits() {
        return Err(Fault::misbehaved(
            "psi.session",
            "the lease asked for is not one for this session",
        ));
    }
    Ok((top.id_opt("@id")?, it))
}

fn protocol(top: &Fields<'_>) -> Result<Protocol, Fault> {
    if top.short_text("protocol")? == table::PROTOCOL {
        return Ok(Protocol::Table(top.digest("table")?));
    }
    top.word("protocol", Protocol::from_name)
}

/// What is asked for; nothing where it is rows.
pub fn asked_doc(it: &Asked) -> Option<Value> {
    let mut doc = Map::new();
    match it {
        Asked::Rows => return None,
        Asked::Size => {}
        Asked::Sum { column, decimals } => {
            put(&mut doc, "column", Some(column.as_str()));
            put(&mut doc, "decimals", Some(*decimals));
        }
        Asked::AtLeast(least) => put(&mut doc, "least", Some(*least)),
        Asked::Labels { columns, bytes } => {
            put(&mut doc, "columns", Some(columns.clone()));
            put(&mut doc, "bytes", Some(*bytes));
        }
    }
    put(&mut doc, "kind", Some(it.kind().name()));
    Some(Value::Object(doc))
}

/// Reads what [`asked_doc`] wrote.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field.
pub fn read_asked(it: &Value) -> Result<Asked, Fault> {
    asked(&Fields::top(it)?)
}

fn asked(it: &Fields<'_>) -> Result<Asked, Fault> {
    let found = match it.word("kind", Reveal::from_name)? {
        Reveal::Rows => Asked::Rows,
        Reveal::Size => Asked::Size,
        Reveal::Sum => Asked::Sum {
            column: it.short_text("column")?.to_owned(),
            decimals: it.small_number("decimals")?,
        },
        // Asked of two, it is nothing: see `super::psi_many`.
        Reveal::Common => return Err(it.wrong("kind", "is of more than two parties")),
        Reveal::AtLeast => Asked::AtLeast(it.number("least")?),
        Reveal::Labels => {
            Asked::Labels { columns: it.texts("columns")?, bytes: it.small_number("bytes")? }
        }
    };
    if found.within_bounds() { Ok(found) } else { Err(it.wrong("kind", "is out of bounds")) }
}

/// `PsiAcceptance`.
pub fn write_acceptance(it: &Acceptance) -> String {
    let mut doc = envelope("PsiAcceptance", None);
    let (mut granted, mut asked) = (Map::new(), Map::new());
    lease::put_grant(&mut granted, &it.lease);
    lease::put_request(&mut asked, &it.join);
    doc.insert("lease".to_owned(), Value::Object(granted));
    doc.insert("join".to_owned(), Value::Object(asked));
    put(&mut doc, "items", Some(it.items));
    put(&mut doc, "workers", Some(it.workers));
    Value::Object(doc).to_string()
}

/// Reads a `PsiAcceptance`.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field.
pub fn read_acceptance(body: &[u8]) -> Result<Acceptance, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("PsiAcceptance")?;
    Ok(Acceptance {
        lease: lease::grant(&top.object("lease")?)?,
        join: lease::request(&top.object("join")?)?,
        items: match top.number("items")? {
            items if items <= MATCH_TABLE_ENTRIES => items,
            _ => return Err(top.wrong("items", format!("more than {MATCH_TABLE_ENTRIES}"))),
        },
        workers: top.small_number("workers")?,
    })
}

/// `PsiJoining`: the lease of the consumer's gate.
pub fn write_joining(id: &Id, of: &Id, it: &Grant) -> Posting {
    let mut doc = envelope("PsiJoining", Some(id));
    let mut granted = Map::new();
    lease::put_grant(&mut granted, it);
    doc.insert("lease".to_owned(), Value::Object(granted));
    Posting { path: path(of, "join"), body: Value::Object(doc).to_string() }
}

/// Reads a `PsiJoining`.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field.
pub fn read_joining(body: &[u8]) -> Result<Grant, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("PsiJoining")?;
    lease::grant(&top.object("lease")?)
}
