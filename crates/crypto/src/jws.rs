//! Compact JWS and JWT (RFC 7515, RFC 7519, RFC 8725): one algorithm per key, nothing negotiated.
//!
//! The token's header chooses nothing but which key to look up: the caller finds a key by `kid`
//! and issuer, and verification fails unless `alg` is that key's. Must never follow `jku`, `jwk`
//! or `x5u`, accept `none`, or hand out a payload under a name that suggests it was verified.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    jcs,
    limits::{JWS_MAX_BYTES, KID_MAX_BYTES},
    rsa::RsaPublic,
    sign::{SigningKey, VerifyingKey},
};

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadJws {
    #[error("the token is larger than allowed here")]
    TooLarge,
    #[error("not a compact JWS: three base64url parts without padding, the first a JSON object")]
    Malformed,
    #[error("the token's header asks for an extension (crit) this node does not know")]
    Critical,
    #[error("the token's alg is not the algorithm of the key it names")]
    Algorithm,
    #[error("the token's signature does not verify under this key")]
    Signature,
}

/// What a token's header says. Believe none of it before verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub alg: String,
    pub kid: Option<String>,
    pub typ: Option<String>,
}

/// A token whose signature has not been checked.
#[derive(Clone, Debug)]
pub struct Unverified {
    pub header: Header,
    payload: Vec<u8>,
    /// `header.payload` as received: the signed text.
    signed: String,
    signature: Vec<u8>,
}

/// Signs `payload`. An empty `kid` or `typ` is left out of the header.
pub fn sign(kid: &str, typ: &str, payload: &[u8], key: &SigningKey) -> String {
    let mut header = serde_json::Map::new();
    for (name, value) in [("alg", key.kind().alg()), ("kid", kid), ("typ", typ)] {
        if !value.is_empty() {
            header.insert(name.to_owned(), json!(value));
        }
    }
    let header = Value::Object(header).to_string();
    let mut token =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

impl Unverified {
    /// Takes a token from an HTTP header, at most [`JWS_MAX_BYTES`] long.
    pub fn parse(token: &str) -> Result<Self, BadJws> {
        Self::parse_within(token, JWS_MAX_BYTES)
    }

    /// Takes a token of at most `limit` bytes, for those that travel in a message body.
    pub fn parse_within(token: &str, limit: usize) -> Result<Self, BadJws> {
        if token.len() > limit {
            return Err(BadJws::TooLarge);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(BadJws::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(BadJws::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| BadJws::Malformed);
        Ok(Self {
            header: Header::parse(&decode(header)?)?,
            payload: decode(payload)?,
            signed: signed.to_owned(),
            signature: decode(signature)?,
        })
    }

    /// The payload, unproven: good for finding the issuer whose key to look up, and no more.
    pub fn unproven_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload, if `check` finds the signature (second) over the signed text (first) to be right: for algorithms that
    /// we never sign with. Which ones are taken, and that the key is of that one, is the caller's to see to.
    pub fn verify_by(&self, check: impl FnOnce(&[u8], &[u8]) -> bool) -> Result<&[u8], BadJws> {
        if check(self.signed.as_bytes(), &self.signature) {
            Ok(&self.payload)
        } else {
            Err(BadJws::Signature)
        }
    }

    /// The payload, if `key` signed it.
    pub fn verify(&self, key: &VerifyingKey) -> Result<&[u8], BadJws> {
        if !key.kind().is_alg(&self.header.alg) {
            return Err(BadJws::Algorithm);
        }
        key.verify(self.signed.as_bytes(), &self.signature).map_err(|_| BadJws::Signature)?;
        Ok(&self.payload)
    }
    /// The payload, if an outside program's RSA `key` signed it (RS256).
    pub fn verify_rs256(&self, key: &RsaPublic) -> Result<&[u8], BadJws> {
        if self.header.alg != "RS256" {
            return Err(BadJws::Algorithm);
        }
        key.verify_rs256(self.signed.as_bytes(), &self.signature).map_err(|_| BadJws::Signature)?;
        Ok(&self.payload)
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, BadJws> {
        // RFC 7515 §4: "Header Parameter names … MUST be unique".
        let Ok(Value::Object(members)) = jcs::parse(bytes) else { return Err(BadJws::Malformed) };
        // RFC 7515 §4.1.11: what we do not understand and is critical, we refuse; we know nothing.
        if members.contains_key("crit") {
            return Err(BadJws::Critical);
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= KID_MAX_BYTES => Ok(Some(text.clone())),
            Some(_) => Err(BadJws::Malformed),
        };
        Ok(Self {
            alg: text("alg")?.ok_or(BadJws::Malformed)?,
            kid: text("kid")?,
            typ: text("typ")?,
        })
    }
}

#[cfg(test)]
mod tests;
