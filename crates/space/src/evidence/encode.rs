//! Facts to canonical bytes and back: what the evidence log holds, and what people read of it.
//!
//! Never two encodings of one fact (house D16), and never an entry above 65,535 bytes (house D6): texts are cut
//! to [`REASON_CHARS`] and lists of files to [`DELETED_FILES`]; the digest of the receipt stands for the rest.
//! An encoding, once released, never changes: a new one gets a new version; a kind may get a further field at its end, which
//! is left out where it says nothing new.

use tidm_crypto::cbor::{Value, decode_tuple, tuple};
use tidm_crypto::domain::FACT;
use tidm_crypto::hash::Digest;

use crate::catalog::delivery::Use;
use crate::contract::End;
use crate::dataflow;
use crate::dataflow::message::Plane;
use crate::id::Id;
use crate::identity::did::Did;
use crate::limits::{DELETED_FILES, FACT_BYTES, REASON_CHARS};
use crate::negotiation;
use crate::negotiation::message::Role;
use crate::policy::usage::Level;
use crate::time::Time;
use crate::transfer;

use super::fact::{Change, Closed, Fact, Links, ShareAct, What};

pub use super::summary::summary;

/// The version of the tuple below.
const VERSION: i64 = 1;

/// Why bytes are not a fact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFact {
    #[error("a fact of {0} bytes is longer than {FACT_BYTES}")]
    TooLong(usize),
    #[error("not canonical CBOR of a fact: {0}")]
    Cbor(String),
    #[error("a fact of version {0}; this program reads version {VERSION}: update it")]
    Version(i64),
    #[error("a fact's {0} is missing or of the wrong type")]
    Field(&'static str),
    #[error("a fact of the unknown kind {0:?}")]
    Kind(String),
}

/// The one encoding of a fact: `[FACT, 1, id, ms, by, [peer, product, negotiation, contract, transfer, lease], kind, [fields…]]`.
pub fn encode(it: &Fact) -> Vec<u8> {
    let (kind, fields) = parts(&it.what);
    tuple(
        FACT,
        vec![
            Value::Int(VERSION),
            Value::from(it.id.as_str()),
            Value::Int(it.at.ms()),
            Value::from(it.by.as_str()),
            Value::Array(links(&it.links)),
            Value::from(kind),
            Value::Array(fields),
        ],
    )
}

/// The word of its kind, by which it is found.
pub fn kind(it: &What) -> &'static str {
    parts(it).0
}

fn links(it: &Links) -> Vec<Value> {
    let id = |it: &Option<Id>| Value::from(it.as_ref().map(Id::as_str));
    vec![
        Value::from(it.peer.as_ref().map(Did::as_str)),
        id(&it.product),
        id(&it.negotiation),
        id(&it.contract),
        id(&it.transfer),
        id(&it.lease),
    ]
}

fn text(it: &str) -> Value {
    Value::Text(it.chars().take(REASON_CHARS).collect())
}

fn text_opt(it: Option<&String>) -> Value {
    it.map_or(Value::Null, |it| text(it))
}

fn parts(what: &What) -> (&'static str, Vec<Value>) {
    match what {
        What::Published { content, origin, rows, bytes } => (
            "published",
            vec![
                Value::from(*content),
                Value::from(*origin),
                Value::from(*rows),
                Value::from(*bytes),
            ],
        ),
        What::Derived { content } => ("derived", vec![Value::from(*content)]),
        What::Negotiation { from, to, by, terms, reason } => (
            "negotiation",
            vec![
                text(from.token()),
                text(to.token()),
                text(by.word()),
                Value::from(*terms),
                text_opt(reason.as_ref()),
            ],
        ),
        What::Concluded { signed, provider_signed, consumer_signed } => (
            "concluded",
            vec![
                Value::from(*signed),
                Value::Bool(*provider_signed),
                Value::Bool(*consumer_signed),
            ],
        ),
        What::Transfer { from, to, by, reason } => (
            "transfer",
            vec![text(from.token()), text(to.token()), text(by.word()), text_opt(reason.as_ref())],
        ),
        What::Flow { from, to, by, reason } => (
            "flow",
            vec![text(from.token()), text(to.token()), text(by.word()), text_opt(reason.as_ref())],
        ),
        What::Delivered { bytes, content } => {
            ("delivered", vec![Value::from(*bytes), Value::from(*content)])
        }
        What::LeaseGranted { kind, purpose, query, key, uses, until, epsilon } => {
            let mut fields = vec![
                text(kind.name()),
                text_opt(purpose.as_ref()),
                Value::from(*query),
                Value::from(*key),
                Value::from(*uses),
                Value::Int(until.ms()),
            ];
            fields.extend((*epsilon > 0).then(|| Value::from(*epsilon)));
            ("lease-granted", fields)
        }
        What::Appraised { evidence, level, refused, format } => {
            let level = level.map(|it| it.name().to_owned());
            let level = text_opt(level.as_ref());
            let mut fields = vec![Value::from(*evidence), level, text(refused)];
            fields.extend((!format.is_empty()).then(|| text(format)));
            ("appraised", fields)
        }
        What::LeaseRefused { kind, code, rule, more } => {
            let mut fields = vec![text(kind.name()), text(code), text(rule)];
            fields.extend((*more > 0).then(|| Value::from(*more)));
            ("lease-refused", fields)
        }
        What::LeaseHeld { kind, until } => {
            ("lease-held", vec![text(kind.name()), Value::Int(until.ms())])
        }
        What::LeaseRenewed { number, until } => {
            ("lease-renewed", vec![Value::from(u64::from(*number)), Value::Int(until.ms())])
        }
        What::LeaseMissed { how, more } => {
            let mut fields = vec![text(how.word())];
            fields.extend((*more > 0).then(|| Value::from(*more)));
            ("lease-missed", fields)
        }
        What::LeaseClosed { how, rows, bytes, result, receipt } => {
            let (rows, bytes) = (Value::from(*rows), Value::from(*bytes));
            let mut fields = vec![text(how.word()), rows, bytes, Value::from(*result)];
            fields.extend(receipt.map(|it| Value::from(Some(it))));
            ("lease-closed", fields)
        }
        What::ContractEnded { why, by, reason } => {
            ("contract-ended", vec![text(why.word()), text(by.word()), text(reason)])
        }
        What::ContractStanding { change, reason } => {
            ("contract-standing", vec![Value::from(u64::from(*change)), text_opt(reason.as_ref())])
        }
        What::Consented => ("consented", vec![]),
        What::DutyMissed { duty } => ("duty-missed", vec![text(duty)]),
        What::KeyDestroyed => ("key-destroyed", vec![]),
        What::CopiesDeleted { files, receipt, checked } => {
            let listed = files.iter().take(DELETED_FILES).map(|it| Value::from(*it)).collect();
            let mut fields = vec![Value::Array(listed), Value::from(*receipt)];
            fields.extend(checked.then_some(Value::Bool(true)));
            ("copies-deleted", fields)
        }
        What::Share { act, provider, detail, key } => {
            ("share", vec![text(act.word()), text(provider), text(detail), Value::from(*key)])
        }
        What::MessageRefused { code } => ("message-refused", vec![text(code)]),
        What::GaveUp { code } => ("gave-up", vec![text(code)]),
        What::TablePrepared { table, statement, entries, bytes } => (
            "table-prepared",
            vec![
                Value::from(*table),
                Value::from(*statement),
                Value::from(*entries),
                Value::from(*bytes),
            ],
        ),
        What::Membership { change, space, credential } => changed(*change, space, *credential),
    }
}

fn changed(it: Change, space: &str, credential: Option<Digest>) -> (&'static str, Vec<Value>) {
    ("membership", vec![text(it.word()), text(space), Value::from(credential)])
}

/// Reads a fact back; only the canonical encoding of a fact is one.
pub fn decode(bytes: &[u8]) -> Result<Fact, BadFact> {
    if bytes.len() > FACT_BYTES {
        return Err(BadFact::TooLong(bytes.len()));
    }
    let items = decode_tuple(FACT, bytes)
        .map_err(|why| BadFact::Cbor(why.to_string()))?
        .ok_or_else(|| BadFact::Cbor("another domain".to_owned()))?;
    let mut top = Reader(items.iter());
    let version = top.int("version")?;
    if version != VERSION {
        return Err(BadFact::Version(version));
    }
    let id = top.id("id")?;
    let at = top.time("time")?;
    let by = top.did("node")?;
    let mut linked = Reader(top.array("links")?.iter());
    let links = Links {
        peer: linked.optional(|it| it.did("peer"))?,
        product: linked.optional(|it| it.id("product"))?,
        negotiation: linked.optional(|it| it.id("negotiation"))?,
        contract: linked.optional(|it| it.id("contract"))?,
        transfer: linked.optional(|it| it.id("transfer"))?,
        lease: linked.optional(|it| it.id("lease"))?,
    };
    linked.end("links")?;
    let kind = top.text("kind")?;
    let mut fields = Reader(top.array("fields")?.iter());
    let what = what(kind, &mut fields)?;
    fields.end("fields")?;
    top.end("end")?;
    let fact = Fact { id, at, by, links, what };
    // Texts above the bound, or an instant outside of the calendar, would be a second encoding.
    if encode(&fact) == bytes {
        Ok(fact)
    } else {
        Err(BadFact::Cbor("not the canonical encoding".to_owned()))
    }
}

fn what(kind: &str, it: &mut Reader<'_>) -> Result<What, BadFact> {
    Ok(match kind {
        "published" => What::Published {
            content: it.digest("content")?,
            origin: it.digest("origin")?,
            rows: it.optional(|it| it.number("rows"))?,
            bytes: it.number("bytes")?,
        },
        "derived" => What::Derived { content: it.digest("content")? },
        "negotiation" => What::Negotiation {
            from: it.word("from", negotiation::state::Name::from_token)?,
            to: it.word("to", negotiation::state::Name::from_token)?,
            by: it.word("by", Role::from_word)?,
            terms: it.optional(|it| it.digest("terms"))?,
            reason: it.optional(|it| it.owned("reason"))?,
        },
        "concluded" => What::Concluded {
            signed: it.digest("signed")?,
            provider_signed: it.truth("provider signed")?,
            consumer_signed: it.truth("consumer signed")?,
        },
        "transfer" => What::Transfer {
            from: it.word("from", transfer::state::Name::from_token)?,
            to: it.word("to", transfer::state::Name::from_token)?,
            by: it.word("by", Role::from_word)?,
            reason: it.optional(|it| it.owned("reason"))?,
        },
        "flow" => What::Flow {
            from: it.word("from", dataflow::state::Name::from_token)?,
            to: it.word("to", dataflow::state::Name::from_token)?,
            by: it.word("by", Plane::from_word)?,
            reason: it.optional(|it| it.owned("reason"))?,
        },
        "delivered" => {
            What::Delivered { bytes: it.number("bytes")?, content: it.digest("content")? }
        }
        "lease-granted" => What::LeaseGranted {
            kind: it.word("kind of use", Use::from_name)?,
            purpose: it.optional(|it| it.owned("purpose"))?,
            query: it.optional(|it| it.digest("query"))?,
            key: it.digest("key")?,
            uses: it.number("uses")?,
            until: it.time("until")?,
            epsilon: it.last(|it| it.number("epsilon"))?.unwrap_or_default(),
        },
        "appraised" => What::Appraised {
            evidence: it.digest("evidence")?,
            level: it.optional(|it| it.word("level", Level::from_name))?,
            refused: it.owned("refused")?,
            format: it.last(|it| it.owned("format"))?.unwrap_or_default(),
        },
        "lease-refused" => What::LeaseRefused {
            kind: it.word("kind of use", Use::from_name)?,
            code: it.owned("code")?,
            rule: it.owned("rule")?,
            more: it.last(|it| it.number("more"))?.unwrap_or_default(),
        },
        "lease-held" => What::LeaseHeld {
            kind: it.word("kind of use", Use::from_name)?,
            until: it.time("until")?,
        },
        "lease-renewed" => {
            What::LeaseRenewed { number: it.small("number")?, until: it.time("until")? }
        }
        "lease-missed" => What::LeaseMissed {
            how: it.word("how", Closed::from_word)?,
            more: it.last(|it| it.number("more"))?.unwrap_or_default(),
        },
        "lease-closed" => What::LeaseClosed {
            how: it.word("how", Closed::from_word)?,
            rows: it.number("rows")?,
            bytes: it.number("bytes")?,
            result: it.optional(|it| it.digest("result"))?,
            receipt: it.last(|it| it.digest("receipt"))?,
        },
        "contract-ended" => What::ContractEnded {
            why: it.word("why", End::from_word)?,
            by: it.word("by", Role::from_word)?,
            reason: it.owned("reason")?,
        },
        "contract-standing" => What::ContractStanding {
            change: it.small("change")?,
            reason: it.optional(|it| it.owned("reason"))?,
        },
        "consented" => What::Consented,
        "duty-missed" => What::DutyMissed { duty: it.owned("duty")? },
        "key-destroyed" => What::KeyDestroyed,
        "copies-deleted" => What::CopiesDeleted {
            files: it.digests("files")?,
            receipt: it.digest("receipt")?,
            checked: it.last(|it| it.truth("checked"))?.unwrap_or_default(),
        },
        "share" => What::Share {
            act: it.word("act", ShareAct::from_word)?,
            provider: it.owned("provider")?,
            detail: it.owned("detail")?,
            key: it.optional(|it| it.digest("key"))?,
        },
        "message-refused" => What::MessageRefused { code: it.owned("code")? },
        "gave-up" => What::GaveUp { code: it.owned("code")? },
        "table-prepared" => What::TablePrepared {
            table: it.digest("table")?,
            statement: it.digest("statement")?,
            entries: it.number("entries")?,
            bytes: it.number("bytes")?,
        },
        "membership" => membership(it)?,
        other => return Err(BadFact::Kind(other.chars().take(REASON_CHARS).collect())),
    })
}

fn membership(it: &mut Reader<'_>) -> Result<What, BadFact> {
    Ok(What::Membership {
        change: it.word("change", Change::from_word)?,
        space: it.owned("space")?,
        credential: it.optional(|it| it.digest("credential"))?,
    })
}

/// The items of an array, one after the other.
#[derive(Clone)]
struct Reader<'a>(std::slice::Iter<'a, Value>);

impl<'a> Reader<'a> {
    fn next(&mut self, name: &'static str) -> Result<&'a Value, BadFact> {
        self.0.next().ok_or(BadFact::Field(name))
    }

    fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, BadFact>,
    ) -> Result<Option<T>, BadFact> {
        if matches!(self.0.as_slice().first(), Some(Value::Null)) {
            self.0.next();
            return Ok(None);
        }
        read(self).map(Some)
    }

    /// A field that facts of before do not have: absent where it says nothing.
    fn last<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, BadFact>,
    ) -> Result<Option<T>, BadFact> {
        if self.0.as_slice().is_empty() { Ok(None) } else { read(self).map(Some) }
    }

    fn text(&mut self, name: &'static str) -> Result<&'a str, BadFact> {
        self.next(name)?.as_text().ok_or(BadFact::Field(name))
    }

    fn owned(&mut self, name: &'static str) -> Result<String, BadFact> {
        self.text(name).map(str::to_owned)
    }

    fn word<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, BadFact> {
        read(self.text(name)?).ok_or(BadFact::Field(name))
    }

    fn id(&mut self, name: &'static str) -> Result<Id, BadFact> {
        Id::parse(self.text(name)?).map_err(|_| BadFact::Field(name))
    }

    fn did(&mut self, name: &'static str) -> Result<Did, BadFact> {
        Did::parse(self.text(name)?).map_err(|_| BadFact::Field(name))
    }

    fn int(&mut self, name: &'static str) -> Result<i64, BadFact> {
        self.next(name)?.as_i64().ok_or(BadFact::Field(name))
    }

    fn time(&mut self, name: &'static str) -> Result<Time, BadFact> {
        self.int(name).map(Time::from_ms)
    }

    fn number(&mut self, name: &'static str) -> Result<u64, BadFact> {
        self.next(name)?.as_u64().ok_or(BadFact::Field(name))
    }

    fn small(&mut self, name: &'static str) -> Result<u32, BadFact> {
        u32::try_from(self.number(name)?).map_err(|_| BadFact::Field(name))
    }

    fn truth(&mut self, name: &'static str) -> Result<bool, BadFact> {
        self.next(name)?.as_bool().ok_or(BadFact::Field(name))
    }

    fn digest(&mut self, name: &'static str) -> Result<Digest, BadFact> {
        digest(self.next(name)?).ok_or(BadFact::Field(name))
    }

    fn digests(&mut self, name: &'static str) -> Result<Vec<Digest>, BadFact> {
        self.array(name)?.iter().map(|it| digest(it).ok_or(BadFact::Field(name))).collect()
    }

    fn array(&mut self, name: &'static str) -> Result<&'a [Value], BadFact> {
        self.next(name)?.as_array().ok_or(BadFact::Field(name))
    }

    fn end(mut self, name: &'static str) -> Result<(), BadFact> {
        if self.0.next().is_none() { Ok(()) } else { Err(BadFact::Field(name)) }
    }
}

fn digest(it: &Value) -> Option<Digest> {
    it.as_bytes().and_then(|it| Digest::try_from(it).ok())
}

#[cfg(test)]
mod tests;
