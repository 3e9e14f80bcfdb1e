//! The matching rule: what both parties agree on before they compare anything. It stands in the contract as JSON; its
//! [`description`](Rule::description) goes into every item.

use serde::{Deserialize, Serialize};
use tidm_mpc::psi::Item;

use super::fault::Fault;
use super::form::Form;
use super::limits::{MAX_NAME_BYTES, MAX_PARTS};

/// Parts of a key in their order, and what equal keys in one list mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub parts: Vec<Part>,
    #[serde(default)]
    pub equals: Equals,
}

/// One part of a key. The role is a name both parties know; columns may be called otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub role: String,
    pub form: Form,
    /// Upper and lower case are the same. For `text` only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_case: bool,
}

/// What happens to rows of one list whose keys are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Equals {
    /// The list is refused.
    #[default]
    Refuse,
    /// The first of them counts, the others are left out.
    First,
    /// All of them are in the result if the key matches.
    Multiply,
}

impl Rule {
    /// A key of one part.
    pub fn single(role: &str, form: Form, equals: Equals) -> Result<Self, Fault> {
        let part = Part { role: role.into(), form, ignore_case: false };
        let rule = Self { parts: vec![part], equals };
        rule.check()?;
        Ok(rule)
    }

    pub fn of_json(json: &str) -> Result<Self, Fault> {
        let rule: Self =
            serde_json::from_str(json).map_err(|error| Fault::rule(error.to_string()))?;
        rule.check()?;
        Ok(rule)
    }

    pub fn json(&self) -> Result<String, Fault> {
        serde_json::to_string(self).map_err(|error| Fault::rule(error.to_string()))
    }

    /// What a rule must keep that its type does not say. Everything that uses a rule asks this first.
    pub fn check(&self) -> Result<(), Fault> {
        if self.parts.is_empty() || self.parts.len() > MAX_PARTS {
            return Err(Fault::rule(format!("a key has 1 to {MAX_PARTS} parts")));
        }
        for (index, part) in self.parts.iter().enumerate() {
            let role = &part.role;
            if role.trim() != role || role.is_empty() || role.len() > MAX_NAME_BYTES {
                return Err(Fault::rule(format!("part {} has no proper role", index + 1)));
            }
            if self.parts.iter().take(index).any(|earlier| earlier.role == *role) {
                return Err(Fault::rule(format!("role {role:?} is there twice")));
            }
            if part.ignore_case && part.form != Form::Text {
                return Err(Fault::rule(format!("{role:?}: ignore_case belongs to form text")));
            }
        }
        Ok(())
    }

    /// The same bytes for the same rule, whatever its JSON looked like: kind and version of the encoding of keys, then roles and
    /// forms behind their lengths, then what equals mean. Parties compare it before they start, so that another rule is a fault and not
    /// an empty result.
    pub fn description(&self) -> Vec<u8> {
        let mut bytes = b"tidm keys 1".to_vec();
        bytes.push(u8::try_from(self.parts.len()).unwrap_or(u8::MAX));
        for part in &self.parts {
            put(&mut bytes, part.role.as_bytes());
            put(&mut bytes, part.form.name().as_bytes());
            bytes.push(u8::from(part.ignore_case));
        }
        bytes.push(match self.equals {
            Equals::Refuse => 0,
            Equals::First => 1,
            Equals::Multiply => 2,
        });
        bytes
    }

    /// The key for hashing keys: bound to the rule and to the caller's own words (contract, session).
    pub fn context(&self, caller: &[u8]) -> [u8; 32] {
        let mut bytes = Vec::new();
        put(&mut bytes, &self.description());
        put(&mut bytes, caller);
        Item::context(&bytes)
    }
}

fn put(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&(part.len() as u64).to_le_bytes());
    out.extend_from_slice(part);
}
