//! Signatures on agreements (house D14): ours as extra properties, the peer's checked where present.
//!
//! Never takes a wrong signature for a missing one.

use tidm_crypto::sign::VerifyingKey;

use crate::contract::signed_bytes;
use crate::identity::did::Did;
use crate::negotiation::message::{Agreement, Role, Signature};
use crate::negotiation::state::Negotiation;
use crate::wire::terms::digest;

use super::commit::Work;

/// The JWS type of both signatures on an agreement.
pub(super) const SIGNATURE_TYPE: &str = "tidm-agreement+jws";

fn parties<'a>(work: &'a Work<'_>, it: &'a Negotiation) -> (&'a Did, &'a Did) {
    match it.role {
        Role::Provider => (work.node.me, &it.peer),
        Role::Consumer => (&it.peer, work.node.me),
    }
}

pub(super) fn what_is_signed(work: &Work<'_>, it: &Negotiation, agreement: &Agreement) -> Vec<u8> {
    let (provider, consumer) = parties(work, it);
    signed_bytes(
        &agreement.id,
        provider,
        consumer,
        &it.product,
        digest(&agreement.policy),
        agreement.at,
    )
}

pub(super) fn sign(work: &Work<'_>, it: &Negotiation, agreement: &Agreement) -> Signature {
    Signature(work.node.signer.sign(SIGNATURE_TYPE, &what_is_signed(work, it, agreement)))
}

/// House D14: present and wrong always ends it; missing ends it where signatures are demanded.
pub(super) fn check_signature(
    work: &Work<'_>,
    it: &Negotiation,
    agreement: &Agreement,
    signature: Option<&Signature>,
    key: Option<&VerifyingKey>,
) -> Result<(), String> {
    let Some(Signature(jws)) = signature else {
        return if work.node.demands_signatures {
            Err("the agreement is not signed".to_owned())
        } else {
            Ok(())
        };
    };
    let Some(key) = key else { return Err("the signer's key is not known".to_owned()) };
    let expected = what_is_signed(work, it, agreement);
    let parsed = tidm_crypto::jws::Unverified::parse(jws)
        .map_err(|_| "the signature is not a JWS".to_owned())?;
    match parsed.verify(key) {
        Ok(payload) if *payload == *expected => Ok(()),
        Ok(_) => Err("the signature is over other terms".to_owned()),
        Err(_) => Err("the signature does not verify".to_owned()),
    }
}
