//! The keyed checks of a TDF: policy binding, segment hashes, root signature, assertion binding.
//!
//! Writers differ in one thing: before 4.3.0 a hash was written as base64 of its hex digits,
//! since then as base64 of its bytes, and policy bindings still the old way. Both spellings of
//! the same hash are accepted, compared in constant time. Must never say which check failed.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

use super::TdfFault;
use crate::{
    hash::{Digest, sha256},
    jcs,
    secret::{Secret, ct_eq},
    suite::Suite,
};

/// The suite's HMAC of `parts` under a key: HMAC-SHA256, or HMAC-SM3 outside of the standard.
pub(super) fn mac<'a>(
    suite: Suite,
    key: &Secret<[u8; 32]>,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Result<[u8; 32], TdfFault> {
    match suite {
        Suite::International => {
            let mut mac =
                Hmac::<sha2::Sha256>::new_from_slice(key.expose()).map_err(|_| TdfFault::Opaque)?;
            parts.into_iter().for_each(|part| mac.update(part));
            Ok(mac.finalize().into_bytes().into())
        }
        Suite::Guomi => {
            let mut mac =
                Hmac::<sm3::Sm3>::new_from_slice(key.expose()).map_err(|_| TdfFault::Opaque)?;
            parts.into_iter().for_each(|part| mac.update(part));
            Ok(mac.finalize().into_bytes().into())
        }
    }
}

/// Name of [`mac`] in a manifest and in an assertion's binding.
pub(super) fn mac_name(suite: Suite) -> &'static str {
    match suite {
        Suite::International => "HS256",
        Suite::Guomi => "HSM3",
    }
}

/// Whether `given` is `hash` as bytes or as hex digits.
pub(super) fn is_hash(given: &[u8], hash: &[u8]) -> bool {
    ct_eq(given, hash) | ct_eq(given, hex(hash).as_bytes())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The `policyBinding.hash` of a key share and the manifest's base64 `policy`: base64 of the hex
/// digits of the HMAC, as all known writers spell it.
pub fn policy_binding(
    suite: Suite,
    share: &Secret<[u8; 32]>,
    policy: &str,
) -> Result<String, TdfFault> {
    Ok(STANDARD.encode(hex(&mac(suite, share, [policy.as_bytes()])?)))
}

/// The suite under which `binding` (base64, in either spelling) binds the base64 `policy` to a key share. A key
/// service asks this before it answers, and still evaluates its own copy of the agreement.
pub fn bound_under(share: &Secret<[u8; 32]>, policy: &str, binding: &str) -> Option<Suite> {
    let given = STANDARD.decode(binding).ok()?;
    let holds = |suite: &Suite| {
        mac(*suite, share, [policy.as_bytes()]).is_ok_and(|hash| is_hash(&given, &hash))
    };
    Suite::ALL.into_iter().find(holds)
}

/// Adds a binding to an assertion that has none: JWS with the suite's HMAC under the payload key over the
/// segment hashes and the assertion's own hash.
pub(super) fn bind_assertion(
    suite: Suite,
    key: &Secret<[u8; 32]>,
    segment_hashes: &[u8],
    assertion: &Value,
) -> Result<Value, TdfFault> {
    let mut bound = assertion.clone();
    let members =
        bound.as_object_mut().ok_or_else(|| TdfFault::Manifest("assertion".to_owned()))?;
    if members.contains_key("binding") {
        return Ok(bound);
    }
    let hash = assertion_hash(assertion)?;
    let claims = json!({
        "assertionHash": hash.to_string(),
        "assertionSig": STANDARD.encode([segment_hashes, hash.as_bytes()].concat()),
    });
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(json!({ "alg": mac_name(suite) }).to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let tag = URL_SAFE_NO_PAD.encode(mac(suite, key, [signed.as_bytes()])?);
    members.insert(
        "binding".to_owned(),
        json!({ "method": "jws", "signature": format!("{signed}.{tag}") }),
    );
    Ok(bound)
}

/// Whether the payload key signed exactly this assertion for exactly this payload.
pub(super) fn assertion_holds(
    suite: Suite,
    key: &Secret<[u8; 32]>,
    segment_hashes: &[u8],
    assertion: &Value,
) -> bool {
    assertion_claims(suite, key, assertion).is_some_and(|claims| {
        let mut bare = assertion.clone();
        if let Some(members) = bare.as_object_mut() {
            members.remove("binding");
        }
        let Ok(hash) = assertion_hash(&bare) else { return false };
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let Ok(signed) = STANDARD.decode(text("assertionSig")) else { return false };
        let raw = [segment_hashes, hash.as_bytes()].concat();
        let old = [segment_hashes, hash.to_string().as_bytes()].concat();
        ct_eq(text("assertionHash").as_bytes(), hash.to_string().as_bytes())
            & (ct_eq(&signed, &raw) | ct_eq(&signed, &old))
    })
}

fn assertion_claims(suite: Suite, key: &Secret<[u8; 32]>, assertion: &Value) -> Option<Value> {
    let token = assertion.get("binding")?.get("signature")?.as_str()?;
    let (signed, tag) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header = jcs::parse(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    let expected = mac(suite, key, [signed.as_bytes()]).ok()?;
    if header.get("alg")? != mac_name(suite)
        || header.get("crit").is_some()
        || !ct_eq(&tag, &expected)
    {
        return None;
    }
    jcs::parse(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn assertion_hash(bare: &Value) -> Result<Digest, TdfFault> {
    let text = jcs::canonical(bare).map_err(|error| TdfFault::Manifest(error.to_string()))?;
    Ok(sha256(&text))
}
