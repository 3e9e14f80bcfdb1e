//! What a wallet decides: which deliveries it takes (DCP §6.5), and what it shows to whom (DCP §5.4).
//!
//! Never believes a delivery because of its sender alone: each credential is read here and proven by
//! [`verify::prove_credential`] before it is kept. Threats held off here: an issuer that nobody asked and nobody
//! trusts fills our disk, a credential about somebody else, a verifier that asks for more than it was granted.

use std::collections::BTreeSet;

use tidm_crypto::jws::Unverified;

use crate::fault::Fault;
use crate::identity::credential::{Credential, SPACE};
use crate::identity::did::Did;
use crate::identity::issuance::message::Container;
use crate::identity::presentation::scope::Scope;
use crate::identity::presentation::verify;
use crate::limits::PRESENTED;
use crate::time::Time;
use crate::wire::dcp::jwt;

/// What came of a request of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    Open,
    Issued,
    Rejected,
}

impl Answered {
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Issued => "issued",
            Self::Rejected => "rejected",
        }
    }
}

/// Whether a delivery answers a request of ours that is open. `asked`: the request that it names, by whom it is to
/// be answered and what came of it. One that answers none is for issuers that we trust.
pub fn admit(sender: &Did, asked: Option<(&str, &str)>, trusted: bool) -> Result<bool, Fault> {
    let open = asked
        .is_some_and(|(issuer, state)| issuer == sender.as_str() && state == Answered::Open.word());
    if open || trusted {
        return Ok(open);
    }
    Err(Fault::denied(
        "wallet.unasked",
        "wallet",
        "we trust this issuer with nothing and asked it for nothing",
    ))
}

/// A delivered credential, read: about us, by its sender, and what its container says. Still to be proven.
pub fn read(it: &Container, issuer: &Did, holder: &Did) -> Result<(Unverified, Credential), Fault> {
    let (token, credential) = verify::receive(&it.payload, issuer, holder)?;
    if credential.profile != it.profile || !credential.is_a(&it.kind) {
        return Err(Fault::misbehaved(
            "credential.container",
            "a credential is not what its container says",
        ));
    }
    Ok((token, credential))
}

/// Of our credentials, newest first: those that hold, were asked for and may be seen, the newest of each kind.
pub fn choose(
    texts: impl IntoIterator<Item = String>,
    asked: &[Scope],
    granted: &[Scope],
    now: Time,
) -> Vec<(Credential, String)> {
    let covers = |scopes: &[Scope], it: &Credential| scopes.iter().any(|scope| scope.covers(it));
    let by_id = |it: &Credential| {
        asked.iter().any(|scope| matches!(scope, Scope::Id(_)) && scope.covers(it))
    };
    let mut seen = BTreeSet::new();
    let mut chosen = Vec::new();
    for text in texts {
        // It was read when it was stored; one that reads no more proves nothing to anybody.
        let Ok((_, it)) = jwt::credential(&text) else { continue };
        if !it.is_current(now) || !covers(asked, &it) || !covers(granted, &it) {
            continue;
        }
        let sort =
            (it.issuer.clone(), it.kinds.clone(), it.claim(SPACE).map(str::to_owned), it.profile);
        if (seen.insert(sort) || by_id(&it)) && chosen.len() < PRESENTED {
            chosen.push((it, text));
        }
    }
    chosen
}
