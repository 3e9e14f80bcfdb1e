//! The member list as JSON, and signed: a compact JWS by the space's operator with `typ` [`TYP`].
//!
//! Never takes an unsigned list: [`open`] asks the caller for the operator's key by its id and verifies first.

use serde::{Deserialize, Serialize};
use tidm_crypto::jws::Unverified;
use tidm_crypto::sign::{SigningKey, VerifyingKey};

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::identity::member::{CreditCode, Member, MemberList, Role};
use crate::limits::{MEMBERS, MEMBERS_BYTES, TITLE_BYTES};
use crate::time::Time;

/// Keeps a member list from being taken for another signed thing.
pub const TYP: &str = "tidm-members+jws";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListJson {
    space: String,
    operator: String,
    version: u64,
    issued: String,
    expires: String,
    members: Vec<MemberJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemberJson {
    did: String,
    name: String,
    roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credit_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

fn malformed(why: impl Into<String>) -> Fault {
    Fault::misbehaved("members.malformed", why)
}

/// Reads the payload of a list; its signature is a matter of [`open`].
pub fn parse(payload: &[u8]) -> Result<MemberList, Fault> {
    if payload.len() > MEMBERS_BYTES {
        return Err(malformed("longer than a member list may be"));
    }
    let json: ListJson =
        serde_json::from_slice(payload).map_err(|why| malformed(why.to_string()))?;
    if json.members.len() > MEMBERS {
        return Err(malformed(format!("more than {MEMBERS} members")));
    }
    let time = |text: &str| Time::parse(text).map_err(|why| malformed(why.to_string()));
    let members = json.members.into_iter().map(member).collect::<Result<Vec<_>, _>>()?;
    let mut dids: Vec<&Did> = members.iter().map(|m| &m.did).collect();
    dids.sort_unstable();
    if dids.array_windows().any(|[a, b]| a == b) {
        return Err(malformed("a member is listed twice"));
    }
    Ok(MemberList {
        space: Id::parse(&json.space).map_err(|why| malformed(why.to_string()))?,
        operator: Did::parse(&json.operator).map_err(|why| malformed(why.to_string()))?,
        version: json.version,
        issued: time(&json.issued)?,
        expires: time(&json.expires)?,
        members,
    })
}

fn member(it: MemberJson) -> Result<Member, Fault> {
    if it.name.trim().is_empty() || it.name.len() > TITLE_BYTES {
        return Err(malformed(format!("the name of {} is empty or too long", it.did)));
    }
    if it.endpoint.as_ref().is_some_and(|e| e.len() > TITLE_BYTES) {
        return Err(malformed(format!("the endpoint of {} is too long", it.did)));
    }
    // A role that a later version of the space invents grants nothing here.
    let mut roles: Vec<Role> = it.roles.iter().filter_map(|r| Role::from_name(r)).collect();
    roles.sort_unstable();
    roles.dedup();
    let code = it
        .credit_code
        .map(|c| CreditCode::parse(&c))
        .transpose()
        .map_err(|why| malformed(why.to_string()))?;
    Ok(Member {
        did: Did::parse(&it.did).map_err(|why| malformed(why.to_string()))?,
        name: it.name,
        roles,
        credit_code: code,
        endpoint: it.endpoint,
        cut: it.cut,
    })
}

/// The payload to sign.
pub fn to_bytes(it: &MemberList) -> Result<Vec<u8>, Fault> {
    let members = it.members.iter().map(|m| MemberJson {
        did: m.did.to_string(),
        name: m.name.clone(),
        roles: m.roles.iter().map(|r| r.name().to_owned()).collect(),
        credit_code: m.credit_code.as_ref().map(|c| c.as_str().to_owned()),
        endpoint: m.endpoint.clone(),
        cut: m.cut,
    });
    let json = ListJson {
        space: it.space.to_string(),
        operator: it.operator.to_string(),
        version: it.version,
        issued: it.issued.to_string(),
        expires: it.expires.to_string(),
        members: members.collect(),
    };
    // JSON that is signed is RFC 8785.
    let value = serde_json::to_value(json)
        .map_err(|_| Fault::ApiMisuse("a member list that is no JSON"))?;
    tidm_crypto::jcs::canonical(&value)
        .map_err(|_| Fault::refused("members.version", "the version is beyond 2^53"))
}

/// Signs a list as its operator.
pub fn seal(it: &MemberList, kid: &str, key: &SigningKey) -> Result<String, Fault> {
    Ok(tidm_crypto::jws::sign(kid, TYP, &to_bytes(it)?, key))
}

/// Verifies and reads a list. `key_of` gives the operator's key by its id, or none.
pub fn open(
    jws: &str,
    key_of: impl FnOnce(&str) -> Option<VerifyingKey>,
) -> Result<MemberList, Fault> {
    let bad = || {
        Fault::denied(
            "members.signature",
            "membership",
            "the member list is not signed by the space's operator",
        )
    };
    let token =
        Unverified::parse_within(jws, MEMBERS_BYTES.saturating_mul(2)).map_err(|_| bad())?;
    if token.header.typ.as_deref() != Some(TYP) {
        return Err(bad());
    }
    let key = token.header.kid.as_deref().and_then(key_of).ok_or_else(bad)?;
    parse(token.verify(&key).map_err(|_| bad())?)
}

#[cfg(test)]
mod tests {
    use tidm_crypto::sign::KeyKind;

    use super::*;

    fn list() -> MemberList {
        let member = |name: &str, cut| Member {
            did: Did::parse(&format!("did:web:{name}")).unwrap(),
            name: "东海重工".to_owned(),
            roles: vec![Role::Provider, Role::Custodian],
            credit_code: Some(CreditCode::parse("91350100M000100Y43").unwrap()),
            endpoint: Some("https://a.example/dsp".to_owned()),
            cut,
        };
        MemberList {
            space: Id::parse("urn:space:1").unwrap(),
            operator: Did::parse("did:web:op").unwrap(),
            version: 7,
            issued: Time::from_ms(1_000),
            expires: Time::from_ms(90_000_000),
            members: vec![member("a", false), member("b", true)],
        }
    }

    #[test]
    fn signed_lists_come_back_and_forged_ones_do_not() {
        let key = SigningKey::from_secret_bytes(KeyKind::Ed25519, &[7; 32]).unwrap();
        let other = SigningKey::from_secret_bytes(KeyKind::Ed25519, &[8; 32]).unwrap();
        let jws = seal(&list(), "did:web:op#1", &key).unwrap();
        let known = |kid: &str| (kid == "did:web:op#1").then(|| key.verifying_key());
        assert_eq!(open(&jws, known), Ok(list()));
        let elsewhere =
            tidm_crypto::jws::sign("did:web:op#1", "JWT", &to_bytes(&list()).unwrap(), &key);
        for (what, forged) in [
            ("another key", seal(&list(), "did:web:op#1", &other).unwrap()),
            ("an unknown key id", seal(&list(), "did:web:op#2", &key).unwrap()),
            ("another type", elsewhere),
            ("no JWS", "a.b.c".to_owned()),
            ("nothing", String::new()),
        ] {
            assert_eq!(open(&forged, known).unwrap_err().code(), "members.signature", "{what}");
        }
    }

    #[test]
    fn broken_lists_are_refused() {
        let good: serde_json::Value = serde_json::from_slice(&to_bytes(&list()).unwrap()).unwrap();
        for (pointer, value) in [
            ("/operator", serde_json::json!("op")),
            ("/issued", serde_json::json!("2026-01-01")),
            ("/version", serde_json::json!(-1)),
            ("/members/0/did", serde_json::json!("did:web:b")),
            ("/members/0/creditCode", serde_json::json!("91350100M000100Y44")),
            ("/members/0/name", serde_json::json!(" ")),
            ("/members", serde_json::json!({})),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert_eq!(
                parse(bad.to_string().as_bytes()).unwrap_err().code(),
                "members.malformed",
                "{pointer}"
            );
        }
        let mut later = good;
        later["members"][0]["roles"] = serde_json::json!(["provider", "astronaut"]);
        assert_eq!(
            parse(later.to_string().as_bytes()).unwrap().members[0].roles,
            vec![Role::Provider]
        );
    }
}
