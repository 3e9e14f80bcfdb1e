//! A provider's word on a table for matching, and where it and the table are fetched.
//!
//! Never an entry or a key: the table itself travels as bytes that the signed digest covers.
//!
//! | who serves | method path | out |
//! |---|---|---|
//! | provider | GET `/tidm/1/psi/table/{contract}` | 200 `PsiTable`, 4xx `LeaseRefusal` |
//! | provider | GET `/tidm/1/psi/{lease}/table` | 200, index and then table, as many bytes as were signed for; 4xx `LeaseRefusal` |

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::limits::MATCH_TABLE_STATEMENT_BYTES;
use crate::policy::matching::Key;
use crate::psi::table::Statement;
use crate::wire::dsp::put;
use crate::wire::json::{Fields, parse};

use super::envelope;

/// The JWS type of the signature: nothing else of a node's is one.
pub const TYP: &str = "tidm-psi-table+jws";
const KIND: &str = "PsiTableStatement";

/// What is signed, as a JSON document (RFC 8785 makes it bytes).
pub fn statement(it: &Statement) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "@type", Some(KIND));
    put(&mut doc, "table", Some(it.table.to_string()));
    put(&mut doc, "product", Some(it.product.as_str()));
    put(&mut doc, "version", Some(it.version));
    put(&mut doc, "key", Some(it.key.to_string()));
    put(&mut doc, "entries", Some(it.entries));
    put(&mut doc, "items", Some(it.items));
    put(&mut doc, "indexBytes", Some(it.index_bytes));
    put(&mut doc, "bytes", Some(it.bytes));
    put(&mut doc, "at", Some(it.at.to_string()));
    Value::Object(doc)
}

/// Reads what was signed.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field.
pub fn read_statement(payload: &[u8]) -> Result<Statement, Fault> {
    let value = parse(payload)?;
    let top = Fields::top(&value)?;
    top.expect_type(KIND)?;
    let key = top.text("key")?;
    let found = Statement {
        table: top.digest("table")?,
        product: top.id("product")?,
        version: top.number("version")?,
        key: Key::parse(key).ok_or_else(|| top.wrong("key", "is no key of columns"))?,
        entries: top.number("entries")?,
        items: top.number("items")?,
        index_bytes: top.number("indexBytes")?,
        bytes: top.number("bytes")?,
        at: top.time("at")?,
    };
    if found.within_bounds() { Ok(found) } else { Err(top.wrong("entries", "is out of bounds")) }
}

/// `PsiTable` around a compact JWS of [`TYP`].
pub fn write(signed: &str) -> String {
    let mut doc = envelope("PsiTable", None);
    put(&mut doc, "statement", Some(signed));
    Value::Object(doc).to_string()
}

/// Reads a `PsiTable`: the JWS, unproven.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field.
pub fn read(body: &[u8]) -> Result<String, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("PsiTable")?;
    let signed = top.text("statement")?;
    if signed.len() > MATCH_TABLE_STATEMENT_BYTES {
        return Err(top.wrong("statement", "is longer than any is"));
    }
    Ok(signed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MATCH_TABLE_ENTRIES, MATCH_TABLE_ITEMS};
    use crate::psi::{Invitation, Protocol, Session};
    use crate::wire::samples;
    use crate::wire::tidm::psi;

    fn sample() -> Statement {
        Statement {
            table: samples::digest("index"),
            product: samples::id("urn:product:1"),
            version: 3,
            key: Key::parse("part_no:text-any-case,maker:exact;first").unwrap(),
            entries: 1000,
            items: MATCH_TABLE_ITEMS,
            index_bytes: 104,
            bytes: 7800,
            at: samples::at(60),
        }
    }

    #[test]
    fn statements_are_read_as_they_were_signed_and_bounded() {
        let whole = statement(&sample());
        assert_eq!(read_statement(whole.to_string().as_bytes()).unwrap(), sample());
        for (name, value) in [
            ("@type", Value::from("PsiTable")),
            ("table", "short".into()),
            ("product", "".into()),
            ("version", (-1).into()),
            ("key", "a:form".into()),
            ("entries", (MATCH_TABLE_ENTRIES + 1).into()),
            ("items", (MATCH_TABLE_ITEMS + 1).into()),
            ("indexBytes", u64::MAX.into()),
            ("bytes", (1000 * 12 + 105).into()),
            ("at", "yesterday".into()),
        ] {
            let mut doc = whole.clone();
            doc[name] = value;
            assert!(read_statement(doc.to_string().as_bytes()).is_err(), "{name}");
            doc.as_object_mut().unwrap().remove(name);
            assert!(read_statement(doc.to_string().as_bytes()).is_err(), "no {name}");
        }
        assert_eq!(read(write("a.b.c").as_bytes()).unwrap(), "a.b.c");
        let long = "a".repeat(MATCH_TABLE_STATEMENT_BYTES + 1);
        for body in [write(&long), "{\"@type\":\"PsiTable\"}".to_owned(), "[]".to_owned()] {
            assert!(read(body.as_bytes()).is_err());
        }
        let (other, key) = (samples::id("urn:product:2"), Key::parse("part_no"));
        assert!(sample().is_for(&sample().product, &sample().key).is_ok());
        for (product, key) in [(&other, &sample().key), (&sample().product, &key.unwrap())] {
            assert_eq!(sample().is_for(product, key).unwrap_err().code(), "psi.table-signed");
        }
    }

    #[test]
    fn an_invitation_over_a_table_names_it_in_both_leases() {
        let request = samples::request(1);
        let session = Session {
            id: [9; 32],
            contract: request.contract.clone(),
            protocol: Protocol::Table(sample().table),
            items: 5,
            asked: crate::psi::Asked::Rows,
        };
        let lease = crate::lease::message::Request {
            kind: crate::policy::usage::Use::Psi,
            query: Some(session.digest()),
            items: Some(5),
            ..request
        };
        let invitation = Invitation { session, workers: 1, lease };
        let text = psi::write_invitation(&samples::id("urn:message:1"), &invitation).body;
        let (_, read) = psi::read_invitation(text.as_bytes()).unwrap();
        assert_eq!(read, invitation);
        let whole: Value = serde_json::from_str(&text).unwrap();
        let other = Value::from(samples::digest("other").to_string());
        for (name, value) in [("table", other), ("table", "zz".into()), ("protocol", "rr22".into())]
        {
            let mut doc = whole.clone();
            doc[name] = value;
            assert!(psi::read_invitation(doc.to_string().as_bytes()).is_err(), "{name}");
        }
        let mut doc = whole;
        doc.as_object_mut().unwrap().remove("table");
        assert!(psi::read_invitation(doc.to_string().as_bytes()).is_err());
    }
}
