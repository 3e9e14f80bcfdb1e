//! Messages against the standard's own schemas and examples, both ways, and hostile ones.

use serde_json::{Value, json};
use tidm_crypto::jws;
use tidm_crypto::sign::{KeyKind, SigningKey};

use super::{CONTEXT, issuance, jwt, query};
use crate::fault::Fault;
use crate::identity::credential::list::{Bits, List};
use crate::identity::credential::{
    Credential, MEMBERSHIP, Profile, Purpose, SPACE, Status, Subject,
};
use crate::identity::did::Did;
use crate::identity::issuance::message::{Container, Delivery, Object, Offer, Outcome, Request};
use crate::identity::issuance::state::Word;
use crate::identity::presentation::scope::Scope;
use crate::limits::{CREDENTIAL_BYTES, JSON_DEPTH, MESSAGE_BYTES, PRESENTED, SCOPES};
use crate::time::Time;
use crate::wire::schema::{Schemas, conformance};

fn did(name: &str) -> Did {
    Did::parse(&format!("did:web:{name}")).unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_secret_bytes(KeyKind::Es256, &[seed; 32]).unwrap()
}

pub(crate) fn credential(profile: Profile) -> Credential {
    let claims = json!({"id": "did:web:holder", SPACE: "urn:uuid:space", "roles": ["provider"]});
    Credential {
        profile,
        id: Some("urn:uuid:1".to_owned()),
        kinds: vec!["VerifiableCredential".to_owned(), MEMBERSHIP.to_owned()],
        issuer: did("issuer"),
        subjects: vec![Subject {
            id: Some("did:web:holder".to_owned()),
            claims: claims.as_object().unwrap().clone(),
        }],
        from: Some(Time::from_ms(1_000_000)),
        until: Some(Time::from_ms(2_000_000_000)),
        statuses: vec![Status {
            list: "https://issuer.example/status/1".to_owned(),
            index: 7,
            purpose: Purpose::Revocation,
        }],
        schemas: vec!["https://issuer.example/schema".to_owned()],
    }
}

fn object() -> Object {
    Object {
        id: "urn:uuid:2".to_owned(),
        kind: Some(MEMBERSHIP.to_owned()),
        schema: Some("https://issuer.example/schema".to_owned()),
        reason: Some("reissue".to_owned()),
        bindings: vec!["did:web".to_owned()],
        profile: Some(Profile::Vc20.alias().to_owned()),
    }
}

fn deliveries() -> [Delivery; 2] {
    let container = Container {
        kind: MEMBERSHIP.to_owned(),
        profile: Profile::Vc11,
        payload: "a.b.c".to_owned(),
    };
    [Outcome::Issued(vec![container]), Outcome::Rejected("not invited".to_owned())]
        .map(|outcome| Delivery { issuer_pid: "i".to_owned(), holder_pid: "h".to_owned(), outcome })
}

/// Every message that we write reads back as it was.
#[test]
fn messages_round_trip() {
    let scopes = [Scope::kind(MEMBERSHIP), Scope::Id("urn:uuid:1".to_owned())];
    assert_eq!(query::read(query::write(&scopes).as_bytes()).unwrap(), scopes);
    let shown = vec!["a.b.c".to_owned()];
    assert_eq!(query::read_response(query::write_response(&shown).as_bytes()).unwrap(), shown);
    for it in deliveries() {
        assert_eq!(issuance::read_delivery(issuance::write_delivery(&it).as_bytes()).unwrap(), it);
    }
    let asked = Request { holder_pid: "h".to_owned(), wants: vec!["urn:uuid:2".to_owned()] };
    assert_eq!(issuance::read_request(issuance::write_request(&asked).as_bytes()).unwrap(), asked);
    let offer = Offer { issuer: did("issuer"), credentials: vec![object()] };
    assert_eq!(issuance::read_offer(issuance::write_offer(&offer).as_bytes()).unwrap(), offer);
    let written = issuance::write_metadata("did:web:issuer", &offer.credentials);
    assert_eq!(issuance::read_metadata(written.as_bytes()).unwrap(), offer);
    for word in Word::ALL {
        let written = issuance::write_status("i", "h", word);
        let read = issuance::read_status(written.as_bytes()).unwrap();
        assert_eq!(read, ("i".to_owned(), "h".to_owned(), word));
    }
}

/// What leaves us is valid by the standard's schemas, and its own examples are read.
#[test]
fn messages_fit_the_schemas_of_the_standard() {
    let Some(folder) = conformance("dcp") else { return };
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(folder.join(path)).unwrap()).unwrap()
    };
    let mut schemas = Schemas::default();
    // Its references and its `$id` disagree about the version; the references are what counts.
    let mut context = read("common/context-schema.json");
    context["$id"] = json!("https://w3id.org/dspace-dcp/v1.0/common/context-schema.json");
    schemas.add(context);
    // Presentation Exchange is another organisation's and not in the kit.
    for name in ["definition.json", "submission.json"] {
        let id = format!(
            "https://identity.foundation/presentation-exchange/schemas/presentation-{name}"
        );
        schemas.add(json!({"$id": id, "type": "object", "properties": {"presentation_submission": {"type": "object"}}}));
    }
    let mut ids = std::collections::BTreeMap::new();
    for (name, path) in [
        ("query", "presentation/presentation-query-message-schema.json"),
        ("response", "presentation/presentation-response-message-schema.json"),
        ("delivery", "issuance/credential-message-schema.json"),
        ("object", "issuance/credential-object-schema.json"),
        ("offer", "issuance/credential-offer-message-schema.json"),
        ("request", "issuance/credential-request-message-schema.json"),
        ("status", "issuance/credential-status-schema.json"),
        ("metadata", "issuance/issuer-metadata-schema.json"),
    ] {
        ids.insert(name, schemas.add(read(path)));
    }
    let [issued, rejected] = deliveries();
    let offer = Offer { issuer: did("issuer"), credentials: vec![object()] };
    let asked = Request { holder_pid: "h".to_owned(), wants: vec!["urn:uuid:2".to_owned()] };
    for (name, written) in [
        ("query", query::write(&[Scope::kind(MEMBERSHIP)])),
        ("response", query::write_response(&["a.b.c".to_owned()])),
        ("delivery", issuance::write_delivery(&issued)),
        ("delivery", issuance::write_delivery(&rejected)),
        ("offer", issuance::write_offer(&offer)),
        ("request", issuance::write_request(&asked)),
        ("status", issuance::write_status("i", "h", Word::Received)),
        ("metadata", issuance::write_metadata("did:web:issuer", &offer.credentials)),
    ] {
        let value: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(schemas.check(&ids[name], &value), Vec::<String>::new(), "{written}");
        // The checker can fail: without its context no message is valid.
        let mut bare = value;
        bare.as_object_mut().unwrap().remove("@context");
        assert_ne!(schemas.check(&ids[name], &bare), Vec::<String>::new(), "{name}");
    }
    let bytes = |path: &str| std::fs::read(folder.join(path)).unwrap();
    let delivery = "issuance/example/credential-message-rejected.json";
    assert!(issuance::read_delivery(&bytes(delivery)).is_ok());
    assert!(
        issuance::read_request(&bytes("issuance/example/credential-request-message.json")).is_ok()
    );
    assert!(issuance::read_status(&bytes("issuance/example/credential-status.json")).is_ok());
    assert!(issuance::read_metadata(&bytes("issuance/example/issuer-metadata.json")).is_ok());
    assert!(
        query::read_response(&bytes("presentation/example/presentation-response-message.json"))
            .is_ok()
    );
    let definition =
        "presentation/example/presentation-query-message-w-presentation-definition.json";
    assert_eq!(query::read(&bytes(definition)).unwrap_err().code(), query::NO_DEFINITIONS);
    // Formats and scopes that the examples make up are refused, not misread.
    let code = |it: Fault| it.code();
    let made_up = issuance::read_delivery(&bytes("issuance/example/credential-message.json"));
    assert_eq!(made_up.map_err(code).unwrap_err(), "credential.format");
    let made_up = query::read(&bytes("presentation/example/presentation-query-message.json"));
    assert_eq!(made_up.map_err(code).unwrap_err(), "presentation.scope");
}

#[test]
fn queries_ask_one_way_and_for_something() {
    let message = |more: Value| {
        let mut it = json!({"@context": [CONTEXT], "type": "PresentationQueryMessage"});
        it.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        it.to_string()
    };
    let scope = Scope::kind("A").to_string();
    for (more, code) in [
        (json!({}), "message.malformed"),
        (json!({"scope": []}), "message.malformed"),
        (json!({"scope": scope}), "message.malformed"),
        (json!({"scope": [1]}), "message.malformed"),
        (json!({"scope": null, "presentationDefinition": null}), "message.malformed"),
        (json!({"presentationDefinition": {}}), "message.malformed"),
        (
            json!({"scope": [scope], "presentationDefinition": {"id": "a", "input_descriptors": [{}]}}),
            "message.malformed",
        ),
        (
            json!({"presentationDefinition": {"id": "a", "input_descriptors": [{}]}}),
            query::NO_DEFINITIONS,
        ),
        (json!({"scope": ["other:A:read"]}), "presentation.scope"),
        (json!({"scope": vec![scope.clone(); SCOPES + 1]}), "presentation.scope"),
        (json!({"scope": [scope], "type": "Other"}), "message.malformed"),
        (
            json!({"scope": [scope], "@context": "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"}),
            "message.malformed",
        ),
    ] {
        assert_eq!(
            query::read(message(more.clone()).as_bytes()).unwrap_err().code(),
            code,
            "{more}"
        );
    }
}

#[test]
fn hostile_messages_are_refused_without_panic() {
    let deep = format!("{}1{}", "[".repeat(JSON_DEPTH + 1), "]".repeat(JSON_DEPTH + 1));
    let long = "x".repeat(MESSAGE_BYTES + 1);
    let many: Vec<Value> = vec![json!({"id": "a"}); PRESENTED + 1];
    let many = json!({"@context": [CONTEXT], "type": "CredentialRequestMessage", "holderPid": "h", "credentials": many}).to_string();
    for bad in ["", "{", "null", "[]", "{}", "{\"type\":1}", "\u{0}", &deep, &long, &many] {
        let bytes = bad.as_bytes();
        assert!(query::read(bytes).is_err() && query::read_response(bytes).is_err());
        assert!(issuance::read_request(bytes).is_err() && issuance::read_delivery(bytes).is_err());
        assert!(issuance::read_offer(bytes).is_err() && issuance::read_metadata(bytes).is_err());
        assert!(issuance::read_status(bytes).is_err());
        assert!(jwt::credential(bad).is_err() && jwt::presentation(bad).is_err());
        assert!(jwt::status_list(bad).is_err());
    }
    for (pointer, value) in [
        ("/status", json!("INVALID_STATUS")),
        ("/holderPid", json!(null)),
        ("/holderPid", json!("")),
        ("/credentials", json!([])),
        ("/credentials/0/payload", json!({})),
        ("/credentials/0/payload", json!("x".repeat(CREDENTIAL_BYTES + 1))),
        ("/credentials/0/format", json!("ldp_vc")),
    ] {
        let mut it: Value =
            serde_json::from_str(&issuance::write_delivery(&deliveries()[0])).unwrap();
        *it.pointer_mut(pointer).unwrap() = value;
        assert!(issuance::read_delivery(it.to_string().as_bytes()).is_err(), "{pointer}");
    }
}

#[test]
fn a_sparse_offer_is_its_ids() {
    let body = json!({"@context": [CONTEXT], "type": "CredentialOfferMessage", "issuer": "did:web:i", "credentials": [{"id": "1"}, {"id": "2"}]});
    let offer = issuance::read_offer(body.to_string().as_bytes()).unwrap();
    assert_eq!(offer.credentials.len(), 2);
    let mut wrong = body.clone();
    wrong["credentials"][0]["type"] = json!("Other");
    assert!(issuance::read_offer(wrong.to_string().as_bytes()).is_err());
    let mut wrong = body;
    wrong["issuer"] = Value::Null;
    assert!(issuance::read_offer(wrong.to_string().as_bytes()).is_err());
}

#[test]
fn credentials_of_both_models_read_as_written() {
    for profile in Profile::ALL {
        let it = credential(profile);
        let payload = jwt::write_credential(&it).to_string();
        let signed = jws::sign("#1", jwt::credential_typ(profile), payload.as_bytes(), &key(1));
        assert_eq!(jwt::credential(&signed).unwrap().1, it);
    }
    // A credential of the 2.0 model says so in its header: a token of another kind is none.
    let payload = jwt::write_credential(&credential(Profile::Vc20)).to_string();
    for typ in ["JWT", "", "vp+jwt"] {
        assert!(
            jwt::credential(&jws::sign("#1", typ, payload.as_bytes(), &key(1))).is_err(),
            "{typ}"
        );
    }
}

/// JWT claims and properties must say the same; of two dates the stricter one counts.
#[test]
fn claims_and_properties_agree() {
    let read = |payload: &Value| {
        jwt::credential(&jws::sign("#1", "JWT", payload.to_string().as_bytes(), &key(1)))
    };
    let good = jwt::write_credential(&credential(Profile::Vc11));
    for (pointer, value) in [
        ("/iss", json!("did:web:other")),
        ("/iss", Value::Null),
        ("/sub", json!("did:web:other")),
        ("/exp", json!("soon")),
        ("/vc/@context", json!([])),
        ("/vc/type", json!([])),
        ("/vc/issuer", json!("nobody")),
        ("/vc/issuanceDate", json!("yesterday")),
        ("/vc/issuanceDate", Value::Null),
        ("/vc/credentialSubject", json!([])),
        ("/vc/credentialStatus/type", json!("Other")),
        ("/vc/credentialStatus/statusPurpose", json!("message")),
        ("/vc/credentialStatus/statusListIndex", json!("-1")),
        ("/vc/credentialSchema/id", json!(5)),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value.clone();
        assert!(read(&bad).is_err(), "{pointer} {value}");
    }
    let mut stricter = good.clone();
    stricter["exp"] = json!(1_500);
    stricter["nbf"] = json!(1_200);
    let it = read(&stricter).unwrap().1;
    assert_eq!(
        (it.from, it.until),
        (Some(Time::from_ms(1_200_000)), Some(Time::from_ms(1_500_000)))
    );
    let mut laxer = good;
    laxer["exp"] = json!(9_000_000);
    assert_eq!(read(&laxer).unwrap().1.until, Some(Time::from_ms(2_000_000_000)));
}

#[test]
fn status_lists_of_both_models_read_as_written() {
    let mut bits = Bits::zeros(0);
    assert!(bits.set(7));
    let list = List {
        issuer: did("issuer"),
        purpose: Purpose::Revocation,
        until: Some(Time::from_ms(2_000_000)),
        bits,
    };
    for profile in Profile::ALL {
        let payload = jwt::write_status_list(
            profile,
            "https://issuer.example/s/1",
            &list,
            Time::from_ms(1_000_000),
        );
        let typ = jwt::credential_typ(profile);
        let signed = jws::sign("#1", typ, payload.to_string().as_bytes(), &key(1));
        assert_eq!(jwt::status_list(&signed).unwrap().1, list);
        // Another signed credential is no list.
        let other = jwt::write_credential(&credential(profile)).to_string();
        assert!(jwt::status_list(&jws::sign("#1", typ, other.as_bytes(), &key(1))).is_err());
    }
    // A list that nobody signed proves nothing, whatever serves it.
    assert!(jwt::status_list(&json!({"credentialSubject": {}}).to_string()).is_err());
}
