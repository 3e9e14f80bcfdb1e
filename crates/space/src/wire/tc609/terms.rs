//! The terms of a message as a policy that a negotiation can be about.
//!
//! Threat: validity is the contract's in TC609 and a rule's in ODRL; a policy without it would permit for ever. So every
//! permission gets the contract's end, and its beginning where that lies ahead, unless it says so itself. Never wider.

use crate::policy::model::{Atomic, Constraint as Ours, Operand, Operator, Policy, Rule, Value};
use crate::tc609::document::Document;
use crate::time::Time;

use super::to_policy::{TooMany, from_tc609, profile};

/// What `document` permits, prohibits and obliges, said about the offer `of`: its id, parties and target.
pub fn offered(document: &Document, of: &Policy) -> Result<Policy, TooMany> {
    let (said, _) = from_tc609(document)?;
    let mut policy = Policy {
        permissions: said.permissions,
        prohibitions: said.prohibitions,
        obligations: said.obligations,
        profile: vec![],
        conflict: None,
        extra: vec![],
        unsupported: said.unsupported,
        verbatim: None,
        ..of.clone()
    };
    within(&mut policy, document.frame.from, document.frame.until);
    policy.profile = profile(&policy);
    Ok(policy)
}

/// Bounds each permission by a contract's validity.
pub fn within(policy: &mut Policy, from: Option<Time>, until: Time) {
    for rule in &mut policy.permissions {
        if let Some(from) = from.filter(|from| !bounded(rule, true, *from)) {
            rule.constraints.push(bound(Operator::Gteq, from));
        }
        if !bounded(rule, false, until) {
            rule.constraints.push(bound(Operator::Lteq, until));
        }
    }
}

fn bound(op: Operator, at: Time) -> Ours {
    Atomic::new(Operand::DateTime, op, Value::text(at.to_string())).into()
}

/// Whether it says so by itself, or more narrowly.
fn bounded(rule: &Rule, begins: bool, at: Time) -> bool {
    rule.constraints.iter().any(|it| {
        let Ours::Atomic(Atomic { left: Operand::DateTime, op, right: Value::Text(text), .. }) = it
        else {
            return false;
        };
        let Ok(said) = Time::parse(text) else { return false };
        if begins {
            matches!(op, Operator::Gteq | Operator::Gt) && said >= at
        } else {
            matches!(op, Operator::Lteq | Operator::Lt) && said <= at
        }
    })
}
