//! An outbox row.
//!
//! Never interpreted: the body is posted as it was written when the decision was made.

use serde_json::{Map, Value};

use crate::engine::commit::{About, Send};
use crate::fault::Fault;
use crate::wire::dsp::put;
use crate::wire::json::Fields;

use super::{BadRecord, fields, open, row};

pub fn encode(it: &Send) -> String {
    let mut doc = Map::new();
    put(&mut doc, "id", Some(it.id.as_str()));
    put(&mut doc, "to", Some(it.to.as_str()));
    put(&mut doc, "url", Some(it.url.as_str()));
    put(&mut doc, "body", Some(it.body.as_str()));
    doc.insert("about".to_owned(), write_about(&it.about));
    put(&mut doc, "attempts", Some(it.attempts));
    put(&mut doc, "first", Some(it.first.to_string()));
    put(&mut doc, "next", Some(it.next.to_string()));
    row(doc)
}

pub fn decode(text: &str) -> Result<Send, BadRecord> {
    let value = open(text)?;
    let top = fields(&value)?;
    Ok(Send {
        id: top.id("id")?,
        to: top.did("to")?,
        url: top.text("url")?.to_owned(),
        body: top.text("body")?.to_owned(),
        about: read_about(&top.object("about")?)?,
        attempts: top.small_number("attempts")?,
        first: top.time("first")?,
        next: top.time("next")?,
    })
}

fn write_about(it: &About) -> Value {
    let (what, id) = match it {
        About::Negotiation(id) => ("negotiation", id),
        About::Transfer(id) => ("transfer", id),
        About::Notice { contract } => ("notice", contract),
        About::Flow(id) => ("flow", id),
    };
    let mut doc = Map::new();
    put(&mut doc, "what", Some(what));
    put(&mut doc, "id", Some(id.as_str()));
    Value::Object(doc)
}

fn read_about(of: &Fields<'_>) -> Result<About, Fault> {
    let id = of.id("id")?;
    Ok(match of.text("what")? {
        "negotiation" => About::Negotiation(id),
        "transfer" => About::Transfer(id),
        "notice" => About::Notice { contract: id },
        "flow" => About::Flow(id),
        _ => return Err(of.wrong("what", "unknown")),
    })
}
