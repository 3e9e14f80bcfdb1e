//! Targets in `tidm-space`: messages of DCP, credentials, presentations, status lists, schemas and DID documents.

use serde_json::Value;
use tidm_crypto::jws;
use tidm_crypto::sign::{KeyKind, SigningKey};
use tidm_space::identity::credential::list::Bits;
use tidm_space::identity::credential::schema;
use tidm_space::identity::did::Did;
use tidm_space::identity::document::{Document, Relation};
use tidm_space::limits::{OIDC_KEYS, STATUS_BYTES};
use tidm_space::people::oidc::{self, Expected, Mapping};
use tidm_space::people::role::Role;
use tidm_space::people::rule::{Known, Rule};
use tidm_space::time::Time;
use tidm_space::wire::dcp::{issuance, jwt, query};
use tidm_space::wire::{did, json};

use crate::{Parser, choose};

/// All parsers of claims.
pub(crate) fn claims(data: &[u8]) {
    const PARSERS: [Parser; 13] = [
        queries,
        answers,
        requests,
        deliveries,
        offers,
        documents,
        plain,
        credentials,
        presentations,
        lists,
        schemas,
        providers,
        people,
    ];
    choose(&PARSERS, data);
}

fn fixed<T, E>(it: Result<T, E>) -> T {
    it.unwrap_or_else(|_| unreachable!("a fixed text that is right"))
}

/// Documents and tokens of an identity provider.
fn providers(data: &[u8]) {
    if let Ok(it) = oidc::claims(data) {
        let expected = Expected { issuer: "https://id", client: "tidm", nonce: "n" };
        let taken = oidc::check(&it, &expected, Time::from_ms(1)).is_ok();
        assert!(!taken || it.issuer == "https://id" && it.audience.iter().any(|it| it == "tidm"));
        let mapping = Mapping { claim: "a".to_owned(), value: "b".to_owned(), role: Role::System };
        assert!(oidc::roles(&it.all, &[mapping], true).is_empty());
    }
    if let Ok(it) = oidc::keys(data) {
        assert!(it.len() <= OIDC_KEYS);
    }
    drop(oidc::provider(data, "https://id"));
    drop(oidc::id_token(data));
}

/// Rules and attributes as people write them.
fn people(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(it) = Rule::parse(text) {
        assert_eq!(Rule::parse(&it.to_string()), Ok(it));
    }
    if let Ok(it) = Known::parse(text) {
        assert_eq!(Known::parse(&it.to_string()), Ok(it));
    }
}

fn queries(data: &[u8]) {
    let Ok(scopes) = query::read(data) else { return };
    assert_eq!(query::read(query::write(&scopes).as_bytes()), Ok(scopes));
}

fn answers(data: &[u8]) {
    let Ok(shown) = query::read_response(data) else { return };
    assert_eq!(query::read_response(query::write_response(&shown).as_bytes()), Ok(shown));
}

fn requests(data: &[u8]) {
    if let Ok(it) = issuance::read_request(data) {
        assert_eq!(issuance::read_request(issuance::write_request(&it).as_bytes()), Ok(it));
    }
    if let Ok(it) = issuance::read_status(data) {
        let written = issuance::write_status(&it.0, &it.1, it.2);
        assert_eq!(issuance::read_status(written.as_bytes()), Ok(it));
    }
}

fn deliveries(data: &[u8]) {
    let Ok(it) = issuance::read_delivery(data) else { return };
    assert_eq!(issuance::read_delivery(issuance::write_delivery(&it).as_bytes()), Ok(it));
}

fn offers(data: &[u8]) {
    if let Ok(it) = issuance::read_offer(data) {
        assert_eq!(issuance::read_offer(issuance::write_offer(&it).as_bytes()), Ok(it));
    }
    if let Ok(it) = issuance::read_metadata(data) {
        let written = issuance::write_metadata(it.issuer.as_str(), &it.credentials);
        assert_eq!(issuance::read_metadata(written.as_bytes()), Ok(it));
    }
}

/// A document only ever speaks for the DID that was asked for; a `did:key` is read from the same bytes.
fn documents(data: &[u8]) {
    let peer: Did = fixed(Did::parse("did:web:peer.example"));
    if let Ok(value) = json::parse(data)
        && let Ok(it) = did::read(&peer, &value)
    {
        assert_eq!(it.did, peer);
        assert!(it.methods.iter().all(|method| method.id.starts_with("did:web:peer.example#")));
        assert!(it.key(Some("did:web:other#1"), Relation::Assertion).is_none());
    }
    let text = String::from_utf8_lossy(data);
    if let Ok(key) = Did::parse(&format!("did:key:{text}")) {
        drop(Document::of_key(&key));
    }
}

/// The payload as a token of that type.
fn signed(typ: &str, payload: &[u8]) -> String {
    let key = fixed(SigningKey::from_secret_bytes(KeyKind::Ed25519, &[1; 32]));
    jws::sign("did:web:i#1", typ, payload, &key)
}

/// Tokens of no type, as the data model 1.1 has them.
fn plain(data: &[u8]) {
    let text = signed("JWT", data);
    drop((jwt::credential(&text), jwt::presentation(&text), jwt::status_list(&text)));
    drop(jwt::credential(&String::from_utf8_lossy(data)));
}

fn credentials(data: &[u8]) {
    let text = signed("vc+jwt", data);
    if let Ok((_, it)) = jwt::credential(&text) {
        assert!(!it.kinds.is_empty() && !it.subjects.is_empty());
    }
    drop(jwt::status_list(&text));
}

fn presentations(data: &[u8]) {
    drop((jwt::presentation(&signed("vp+jwt", data)), jwt::presentation(&signed("JWT", data))));
}

/// Whatever is packed, no more than the bound comes out, and what comes out packs and reads again.
fn lists(data: &[u8]) {
    let Ok(bits) = Bits::unpack(&String::from_utf8_lossy(data)) else { return };
    let end = u64::try_from(STATUS_BYTES).unwrap_or(u64::MAX).saturating_mul(8);
    assert!(bits.get(end).is_err());
    assert_eq!(Bits::unpack(&bits.pack()), Ok(bits));
}

fn schemas(data: &[u8]) {
    let Ok(it) = json::parse(data) else { return };
    let part = |name| it.get(name).cloned().unwrap_or(Value::Null);
    drop(schema::check(&part("schema"), &part("value")));
}
