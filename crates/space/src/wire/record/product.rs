//! The row of a product version with its offers.
//!
//! Never skips the product's own checks: a row that would make an impossible product is damaged.

use serde_json::{Map, Value, json};

use crate::catalog::product::{Approval, Column, Draft, Grade, Kind, Offer, Product};
use crate::fault::Fault;
use crate::id::Id;
use crate::negotiation::message::Role;
use crate::policy::usage::Use;
use crate::wire::dsp::put;
use crate::wire::json::Fields;

use super::rules::{put_rules, read_rules};
use super::{BadRecord, fields, open, policy, row};

pub fn encode(it: &Product) -> String {
    let mut doc = Map::new();
    put(&mut doc, "id", Some(it.id.as_str()));
    put(&mut doc, "line", Some(it.line.as_str()));
    put(&mut doc, "version", Some(it.version));
    put(&mut doc, "title", Some(it.title.as_str()));
    put(&mut doc, "description", Some(it.description.as_str()));
    doc.insert("keywords".to_owned(), json!(it.keywords));
    put(&mut doc, "kind", Some(it.kind.name()));
    doc.insert("columns".to_owned(), it.columns.iter().map(write_column).collect());
    put(&mut doc, "rows", it.rows);
    put(&mut doc, "bytes", it.bytes);
    put(&mut doc, "content", it.content.map(|it| it.to_string()));
    put(&mut doc, "origin", it.origin.map(|it| it.to_string()));
    put(&mut doc, "grade", Some(it.grade.name()));
    doc.insert("offers".to_owned(), it.offers.iter().map(write_offer).collect());
    put(&mut doc, "publishedAt", Some(it.published_at.to_string()));
    put(&mut doc, "preview", Some(it.preview));
    if !it.derived_from.is_empty() {
        let all: Vec<&str> = it.derived_from.iter().map(Id::as_str).collect();
        doc.insert("derivedFrom".to_owned(), json!(all));
        put(&mut doc, "bound", Some(it.bound));
    }
    row(doc)
}

pub fn decode(text: &str) -> Result<Product, BadRecord> {
    let value = open(text)?;
    let top = fields(&value)?;
    let draft = Draft {
        id: top.id("id")?,
        line: top.id("line")?,
        version: top.number("version")?,
        title: top.text("title")?.to_owned(),
        description: top.text("description")?.to_owned(),
        keywords: top.texts("keywords")?,
        kind: top.word("kind", Kind::from_name)?,
        columns: each(&top, "columns", read_column)?,
        rows: top.number_opt("rows")?,
        bytes: top.number_opt("bytes")?,
        content: top.digest_opt("content")?,
        origin: top.digest_opt("origin")?,
        grade: top.word("grade", Grade::from_name)?,
        offers: each(&top, "offers", read_offer)?,
        published_at: top.time("publishedAt")?,
        preview: top.truth("preview")?,
        // Rows of before, and of what is made under no contract, say nothing of it.
        derived_from: top
            .values("derivedFrom")
            .iter()
            .map(|it| it.as_str().and_then(|it| Id::parse(it).ok()))
            .collect::<Option<_>>()
            .ok_or_else(|| top.wrong("derivedFrom", "not an array of ids"))?,
        bound: !top.values("derivedFrom").is_empty() && top.truth("bound")?,
    };
    Product::new(draft).map_err(|why| BadRecord::Field(why.to_string()))
}

fn each<T>(
    of: &Fields<'_>,
    name: &str,
    read: fn(&Fields<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    of.array(name)?.iter().map(|it| read(&Fields::at(it, name)?)).collect()
}

fn write_column(it: &Column) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "name", Some(it.name.as_str()));
    put(&mut doc, "type", Some(it.data_type.as_str()));
    put(&mut doc, "unit", it.unit.as_deref());
    put(&mut doc, "title", it.title.as_deref());
    Value::Object(doc)
}

fn read_column(of: &Fields<'_>) -> Result<Column, Fault> {
    Ok(Column {
        name: of.text("name")?.to_owned(),
        data_type: of.text("type")?.to_owned(),
        unit: of.text_opt("unit")?.map(str::to_owned),
        title: of.text_opt("title")?.map(str::to_owned),
    })
}

fn write_offer(it: &Offer) -> Value {
    let deliveries: Vec<&str> = it.deliveries().iter().map(|it| it.name()).collect();
    let mut doc = Map::new();
    doc.insert("policy".to_owned(), policy::write(it.policy()));
    put(&mut doc, "approval", Some(it.approval().name()));
    doc.insert("deliveries".to_owned(), json!(deliveries));
    put_rules(&mut doc, it.rules());
    Value::Object(doc)
}

fn read_offer(of: &Fields<'_>) -> Result<Offer, Fault> {
    let words = of.texts("deliveries")?;
    let deliveries: Option<Vec<Use>> = words.iter().map(|it| Use::from_name(it)).collect();
    let deliveries = deliveries.ok_or_else(|| of.wrong("deliveries", "unknown"))?;
    let approval = of.word("approval", Approval::from_name)?;
    let offer = Offer::new(policy::read(of, "policy")?, approval, deliveries)
        .map_err(|why| of.wrong("policy", why))?;
    Ok(offer.with_rules(read_rules(of, Role::Provider)?))
}
