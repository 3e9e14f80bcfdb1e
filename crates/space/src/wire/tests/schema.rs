//! A small JSON Schema checker for tests: the keywords that DSP's schemas and ours use, no more.
//!
//! Panics on a keyword that it does not know, so that no rule is skipped in silence.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

/// Schemas by `$id`.
#[derive(Default)]
pub(crate) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    pub(crate) fn add(&mut self, schema: Value) -> String {
        let id = schema["$id"].as_str().unwrap().to_owned();
        self.0.insert(id.clone(), schema);
        id
    }

    /// All schemas of a kit's folder, by their own `$id`.
    pub(crate) fn add_folder(&mut self, folder: &std::path::Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                self.add(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap());
            }
        }
    }

    /// Every place where `value` breaks the schema of that id.
    pub(crate) fn check(&self, id: &str, value: &Value) -> Vec<String> {
        let mut out = Vec::new();
        self.walk(id, &self.0[id], value, "", &mut out);
        out
    }

    fn fits(&self, base: &str, schema: &Value, value: &Value) -> bool {
        let mut out = Vec::new();
        self.walk(base, schema, value, "", &mut out);
        out.is_empty()
    }

    fn reference(&self, base: &str, to: &str) -> (String, &Value) {
        let (document, pointer) = to.split_once('#').unwrap_or((to, ""));
        let document = if document.is_empty() { base } else { document };
        // DSP's transfer schemas leave out the slash after the hash.
        let pointer = if pointer.is_empty() || pointer.starts_with('/') {
            pointer.to_owned()
        } else {
            format!("/{pointer}")
        };
        (document.to_owned(), self.0[document].pointer(&pointer).unwrap())
    }

    fn walk(&self, base: &str, schema: &Value, value: &Value, path: &str, out: &mut Vec<String>) {
        for (keyword, rule) in schema.as_object().unwrap() {
            let all = |rule: &Value| rule.as_array().cloned().unwrap();
            let ok = match keyword.as_str() {
                "$schema" | "$id" | "title" | "description" | "examples" | "$comment"
                | "definitions" | "$defs" | "format" | "pattern" => true,
                "$ref" => {
                    let (base, schema) = self.reference(base, rule.as_str().unwrap());
                    self.walk(&base, schema, value, path, out);
                    true
                }
                "type" => rule
                    .as_array()
                    .map_or_else(|| std::slice::from_ref(rule), Vec::as_slice)
                    .iter()
                    .any(|one| match one.as_str().unwrap() {
                        "object" => value.is_object(),
                        "array" => value.is_array(),
                        "string" => value.is_string(),
                        "boolean" => value.is_boolean(),
                        "integer" => value.is_u64() || value.is_i64(),
                        other => panic!("type {other}"),
                    }),
                "const" => value == rule,
                "enum" => all(rule).contains(value),
                "required" => value.as_object().is_none_or(|it| {
                    all(rule).iter().all(|name| it.contains_key(name.as_str().unwrap()))
                }),
                "properties" => {
                    for (name, schema) in rule.as_object().unwrap() {
                        if let Some(inner) = value.get(name) {
                            self.walk(base, schema, inner, &format!("{path}/{name}"), out);
                        }
                    }
                    true
                }
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        self.walk(base, rule, item, &format!("{path}/*"), out);
                    }
                    true
                }
                "contains" => value
                    .as_array()
                    .is_none_or(|it| it.iter().any(|item| self.fits(base, rule, item))),
                "minItems" => {
                    value.as_array().is_none_or(|it| it.len() as u64 >= rule.as_u64().unwrap())
                }
                "maxItems" => {
                    value.as_array().is_none_or(|it| it.len() as u64 <= rule.as_u64().unwrap())
                }
                "minLength" => value
                    .as_str()
                    .is_none_or(|it| it.chars().count() as u64 >= rule.as_u64().unwrap()),
                "maxLength" => value
                    .as_str()
                    .is_none_or(|it| it.chars().count() as u64 <= rule.as_u64().unwrap()),
                "minimum" => value.as_i64().is_none_or(|it| it >= rule.as_i64().unwrap()),
                "maximum" => value.as_i64().is_none_or(|it| it <= rule.as_i64().unwrap()),
                "allOf" => {
                    all(rule).iter().for_each(|it| self.walk(base, it, value, path, out));
                    true
                }
                "anyOf" => all(rule).iter().any(|it| self.fits(base, it, value)),
                "oneOf" => all(rule).iter().filter(|it| self.fits(base, it, value)).count() == 1,
                "not" => !self.fits(base, rule, value),
                other => panic!("the keyword {other} is not checked"),
            };
            if !ok {
                out.push(format!("{path}: {keyword} {rule}"));
            }
        }
    }
}

/// The folder of the outside test kits: `TIDM_CONFORMANCE`, or `shared/conformance` beside the project.
pub(crate) fn conformance(kit: &str) -> Option<PathBuf> {
    let given = std::env::var_os("TIDM_CONFORMANCE").map(PathBuf::from);
    let beside = || {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        here.ancestors().map(|it| it.join("shared/conformance")).find(|it| it.is_dir())
    };
    let found = given.or_else(beside).map(|it| it.join(kit)).filter(|it| it.is_dir());
    if found.is_none() {
        println!(
            "SKIPPED: no shared/conformance/{kit} beside the project, and TIDM_CONFORMANCE does not name it"
        );
    }
    found
}
