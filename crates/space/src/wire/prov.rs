//! W3C PROV-JSON (member submission of 2013-04-24) of a lineage graph.
//!
//! Never an undeclared prefix: `tidm` is declared in the document, `prov` and `xsd` are the format's own.

use serde_json::{Map, Value, json};

use crate::evidence::lineage::{Graph, Relation, Thing};

/// What the prefix `tidm` of names and terms stands for.
pub const NAMESPACE: &str = "urn:tidm:prov:1:";

/// The document.
pub fn to_json(it: &Graph) -> Value {
    let mut out = Map::new();
    out.insert("prefix".to_owned(), json!({ "tidm": NAMESPACE }));
    for (section, things) in
        [("entity", &it.entities), ("activity", &it.activities), ("agent", &it.agents)]
    {
        if !things.is_empty() {
            let all: Map<String, Value> = things
                .iter()
                .map(|(name, thing)| (qualified(name), describe(section, thing)))
                .collect();
            out.insert(section.to_owned(), Value::Object(all));
        }
    }
    for (number, (relation, from, to)) in (1..).zip(&it.relations) {
        let (section, first, second) = words(*relation);
        let one = json!({ first: qualified(from), second: qualified(to) });
        let all = out.entry(section).or_insert_with(|| json!({}));
        if let Some(all) = all.as_object_mut() {
            all.insert(format!("_:r{number}"), one);
        }
    }
    Value::Object(out)
}

fn qualified(name: &str) -> String {
    format!("tidm:{name}")
}

fn words(it: Relation) -> (&'static str, &'static str, &'static str) {
    match it {
        Relation::Used => ("used", "prov:activity", "prov:entity"),
        Relation::Generated => ("wasGeneratedBy", "prov:entity", "prov:activity"),
        Relation::Invalidated => ("wasInvalidatedBy", "prov:entity", "prov:activity"),
        Relation::Derived => ("wasDerivedFrom", "prov:generatedEntity", "prov:usedEntity"),
        Relation::Associated => ("wasAssociatedWith", "prov:activity", "prov:agent"),
        Relation::Attributed => ("wasAttributedTo", "prov:entity", "prov:agent"),
        Relation::Informed => ("wasInformedBy", "prov:informed", "prov:informant"),
    }
}

fn describe(section: &str, it: &Thing) -> Value {
    let mut out = Map::new();
    let kind = |name: String| json!({ "$": name, "type": "xsd:QName" });
    let own = kind(qualified(it.kind));
    let types =
        if section == "agent" { json!([kind("prov:Organization".to_owned()), own]) } else { own };
    out.insert("prov:type".to_owned(), types);
    out.insert("prov:label".to_owned(), json!(it.label));
    for (term, at) in [("prov:startTime", it.started), ("prov:endTime", it.ended)] {
        if let Some(at) = at {
            out.insert(term.to_owned(), json!(at.to_string()));
        }
    }
    for (term, value) in &it.notes {
        out.insert(qualified(term), json!(value));
    }
    Value::Object(out)
}
