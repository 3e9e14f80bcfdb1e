use super::*;
use crate::{test_hex::hex, test_rng::TestRng};

fn secret(kind: KeyKind, text: &str) -> SigningKey {
    SigningKey::from_secret_bytes(kind, &hex(text).try_into().unwrap()).unwrap()
}

const RFC8032_1: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

#[test]
fn rfc8032_test_1() {
    let key = secret(KeyKind::Ed25519, RFC8032_1);
    assert_eq!(
        key.verifying_key().to_bytes(),
        hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    );
    assert_eq!(
        key.sign(b""),
        hex("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155
             5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")
    );
}

#[test]
fn rfc6979_appendix_a_2_5() {
    let key =
        secret(KeyKind::Es256, "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
    assert_eq!(
        key.sign(b"sample"),
        hex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
             F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8")
    );
}

#[test]
fn gbt_32918_5_annex_a() {
    let key =
        secret(KeyKind::Sm2, "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8");
    assert_eq!(
        key.verifying_key().to_bytes(),
        hex("04 09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020
             CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13")
    );
    let signature = hex("F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
         B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA");
    assert_eq!(key.verifying_key().verify(b"message digest", &signature), Ok(()));
    assert_eq!(key.verifying_key().verify(b"message digesT", &signature), Err(BadSignature));
}

#[test]
fn every_kind_signs_verifies_and_round_trips() {
    let mut rng = TestRng::new(5);
    for kind in KeyKind::ALL {
        let key = SigningKey::generate(kind, &mut rng);
        let public = key.verifying_key();
        let signature = key.sign(b"message");
        assert_eq!(signature.len(), 64);
        assert_eq!(signature, key.sign(b"message"), "signing is deterministic");
        assert_eq!(public.verify(b"message", &signature), Ok(()));
        assert_eq!(public.verify(b"messagE", &signature), Err(BadSignature));
        for index in 0..64 {
            let mut bad = signature.clone();
            bad[index] ^= 1;
            assert_eq!(public.verify(b"message", &bad), Err(BadSignature), "{kind:?} {index}");
        }
        for bad in
            [&[][..], &signature[..63], &[&signature[..], &[0]].concat(), &[0; 64], &[0xff; 64]]
        {
            assert_eq!(public.verify(b"message", bad), Err(BadSignature), "{kind:?}");
        }
        let other = SigningKey::generate(kind, &mut rng);
        assert_eq!(other.verifying_key().verify(b"message", &signature), Err(BadSignature));
        assert_ne!(other.verifying_key(), public);

        let again = SigningKey::from_secret_bytes(kind, key.to_secret_bytes().expose()).unwrap();
        assert_eq!(again.verifying_key(), public);
        assert_eq!(VerifyingKey::from_bytes(kind, &public.to_bytes()), Ok(public.clone()));
        assert_eq!(VerifyingKey::from_jwk(&public.to_jwk()), Ok(public.clone()));
        assert_eq!(KeyKind::from_name(kind.name()), Some(kind));
        assert!(!format!("{key:?}").contains(&format!("{:?}", key.to_secret_bytes().expose())));
    }
}

#[test]
fn secrets_that_are_no_scalar_are_refused() {
    for kind in [KeyKind::Es256, KeyKind::Sm2] {
        for bad in [[0; 32], [0xff; 32]] {
            assert_eq!(SigningKey::from_secret_bytes(kind, &bad).err(), Some(BadKey), "{kind:?}");
        }
    }
    let refused = SigningKey::from_secret_bytes(KeyKind::Sm2, &SM2_ORDER_MINUS_ONE);
    assert_eq!(refused.err(), Some(BadKey));
}

#[test]
fn public_keys_have_one_encoding_and_no_weak_points() {
    let zero = [0; 32];
    let mut identity = [0; 32];
    identity[0] = 1;
    // y = p + 1: the identity again, spelled beyond the field.
    let mut beyond = [0xff; 32];
    (beyond[0], beyond[31]) = (0xee, 0x7f);
    for bad in [zero, identity, beyond] {
        assert_eq!(VerifyingKey::from_bytes(KeyKind::Ed25519, &bad), Err(BadKey));
    }
    for kind in [KeyKind::Es256, KeyKind::Sm2] {
        let good = SigningKey::generate(kind, &mut TestRng::new(6)).verifying_key().to_bytes();
        let mut off_curve = good.clone();
        off_curve[64] ^= 1;
        let compressed = [&[2 + (good[64] & 1)], &good[1..33]].concat();
        for bad in [&off_curve[..], &compressed, &[0], &good[..64], &[0; 65], b""] {
            assert_eq!(VerifyingKey::from_bytes(kind, bad), Err(BadKey), "{kind:?}");
        }
    }
}

/// A forger's favourite: with a small-order R and s = 0 lenient verifiers disagree.
#[test]
fn ed25519_is_strict() {
    let key = secret(KeyKind::Ed25519, RFC8032_1).verifying_key();
    let mut signature = [0; 64];
    signature[0] = 1;
    assert_eq!(key.verify(b"", &signature), Err(BadSignature));
    // s + L: the same signature to a verifier that does not reduce.
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut signature = secret(KeyKind::Ed25519, RFC8032_1).sign(b"");
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    assert_eq!(key.verify(b"", &signature), Err(BadSignature));
}

#[test]
fn rfc8037_appendix_a_jwk_and_thumbprint() {
    let key = secret(KeyKind::Ed25519, RFC8032_1).verifying_key();
    assert_eq!(
        key.to_jwk(),
        json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        })
    );
    assert_eq!(
        URL_SAFE_NO_PAD.encode(key.thumbprint().as_bytes()),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn jwks_that_say_otherwise_are_refused() {
    let mut rng = TestRng::new(7);
    for kind in KeyKind::ALL {
        let good = SigningKey::generate(kind, &mut rng).verifying_key().to_jwk();
        let edits: &[(&str, Value)] = &[
            ("kty", json!("RSA")),
            ("crv", json!("P-384")),
            ("crv", json!("Ed448")),
            ("x", json!("AA")),
            ("x", json!(1)),
            ("d", json!("AAAA")),
            ("use", json!("enc")),
            ("use", json!(true)),
            ("alg", json!("none")),
            ("alg", json!("HS256")),
            ("alg", json!(null)),
        ];
        for (name, value) in edits {
            let mut bad = good.clone();
            bad[name] = value.clone();
            assert_eq!(VerifyingKey::from_jwk(&bad), Err(BadKey), "{kind:?} {name} {value}");
        }
        let padded = format!("{}=", good["x"].as_str().unwrap());
        let mut bad = good.clone();
        bad["x"] = json!(padded);
        assert_eq!(VerifyingKey::from_jwk(&bad), Err(BadKey));
        let mut good = good;
        good["use"] = json!("sig");
        good["kid"] = json!("any");
        assert!(VerifyingKey::from_jwk(&good).is_ok());
    }
    for bad in [json!(null), json!([]), json!("x"), json!({})] {
        assert_eq!(VerifyingKey::from_jwk(&bad), Err(BadKey));
    }
}
