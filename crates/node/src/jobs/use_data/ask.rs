//! Asking a provider's gate for a lease: one nonce, retried for a moment, answered or refused.
//!
//! Never asks twice for one use with different nonces: a lost answer must not cost a second use.

use std::time::Duration;

use tidm_space::contract::Contract;
use tidm_space::engine::input::{HoldWish, Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::message::{Grant, Nonce, Outcome, Request};
use tidm_space::wire::tidm::lease;
use tidm_space::wire::tidm::share::Split;

use super::close;
use crate::app::App;
use crate::jobs::{attested, split};
use crate::net::auth;
use crate::net::certificates;
use crate::net::client::CallError;
use crate::store::writer::WorkError;

/// A provider that just finalized the contract, or is between two replicas, answers by then.
const PATIENCE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// When it is worth asking again for a use that a provider did not answer.
const LATER: Duration = Duration::from_secs(5);

/// A fresh nonce.
pub(super) fn nonce() -> Nonce {
    let mut nonce = Nonce::default();
    rand_core::Rng::fill_bytes(&mut crate::random::os(), &mut nonce);
    nonce
}

/// A lease that brought a key, under the one-time key of its request.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    pub(super) grant: Grant,
    /// The data key, or the provider's share of it.
    pub(super) wrapped: Vec<u8>,
    /// The operator's share, where the key is split.
    pub(super) share: Option<Vec<u8>>,
}

/// A lease for something sealed. Where the key is split, the operator is asked first whether it holds anything back, so
/// that the provider's gate counts no use that could not be; and then, with the lease, for its share.
pub(super) async fn keyed(
    app: &App,
    contract: &Contract,
    request: Request,
) -> Result<Keyed, WorkError> {
    let operator = split::operator_of(contract);
    if let Some(operator) = &operator {
        split::ready(app, contract, operator).await?;
    }
    let (grant, wrapped, shown) = granted(app, contract, request).await?;
    let no = |code, what: &str| Fault::misbehaved(code, format!("{} {what}", contract.peer));
    let share = match (&operator, shown) {
        (None, None) => Ok(None),
        (Some(operator), Some(shown)) => {
            split::released(app, operator, &grant, &shown).await.map(Some)
        }
        (None, Some(_)) => Err(no("split.grant", "splits a key that its terms do not split")),
        (Some(_), None) => Err(no("split.grant", "granted a lease without the split of its key")),
    };
    let whole = wrapped.ok_or_else(|| no("lease.key", "granted a lease without a key"));
    match share.and_then(|share| Ok((share, whole?))) {
        Ok((share, wrapped)) => Ok(Keyed { grant, wrapped, share }),
        Err(why) => {
            let nothing = Outcome { done: false, rows: 0, bytes: 0, result: None };
            close(app, &grant.lease, nothing).await?;
            Err(why.into())
        }
    }
}

/// A lease for `request`, kept among our leases; a query needs no key.
pub(super) async fn lease(
    app: &App,
    contract: &Contract,
    request: Request,
) -> Result<Grant, WorkError> {
    granted(app, contract, request).await.map(|(grant, _, _)| grant)
}

/// With the key wrapped to `request.key` where there is one, and what an operator is to be shown.
async fn granted(app: &App, contract: &Contract, request: Request) -> Result<Answered, WorkError> {
    let id = Id::from(uuid::Uuid::now_v7());
    let posting = match patiently(|| attested::of_request(app, contract, &request)).await? {
        Some(evidence) => lease::write_attested(&id, &request, &evidence),
        None => lease::write_request(&id, &request),
    };
    let url = format!("{}{}", contract.address, posting.path);
    let (grant, wrapped, shown) = patiently(|| once(app, contract, &url, &posting.body)).await?;
    if grant.contract != contract.id || grant.until <= app.clock.now() {
        return Err(Fault::misbehaved(
            "lease.grant",
            format!("{} granted a lease of another contract or time", contract.peer),
        )
        .into());
    }
    app.writer
        .run(Input::Wish(Box::new(Wish::Hold(Box::new(HoldWish {
            request,
            grant: grant.clone(),
        })))))
        .await?;
    Ok((grant, wrapped, shown))
}

/// Asks again for a moment where nobody answers, or where the contract is not known yet.
async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    let started = tokio::time::Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let fault = match ask().await {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        let worth = matches!(fault, Fault::Unavailable { .. }) || fault.code() == UNKNOWN;
        if !worth || started.elapsed() + pause > PATIENCE {
            return Err(fault);
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2);
    }
}

/// Grant, wrapped key, and what an operator is to be shown.
type Answered = (Grant, Option<Vec<u8>>, Option<Split>);

async fn once(app: &App, contract: &Contract, url: &str, body: &str) -> Result<Answered, Fault> {
    let authorization = auth::speak(app, &contract.peer);
    let answer = match app
        .client
        .call(reqwest::Method::POST, url, authorization.as_deref(), Some(body.to_owned()))
        .await
    {
        Ok(answer) => answer,
        Err(CallError::Address { url, why }) => {
            return Err(Fault::refused("peer.address", format!("{url}: {why}")));
        }
        Err(error @ (CallError::NoAnswer { .. } | CallError::TooLarge { .. })) => {
            return Err(no_answer(&contract.peer, &error.to_string()));
        }
    };
    if answer.status.is_success() {
        let (grant, wrapped) = lease::read_grant(&answer.body)?;
        return Ok((grant, wrapped, lease::read_split(&answer.body)?));
    }
    Err(refusal(&contract.peer, answer.status.as_u16(), &answer.body))
}

/// The provider knows no such contract, or no such member.
pub(in crate::jobs) const UNKNOWN: &str = "peer.unknown-here";

pub(in crate::jobs) fn no_answer(peer: &Did, why: &str) -> Fault {
    Fault::Unavailable {
        reason: format!("the provider {peer} does not answer: {why}"),
        retry_after: LATER,
    }
}

/// What a provider's refusal is to our own caller: its code, rule and reason, and whose word it is.
pub(in crate::jobs) fn refusal(peer: &Did, status: u16, body: &[u8]) -> Fault {
    let said = lease::read_refusal(body).ok();
    let reason = said.as_ref().map_or_else(|| format!("HTTP {status}"), |it| it.reason.clone());
    let zh = said.as_ref().and_then(|it| it.zh.as_deref());
    let zh = zh.map(|it| format!("提供方 {peer} 称：{it}"));
    let reason = format!("the provider {peer} says: {reason}");
    match (status, said) {
        (403, Some(said)) => {
            let rule = said.rule.unwrap_or_else(|| "policy".to_owned());
            let denied = Fault::denied(code(&said.code), rule, reason);
            // Peers before this one say no Chinese.
            match zh {
                Some(zh) => denied.in_chinese(zh),
                None => denied,
            }
        }
        (403, None) => Fault::denied("policy.denied", "policy", reason),
        (404, _) => certificates::refused_by(peer, body).unwrap_or_else(|| {
            let why = format!("the provider {peer} knows no such contract, or not us as its party");
            Fault::refused(UNKNOWN, why)
        }),
        (408 | 425 | 429 | 500..=599, _) => Fault::Unavailable { reason, retry_after: LATER },
        (409, said) => Fault::conflict(said.map_or("lease.conflict", |it| code(&it.code)), reason),
        (_, said) => Fault::refused(said.map_or("lease.refused", |it| code(&it.code)), reason),
    }
}

/// Codes that peers of our own kind say. Another peer's own words stay in the reason.
const CODES: &[&str] = &[
    "attest.refused",
    "attest.not-configured",
    "policy.denied",
    "policy.unknown",
    "contract.ended",
    "contract.suspended",
    "key.destroyed",
    "lease.expired",
    "lease.returned",
    "lease.revoked",
    "lease.running",
    "lease.ended",
    "lease.kind",
    "lease.query",
    "lease.nonce",
    "lease.renewal",
    "lease.renewals",
    "lease.not-sealed",
    "lease.session",
    "privacy.unasked",
    "privacy.epsilon",
    "privacy.budget",
    "query.noise",
    "psi.member-key",
    "psi.no-table",
    "psi.parties",
    "psi.protocol",
    "psi.reveal",
    "psi.size",
    "psi.workers",
    "psi.table-version",
    "psi.table-items",
    "psi.table-kind",
    "psi.attempts",
    "psi.columns",
    "psi.items",
    "psi.not-joined",
    "psi.over",
    "psi.session",
    "psi.table",
    "psi.terms",
    "query.raw-rows",
    "query.aggregate",
    "query.small-group",
    "query.entity",
    "query.too-many-rows",
    "query.too-many-bytes",
    "query.column",
    "query.malformed",
    "query.too-complex",
    "query.not-allowed",
    "query.memory",
    "query.deadline",
    "query.failed",
];

fn code(said: &str) -> &'static str {
    CODES.iter().find(|it| **it == said).copied().unwrap_or("peer.refused")
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome fails the test")]
mod tests {
    use super::*;

    fn peer() -> Did {
        Did::parse("did:web:plant.example").unwrap()
    }

    #[test]
    fn a_refusal_names_party_code_and_rule() {
        let denied = Fault::denied("policy.denied", "permission[0]", "the third use");
        // A peer of today says it in both languages, an older one in English.
        for (said, chinese) in
            [(denied.clone().in_chinese("第三次使用"), true), (denied.clone(), false)]
        {
            let said = lease::write_refusal(&said);
            let Fault::Denied { zh, .. } = refusal(&peer(), 403, said.as_bytes()) else {
                panic!("{said}")
            };
            assert_eq!(zh.is_some_and(|it| it.contains("第三次使用")), chinese, "{said}");
        }
        let said = lease::write_refusal(&denied);
        match refusal(&peer(), 403, said.as_bytes()) {
            Fault::Denied { code, rule, reason, .. } => {
                assert_eq!((code, rule.as_str()), ("policy.denied", "permission[0]"));
                assert!(
                    reason.contains("did:web:plant.example") && reason.contains("the third use"),
                    "{reason}"
                );
            }
            other => panic!("{other:?}"),
        }
        for (status, body, code) in [
            (403, "no json", "policy.denied"),
            (403, r#"{"@type":"LeaseRefusal","code":"evil.code","reason":"x"}"#, "peer.refused"),
            (422, r#"{"@type":"LeaseRefusal","code":"psi.size","reason":"x"}"#, "psi.size"),
            (404, "", UNKNOWN),
            (503, "", "unavailable"),
            (400, "", "lease.refused"),
            (409, "", "lease.conflict"),
        ] {
            assert_eq!(refusal(&peer(), status, body.as_bytes()).code(), code, "{status} {body}");
        }
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(nonce(), nonce());
    }
}
