//! What TC609 has no words for, inside a constraint `expansionItem` whose value is `{"odrl": …}`: parts of an ODRL rule.
//!
//! Threat: a condition that is left out permits more. A reader that does not know this extension sees a constraint that it
//! does not know, and must refuse it; a reader of ours gets back what was written.

use serde_json::{Map, Value as Json, json};

use crate::id::Id;
use crate::policy::model::{Action, Kind, Operator, Policy, Rule};
use crate::tc609::document::{Constraint, Name};
use crate::tc609::words::OperatorWord;
use crate::wire::json;
use crate::wire::odrl::OdrlPolicy;
use crate::wire::record;

const ODRL: &str = "odrl";

/// The parts of a rule but for its action. `None`: they would not be read back as they are.
pub(super) fn write(rule: &Rule) -> Option<Constraint> {
    let bare = Rule { action: Action::Use, ..rule.clone() };
    let mut policy = Policy::new(Id::parse(ODRL).ok()?, Kind::Set);
    policy.permissions.push(bare.clone());
    let mut document = record::policy::write(&policy);
    let mut parts = document.pointer_mut("/permission/0")?.take();
    parts.as_object_mut()?.remove("action");
    let value = json!({ ODRL: parts }).to_string();
    let op = OperatorWord::for_ours(&Operator::Eq)?;
    let it = Constraint { name: Name::Extension, op, value };
    (read(&it)? == bare).then_some(it)
}

/// What cannot even be written as an extension: nobody understands this, and so nobody signs it.
pub(super) fn refused() -> Option<Constraint> {
    let op = OperatorWord::for_ours(&Operator::Eq)?;
    Some(Constraint { name: Name::Extension, op, value: json!({ ODRL: null }).to_string() })
}

/// A rule with these parts. `None`: another extension, or none of this form.
pub(super) fn read(it: &Constraint) -> Option<Rule> {
    if it.name != Name::Extension || it.op.ours != Operator::Eq {
        return None;
    }
    let value = json::parse(it.value.as_bytes()).ok()?;
    let map = value.as_object().filter(|map| map.len() == 1)?;
    let mut rule: Map<String, Json> = map.get(ODRL)?.as_object()?.clone();
    if rule.contains_key("action") {
        return None;
    }
    rule.insert("action".into(), Action::Use.name().into());
    let policy = json!({ "@id": ODRL, "permission": [rule] });
    OdrlPolicy::parse(policy).ok()?.model.permissions.pop().filter(|it| it.action == Action::Use)
}
