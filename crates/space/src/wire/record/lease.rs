//! The row of a lease.
//!
//! Never a data key: the request's key is public, and what was wrapped to it is not kept.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::catalog::delivery::Use;
use crate::fault::Fault;
use crate::lease::charge::Reserved;
use crate::lease::message::Request;
use crate::lease::state::{Lease, State};
use crate::negotiation::message::Role;
use crate::policy::privacy::Epsilon;
use crate::policy::usage::Level;
use crate::wire::dsp::put;
use crate::wire::json::{Fields, base64url};
use crate::wire::tidm::lease::epsilon;
use crate::wire::tidm::notice::{put_outcome, read_outcome, read_receipt};

use super::{BadRecord, fields, open, row};

pub fn encode(it: &Lease) -> String {
    let mut doc = Map::new();
    put(&mut doc, "id", Some(it.id.as_str()));
    put(&mut doc, "role", Some(it.role.word()));
    put(&mut doc, "peer", Some(it.peer.as_str()));
    doc.insert("request".to_owned(), write_request(&it.request));
    put(&mut doc, "granted", Some(it.granted.to_string()));
    put(&mut doc, "until", Some(it.until.to_string()));
    put(&mut doc, "renewals", (it.renewals > 0).then_some(it.renewals));
    put(&mut doc, "renewed", it.renewed.map(|it| it.to_string()));
    put(&mut doc, "usesLeft", it.uses_left);
    put(&mut doc, "epsilonLeft", it.epsilon_left);
    put(&mut doc, "level", it.level.map(Level::name));
    put(&mut doc, "reserved", write_reserved(it.reserved));
    doc.insert("state".to_owned(), write_state(&it.state));
    row(doc)
}

pub fn decode(text: &str) -> Result<Lease, BadRecord> {
    let value = open(text)?;
    let top = fields(&value)?;
    Ok(Lease {
        id: top.id("id")?,
        role: top.word("role", Role::from_word)?,
        peer: top.did("peer")?,
        request: read_request(&top.object("request")?)?,
        granted: top.time("granted")?,
        until: top.time("until")?,
        renewals: top.get("renewals").map_or(Ok(0), |_| top.small_number("renewals"))?,
        renewed: top.time_opt("renewed")?,
        uses_left: top.number_opt("usesLeft")?,
        epsilon_left: top.number_opt("epsilonLeft")?,
        level: top.get("level").map(|_| top.word("level", Level::from_name)).transpose()?,
        reserved: match top.object_opt("reserved")? {
            Some(it) => read_reserved(&it)?,
            None => Reserved::default(),
        },
        state: read_state(&top.object("state")?)?,
    })
}

fn write_reserved(it: Reserved) -> Option<Value> {
    let mut doc = Map::new();
    put(&mut doc, "seconds", it.seconds);
    put(&mut doc, "rows", it.rows);
    put(&mut doc, "bytes", it.bytes);
    (!doc.is_empty()).then_some(Value::Object(doc))
}

fn read_reserved(of: &Fields<'_>) -> Result<Reserved, Fault> {
    Ok(Reserved {
        seconds: of.number_opt("seconds")?,
        rows: of.number_opt("rows")?,
        bytes: of.number_opt("bytes")?,
    })
}

fn write_request(it: &Request) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "contract", Some(it.contract.as_str()));
    put(&mut doc, "kind", Some(it.kind.name()));
    put(&mut doc, "nonce", Some(base64url(&it.nonce)));
    put(&mut doc, "key", Some(base64url(&it.key)));
    put(&mut doc, "purpose", it.purpose.as_deref());
    put(&mut doc, "query", it.query.map(|it| it.to_string()));
    put(&mut doc, "items", it.items);
    put(&mut doc, "epsilon", it.epsilon.map(Epsilon::micro));
    // Seconds and nanoseconds apart: a repeated request must compare equal.
    doc.insert("span".to_owned(), json!({"s": it.span.as_secs(), "ns": it.span.subsec_nanos()}));
    Value::Object(doc)
}

fn read_request(of: &Fields<'_>) -> Result<Request, Fault> {
    let span = of.object("span")?;
    let nanos = span.small_number("ns")?;
    if nanos >= 1_000_000_000 {
        return Err(span.wrong("ns", "a second or more"));
    }
    Ok(Request {
        contract: of.id("contract")?,
        kind: of.word("kind", Use::from_name)?,
        nonce: of.exact_bytes("nonce")?,
        key: of.exact_bytes("key")?,
        purpose: of.text_opt("purpose")?.map(str::to_owned),
        query: of.digest_opt("query")?,
        items: of.number_opt("items")?,
        epsilon: epsilon(of)?,
        span: Duration::new(span.number("s")?, nanos),
    })
}

fn write_state(it: &State) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "name", Some(it.name().word()));
    match it {
        State::Granted => {}
        State::Returned { at, outcome, receipt } => {
            put(&mut doc, "at", Some(at.to_string()));
            put_outcome(&mut doc, outcome);
            put(&mut doc, "receipt", receipt.as_ref().map(|it| it.0.as_str()));
        }
        State::Expired { at } | State::Revoked { at } => put(&mut doc, "at", Some(at.to_string())),
    }
    Value::Object(doc)
}

fn read_state(of: &Fields<'_>) -> Result<State, Fault> {
    Ok(match of.text("name")? {
        "granted" => State::Granted,
        "returned" => State::Returned {
            at: of.time("at")?,
            outcome: read_outcome(of)?,
            receipt: read_receipt(of)?,
        },
        "expired" => State::Expired { at: of.time("at")? },
        "revoked" => State::Revoked { at: of.time("at")? },
        _ => return Err(of.wrong("name", "unknown state")),
    })
}
