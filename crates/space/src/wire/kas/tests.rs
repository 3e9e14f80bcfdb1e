//! What published clients send, and what they read.

use super::*;
use crate::limits::REASON_CHARS;

fn token(inner: &Value) -> Vec<u8> {
    json!({ "requestBody": inner.to_string(), "iat": 1, "exp": 20 }).to_string().into_bytes()
}

fn request() -> Value {
    let access = |binding: Value| {
        json!({
            "url": "https://p.example/kas", "wrappedKey": "d3JhcHBlZA==", "type": "wrapped",
            "protocol": "kas", "policyBinding": binding, "kid": "contract", "sid": "",
        })
    };
    json!({
        "clientPublicKey": "PEM",
        "requests": [{
            "algorithm": "rsa:2048",
            "policy": { "id": "policy", "body": "e30=" },
            "keyAccessObjects": [
                { "keyAccessObjectId": "kao-0", "keyAccessObject": access(json!({ "alg": "HS256", "hash": "aGFzaA==" })) },
                { "keyAccessObjectId": "kao-1", "keyAccessObject": access(json!("aGFzaA==")) },
            ],
        }],
    })
}

#[test]
fn both_shapes_of_a_request_are_read() {
    let ask = read_token(&token(&request()), Time::ZERO).unwrap();
    assert_eq!((ask.client_key.as_str(), ask.legacy, ask.policies.len()), ("PEM", false, 1));
    let objects = &ask.policies[0].objects;
    assert_eq!(objects.len(), 2);
    for (at, it) in objects.iter().enumerate() {
        assert_eq!(it.id, format!("kao-{at}"));
        assert_eq!((it.wrapped_key.as_slice(), it.binding.as_str()), (&b"wrapped"[..], "aGFzaA=="));
    }
    let access = request()["requests"][0]["keyAccessObjects"][0]["keyAccessObject"].clone();
    let old = json!({ "clientPublicKey": "PEM", "keyAccess": access, "policy": "e30=" });
    let ask = read_token(&token(&old), Time::ZERO).unwrap();
    assert!(ask.legacy && ask.policies[0].objects[0].binding == "aGFzaA==");
}

#[test]
fn hostile_requests_are_refused() {
    let mut all =
        vec![b"".to_vec(), b"{}".to_vec(), vec![b'['; 5000], vec![b' '; KAS_REQUEST_BYTES + 1]];
    for (path, value) in [
        ("/clientPublicKey", Value::Null),
        ("/requests", json!([])),
        ("/requests", json!(vec![request()["requests"][0].clone(); KAS_POLICIES + 1])),
        ("/requests/0/keyAccessObjects", json!([])),
        ("/requests/0/policy", json!("x")),
        ("/requests/0/policy/id", json!("x".repeat(REASON_CHARS + 1))),
        ("/requests/0/keyAccessObjects/0/keyAccessObject/wrappedKey", json!("!")),
        ("/requests/0/keyAccessObjects/0/keyAccessObject/policyBinding", json!({})),
    ] {
        let mut it = request();
        *it.pointer_mut(path).unwrap() = value;
        all.push(token(&it));
    }
    let objects = vec![request()["requests"][0]["keyAccessObjects"][0].clone(); KAS_OBJECTS + 1];
    let mut many = request();
    many["requests"][0]["keyAccessObjects"] = json!(objects);
    all.push(token(&many));
    assert!(read_token(&token(&request()), Time::from_ms(20_000)).is_err());
    for bad in all {
        assert!(read_token(&bad, Time::ZERO).is_err(), "{}", String::from_utf8_lossy(&bad));
    }
}

#[test]
fn a_policy_names_exactly_one_contract() {
    let id = Id::parse("urn:uuid:1").unwrap();
    let body = |text: &str| STANDARD.encode(text);
    assert_eq!(contract_of(&body(&policy_document(&id, "did:web:c"))).unwrap(), id);
    for bad in [
        "{}",
        "[]",
        r#"{"body":{"dataAttributes":[]}}"#,
        r#"{"body":{"dataAttributes":[{"attribute":"https://a.example/attr/x/value/y"}]}}"#,
        r#"{"body":{"dataAttributes":[{"attribute":"urn:tidm:contract:a"},{"attribute":"urn:tidm:contract:b"}]}}"#,
    ] {
        assert!(contract_of(&body(bad)).is_err(), "{bad}");
    }
    assert!(contract_of("!").is_err());
}

fn answer() -> Answer {
    let fault = Fault::denied("policy.denied", "permission[0]", "no purpose");
    let owed = [Obligation::Purpose("质检".to_owned()), Obligation::Node];
    let no = refusal(&fault, &owed, "https://p.example/kas");
    let results = vec![("kao-0".to_owned(), Ok(vec![7; 300])), ("kao-1".to_owned(), Err(no))];
    Answer { session_key: None, legacy: false, policies: vec![("policy".to_owned(), results)] }
}

#[test]
fn answers_name_each_object_and_what_is_owed() {
    let it: Value = serde_json::from_str(&write(&answer())).unwrap();
    let results = &it["responses"][0]["results"];
    assert_eq!(results[0]["status"], "permit");
    assert_eq!(results[1]["status"], "fail");
    assert!(results[1]["error"].as_str().unwrap().starts_with("policy.denied: "));
    assert_eq!(
        results[1]["metadata"]["X-Required-Obligations"],
        json!([
            "https://p.example/kas/obl/purpose/value/质检",
            "https://p.example/kas/obl/open-with/value/node"
        ])
    );
    assert!(it.get("entityWrappedKey").is_none());
    let legacy = Answer { legacy: true, ..answer() };
    let it: Value = serde_json::from_str(&write(&legacy)).unwrap();
    assert_eq!(it["entityWrappedKey"], STANDARD.encode([7; 300]));
}

/// The bytes that the published protobuf classes write for the same answer are read back by hand here.
#[test]
fn protobuf_is_written_and_read() {
    let bytes = proto::write(&answer());
    // responses (5): policy_id (1) "policy", results (2) …
    assert_eq!(bytes[0], 5 << 3 | 2);
    let inner = &bytes[3..];
    assert_eq!(&inner[..8], b"\x0a\x06policy");
    assert!(
        bytes.windows(9).any(|it| it == b"\x22\xac\x02\x07\x07\x07\x07\x07\x07"),
        "kas_wrapped_key"
    );
    assert!(bytes.windows(6).any(|it| it == b"\x1a\x04fail"), "status");
    assert_eq!(proto::read_text(b"\x0a\x03abc\x10\x05").unwrap(), "abc");
    assert_eq!(proto::read_text(b"").unwrap(), "");
    for bad in [
        &b"\x0a\x05abc"[..],
        b"\x0a",
        b"\x0b\x01",
        b"\x0a\x01\xff",
        &[0x80; 11],
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ] {
        assert!(proto::read_text(bad).is_err(), "{bad:?}");
    }
}
