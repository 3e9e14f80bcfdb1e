//! One policy's actions, constraints and extension, to and from JSON; duties inside an extension have the same shape.
//!
//! Decision: `policyExpansion` is a text whose form no document gives. Ours is a JSON object with one of `priorDuty`,
//! `remedy`, `liability`, an array of actions or of objects with `actions`, `constraints` and `liability`. Another text is
//! kept as it is and never taken for a duty.

use serde_json::{Map, Value as Json, json};

use crate::fault::Fault;
use crate::limits::{
    TC609_ACTION_BYTES, TC609_ACTIONS, TC609_CLAUSES, TC609_CONSTRAINTS, TC609_DUTY_DEPTH,
    TC609_VALUE_BYTES,
};
use crate::tc609::document::{Act, Clause, Constraint, EXTENSION, Expansion, Name, is_token};
use crate::tc609::words::{ActionWord, OperatorWord};
use crate::wire::json::{self, Fields};

use super::read::known;

/// The three classes of dictionary C.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Permission,
    Prohibition,
    Obligation,
}

impl Class {
    pub(super) const ALL: [Self; 3] = [Self::Permission, Self::Prohibition, Self::Obligation];

    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Permission => "permissionPolicies",
            Self::Prohibition => "prohibitionPolicies",
            Self::Obligation => "obligationPolicies",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::Prohibition => "prohibition",
            Self::Obligation => "obligation",
        }
    }

    /// What its extension holds.
    fn duty(self) -> &'static str {
        match self {
            Self::Permission => "priorDuty",
            Self::Prohibition => "remedy",
            Self::Obligation => LIABILITY,
        }
    }
}

const LIABILITY: &str = "liability";

pub(super) fn clause(fields: &Fields<'_>, class: Class) -> Result<Clause, Fault> {
    let expansion = match fields.get("policyExpansion") {
        None => None,
        Some(Json::String(text)) if text.is_empty() || text.len() > TC609_VALUE_BYTES => {
            return Err(fields.wrong("policyExpansion", "empty or too long"));
        }
        Some(Json::String(text)) => Some(expansion(text, class)),
        Some(_) => return Err(fields.wrong("policyExpansion", "not a text")),
    };
    Ok(Clause { actions: actions(fields)?, constraints: constraints(fields)?, expansion })
}

fn actions(fields: &Fields<'_>) -> Result<Vec<Act>, Fault> {
    let all = fields.array("actions")?;
    if all.is_empty() || all.len() > TC609_ACTIONS {
        return Err(fields.wrong("actions", "empty, or too many"));
    }
    let read = |it| act(it).ok_or_else(|| fields.wrong("actions", "holds no action"));
    all.iter().map(read).collect()
}

pub(super) fn act(it: &Json) -> Option<Act> {
    if let Some(token) = it.as_str() {
        let listed = ActionWord::by_code(token).map(Act::Listed);
        return listed.or_else(|| is_token(token).then(|| Act::Unlisted(token.to_owned())));
    }
    let map = it.as_object().filter(|map| map.len() == 1)?;
    let inner = map.get(EXTENSION)?.as_object()?;
    match (inner.len(), inner.get("action").and_then(Json::as_str)) {
        (1, Some(own)) if is_own(own) => Some(Act::Own(own.to_owned())),
        _ => {
            let text = Json::Object(inner.clone()).to_string();
            (text.len() <= TC609_ACTION_BYTES).then_some(Act::Foreign(text))
        }
    }
}

/// An action's name, as a policy of ours spells it.
fn is_own(text: &str) -> bool {
    (1..=TC609_ACTION_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn act_json(it: &Act) -> Json {
    match it {
        Act::Listed(word) => word.code.into(),
        Act::Unlisted(token) => token.as_str().into(),
        Act::Own(name) => json!({ EXTENSION: { "action": name } }),
        Act::Foreign(text) => {
            json!({ EXTENSION: serde_json::from_str::<Json>(text).unwrap_or_default() })
        }
    }
}

fn constraints(fields: &Fields<'_>) -> Result<Vec<Constraint>, Fault> {
    let Some(all) = fields.get("constraints") else { return Ok(vec![]) };
    let all = all.as_array().filter(|it| it.len() <= TC609_CONSTRAINTS);
    let all = all.ok_or_else(|| fields.wrong("constraints", "not an array, or too long"))?;
    all.iter().enumerate().map(|(i, it)| constraint(fields, it, i)).collect()
}

fn constraint(parent: &Fields<'_>, it: &Json, at: usize) -> Result<Constraint, Fault> {
    let names = ["constraintName", "constraintOperator", "constraintValue"];
    let fields = known(Fields::at(it, format!("constraints[{at}]"))?, it, &names)
        .map_err(|why| parent.wrong("constraints", why))?;
    let texts = names.map(|name| it.get(name).and_then(Json::as_str));
    let [Some(name), Some(op), Some(value)] = texts else {
        return Err(
            parent.wrong("constraints", format!("[{at}]: name, operator and value are texts"))
        );
    };
    let name = Name::from_code(name).ok_or_else(|| fields.wrong("constraintName", "is no name"))?;
    let op = OperatorWord::by_code(op)
        .ok_or_else(|| fields.wrong("constraintOperator", "is none of 01 to 12"))?;
    if value.is_empty() || value.len() > TC609_VALUE_BYTES {
        return Err(fields.wrong("constraintValue", "empty or too long"));
    }
    Ok(Constraint { name, op, value: value.to_owned() })
}

/// The duties that a text holds in our form, or the text.
pub(super) fn expansion(text: &str, class: Class) -> Expansion {
    let duties = || {
        let value = json::parse(text.as_bytes()).ok()?;
        let map = value.as_object().filter(|map| map.len() == 1)?;
        let duties = duties(map.get(class.duty())?, TC609_DUTY_DEPTH - 1)?;
        // What would be written otherwise was not written by us, and stays as it was signed.
        let again = expansion_json(&Expansion::Duties(duties.clone()), class);
        let same = json::parse(again.as_bytes()).is_ok_and(|again| again == value);
        same.then_some(Expansion::Duties(duties))
    };
    duties().unwrap_or_else(|| Expansion::Text(text.to_owned()))
}

/// `left`: how deep duties may still lie.
fn duties(it: &Json, left: usize) -> Option<Vec<Clause>> {
    let left = left.checked_sub(1)?;
    let all = it.as_array().filter(|all| !all.is_empty() && all.len() <= TC609_CLAUSES)?;
    all.iter().map(|it| duty(it, left)).collect()
}

fn duty(it: &Json, left: usize) -> Option<Clause> {
    if it.is_string() {
        return Some(Clause { actions: vec![act(it)?], constraints: vec![], expansion: None });
    }
    let fields = Fields::at(it, "duty").ok()?;
    let fields = known(fields, it, &["actions", "constraints", LIABILITY]).ok()?;
    let expansion = match it.get(LIABILITY) {
        Some(all) => Some(Expansion::Duties(duties(all, left)?)),
        None => None,
    };
    let actions = actions(&fields).ok()?;
    let distinct =
        actions.iter().enumerate().all(|(i, a)| !actions.iter().skip(i + 1).any(|b| a == b));
    distinct
        .then(|| Some(Clause { actions, constraints: constraints(&fields).ok()?, expansion }))
        .flatten()
}

/// Puts a policy's members where they belong.
pub(super) fn put(it: &Clause, class: Class, map: &mut Map<String, Json>) {
    map.insert("actions".into(), it.actions.iter().map(act_json).collect());
    if !it.constraints.is_empty() {
        map.insert("constraints".into(), it.constraints.iter().map(constraint_json).collect());
    }
    if let Some(more) = &it.expansion {
        map.insert("policyExpansion".into(), expansion_json(more, class).into());
    }
}

fn constraint_json(it: &Constraint) -> Json {
    json!({
        "constraintName": it.name.code(),
        "constraintOperator": it.op.code,
        "constraintValue": it.value,
    })
}

pub(super) fn expansion_json(it: &Expansion, class: Class) -> String {
    match it {
        Expansion::Text(text) => text.clone(),
        Expansion::Duties(all) => json!({ class.duty(): duties_json(all) }).to_string(),
    }
}

fn duties_json(all: &[Clause]) -> Json {
    all.iter().map(duty_json).collect()
}

fn duty_json(it: &Clause) -> Json {
    if let (
        Clause { constraints, expansion: None, .. },
        [one @ (Act::Listed(_) | Act::Unlisted(_))],
    ) = (it, it.actions.as_slice())
        && constraints.is_empty()
    {
        return act_json(one);
    }
    let mut map = Map::new();
    map.insert("actions".into(), it.actions.iter().map(act_json).collect());
    if !it.constraints.is_empty() {
        map.insert("constraints".into(), it.constraints.iter().map(constraint_json).collect());
    }
    if let Some(Expansion::Duties(all)) = &it.expansion {
        map.insert(LIABILITY.into(), duties_json(all));
    }
    Json::Object(map)
}
