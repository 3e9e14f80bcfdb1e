//! DID documents: which keys speak for a DID, for what, and where its services are.
//!
//! Never fetches one. Threat model: the document is the peer's own word about itself, so a key counts only
//! for the uses the document lists it under (DID Core 1.0 §5.3), only if the document is of the very DID
//! that was asked for, and a key id of another DID never matches.

use tidm_crypto::sign::{KeyKind, VerifyingKey};

use crate::fault::Fault;
use crate::identity::did::Did;

/// What a key may be used for (DID Core 1.0 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Signs presentations (DCP §5.4.3).
    Authentication,
    /// Signs credentials and status lists.
    Assertion,
    /// Signs self-issued tokens (DCP §4.3.3).
    Invocation,
}

/// One verification method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Absolute: `did#fragment`.
    pub id: String,
    pub key: VerifyingKey,
    pub authentication: bool,
    pub assertion: bool,
    pub invocation: bool,
}

impl Method {
    pub fn may(&self, relation: Relation) -> bool {
        match relation {
            Relation::Authentication => self.authentication,
            Relation::Assertion => self.assertion,
            Relation::Invocation => self.invocation,
        }
    }
}

/// What a DID document says that we use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub did: Did,
    pub methods: Vec<Method>,
    /// `serviceEndpoint` by service type.
    pub services: Vec<(String, String)>,
    /// Methods of kinds that we do not know are counted: "the only one" must be true.
    pub unknown_methods: usize,
}

impl Document {
    /// The method with this id, or the only one (DCP §4.3.3 item 3).
    pub fn method(&self, kid: Option<&str>) -> Option<&Method> {
        match kid {
            Some(kid) => {
                let fragment = match kid.split_once('#') {
                    Some((did, fragment)) if did.is_empty() || did == self.did.as_str() => fragment,
                    Some(_) => return None,
                    None => kid,
                };
                let id = format!("{}#{fragment}", self.did);
                self.methods.iter().find(|it| it.id == id)
            }
            None => match self.methods.as_slice() {
                [only] if self.unknown_methods == 0 => Some(only),
                _ => None,
            },
        }
    }

    /// The key of that id, if it may be used so. `None` also means: look whether the document has changed.
    pub fn key(&self, kid: Option<&str>, relation: Relation) -> Option<&VerifyingKey> {
        self.method(kid).filter(|it| it.may(relation)).map(|it| &it.key)
    }

    pub fn service(&self, kind: &str) -> Result<&str, Fault> {
        let found = self.services.iter().find(|(it, _)| it == kind);
        found.map(|(_, endpoint)| endpoint.trim_end_matches('/')).ok_or_else(|| {
            Fault::incompatible(
                "did.service",
                format!("the document of {} names no {kind}", self.did),
            )
        })
    }

    /// The document that a `did:key` is by itself (did:key §3): Ed25519 and P-256.
    pub fn of_key(did: &Did) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::misbehaved("did.key", format!("{did}: {why}"));
        let text =
            did.as_str().strip_prefix("did:key:").ok_or(Fault::ApiMisuse("not a did:key"))?;
        let encoded = text.strip_prefix('z').ok_or_else(|| wrong("not base58btc"))?;
        let bytes = base58(encoded).ok_or_else(|| wrong("not base58btc"))?;
        // Multicodec, as unsigned varints: 0xed is ed25519-pub, 0x1200 is p256-pub.
        let key = match bytes.as_slice() {
            [0xed, 0x01, key @ ..] => VerifyingKey::from_compressed(KeyKind::Ed25519, key),
            [0x80, 0x24, key @ ..] => VerifyingKey::from_compressed(KeyKind::Es256, key),
            _ => return Err(Fault::incompatible("did.key", format!("{did}: another kind of key"))),
        };
        let key = key.map_err(|_| wrong("not a key"))?;
        let method = Method {
            id: format!("{did}#{text}"),
            key,
            authentication: true,
            assertion: true,
            invocation: true,
        };
        let (methods, services) = (vec![method], Vec::new());
        Ok(Self { did: did.clone(), methods, services, unknown_methods: 0 })
    }
}

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// A P-256 key with its codec takes 48 characters; the algorithm is quadratic.
const BASE58_CHARS: usize = 64;

/// Base58btc as Bitcoin writes it.
fn base58(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() > BASE58_CHARS {
        return None;
    }
    let mut bytes: Vec<u8> = Vec::new();
    for c in text.bytes() {
        let mut carry = BASE58.iter().position(|it| *it == c)?;
        for byte in &mut bytes {
            carry += usize::from(*byte) * 58;
            *byte = u8::try_from(carry & 0xff).ok()?;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(u8::try_from(carry & 0xff).ok()?);
            carry >>= 8;
        }
    }
    bytes.extend(text.bytes().take_while(|it| *it == b'1').map(|_| 0));
    bytes.reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_did_key_is_its_own_document() {
        // The examples of the method's specification.
        for (did, kind) in [
            ("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", KeyKind::Ed25519),
            ("did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp", KeyKind::Ed25519),
            ("did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169", KeyKind::Es256),
            ("did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv", KeyKind::Es256),
        ] {
            let document = Document::of_key(&Did::parse(did).unwrap()).unwrap();
            let key = document.key(None, Relation::Assertion).unwrap();
            assert_eq!(key.kind(), kind);
            let kid = format!("{did}#{}", &did["did:key:".len()..]);
            assert_eq!(document.key(Some(&kid), Relation::Invocation), Some(key));
        }
    }

    #[test]
    fn nasty_did_keys_are_refused() {
        for bad in [
            "did:key:z",
            "did:key:x6Mk",
            "did:key:z0OIl",
            "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2do",
            "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",
            &format!("did:key:z{}", "1".repeat(400)),
        ] {
            if let Ok(did) = Did::parse(bad) {
                assert!(Document::of_key(&did).is_err(), "{bad}");
            }
        }
    }

    #[test]
    fn a_key_counts_only_for_its_did_and_its_uses() {
        let did = Did::parse("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK").unwrap();
        let mut document = Document::of_key(&did).unwrap();
        document.did = Did::parse("did:web:a").unwrap();
        document.methods[0].id = "did:web:a#1".to_owned();
        document.methods[0].invocation = false;
        for (kid, relation, found) in [
            (Some("did:web:a#1"), Relation::Assertion, true),
            (Some("#1"), Relation::Authentication, true),
            (Some("1"), Relation::Authentication, true),
            (None, Relation::Authentication, true),
            (Some("did:web:a#1"), Relation::Invocation, false),
            (Some("did:web:b#1"), Relation::Assertion, false),
            (Some("did:web:a#2"), Relation::Assertion, false),
            (Some(""), Relation::Assertion, false),
        ] {
            assert_eq!(document.key(kid, relation).is_some(), found, "{kid:?} {relation:?}");
        }
        document.unknown_methods = 1;
        assert!(document.key(None, Relation::Assertion).is_none(), "not the only one");
    }
}
