//! Data keys that are split with an operator: sealing, showing the lease, and asking for the operator's share.
//!
//! Threat model: the provider's store keeps its own share and a deposit that only the operator's key opens; the whole key
//! and the operator's share live in memory while one object is sealed. What is signed names contract, product, both
//! parties and the operator, so that no statement serves another deal. An operator that does not answer or refuses is
//! named. Not protected against: a provider's node that was changed to keep the whole key.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::Method;

use tidm_crypto::kem::{self, KemPublic};
use tidm_crypto::secret::Secret;
use tidm_crypto::{domain, jws, tdf};
use tidm_space::contract::Contract;
use tidm_space::engine::node::Signer as _;
use tidm_space::fault::Fault;
use tidm_space::identity::did::Did;
use tidm_space::lease::message::{Grant, Request};
use tidm_space::limits::SHARE_STATEMENT_BYTES;
use tidm_space::share::{Deposit, Shown};
use tidm_space::wire::Posting;
use tidm_space::wire::tidm::lease;
use tidm_space::wire::tidm::share::{self, Split};

use crate::app::App;
use crate::identity::DSP_PATH;
use crate::net::auth;
use crate::net::client::{Answer, CallError};
use crate::random::os;

/// An operator that restarts answers by then.
const PATIENCE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// When it is worth asking again.
const LATER: Duration = Duration::from_secs(5);

/// Who must release the other share of a contract's key, if its terms say so.
pub fn operator_of(contract: &Contract) -> Option<Did> {
    contract.terms().ok().and_then(|terms| terms.summary.limits.operator)
}

/// A data key in two, and the operator's part as it is handed on.
pub struct Shares {
    /// The provider's.
    pub own: Secret<[u8; 32]>,
    /// The operator's, until the object is sealed.
    pub other: Secret<[u8; 32]>,
    /// The operator's under its key.
    pub wrapped: Vec<u8>,
    /// The same with what it is bound to, signed.
    pub deposit: String,
    /// The operator's key service, as a container names it.
    pub service: String,
}

/// Splits a fresh data key; the operator's part is wrapped to the key that it publishes.
pub async fn split(
    app: &App,
    contract: &Contract,
    operator: &Did,
    key: &Secret<[u8; 32]>,
) -> anyhow::Result<Shares> {
    let base = app.directory.dsp_base(operator).await?;
    let public = public_key(app, operator, &base).await?;
    let [own, other] = <[_; 2]>::try_from(tdf::split_key(key, 2, &mut os())?)
        .map_err(|_| anyhow::anyhow!("a key that did not split in two"))?;
    let mut it = Deposit {
        contract: contract.id.clone(),
        product: contract.product.clone(),
        provider: app.identity.did.clone(),
        consumer: contract.peer.clone(),
        operator: operator.clone(),
        policy: contract.digest,
        wrapped: Vec::new(),
    };
    let info = domain::SHARE_DEPOSIT.as_bytes();
    let wrapped = kem::seal(&public, info, &it.binding(), other.expose(), &mut os());
    it.wrapped = wrapped.context("nothing can be wrapped to the operator's key")?.to_bytes();
    let claims = share::deposit_claims(&it).to_string();
    let deposit = app.identity.sign(share::DEPOSIT_TYP, claims.as_bytes());
    let service = format!("{}/kas", base.strip_suffix(DSP_PATH).unwrap_or(&base));
    Ok(Shares { own, other, wrapped: it.wrapped, deposit, service })
}

/// As the operator signs it, just now.
async fn public_key(app: &App, operator: &Did, base: &str) -> anyhow::Result<KemPublic> {
    let url = format!("{base}{}", share::KEY_PATH);
    let authorization = auth::speak(app, operator);
    let answer = app.client.call(Method::GET, &url, authorization.as_deref(), None).await?;
    anyhow::ensure!(
        answer.status.is_success(),
        "the operator {operator} answers {} to a request for its key",
        answer.status
    );
    let signed = share::read_key(&answer.body)?;
    let claims = proven(app, &signed, share::KEY_TYP, operator).await?;
    let said = share::read_key_claims(&claims)?;
    said.check(operator, app.clock.now())?;
    KemPublic::from_bytes(&said.key).context("the operator's key is none")
}

/// The payload of a statement of `by`, whose signature holds under a key of its document.
///
/// # Errors
/// [`Fault::Denied`] `split.statement`, or why `by` is no member.
pub async fn proven(app: &App, text: &str, typ: &str, by: &Did) -> Result<Vec<u8>, Fault> {
    let no = |why: &str| Fault::denied("split.statement", "tidm:keyOperator", why);
    let parsed = jws::Unverified::parse_within(text, SHARE_STATEMENT_BYTES)
        .map_err(|_| no("a statement about a share is no compact JWS"))?;
    if parsed.header.typ.as_deref() != Some(typ) {
        return Err(no("a statement about a share is of another kind"));
    }
    // Before its document is fetched: whoever is no member makes us call nobody.
    auth::member(app, by).await?;
    let key = app.directory.key(by, parsed.header.kid.as_deref()).await?;
    let payload = parsed
        .verify(&key)
        .map_err(|_| no("the signature of a statement about a share does not verify"))?;
    Ok(payload.to_vec())
}

/// Provider: what the consumer shows the operator, for a lease that is durable.
pub fn shown(
    app: &App,
    deposit: &str,
    (consumer, request): (&Did, &Request),
    grant: &Grant,
) -> Result<Split, Fault> {
    let ours = jws::Unverified::parse_within(deposit, SHARE_STATEMENT_BYTES)
        .map_err(|_| Fault::ApiMisuse("a deposit of ours that is none"))?;
    let it = Shown {
        lease: grant.lease.clone(),
        contract: grant.contract.clone(),
        provider: app.identity.did.clone(),
        consumer: consumer.clone(),
        operator: share::read_deposit(ours.unproven_payload())?.operator,
        nonce: request.nonce,
        key: request.key,
        granted: app.clock.now(),
        until: grant.until,
    };
    let claims = share::shown_claims(&it).to_string();
    let shown = app.identity.sign(share::SHOWN_TYP, claims.as_bytes());
    Ok(Split { deposit: deposit.to_owned(), shown })
}

/// Consumer: whether the operator is there and holds nothing, before the provider's gate counts a use.
///
/// # Errors
/// [`Fault::Denied`] `split.held`; [`Fault::Unavailable`] with the operator's name.
pub async fn ready(app: &App, contract: &Contract, operator: &Did) -> Result<(), Fault> {
    let posting = share::write_inquiry(&contract.id, &contract.peer);
    asked(app, operator, &posting, "no use was counted").await.map(drop)
}

/// Consumer: the operator's share, under the one-time key of the lease.
///
/// # Errors
/// As [`ready`]; the lease was granted already.
pub async fn released(
    app: &App,
    operator: &Did,
    grant: &Grant,
    split: &Split,
) -> Result<Vec<u8>, Fault> {
    let posting = share::write_request(split);
    let answer = asked(app, operator, &posting, "the provider has counted this use").await?;
    let (lease, wrapped) = share::read_grant(&answer.body)?;
    if lease == grant.lease {
        return Ok(wrapped);
    }
    Err(Fault::misbehaved(
        "split.grant",
        format!("the operator {operator} answers for another lease"),
    ))
}

async fn asked(app: &App, operator: &Did, posting: &Posting, cost: &str) -> Result<Answer, Fault> {
    let started = tokio::time::Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let fault = match once(app, operator, posting, cost).await {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        let worth = matches!(fault, Fault::Unavailable { .. });
        if !worth || started.elapsed() + pause > PATIENCE {
            return Err(fault);
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2);
    }
}

async fn once(app: &App, operator: &Did, posting: &Posting, cost: &str) -> Result<Answer, Fault> {
    let silent = |why: String| Fault::Unavailable {
        reason: format!("the operator {operator} does not answer ({cost}): {why}"),
        retry_after: LATER,
    };
    let base = app.directory.dsp_base(operator).await.map_err(|why| silent(why.to_string()))?;
    let url = format!("{base}{}", posting.path);
    let authorization = auth::speak(app, operator);
    let call =
        app.client.call(Method::POST, &url, authorization.as_deref(), Some(posting.body.clone()));
    let answer = match call.await {
        Ok(answer) => answer,
        Err(CallError::Address { url, why }) => {
            return Err(Fault::refused("peer.address", format!("{url}: {why}")));
        }
        Err(error @ (CallError::NoAnswer { .. } | CallError::TooLarge { .. })) => {
            return Err(silent(error.to_string()));
        }
    };
    if answer.status.is_success() { Ok(answer) } else { Err(refusal(operator, &answer)) }
}

/// What an operator's refusal is to our own caller: its code and reason, and whose word it is.
fn refusal(operator: &Did, answer: &Answer) -> Fault {
    let said = lease::read_refusal(&answer.body).ok();
    let why = said.as_ref().map_or_else(|| answer.status.to_string(), |it| it.reason.clone());
    let reason = format!("the operator {operator} says: {why}");
    match answer.status.as_u16() {
        408 | 425 | 429 | 500..=599 => Fault::Unavailable { reason, retry_after: LATER },
        _ => {
            let said = said.map(|it| it.code).unwrap_or_default();
            let code = CODES.iter().find(|it| **it == said).copied().unwrap_or("split.refused");
            Fault::denied(code, "tidm:keyOperator", reason)
        }
    }
}

/// Codes that operators of our own kind say.
const CODES: &[&str] =
    &["split.held", "split.lease", "split.deposit", "split.statement", "split.not-operator"];
