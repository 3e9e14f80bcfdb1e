//! JSON Canonicalization Scheme, RFC 8785: the form of JSON that is signed or hashed.
//!
//! [`canonical`] writes; [`parse`] reads outside bytes under the I-JSON rules the RFC presumes
//! (no duplicate names). Must never round a number: what a double cannot hold is refused, because
//! two readers would disagree about it.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use thiserror::Error;

use crate::limits::{JSON_MAX_BYTES, JSON_MAX_DEPTH};

/// Why JSON cannot be read or canonicalized.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadJson {
    #[error("JSON is larger than {0} bytes")]
    TooLarge(usize),
    #[error("JSON is nested deeper than {JSON_MAX_DEPTH}")]
    TooDeep,
    #[error("a JSON number does not fit a double exactly: write it as a string")]
    Number,
    #[error("not JSON as RFC 7493 wants it: {0}")]
    Syntax(String),
}

/// The canonical UTF-8 text of `value`.
pub fn canonical(value: &Value) -> Result<Vec<u8>, BadJson> {
    let mut out = Vec::new();
    write(value, 0, &mut out)?;
    Ok(out)
}

/// Reads JSON and refuses duplicate names (RFC 7493 §2.3), which parsers resolve differently.
pub fn parse(bytes: &[u8]) -> Result<Value, BadJson> {
    parse_within(bytes, JSON_MAX_BYTES)
}

/// The same of at most `limit` bytes.
pub fn parse_within(bytes: &[u8], limit: usize) -> Result<Value, BadJson> {
    if bytes.len() > limit {
        return Err(BadJson::TooLarge(limit));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict::deserialize(&mut reader).map_err(syntax)?.0;
    reader.end().map_err(syntax)?;
    Ok(value)
}

#[expect(clippy::needless_pass_by_value, reason = "used as a map_err function")]
fn syntax(error: serde_json::Error) -> BadJson {
    BadJson::Syntax(error.to_string())
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), BadJson> {
    if depth > JSON_MAX_DEPTH {
        return Err(BadJson::TooDeep);
    }
    let inner = depth.saturating_add(1);
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(es6(double(number)?).as_bytes()),
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, inner, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            let mut sorted: Vec<_> = members.iter().collect();
            // §3.2.3: names are compared as arrays of UTF-16 code units.
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(name, out);
                out.push(b':');
                write(member, inner, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// §3.2.2.2: two-character escapes where JSON has them, `\u00xx` for other controls, else as is.
fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            0x00..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The double a JSON number is (§3.2.2.3), refusing integers that would be rounded, but not those that ECMAScript writes
/// itself: a large double in its shortest digits, filled with zeros, is no exact value, yet canonical text must be readable.
fn double(number: &Number) -> Result<f64, BadJson> {
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    let double = number.as_f64().filter(|it| it.is_finite()).ok_or(BadJson::Number)?;
    match integer {
        // Both sides are within ±2^64, where the cast back is exact.
        #[expect(clippy::cast_possible_truncation, reason = "an integer-valued double below 2^65")]
        Some(integer) if double as i128 != integer && es6(double) != integer.to_string() => {
            Err(BadJson::Number)
        }
        Some(_) | None => Ok(double),
    }
}

/// ECMAScript `Number::toString` (ECMA-262 §6.1.6.1.20) of a finite double. Not Rust's own
/// shortest form: on a tie of digits the ECMAScript rule takes the even one, Rust the upper.
fn es6(double: f64) -> String {
    ryu_js::Buffer::new().format_finite(double).to_owned()
}

/// A `Value` read with duplicate names refused.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> DeserializeSeed<'de> for StrictVisitor {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(Value::from(it))
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(Value::from(it))
    }

    fn visit_f64<E: serde::de::Error>(self, it: f64) -> Result<Value, E> {
        Number::from_f64(it).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(Value::String(it.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let member = members.next_value_seed(Self)?;
            if out.contains_key(&name) {
                return Err(serde::de::Error::custom(format!("the name {name:?} occurs twice")));
            }
            out.insert(name, member);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests;
