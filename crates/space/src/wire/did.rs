//! DID documents as JSON (DID Core 1.0), read as plain JSON.
//!
//! Never believes a document of another DID than the one that was asked for.

use serde_json::Value;
use tidm_crypto::sign::VerifyingKey;

use crate::fault::Fault;
use crate::identity::did::Did;
use crate::identity::document::{Document, Method};
use crate::limits::{DOCUMENT_PARTS, ID_BYTES, REASON_CHARS};

/// Reads the document of `did`.
pub fn read(did: &Did, document: &Value) -> Result<Document, Fault> {
    let wrong = |why: &str| {
        Fault::misbehaved("did.document", format!("the document of {did} is wrong: {why}"))
    };
    // DCP §4.3.3 item 4.
    if document.get("id").and_then(Value::as_str) != Some(did.as_str()) {
        return Err(wrong("it is of another DID"));
    }
    let listed = |name: &str| document.get(name).and_then(Value::as_array).into_iter().flatten();
    if document.get("verificationMethod").and_then(Value::as_array).is_none() {
        return Err(wrong("no verificationMethod"));
    }
    let mut methods: Vec<Method> = Vec::new();
    let mut unknown_methods = 0_usize;
    for method in listed("verificationMethod").take(DOCUMENT_PARTS) {
        let id = method.get("id").and_then(Value::as_str).and_then(|it| absolute(did, it));
        let key = method.get("publicKeyJwk").and_then(|jwk| VerifyingKey::from_jwk(jwk).ok());
        match (id, key) {
            // Two methods of one id could make two readers see two keys.
            (Some(id), Some(key)) if methods.iter().all(|it| it.id != id) => {
                let may = |name| listed(name).take(DOCUMENT_PARTS).any(|it| refers(did, it, &id));
                methods.push(Method {
                    authentication: may("authentication"),
                    assertion: may("assertionMethod"),
                    invocation: may("capabilityInvocation"),
                    id,
                    key,
                });
            }
            _ => unknown_methods = unknown_methods.saturating_add(1),
        }
    }
    if methods.is_empty() {
        return Err(wrong("no key that we understand"));
    }
    let service = |it: &Value| {
        let text =
            |name| it.get(name).and_then(Value::as_str).filter(|it| it.len() <= REASON_CHARS);
        Some((text("type")?.to_owned(), text("serviceEndpoint")?.to_owned()))
    };
    let services = listed("service").take(DOCUMENT_PARTS).filter_map(service).collect();
    Ok(Document { did: did.clone(), methods, services, unknown_methods })
}

/// `#fragment` and `did#fragment` are the same method (DID Core §3.2.2).
fn absolute(did: &Did, id: &str) -> Option<String> {
    let (of, fragment) = id.split_once('#')?;
    let fits =
        id.len() <= ID_BYTES && !fragment.is_empty() && (of.is_empty() || of == did.as_str());
    fits.then(|| format!("{did}#{fragment}"))
}

/// A relation names a method, or holds it whole.
fn refers(did: &Did, entry: &Value, id: &str) -> bool {
    let named = entry.as_str().or_else(|| entry.get("id").and_then(Value::as_str));
    named.and_then(|it| absolute(did, it)).as_deref() == Some(id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidm_crypto::sign::{KeyKind, SigningKey};

    use super::*;
    use crate::identity::document::Relation;

    fn jwk(seed: u8) -> Value {
        SigningKey::from_secret_bytes(KeyKind::Es256, &[seed; 32]).unwrap().verifying_key().to_jwk()
    }

    fn document() -> Value {
        json!({
            "id": "did:web:a",
            "verificationMethod": [
                {"id": "#1", "type": "JsonWebKey2020", "controller": "did:web:a", "publicKeyJwk": jwk(1)},
                {"id": "did:web:a#2", "type": "JsonWebKey2020", "controller": "did:web:a", "publicKeyJwk": jwk(2)}
            ],
            "authentication": ["did:web:a#1"],
            "capabilityInvocation": ["#2"],
            "service": [{"id": "#s", "type": "CredentialService", "serviceEndpoint": "https://a.example/cs/"}]
        })
    }

    #[test]
    fn keys_and_their_uses_are_read() {
        let did = Did::parse("did:web:a").unwrap();
        let it = read(&did, &document()).unwrap();
        assert!(it.key(Some("did:web:a#1"), Relation::Authentication).is_some());
        assert!(it.key(Some("did:web:a#1"), Relation::Invocation).is_none());
        assert!(it.key(Some("#2"), Relation::Invocation).is_some());
        assert!(it.key(Some("#2"), Relation::Assertion).is_none());
        assert!(it.key(None, Relation::Authentication).is_none(), "there are two");
        assert_eq!(it.service("CredentialService").unwrap(), "https://a.example/cs");
        assert_eq!(it.service("IssuerService").unwrap_err().code(), "did.service");
    }

    #[test]
    fn nasty_documents_are_refused_without_panic() {
        let did = Did::parse("did:web:a").unwrap();
        for (pointer, value) in [
            ("/id", json!("did:web:b")),
            ("/id", json!(5)),
            ("/verificationMethod", json!("x")),
            ("/verificationMethod", json!([])),
            ("/verificationMethod", json!([{"id": "did:web:b#1", "publicKeyJwk": jwk(1)}])),
            ("/verificationMethod", json!([{"id": "#1", "publicKeyJwk": {"kty": "EC"}}, 7, null])),
        ] {
            let mut bad = document();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert_eq!(read(&did, &bad).unwrap_err().code(), "did.document", "{bad}");
        }
        assert!(read(&did, &json!(null)).is_err());
        // The same id twice: the first stands, and it is not "the only one".
        let mut twice = document();
        twice["verificationMethod"][1]["id"] = json!("did:web:a#1");
        let it = read(&did, &twice).unwrap();
        assert_eq!((it.methods.len(), it.unknown_methods), (1, 1));
        let mut odd = document();
        odd["service"] = json!([{"type": "X"}, 5, {"type": 1, "serviceEndpoint": {}}]);
        odd["authentication"] = json!({"a": 1});
        assert!(read(&did, &odd).unwrap().services.is_empty());
    }
}
