//! The three messages of the service in protobuf, as far as they are used: read strictly, written in field order.
//!
//! Never trusts a length; unknown fields are skipped, groups refused.

use crate::fault::Fault;
use crate::limits::KAS_REQUEST_BYTES;
use crate::wire::json::malformed;

use super::{Answer, OBLIGATIONS, Outcome};

/// `RewrapRequest.signed_request_token`, or `PublicKeyRequest.algorithm`: both are text in field 1.
pub fn read_text(body: &[u8]) -> Result<String, Fault> {
    if body.len() > KAS_REQUEST_BYTES {
        return Err(malformed("a request for keys that is too long"));
    }
    let mut rest = Bytes(body);
    let mut found = String::new();
    while !rest.0.is_empty() {
        let tag = rest.varint()?;
        let (field, kind) = (tag >> 3, tag & 7);
        match kind {
            0 => drop(rest.varint()?),
            1 => drop(rest.take(8)?),
            2 => {
                let length = usize::try_from(rest.varint()?).map_err(|_| short())?;
                let bytes = rest.take(length)?;
                if field == 1 {
                    let text = std::str::from_utf8(bytes);
                    found = text.map_err(|_| malformed("a text that is not UTF-8"))?.to_owned();
                }
            }
            5 => drop(rest.take(4)?),
            _ => return Err(malformed("not a protobuf message")),
        }
    }
    Ok(found)
}

/// `RewrapResponse`.
pub fn write(it: &Answer) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(key) = it.entity_key() {
        put(&mut out, 2, key);
    }
    if let Some(key) = &it.session_key {
        put(&mut out, 3, key.as_bytes());
    }
    for (id, results) in &it.policies {
        let mut policy = Vec::new();
        put(&mut policy, 1, id.as_bytes());
        for (id, outcome) in results {
            put(&mut policy, 2, &result(id, outcome));
        }
        put(&mut out, 5, &policy);
    }
    out
}

/// `KeyAccessRewrapResult`.
fn result(id: &str, it: &Outcome) -> Vec<u8> {
    let mut out = Vec::new();
    let refused = it.as_ref().err();
    if let Some(no) = refused.filter(|it| !it.obligations.is_empty()) {
        // A map entry whose value is a google.protobuf.Value with a list of texts.
        let mut list = Vec::new();
        for name in &no.obligations {
            let mut text = Vec::new();
            put(&mut text, 3, name.as_bytes());
            put(&mut list, 1, &text);
        }
        let (mut value, mut entry) = (Vec::new(), Vec::new());
        put(&mut value, 6, &list);
        put(&mut entry, 1, OBLIGATIONS.as_bytes());
        put(&mut entry, 2, &value);
        put(&mut out, 1, &entry);
    }
    put(&mut out, 2, id.as_bytes());
    put(&mut out, 3, if refused.is_none() { b"permit" } else { b"fail" });
    match it {
        Ok(key) => put(&mut out, 4, key),
        Err(no) => put(&mut out, 5, no.error.as_bytes()),
    }
    out
}

/// `PublicKeyResponse`.
pub fn write_public_key(pem: &str, kid: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, 1, pem.as_bytes());
    put(&mut out, 2, kid.as_bytes());
    out
}

fn put(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    let mut length = bytes.len();
    while length > 127 {
        out.push(u8::try_from(length & 127).unwrap_or(0) | 128);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap_or(0));
    out.extend_from_slice(bytes);
}

fn short() -> Fault {
    malformed("a protobuf message that ends too early")
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first().ok_or_else(short)?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(malformed("a number that is too long"))
    }
}
