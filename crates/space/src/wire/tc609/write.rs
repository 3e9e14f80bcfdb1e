//! A contract as JSON, in the spelling of the standard, slips included.
//!
//! Never writes what the document does not hold.

use serde_json::{Map, Value as Json};

use crate::tc609::code::write_moment;
use crate::tc609::document::{Document, Frame, Item, SignMode, Signatory, Subject};
use crate::time::Time;

use super::clause::{Class, put};

/// The document; `parse(to_json(d))` is `d` again.
pub fn to_json(it: &Document) -> Json {
    let mut map = Map::new();
    frame(&it.frame, &mut map);
    let mut classes = Map::new();
    for class in Class::ALL {
        let all = match class {
            Class::Permission => &it.permissions,
            Class::Prohibition => &it.prohibitions,
            Class::Obligation => &it.obligations,
        };
        if !all.is_empty() {
            classes
                .insert(class.field().into(), all.iter().map(|one| item(it, one, class)).collect());
        }
    }
    map.insert("contractPolicies".into(), Json::Object(classes));
    Json::Object(map)
}

fn text(map: &mut Map<String, Json>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        map.insert(name.into(), value.into());
    }
}

fn time(map: &mut Map<String, Json>, name: &str, at: Option<Time>) {
    text(map, name, at.and_then(write_moment).as_deref());
}

fn frame(it: &Frame, map: &mut Map<String, Json>) {
    text(map, "contractId", Some(it.id.as_str()));
    text(map, "contractName", Some(&it.name));
    text(map, "contractAbstract", it.summary.as_deref());
    text(map, "contractStatus", Some(it.status.code()));
    time(map, "createTime", it.created);
    let mode = match it.mode {
        SignMode::PointToPoint => "01",
        SignMode::Platform => "02",
    };
    text(map, "signMode", Some(mode));
    map.insert("signatoryEntities".into(), it.signatories.iter().map(signatory).collect());
    time(map, "signTime", it.signed);
    time(map, "activationTime", it.from);
    time(map, "indate", Some(it.until));
    if let Some(more) = &it.expansion {
        map.insert("expansionItem".into(), serde_json::from_str(more).unwrap_or_default());
    }
}

fn signatory(it: &Signatory) -> Json {
    let mut map = Map::new();
    text(&mut map, "signatoryEntityId", Some(it.id.as_str()));
    text(&mut map, "signatoryEntityName", it.name.as_deref());
    text(&mut map, "signatorytype", Some(it.role.code()));
    text(&mut map, "signature", it.signature.as_deref());
    Json::Object(map)
}

fn item(document: &Document, it: &Item, class: Class) -> Json {
    let mut map = Map::new();
    if let Some(subject) = document.subject(&it.product) {
        let (info, nodes) = about(subject);
        map.insert("subjectInfo".into(), info);
        map.insert("executionNodeInfo".into(), nodes);
    }
    put(&it.clause, class, &mut map);
    Json::Object(map)
}

fn about(it: &Subject) -> (Json, Json) {
    let mut info = Map::new();
    text(&mut info, "dataProductId", Some(it.product.as_str()));
    text(&mut info, "dataProductName", it.name.as_deref());
    text(&mut info, "dataProductAbstract", it.summary.as_deref());
    text(&mut info, "dataProductEntityId", it.owner.as_ref().map(|it| it.as_str()));
    let mut nodes = Map::new();
    text(&mut nodes, "providerNodeId", Some(it.provider.as_str()));
    text(&mut nodes, "providerNodeName", it.provider_name.as_deref());
    text(&mut nodes, "consumerNodeId", it.consumer.as_ref().map(|it| it.as_str()));
    text(&mut nodes, "consumerNodeName", it.consumer_name.as_deref());
    (Json::Object(info), Json::Object(nodes))
}
