//! Canonical CBOR: RFC 8949 §4.2.1 "Core Deterministic Encoding", a small subset.
//!
//! Everything tidm hashes or signs by itself is this. A value has exactly one encoding, and
//! [`decode`] accepts that one only, so two parties cannot read different values from bytes with
//! the same digest, nor two digests from the same value.
//!
//! Left out on purpose: floats (no need, many pitfalls), tags, indefinite lengths, `undefined`,
//! simple values other than `false`, `true`, `null`. Must never grow a lenient mode.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::limits::{CBOR_MAX_BYTES, CBOR_MAX_DEPTH, CBOR_MAX_ITEMS};

/// A CBOR value of the subset.
///
/// A number that fits `i64` decodes as `Int`; `Uint` appears above `i64::MAX` only. Both encode
/// the number they mean, and compare by it.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Self>),
    Map(Map),
}

/// A CBOR map, kept in the bytewise order of its encoded keys (RFC 8949 §4.2.1, rule 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map(BTreeMap<Vec<u8>, (Value, Value)>);

/// Why bytes are not canonical CBOR of our subset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadCbor {
    #[error("CBOR ends too early")]
    Truncated,
    #[error("bytes follow the CBOR value")]
    Trailing,
    #[error("CBOR is larger than {CBOR_MAX_BYTES} bytes or {CBOR_MAX_ITEMS} items")]
    TooLarge,
    #[error("CBOR is nested deeper than {CBOR_MAX_DEPTH}")]
    TooDeep,
    #[error("a CBOR length or number is not in its shortest form")]
    NotShortest,
    #[error("CBOR map keys are not in bytewise order")]
    KeyOrder,
    #[error("a CBOR map key occurs twice")]
    DuplicateKey,
    #[error("a CBOR text is not UTF-8")]
    NotUtf8,
    #[error("a negative CBOR number is below -2^63")]
    NumberRange,
    #[error("CBOR floats, tags, indefinite lengths and other simple values are not used here")]
    Unsupported,
}

/// The one encoding of `value`.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

/// Encodes an array opened by `domain`, the form of everything hashed or signed (D16).
pub fn tuple(domain: &str, items: Vec<Value>) -> Vec<u8> {
    let mut out = Vec::new();
    head(4, (items.len() as u64).saturating_add(1), &mut out);
    head(3, domain.len() as u64, &mut out);
    out.extend_from_slice(domain.as_bytes());
    items.iter().for_each(|item| write(item, &mut out));
    out
}

/// Reads a tuple back: checks that it is an array opened by `domain` and returns the rest.
///
/// # Errors
/// `None` for canonical CBOR that is not such a tuple.
pub fn decode_tuple(domain: &str, bytes: &[u8]) -> Result<Option<Vec<Value>>, BadCbor> {
    let Value::Array(mut items) = decode(bytes)? else { return Ok(None) };
    if items.first().and_then(Value::as_text) != Some(domain) {
        return Ok(None);
    }
    items.remove(0);
    Ok(Some(items))
}

/// Reads exactly one canonically encoded value.
pub fn decode(bytes: &[u8]) -> Result<Value, BadCbor> {
    if bytes.len() > CBOR_MAX_BYTES {
        return Err(BadCbor::TooLarge);
    }
    let mut reader = Reader { rest: bytes, items: 0 };
    let value = reader.value(0)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(BadCbor::Trailing) }
}

impl Map {
    /// An empty map.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Puts `value` under `key`, returning what was there.
    pub fn insert(&mut self, key: impl Into<Value>, value: impl Into<Value>) -> Option<Value> {
        let key = key.into();
        self.0.insert(encode(&key), (key, value.into())).map(|(_, old)| old)
    }

    /// The value under `key`.
    pub fn get(&self, key: impl Into<Value>) -> Option<&Value> {
        self.0.get(&encode(&key.into())).map(|(_, value)| value)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Entries in canonical order.
    pub fn iter(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.0.values().map(|(key, value)| (key, value))
    }
}

impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl Value {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The bytes, if it is a byte string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The number, if it is one that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i128().and_then(|number| number.try_into().ok())
    }

    /// The number, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_i128().and_then(|number| number.try_into().ok())
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(it) = self { Some(*it) } else { None }
    }

    /// The items, if it is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    fn as_i128(&self) -> Option<i128> {
        if let Self::Int(number) = self {
            Some(i128::from(*number))
        } else if let Self::Uint(number) = self {
            Some(i128::from(*number))
        } else {
            None
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (_, _) => {
                let number = self.as_i128();
                number.is_some() && number == other.as_i128()
            }
        }
    }
}

impl Eq for Value {}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<crate::hash::Digest> for Value {
    fn from(digest: crate::hash::Digest) -> Self {
        Self::Bytes(digest.0.to_vec())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Uint(number), Self::Int)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<bool> for Value {
    fn from(it: bool) -> Self {
        Self::Bool(it)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Self::Array(items)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(it: Option<T>) -> Self {
        it.map_or(Self::Null, Into::into)
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(false) => out.push(0xf4),
        Value::Bool(true) => out.push(0xf5),
        // Major type 1 holds -1-n; in two's complement that is the complement.
        Value::Int(number) if *number < 0 => head(1, !number.cast_unsigned(), out),
        Value::Int(number) => head(0, number.cast_unsigned(), out),
        Value::Uint(number) => head(0, *number, out),
        Value::Bytes(bytes) => {
            head(2, bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        Value::Text(text) => {
            head(3, text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(items) => {
            head(4, items.len() as u64, out);
            items.iter().for_each(|item| write(item, out));
        }
        Value::Map(map) => {
            head(5, map.len() as u64, out);
            for (key, (_, value)) in &map.0 {
                out.extend_from_slice(key);
                write(value, out);
            }
        }
    }
}

/// Major type and argument in the shortest form (RFC 8949 §4.2.1, rule 1).
fn head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    let bytes = argument.to_be_bytes();
    let [.., _, _, _, _, b4, b5, b6, b7] = bytes;
    if argument < 24 {
        out.push(major | b7);
    } else if argument <= 0xff {
        out.extend([major | 24, b7]);
    } else if argument <= 0xffff {
        out.extend([major | 25, b6, b7]);
    } else if argument <= 0xffff_ffff {
        out.extend([major | 26, b4, b5, b6, b7]);
    } else {
        out.push(major | 27);
        out.extend(bytes);
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    items: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], BadCbor> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(BadCbor::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self, width: usize) -> Result<u64, BadCbor> {
        Ok(self.take(width)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Major type and argument; refuses longer forms than needed.
    fn head(&mut self) -> Result<(u8, u64), BadCbor> {
        let &[first] = self.take(1)? else { return Err(BadCbor::Truncated) };
        let (major, info) = (first >> 5, first & 31);
        if major >= 6 {
            // Tags, floats and simple values: three of the latter are ours.
            return if (0xf4..=0xf6).contains(&first) {
                Ok((7, u64::from(info)))
            } else {
                Err(BadCbor::Unsupported)
            };
        }
        let (argument, least) = match info {
            0..24 => (u64::from(info), 0),
            24 => (self.number(1)?, 24),
            25 => (self.number(2)?, 0x100),
            26 => (self.number(4)?, 0x1_0000),
            27 => (self.number(8)?, 0x1_0000_0000),
            _ => return Err(BadCbor::Unsupported),
        };
        if argument < least { Err(BadCbor::NotShortest) } else { Ok((major, argument)) }
    }

    fn string(&mut self, length: u64) -> Result<&'a [u8], BadCbor> {
        self.take(usize::try_from(length).map_err(|_| BadCbor::Truncated)?)
    }

    fn value(&mut self, depth: usize) -> Result<Value, BadCbor> {
        self.items = self.items.saturating_add(1);
        if self.items > CBOR_MAX_ITEMS {
            return Err(BadCbor::TooLarge);
        }
        if depth > CBOR_MAX_DEPTH {
            return Err(BadCbor::TooDeep);
        }
        let inner = depth.saturating_add(1);
        let (major, argument) = self.head()?;
        Ok(match major {
            0 => Value::from(argument),
            1 => {
                let number = i64::try_from(argument).map_err(|_| BadCbor::NumberRange)?;
                Value::Int(!number)
            }
            2 => Value::Bytes(self.string(argument)?.to_vec()),
            3 => {
                let text = str::from_utf8(self.string(argument)?);
                Value::Text(text.map_err(|_| BadCbor::NotUtf8)?.to_owned())
            }
            4 => {
                // No allocation by a claimed count: items pay with bytes.
                let mut items = Vec::new();
                for _ in 0..argument {
                    items.push(self.value(inner)?);
                }
                Value::Array(items)
            }
            5 => Value::Map(self.map(argument, inner)?),
            _ if argument == 22 => Value::Null,
            _ => Value::Bool(argument == 21),
        })
    }

    fn map(&mut self, count: u64, depth: usize) -> Result<Map, BadCbor> {
        let mut map = BTreeMap::new();
        let mut last: &[u8] = &[];
        for _ in 0..count {
            let before = self.rest;
            let key = self.value(depth)?;
            let used = before.len().saturating_sub(self.rest.len());
            let encoded = before.get(..used).ok_or(BadCbor::Truncated)?;
            if encoded == last {
                return Err(BadCbor::DuplicateKey);
            }
            if encoded < last {
                return Err(BadCbor::KeyOrder);
            }
            last = encoded;
            map.insert(encoded.to_vec(), (key, self.value(depth)?));
        }
        Ok(Map(map))
    }
}

#[cfg(test)]
mod tests;
