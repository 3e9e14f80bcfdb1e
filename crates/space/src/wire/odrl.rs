//! ODRL policies as JSON, the way DSP 2025-1 writes them (negotiation/contract-schema.json), and tolerant of how
//! others write them: `odrl:` prefixes, full IRIs, `{"@id"}` objects, one object where an array belongs.
//!
//! Decision: the received JSON is kept with the model ([`Policy::verbatim`]), so that what we echo is what the
//! peer sent, down to rule order and properties unknown to us. Never decides whether a term can be kept: unknown
//! terms parse, [`crate::policy::compile`] refuses them.

use serde_json::{Map, Value as Json};
use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::jcs;

use crate::id::Id;
use crate::limits::{
    JSON_DEPTH, MESSAGE_BYTES, POLICY_CONSTRAINTS, POLICY_DEPTH, POLICY_DUTIES, POLICY_RULES,
};
use crate::policy::model::{
    Action, Atomic, Conflict, Constraint, Kind, Operand, Operator, Policy, Rule, Value, Verbatim,
};

mod write;

use write::plain_json;

/// A policy as it came or will go, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct OdrlPolicy {
    pub model: Policy,
    pub original: Json,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPolicy {
    #[error("a policy of {0} bytes is longer than {MESSAGE_BYTES}")]
    TooLong(usize),
    #[error("not JSON, or with numbers that RFC 8785 cannot write")]
    Json,
    #[error("nested deeper than {JSON_DEPTH}, or constraints deeper than {POLICY_DEPTH}")]
    TooDeep,
    #[error("more than {POLICY_RULES} rules or {POLICY_CONSTRAINTS} constraints")]
    TooMany,
    #[error("{place}: {why}")]
    Shape { place: String, why: &'static str },
}

fn shape(place: &str, why: &'static str) -> BadPolicy {
    BadPolicy::Shape { place: place.to_owned(), why }
}

/// Reads a policy document from outside bytes.
pub fn parse(bytes: &[u8]) -> Result<OdrlPolicy, BadPolicy> {
    if bytes.len() > MESSAGE_BYTES {
        return Err(BadPolicy::TooLong(bytes.len()));
    }
    // A name that occurs twice would let two readers see two policies.
    OdrlPolicy::parse(jcs::parse(bytes).map_err(|_| BadPolicy::Json)?)
}

impl OdrlPolicy {
    /// Reads a policy inside a message that was read within [`MESSAGE_BYTES`].
    pub fn parse(original: Json) -> Result<Self, BadPolicy> {
        if !shallow(&original, JSON_DEPTH) {
            return Err(BadPolicy::TooDeep);
        }
        let mut model = Reader::default().policy(&original)?;
        // What the model can say in full is not kept twice.
        if to_json(&model) != original {
            model.verbatim = Some(Verbatim(original.to_string().into()));
        }
        Ok(Self { model, original })
    }

    /// A policy of ours: the JSON follows from the model.
    pub fn from_model(model: Policy) -> Self {
        let original = to_json(&model);
        Self { model, original }
    }

    /// SHA-256 over the JSON's RFC 8785 form. Refuses numbers that RFC 8785 cannot write.
    pub fn digest(&self) -> Result<Digest, BadPolicy> {
        jcs::canonical(&self.original).map(|bytes| sha256(&bytes)).map_err(|_| BadPolicy::Json)
    }
}

/// `original` with some top-level strings replaced or left out, whatever prefix they were written under.
fn changed(original: Json, changes: &[(&str, Option<&str>)]) -> Json {
    let Json::Object(mut map) = original else { return original };
    for (key, value) in changes {
        // A policy under JSON-LD 1.1 aliases may spell `@id` as `uid`; replaced together.
        map.retain(|k, _| plain(k) != *key && !(*key == "@id" && plain(k) == "uid"));
        if let Some(value) = value {
            map.insert((*key).to_owned(), Json::from(*value));
        }
    }
    Json::Object(map)
}

/// Whether nothing lies deeper than `left` levels.
fn shallow(it: &Json, left: usize) -> bool {
    let Some(left) = left.checked_sub(1) else { return false };
    match it {
        Json::Array(all) => all.iter().all(|v| shallow(v, left)),
        Json::Object(all) => all.values().all(|v| shallow(v, left)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    }
}

/// An ODRL term without prefix or namespace; other terms as they are.
fn plain(term: &str) -> &str {
    ["odrl:", "http://www.w3.org/ns/odrl/2/", "https://www.w3.org/ns/odrl/2/"]
        .into_iter()
        .find_map(|prefix| term.strip_prefix(prefix))
        .unwrap_or(term)
}

/// ODRL properties of a policy that change its meaning and are not read here.
const UNREAD_IN_POLICY: [&str; 9] = [
    "inheritFrom",
    "inheritRelation",
    "function",
    "relation",
    "action",
    "constraint",
    "refinement",
    "duty",
    "uid",
];
/// What changes no rule: JSON-LD bookkeeping and notes.
const HARMLESS_IN_RULE: [&str; 7] =
    ["@id", "@type", "@context", "uid", "description", "title", "name"];

#[derive(Default)]
struct Reader {
    rules: usize,
    constraints: usize,
}

impl Reader {
    fn policy(&mut self, it: &Json) -> Result<Policy, BadPolicy> {
        let map = object(it, "policy")?;
        let id = id_of(map, "@id")
            .or_else(|| id_of(map, "uid"))
            .ok_or_else(|| shape("policy", "has no @id"))??;
        let mut policy = Policy::new(id, kind(map)?);
        let mut seen: Vec<&str> = Vec::with_capacity(map.len());
        for (key, value) in map {
            let name = plain(key);
            if seen.contains(&name) {
                return Err(shape(key, "said twice, once with and once without prefix"));
            }
            seen.push(name);
            match name {
                "@id" | "@type" | "@context" => {}
                "uid" if !map.contains_key("@id") => {}
                "target" => policy.target = Some(id_value(value, "target")?),
                "assigner" => policy.assigner = Some(id_value(value, "assigner")?),
                "assignee" => policy.assignee = Some(id_value(value, "assignee")?),
                "profile" => policy.profile = strings(value, "profile")?,
                "permission" => policy.permissions = self.rules(value, "permission")?,
                "prohibition" => policy.prohibitions = self.rules(value, "prohibition")?,
                "obligation" => policy.obligations = self.rules(value, "obligation")?,
                "conflict" => policy.conflict = Some(conflict(value)?),
                "timestamp" => {
                    policy.timestamp = Some(
                        text(value).ok_or_else(|| shape("timestamp", "is no string"))?.to_owned(),
                    );
                }
                other if UNREAD_IN_POLICY.contains(&other) => {
                    policy.unsupported.push(other.to_owned());
                }
                _ => policy.extra.push(key.clone()),
            }
        }
        Ok(policy)
    }

    fn rules(&mut self, it: &Json, place: &str) -> Result<Vec<Rule>, BadPolicy> {
        many(it).map(|rule| self.rule(rule, place, POLICY_DUTIES)).collect()
    }

    fn duties(&mut self, it: &Json, place: &str, left: usize) -> Result<Vec<Rule>, BadPolicy> {
        let left = left.checked_sub(1).ok_or(BadPolicy::TooDeep)?;
        many(it).map(|rule| self.rule(rule, place, left)).collect()
    }

    /// `left`: how deep duties may still lie in duties.
    fn rule(&mut self, it: &Json, place: &str, left: usize) -> Result<Rule, BadPolicy> {
        self.rules += 1;
        if self.rules > POLICY_RULES {
            return Err(BadPolicy::TooMany);
        }
        let map = object(it, place)?;
        let mut action = None;
        let mut rule = Rule::new(Action::Use, vec![]);
        for (key, value) in map {
            match plain(key) {
                "action" => action = Some(self.action(value, place)?),
                "constraint" => {
                    rule.constraints = many(value)
                        .map(|c| self.constraint(c, POLICY_DEPTH))
                        .collect::<Result<_, _>>()?;
                }
                name @ ("target" | "assignee") => {
                    let slot = if name == "target" { &mut rule.target } else { &mut rule.assignee };
                    match id_value(value, name) {
                        Ok(id) => *slot = Some(id),
                        // Several, or refined: the rule is not about what the model could name.
                        Err(_) => rule.unsupported.push(name.to_owned()),
                    }
                }
                "duty" => rule.duties = self.duties(value, "duty", left)?,
                // `null` stands for a value that was not kept (`wire::record`).
                "remedy" if !value.is_null() => {
                    rule.remedies = self.duties(value, "remedy", left)?;
                }
                "consequence" if !value.is_null() => {
                    rule.consequences = self.duties(value, "consequence", left)?;
                }
                name if HARMLESS_IN_RULE.contains(&name) => {}
                other => rule.unsupported.push(other.to_owned()),
            }
        }
        rule.action = action.ok_or_else(|| shape(place, "has no action"))?;
        Ok(rule)
    }

    /// DSP: a string. A refined action (ODRL §2.4) is an unknown action, since the refinement would be lost.
    fn action(&self, it: &Json, place: &str) -> Result<Action, BadPolicy> {
        let mut all = many(it);
        let (Some(one), None) = (all.next(), all.next()) else {
            return Err(shape(place, "has not exactly one action"));
        };
        let refined = one.as_object().is_some_and(|map| map.keys().any(|k| k != "@id"));
        match text(one) {
            Some(name) if !refined => Ok(Action::from_name(plain(name))),
            _ if refined => Ok(Action::Unknown("refined action".to_owned())),
            _ => Err(shape(place, "has an action that is no string")),
        }
    }

    fn constraint(&mut self, it: &Json, left: usize) -> Result<Constraint, BadPolicy> {
        self.constraints += 1;
        if self.constraints > POLICY_CONSTRAINTS {
            return Err(BadPolicy::TooMany);
        }
        let left = left.checked_sub(1).ok_or(BadPolicy::TooDeep)?;
        let map = object(it, "constraint")?;
        let logic: Vec<_> = map
            .iter()
            .filter(|(k, _)| ["and", "or", "xone", "andSequence"].contains(&plain(k)))
            .collect();
        let [(key, value)] = logic.as_slice() else {
            return if logic.is_empty() {
                atomic(map)
            } else {
                Err(shape("constraint", "mixes logical operators"))
            };
        };
        if map.keys().any(|k| k != *key && !HARMLESS_IN_RULE.contains(&plain(k))) {
            return Err(shape("constraint", "is logical and has other terms too"));
        }
        let members = value.get("@list").unwrap_or(value);
        let parts =
            many(members).map(|c| self.constraint(c, left)).collect::<Result<Vec<_>, _>>()?;
        Ok(match plain(key) {
            "and" => Constraint::And(parts),
            "or" => Constraint::Or(parts),
            "xone" => Constraint::Xone(parts),
            _ => Constraint::AndSequence(parts),
        })
    }
}

fn kind(map: &Map<String, Json>) -> Result<Kind, BadPolicy> {
    let name = map
        .get("@type")
        .map(|it| text(it).ok_or_else(|| shape("@type", "is no string")))
        .transpose()?;
    match name.map(plain) {
        Some("Offer") => Ok(Kind::Offer),
        Some("Agreement") => Ok(Kind::Agreement),
        None | Some("Set" | "Policy") => Ok(Kind::Set),
        Some(_) => Err(shape("@type", "is none of Offer, Agreement, Set")),
    }
}

fn conflict(it: &Json) -> Result<Conflict, BadPolicy> {
    match text(it).map(plain) {
        Some("perm") => Ok(Conflict::Permission),
        Some("prohibit") => Ok(Conflict::Prohibition),
        Some("invalid") => Ok(Conflict::Invalid),
        _ => Err(shape("conflict", "is none of perm, prohibit, invalid")),
    }
}

fn atomic(map: &Map<String, Json>) -> Result<Constraint, BadPolicy> {
    let (mut left, mut op, mut right) = (None, None, None);
    let (mut unit, mut unsupported) = (None, vec![]);
    for (key, value) in map {
        match plain(key) {
            "leftOperand" => left = text(value).map(operand),
            "operator" => op = text(value).map(|name| operator(plain(name))),
            "rightOperand" => right = Some(right_operand(value)),
            "unit" => {
                unit = Some(text(value).ok_or_else(|| shape("unit", "is no string"))?.to_owned());
            }
            name if HARMLESS_IN_RULE.contains(&name) => {}
            other => unsupported.push(other.to_owned()),
        }
    }
    let left = left.ok_or_else(|| shape("constraint", "has no leftOperand"))?;
    let op = op.ok_or_else(|| shape("constraint", "has no operator"))?;
    let right = right.ok_or_else(|| shape("constraint", "has no rightOperand"))?;
    Ok(Constraint::Atomic(Atomic { left, op, right, unit, unsupported }))
}

/// Words of the Catena-X profile that are understood lose their prefix; others keep it, to be refused as they were said.
fn operand(name: &str) -> Operand {
    ["cx-policy:", "https://w3id.org/catenax/policy/"]
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .map(Operand::from_name)
        .filter(|it| matches!(it, Operand::UsagePurpose | Operand::UsageEndDate))
        .unwrap_or_else(|| Operand::from_name(plain(name)))
}

fn operator(name: &str) -> Operator {
    Operator::from_name(if name == "term-lteq" { "lteq" } else { name })
}

fn right_operand(it: &Json) -> Value {
    match it {
        Json::String(t) => Value::Text(t.clone()),
        Json::Number(n) => Value::Text(n.to_string()),
        Json::Bool(b) => Value::Text(b.to_string()),
        Json::Array(all) => Value::List(all.iter().map(right_operand).collect()),
        Json::Object(map) => object_operand(map).unwrap_or_else(|| Value::Opaque(it.to_string())),
        Json::Null => Value::Opaque("null".to_owned()),
    }
}

fn object_operand(map: &Map<String, Json>) -> Option<Value> {
    let member = |key: &str| map.get(key).and_then(Json::as_str).map(str::to_owned);
    match map.len() {
        1 => match map.get("@value") {
            Some(value @ (Json::String(_) | Json::Number(_) | Json::Bool(_))) => {
                Some(right_operand(value))
            }
            _ => member("@id").map(Value::Reference).or_else(|| {
                let list = map.get("@list").or_else(|| map.get("@set"))?;
                Some(Value::List(many(list).map(right_operand).collect()))
            }),
        },
        2 => Some(Value::Typed { text: member("@value")?, datatype: member("@type")? }),
        _ => None,
    }
}

fn object<'a>(it: &'a Json, place: &str) -> Result<&'a Map<String, Json>, BadPolicy> {
    it.as_object().ok_or_else(|| shape(place, "is no JSON object"))
}

/// An array's members, or the one value that stands where an array belongs.
pub(crate) fn many(it: &Json) -> impl Iterator<Item = &Json> {
    it.as_array().map_or_else(|| std::slice::from_ref(it), Vec::as_slice).iter()
}

/// A string, or the `@id` or `@value` of an object.
pub(crate) fn text(it: &Json) -> Option<&str> {
    it.as_str().or_else(|| it.get("@id")?.as_str()).or_else(|| it.get("@value")?.as_str())
}

fn strings(it: &Json, place: &str) -> Result<Vec<String>, BadPolicy> {
    many(it)
        .map(|v| {
            text(v)
                .map(str::to_owned)
                .ok_or_else(|| shape(place, "holds something that is no string"))
        })
        .collect()
}

fn id_value(it: &Json, place: &str) -> Result<Id, BadPolicy> {
    // One party or asset; ODRL's collections and JSON-LD wrap even one of them in an array.
    let mut all = many(it);
    let (Some(one), None) = (all.next(), all.next()) else {
        return Err(shape(place, "is not exactly one id"));
    };
    let bare = one.is_string()
        || one.as_object().is_some_and(|m| m.keys().all(|k| k == "@id" || k == "@type"));
    let name = text(one).filter(|_| bare).ok_or_else(|| shape(place, "is no plain id"))?;
    Id::parse(name).map_err(|_| shape(place, "is empty, too long, or holds spaces"))
}

fn id_of(map: &Map<String, Json>, key: &str) -> Option<Result<Id, BadPolicy>> {
    map.iter().find(|(k, _)| plain(k) == key).map(|(_, value)| id_value(value, key))
}

/// A policy in DSP's form: plain terms, actions and operators as strings, empty lists left out (schema: `minItems`).
/// A policy that somebody else wrote comes out as it came in, down to the spelling, but for what the model's header
/// (kind, id, parties, target, time) says otherwise by now.
pub fn to_json(it: &Policy) -> Json {
    echo(it).unwrap_or_else(|| plain_json(it))
}

/// The same without its time, in the document that is kept, too.
pub(crate) fn untimed(it: Policy) -> Policy {
    let mut it = Policy { timestamp: None, ..it };
    if it.verbatim.is_some() {
        let document = to_json(&it);
        it.verbatim = (document != plain_json(&it)).then(|| Verbatim(document.to_string().into()));
    }
    it
}

/// `None`: nothing is kept, or the model's rules are no longer those of what is kept.
fn echo(it: &Policy) -> Option<Json> {
    let original: Json = serde_json::from_str(&it.verbatim.as_ref()?.0).ok()?;
    let said = Reader::default().policy(&original).ok().filter(|said| said.same_terms(it))?;
    let mut changes: Vec<(&str, Option<&str>)> = Vec::new();
    if said.kind != it.kind {
        changes.push(("@type", Some(it.kind.name())));
    }
    if said.id != it.id {
        changes.push(("@id", Some(it.id.as_str())));
    }
    for (key, had, has) in [
        ("target", &said.target, &it.target),
        ("assigner", &said.assigner, &it.assigner),
        ("assignee", &said.assignee, &it.assignee),
    ] {
        if had != has {
            changes.push((key, has.as_ref().map(Id::as_str)));
        }
    }
    if said.timestamp != it.timestamp {
        changes.push(("timestamp", it.timestamp.as_deref()));
    }
    Some(changed(original, &changes))
}

#[cfg(test)]
pub(crate) mod tests;
