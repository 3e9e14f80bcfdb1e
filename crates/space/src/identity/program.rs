//! The access token that a node gives a program of its own people, for another node's key access service.
//!
//! It names one contract and opens nothing but keys of that contract, at the one service it is made out to: with
//! a token for that service nobody can speak for the node elsewhere. It may be used until it ends, for programs
//! ask several times; each use is the contract's.
//!
//! Never checks a signature: the shell verifies the JWS first, under a key of the issuer's document.

use serde_json::{Map, Value as Json, json};

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::identity::token::date;
use crate::limits::{CLOCK_SKEW, PROGRAM_TOKEN_LIFE, REASON_CHARS, TOKEN_BYTES};
use crate::time::Time;

/// `typ` of such a token: no other token of a node has it.
pub const TYP: &str = "tidm-program+jwt";

/// What the token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Whose program it is: the contract's consumer.
    pub of: Did,
    /// Address of the key access service.
    pub service: String,
    pub contract: Id,
    pub purpose: Option<String>,
    /// PEM of the RSA key that signs the program's requests; without one their signature proves nothing.
    pub signer: Option<String>,
}

/// The claims, and when they end.
pub fn mint(it: &Program, jti: &Id, now: Time) -> (Json, Time) {
    let until = now.after(PROGRAM_TOKEN_LIFE);
    let mut claims = Map::new();
    let mut put = |name: &str, value: Json| claims.insert(name.to_owned(), value);
    put("iss", json!(it.of.as_str()));
    put("sub", json!(it.of.as_str()));
    put("aud", json!(it.service));
    put("jti", json!(jti.as_str()));
    put("iat", json!(now.ms().div_euclid(1000)));
    put("exp", json!(until.ms().div_euclid(1000)));
    put("tidm:contract", json!(it.contract.as_str()));
    if let Some(purpose) = &it.purpose {
        put("tidm:purpose", json!(purpose));
    }
    if let Some(signer) = &it.signer {
        put("tidm:signer", json!(signer));
    }
    (Json::Object(claims), until)
}

/// Reads the claims, still unproven.
pub fn parse(payload: &[u8], service: &str, now: Time) -> Result<Program, Fault> {
    let no = |why: &str| Fault::denied("token.refused", "token", why);
    if payload.len() > TOKEN_BYTES {
        return Err(no("its claims are too long"));
    }
    let claims = tidm_crypto::jcs::parse(payload).map_err(|_| no("its claims are no JSON"))?;
    let claims = claims.as_object().ok_or_else(|| no("its claims are no object"))?;
    let text = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(Json::String(it)) => Ok(Some(it.as_str())),
        Some(_) => Err(no("a claim is no text")),
    };
    let (iss, sub) = (text("iss")?.unwrap_or_default(), text("sub")?.unwrap_or_default());
    if iss != sub || text("aud")? != Some(service) {
        return Err(no("it is meant for another service"));
    }
    let times = date(claims, "iat").zip(date(claims, "exp"));
    let (iat, exp) = times.ok_or_else(|| no("it has no times"))?;
    if exp <= now || iat > now.after(CLOCK_SKEW) || iat.after(PROGRAM_TOKEN_LIFE) < exp {
        return Err(no("it has ended, begins later, or lives too long"));
    }
    let purpose = text("tidm:purpose")?;
    if purpose.is_some_and(|it| it.chars().nth(REASON_CHARS).is_some()) {
        return Err(no("its purpose is too long"));
    }
    Ok(Program {
        of: Did::parse(iss).map_err(|_| no("its issuer is no DID"))?,
        service: service.to_owned(),
        contract: text("tidm:contract")?
            .and_then(|it| Id::parse(it).ok())
            .ok_or_else(|| no("it names no contract"))?,
        purpose: purpose.map(str::to_owned),
        signer: text("tidm:signer")?.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "https://p.example/kas";

    fn program() -> Program {
        Program {
            of: Did::parse("did:web:c.example").unwrap(),
            service: SERVICE.to_owned(),
            contract: Id::parse("urn:contract:1").unwrap(),
            purpose: Some("质检".to_owned()),
            signer: None,
        }
    }

    #[test]
    fn a_token_is_for_one_service_one_contract_and_some_minutes() {
        let now = Time::from_ms(1_000_000);
        let (claims, until) = mint(&program(), &Id::parse("urn:jti").unwrap(), now);
        let read = |claims: &Json, now| parse(claims.to_string().as_bytes(), SERVICE, now);
        assert_eq!(read(&claims, now).unwrap(), program());
        assert!(read(&claims, until).is_err());
        assert!(read(&claims, Time::from_ms(0)).is_err());
        for (name, value) in [
            ("aud", json!("https://other.example/kas")),
            ("aud", json!(["https://p.example/kas"])),
            ("sub", json!("did:web:other.example")),
            ("exp", json!(900_000_000_u64)),
            ("iat", json!("today")),
            ("tidm:contract", Json::Null),
            ("tidm:purpose", json!("x".repeat(REASON_CHARS + 1))),
        ] {
            let mut other = claims.clone();
            other[name] = value;
            assert!(read(&other, now).is_err(), "{other}");
        }
        assert!(parse(b"[]", SERVICE, now).is_err());
    }
}
