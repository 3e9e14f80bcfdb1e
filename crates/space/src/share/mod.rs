//! A data key that is split between the provider and an operator: `K = K_p ⊕ K_o`, both uniformly random.
//!
//! ```text
//!   provider seals   K_p under the contract's key, kept
//!                    K_o to the operator's key (HPKE), bound and signed: the deposit; then forgotten
//!   consumer uses    provider's gate: lease, debit, fact ─► K_p to the one-time key, signed lease, deposit
//!                    operator: deposit + signed lease ─► no hold, one answer per nonce, fact ─► K_o to that key
//!                    the using program joins the two
//! ```
//!
//! Threats held off: a provider's key store that was stolen, or its gate alone, opens no copy that was delivered; the
//! operator knows no lease it was not shown and can stop later uses; a lease for another operator, another asker, or an
//! old one brings nothing; one nonce is one one-time key. Not held off: whoever has the provider's plaintext needs no
//! key; a provider that keeps the whole key while sealing; provider and operator together; a using program that keeps
//! the joined key (level E1).
//!
//! Never holds a key and never checks a signature: the shell does both, and calls [`decide`] with what it proved.

use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain;
use tidm_crypto::hash::{Digest, sha256};

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::lease::message::Nonce;
use crate::limits::{CLOCK_SKEW, SHARE_FRESH};
use crate::time::Time;

/// How the two shares are named in a container (`sid`).
pub const PROVIDER_SHARE: &str = "provider";
pub const OPERATOR_SHARE: &str = "operator";

/// The operator's share as the provider sealed it, and what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    pub contract: Id,
    /// The product version.
    pub product: Id,
    pub provider: Did,
    pub consumer: Did,
    pub operator: Did,
    /// SHA-256 of what was signed as the contract.
    pub policy: Digest,
    /// The share, under the operator's public key.
    pub wrapped: Vec<u8>,
}

impl Deposit {
    /// What the wrapped share is bound to.
    pub fn binding(&self) -> Vec<u8> {
        let text = |it: &str| Value::Text(it.to_owned());
        let parts = vec![
            text(self.contract.as_str()),
            text(self.product.as_str()),
            text(self.provider.as_str()),
            text(self.consumer.as_str()),
            text(self.operator.as_str()),
            Value::from(self.policy),
        ];
        tuple(domain::SHARE_DEPOSIT, parts)
    }
}

/// A lease as the provider's gate signs it for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub lease: Id,
    pub contract: Id,
    pub provider: Did,
    pub consumer: Did,
    pub operator: Did,
    pub nonce: Nonce,
    /// The one-time key of the using program.
    pub key: [u8; 32],
    pub granted: Time,
    pub until: Time,
}

/// The operator's public key, as it signs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub operator: Did,
    pub key: [u8; 32],
    pub at: Time,
}

impl Published {
    /// Whether this is a recent word of that operator.
    ///
    /// # Errors
    /// [`Fault::PeerMisbehaved`] `split.key`.
    pub fn check(&self, operator: &Did, now: Time) -> Result<(), Fault> {
        let old = now.since(self.at) > SHARE_FRESH || self.at > now.after(CLOCK_SKEW);
        if self.operator == *operator && !old {
            return Ok(());
        }
        Err(Fault::misbehaved(
            "split.key",
            format!("{operator} shows a key of another time or party"),
        ))
    }
}

/// Nothing is released for this contract or participant until it is taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub subject: String,
    pub reason: String,
    pub at: Time,
}

impl Hold {
    /// The refusal of who is held.
    pub fn refusal(&self, operator: &Did) -> Fault {
        let reason = format!("the operator {operator} holds {}: {}", self.subject, self.reason);
        Fault::denied("split.held", "tidm:keyOperator", reason)
    }

    /// The same for somebody of whom the operator does not know that the contract is theirs: neither who is held nor why.
    pub fn bare_refusal(operator: &Did) -> Fault {
        let reason = format!("the operator {operator} holds this contract or one of its parties");
        Fault::denied("split.held", "tidm:keyOperator", reason)
    }
}

/// What a nonce was answered with before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// SHA-256 of the one-time key.
    pub key: Digest,
    pub lease: Id,
    /// The share, under that key.
    pub answer: Vec<u8>,
}

/// What the operator looks at. Signatures of deposit and lease are proven to be the provider's.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub me: &'a Did,
    /// Who asks, as authenticated.
    pub from: &'a Did,
    pub deposit: &'a Deposit,
    pub shown: &'a Shown,
}

impl Asked<'_> {
    /// Whether lease and deposit are for each other, for this operator and for this asker, now.
    ///
    /// # Errors
    /// [`Fault::Denied`] `split.lease` or `split.deposit`.
    pub fn check(&self, now: Time) -> Result<(), Fault> {
        let Self { me, from, deposit, shown } = *self;
        let no = |code, why: &str| Err(Fault::denied(code, "tidm:keyOperator", why));
        if shown.operator != *me {
            return no("split.lease", "the lease names another operator");
        }
        if shown.consumer != *from {
            return no("split.lease", "the lease is not for who asks");
        }
        let whose = (&deposit.contract, &deposit.provider, &deposit.consumer, &deposit.operator);
        if whose != (&shown.contract, &shown.provider, &shown.consumer, &shown.operator) {
            return no(
                "split.deposit",
                "the deposited share is not of the contract that the lease is for",
            );
        }
        let age = now.since(shown.granted);
        if shown.until <= now || age > SHARE_FRESH || shown.granted > now.after(CLOCK_SKEW) {
            return no(
                "split.lease",
                "the lease is over, or was granted too long ago to bring a share",
            );
        }
        Ok(())
    }

    /// Under whose names a hold refuses this.
    pub fn subjects(&self) -> [&str; 3] {
        [self.shown.contract.as_str(), self.shown.provider.as_str(), self.shown.consumer.as_str()]
    }
}

/// The operator's yes.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A first answer, with its fact.
    Fresh,
    /// The same nonce and key again: the same answer.
    Again(Vec<u8>),
}

/// No hold → the nonce's one answer.
///
/// # Errors
/// [`Fault::Denied`] `split.held`, `split.lease`, `split.deposit`.
pub fn decide(
    asked: Asked<'_>,
    holds: &[Hold],
    earlier: Option<&Answered>,
    now: Time,
) -> Result<Verdict, Fault> {
    asked.check(now)?;
    let subjects = asked.subjects();
    if let Some(hold) = holds.iter().find(|it| subjects.contains(&it.subject.as_str())) {
        return Err(hold.refusal(asked.me));
    }
    match earlier {
        None => Ok(Verdict::Fresh),
        Some(it) if it.key == sha256(&asked.shown.key) && it.lease == asked.shown.lease => {
            Ok(Verdict::Again(it.answer.clone()))
        }
        Some(_) => Err(Fault::denied(
            "split.lease",
            "tidm:keyOperator",
            "this nonce was answered for another lease or one-time key",
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests;
