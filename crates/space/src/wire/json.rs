//! Reading JSON of strangers: bounded, without duplicate names, with errors that name the field.
//!
//! Never trusts a length, a depth or a type: every getter checks, and says which field is wrong. JSON-LD is
//! read as plain JSON (DSP 2025-1 makes processing optional), but terms written with the prefix `dspace:` or
//! as full IRIs, and values wrapped as `{"@value": …}` or `{"@id": …}`, are understood.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tidm_crypto::hash::Digest;

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::limits::{JSON_DEPTH, MESSAGE_BYTES, REASON_CHARS, REASONS};
use crate::time::Time;

/// Namespaces that a term of the protocol may be written in; `odrl` terms occur inside policies.
const PREFIXES: [&str; 5] = [
    "dspace:",
    "https://w3id.org/dspace/2025/1/",
    "https://w3id.org/dspace/2024/1/",
    "odrl:",
    "http://www.w3.org/ns/odrl/2/",
];

/// A message that is not what it should be. The reason names the field.
pub(crate) fn malformed(reason: impl Into<String>) -> Fault {
    Fault::misbehaved("message.malformed", reason)
}

/// Reads one JSON document of at most [`MESSAGE_BYTES`], nested at most [`JSON_DEPTH`] deep.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`; also for a name that occurs twice in one object, since
/// two readers could then see two messages in one signed body.
pub fn parse(bytes: &[u8]) -> Result<Value, Fault> {
    if bytes.len() > MESSAGE_BYTES {
        return Err(malformed(format!(
            "a message of {} bytes is longer than {MESSAGE_BYTES}",
            bytes.len()
        )));
    }
    check_depth(bytes)?;
    tidm_crypto::jcs::parse(bytes).map_err(|why| malformed(why.to_string()))
}

/// Counts brackets outside of strings, before any value is built.
fn check_depth(bytes: &[u8]) -> Result<(), Fault> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > JSON_DEPTH {
            return Err(malformed(format!("nested deeper than {JSON_DEPTH}")));
        }
    }
    Ok(())
}

/// A term without its prefix or namespace: `dspace:ContractRequestMessage` is `ContractRequestMessage`.
pub fn term(text: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text)
}

/// `text` cut to at most [`REASON_CHARS`] characters.
pub fn bounded(text: &str) -> String {
    text.chars().take(REASON_CHARS).collect()
}

/// Base64url without padding, as everywhere in our profile.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An object and where it lies in its document.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    members: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    /// The document itself.
    pub fn top(value: &'a Value) -> Result<Self, Fault> {
        match value.as_object() {
            Some(members) => Ok(Self { members, path: String::new() }),
            None => Err(malformed("the document is not a JSON object")),
        }
    }

    /// An object that lies at `path` of a document, for errors.
    pub fn at(value: &'a Value, path: impl Into<String>) -> Result<Self, Fault> {
        let path = path.into();
        match value.as_object() {
            Some(members) => Ok(Self { members, path }),
            None => Err(malformed(format!("field {path}: not an object"))),
        }
    }

    /// Where `name` lies, for errors.
    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The fault of field `name`.
    pub fn wrong(&self, name: &str, why: impl std::fmt::Display) -> Fault {
        malformed(format!("field {}: {why}", self.path_of(name)))
    }

    /// The value of `name`, also if written with a prefix or as a full IRI; `null` is absent.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        let found = self.members.get(name).or_else(|| {
            self.members
                .iter()
                .find(|(it, _)| it.len() > name.len() && term(it) == name)
                .map(|(_, value)| value)
        });
        found.filter(|it| !it.is_null())
    }

    fn need(&self, name: &str) -> Result<&'a Value, Fault> {
        self.get(name).ok_or_else(|| self.wrong(name, "missing"))
    }

    pub fn text(&self, name: &str) -> Result<&'a str, Fault> {
        plain(self.need(name)?).ok_or_else(|| self.wrong(name, "not a text"))
    }

    pub fn text_opt(&self, name: &str) -> Result<Option<&'a str>, Fault> {
        self.get(name).map(|it| plain(it).ok_or_else(|| self.wrong(name, "not a text"))).transpose()
    }

    /// A text of at most [`REASON_CHARS`] characters.
    pub fn short_text(&self, name: &str) -> Result<&'a str, Fault> {
        let text = self.text(name)?;
        if text.chars().nth(REASON_CHARS).is_some() {
            return Err(self.wrong(name, format!("longer than {REASON_CHARS} characters")));
        }
        Ok(text)
    }

    pub fn id(&self, name: &str) -> Result<Id, Fault> {
        Id::parse(self.text(name)?).map_err(|why| self.wrong(name, why))
    }

    pub fn id_opt(&self, name: &str) -> Result<Option<Id>, Fault> {
        self.text_opt(name)?
            .map(|it| Id::parse(it).map_err(|why| self.wrong(name, why)))
            .transpose()
    }

    pub fn did(&self, name: &str) -> Result<Did, Fault> {
        Did::parse(self.text(name)?).map_err(|why| self.wrong(name, why))
    }

    pub fn did_opt(&self, name: &str) -> Result<Option<Did>, Fault> {
        self.text_opt(name)?
            .map(|it| Did::parse(it).map_err(|why| self.wrong(name, why)))
            .transpose()
    }

    pub fn time(&self, name: &str) -> Result<Time, Fault> {
        Time::parse(self.text(name)?).map_err(|why| self.wrong(name, why))
    }

    pub fn time_opt(&self, name: &str) -> Result<Option<Time>, Fault> {
        self.text_opt(name)?
            .map(|it| Time::parse(it).map_err(|why| self.wrong(name, why)))
            .transpose()
    }

    pub fn number(&self, name: &str) -> Result<u64, Fault> {
        self.need(name)?
            .as_u64()
            .ok_or_else(|| self.wrong(name, "not a whole number that is not negative"))
    }

    pub fn number_opt(&self, name: &str) -> Result<Option<u64>, Fault> {
        self.get(name).map(|_| self.number(name)).transpose()
    }

    pub fn small_number(&self, name: &str) -> Result<u32, Fault> {
        u32::try_from(self.number(name)?).map_err(|why| self.wrong(name, why))
    }

    pub fn truth(&self, name: &str) -> Result<bool, Fault> {
        self.need(name)?.as_bool().ok_or_else(|| self.wrong(name, "neither true nor false"))
    }

    /// 64 lower-case hexadecimal digits.
    pub fn digest(&self, name: &str) -> Result<Digest, Fault> {
        Digest::parse(self.text(name)?).map_err(|why| self.wrong(name, why))
    }

    pub fn digest_opt(&self, name: &str) -> Result<Option<Digest>, Fault> {
        self.get(name).map(|_| self.digest(name)).transpose()
    }

    /// Base64url without padding.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, Fault> {
        let text = self.text(name)?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| self.wrong(name, "not base64url without padding"))
    }

    /// Base64url of exactly `N` bytes.
    pub fn exact_bytes<const N: usize>(&self, name: &str) -> Result<[u8; N], Fault> {
        let bytes = self.bytes(name)?;
        bytes.try_into().map_err(|_| self.wrong(name, format!("not {N} bytes")))
    }

    pub fn array(&self, name: &str) -> Result<&'a [Value], Fault> {
        match self.need(name)?.as_array() {
            Some(items) => Ok(items),
            None => Err(self.wrong(name, "not an array")),
        }
    }

    /// An array of texts, all kept as they are.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Fault> {
        let texts: Option<Vec<String>> =
            self.array(name)?.iter().map(|it| it.as_str().map(str::to_owned)).collect();
        texts.ok_or_else(|| self.wrong(name, "not an array of texts"))
    }

    /// An array, or one value in its place (JSON-LD compaction unwraps arrays of one), or nothing.
    pub fn values(&self, name: &str) -> &'a [Value] {
        match self.get(name) {
            Some(Value::Array(items)) => items,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        }
    }

    pub fn object(&self, name: &str) -> Result<Self, Fault> {
        Self::at(self.need(name)?, self.path_of(name))
    }

    pub fn object_opt(&self, name: &str) -> Result<Option<Self>, Fault> {
        self.get(name).map(|it| Self::at(it, self.path_of(name))).transpose()
    }

    /// One of a closed list of words.
    pub fn word<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, Fault> {
        let text = self.text(name)?;
        read(term(text))
            .ok_or_else(|| self.wrong(name, format!("{:?} is unknown here", bounded(text))))
    }

    /// Checks `@type`, which may be one name or an array that holds it.
    pub fn expect_type(&self, name: &str) -> Result<(), Fault> {
        let types = self.values("@type");
        if types.iter().filter_map(Value::as_str).any(|it| term(it) == name) {
            return Ok(());
        }
        Err(self.wrong("@type", format!("should be {name}")))
    }

    /// DSP `reason`: texts, or objects that hold one as `message`, `@value` or `description`. At most
    /// [`REASONS`] of at most [`REASON_CHARS`] characters are kept.
    pub fn reasons(&self, name: &str) -> Vec<String> {
        self.values(name).iter().take(REASONS).map(|it| bounded(&reason(it))).collect()
    }
}

/// A text, or one wrapped as `{"@value": …}` or `{"@id": …}`.
fn plain(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| {
        let wrapped = value.as_object()?;
        wrapped.get("@value").or_else(|| wrapped.get("@id"))?.as_str()
    })
}

fn reason(value: &Value) -> String {
    if let Some(text) = plain(value) {
        return text.to_owned();
    }
    let named = ["message", "dspace:message", "description"]
        .iter()
        .find_map(|name| value.get(name).and_then(plain));
    named.map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nasty_inputs_are_refused_without_panic() {
        let deep = "[".repeat(JSON_DEPTH + 1);
        let deep_strings =
            format!("{}\"{}\"{}", "[".repeat(JSON_DEPTH), "[".repeat(500), "]".repeat(JSON_DEPTH));
        let long = format!("\"{}\"", "x".repeat(MESSAGE_BYTES));
        for bad in [
            "",
            "{",
            "{\"a\":1,\"a\":2}",
            "{} {}",
            "nul",
            "\u{0}",
            "{\"a\":1e999}",
            &deep,
            &long,
            "\"\\",
        ] {
            assert_eq!(parse(bad.as_bytes()).unwrap_err().code(), "message.malformed", "{bad:.40}");
        }
        assert!(parse(&[0xff, 0xfe, b'{']).is_err());
        assert!(parse(deep_strings.as_bytes()).is_ok(), "brackets in strings do not count");
    }

    #[test]
    fn errors_name_the_field() {
        let value = json!({"offer": {"@id": 7}, "n": -1, "when": "today", "key": "!!"});
        let top = Fields::top(&value).unwrap();
        let offer = top.object("offer").unwrap();
        for (fault, text) in [
            (offer.id("@id").unwrap_err(), "field offer.@id: not a text"),
            (offer.text("target").unwrap_err(), "field offer.target: missing"),
            (top.number("n").unwrap_err(), "field n: not a whole number"),
            (top.time("when").unwrap_err(), "field when: not a time"),
            (top.exact_bytes::<32>("key").unwrap_err(), "field key: not base64url"),
            (top.object("n").unwrap_err(), "field n: not an object"),
            (top.expect_type("Offer").unwrap_err(), "field @type: should be Offer"),
        ] {
            assert!(fault.to_string().contains(text), "{fault}");
        }
    }

    #[test]
    fn prefixes_iris_and_wrapped_values_are_understood() {
        for (value, name) in [
            (json!({"@type": "X", "providerPid": "p"}), "providerPid"),
            (json!({"@type": "dspace:X", "dspace:providerPid": {"@value": "p"}}), "providerPid"),
            (
                json!({"@type": ["https://w3id.org/dspace/2025/1/X"], "https://w3id.org/dspace/2025/1/providerPid": {"@id": "p"}}),
                "providerPid",
            ),
        ] {
            let top = Fields::top(&value).unwrap();
            top.expect_type("X").unwrap();
            assert_eq!(top.text(name).unwrap(), "p");
        }
    }

    #[test]
    fn reasons_come_in_many_shapes_and_stay_bounded() {
        for (reason, text) in [
            (json!(["no"]), "no"),
            (json!("no"), "no"),
            (json!([{"@value": "no", "@language": "en"}]), "no"),
            (json!([{"message": "no"}]), "no"),
            (json!([{"why": 1}]), "{\"why\":1}"),
        ] {
            let value = json!({"reason": reason});
            assert_eq!(Fields::top(&value).unwrap().reasons("reason"), [text]);
        }
        let value = json!({"reason": vec!["喵".repeat(REASON_CHARS + 1); REASONS + 1]});
        let kept = Fields::top(&value).unwrap().reasons("reason");
        assert_eq!(kept.len(), REASONS);
        assert!(kept.iter().all(|it| it.chars().count() == REASON_CHARS));
    }
}
