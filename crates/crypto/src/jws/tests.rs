use super::*;
use crate::{error::BadKey, sign::KeyKind, test_rng::TestRng};

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

#[test]
fn rfc7515_a_3_and_rfc8037_a_4_verify() -> Result<(), BadKey> {
    let es256 = VerifyingKey::from_jwk(&json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    }))?;
    let token = "eyJhbGciOiJFUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
        cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA\
        pmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(Unverified::parse(token).unwrap().verify(&es256).unwrap().starts_with(b"{\"iss\""));

    let ed25519 = VerifyingKey::from_jwk(&json!({
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    }))?;
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
        hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5\
        BhVsPt9g7sVvpAr_MuM0KAg";
    let unverified = Unverified::parse(token).unwrap();
    assert_eq!(unverified.verify(&ed25519), Ok(&b"Example of Ed25519 signing"[..]));
    assert_eq!(unverified.verify(&es256), Err(BadJws::Algorithm));
    Ok(())
}

#[test]
fn every_kind_round_trips_and_no_other_key_verifies() {
    let mut rng = TestRng::new(8);
    let keys: Vec<_> = KeyKind::ALL
        .into_iter()
        .chain(KeyKind::ALL)
        .map(|kind| SigningKey::generate(kind, &mut rng))
        .collect();
    for (index, key) in keys.iter().enumerate() {
        let token = sign("did:web:a.example#1", "JWT", b"{\"iss\":\"a\"}", key);
        let read = Unverified::parse(&token).unwrap();
        assert_eq!(read.header.kid.as_deref(), Some("did:web:a.example#1"));
        assert_eq!(read.header.typ.as_deref(), Some("JWT"));
        assert_eq!(read.header.alg, key.kind().alg());
        assert_eq!(read.unproven_payload(), b"{\"iss\":\"a\"}");
        for (other, verifier) in keys.iter().enumerate() {
            let verified = read.verify(&verifier.verifying_key());
            assert_eq!(verified.is_ok(), index == other, "{index} {other}");
        }
    }
    let bare = Unverified::parse(&sign("", "", b"", &keys[0])).unwrap();
    assert_eq!((bare.header.kid, bare.header.typ), (None, None));
}

#[test]
fn changed_tokens_do_not_verify() {
    let key = SigningKey::generate(KeyKind::Ed25519, &mut TestRng::new(9));
    let token = sign("k", "t", b"payload", &key);
    for index in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        let verified =
            Unverified::parse(&changed).is_ok_and(|read| read.verify(&key.verifying_key()).is_ok());
        assert!(!verified, "{index}");
    }
}

#[test]
fn algorithm_confusion_is_refused() {
    let key = SigningKey::generate(KeyKind::Ed25519, &mut TestRng::new(10));
    for alg in ["none", "None", "", "HS256", "ES256", "RS256", "eddsa", "EdDSA "] {
        let signed = format!("{}.{}", encode(&json!({ "alg": alg }).to_string()), encode("p"));
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())));
        let read = Unverified::parse(&token).unwrap();
        assert_eq!(read.verify(&key.verifying_key()), Err(BadJws::Algorithm), "{alg}");
    }
    let signed = format!("{}.{}", encode(r#"{"alg":"Ed25519"}"#), encode("p"));
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())));
    assert!(Unverified::parse(&token).unwrap().verify(&key.verifying_key()).is_ok());
}

#[test]
fn malformed_tokens_are_refused() {
    let header = encode(r#"{"alg":"EdDSA"}"#);
    let cases: &[(String, BadJws)] = &[
        (String::new(), BadJws::Malformed),
        ("..".to_owned(), BadJws::Malformed),
        (format!("{header}.e30"), BadJws::Malformed),
        (format!("{header}.e30.AA.AA"), BadJws::Malformed),
        (format!("{header}.e30=.AA"), BadJws::Malformed),
        (format!("{header}.e31.AA"), BadJws::Malformed),
        (format!("{header}.e30.AB"), BadJws::Malformed),
        (format!("{header}.e3 0.AA"), BadJws::Malformed),
        (format!("{header}.+/8.AA"), BadJws::Malformed),
        (format!(" {header}.e30.AA"), BadJws::Malformed),
        (format!("{}.e30.AA", encode("[]")), BadJws::Malformed),
        (format!("{}.e30.AA", encode("{}")), BadJws::Malformed),
        (format!("{}.e30.AA", encode(r#"{"alg":1}"#)), BadJws::Malformed),
        (format!("{}.e30.AA", encode(r#"{"alg":"a","kid":1}"#)), BadJws::Malformed),
        (format!("{}.e30.AA", encode(r#"{"alg":"a","alg":"b"}"#)), BadJws::Malformed),
        (format!("{}.e30.AA", encode(r#"{"alg":"a","crit":["b64"]}"#)), BadJws::Critical),
        (format!("{}.e30.AA", encode(r#"{"alg":"a","crit":null}"#)), BadJws::Critical),
        ("A".repeat(JWS_MAX_BYTES + 1), BadJws::TooLarge),
    ];
    for (token, fault) in cases {
        assert_eq!(Unverified::parse(token).err(), Some(*fault), "{token:.60}");
    }
}
