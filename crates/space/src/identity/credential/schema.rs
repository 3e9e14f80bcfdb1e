//! Whether a credential's subject fits the JSON schema that the credential names.
//!
//! Understands the keywords that credential schemas use; a keyword that it does not know makes the schema
//! unusable rather than lenient (house D5: unknown means no). Threat model: schema and subject are both
//! from outside, so depth and steps are bounded, references lead only into the same document, and there
//! are no patterns (a regular expression of a stranger is a program of a stranger).

use serde_json::Value;

use crate::fault::Fault;
use crate::limits::{SCHEMA_DEPTH, SCHEMA_STEPS};

/// Says about values, demands nothing of them.
const SILENT: [&str; 12] = [
    "$schema",
    "$id",
    "id",
    "title",
    "description",
    "$comment",
    "default",
    "examples",
    "format",
    "definitions",
    "$defs",
    "$metadata",
];

/// `Ok`: it fits.
pub fn check(schema: &Value, value: &Value) -> Result<(), Fault> {
    let mut walk = Walk { root: schema, steps: 0 };
    match walk.fits(schema, value, 0)? {
        true => Ok(()),
        false => Err(Fault::denied(
            "credential.schema",
            "credential",
            "the credential's subject does not fit the schema it names",
        )),
    }
}

struct Walk<'a> {
    root: &'a Value,
    steps: usize,
}

impl<'a> Walk<'a> {
    fn fits(&mut self, schema: &'a Value, value: &Value, depth: usize) -> Result<bool, Fault> {
        self.steps += 1;
        if depth > SCHEMA_DEPTH || self.steps > SCHEMA_STEPS {
            return Err(unusable("it is nested too deep, or too long"));
        }
        let rules = match schema {
            Value::Bool(all) => return Ok(*all),
            Value::Object(rules) => rules,
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(unusable("it is no object"));
            }
        };
        for (keyword, rule) in rules {
            if SILENT.contains(&keyword.as_str()) {
                continue;
            }
            if !self.holds(schema, keyword, rule, value, depth)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holds(
        &mut self,
        schema: &'a Value,
        keyword: &str,
        rule: &'a Value,
        value: &Value,
        depth: usize,
    ) -> Result<bool, Fault> {
        Ok(match keyword {
            "type" => each(rule).iter().any(|it| it.as_str().is_some_and(|it| is_a(value, it))),
            "const" => value == rule,
            "enum" => list(rule)?.contains(value),
            "required" => value.as_object().is_none_or(|it| {
                each(rule)
                    .iter()
                    .all(|name| name.as_str().is_some_and(|name| it.contains_key(name)))
            }),
            "properties" => self.properties(rule, value, depth)?,
            "additionalProperties" => self.additional(schema, rule, value, depth)?,
            "items" if !rule.is_array() => {
                self.all(value.as_array().into_iter().flatten().map(|it| (rule, it)), depth)?
            }
            "minItems" => value.as_array().is_none_or(|it| it.len() as u64 >= bound(rule)),
            "maxItems" => value.as_array().is_none_or(|it| it.len() as u64 <= bound(rule)),
            "minLength" => value.as_str().is_none_or(|it| it.chars().count() as u64 >= bound(rule)),
            "maxLength" => value.as_str().is_none_or(|it| it.chars().count() as u64 <= bound(rule)),
            "minimum" => value.as_f64().is_none_or(|it| rule.as_f64().is_some_and(|r| it >= r)),
            "maximum" => value.as_f64().is_none_or(|it| rule.as_f64().is_some_and(|r| it <= r)),
            "allOf" => self.all(list(rule)?.iter().map(|it| (it, value)), depth)?,
            "anyOf" => self.count(rule, value, depth)? > 0,
            "oneOf" => self.count(rule, value, depth)? == 1,
            "not" => !self.fits(rule, value, depth + 1)?,
            "$ref" => {
                let to = rule.as_str().and_then(|it| it.strip_prefix('#'));
                let to = to.and_then(|it| self.root.pointer(it));
                let to = to.ok_or_else(|| unusable("it refers to another document"))?;
                self.fits(to, value, depth + 1)?
            }
            other => return Err(unusable(&format!("the keyword {other:.40} is not understood"))),
        })
    }

    fn properties(&mut self, rule: &'a Value, value: &Value, depth: usize) -> Result<bool, Fault> {
        let rules = rule.as_object().ok_or_else(|| unusable("properties is no object"))?;
        let known = rules.iter().filter_map(|(name, rule)| Some((rule, value.get(name)?)));
        self.all(known, depth)
    }

    fn additional(
        &mut self,
        schema: &'a Value,
        rule: &'a Value,
        value: &Value,
        depth: usize,
    ) -> Result<bool, Fault> {
        let named =
            |name: &String| schema.get("properties").is_some_and(|it| it.get(name).is_some());
        let others = value.as_object().into_iter().flatten().filter(|(name, _)| !named(name));
        self.all(others.map(|(_, it)| (rule, it)), depth)
    }

    fn all<'v>(
        &mut self,
        pairs: impl Iterator<Item = (&'a Value, &'v Value)>,
        depth: usize,
    ) -> Result<bool, Fault> {
        for (rule, value) in pairs {
            if !self.fits(rule, value, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn count(&mut self, rules: &'a Value, value: &Value, depth: usize) -> Result<usize, Fault> {
        let mut count = 0;
        for rule in list(rules)? {
            count += usize::from(self.fits(rule, value, depth + 1)?);
        }
        Ok(count)
    }
}

fn list(rule: &Value) -> Result<&Vec<Value>, Fault> {
    rule.as_array().ok_or_else(|| unusable("a list is missing"))
}

/// A list, or one value in its place.
fn each(rule: &Value) -> &[Value] {
    rule.as_array().map_or_else(|| std::slice::from_ref(rule), Vec::as_slice)
}

/// A bound that is no number is one that nothing reaches or everything breaks; both are "no".
fn bound(rule: &Value) -> u64 {
    rule.as_u64().unwrap_or(0)
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

fn unusable(why: &str) -> Fault {
    Fault::incompatible("credential.schema-unusable", format!("the credential's schema: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn subjects_fit_or_do_not() {
        let person = json!({"type": "object", "properties": {"id": {"type": "string"}, "age": {"type": "integer", "minimum": 18}}, "required": ["id"]});
        for (schema, value, fits) in [
            (person.clone(), json!({"id": "a", "age": 20}), true),
            (person.clone(), json!({"id": "a", "more": []}), true),
            (person.clone(), json!({"age": 20}), false),
            (person.clone(), json!({"id": 5}), false),
            (person, json!({"id": "a", "age": 17}), false),
            (
                json!({"additionalProperties": false, "properties": {"a": true}}),
                json!({"a": 1}),
                true,
            ),
            (
                json!({"additionalProperties": false, "properties": {"a": true}}),
                json!({"b": 1}),
                false,
            ),
            (json!({"items": {"enum": [1, 2]}}), json!([1, 2, 1]), true),
            (json!({"items": {"enum": [1, 2]}}), json!([3]), false),
            (json!({"type": ["string", "null"], "maxLength": 2}), json!("abc"), false),
            (json!({"anyOf": [{"const": 1}, {"const": 2}]}), json!(2), true),
            (json!({"oneOf": [{"minimum": 1}, {"minimum": 2}]}), json!(2), false),
            (
                json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "string"}}}),
                json!("x"),
                true,
            ),
            (json!({"not": {"type": "string"}}), json!("x"), false),
        ] {
            let got = check(&schema, &value);
            assert_eq!(got.is_ok(), fits, "{schema} {value}");
            assert!(got.is_ok() || got.unwrap_err().code() == "credential.schema");
        }
    }

    #[test]
    fn what_is_not_understood_is_no_permission() {
        let deep = (0..100).fold(json!({"type": "string"}), |it, _| json!({"allOf": [it]}));
        let wide = json!({"items": {"items": {"type": "integer"}}});
        let many = json!(vec![json!(vec![1; 200]); 200]);
        for (schema, value) in [
            (json!({"pattern": "(a+)+$"}), json!("a")),
            (json!({"$ref": "https://other.example/schema"}), json!("a")),
            (json!({"$ref": "#"}), json!("a")),
            (json!({"anyOf": 5}), json!("a")),
            (json!("text"), json!("a")),
            (json!({"items": [{}]}), json!([1])),
            (deep, json!("a")),
            (wide, many),
        ] {
            assert_eq!(
                check(&schema, &value).unwrap_err().code(),
                "credential.schema-unusable",
                "{schema:.80}"
            );
        }
    }
}
