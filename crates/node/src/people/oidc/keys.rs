//! Which key of a provider signed a token, and whether it did.
//!
//! Threat model: the token's header is the attacker's. `alg` is taken from a short list of asymmetric ones, the key must
//! be of that kind, and a public key is never a secret: `none` and `HS256` fail before any key is looked at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use tidm_crypto::jws::Unverified;
use tidm_crypto::sign::VerifyingKey;
use tidm_space::fault::Fault;
use tidm_space::people::oidc::ALGORITHMS;

/// 8192 bits, as the verifier takes at most.
const MODULUS_BYTES: usize = 1024;
const EXPONENT_BYTES: usize = 8;

/// Why no key says yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum No {
    Algorithm,
    /// No such key: the provider may have changed them.
    Unknown,
    Signature,
}

impl No {
    pub(super) fn fault(self) -> Fault {
        match self {
            Self::Algorithm => {
                Fault::denied("oidc.algorithm", "alg", "only RS256, ES256 and EdDSA")
            }
            Self::Unknown => Fault::denied("oidc.key", "kid", "no key of the provider"),
            Self::Signature => Fault::denied("oidc.signature", "signature", "it does not verify"),
        }
    }
}

/// The payload, if the one key that the header means signed it.
pub(super) fn verify<'a>(token: &'a Unverified, keys: &[Value]) -> Result<&'a [u8], No> {
    let alg = token.header.alg.as_str();
    if !ALGORITHMS.contains(&alg) {
        return Err(No::Algorithm);
    }
    let text = |key: &Value, name: &str| key.get(name).and_then(Value::as_str).map(str::to_owned);
    let fits = |key: &&Value| {
        let kind = match alg {
            "RS256" => "RSA",
            "ES256" => "EC",
            _ => "OKP",
        };
        let kid = token.header.kid.as_ref();
        text(key, "kty").as_deref() == Some(kind)
            && kid.is_none_or(|it| text(key, "kid").as_ref() == Some(it))
            && text(key, "use").is_none_or(|it| it == "sig")
            && text(key, "alg").is_none_or(|it| it == alg)
            && key.get("d").is_none()
    };
    let mut candidates = keys.iter().filter(fits);
    // Two keys that both could be meant are a key that nobody named.
    let (Some(key), None) = (candidates.next(), candidates.next()) else { return Err(No::Unknown) };
    if alg != "RS256" {
        let key = VerifyingKey::from_jwk(key).map_err(|_| No::Unknown)?;
        return token.verify(&key).map_err(|_| No::Signature);
    }
    let number = |name: &str, most: usize| {
        let bytes = URL_SAFE_NO_PAD.decode(text(key, name)?).ok()?;
        (1..=most).contains(&bytes.len()).then_some(bytes)
    };
    let (Some(n), Some(e)) = (number("n", MODULUS_BYTES), number("e", EXPONENT_BYTES)) else {
        return Err(No::Unknown);
    };
    let der = sequence(&[integer(&n), integer(&e)].concat());
    let algorithm = webpki::ring::RSA_PKCS1_2048_8192_SHA256;
    let holds = |signed: &[u8], signature: &[u8]| {
        algorithm.verify_signature(&der, signed, signature).is_ok()
    };
    token.verify_by(holds).map_err(|_| No::Signature)
}

/// RFC 8017 A.1.1 wants the key as DER: a sequence of two integers.
fn sequence(content: &[u8]) -> Vec<u8> {
    tagged(0x30, content)
}

fn integer(big_endian: &[u8]) -> Vec<u8> {
    let start = big_endian.iter().position(|it| *it != 0).unwrap_or(big_endian.len());
    let digits = big_endian.get(start..).unwrap_or_default();
    let positive: &[u8] = if digits.first().is_none_or(|it| *it >= 0x80) { &[0] } else { &[] };
    tagged(0x02, &[positive, digits].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let short = u8::try_from(content.len()).ok().filter(|it| *it < 0x80);
    let mut out = vec![tag];
    match short {
        Some(it) => out.push(it),
        None => {
            let bytes: Vec<u8> = length.into_iter().skip_while(|it| *it == 0).collect();
            out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
            out.extend(bytes);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidm_crypto::jws::sign;
    use tidm_crypto::sign::{KeyKind, SigningKey};

    /// RFC 7515 appendix A.2: RS256.
    const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

    fn rsa() -> Value {
        json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"})
    }

    #[test]
    fn rfc7515_a2_verifies_and_nothing_near_it() {
        let token = Unverified::parse(RSA_TOKEN).unwrap();
        assert!(verify(&token, &[rsa()]).unwrap().starts_with(b"{\"iss\":\"joe\""));
        let changed = RSA_TOKEN.replacen("cC4hi", "cC4hj", 1);
        let changed = Unverified::parse(&changed).unwrap();
        assert_eq!(verify(&changed, &[rsa()]), Err(No::Signature));
        for (name, value) in [
            ("n", json!("AQAB")),
            ("n", json!("")),
            ("n", json!("A".repeat(5000))),
            ("e", json!("AA")),
            ("e", json!(3)),
        ] {
            let mut key = rsa();
            key[name] = value;
            assert!(verify(&token, &[key]).is_err(), "{name}");
        }
        for (name, value) in [
            ("use", json!("enc")),
            ("alg", json!("RS384")),
            ("d", json!("AQ")),
            ("kty", json!("EC")),
        ] {
            let mut key = rsa();
            key[name] = value;
            assert_eq!(verify(&token, &[key]), Err(No::Unknown), "{name}");
        }
        assert_eq!(verify(&token, &[rsa(), rsa()]), Err(No::Unknown), "two that could be meant");
    }

    #[test]
    fn the_header_chooses_no_algorithm_of_its_own() {
        let key = SigningKey::from_secret_bytes(KeyKind::Es256, &[7; 32]).unwrap();
        let other = SigningKey::from_secret_bytes(KeyKind::Es256, &[8; 32]).unwrap();
        let jwk = |key: &SigningKey, kid: &str| {
            let mut it = key.verifying_key().to_jwk();
            it["kid"] = json!(kid);
            it
        };
        let keys = [jwk(&key, "a"), jwk(&other, "b"), rsa()];
        let parse = |text: &str| Unverified::parse(text).unwrap();
        let good = parse(&sign("a", "", b"{}", &key));
        assert_eq!(verify(&good, &keys), Ok(&b"{}"[..]));
        assert_eq!(verify(&parse(&sign("b", "", b"{}", &key)), &keys), Err(No::Signature));
        assert_eq!(verify(&parse(&sign("c", "", b"{}", &key)), &keys), Err(No::Unknown));
        assert_eq!(verify(&parse(&sign("", "", b"{}", &key)), &keys), Err(No::Unknown));
        for alg in ["none", "HS256", "RS1", "ES384", "", "rs256"] {
            let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "kid": "a"}).to_string());
            let token = parse(&format!("{header}.e30.AAAA"));
            assert_eq!(verify(&token, &keys), Err(No::Algorithm), "{alg}");
        }
    }
}
