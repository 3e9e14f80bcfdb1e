//! Who calls: self-issued tokens in DCP's own shape, made and checked.
//!
//! Threat model: a forged, replayed, expired or misdirected token opens nothing. Audience, lifetime
//! (≤ 60 s) and signature are checked against the sender's `did:web` document, membership against the
//! space's signed list; the token id is used up in the transaction that acts on the message.

use std::sync::Arc;

use tidm_crypto::jws;
use tidm_crypto::sign::VerifyingKey;
use tidm_space::fault::Fault;
use tidm_space::identity::did::Did;
use tidm_space::identity::token;

use super::directory::Directory;
use crate::clock::Clock;
use crate::identity::Identity;
use crate::store::writer::Token;

/// An authenticated peer and the token it used, which is still to be used up.
#[derive(Clone, Debug)]
pub struct Caller {
    pub did: Did,
    pub key: VerifyingKey,
    pub token: Token,
}

/// A token for one request to `audience`.
pub fn mint(identity: &Identity, audience: &Did, clock: &Clock) -> String {
    identity.bearer(audience, clock)
}

/// Checks an `Authorization` value. Every failure reads the same to the caller; the log says which it was.
pub async fn check(
    authorization: Option<&str>,
    me: &Did,
    directory: &Arc<Directory>,
    clock: &Clock,
) -> Result<Caller, Fault> {
    let bearer = authorization
        .and_then(|it| it.strip_prefix("Bearer ").or_else(|| it.strip_prefix("bearer ")))
        .ok_or_else(|| refused("no bearer token"))?;
    let parsed = jws::Unverified::parse(bearer.trim()).map_err(|_| refused("not a compact JWS"))?;
    let claims =
        token::parse(parsed.unproven_payload()).map_err(|_| refused("not a self-issued token"))?;
    let checked = token::check(&claims, me, clock.now())?;
    directory.member(&checked.from)?;
    let key = directory.key(&checked.from, parsed.header.kid.as_deref()).await?;
    parsed.verify(&key).map_err(|_| refused("its signature does not verify"))?;
    Ok(Caller {
        did: checked.from.clone(),
        key,
        token: Token { issuer: checked.from, jti: checked.jti, until: checked.until },
    })
}

fn refused(why: &str) -> Fault {
    Fault::denied("token.refused", "token", why)
}
