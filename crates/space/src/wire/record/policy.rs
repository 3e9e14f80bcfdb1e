//! A policy inside a row: its ODRL document, with the names of what was not understood put back in place; one that
//! somebody else wrote as its document under `verbatim`.
//!
//! Never loses an unsupported name: a policy that was refused before a restart is refused after it, too.

use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::policy::model::{Constraint, Policy, Rule};
use crate::wire::json::Fields;
use crate::wire::odrl;

/// The names' values were not kept: `null` stands for each.
pub(in crate::wire) fn write(it: &Policy) -> Value {
    if it.verbatim.is_some() {
        return json!({ VERBATIM: odrl::to_json(it) });
    }
    let mut doc = odrl::to_json(it);
    if let Value::Object(members) = &mut doc {
        put_names(members, &it.extra);
        put_names(members, &it.unsupported);
        for (name, rules) in [
            ("permission", &it.permissions),
            ("prohibition", &it.prohibitions),
            ("obligation", &it.obligations),
        ] {
            put_rules(members, name, rules);
        }
    }
    doc
}

fn put_names(members: &mut Map<String, Value>, names: &[String]) {
    for name in names {
        members.insert(name.clone(), Value::Null);
    }
}

fn put_rules(members: &mut Map<String, Value>, name: &str, rules: &[Rule]) {
    let Some(Value::Array(written)) = members.get_mut(name) else { return };
    for (rule, written) in rules.iter().zip(written) {
        let Value::Object(written) = written else { continue };
        put_names(written, &rule.unsupported);
        put_constraints(written, "constraint", &rule.constraints);
        put_rules(written, "duty", &rule.duties);
        put_rules(written, "remedy", &rule.remedies);
        put_rules(written, "consequence", &rule.consequences);
    }
}

fn put_constraints(members: &mut Map<String, Value>, name: &str, constraints: &[Constraint]) {
    let Some(Value::Array(written)) = members.get_mut(name) else { return };
    for (constraint, written) in constraints.iter().zip(written) {
        let Value::Object(written) = written else { continue };
        match constraint {
            Constraint::Atomic(it) => put_names(written, &it.unsupported),
            Constraint::And(parts) => put_constraints(written, "and", parts),
            Constraint::Or(parts) => put_constraints(written, "or", parts),
            Constraint::Xone(parts) => put_constraints(written, "xone", parts),
            Constraint::AndSequence(parts) => put_constraints(written, "andSequence", parts),
        }
    }
}

pub(super) fn read(of: &Fields<'_>, name: &str) -> Result<Policy, Fault> {
    let value = of.get(name).ok_or_else(|| of.wrong(name, "missing"))?;
    let parse = |value: &Value| {
        let read = odrl::OdrlPolicy::parse(value.clone()).map_err(|why| of.wrong(name, why))?;
        Ok::<Policy, Fault>(read.model)
    };
    match value.get(VERBATIM) {
        Some(original) => parse(original),
        // What stands for lost values is no document of anybody's.
        None => Ok(Policy { verbatim: None, ..parse(value)? }),
    }
}

/// No ODRL document has this member alone.
const VERBATIM: &str = "verbatim";
