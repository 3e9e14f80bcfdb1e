//! A policy from its model, in DSP's form: plain terms, actions and operators as strings, empty lists left out.
//!
//! Never writes what the model does not hold; whose words are kept is decided by [`super::to_json`].

use serde_json::{Map, Value as Json, json};

use crate::policy::model::{Conflict, Constraint, Policy, Rule, Value};

pub(super) fn plain_json(it: &Policy) -> Json {
    let mut map = Map::new();
    map.insert("@id".into(), it.id.as_str().into());
    map.insert("@type".into(), it.kind.name().into());
    for (key, id) in
        [("target", &it.target), ("assigner", &it.assigner), ("assignee", &it.assignee)]
    {
        if let Some(id) = id {
            map.insert(key.into(), id.as_str().into());
        }
    }
    if !it.profile.is_empty() {
        map.insert("profile".into(), it.profile.clone().into());
    }
    if let Some(conflict) = it.conflict {
        let name = match conflict {
            Conflict::Permission => "perm",
            Conflict::Prohibition => "prohibit",
            Conflict::Invalid => "invalid",
        };
        map.insert("conflict".into(), name.into());
    }
    if let Some(timestamp) = &it.timestamp {
        map.insert("timestamp".into(), timestamp.as_str().into());
    }
    for (key, rules) in [
        ("permission", &it.permissions),
        ("prohibition", &it.prohibitions),
        ("obligation", &it.obligations),
    ] {
        if !rules.is_empty() {
            map.insert(key.into(), rules.iter().map(rule_json).collect());
        }
    }
    Json::Object(map)
}

fn rule_json(it: &Rule) -> Json {
    let mut map = Map::new();
    map.insert("action".into(), it.action.name().into());
    for (key, id) in [("target", &it.target), ("assignee", &it.assignee)] {
        if let Some(id) = id {
            map.insert(key.into(), id.as_str().into());
        }
    }
    if !it.constraints.is_empty() {
        map.insert("constraint".into(), it.constraints.iter().map(constraint_json).collect());
    }
    for (key, rules) in
        [("duty", &it.duties), ("remedy", &it.remedies), ("consequence", &it.consequences)]
    {
        if !rules.is_empty() {
            map.insert(key.into(), rules.iter().map(rule_json).collect());
        }
    }
    Json::Object(map)
}

fn constraint_json(it: &Constraint) -> Json {
    let list = |parts: &[Constraint]| parts.iter().map(constraint_json).collect::<Json>();
    match it {
        Constraint::And(parts) => json!({ "and": list(parts) }),
        Constraint::Or(parts) => json!({ "or": list(parts) }),
        Constraint::Xone(parts) => json!({ "xone": list(parts) }),
        Constraint::AndSequence(parts) => json!({ "andSequence": list(parts) }),
        Constraint::Atomic(it) => {
            let mut json = json!({
                "leftOperand": it.left.name(),
                "operator": it.op.name(),
                "rightOperand": value_json(&it.right),
            });
            if let (Some(unit), Some(map)) = (&it.unit, json.as_object_mut()) {
                map.insert("unit".into(), unit.as_str().into());
            }
            json
        }
    }
}

fn value_json(it: &Value) -> Json {
    match it {
        Value::Text(text) => text.as_str().into(),
        Value::Typed { text, datatype } => json!({ "@value": text, "@type": datatype }),
        Value::Reference(id) => json!({ "@id": id }),
        Value::List(all) => all.iter().map(value_json).collect(),
        // Made from JSON by this module; other text would be a string.
        Value::Opaque(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
    }
}
